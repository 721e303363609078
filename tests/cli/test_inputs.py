from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stereodiffusion.cli.checking import Common
from stereodiffusion.cli.inputs import fitted, read_disparity
from stereodiffusion.cli.map_options import MapOptions
from stereodiffusion.config import preset
from stereodiffusion.errors import ConfigError, GeometryError
from stereodiffusion.formats import write_map
from stereodiffusion.geometry import Disparity

RAMP = np.linspace(1, 4, 40, dtype=np.float32).reshape(5, 8)
COMMON = Common(
    config=preset("fast", "depth"), photo=preset("fast", "photo"), deepened=False, formats=("sbs",), also=()
)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """The same ramp, 5 x 8, in several files."""
    np.save(tmp_path / "ramp.npy", RAMP)
    Image.fromarray(np.round(RAMP * 50).astype(np.uint8)).save(tmp_path / "ramp.png")
    write_map(tmp_path / "ramp.pfm", Disparity.from_pixels(torch.from_numpy(RAMP)))
    return tmp_path


def pixels(path: Path, common: Common = COMMON, implied: Any = None, **said: Any) -> np.ndarray:
    disparity = read_disparity(path, MapOptions(**said), common, implied=implied)
    return disparity.pixels[0, 0].numpy()


def test_disparity_in_pixels_is_kept(maps: Path) -> None:
    np.testing.assert_array_equal(pixels(maps / "ramp.pfm", implied="disparity-px"), RAMP)
    np.testing.assert_array_equal(pixels(maps / "ramp.npy", kind="disparity-px"), RAMP)
    np.testing.assert_allclose(pixels(maps / "ramp.png", kind="disparity-px", scale=50.0), RAMP, atol=0.01)


@pytest.mark.parametrize(("kind", "sign"), [("near-is-bright", 1), ("near-is-dark", -1)])
def test_pictures_of_depth_get_the_maximum_disparity(kind: str, sign: int, maps: Path) -> None:
    found = pixels(maps / "ramp.png", kind=kind)
    assert found.min() == 0
    assert found.max() == pytest.approx(0.08 * 8)
    assert (np.diff(found.ravel()) * sign >= 0).all()


def test_metres_with_a_camera_are_equation_2(maps: Path) -> None:
    np.testing.assert_allclose(
        pixels(maps / "ramp.npy", kind="depth-m", focal_px=10.0, baseline_m=0.2), 2 / RAMP, rtol=1e-6
    )


def test_metres_without_a_camera_get_the_maximum_disparity_and_keep_their_proportions(maps: Path) -> None:
    found = pixels(maps / "ramp.npy", kind="depth-m")
    np.testing.assert_allclose(found, 0.08 * 8 / RAMP, rtol=1e-6)
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


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"kind": "depth"}, "--map-kind must be one of disparity-px, depth-m, near-is-bright, near-is-dark"),
        ({"unknown": "nan"}, "--map-unknown must be one of nonfinite, zero, negative, none, or a number"),
        ({"kind": "depth-m", "focal_px": 10.0}, "--focal-px and --baseline-m belong together"),
        ({"kind": "near-is-dark", "focal_px": 10.0, "baseline_m": 1.0}, "are for --map-kind depth-m"),
        ({"kind": "near-is-dark", "scale": 256.0}, "--map-scale is for maps in pixels or metres"),
    ],
)
def test_what_does_not_fit_together_is_refused(said: dict[str, Any], message: str, maps: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        pixels(maps / "ramp.png", **said)


def test_a_maximum_disparity_for_a_map_in_pixels_is_not_silently_ignored(maps: Path) -> None:
    asked = Common(
        config=preset("fast", "depth"), photo=preset("fast", "photo"), deepened=True, formats=("sbs",), also=()
    )
    with pytest.raises(ConfigError, match="--max-disparity has nothing to scale"):
        pixels(maps / "ramp.pfm", asked, kind="disparity-px")
    pixels(maps / "ramp.pfm", asked, kind="near-is-bright")
    normalizing = Common(
        config=preset("paper", "depth"), photo=preset("paper", "photo"), deepened=True, formats=("sbs",), also=()
    )
    pixels(maps / "ramp.pfm", normalizing, kind="disparity-px")


def fit(map_size: tuple[int, int], photo_size: tuple[int, int]) -> Disparity:
    disparity = Disparity.from_pixels(torch.ones(map_size))
    return fitted(disparity, photo_size, map_path=Path("d.pfm"), photo_path=Path("p.jpg"))


def test_a_map_of_the_photos_shape_is_brought_to_its_size() -> None:
    assert fit((300, 400), (600, 800)).size == (600, 800)
    assert fit((300, 400), (600, 800)).pixels.unique().tolist() == [2]
    assert fit((333, 500), (667, 1000)).size == (667, 1000)
    assert fit((600, 800), (75, 100)).size == (75, 100)


@pytest.mark.parametrize("size", [(800, 600), (600, 810), (600, 600)])
def test_a_map_of_another_shape_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(GeometryError, match=r"d.pfm is \d+ x \d+, which is of another shape than p.jpg, 800 x 600"):
        fit(size, (600, 800))
