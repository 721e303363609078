import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stereodiffusion.errors import ConfigError, FormatError, GeometryError
from stereodiffusion.formats import MapKind, RawMap, Unknown, disparity_from_map, read_map, visualise, write_map
from stereodiffusion.formats.maps import encode_map, shows_whole
from stereodiffusion.formats.maps.pfm import encode_pfm
from stereodiffusion.geometry import Disparity, StereoRig

EncodePng = Callable[..., bytes]
RIG = StereoRig(focal_px=100.0, baseline_m=0.1)


def raw(*values: float, integer: bool = False) -> RawMap:
    row = torch.tensor([values], dtype=torch.float32)
    return RawMap(values=row, bits=16 if integer else 32, is_integer=integer, name="room.png")


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_holds_levels(
    tmp_path: Path, encode_png: EncodePng, dtype: type[np.unsignedinteger], channels: int
) -> None:
    largest = np.iinfo(dtype).max
    levels = np.random.default_rng(0).integers(0, largest + 1, (4, 7, 1)).astype(dtype)
    pixels = np.repeat(levels, channels, axis=-1)
    if channels in {2, 4}:
        pixels[..., -1] = largest
    path = tmp_path / "map.png"
    path.write_bytes(encode_png(pixels))
    stored = read_map(path)
    assert np.array_equal(stored.values.numpy(), levels[..., 0])
    assert (stored.bits, stored.is_integer, stored.name) == (8 * levels.itemsize, True, str(path))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff(tmp_path: Path, dtype: type[np.generic], byteorder: Any, compression: str | None) -> None:
    levels = (np.random.default_rng(0).random((4, 7)) * 250).astype(dtype)
    path = tmp_path / "map.tif"
    tifffile.imwrite(path, levels, byteorder=byteorder, compression=compression)
    stored = read_map(path)
    assert np.array_equal(stored.values.numpy(), levels)
    assert stored.bits == 8 * levels.itemsize
    assert stored.is_integer == np.issubdtype(dtype, np.integer)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "u1", "<u2", ">u2", "<i4", "<i8"])
def test_npy(tmp_path: Path, dtype: str) -> None:
    values = (np.random.default_rng(0).random((4, 7)) * 250).astype(dtype)
    path = tmp_path / "map.npy"
    path.write_bytes(npy(values))
    stored = read_map(path)
    assert np.array_equal(stored.values.numpy(), values)
    assert stored.bits == 8 * values.itemsize


@pytest.mark.parametrize("shape", [(1, 4, 7), (4, 7, 1), (1, 1, 4, 7), (1, 7, 1)])
def test_npy_with_spare_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "map.npy"
    path.write_bytes(npy(np.zeros(shape, np.float32)))
    assert tuple(read_map(path).values.shape) == ((7, 1) if shape == (1, 7, 1) else (4, 7))


def test_fortran_order_and_the_suffix_make_no_difference(tmp_path: Path) -> None:
    values = np.asfortranarray(np.arange(28, dtype=np.float32).reshape(4, 7))
    path = tmp_path / "map.png"
    path.write_bytes(npy(values))
    assert np.array_equal(read_map(path).values.numpy(), values)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_orientation(tmp_path: Path, encode_png: EncodePng, suffix: str) -> None:
    levels = np.arange(6, dtype=np.uint16).reshape(2, 3, 1)
    path = tmp_path / f"map{suffix}"
    if suffix == ".png":
        tag = b"II*\0" + struct.pack("<LHHHLHHL", 8, 1, 274, 3, 1, 6, 0, 0)
        path.write_bytes(encode_png(levels, (b"eXIf", tag)))
    else:
        tifffile.imwrite(path, levels[..., 0], extratags=[(274, "H", 1, 6, True)])
    assert read_map(path).values.tolist() == [[3, 0], [4, 1], [5, 2]]  # first row right, first column top


def test_a_grey_palette(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 10, 10, 200, 200, 200])
    picture.putdata([1, 0])
    picture.save(tmp_path / "map.png", bits=1)
    assert read_map(tmp_path / "map.png").values.tolist() == [[200, 10]]


@pytest.mark.parametrize(("ends_at", "stored"), [(255, np.uint8), (65535, ">u2")])
def test_pgm_holds_levels(tmp_path: Path, ends_at: int, stored: str) -> None:
    levels = np.arange(6).reshape(2, 3) * (ends_at // 5)
    header = b"P5\n# 2001\n3 2\n# levels\n%d\n" % ends_at
    (tmp_path / "map.pgm").write_bytes(header + levels.astype(stored).tobytes())
    raw = read_map(tmp_path / "map.pgm")
    assert raw.values.tolist() == levels.tolist()
    assert (raw.bits, raw.is_integer) == (8 if ends_at == 255 else 16, True)


class Opener:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.remove, ("nothing",)


def bad_maps(encode_png: EncodePng) -> dict[str, tuple[bytes, str]]:
    noise = np.random.default_rng(0).integers(0, 65536, (16, 16, 3)).astype(np.uint16)
    grey = noise[..., :1].repeat(4, axis=-1)
    jpeg = io.BytesIO()
    Image.new("L", (4, 4)).save(jpeg, "JPEG")
    pages = io.BytesIO()
    Image.new("L", (4, 4)).save(pages, "TIFF", save_all=True, append_images=[Image.new("L", (4, 4))])
    bilevel = io.BytesIO()
    Image.new("1", (4, 4)).save(bilevel, "PNG")
    return {
        "colour": (encode_png(noise), "expected a grey map, got a coloured one"),
        "colour of 8 bits": (encode_png((noise >> 8).astype(np.uint8)), "expected a grey map, got a coloured one"),
        "transparent": (encode_png(grey), "opaque"),
        "a transparent level": (encode_png(grey[..., :1], (b"tRNS", b"\0\1")), "opaque"),
        "half a png": (encode_png(noise[..., :1])[:300], "truncated|damaged"),
        "bilevel": (bilevel.getvalue(), "at least 8 bits, got 1"),
        "half a pgm": (b"P5 4 4 255\n" + bytes(8), "truncated|damaged"),
        "stretched pgm": (b"P5 4 4 100\n" + bytes(16), "end at 255 or 65535"),
        "pages": (pages.getvalue(), "single picture, got several pages"),
        "jpeg": (jpeg.getvalue(), "JPEG loses too much"),
        "text": (b"depth", "this is none of them"),
        "half a pfm": (encode_pfm(np.zeros((4, 4), np.float32))[:40], "4 x 4 has 64 bytes of values, got 28"),
        "half an npy": (npy(np.zeros((4, 4)))[:150], "damaged or truncated"),
        "pickle": (npy(np.array([[Opener()]], dtype=object)), "real numbers, got pickled objects, which are refused"),
        "bare pickle": (pickle.dumps(Opener()), "this is none of them"),
        "complex": (npy(np.zeros((4, 4), complex)), "real numbers, got an array of complex128"),
        "bool": (npy(np.zeros((4, 4), bool)), "real numbers, got an array of bool"),
        "batch": (npy(np.zeros((2, 4, 4))), r"height x width, got shape \(2, 4, 4\)"),
        "row": (npy(np.zeros(4)), r"height x width, got shape \(4,\)"),
        "empty array": (npy(np.zeros((0, 4))), r"height x width, got shape \(0, 4\)"),
        "empty": (b"", "empty"),
    }


def test_every_bad_map_gets_one_line_that_names_it(tmp_path: Path, encode_png: EncodePng) -> None:
    for name, (content, message) in bad_maps(encode_png).items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FormatError, match=message) as caught:
            read_map(path)
        assert str(path) in str(caught.value), name
        assert "\n" not in str(caught.value), name


# --- meaning ------------------------------------------------------------------------------------------------------


def test_disparity_is_value_over_scale() -> None:
    disparity = disparity_from_map(raw(0, 128, 256, integer=True), "disparity-px", scale=256.0, unknown="zero")
    assert disparity.pixels.flatten().tolist() == [0, 0.5, 1]
    assert disparity.known.flatten().tolist() == [False, True, True]
    assert disparity.pixels.dtype == torch.float32


def test_depth_is_value_over_scale_through_the_rig() -> None:
    millimetres = raw(0, 5000, 10000, integer=True)
    disparity = disparity_from_map(millimetres, "depth-m", scale=1000.0, rig=RIG, unknown="zero")
    assert disparity.pixels.flatten().tolist() == [0, 2, 1]  # Eq. 2
    assert disparity.known.flatten().tolist() == [False, True, True]


@pytest.mark.parametrize(("kind", "expected"), [("near-is-bright", [0, 2.5, 10]), ("near-is-dark", [10, 7.5, 0])])
def test_relative_maps_are_stretched(kind: MapKind, expected: list[float]) -> None:
    assert disparity_from_map(raw(-1, 0, 3), kind, nearest_px=10.0).pixels.flatten().tolist() == expected


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [("nonfinite", [False, True, True, False, False]), ("zero", [False, False, True, False, False])],
)
@pytest.mark.parametrize("kind", ["disparity-px", "near-is-bright", "near-is-dark"])
def test_what_stands_for_unknown(kind: MapKind, unknown: Unknown, expected: list[bool]) -> None:
    holes = raw(float("nan"), 0, 2, float("inf"), float("-inf"))
    nearest = None if kind == "disparity-px" else 3.0
    disparity = disparity_from_map(holes, kind, nearest_px=nearest, unknown=unknown)
    assert disparity.known.flatten().tolist() == expected
    assert (disparity.pixels[~disparity.known] == 0).all()


@pytest.mark.parametrize(("unknown", "expected"), [("negative", [True, False, True]), (-16.0, [True, False, True])])
def test_negative_or_a_number_may_stand_for_unknown(unknown: Unknown, expected: list[bool]) -> None:
    """What block matching writes where it finds nothing is -16."""
    disparity = disparity_from_map(raw(16, -16, 32, integer=True), "disparity-px", scale=16.0, unknown=unknown)
    assert disparity.known.flatten().tolist() == expected


@pytest.mark.parametrize("kind", ["near-is-bright", "near-is-dark"])
def test_the_narrowest_and_the_widest_range_are_ranges(kind: MapKind) -> None:
    for values in ((0, 1.4e-45, 2.8e-45), (-3e38, 0, 3e38)):
        pixels = disparity_from_map(raw(*values), kind, nearest_px=10.0).pixels.flatten().tolist()
        assert sorted(pixels) == pytest.approx([0, 5, 10], abs=0.01)


def test_what_is_too_slight_to_move_anything_is_zero() -> None:
    assert not disparity_from_map(raw(0, 1e-45), "disparity-px").pixels.any()
    with pytest.raises(GeometryError, match="too near to have a disparity"):
        disparity_from_map(raw(1e-45, 1), "depth-m", rig=RIG)


@pytest.mark.parametrize(
    ("of_map", "of_photo", "fits"),
    [
        ((392, 686), (1080, 1920), True),  # 14
        ((384, 1248), (375, 1242), True),  # 32
        ((1080, 1920), (1080, 1920), True),
        ((540, 960), (1080, 1920), True),
        ((384, 384), (1080, 1920), False),
        ((32, 32), (1080, 1920), False),
        ((400, 686), (1080, 1920), False),
    ],
)
def test_depth_networks_round_the_sides(of_map: tuple[int, int], of_photo: tuple[int, int], fits: bool) -> None:
    assert shows_whole(of_map, of_photo) is fits


def test_infinite_depth() -> None:
    sky = raw(5, float("inf"))
    assert disparity_from_map(sky, "depth-m", rig=RIG).known.flatten().tolist() == [True, False]
    far = disparity_from_map(sky, "depth-m", rig=RIG, unknown="none")
    assert far.known.all()
    assert far.pixels.flatten().tolist() == [2, 0]


def test_doubles_are_not_rounded_before_they_are_converted() -> None:
    stored = RawMap(
        values=torch.tensor([[2.0**40 + 1, 2.0**40]], dtype=torch.float64), bits=64, is_integer=True, name=""
    )
    disparity = disparity_from_map(stored, "near-is-bright", nearest_px=1.0)
    assert disparity.pixels.flatten().tolist() == [1, 0]


def test_a_converged_map_may_be_negative() -> None:
    disparity = Disparity.from_pixels(torch.tensor([[0.0, 3.0, 4.0]])).converged_at(2.0)
    stored = raw(*disparity.pixels.flatten().tolist())
    assert disparity_from_map(stored, "disparity-px").pixels.flatten().tolist() == [-2, 1, 2]


@pytest.mark.parametrize(
    ("values", "arguments", "error", "message"),
    [
        (raw(1, integer=True), {"kind": "disparity-px"}, ConfigError, "needs scale, value / scale = pixels"),
        (raw(1, integer=True), {"kind": "depth-m", "rig": RIG}, ConfigError, "value / scale = metres"),
        (raw(1), {"kind": "depth-m"}, ConfigError, "needs rig"),
        (raw(1), {"kind": "near-is-dark"}, ConfigError, "needs nearest_px"),
        (raw(1), {"kind": "disparity-px", "rig": RIG}, ConfigError, "no use for rig"),
        (raw(1), {"kind": "disparity-px", "nearest_px": 3.0}, ConfigError, "no use for nearest_px"),
        (raw(1), {"kind": "near-is-dark", "nearest_px": 3.0, "scale": 2.0}, ConfigError, "no use for scale"),
        (raw(1), {"kind": "disparity-px", "scale": 0.0}, ConfigError, "positive"),
        (raw(1), {"kind": "disparity-px", "scale": float("nan")}, ConfigError, "positive"),
        (raw(float("nan"), 1), {"kind": "disparity-px", "unknown": "none"}, FormatError, "1 values are NaN"),
        (raw(float("nan")), {"kind": "disparity-px"}, FormatError, "not one of 1 values is known"),
        (raw(0, 1), {"kind": "depth-m", "rig": RIG}, FormatError, "if 0 marks the unknown: --map-unknown zero"),
        (raw(-1, 1), {"kind": "depth-m", "rig": RIG}, GeometryError, "not positive"),
        (raw(-1, -2), {"kind": "disparity-px"}, GeometryError, "sign turned round"),
        (
            raw(-9999, 1),
            {"kind": "disparity-px"},
            GeometryError,
            "-9999 px, exceeds the width, 2 px: .* --map-unknown negative",
        ),
        (raw(30, 512), {"kind": "disparity-px"}, GeometryError, "512 px, exceeds the width, 2 px: is scale right"),
    ],
)
def test_what_makes_no_sense(values: RawMap, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        disparity_from_map(values, **arguments)
    assert str(caught.value).startswith("room.png: ")
    assert "\n" not in str(caught.value)


# --- writing ------------------------------------------------------------------------------------------------------

SPARSE = st.lists(st.one_of(st.none(), st.floats(2.0**-90, 40, width=32), st.just(0.0)), min_size=42, max_size=42)


def sparse(values: list[float | None]) -> Disparity:
    known = torch.tensor([value is not None for value in values]).reshape(1, 1, 1, -1)
    pixels = torch.tensor([value or 0.0 for value in values]).reshape(1, 1, 1, -1)
    known[..., 0] = True
    return Disparity(pixels=pixels, known=known)


@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".tif", ".tiff"])
def test_exact_round_trip(tmp_path: Path, suffix: str) -> None:
    @settings(deadline=None, max_examples=25)
    @given(SPARSE)
    def holds(values: list[float | None]) -> None:
        disparity = sparse(values)
        back = disparity_from_map(read_map(write_map(tmp_path / f"map{suffix}", disparity)), "disparity-px")
        assert torch.equal(back.pixels, disparity.pixels)
        assert torch.equal(back.known, disparity.known)

    holds()


def test_png_round_trip(tmp_path: Path) -> None:
    @settings(deadline=None, max_examples=25)
    @given(SPARSE)
    def holds(values: list[float | None]) -> None:
        disparity = sparse(values)
        stored = read_map(write_map(tmp_path / "map.png", disparity))
        back = disparity_from_map(stored, "disparity-px", scale=256.0, unknown="zero")
        assert (back.pixels - disparity.pixels).abs().max() <= 1 / 256
        assert torch.equal(back.known, disparity.known)

    holds()


def test_negative_values_survive(tmp_path: Path) -> None:
    disparity = Disparity.from_pixels(torch.tensor([[0.0, 3.0, 4.0]])).converged_at(2.0)
    back = disparity_from_map(read_map(write_map(tmp_path / "map.pfm", disparity)), "disparity-px")
    assert torch.equal(back.pixels, disparity.pixels)
    with pytest.raises(FormatError, match=r"map\.png: a 16-bit PNG takes disparities of 0 .* got -2 \.\.\. 2"):
        write_map(tmp_path / "map.png", disparity)
    assert not (tmp_path / "map.png").exists()


def test_other_programs_read_what_is_written(tmp_path: Path) -> None:
    disparity = sparse([1.5, None, 2.25] + [None] * 39)
    for suffix, hole in ((".pfm", np.inf), (".tif", np.nan)):
        path = write_map(tmp_path / f"map{suffix}", disparity)
        read = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        assert read.dtype == np.float32
        assert np.array_equal(read[0, :3], np.array([1.5, hole, 2.25], np.float32), equal_nan=True)
    levels = np.asarray(cv2.imread(str(write_map(tmp_path / "map.png", disparity)), cv2.IMREAD_UNCHANGED))
    assert levels.dtype == np.uint16
    assert levels[0, :3].tolist() == [384, 0, 576]


@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".tif", ".png"])
def test_the_same_map_gives_the_same_bytes(suffix: str) -> None:
    disparity = sparse([1.5, None, 2.25] + [None] * 39)
    assert encode_map(disparity, suffix) == encode_map(disparity, suffix)


def test_maps_that_cannot_be_written(tmp_path: Path) -> None:
    one = Disparity.from_pixels(torch.zeros(2, 3))
    with pytest.raises(FormatError, match=r"map\.jpg: expected one of \.pfm"):
        write_map(tmp_path / "map.jpg", one)
    with pytest.raises(FormatError, match="one map, got a batch of 2"):
        write_map(tmp_path / "map.pfm", Disparity.from_pixels(torch.zeros(2, 2, 3)))
    with pytest.raises(FormatError, match="does not exist"):
        write_map(tmp_path / "none" / "map.pfm", one)
    assert list(tmp_path.iterdir()) == []


# --- false colours ------------------------------------------------------------------------------------------------


def test_turbo_goes_from_blue_to_red() -> None:
    picture = visualise(Disparity.from_pixels(torch.linspace(3, 9, 256)[None]))
    assert tuple(picture.shape) == (1, 3, 1, 256)
    red, green, blue = picture[0, :, 0]
    assert blue[30] > red[30]
    assert green[128] > max(red[128], blue[128])
    assert red[220] > max(green[220], blue[220])


def test_unknown_is_black_and_nothing_else_is() -> None:
    known = torch.tensor([[True, False, True, False]])
    picture = visualise(Disparity.from_pixels(torch.tensor([[1.0, 9.0, 2.0, 0.0]]), known))
    assert (picture.sum(dim=1) > 0).flatten().tolist() == known.flatten().tolist()
    assert visualise(Disparity.from_pixels(torch.ones(2, 2), torch.zeros(2, 2, dtype=torch.bool))).sum() == 0


def test_a_constant_map_has_one_colour() -> None:
    assert visualise(Disparity.from_pixels(torch.full((2, 3), 7.0))).flatten(2).unique(dim=2).shape[-1] == 1


def test_exr_is_exact_and_of_one_channel(tmp_path: Path) -> None:
    values = torch.tensor([[0.1, 1e-30, -3.5], [1e30, 2, 7]])
    known = torch.tensor([[True, True, True], [True, False, True]])
    path = write_map(
        tmp_path / "d.exr", Disparity(pixels=torch.where(known, values, 0)[None, None], known=known[None, None])
    )
    raw = read_map(path)
    assert torch.equal(raw.values[known], values[known])
    assert bool(raw.values[~known].isnan().all())
    assert (raw.bits, raw.is_integer) == (32, False)
    channels = {name: np.ones((2, 3), np.float16) for name in "RG"}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(path))
    with pytest.raises(FormatError, match=r"d\.exr: expected one value for each pixel, got channels G, R"):
        read_map(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FormatError, match=r"d\.exr: the file is damaged or truncated"):
        read_map(path)
