"""Turns: networks compute in theirs alone, and what is drawn does not depend on who has them in between."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any, cast

import pytest
import torch
from tests import tiny
from tests.making import depth_pair, photo_pair, text_pair
from torch import Tensor, nn
from transformers import DPTImageProcessorPil

from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis import compose
from stereodiffusion.synthesis.run import Run, Synthesis, Turn, Turns, in_turns

TEN = {"sampling.steps": 10}
PATIENCE_S = 60.0


@contextmanager
def watched(calls: Callable[[bool], None], *modules: nn.Module) -> Generator[None]:
    """`calls(True)` whenever one of some networks computes, `calls(False)` whenever pixels are moved."""
    hooks = [module.register_forward_pre_hook(lambda *_: calls(True)) for module in modules]
    moved = compose.splat

    def splat(*args: object, **kwargs: object) -> object:
        calls(False)
        return moved(*args, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "splat", splat)
        yield
    for hook in hooks:
        hook.remove()


def same(one: StereoPair, other: StereoPair) -> bool:
    pictures = ((one.left, other.left), (one.right, other.right), (one.disparity.pixels, other.disparity.pixels))
    return all(torch.equal(a, b) for a, b in pictures)


@pytest.mark.parametrize("mode", ["text", "depth", "photo"])
def test_networks_compute_in_their_own_turns_and_pixels_are_moved_in_the_others(
    mode: str,
    text_backbone: StableDiffusion,
    depth_backbone: StableDiffusion,
    photo: Tensor,
    disparity_px: Tensor,
) -> None:
    network, processor = tiny.depth_estimator(), DPTImageProcessorPil(size={"height": 32, "width": 32})
    estimator = MonocularDepth(name="tiny-dpt", model=network, processor=cast(Any, processor), predicts="inverse-depth")
    given = Disparity.from_pixels(disparity_px)
    works: dict[str, Callable[[], Synthesis]] = {
        "text": lambda: text_pair(
            text_backbone, estimator, ["a ball"], settings=preset("best", "text").changed(TEN), size=(32, 32)
        ),
        "depth": lambda: depth_pair(depth_backbone, given, ["a ball"], settings=preset("best", "depth").changed(TEN)),
        "photo": lambda: photo_pair(text_backbone, photo, estimator, settings=preset("best", "photo").changed(TEN)),
    }
    now, seen, stages = list[Turn](), set[tuple[bool, bool]](), list[str]()

    @contextmanager
    def turn(entered: Turn) -> Generator[None]:
        stages.append(entered.stage)
        now.append(entered)
        yield
        now.remove(entered)

    backbone = depth_backbone if mode == "depth" else text_backbone
    networks = backbone.unet, backbone.vae.encoder, backbone.vae.decoder, network
    with watched(lambda network: seen.add((network, now[0].networks)), *networks):
        pair = Run(in_turns(works[mode](), turn)).result
    assert seen == {(True, True), (False, False)}
    assert not now
    if mode == "photo":
        assert stages == ["borders", "depth", "borders", "inversion", "warping", "view", "warping"]
    assert same(pair, Run(works[mode]()).result)  # nor does it matter whether anybody takes turns


def test_while_pixels_of_one_picture_are_moved_another_has_the_networks(
    text_backbone: StableDiffusion, estimator: MonocularDepth, photo: Tensor
) -> None:
    settings = preset("best", "photo").changed({"sampling.steps": 4})
    networks, inverting = Lock(), Event()

    def turns_of(first: bool) -> Turns:
        @contextmanager
        def turn(entered: Turn) -> Generator[None]:
            if entered.networks:
                with networks:
                    if not first and entered.stage == "inversion":
                        inverting.set()
                    yield
                return
            if first and entered.stage == "warping":  # pixels of the first wait until the second has the networks
                assert inverting.wait(PATIENCE_S)
            yield

        return turn

    def drawn(picture: Tensor, *turns: Turns) -> StereoPair:
        work = photo_pair(text_backbone, picture, estimator, settings=settings)
        return Run(in_turns(work, *turns) if turns else work).result

    pictures = photo, photo.flip(-1)
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(drawn, pictures, (turns_of(True), turns_of(False))))
    assert all(same(pair, drawn(picture)) for pair, picture in zip(together, pictures, strict=True))


def test_a_run_that_is_broken_off_leaves_its_turn(text_backbone: StableDiffusion, photo: Tensor) -> None:
    networks = Lock()

    @contextmanager
    def turn(entered: Turn) -> Generator[None]:
        with networks:
            yield

    given = Disparity.from_pixels(torch.zeros(96, 160))
    run = Run(in_turns(photo_pair(text_backbone, photo, given, settings=preset("fast", "photo").changed(TEN)), turn))
    next(iter(run))
    assert networks.locked()
    run.close()
    assert not networks.locked()
