"""One scene in every arrangement of samples that TIFF has reads as that scene."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import disparity_from_map, read_image, read_map

Y, X = np.mgrid[0:20, 0:36]
SCENE = np.stack([X / 35, Y / 19, (X // 6 + Y // 5) % 2 * 0.5 + 0.25], axis=-1)
GREY = SCENE.mean(axis=-1)
ALPHA = np.clip((X + Y) / 40, 0.1, 1)
DEPTHS = [np.uint8, np.uint16]


def levels(unit: np.ndarray, dtype: type[np.unsignedinteger]) -> np.ndarray:
    return np.round(unit * np.iinfo(dtype).max).astype(dtype)


def check(path: Path, stored: np.ndarray, scene: np.ndarray, **options: Any) -> None:
    tifffile.imwrite(path, stored, **options)
    read = read_image(path)[0].permute(1, 2, 0).numpy()
    assert np.abs(read - (scene if scene.ndim == 3 else scene[..., None])).max() < 0.012


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize(
    "options",
    [
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "tile": (16, 16), "compression": "zlib"},
        {"planarconfig": "separate", "byteorder": ">", "compression": "lzw", "predictor": True},
        {"tile": (16, 16)},
        {"bigtiff": True},
        {"compression": "zstd", "byteorder": ">"},
        {"compression": "lzma", "predictor": True},
        {"compression": "packbits", "rowsperstrip": 3},
    ],
)
def test_arrangements_of_rgb(tmp_path: Path, dtype: type[np.unsignedinteger], options: dict[str, Any]) -> None:
    stored = levels(SCENE, dtype)
    stored = stored.transpose(2, 0, 1) if "planarconfig" in options else stored
    check(tmp_path / "scene.tif", stored, SCENE, photometric="rgb", **options)


@pytest.mark.parametrize("dtype", DEPTHS)
def test_white_may_be_zero(tmp_path: Path, dtype: type[np.unsignedinteger]) -> None:
    check(tmp_path / "scene.tif", levels(1 - GREY, dtype), GREY, photometric="miniswhite")


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("planar", [False, True])
def test_inks(tmp_path: Path, dtype: type[np.unsignedinteger], planar: bool) -> None:
    black = 1 - SCENE.max(axis=-1, keepdims=True)
    inks = levels(np.concatenate([(1 - SCENE - black) / np.maximum(1 - black, 1e-9), black], axis=-1), dtype)
    stored, planes = (inks.transpose(2, 0, 1), "separate") if planar else (inks, "contig")
    check(tmp_path / "scene.tif", stored, SCENE, photometric="separated", planarconfig=planes)


@pytest.mark.parametrize("dtype", DEPTHS)
def test_extra_samples_mean_what_they_say(tmp_path: Path, dtype: type[np.unsignedinteger]) -> None:
    alpha, path = ALPHA[..., None], tmp_path / "scene.tif"
    over = SCENE * alpha + 1 - alpha
    straight = levels(np.concatenate([SCENE, alpha], axis=-1), dtype)
    check(path, straight, over, photometric="rgb", extrasamples=["unassalpha"])
    multiplied = levels(np.concatenate([SCENE * alpha, alpha], axis=-1), dtype)
    check(path, multiplied, over, photometric="rgb", extrasamples=["assocalpha"])
    check(path, straight, SCENE, photometric="rgb", extrasamples=["unspecified"])
    five = np.concatenate([straight, straight[..., :1]], axis=-1)
    check(path, five, SCENE, photometric="rgb", extrasamples=["unspecified", "unspecified"])


@pytest.mark.parametrize("dtype", DEPTHS)
def test_palettes(tmp_path: Path, dtype: type[np.unsignedinteger]) -> None:
    size = np.iinfo(dtype).max + 1
    ramp = np.linspace(0, 1, size)
    colours, indices = np.stack([ramp, 1 - ramp, ramp**2]), levels(GREY, dtype)
    palette = np.round(colours * 65535).astype(np.uint16)
    check(tmp_path / "scene.tif", indices, colours.T[indices], photometric="palette", colormap=palette)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint32, np.int16])
def test_values_that_no_screen_shows_are_refused(tmp_path: Path, dtype: type[np.generic]) -> None:
    tifffile.imwrite(tmp_path / "scene.tif", SCENE.astype(dtype), photometric="rgb")
    with pytest.raises(FormatError, match=r"expected 8 or 16 bits per channel, got (16|32) .* dynamic range"):
        read_image(tmp_path / "scene.tif")


def test_smaller_copies_do_not_count_and_previews_are_no_pictures(tmp_path: Path) -> None:
    path, whole, small = tmp_path / "scene.tif", levels(SCENE, np.uint8), levels(SCENE, np.uint8)[::2, ::2]
    for first, second in ((whole, small), (small, whole)):
        with tifffile.TiffWriter(path) as file:
            file.write(first, photometric="rgb", subfiletype=int(first is small))
            file.write(second, photometric="rgb", subfiletype=int(second is small))
        assert read_image(path).shape[2:] == (20, 36)
    with tifffile.TiffWriter(path) as file:
        file.write(small, photometric="rgb", subifds=1)
        file.write(whole, photometric="rgb")
    with pytest.raises(FormatError, match="got a preview of one that lies elsewhere"):
        read_image(path)
    tifffile.imwrite(path, small, photometric="rgb", subfiletype=1)
    with pytest.raises(FormatError, match="got a preview"):
        read_image(path)


def test_camera_raw_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.dng"
    with tifffile.TiffWriter(path) as file:
        file.write(levels(SCENE, np.uint8), photometric="rgb", subfiletype=1, subifds=1)
        file.write(levels(GREY, np.uint16), photometric="cfa")
    for read in (read_image, read_map):
        with pytest.raises(FormatError, match="camera's raw file"):
            read(path)
    for head in (b"FUJIFILMCCD-RAW 0201", b"II*\0\x10\0\0\0CR\2\0", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"):
        path.write_bytes(head.ljust(100, b"\0"))
        with pytest.raises(FormatError, match="camera's raw file"):
            read_image(path)


# --- maps -----------------------------------------------------------------------------------------------------------


def test_maps_of_half_precision_and_planes(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    tifffile.imwrite(path, GREY.astype(np.float16))
    assert np.array_equal(read_map(path).values.numpy(), GREY.astype(np.float16))
    tifffile.imwrite(path, np.stack([levels(GREY, np.uint16)] * 3), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_map(path).values.numpy(), levels(GREY, np.uint16))


def test_a_map_that_shows_zero_as_white_is_turned_round(tmp_path: Path) -> None:
    for dtype in DEPTHS:
        tifffile.imwrite(tmp_path / "map.tif", levels(GREY, dtype), photometric="miniswhite")
        assert np.array_equal(read_map(tmp_path / "map.tif").values.numpy(), np.iinfo(dtype).max - levels(GREY, dtype))


def test_two_quantities_are_no_map(tmp_path: Path) -> None:
    both = np.stack([GREY, ALPHA], axis=-1).astype(np.float32)
    tifffile.imwrite(tmp_path / "map.tif", both, photometric="minisblack", planarconfig="contig")
    with pytest.raises(FormatError, match="expected one value for each pixel, got 2 bands"):
        read_map(tmp_path / "map.tif")


def test_a_map_may_declare_what_is_unknown(tmp_path: Path) -> None:
    values = np.array([[-9999, 1, 0, 2.5]], np.float32)
    tifffile.imwrite(tmp_path / "map.tif", values, extratags=[(42113, "s", 0, "-9999", True)])
    disparity = disparity_from_map(read_map(tmp_path / "map.tif"), "disparity-px")
    assert disparity.known.flatten().tolist() == [False, True, True, True]
    assert disparity.pixels.flatten().tolist() == [0, 1, 0, 2.5]


def test_missing_strips_are_not_made_up(tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    tifffile.imwrite(path, levels(SCENE, np.uint16), photometric="rgb", rowsperstrip=4)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["StripByteCounts"].overwrite([0] * 5)  # pyright: ignore
    with pytest.raises(FormatError, match="strips or tiles are missing"):
        read_image(path)


def test_of_eight_bits_pillow_agrees(tmp_path: Path) -> None:
    for options in ({"compression": "jpeg"}, {"compression": "tiff_lzw"}, {}):
        Image.fromarray(levels(SCENE, np.uint8)).save(tmp_path / "scene.tif", **options)
        with Image.open(tmp_path / "scene.tif") as picture:
            expected = torch.from_numpy(np.asarray(picture.convert("RGB")) / np.float32(255))
        assert torch.equal(read_image(tmp_path / "scene.tif")[0].permute(1, 2, 0), expected)


def test_of_a_damaged_jpeg_nothing_but_the_refusal_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """libtiff would print a line of its own."""
    path = tmp_path / "scene.tif"
    Image.fromarray(levels(SCENE, np.uint8)).save(path, compression="jpeg")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\xff\xdb", b"\xff\xfe"))  # its quantisation tables are comments now
    with pytest.raises(FormatError, match="the file is damaged or truncated: Quantization table"):
        read_image(path)
    assert capfd.readouterr() == ("", "")
