"""Each rule is broken by a pair that breaks it and nothing else, and a pair without faults breaks none."""

from collections.abc import Callable
from dataclasses import dataclass
from math import atan, degrees
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stereodiffusion.comfort import Measured, broken_rules, measure, measure_by_matching, report_on
from stereodiffusion.comfort.measuring import steepness
from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, splat
from stereodiffusion.settings import DISPLAYS, DisplayName

HEIGHT, WIDTH = 120, 200


def texture(*, coarse: int = 1) -> Tensor:
    small = torch.rand(1, 3, HEIGHT // coarse, WIDTH // coarse, generator=torch.Generator().manual_seed(0))
    picture = functional.interpolate(small, (HEIGHT, WIDTH), mode="bicubic", align_corners=False)
    return 0.2 + 0.6 * picture.clamp(0, 1)


def flat(share: float) -> Disparity:
    """All of it at one parallax, a fraction of the width."""
    pixels = torch.full((1, 1, HEIGHT, WIDTH), float(share * WIDTH))
    return Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool))


def dome(share: float) -> Disparity:
    """A smooth hill in the middle, before a wall on the screen."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT) - HEIGHT / 2, torch.arange(WIDTH) - WIDTH / 2, indexing="ij")
    height = (1 - (rows**2 + columns**2).sqrt() / 55).clamp(0, 0.5) * 2
    return Disparity.from_pixels(height * share * WIDTH)


def bands(share: float) -> Disparity:
    """Bands across the picture, on the screen and behind it in turn, each 4 % of the width high."""
    behind = (torch.arange(HEIGHT) // 8 % 2 * -share * WIDTH)[:, None].expand(HEIGHT, WIDTH)
    pixels = behind.float().contiguous()[None, None]
    return Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool))


def pair(disparity: Disparity) -> Measured:
    """Both eyes of a texture that has the disparity."""
    left = texture()
    warped = splat(left, disparity)
    return measure(left, torch.where(warped.occlusion, texture(), warped.view), disparity, occlusion=warped.occlusion)


def retouched(change: Callable[[Tensor], Tensor]) -> Measured:
    """Both eyes see one picture a little behind the screen, but the right eye's is changed."""
    left = texture(coarse=4)
    return measure(left, change(left.roll(1, dims=3)).clamp(0, 1), flat(-1 / WIDTH))


def higher() -> Measured:
    """The right eye's picture is two rows higher."""
    left = texture(coarse=8)
    return measure_by_matching(left, left.roll(-2, dims=2))


def blurred(picture: Tensor) -> Tensor:
    return functional.avg_pool2d(picture, 5, stride=1, padding=2, count_include_pad=False)


CASES: list[tuple[str, DisplayName, Callable[[], Measured]]] = [
    ("divergence", "cinema", lambda: pair(flat(-0.01))),
    ("too near", "monitor", lambda: pair(dome(0.045))),
    ("too far", "monitor", lambda: pair(flat(-0.045))),
    ("gradient", "monitor", lambda: pair(bands(0.027))),
    ("window", "monitor", lambda: pair(flat(0.01))),
    ("vertical", "monitor", higher),
    ("colour", "monitor", lambda: retouched(lambda right: right * torch.tensor([1.2, 1.0, 0.9]).view(3, 1, 1))),
    ("sharpness", "monitor", lambda: retouched(blurred)),
]


@pytest.mark.parametrize(("rule", "display", "made"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_is_broken_alone(rule: str, display: DisplayName, made: Callable[[], Measured]) -> None:
    (finding,) = broken_rules(made(), DISPLAYS[display])
    assert finding.rule == rule
    assert 1 <= finding.cost <= 40


@pytest.mark.parametrize("display", DISPLAYS)
def test_what_strains_nobody(display: DisplayName) -> None:
    """Behind a screen that is shared; before infinity in a viewer with lenses."""
    shown = flat(0.02) if DISPLAYS[display].zero == "infinity" else flat(-0.004)
    report = report_on(pair(shown), DISPLAYS[display], display)
    assert (report.score, list(report.findings), report.change) == (100, [], None)


def test_more_of_a_fault_costs_more() -> None:
    costs = [broken_rules(pair(dome(share)), DISPLAYS["monitor"])[0].cost for share in (0.04, 0.05, 0.06)]
    assert costs == sorted(set(costs))


def test_where_the_window_is_violated() -> None:
    disparity = torch.zeros(HEIGHT, WIDTH)
    disparity[60:90, 170:] = 4  # from half of the height to three quarters, at the right side
    report = report_on(pair(Disparity.from_pixels(disparity)), DISPLAYS["monitor"], "monitor")
    (finding,) = report.findings
    assert "right (50% to 75% of the height, up to 2.0% of the width before the screen)" in finding.text
    assert "left" not in finding.text


def test_parallax_is_reported_in_pixels_fractions_and_degrees() -> None:
    report = report_on(pair(flat(-0.02)), DISPLAYS["tv"], "tv")
    for each in report.parallax:
        assert each.pixels == pytest.approx(-4)
        assert each.fraction == pytest.approx(-0.02)
        assert each.degrees == pytest.approx(degrees(2 * atan(-0.02 * 1.439 / 2 / 2.5)), rel=1e-3)


def test_matching_finds_the_parallax_that_was_made() -> None:
    disparity = dome(0.04)
    exact = pair(disparity)
    left = texture()
    warped = splat(left, disparity)
    matched = measure_by_matching(left, torch.where(warped.occlusion, texture(), warped.view))
    assert (exact.exact, matched.exact) == (True, False)
    for percent in (1, 50, 95, 99):
        assert matched.percentile(percent) == pytest.approx(exact.percentile(percent), abs=0.5 / WIDTH)


def test_a_floating_window_mends_the_window() -> None:
    left, disparity = texture(), flat(0.01)
    right = left.roll(-2, dims=3)
    assert [each.rule for each in broken_rules(measure(left, right, disparity), DISPLAYS["tv"])] == ["window"]
    left[..., :2], right[..., -2:] = 0, 0
    assert broken_rules(measure(left, right, disparity, bars=(2, 2)), DISPLAYS["tv"]) == ()


@dataclass(frozen=True)
class Steep:
    """The share of steep points, cell by cell, as Burt and Julesz define the gradient."""

    pixels: Tensor

    def share(self, step: int) -> float:
        height, width = self.pixels.shape
        steep = asked = 0
        for row in range(height):
            for column in range(width):
                others = [(row, column + step), (row + step, column)]
                there = [place for place in others if place[0] < height and place[1] < width]
                asked += bool(there)
                steep += any(self._gradient((row, column), other) > 1 for other in there)
        return steep / asked

    def _gradient(self, one: tuple[int, int], other: tuple[int, int]) -> float:
        apart = complex(self._cyclopean(*one)) - complex(self._cyclopean(*other))
        rise = abs(float(self.pixels[one] - self.pixels[other]))
        return rise / abs(apart) if apart else float("inf") if rise else 0.0

    def _cyclopean(self, row: int, column: int) -> complex:
        """Midway between x in the left picture and x - d in the right."""
        return complex(column - float(self.pixels[row, column]) / 2, row)


def test_the_disparity_gradient_is_burts_and_juleszs() -> None:
    pixels = 3 * torch.rand(9, 100, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = steepness(Disparity.from_pixels(pixels), torch.ones(1, 1, 9, 100, dtype=torch.bool))
    assert 0.1 < found < 0.9
    assert found == pytest.approx(Steep(pixels).share(2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((texture(), texture()[..., :-1], flat(0)), "two eyes of one size"),
        ((texture().expand(2, -1, -1, -1), texture().expand(2, -1, -1, -1), flat(0)), "one pair, got a batch of 2"),
        ((texture(), texture(), flat(0).resize(60, 100)), "its disparity"),
    ],
)
def test_what_is_no_pair(arguments: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)  # as outside of the tests
    with pytest.raises(GeometryError, match=message):
        measure(*arguments)


def test_two_pictures_that_have_nothing_in_common() -> None:
    with pytest.raises(GeometryError, match="are these two eyes of one scene"):
        measure_by_matching(torch.full((1, 3, 64, 64), 0.5), torch.full((1, 3, 64, 64), 0.5))
