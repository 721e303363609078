import io
from pathlib import Path
from typing import get_args

import av
import pytest
import torch
from PIL import Image
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import OUTPUT_FORMATS, Eyes
from stereodiffusion.formats.naming import Extra, check_files, extra_files, plan_files
from stereodiffusion.formats.outputs import encode
from stereodiffusion.formats.pictures.image import identify_picture
from stereodiffusion.geometry import Disparity


def pair(left: Tensor, right: Tensor) -> Eyes:
    """Eyes of which all is known that a format may want."""
    ramp = torch.linspace(0, 5, left.shape[3]).expand(left.shape[2], -1)
    return Eyes(left=left, right=right, disparity=Disparity.from_pixels(ramp), settings={"seed": 1})


def frame_of(name: str, content: bytes) -> tuple[int, int]:
    """(width, height) of the picture in a file, as another library reads it."""
    if OUTPUT_FORMATS[name].extra == "video":
        with av.open(io.BytesIO(content)) as video:
            return video.streams.video[0].width, video.streams.video[0].height
    picture = identify_picture(content) if name == "spatial" else Image.open(io.BytesIO(content))
    picture.load()
    return picture.size


def names(path: str, *formats: str) -> list[str]:
    return [str(target) for target in plan_files(Path(path), formats)]


def test_a_single_format_goes_where_it_was_asked_for() -> None:
    assert names("out/ball.png", "sbs") == ["out/ball.png"]
    assert names("ball.JPG", "anaglyph") == ["ball.JPG"]
    assert names("ball.mpo", "mpo") == ["ball.mpo"]


def test_without_a_suffix_the_format_has_its_own() -> None:
    assert names("ball", "sbs") == ["ball.png"]
    assert names("ball", "wiggle-gif") == ["ball.gif"]
    assert names("ball", "eyes") == ["ball-left.png", "ball-right.png"]


def test_several_formats_have_their_names() -> None:
    assert names("ball.jpg", "sbs", "anaglyph", "mpo", "wiggle-webp", "eyes") == [
        "ball-sbs.jpg",
        "ball-anaglyph.jpg",
        "ball-mpo.mpo",
        "ball-wiggle-webp.webp",
        "ball-left.jpg",
        "ball-right.jpg",
    ]


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("ball.png", "mpo", r"ball\.png: mpo goes into \.mpo, got \.png"),
        ("ball.mpo", "sbs", r"sbs goes into \.png or .* got \.mpo"),
        ("ball.v2", "sbs", r"got \.v2"),
        (".", "sbs", r"expected a file name, got '\.'"),
        ("ball.png", "hologram", "expected a format out of sbs, .* got 'hologram'"),
    ],
)
def test_what_does_not_fit(path: str, kind: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        names(path, kind)


def test_extras_are_beside() -> None:
    extras = list(get_args(Extra))
    beside = [file.name for extra in extras for file in extra_files(Path("out/ball.jpg"), extra)]
    assert beside == [
        "ball-disparity.pfm",
        "ball-disparity.png",
        "ball-disparity-kitti.png",
        "ball-disparity.exr",
        "ball-occlusion.png",
        "ball-left.jpg",
        "ball-right.jpg",
    ]
    assert extra_files(Path("ball.mpo"), "left") == (Path("ball-left.png"),)


@pytest.mark.parametrize("name", OUTPUT_FORMATS)
def test_every_format_is_deterministic_and_as_large_as_is_told(eyes: tuple[Tensor, Tensor], name: str) -> None:
    kind, small = OUTPUT_FORMATS[name], tuple(eye[..., :18, :27] for eye in eyes)
    assert kind.about
    for part in kind.parts:
        content = encode(name, pair(*small), kind.suffixes[0], part=part)
        assert content == encode(name, pair(*small), kind.suffixes[0], part=part)
        assert frame_of(name, content)[::-1] == kind.frame(18, 27)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("sbs", (62, 24)),
        ("sbs-half", (32, 24)),
        ("cross-eyed", (62, 24)),
        ("top-bottom", (31, 48)),
        ("top-bottom-half", (31, 24)),
        ("interlaced-rows", (31, 24)),
        ("checkerboard", (31, 24)),
        ("anaglyph", (31, 24)),
        ("mpo", (31, 24)),
        ("jps", (62, 24)),
        ("spatial", (31, 24)),
        ("rgbd", (62, 24)),
        ("rgbd-half", (32, 24)),
        ("wiggle-gif", (31, 24)),
        ("wiggle-webp", (31, 24)),
        ("wiggle-webm", (32, 24)),
        ("eyes", (31, 24)),
    ],
)
def test_frame_sizes(eyes: tuple[Tensor, Tensor], name: str, size: tuple[int, int]) -> None:
    for part in OUTPUT_FORMATS[name].parts:
        content = encode(name, pair(*eyes), OUTPUT_FORMATS[name].suffixes[0], part=part)
        assert frame_of(name, content) == size


@pytest.mark.parametrize(
    ("file", "name", "largest"),
    [
        ("w.webp", "sbs", (10, 8191)),
        ("w.webp", "top-bottom", (8191, 10)),
        ("w.jpg", "sbs", (10, 32750)),
        ("w.gif", "wiggle-gif", (10, 65535)),
        ("w.webp", "wiggle-webp", (10, 16383)),
        ("w.mpo", "mpo", (10, 65500)),
    ],
)
def test_the_limits_of_formats_are_told_beforehand(
    tmp_path: Path, file: str, name: str, largest: tuple[int, int]
) -> None:
    check_files(tmp_path / file, [name], [], largest)
    height, width = largest
    larger = (height, width + 1) if width > height else (height + 1, width)
    with pytest.raises(FormatError, match="is too large for"):
        check_files(tmp_path / file, [name], [], larger)
