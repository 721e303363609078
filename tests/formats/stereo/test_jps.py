import io

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import encode_image, side_by_side
from stereodiffusion.formats.pictures.jpeg import with_segment
from stereodiffusion.formats.stereo.jps import encode_jps, jps_layout


def test_it_is_a_jpeg_for_crossed_eyes_that_says_so(eyes: tuple[Tensor, Tensor]) -> None:
    left, right = eyes
    content = encode_jps(left, right, {"seed": 1})
    assert jps_layout(content) == ("width", False, False)
    plain = Image.open(io.BytesIO(encode_image(side_by_side(right, left), ".jpg")))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(plain))
    at = content.index(b"_JPSJPS_")  # length of the descriptor, separation, flags, layout, type; length of the comment
    assert content[at - 4 : at] == b"\xff\xe3\x00\x12"
    assert content[at + 8 : at + 16] == bytes([0, 4, 0, 0, 2, 1, 0, 0])


@pytest.mark.parametrize(
    ("descriptor", "layout"),
    [
        ((0, 4, 2, 1), ("width", False, True)),
        ((0, 2, 2, 1), ("width", True, False)),
        ((0, 5, 3, 1), ("height", True, True)),
    ],
)
def test_what_others_say(eyes: tuple[Tensor, Tensor], descriptor: tuple[int, ...], layout: tuple[object, ...]) -> None:
    said = b"_JPSJPS_" + bytes([0, 4, *descriptor, 0, 0])
    assert jps_layout(with_segment(encode_image(eyes[0], ".jpg"), 0xE3, said)) == layout


def test_an_anaglyph_is_refused(eyes: tuple[Tensor, Tensor]) -> None:
    said = b"_JPSJPS_" + bytes([0, 4, 0, 0, 4, 1, 0, 0])
    with pytest.raises(FormatError, match="got layout 4 of type 1"):
        jps_layout(with_segment(encode_image(eyes[0], ".jpg"), 0xE3, said))


def test_a_plain_jpeg_says_nothing(eyes: tuple[Tensor, Tensor]) -> None:
    assert jps_layout(encode_image(eyes[0], ".jpg")) is None


def test_a_segment_has_a_limit(eyes: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(FormatError, match="at most 65533 bytes in a segment of a JPEG, got 65534"):
        with_segment(encode_image(eyes[0], ".jpg"), 0xE3, bytes(65534))
