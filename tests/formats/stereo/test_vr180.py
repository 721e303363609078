import base64
import hashlib
import io
import math
import re
import struct
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.stereo.projection import LARGEST, from_sphere, sphere_side, to_sphere
from stereodiffusion.formats.stereo.vr180 import encode_vr180, is_vr180, split_vr180

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


@pytest.mark.parametrize("field_of_view_deg", [40.0, 65.0, 100.0])
def test_a_direction_lies_where_its_longitude_and_latitude_are(field_of_view_deg: float) -> None:
    """Dots in a flat picture, at directions that are known from its focal length."""
    picture = torch.zeros(1, 3, 101, 161)
    focal = 80.5 / math.tan(math.radians(field_of_view_deg) / 2)
    for x, y in ((0, 0), (60, 0), (-60, 30), (25, -40)):
        picture.zero_()[..., 50 + y - 1 : 50 + y + 2, 80 + x - 1 : 80 + x + 2] = 1
        sphere = to_sphere(picture, field_of_view_deg)[0, 0]
        rows, columns = torch.meshgrid(*(torch.arange(side) + 0.5 for side in sphere.shape), indexing="ij")
        found = [float((axis * sphere).sum() / sphere.sum()) / len(sphere) for axis in (columns, rows)]
        longitude, latitude = math.atan2(x, focal), math.atan2(y, math.hypot(x, focal))
        assert found == pytest.approx([0.5 + longitude / math.pi, 0.5 + latitude / math.pi], abs=0.5 / len(sphere))


def test_the_middle_is_as_sharp_as_before_and_large_spheres_are_limited() -> None:
    """One pixel of the flat picture's middle is one of the sphere's."""
    assert sphere_side(1000, 90) == 2 * math.ceil(90 * 500 * math.pi / 180)
    assert sphere_side(8000, 65) == LARGEST


def test_there_and_back() -> None:
    noise = torch.rand(1, 3, 24, 30, generator=torch.Generator().manual_seed(0))
    smooth = functional.interpolate(noise, (120, 150), mode="bicubic").clamp(0, 1)
    back = from_sphere(to_sphere(smooth, 65), 120, 150, 65)
    assert (back - smooth).abs().max() < 0.04
    assert (back - smooth).abs().mean() < 0.005


@pytest.fixture
def spheres(eyes: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    left, right = (functional.interpolate(eye, (200, 200)) for eye in eyes)
    noise = torch.rand(1, 3, 200, 200, generator=torch.Generator().manual_seed(0))
    return left, noise * right  # so that it needs several segments


def test_both_eyes_come_back(spheres: tuple[Tensor, Tensor]) -> None:
    content = encode_vr180(*spheres, {"seed": 1})
    assert is_vr180(content)
    found = split_vr180(content)
    assert found.degrees == (180, 180)
    alone = Image.open(io.BytesIO(found.right))
    assert alone.size == (200, 200)
    assert found.right == encode_vr180(spheres[1], spheres[0])[:2] + found.right[2:]


def test_the_segments_are_as_the_specifications_have_them(spheres: tuple[Tensor, Tensor]) -> None:
    content = encode_vr180(*spheres)
    (description,) = ElementTree.fromstring(Image.open(io.BytesIO(content)).info["xmp"]).iter(f"{RDF}Description")
    packet = {name.partition("}")[2]: value for name, value in description.attrib.items()}
    assert packet["ProjectionType"] == "equirectangular"
    assert (packet["CroppedAreaImageWidthPixels"], packet["FullPanoWidthPixels"]) == ("200", "400")
    assert (packet["CroppedAreaLeftPixels"], packet["FullPanoHeightPixels"]) == ("100", "200")
    parts: dict[int, bytes] = {}
    size = 0
    for found in re.finditer(rb"http://ns.adobe.com/xmp/extension/\0(.{32})(.{4})(.{4})", content, flags=re.S):
        size, offset = struct.unpack(">LL", found[2] + found[3])
        length = int.from_bytes(content[found.start() - 2 : found.start()], "big") - 2 - 35 - 40
        assert found[1].decode() == packet["HasExtendedXMP"]
        parts[offset] = content[found.end() : found.end() + length]
    whole = b"".join(parts[offset] for offset in sorted(parts))
    assert len(parts) > 1
    assert len(whole) == size
    assert hashlib.md5(whole).hexdigest().upper() == packet["HasExtendedXMP"]
    data = re.search(rb'GImage:Data="([^"]+)"', whole)
    assert data is not None
    assert base64.b64decode(data[1]) == split_vr180(content).right


def test_a_damaged_extension_is_refused(spheres: tuple[Tensor, Tensor]) -> None:
    content = bytearray(encode_vr180(*spheres))
    content[content.index(b"GImage:Data") + 40] ^= 1
    with pytest.raises(FormatError, match="not what its MD5 says"):
        split_vr180(bytes(content))


def test_other_pictures_are_none(eyes: tuple[Tensor, Tensor]) -> None:
    plain = io.BytesIO()
    Image.new("RGB", (4, 4)).save(plain, "JPEG")
    assert not is_vr180(plain.getvalue())
    with pytest.raises(FormatError, match="got a JPEG without GPano"):
        split_vr180(plain.getvalue())
