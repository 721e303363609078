"""Wiggle as a video, for places that take no animated pictures: MP4 (H.264) and WebM (VP9).

Each view stands for 150 ms as in `wiggle`, and the rounds fill about five seconds; players repeat a video themselves.
Videos have even sides: an odd one gains a copy of its last row or column.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.extras import require
from stereodiffusion.formats.pictures import metadata
from stereodiffusion.formats.pictures.image import NO_SETTINGS, to_levels
from stereodiffusion.formats.stereo.wiggle import FRAME_MS

ROUNDS = 16
"""How often the views are gone through, there and back."""

_FRAMES_PER_SECOND = 20
_BT709 = 1  # H.273: primaries, transfer characteristics and matrix
# Without mbtree, for with it x264 writes other bytes once in some hundred times, even on one thread.
_CODECS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    ".mp4": ("mp4", "libx264", {"crf": "14", "preset": "medium", "threads": "1", "mbtree": "0"}),
    ".webm": ("webm", "libvpx-vp9", {"crf": "20", "b:v": "0", "cpu-used": "4", "threads": "1"}),
}


def encode_video(
    views: Sequence[Float[Tensor, "1 channels h w"]],
    suffix: Literal[".mp4", ".webm"],
    settings: Mapping[str, object] = NO_SETTINGS,
) -> bytes:
    """The views by turns, from left to right and back, for some seconds; the same views give the same bytes.

    Raises:
        FormatError: If PyAV is not installed, or there are fewer than two views.
    """
    if len(views) < 2:
        raise FormatError(f"expected at least two views, got {len(views)}")
    av: Any = require("video")
    frames = [_even(to_levels(view)) for view in views]
    turns = [*frames, *frames[-2:0:-1]] * ROUNDS
    container, codec, options = _CODECS[suffix]
    file = BytesIO()
    with av.open(file, "w", format=container, options={"fflags": "+bitexact"}) as output:
        if settings:
            output.metadata["comment"] = metadata.to_json(settings)
        stream = output.add_stream(codec, rate=_FRAMES_PER_SECOND, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = 1  # of television: 16 ... 235
        for number, turn in enumerate(turn for turn in turns for _ in range(FRAME_MS * _FRAMES_PER_SECOND // 1000)):
            picture = av.VideoFrame.from_ndarray(turn, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            picture.pts, picture.time_base = number, Fraction(1, _FRAMES_PER_SECOND)
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
    return file.getvalue()


def _even(levels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    height, width = levels.shape[:2]
    return np.pad(levels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
