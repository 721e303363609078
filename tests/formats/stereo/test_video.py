import io
import json
from typing import Literal

import av
import numpy as np
import pytest
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import to_pil
from stereodiffusion.formats.stereo.video import ROUNDS, encode_video
from stereodiffusion.formats.stereo.wiggle import FRAME_MS


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "h264"), (".webm", "vp9")])
def test_the_eyes_take_turns(eyes: tuple[Tensor, Tensor], suffix: Literal[".mp4", ".webm"], codec: str) -> None:
    content = encode_video(eyes, suffix, {"seed": 1})
    with av.open(io.BytesIO(content), "r") as video:
        (stream,) = video.streams.video
        assert stream.codec_context.name == codec
        assert (stream.width, stream.height) == (32, 24)
        tags = {name.lower(): value for name, value in video.metadata.items()}
        assert json.loads(tags["comment"]) == {"seed": 1}
        frames = [(frame.time or 0, frame.to_ndarray(format="rgb24")) for frame in video.decode(stream)]
    assert len(frames) == 2 * ROUNDS * FRAME_MS // 50
    for time_s, frame in frames[:: len(frames) // 8]:
        eye = np.asarray(to_pil(eyes[round(time_s * 1000) // FRAME_MS % 2])).astype(int)
        assert np.abs(frame[:, :31] - eye).mean() < 4
        assert np.abs(frame[:, 31] - eye[:, 30]).mean() < 8


def test_one_view_is_none(eyes: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(FormatError, match="expected at least two views, got 1"):
        encode_video(eyes[:1], ".mp4")
