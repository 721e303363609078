import io
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import encode_wiggle, to_pil

Suffix = Literal[".gif", ".webp"]
SUFFIXES: list[Suffix] = [".gif", ".webp"]


def frames(content: bytes) -> list[np.ndarray]:
    return [
        np.asarray(frame.convert("RGB")).astype(int)
        for frame in ImageSequence.Iterator(Image.open(io.BytesIO(content)))
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_left_then_right_for_ever(eyes: tuple[Tensor, Tensor], suffix: Suffix) -> None:
    content = encode_wiggle(eyes, suffix, frame_ms=120)
    shown = frames(content)
    assert len(shown) == 2
    for eye, frame in zip(eyes, shown, strict=True):
        assert np.abs(frame - np.asarray(to_pil(eye))).mean() < 10
    animation = Image.open(io.BytesIO(content))
    assert animation.info["loop"] == 0
    for index in range(2):
        animation.seek(index)
        animation.load()
        assert animation.info["duration"] == 120


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("order", "expected"), [("cycle", [0, 100, 200]), ("ping-pong", [0, 100, 200, 100])])
def test_many_views(suffix: Suffix, order: Literal["cycle", "ping-pong"], expected: list[int]) -> None:
    views = [torch.full((1, 3, 8, 8), level / 255) for level in (0, 100, 200)]
    shown = frames(encode_wiggle(views, suffix, order=order))
    assert [round(float(frame.mean())) for frame in shown] == pytest.approx(expected, abs=2)


def test_gif_views_share_one_palette(eyes: tuple[Tensor, Tensor]) -> None:
    animation = Image.open(io.BytesIO(encode_wiggle(eyes, ".gif")))
    assert animation.mode == "P"
    palette = animation.getpalette()
    content = encode_wiggle(eyes, ".gif")
    assert palette is not None
    colours = {tuple(palette[i : i + 3]) for i in range(0, len(palette), 3)}
    for frame in frames(content):
        assert {tuple(colour) for colour in frame.reshape(-1, 3).tolist()} <= colours


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_deterministic(eyes: tuple[Tensor, Tensor], suffix: Suffix) -> None:
    assert encode_wiggle(eyes, suffix, {"seed": 1}) == encode_wiggle([eye.clone() for eye in eyes], suffix, {"seed": 1})


def test_what_is_no_animation(eyes: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(FormatError, match="at least two views, got 1"):
        encode_wiggle(eyes[:1], ".gif")
    for frame_ms in (0, 10, 25):
        with pytest.raises(FormatError, match="multiple of 10 ms"):
            encode_wiggle(eyes, ".gif", frame_ms=frame_ms)
