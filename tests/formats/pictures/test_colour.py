import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from stereodiffusion.errors import FormatWarning
from stereodiffusion.formats import from_pil, read_image

EncodePng = Callable[..., bytes]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def with_gamma(gamma: float) -> bytes:
    """The sRGB profile with a plain power for its curve."""
    profile = bytearray(SRGB)
    at = profile.find(b"para\0\0\0\0")
    while at >= 0:
        struct.pack_into(">HHl", profile, at + 8, 0, 0, round(gamma * 65536))  # type 0: x ** gamma
        at = profile.find(b"para\0\0\0\0", at + 1)
    return bytes(profile)


def with_red_and_blue_exchanged() -> bytes:
    return SRGB.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


def grey_with_gamma(gamma: float) -> bytes:
    """A grey profile from the ICC specification (version 2.1)."""
    white = b"XYZ \0\0\0\0" + struct.pack(">lll", 63190, 65536, 54061)  # D50
    curve = b"curv\0\0\0\0" + struct.pack(">LHH", 1, round(gamma * 256), 0)
    name = b"desc\0\0\0\0" + struct.pack(">L", 5) + b"grey\0" + bytes(8 + 3 + 67)
    name += bytes(-len(name) % 4)
    tags, body = b"", b""
    for tag, data in ((b"desc", name), (b"wtpt", white), (b"kTRC", curve)):
        tags += tag + struct.pack(">LL", 128 + 4 + 36 + len(body), len(data))
        body += data
    head = struct.pack(
        ">L4sL4s4s4s12s4s", 168 + len(body), b"test", 0x02100000, b"mntr", b"GRAY", b"XYZ ", bytes(12), b"acsp"
    )
    head += bytes(28) + struct.pack(">lll", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">L", 3) + tags + body


def encoded(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def tagged(mode: str, colour: tuple[int, ...] | int, profile: bytes) -> Image.Image:
    picture = Image.new(mode, (2, 2), colour)
    picture.info["icc_profile"] = profile
    return picture


def first_pixel(image: torch.Tensor) -> list[float]:
    return [255 * level for level in image[0, :, 0, 0].tolist()]


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
def test_another_gamma_is_converted(gamma: float) -> None:
    for level in (0, 10, 64, 128, 200, 255):
        expected = 255 * float(encoded(np.array(level / 255) ** gamma))
        assert first_pixel(from_pil(tagged("RGB", (level, level, level), with_gamma(gamma)))) == pytest.approx(
            [expected] * 3, abs=1
        )


def test_other_primaries_are_converted() -> None:
    profile = with_red_and_blue_exchanged()
    assert first_pixel(from_pil(tagged("RGB", (255, 0, 0), profile))) == pytest.approx([0, 0, 255], abs=1)
    assert first_pixel(from_pil(tagged("RGB", (10, 128, 240), profile))) == pytest.approx([240, 128, 10], abs=1)


def test_transparency_stays_beside_the_profile() -> None:
    picture = tagged("RGBA", (255, 0, 0, 51), with_red_and_blue_exchanged())
    assert first_pixel(from_pil(picture)) == pytest.approx([204, 204, 255], abs=1)


def test_srgb_keeps_its_levels() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture = Image.fromarray(levels)
    picture.info["icc_profile"] = SRGB
    assert np.array_equal((from_pil(picture)[0].permute(1, 2, 0) * 255).round().numpy(), levels)


@pytest.mark.parametrize("suffix", ["png", "jpeg", "webp", "tiff"])
def test_the_profile_is_found_in_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tagged.{suffix}"
    Image.new("RGB", (16, 16), (255, 0, 0)).save(path, icc_profile=with_red_and_blue_exchanged())
    assert first_pixel(read_image(path)) == pytest.approx([0, 0, 255], abs=3)


@pytest.mark.parametrize("deep", [False, True])
def test_grey_profiles(deep: bool) -> None:
    ramp = np.arange(0, 65536, 257, dtype=np.uint16)
    picture = Image.fromarray((ramp if deep else ramp >> 8).astype(np.uint16 if deep else np.uint8)[None])
    picture.info["icc_profile"] = grey_with_gamma(1.0)
    expected = encoded(ramp / 65535)
    assert np.abs(from_pil(picture)[0, :, 0].numpy() - expected).max() < 1.5 / 255


def test_sixteen_bit_grey_lies_between_the_levels_of_its_profile() -> None:
    picture = Image.fromarray(np.arange(0, 1000, dtype=np.uint16)[None])
    picture.info["icc_profile"] = grey_with_gamma(1.0)
    assert (from_pil(picture)[0, 0, 0].diff() > 0).all()


def test_sixteen_bit_srgb_keeps_its_levels(tmp_path: Path, encode_png: EncodePng) -> None:
    import zlib

    levels = np.random.default_rng(0).integers(0, 65536, (8, 8, 3)).astype(np.uint16)
    path = tmp_path / "deep.png"
    path.write_bytes(encode_png(levels, (b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB))))
    assert np.array_equal((read_image(path)[0].permute(1, 2, 0) * 65535).round().numpy(), levels)
    path.write_bytes(encode_png(levels, (b"iCCP", b"other\0\0" + zlib.compress(with_red_and_blue_exchanged()))))
    assert np.abs((read_image(path)[0].permute(1, 2, 0)).numpy() - levels[..., ::-1] / 65535).max() < 1.6 / 255


def test_lab(tmp_path: Path) -> None:
    rgb = Image.new("RGB", (2, 2), (200, 60, 90))
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(rgb, transform)
    assert lab is not None
    lab.save(tmp_path / "lab.tif")
    assert first_pixel(read_image(tmp_path / "lab.tif")) == pytest.approx([200, 60, 90], abs=3)


@pytest.mark.parametrize("profile", [b"nonsense", SRGB[:200], grey_with_gamma(1.0)])
def test_a_profile_that_does_not_fit_is_passed_over(profile: bytes) -> None:
    with pytest.warns(FormatWarning, match="the embedded colour profile is passed over"):
        assert first_pixel(from_pil(tagged("RGB", (1, 2, 3), profile))) == pytest.approx([1, 2, 3], abs=1e-4)


def test_a_grey_picture_may_carry_a_colour_profile() -> None:
    file = io.BytesIO()
    Image.new("L", (2, 2), 128).save(file, "PNG", icc_profile=with_gamma(1.0))
    expected = 255 * float(encoded(np.array(128 / 255)))
    assert first_pixel(from_pil(Image.open(file))) == pytest.approx([expected] * 3, abs=1)
