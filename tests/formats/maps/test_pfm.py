import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.maps.pfm import decode_pfm, encode_pfm

SCENE = np.array([[1.5, 2.5, 3.5], [-4.0, np.inf, 6.25]], dtype=np.float32)
BOTTOM_UP = (-4.0, float("inf"), 6.25, 1.5, 2.5, 3.5)


@pytest.mark.parametrize(
    "content",
    [
        b"Pf\n3 2\n-1.0\n" + struct.pack("<6f", *BOTTOM_UP),
        b"Pf\n3 2\n1.0\n" + struct.pack(">6f", *BOTTOM_UP),
        b"Pf 3 2 -1e0 " + struct.pack("<6f", *BOTTOM_UP),
        b"Pf\r\n3 2\r\n-1\r\n" + struct.pack("<6f", *BOTTOM_UP),
        b"Pf\n3 2\n-0.003922\n" + struct.pack("<6f", *BOTTOM_UP),  # Middlebury 2014: the size means nothing
    ],
)
def test_a_file_made_by_hand(content: bytes) -> None:
    assert np.array_equal(decode_pfm(content), SCENE)


def test_written_bytes() -> None:
    assert encode_pfm(SCENE) == b"Pf\n3 2\n-1.0\n" + struct.pack("<6f", *BOTTOM_UP)


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.floats(width=32, allow_nan=False), min_size=16, max_size=16),
)
def test_round_trip(height: int, width: int, values: list[float]) -> None:
    stored = np.array(values[: height * width], dtype=np.float32).reshape(height, width)
    assert np.array_equal(decode_pfm(encode_pfm(stored)), stored)


def test_opencv_reads_and_writes_the_same(tmp_path: Path) -> None:
    scene = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    path = tmp_path / "scene.pfm"
    path.write_bytes(encode_pfm(scene))
    assert np.array_equal(np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)), scene)
    assert cv2.imwrite(str(path), scene)
    assert np.array_equal(decode_pfm(path.read_bytes()), scene)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PF\n1 1\n-1.0\n" + bytes(12), "colour PFM"),
        (b"Pf\n3 2\n-1.0\n" + bytes(23), "3 x 2 has 24 bytes of values, got 23"),
        (b"Pf\n3 2\n-1.0\n" + bytes(25), "3 x 2 has 24 bytes of values, got 25"),
        (b"Pf\n0 2\n-1.0\n", "at least one pixel, got 0 x 2"),
        (b"Pf\n1 1\n0.0\n" + bytes(4), "other than 0"),
        (b"Pf\n1 1\n1.2.3\n" + bytes(4), "other than 0, got 1.2.3"),
        (b"Pf\n-1 1\n1.0\n" + bytes(4), "header"),
        (b"Pf", "header"),
        (b"P6\n1 1\n255\n" + bytes(3), "header"),
    ],
)
def test_bad_files(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        decode_pfm(content)
