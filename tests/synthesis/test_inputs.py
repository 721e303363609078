from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stereodiffusion.errors import ConfigError, GeometryError
from stereodiffusion.formats import write_map
from stereodiffusion.geometry import Disparity
from stereodiffusion.request import DepthRequest, PhotoRequest
from stereodiffusion.request.inputs import MapFile, PictureFile
from stereodiffusion.synthesis.inputs import disparity_of, fitted

RAMP = np.linspace(1, 4, 40, dtype=np.float32).reshape(5, 8)
LARGEST = 0.08


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """The same ramp, 5 x 8, in several files."""
    np.save(tmp_path / "ramp.npy", RAMP)
    Image.fromarray(np.round(RAMP * 50).astype(np.uint8)).save(tmp_path / "ramp.png")
    write_map(tmp_path / "ramp.pfm", Disparity.from_pixels(torch.from_numpy(RAMP)))
    return tmp_path


def pixels(path: Path, mode: str = "depth", asked: dict[str, Any] | None = None, **said: Any) -> np.ndarray:
    given = MapFile(path=str(path), **said)
    request = (
        DepthRequest(map=given, prompt="a room", **(asked or {}))
        if mode == "depth"
        else PhotoRequest(photo=PictureFile(path="cat.png"), map=given, **(asked or {}))
    )
    disparity = disparity_of(request, [])
    assert disparity is not None
    return disparity.pixels[0, 0].numpy()


def test_disparity_in_pixels_is_kept(maps: Path) -> None:
    np.testing.assert_array_equal(pixels(maps / "ramp.pfm"), RAMP)
    np.testing.assert_array_equal(pixels(maps / "ramp.npy", kind="disparity-px"), RAMP)
    np.testing.assert_allclose(pixels(maps / "ramp.png", kind="disparity-px", scale=50.0), RAMP, atol=0.01)


@pytest.mark.parametrize(("kind", "sign"), [("near-is-bright", 1), ("near-is-dark", -1)])
def test_pictures_of_depth_get_the_maximum_disparity(kind: str, sign: int, maps: Path) -> None:
    found = pixels(maps / "ramp.png", kind=kind)
    assert found.min() == 0
    assert found.max() == pytest.approx(LARGEST * 8)
    assert (np.diff(found.ravel()) * sign >= 0).all()


def test_metres_with_a_camera_are_equation_2(maps: Path) -> None:
    np.testing.assert_allclose(
        pixels(maps / "ramp.npy", kind="depth-m", focal_px=10.0, baseline_m=0.2), 2 / RAMP, rtol=1e-6
    )


def test_metres_without_a_camera_get_the_maximum_disparity_and_keep_their_proportions(maps: Path) -> None:
    found = pixels(maps / "ramp.npy", kind="depth-m")
    np.testing.assert_allclose(found, LARGEST * 8 / RAMP, rtol=1e-6)
    everywhere_infinite = maps / "infinite.npy"
    np.save(everywhere_infinite, np.full((5, 8), np.inf, np.float32))
    assert not pixels(everywhere_infinite, kind="depth-m", unknown="none").any()


@pytest.mark.parametrize("file", ["ramp.png", "ramp.npy"])
def test_what_the_values_are_is_never_guessed(file: str, maps: Path) -> None:
    with pytest.raises(ConfigError, match=f"{file}: say what its values are: --map-kind near-is-bright"):
        pixels(maps / file)


@pytest.mark.parametrize(("kind", "unit"), [("disparity-px", "pixels"), ("depth-m", "metres")])
def test_whole_numbers_need_a_scale(kind: str, unit: str, maps: Path) -> None:
    with pytest.raises(ConfigError, match=f"holds whole numbers: say with --map-scale .* one of its {unit}"):
        pixels(maps / "ramp.png", kind=kind)


def test_what_is_assumed_is_said(maps: Path) -> None:
    notes: list[str] = []
    map_ = MapFile(path=str(maps / "ramp.npy"))
    disparity_of(PhotoRequest(photo=PictureFile(path="cat.png"), map=map_), notes)
    assert notes == [f"{maps / 'ramp.npy'}: read as disparity in pixels; --map-kind says otherwise"]
    disparity_of(PhotoRequest(photo=PictureFile(path="cat.png"), map=replace(map_, kind="near-is-dark")), notes)
    assert len(notes) == 1


@pytest.mark.parametrize("hole", ["scattered", "in one piece"])
def test_zeros_amid_a_map_whose_nearest_would_be_zero_are_asked_about(hole: str, tmp_path: Path) -> None:
    """Depth cameras mark with 0 what they do not see. A surface that ends in 0 comes near to it by and by."""
    whole = np.maximum(np.linspace(250, -20, 60), 0)[:, None] * np.ones(80)
    holed = whole[:55].copy()
    if hole == "scattered":
        holed[np.random.default_rng(0).random(holed.shape) < 0.02] = 0
    else:
        holed[5:30, 20:50] = 0

    def said(values: np.ndarray, **more: Any) -> list[str]:
        Image.fromarray(values.astype(np.uint8)).save(tmp_path / "depth.png")
        map_ = MapFile(path=str(tmp_path / "depth.png"), kind="near-is-dark", **more)
        notes: list[str] = []
        disparity_of(PhotoRequest(photo=PictureFile(path="cat.png"), map=map_), notes)
        return notes

    (line,) = said(holed)
    assert f"{(holed.astype(np.uint8) == 0).mean():.1%} of the values are 0" in line
    assert "(--map-unknown zero)" in line
    assert said(holed, unknown="zero") == said(holed, unknown="none") == said(whole) == []


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"kind": "depth-m", "focal_px": 10.0}, r"map\.focal_px and map\.baseline_m belong together"),
        ({"kind": "near-is-dark", "focal_px": 10.0, "baseline_m": 1.0}, "are for map.kind depth-m"),
        ({"kind": "near-is-dark", "scale": 256.0}, "map.scale is for maps in pixels or metres"),
    ],
)
def test_what_does_not_fit_together_is_refused(said: dict[str, Any], message: str, maps: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        pixels(maps / "ramp.png", **said)


def test_a_maximum_disparity_for_a_map_in_pixels_is_not_silently_ignored(maps: Path) -> None:
    asked = {"changes": {"parallax.max_disparity": 0.05}}
    for mode in ("depth", "photo"):
        with pytest.raises(ConfigError, match="--max-disparity has nothing to scale"):
            pixels(maps / "ramp.pfm", mode, asked, kind="disparity-px")
        pixels(maps / "ramp.pfm", mode, asked, kind="near-is-bright")
        pixels(maps / "ramp.pfm", mode, {**asked, "preset": "paper"}, kind="disparity-px")
    in_memory = Disparity.from_pixels(torch.from_numpy(RAMP))
    request = DepthRequest(map=in_memory, prompt="a room", **asked)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="has nothing to scale"):
        disparity_of(request, [])


def fit(map_size: tuple[int, int], photo_size: tuple[int, int]) -> Disparity:
    disparity = Disparity.from_pixels(torch.ones(map_size))
    request = PhotoRequest(photo=PictureFile(path="p.jpg"), map=MapFile(path="d.pfm"))
    return fitted(disparity, torch.zeros(1, 3, *photo_size), request, [])


def test_a_map_of_the_photos_shape_is_brought_to_its_size() -> None:
    assert fit((300, 400), (600, 800)).size == (600, 800)
    assert fit((300, 400), (600, 800)).pixels.unique().tolist() == [2]
    assert fit((333, 500), (667, 1000)).size == (667, 1000)
    assert fit((600, 800), (75, 100)).size == (75, 100)


@pytest.mark.parametrize("size", [(800, 600), (600, 810), (600, 600)])
def test_a_map_of_another_shape_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(GeometryError, match=r"d.pfm is \d+ x \d+, which is of another shape than p.jpg, 800 x 600"):
        fit(size, (600, 800))
