import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import encode_image, from_pil, read_image, to_pil, write_image

EncodePng = Callable[..., bytes]

# EXIF 2.3, tag 274: on which side of the scene the first row and the first column of the file lie.
STORED_FROM_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda scene: scene,  # top, left
    2: lambda scene: scene[:, ::-1],  # top, right
    3: lambda scene: scene[::-1, ::-1],  # bottom, right
    4: lambda scene: scene[::-1],  # bottom, left
    5: lambda scene: scene.swapaxes(0, 1),  # left, top
    6: lambda scene: scene.swapaxes(0, 1)[::-1],  # right, top
    7: lambda scene: scene.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
    8: lambda scene: scene.swapaxes(0, 1)[:, ::-1],  # left, bottom
}


def exif(orientation: int) -> bytes:
    """A TIFF header and one tag."""
    return b"II*\0" + struct.pack("<LHHHLHHL", 8, 1, 274, 3, 1, orientation, 0, 0)


def as_levels(image: torch.Tensor, largest: int = 255) -> np.ndarray:
    return (image[0].permute(1, 2, 0).numpy().astype(np.float64) * largest).round().astype(np.int64)


def scene_of(dtype: type[np.unsignedinteger], channels: int = 3) -> np.ndarray:
    levels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (3, 5, channels))
    return levels.astype(dtype)


# --- tensors and Pillow -------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 255), min_size=12, max_size=12))
def test_levels_survive_the_way_through_a_tensor(levels: list[int]) -> None:
    picture = np.array(levels, dtype=np.uint8).reshape(2, 2, 3)
    assert np.array_equal(np.asarray(to_pil(from_pil(Image.fromarray(picture)))), picture)


@pytest.mark.parametrize(
    ("value", "level"), [(0.0, 0), (0.499 / 255, 0), (0.5 / 255, 1), (254.4 / 255, 254), (1.0, 255)]
)
def test_rounds_to_the_nearest_level(value: float, level: int) -> None:
    assert np.asarray(to_pil(torch.full((1, 3, 1, 1), value, dtype=torch.float64))).max() == level


def test_half_precision_and_gradients_are_taken() -> None:
    picture = torch.tensor([0.0, 0.5, 1.0], requires_grad=True).reshape(1, 3, 1, 1)
    assert np.asarray(to_pil(picture.half())).ravel().tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.01])
def test_pixels_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(FormatError, match=r"expected pixels in \[0, 1\], got"):
        to_pil(torch.full((1, 3, 2, 2), value))


# --- orientation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", STORED_FROM_UPRIGHT)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_exif_orientation_of_png(
    tmp_path: Path, encode_png: EncodePng, orientation: int, dtype: type[np.unsignedinteger], channels: int
) -> None:
    scene = scene_of(dtype, channels)
    if channels == 4:
        scene[..., 3] = np.iinfo(dtype).max
    stored = STORED_FROM_UPRIGHT[orientation](scene)
    path = tmp_path / "scene.png"
    path.write_bytes(encode_png(np.ascontiguousarray(stored), (b"eXIf", exif(orientation))))
    assert np.array_equal(as_levels(read_image(path), np.iinfo(dtype).max), np.broadcast_to(scene[..., :3], (3, 5, 3)))


@pytest.mark.parametrize("orientation", STORED_FROM_UPRIGHT)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_orientation_of_tiff(tmp_path: Path, orientation: int, dtype: type[np.unsignedinteger]) -> None:
    scene = scene_of(dtype)
    stored = np.ascontiguousarray(STORED_FROM_UPRIGHT[orientation](scene))
    path = tmp_path / "scene.tif"
    tifffile.imwrite(path, stored, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    assert np.array_equal(as_levels(read_image(path), np.iinfo(dtype).max), scene)


@pytest.mark.parametrize("orientation", STORED_FROM_UPRIGHT)
def test_exif_orientation_of_jpeg(tmp_path: Path, orientation: int) -> None:
    scene = np.repeat(np.repeat(scene_of(np.uint8), 16, axis=0), 16, axis=1)
    path = tmp_path / "scene.jpg"
    stored = Image.fromarray(np.ascontiguousarray(STORED_FROM_UPRIGHT[orientation](scene)))
    stored.save(path, quality=95, subsampling=0, exif=b"Exif\0\0" + exif(orientation))
    assert np.abs(as_levels(read_image(path)) - scene).max() <= 16


# --- kinds of pixels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_every_level(tmp_path: Path, encode_png: EncodePng, channels: int, suffix: str) -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    ramp = np.concatenate([levels, levels[::-1], levels.swapaxes(0, 1)], axis=-1)[..., :channels]
    path = tmp_path / f"ramp{suffix}"
    if suffix == ".png":
        path.write_bytes(encode_png(ramp))
    else:
        tifffile.imwrite(path, ramp.squeeze(), photometric="rgb" if channels == 3 else "minisblack")
    assert np.array_equal(as_levels(read_image(path), 65535), np.broadcast_to(ramp, (256, 256, 3)))


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 2), (np.uint16, 2), (np.uint8, 4), (np.uint16, 4)])
def test_transparency_is_laid_over_white(
    tmp_path: Path, encode_png: EncodePng, dtype: type[np.unsignedinteger], channels: int
) -> None:
    scene = scene_of(dtype, channels)
    path = tmp_path / "scene.png"
    path.write_bytes(encode_png(scene))
    unit = scene / np.iinfo(dtype).max
    expected = unit[..., :-1] * unit[..., -1:] + 1 - unit[..., -1:]
    read = read_image(path)[0].permute(1, 2, 0).numpy()
    assert np.allclose(read, np.broadcast_to(expected, (3, 5, 3)), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_level_is_white(
    tmp_path: Path, encode_png: EncodePng, dtype: type[np.unsignedinteger], channels: int
) -> None:
    scene = scene_of(dtype, channels)
    path = tmp_path / "scene.png"
    path.write_bytes(encode_png(scene, (b"tRNS", scene[1, 2].astype(">u2").tobytes())))
    expected = np.array(np.broadcast_to(scene, (3, 5, 3)))
    expected[1, 2] = np.iinfo(dtype).max
    assert np.array_equal(as_levels(read_image(path), np.iinfo(dtype).max), expected)


def test_palette_grey_and_bilevel() -> None:
    grey = Image.fromarray(scene_of(np.uint8, 1)[..., 0])
    assert np.array_equal(as_levels(from_pil(grey)), np.broadcast_to(np.asarray(grey)[..., None], (3, 5, 3)))
    coloured = Image.fromarray(scene_of(np.uint8)).quantize(256)
    assert np.array_equal(as_levels(from_pil(coloured)), np.asarray(coloured.convert("RGB")))
    assert set(as_levels(from_pil(grey.convert("1"))).ravel().tolist()) == {0, 255}


def test_a_palette_may_have_a_transparent_colour(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    picture.save(tmp_path / "two.png", transparency=1)
    assert as_levels(read_image(tmp_path / "two.png")).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_a_palette_may_have_levels_of_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    picture.save(tmp_path / "two.png", transparency=bytes([255, 51]))
    assert as_levels(read_image(tmp_path / "two.png")).tolist() == [[[255, 0, 0], [204, 204, 255]]]


def test_cmyk_without_a_profile(tmp_path: Path) -> None:
    inks = [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((255, 0, 0, 0), (0, 255, 255))]
    inks += [((0, 0, 0, 255), (0, 0, 0)), ((0, 0, 0, 55), (200, 200, 200))]
    for suffix, tolerance in ((".tif", 0), (".jpg", 3)):
        for ink, colour in inks:
            path = tmp_path / f"ink{suffix}"
            Image.new("CMYK", (16, 16), ink).save(path)
            assert np.abs(as_levels(read_image(path)) - colour).max() <= tolerance


# --- files that cannot be read ------------------------------------------------------------------------------------


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    cases: dict[str, tuple[Path, str]] = {
        "missing": (folder / "none.png", "no such file"),
        "folder": (folder, "got a folder"),
        "device": (Path("/dev/null"), "got a device"),
    }
    contents = {"empty": (b"", "empty"), "text": (b"I am not a picture.\n" * 50, "expected a picture")}
    for suffix in ("png", "jpeg", "webp", "tiff", "gif"):
        file = io.BytesIO()
        noise.save(file, suffix)
        whole = file.getvalue()
        contents[f"half a {suffix}"] = (whole[: len(whole) // 2], "damaged or truncated|none or damaged")
        contents[f"only the head of a {suffix}"] = (whole[:20], "damaged or truncated|none or damaged")
    deep = b"\x89PNG\r\n\x1a\n"
    contents["only a signature"] = (deep, "none or damaged|damaged or truncated")
    file = io.BytesIO()
    noise.save(file, "GIF", save_all=True, append_images=[noise.rotate(90)])
    contents["animation"] = (file.getvalue(), "single picture, got several")
    file = io.BytesIO()
    noise.save(file, "TIFF", save_all=True, append_images=[noise])
    contents["pages"] = (file.getvalue(), "single picture, got several")
    file = io.BytesIO()
    Image.new("F", (4, 4)).save(file, "TIFF")
    contents["float"] = (file.getvalue(), "8 or 16 bits per channel, got 32")
    for name, (content, message) in contents.items():
        path = folder / f"{name}.png"
        path.write_bytes(content)
        cases[name] = (path, message)
    return cases


def test_every_bad_file_gets_one_line_that_names_it(tmp_path: Path) -> None:
    for name, (path, message) in bad_files(tmp_path).items():
        with pytest.raises(FormatError, match=message) as caught:
            read_image(path)
        assert str(path) in str(caught.value), name
        assert "\n" not in str(caught.value), name


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_a_picture_without_pixels_is_refused(tmp_path: Path, encode_png: EncodePng, shape: tuple[int, int]) -> None:
    path = tmp_path / "empty.png"
    path.write_bytes(encode_png(np.zeros((*shape, 3), np.uint8)))
    with pytest.raises(FormatError, match=r"empty\.png: expected a picture"):
        read_image(path)


def test_half_a_sixteen_bit_picture_is_refused(tmp_path: Path, encode_png: EncodePng) -> None:
    whole = encode_png(np.random.default_rng(0).integers(0, 65536, (32, 32, 3)).astype(np.uint16))
    path = tmp_path / "half.png"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="truncated"):
        read_image(path)


def test_a_decompression_bomb_is_refused(tmp_path: Path, encode_png: EncodePng) -> None:
    small = bytearray(encode_png(np.zeros((1, 1, 1), np.uint8)))
    header = struct.pack(">II", 60000, 60000)
    small[16:24] = header
    import zlib

    small[29:33] = struct.pack(">I", zlib.crc32(bytes(small[12:29])))
    path = tmp_path / "bomb.png"
    path.write_bytes(bytes(small))
    with pytest.raises(FormatError, match="too large: expected at most 50 megapixels and sides"):
        read_image(path)


def test_of_an_mpo_the_first_eye_is_read(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (16, 16), grey) for grey in ((50, 50, 50), (200, 200, 200)))
    first.save(tmp_path / "two.mpo", save_all=True, append_images=[second])
    assert as_levels(read_image(tmp_path / "two.mpo")).max() == 50


# --- writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".webp", ".tif", ".tiff"])
def test_lossless_files_give_back_every_level(
    tmp_path: Path, eyes: tuple[torch.Tensor, torch.Tensor], suffix: str
) -> None:
    path = write_image(tmp_path / f"left{suffix}", eyes[0], {"seed": 1})
    assert torch.equal(read_image(path), eyes[0])


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_keeps_the_chroma(tmp_path: Path, suffix: str) -> None:
    stripes = torch.zeros(1, 3, 16, 16)
    stripes[:, 0, :, ::2] = 1
    stripes[:, 2, :, 1::2] = 1
    path = write_image(tmp_path / f"stripes{suffix}", stripes)
    assert (read_image(path) - stripes).abs().max() < 0.05  # with 4:2:0 it is 0.5


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_same_picture_gives_the_same_bytes(eyes: tuple[torch.Tensor, torch.Tensor], suffix: str) -> None:
    first = encode_image(eyes[0], suffix, {"prompt": "a cat", "seed": 7})
    assert first == encode_image(eyes[0].clone(), suffix, {"prompt": "a cat", "seed": 7})
    assert first != encode_image(eyes[0], suffix, {"prompt": "a cat", "seed": 8})


def test_png_is_declared_srgb(eyes: tuple[torch.Tensor, torch.Tensor]) -> None:
    picture = Image.open(io.BytesIO(encode_image(eyes[0], ".png")))
    assert picture.info["srgb"] == 0


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_exif_declares_srgb(eyes: tuple[torch.Tensor, torch.Tensor], suffix: str) -> None:
    picture = Image.open(io.BytesIO(encode_image(eyes[0], suffix)))
    assert picture.getexif().get_ifd(0x8769)[0xA001] == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [("left.bmp", "expected one of .png"), ("left", "got no suffix"), ("none/left.png", "does not exist")],
)
def test_where_a_picture_cannot_go(
    tmp_path: Path, eyes: tuple[torch.Tensor, torch.Tensor], name: str, message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        write_image(tmp_path / name, eyes[0])
    assert list(tmp_path.iterdir()) == []


def test_a_picture_too_long_for_its_format(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"long\.webp: cannot be encoded"):
        write_image(tmp_path / "long.webp", torch.zeros(1, 3, 1, 16385))
    with pytest.raises(FormatError, match=r"long\.jpg: cannot be encoded"):
        write_image(tmp_path / "long.jpg", torch.zeros(1, 3, 1, 65501))
    assert list(tmp_path.iterdir()) == []


def test_only_one_picture_goes_into_a_file(tmp_path: Path, eyes: tuple[torch.Tensor, torch.Tensor]) -> None:
    with pytest.raises((FormatError, jaxtyping.TypeCheckError), match=r"got a batch of 2|2,3,24,31"):
        to_pil(torch.cat(eyes))


def test_gif_frames_are_not_stills() -> None:
    file = io.BytesIO()
    Image.new("L", (2, 2)).save(file, "GIF", save_all=True, append_images=[Image.new("L", (2, 2), 255)])
    with pytest.raises(FormatError, match="several frames"):
        from_pil(Image.open(file))
    assert [from_pil(frame.copy()).mean().item() for frame in ImageSequence.Iterator(Image.open(file))] == [0, 1]


def test_importing_formats_does_not_load_opencv() -> None:
    code = "import sys, stereodiffusion.formats; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
