"""Apple's spatial photo, against libheif's own reading of the groups and against what two pictures of a device hold."""

import io
import math
import struct
from typing import Any

import numpy as np
import pillow_heif
import pytest
import torch
from tests.formats.samples import DATA
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import read_pair, to_pil
from stereodiffusion.formats.stereo.boxes import associations, boxes, encode_associations, find
from stereodiffusion.formats.stereo.spatial import Cameras, decode_spatial, encode_spatial, is_spatial

CAMERAS = Cameras(80.0, 0.063807)
INTRINSICS = bytes.fromhex("22cc04c7d6d94e079d904eb6ecbaf3a3")
EXTRINSICS = bytes.fromhex("4363e9145b7d4aab97aebea69803b434")


@pytest.fixture
def photo(eyes: tuple[Tensor, Tensor]) -> bytes:
    return encode_spatial(*eyes, {"seed": 3}, cameras=CAMERAS)


def test_libheif_finds_the_group_and_both_eyes(photo: bytes, eyes: tuple[Tensor, Tensor]) -> None:
    file: Any = pillow_heif.open_heif(io.BytesIO(photo))
    (group,) = file.info["entity_groups"]
    assert (group["type"], group["images"]) == ("ster", [0, 1])
    for eye, seen in zip(eyes, file, strict=True):
        assert np.abs(np.asarray(seen).astype(int) - np.asarray(to_pil(eye))).mean() < 3
    assert file.primary_index == 0
    assert b"seed" in file.info["exif"]


def test_eyes_and_cameras_come_back(photo: bytes, eyes: tuple[Tensor, Tensor]) -> None:
    left, right, cameras = decode_spatial(photo)
    assert cameras.field_of_view_deg == pytest.approx(80, abs=1e-6)
    assert cameras.baseline_m == pytest.approx(0.063807, abs=1e-6)
    for eye, seen in zip(eyes, (left, right), strict=True):
        assert (eye - seen).abs().mean() < 0.012
    assert decode_spatial(encode_spatial(eyes[1], eyes[0], cameras=CAMERAS))[0].sub(right).abs().mean() < 0.012


def test_the_numbers_are_those_of_a_vision_pro(photo: bytes) -> None:
    """Of 80 degrees and 63.8 mm: .59588 of the width in 2^30, the middle, micrometres."""
    at = photo.index(INTRINSICS) + 16
    flags, focal, x, y = struct.unpack_from(">Llll", photo, at)
    assert (flags, x, y) == (0x1E00, 1 << 29, 1 << 29)
    assert focal / 2**30 == pytest.approx(0.59588, abs=1e-5)
    assert focal / 2**30 == pytest.approx(0.5 / math.tan(math.radians(40)), abs=1e-8)
    left = photo.index(EXTRINSICS) + 16
    right = photo.index(EXTRINSICS, left) + 16
    assert photo[left - 24 : left - 20] == struct.pack(">L", 28)
    assert struct.unpack_from(">L", photo, left) == (0,)
    assert struct.unpack_from(">Ll", photo, right) == (1, 63807)


def test_the_boxes_of_later_systems_are_read(photo: bytes) -> None:
    """`cmin` and `cmex`, here as long as the `uuid` boxes that they stand for."""
    for uuid, name, size in ((INTRINSICS, b"cmin", 16), (EXTRINSICS, b"cmex", 8)):
        while (at := photo.find(b"uuid" + uuid)) >= 0:
            size = min(size, int.from_bytes(photo[at - 4 : at], "big") - 24)
            payload = photo[at + 20 : at + 20 + size]
            photo = photo[:at] + name + payload + bytes(16) + photo[at + 20 + size :]
            size = 8
    assert decode_spatial(photo)[2] == pytest.approx((80, 0.063807), abs=1e-6)


def test_a_heic_of_one_picture_is_none() -> None:
    content = (DATA / "quadrants.heic").read_bytes()
    assert not is_spatial(content)
    with pytest.raises(FormatError, match="expected a HEIC with a stereo pair, got one without"):
        decode_spatial(content)
    with pytest.raises(FormatError, match=r"quadrants\.heic: expected a stereo pair"):
        read_pair(DATA / "quadrants.heic")


def test_a_truncated_file_is_refused(photo: bytes) -> None:
    for length in (30, len(photo) // 3, len(photo) - 1):
        with pytest.raises(FormatError, match="damaged or truncated"):
            decode_spatial(photo[:length])


def test_cameras_must_be_known(eyes: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(FormatError, match="needs the field of view and the baseline"):
        encode_spatial(*eyes, cameras=Cameras(None, 0.06))


def test_associations_keep_what_is_essential() -> None:
    said = {1: [0x8001, 2, 3], 3: [0x8001, 200]}
    assert associations(encode_associations(said)) == said


def test_boxes_reach_no_further_than_the_file() -> None:
    with pytest.raises(FormatError, match=r"damaged or truncated: box b'meta' of 99 bytes"):
        find(list(boxes(struct.pack(">L", 99) + b"meta" + bytes(8))), b"meta")


def test_odd_sides(eyes: tuple[Tensor, Tensor]) -> None:
    small = torch.rand(1, 3, 17, 19)
    assert decode_spatial(encode_spatial(small, small, cameras=CAMERAS))[0].shape == small.shape
