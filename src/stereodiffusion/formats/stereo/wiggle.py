"""Wiggle: the views in turn, so that depth shows by motion parallax on any screen without glasses."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Literal

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.pictures import metadata
from stereodiffusion.formats.pictures.image import NO_SETTINGS, to_pil

FRAME_MS = 150
"""How long each view is shown: slow enough to see, fast enough to fuse."""

Order = Literal["cycle", "ping-pong"]


def encode_wiggle(
    views: Sequence[Float[Tensor, "1 3 h w"]],
    suffix: Literal[".gif", ".webp"],
    settings: Mapping[str, object] = NO_SETTINGS,
    *,
    order: Order = "ping-pong",
    frame_ms: int = FRAME_MS,
) -> bytes:
    """An endless animation of two or more views, from left to right (and back: `ping-pong`).

    `frame_ms` is a multiple of 10, the clock of GIF.
    """
    if len(views) < 2:
        raise FormatError(f"expected at least two views, got {len(views)}")
    if frame_ms < 20 or frame_ms % 10:
        raise FormatError(f"expected a multiple of 10 ms, at least 20, got {frame_ms}")
    frames = [to_pil(view) for view in views]
    if order == "ping-pong":
        frames += frames[-2:0:-1]
    return _gif(frames, frame_ms, settings) if suffix == ".gif" else _webp(frames, frame_ms, settings)


def _gif(frames: list[Image.Image], frame_ms: int, settings: Mapping[str, object]) -> bytes:
    # One palette for all views: with one for each, still surfaces would flicker.
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(frames)))
    for row, frame in enumerate(frames):
        strip.paste(frame, (0, row * height))
    palette = strip.quantize(256)
    first, *rest = (frame.quantize(palette=palette) for frame in frames)
    file = BytesIO()
    comment = metadata.to_json(settings).encode("ascii") if settings else b""
    first.save(
        file, "GIF", save_all=True, append_images=rest, duration=frame_ms, loop=0, optimize=False, comment=comment
    )
    return file.getvalue()


def _webp(frames: list[Image.Image], frame_ms: int, settings: Mapping[str, object]) -> bytes:
    first, *rest = frames
    file = BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=frame_ms,
        loop=0,
        quality=90,
        exif=metadata.exif(settings),
    )
    return file.getvalue()
