"""Videos of moving scenes, written by PyAV."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import UInt8

from stereodiffusion.datasets.scenes import render_image
from stereodiffusion.datasets.scenes.moving import sample_moving_scene

av: Any = pytest.importorskip("av", reason="videos need PyAV: the extra `video`")

SIZE = (54, 96)

Frames = Sequence[UInt8[np.ndarray, "h w 3"]]
Write = Callable[..., Path]


def scene_frames(seed: int, count: int, size: tuple[int, int] = SIZE) -> list[UInt8[np.ndarray, "h w 3"]]:
    """The left eye of a moving scene."""
    scene = sample_moving_scene(seed)
    return [np.rint(render_image(scene.at(number), size) * 255).astype(np.uint8) for number in range(count)]


@pytest.fixture(scope="session")
def two_scenes() -> Frames:
    """Twelve frames, a cut, and eight more."""
    return [*scene_frames(0, 12), *scene_frames(2, 8)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("a.mp4", frames)`: a video, with two streams of sound if wanted."""

    def written(
        name: str,
        frames: Frames,
        *,
        pts: Sequence[int] | None = None,
        sound: str | None = None,
        codec: str = "libx264",
        trc: int = 1,
        turned: int = 0,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as output:
            stream = output.add_stream(codec, rate=25, options={"crf": "8", "threads": "1", "preset": "ultrafast"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv444p" if any(side % 2 for side in frames[0].shape[:2]) else "yuv420p"
            stream.codec_context.color_trc = trc
            stream.codec_context.colorspace = 1
            stream.codec_context.time_base = Fraction(1, 1000)
            if turned:
                stream.set_display_rotation(turned)
            sounds = [output.add_stream(sound, rate=48000, layout="mono") for _ in range(2)] if sound else []
            for number, picture in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=1, dst_color_range=1)
                frame.pts, frame.time_base = (pts[number] if pts else 40 * number), Fraction(1, 1000)
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
            for number, stream in enumerate(sounds):
                wave = np.sin(np.arange(int(48000 * 0.04 * len(frames))) * 0.05 * (number + 1)).astype(np.float32) / 4
                form = "s16" if sound == "pcm_s16le" else "fltp"
                samples = (wave * 32767).astype(np.int16) if form == "s16" else wave
                tone = av.AudioFrame.from_ndarray(samples[None], format=form, layout="mono")
                tone.sample_rate, tone.pts = 48000, 0
                output.mux(stream.encode(tone))
                output.mux(stream.encode())
        return path

    return written


def content(path: Path, kind: str) -> list[list[tuple[float, bytes]]]:
    """The packets of each stream of a kind: their times relative to the first, and what is in them."""
    with av.open(str(path)) as file:
        streams = [each for each in file.streams if each.type == kind]
        found: dict[int, list[tuple[float, bytes]]] = {each.index: [] for each in streams}
        for packet in file.demux(*streams):
            if packet.dts is not None:
                found[packet.stream.index].append((float(packet.pts * packet.time_base), bytes(packet)))
    return list(found.values())
