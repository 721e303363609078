"""From a file to a file: sound, times, stereo modes, and runs that are interrupted."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.video.conftest import SIZE, Frames, Write, av, content

from stereodiffusion.errors import FormatError
from stereodiffusion.request.inputs import PictureFile
from stereodiffusion.settings import Parallax
from stereodiffusion.types import Image, Map
from stereodiffusion.video import VideoRequest, converting
from stereodiffusion.video.converting import convert, plan
from stereodiffusion.video.layout import frame_size, framed
from stereodiffusion.video.request import VIDEO_FORMATS
from stereodiffusion.video.source import describe, frames_of
from stereodiffusion.video.stereo_mode import mark_mp4

pytestmark = pytest.mark.long


class Lower:
    """What stands lower in the picture is nearer, and so is what is dark."""

    name, least_side, has_borders = "lower", 1, True

    def __call__(self, image: Image) -> Map:
        rows = torch.linspace(0, 1, image.shape[2])[None, None, :, None]
        return rows + 1 - image.mean(1, keepdim=True)


def request(path: Path, **given: object) -> VideoRequest:
    parallax = Parallax(max_disparity=0.06, convergence=0.02)
    return VideoRequest(video=PictureFile(path=str(path)), parallax=parallax, **given)  # type: ignore[arg-type]


def make(path: Path, output: Path, **given: object) -> list[str]:
    said: list[str] = []
    convert(plan(request(path, **given), output), Lower(), lambda _, note: said.append(note) if note else None)
    return said


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "PART_FRAMES", 4)


@pytest.mark.usefixtures("short_parts")
def test_sound_and_times_are_those_of_the_source(write: Write, two_scenes: Frames, tmp_path: Path) -> None:
    pts = [*range(0, 280, 40), 290, 291, 300, 500, 2000]
    source, output = write("a.mp4", two_scenes[4:16], pts=pts, sound="aac"), tmp_path / "out.mp4"
    make(source, output)
    assert content(output, "audio") == content(source, "audio")
    assert len(content(output, "audio")) == 2
    video = describe(output)
    times = [frame.pts * video.time_base for frame in frames_of(video)]
    assert times == [Fraction(each, 1000) for each in pts]
    left = next(iter(frames_of(video))).picture[:, : SIZE[1]]
    assert np.abs(left.astype(int) - two_scenes[4]).mean() < 5
    with av.open(str(output)) as file:
        told = json.loads(file.metadata["comment"])
    assert told["request"]["parallax"]["max_disparity"] == 0.06
    assert told["request"]["video"]["name"] == "a.mp4"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "out.mp4"]


@pytest.mark.usefixtures("short_parts")
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(write: Write, two_scenes: Frames, tmp_path: Path) -> None:
    source, output = write("a.mp4", two_scenes), tmp_path / "out.mp4"
    make(source, output)
    whole = output.read_bytes()
    output.unlink()

    class Killed(BaseException):
        pass

    def killed(done: int, _: str | None) -> None:
        if done >= 16:
            raise Killed

    with pytest.raises(Killed):
        convert(plan(request(source), output), Lower(), killed)
    (parts,) = tmp_path.glob("out.mp4-*.parts")
    assert not output.exists()
    kept = len(list(parts.glob("?????.npz")))
    assert kept == 2
    assert [path.name for path in parts.glob("*-state.npz")] == ["00001-state.npz"]  # frames are large, films long
    # A kill leaves, besides, a part that is not listed, one half written, and half a line.
    shutil.copy(parts / "00000.npz", parts / f"{kept:05}.npz")
    (parts / ".stereodiffusion-0123456789abcdef.tmp").write_bytes(b"half")
    with (parts / "parts.jsonl").open("ab") as listed:
        listed.write(b'{"part"')
    said = make(source, output)
    assert said[0].startswith("going on behind frame ")
    assert output.read_bytes() == whole
    assert not parts.exists()


@pytest.mark.parametrize(
    ("name", "layout", "said"),
    [
        ("out.mkv", "sbs", "side by side"),
        ("out.mkv", "top-bottom-half", "top and bottom"),
        ("out.webm", "top-bottom", "top and bottom"),
        ("out.mp4", "sbs-half", "side by side"),
    ],
)
def test_the_container_tells_how_the_eyes_share_a_frame(
    write: Write, two_scenes: Frames, tmp_path: Path, name: str, layout: str, said: str
) -> None:
    source, output = write("a.mkv", two_scenes[:3]), tmp_path / name
    make(source, output, format=layout, quality=40)
    if (probe := shutil.which("ffprobe")) is None:
        pytest.skip("an independent reader, ffprobe, is not installed")
    command = [probe, "-v", "error", "-select_streams", "v", "-show_entries", "stream_side_data=type", "-of", "csv"]
    assert said in subprocess.run([*command, str(output)], capture_output=True, text=True, check=True).stdout


def test_an_mp4_is_marked_and_nothing_else_changes(write: Write, two_scenes: Frames) -> None:
    path = write("a.mp4", two_scenes[:3], sound="aac")
    before, frames = path.read_bytes(), [frame.picture for frame in frames_of(describe(path))]
    mark_mp4(path, 1)
    marked = path.read_bytes()
    assert len(marked) == len(before) + 13
    assert marked.count(b"\0\0\0\x0dst3d\0\0\0\0\x01") == 1
    for frame, same in zip(frames_of(describe(path)), frames, strict=True):
        np.testing.assert_array_equal(frame.picture, same)


def test_both_eyes_in_a_frame() -> None:
    left, right = np.zeros((5, 7, 3), np.uint8), np.full((5, 7, 3), 255, np.uint8)
    for layout in VIDEO_FORMATS:
        frame = framed(left, right, layout)
        assert frame.shape[:2] == frame_size((5, 7), layout)
        assert not any(side % 2 for side in frame.shape[:2])
    assert framed(left, right, "sbs").mean(axis=(0, 2)).tolist() == [0] * 8 + [255] * 8
    assert framed(left, right, "top-bottom-half").mean(axis=(1, 2)).round().tolist() == [0] * 3 + [255] * 3
    with pytest.raises(FormatError, match="too large"):
        frame_size((4352, 8192), "sbs")


@pytest.mark.parametrize(
    ("output", "sound", "said"),
    [
        ("out.avi", None, "a video goes into .mp4, .mov, .mkv, .webm, got .avi"),
        ("out.webm", "pcm_s16le", ".webm cannot hold sound in pcm_s16le as it is: .mkv can"),
        ("out.webm", "aac", ".webm cannot hold sound in aac as it is: .mkv can"),
        ("a.mkv", None, "is read by this command and would be replaced"),
        ("none/out.mp4", None, "the folder .*none does not exist"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    write: Write, two_scenes: Frames, tmp_path: Path, output: str, sound: str | None, said: str
) -> None:
    source = write("a.mkv", two_scenes[:2], sound=sound)
    with pytest.raises(FormatError, match=said):
        plan(request(source), tmp_path / output)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_odd_sides_gain_a_row_and_it_is_said(write: Write, tmp_path: Path) -> None:
    odd: Sequence[np.ndarray] = [np.full((33, 47, 3), 60 * number, np.uint8) for number in (1, 2)]
    planned = plan(request(write("a.mkv", odd)), tmp_path / "out.mp4")
    assert planned.coding.size == (34, 96)
    assert planned.notes == ["eyes of 47 x 33 gain a last row or column: sides are even"]
