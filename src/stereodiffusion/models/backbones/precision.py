"""In which floating-point format a model runs best where it runs.

bfloat16 is worth it where the processor multiplies in it (AMX, or AVX-512 BF16): several times faster, and half the
memory. The autoencoder goes along: pictures of `toybox` are then 59 to 63 dB from those of float32, which is what
rounding to 8 bits takes away. In float16 it can overflow, so there it stays in float32. Elsewhere half precision is
emulated, and slower than float32.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import torch
from torch import nn

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import Precision, PrecisionChoice

CpuFeature: TypeAlias = Literal["amx_bf16", "avx512_bf16"]

_FAST_IN_BFLOAT16: Final[tuple[CpuFeature, ...]] = ("amx_bf16", "avx512_bf16")
_DTYPES: Final[dict[str, torch.dtype]] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """The formats of a model's parts.

    Attributes:
        network: Of the noise predictor and the text encoders.
        autoencoder: Of the autoencoder.
    """

    network: torch.dtype
    autoencoder: torch.dtype


def formats_for(choice: PrecisionChoice | torch.dtype, device: torch.device | str, *, wide: bool = False) -> Formats:
    """The formats that a choice means on a device.

    Args:
        choice: By name, or torch's own.
        device: Where the model runs.
        wide: Whether it leaves float16's range, as T5 and large transformers do: `auto` is bfloat16 in its place.

    Raises:
        ConfigError: If there is no such choice.
    """
    if choice == "auto":
        network = _DTYPES[fastest_precision(device)]
        if wide and network == torch.float16:
            network = torch.bfloat16
        return Formats(network=network, autoencoder=torch.float32 if network == torch.float16 else network)
    precision = _DTYPES.get(choice) if isinstance(choice, str) else choice
    if precision is None or precision not in _DTYPES.values():
        raise ConfigError(f"dtype must be one of auto, {', '.join(_DTYPES)}, got {choice}")
    return Formats(network=precision, autoencoder=precision)


def computing_format(network: nn.Module) -> torch.dtype:
    """In which a network of diffusers computes.

    Its own `dtype` looks at every module for hooks that keep weights in eight bits: milliseconds, at each evaluation.
    """
    stored = next(network.parameters()).dtype
    return stored if stored in _DTYPES.values() else cast(Any, network).dtype


def fastest_precision(device: torch.device | str) -> Precision:
    """What `auto` means: float16 on CUDA, bfloat16 on processors that multiply in it, float32 otherwise."""
    kind = torch.device(device).type
    if kind == "cuda":
        return "float16"
    if kind == "cpu" and _cpu_features() & set(_FAST_IN_BFLOAT16):
        return "bfloat16"
    return "float32"


def _cpu_features() -> set[str]:
    """What the processor can do: by torch, or by Linux for a torch that does not say; empty where nobody does."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is not None:
        return {name for name, has in ask().items() if has is True}
    listed = Path("/proc/cpuinfo")
    return set(listed.read_text().split()) if listed.exists() else set()
