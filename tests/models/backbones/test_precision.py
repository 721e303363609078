"""Which format `auto` means, by what the processor can do."""

import re
from pathlib import Path

import pytest
import torch

from stereodiffusion.errors import ConfigError
from stereodiffusion.models.backbones import precision
from stereodiffusion.models.backbones.precision import Formats, fastest_precision, formats_for


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (set[str](), "float32"),
        ({"avx2", "avx512_f"}, "float32"),
        ({"avx512_bf16"}, "bfloat16"),
        ({"amx_bf16", "avx512_f"}, "bfloat16"),
    ],
)
def test_a_processor_that_multiplies_in_bfloat16_is_used(
    features: set[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_cpu_features", lambda: features)
    assert fastest_precision("cpu") == expected
    dtype = getattr(torch, expected)
    assert formats_for("auto", "cpu") == Formats(network=dtype, autoencoder=dtype)


def test_graphics_cards_have_a_format_of_their_own() -> None:
    assert fastest_precision("cuda") == "float16"
    assert formats_for("auto", "cuda") == Formats(network=torch.float16, autoencoder=torch.float32)
    assert fastest_precision("mps") == "float32"


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the kernel's own list of features is Linux's")
def test_the_features_are_those_that_the_kernel_lists() -> None:
    listed = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    flags = set(listed[1].split()) if listed else set[str]()
    fast = bool(flags & {"amx_bf16", "avx512_bf16"})
    assert (fastest_precision("cpu") == "bfloat16") == fast


def test_what_is_said_is_taken() -> None:
    assert formats_for("float32", "cuda") == Formats(network=torch.float32, autoencoder=torch.float32)
    assert formats_for(torch.float16, "cpu").autoencoder == torch.float16
    with pytest.raises(ConfigError, match=r"one of auto, float32, float16, bfloat16, got torch\.float64"):
        formats_for(torch.float64, "cpu")
