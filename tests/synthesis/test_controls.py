"""What is asked of the scene and the viewer is what the pair has."""

from collections.abc import Generator, Mapping
from typing import Any

import pytest
import torch
from tests.making import depth_pair, photo_pair
from torch import Tensor

from stereodiffusion.comfort import bounds_of, measure_pair, report_on
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity, StereoRig
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.request.inputs import MapFile
from stereodiffusion.settings import DISPLAYS, Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.controls import Controlled, controlled
from stereodiffusion.synthesis.parallax import effective
from stereodiffusion.synthesis.run import Note, Run

FEW: Mapping[str, Any] = {"sampling.steps": 4}
PHOTO, DEPTH = (preset("best", mode).changed(FEW) for mode in ("photo", "depth"))
SCALES = ["metric", "normalized"]


def settle(work: Generator[Note, None, Controlled]) -> tuple[Controlled, list[str]]:
    said: list[str] = []
    while True:
        try:
            said.append(next(work).text)
        except StopIteration as finished:
            return finished.value, said


def shown(pixels: Tensor, changes: Mapping[str, Any], picture: Tensor | None = None) -> Disparity:
    """The disparity of a pair that is made with such changes."""
    ready, _ = settle(controlled(Disparity.from_pixels(pixels), picture, PHOTO.changed(changes)))
    return effective(ready.disparity, ready.settings.parallax)


def test_without_such_wishes_nothing_is_touched(disparity_px: Tensor) -> None:
    disparity, config = Disparity.from_pixels(disparity_px), PHOTO.changed({"parallax.convergence": 0.02})
    ready, said = settle(controlled(disparity, None, config))
    assert ready.disparity is disparity
    assert ready.settings is config
    assert said == []


@pytest.mark.parametrize("scale", SCALES)
def test_a_budget_is_the_whole_relief(disparity_px: Tensor, scale: str) -> None:
    for changes, share in (
        ({"parallax.budget_percent": 3.0}, 0.03),
        ({"parallax.budget_degrees": 1.0, "viewing.display": "tv"}, DISPLAYS["tv"].parallax_of(1)),
        ({"parallax.budget_degrees": 1.0, "viewing.width_m": 2.0, "viewing.distance_m": 3.0}, 0.02618),
    ):
        found = shown(disparity_px, {"parallax.scale": scale, **changes}).pixels
        assert float(found.max() - found.min()) == pytest.approx(share * 160, rel=1e-4)
    # It scales about infinity, as another baseline does.
    assert float(shown(disparity_px, {"parallax.budget_percent": 3.0}).pixels.min()) == pytest.approx(4.8 / 15)


@pytest.mark.parametrize("scale", SCALES)
def test_a_point_of_the_picture_lies_on_the_screen(disparity_px: Tensor, scale: str) -> None:
    found = shown(disparity_px, {"parallax.scale": scale, "parallax.convergence_at": [0.5, 0.4]})
    assert float(found.pixels[0, 0, 38, 80]) == pytest.approx(0, abs=1e-5)
    corner = shown(disparity_px, {"parallax.convergence_at": [1.0, 1.0]})
    assert float(corner.pixels[0, 0, -1, -1]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("percent", "behind"), [(0, 0.0), (25, 0.25), (50, 0.5), (100, 0.92)])
def test_a_percentile_lies_on_the_screen(disparity_px: Tensor, percent: float, behind: float) -> None:
    found = shown(disparity_px, {"parallax.convergence_percentile": percent}).pixels
    assert float((found < -1e-4).double().mean()) == pytest.approx(behind, abs=0.02)


def test_what_people_look_at_lies_on_the_screen(disparity_px: Tensor, photo: Tensor) -> None:
    for picture in (photo, None):
        found = shown(disparity_px, {"parallax.convergence": "auto"}, picture)
        assert float(found.pixels[0, 0, 45, 80]) == pytest.approx(0, abs=1e-5)  # the box


@pytest.mark.parametrize("scale", SCALES)
def test_a_curve_moves_what_is_between(disparity_px: Tensor, scale: str) -> None:
    straight = shown(disparity_px, {"parallax.scale": scale, "parallax.curve": [0, 0.5, 1]}).pixels
    curved = shown(disparity_px, {"parallax.scale": scale, "parallax.curve": [0, 0.8, 1]}).pixels
    plain = shown(disparity_px, {"parallax.scale": scale}).pixels
    assert torch.equal(straight, plain)
    assert float(curved[0, 0, 95, 0]) > float(plain[0, 0, 95, 0]) + 0.5
    assert (float(curved.min()), float(curved.max())) == pytest.approx((float(plain.min()), float(plain.max())))


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.parametrize("scale", SCALES)
def test_comfort_fits_a_display(disparity_px: Tensor, display: Any, scale: str) -> None:
    asked = {
        "viewing.comfort": "fit",
        "viewing.display": display,
        "parallax.scale": scale,
        "parallax.max_disparity": 0.3,
    }
    ready, said = settle(controlled(Disparity.from_pixels(3 * disparity_px), None, PHOTO.changed(asked)))
    found, bounds = effective(ready.disparity, ready.settings.parallax), bounds_of(DISPLAYS[display])
    assert float(found.percentile(1)) / 160 >= bounds.farthest - 1e-6
    assert float(found.percentile(99)) / 160 <= bounds.nearest + 1e-6
    (line,) = said
    assert line.startswith(f"comfort: for {display} parallax times 0.")
    again, said = settle(controlled(ready.disparity, None, ready.settings.changed({"viewing.comfort": "fit"})))
    assert said == [f"comfort: fits {display} as it is"]
    assert torch.equal(again.disparity.pixels, ready.disparity.pixels)


def test_a_batch_has_no_one_answer(disparity_px: Tensor) -> None:
    with pytest.raises(ConfigError, match="make them one by one, got a batch of 2"):
        shown(disparity_px.expand(2, -1, -1), {"parallax.budget_percent": 3.0})


def made(
    backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor, config: Settings
) -> tuple[Disparity, Tensor, Run]:
    run = Run(photo_pair(backbone, photo, Disparity.from_pixels(disparity_px), settings=config))
    return run.result.disparity, run.result.right, run


def test_a_photos_pair_has_what_was_asked(text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor) -> None:
    """The same pair as with the numbers spelled out."""
    asked = {"parallax.budget_percent": 4.0, "parallax.convergence_percentile": 50.0}
    found, right, run = made(text_backbone, photo, disparity_px, PHOTO.changed(asked))
    factor = 0.04 * 160 / 15
    zero = factor * float(Disparity.from_pixels(disparity_px).percentile(50)) / 160
    spelled = PHOTO.changed({"parallax.convergence": zero})
    _, expected, _ = made(text_backbone, photo, factor * disparity_px, spelled)
    assert float(found.pixels.max() - found.pixels.min()) == pytest.approx(6.4)
    assert torch.allclose(right, expected, atol=1e-5)
    resolved: Any = run.result.provenance["settings"]
    assert resolved["parallax"]["convergence"] == pytest.approx(zero)
    assert resolved["parallax"]["budget_percent"] is None


def test_a_fitted_pair_is_comfortable(text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor) -> None:
    config = PHOTO.changed({"viewing.comfort": "fit", "viewing.display": "monitor"})
    _, _, run = made(text_backbone, photo, 2 * disparity_px, config)
    report = report_on(measure_pair(run.result), DISPLAYS["monitor"], "monitor")
    assert {"too near", "too far", "divergence", "window"}.isdisjoint(each.rule for each in report.findings)
    assert [line for line in run.notes if line.startswith("comfort: for monitor")]


def test_what_is_drawn_from_a_map_stays_whatever_is_asked_of_its_parallax(
    depth_backbone: StableDiffusion, disparity_px: Tensor
) -> None:
    disparity = Disparity.from_pixels(disparity_px)
    plain = Run(depth_pair(depth_backbone, disparity, ["a box"], settings=DEPTH)).result
    for changes in (
        {"parallax.curve": [0, 0.8, 1]},
        {"parallax.budget_percent": 2.0, "parallax.convergence": "auto"},
        {"viewing.comfort": "fit", "viewing.display": "monitor"},
    ):
        pair = Run(depth_pair(depth_backbone, disparity, ["a box"], settings=DEPTH.changed(changes))).result
        assert torch.equal(pair.left, plain.left)
        assert not torch.allclose(pair.disparity.pixels, plain.disparity.pixels)


def test_a_field_of_view_is_a_focal_length() -> None:
    rig = StereoRig.with_view(90, 0.065, 400)
    assert rig.focal_px == pytest.approx(200)  # at 90 degrees the picture is twice as wide as it is far away
    assert MapFile(path="m.npy", kind="depth-m", fov_degrees=60, baseline_m=0.065).has_camera
    wrongs: list[dict[str, Any]] = [
        {"fov_degrees": 60.0},
        {"fov_degrees": 60.0, "focal_px": 9.0, "baseline_m": 1.0},
        {"baseline_m": 0.1},
    ]
    for wrong in wrongs:
        with pytest.raises(ConfigError, match=r"belong together|say the same"):
            MapFile(path="m.npy", kind="depth-m", **wrong)
    with pytest.raises(ConfigError, match="between 0 and 180, got 180"):
        MapFile(path="m.npy", kind="depth-m", fov_degrees=180.0, baseline_m=1.0)
