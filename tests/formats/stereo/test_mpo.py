import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import encode_image, encode_mpo, to_pil
from stereodiffusion.formats.stereo.mpo import holds_eyes, split_mpo


def frames(content: bytes) -> list[np.ndarray]:
    picture = Image.open(io.BytesIO(content))
    shown: list[np.ndarray] = []
    for index in range(getattr(picture, "n_frames", 1)):
        picture.seek(index)
        shown.append(np.asarray(picture.convert("RGB")).astype(int))
    return shown


@pytest.mark.parametrize("settings", [{}, {"prompt": "a red ball", "seed": 3}])
def test_both_eyes_come_back(eyes: tuple[Tensor, Tensor], settings: dict[str, object]) -> None:
    shown = frames(encode_mpo(*eyes, settings))
    assert len(shown) == 2
    for eye, frame in zip(eyes, shown, strict=True):
        assert np.abs(frame - np.asarray(to_pil(eye))).max() <= 8
        jpeg = np.asarray(Image.open(io.BytesIO(encode_image(eye, ".jpg")))).astype(int)
        assert np.array_equal(frame, jpeg)


def test_a_program_that_knows_only_jpeg_shows_the_left_eye(eyes: tuple[Tensor, Tensor]) -> None:
    content = encode_mpo(*eyes)
    assert content.startswith(b"\xff\xd8")
    first = content[: content.index(b"\xff\xd9") + 2]
    alone = np.asarray(Image.open(io.BytesIO(first))).astype(int)
    assert np.abs(alone - np.asarray(to_pil(eyes[0]))).max() <= 8


def test_the_index_says_that_they_are_two_eyes(eyes: tuple[Tensor, Tensor]) -> None:
    content = encode_mpo(*eyes, {"seed": 3})
    index: Any = Image.open(io.BytesIO(content)).mpinfo  # pyright: ignore[reportAttributeAccessIssue]
    assert index[0xB001] == 2
    entries = index[0xB002]
    assert [entry["Attribute"]["MPType"] for entry in entries] == ["Multi-Frame Image: (Disparity)"] * 2
    assert [entry["Attribute"]["RepresentativeImageFlag"] for entry in entries] == [True, False]
    assert sum(entry["Size"] for entry in entries) == len(content)


def test_the_baseline_is_told_in_metres_and_the_eyes_are_cut_apart(eyes: tuple[Tensor, Tensor]) -> None:
    content = encode_mpo(*eyes, {"seed": 3}, baseline_m=0.0635)
    views = split_mpo(content)
    assert views.left + views.right == content
    assert views.baseline_m == 0.0635
    assert split_mpo(encode_mpo(*eyes)).baseline_m is None


def test_a_photo_with_a_preview_is_no_pair(eyes: tuple[Tensor, Tensor]) -> None:
    content = encode_mpo(*eyes).replace(b"\x02\x00\x02\x00", b"\x01\x00\x01\x00")
    assert not holds_eyes(content)
    with pytest.raises(FormatError, match="expected an MPO of two eyes, got 1 views among 2 pictures"):
        split_mpo(content)


def test_deterministic(eyes: tuple[Tensor, Tensor]) -> None:
    left, right = eyes
    assert encode_mpo(left, right, {"seed": 3}) == encode_mpo(left.clone(), right.clone(), {"seed": 3})


def test_large_pictures(eyes: tuple[Tensor, Tensor]) -> None:
    large = torch.nn.functional.interpolate(eyes[0], (300, 400))
    assert [frame.shape for frame in frames(encode_mpo(large, large))] == [(300, 400, 3)] * 2


def test_each_eye_begins_with_exif_and_an_mpf_segment_as_in_cameras(eyes: tuple[Tensor, Tensor]) -> None:
    """DC-007, 5.1 and 6.2: APP1 follows SOI, APP2 "MPF" follows that; the second picture tells which eye it is."""
    content = encode_mpo(*eyes, {"seed": 3})
    index: Any = Image.open(io.BytesIO(content)).mpinfo  # pyright: ignore[reportAttributeAccessIssue]
    second = content[len(content) - index[0xB002][1]["Size"] :]
    for number, picture in enumerate((content, second), start=1):
        assert picture[:4] == b"\xff\xd8\xff\xe1"
        assert picture[6:12] == b"Exif\0\0"
        at = 4 + int.from_bytes(picture[4:6], "big")
        assert picture[at : at + 2] == b"\xff\xe2"
        assert picture[at + 4 : at + 8] == b"MPF\0"
        segment = picture[at + 8 : at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")]
        assert b"\x01\xb1\x04\0\x01\0\0\0" + bytes([number, 0, 0, 0]) in segment  # MPIndividualNum
    assert b"StereoDiffusion" in second
