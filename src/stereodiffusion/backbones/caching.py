"""Reusing what the deep half of a U-Net computed a step ago (DeepCache, Ma et al. 2024).

From one step to the next the deep half changes little: everything between the first block down and the last block up. A
step that reuses it runs these two alone, on what the block before the last gave in the step that computed it.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from stereodiffusion.diffusion.backbone import DeepFeatures
from stereodiffusion.errors import ModelError


@contextmanager
def caching(unet: UNet2DConditionModel, features: DeepFeatures, *, reuse: bool) -> Generator[None]:
    """While entered, evaluations leave what the deep half gives in `features`, or take it from there.

    On leaving, exception or not, the network is what it was before.

    Raises:
        ModelError: If the network has fewer than two levels, or there is nothing to reuse.
    """
    downs, ups = list(unet.down_blocks), list(unet.up_blocks)
    if len(ups) < 2:
        raise ModelError(f"expected a U-Net of at least two levels to cache, got {len(ups)}")
    with ExitStack() as changes:
        if not reuse:

            def keep(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
                features.value = output

            changes.callback(ups[-2].register_forward_hook(keep).remove)
        else:
            if features.value is None:
                raise ModelError("expected deep features of an earlier step, got none")
            for block in downs[1:]:
                changes.enter_context(_forward(block, _Residuals(_residuals(block))))
            mid: nn.Module | None = getattr(unet, "mid_block", None)
            for block in [*([] if mid is None else [mid]), *ups[:-2]]:
                changes.enter_context(_forward(block, _input))
            kept = features.value
            changes.enter_context(_forward(ups[-2], lambda *_, **__: kept))
        yield


def _input(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    """Nothing is done; what comes out is replaced further up."""
    return hidden_states


class _Residuals:
    """A block down that does nothing and hands up as many residuals as are taken from it, which nobody reads."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        return hidden_states, (hidden_states,) * self._count


def _residuals(block: Any) -> int:
    return len(block.resnets) + (0 if block.downsamplers is None else len(block.downsamplers))


@contextmanager
def _forward(module: nn.Module, forward: Any) -> Generator[None]:
    """Another `forward` while entered; one that somebody had set on the module before is put back."""
    before = vars(module).get("forward")
    cast(Any, module).forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            cast(Any, module).forward = before
