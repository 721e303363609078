"""Displays turn parallax into angles and distances, and back; what is fitted into a zone of comfort lies in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stereodiffusion.comfort import bounds_of, fit
from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import DISPLAYS, Display
from stereodiffusion.settings.display import EYES_M

displays = st.sampled_from(list(DISPLAYS.values()))
parallaxes = st.floats(-0.2, 0.3)


@given(display=displays, parallax=parallaxes)
def test_angles_and_distances_have_inverses(display: Display, parallax: float) -> None:
    assert display.parallax_of(display.degrees(parallax)) == pytest.approx(parallax, abs=1e-12)
    assert display.parallax_at(display.vergence(parallax)) == pytest.approx(parallax, abs=1e-12)


@given(display=displays, parallax=st.floats(0.001, 0.1))
def test_vergence_is_where_the_lines_of_sight_meet(display: Display, parallax: float) -> None:
    """Similar triangles: both eyes' lines through their points of the picture meet at one distance."""
    eye = EYES_M / 2
    axis = 0.0 if display.zero == "screen" else eye  # where each eye's picture has its middle
    left_at, right_at = -axis + parallax * display.width_m / 2, axis - parallax * display.width_m / 2
    closing = ((left_at + eye) - (right_at - eye)) / display.distance_m  # of the two lines, per metre
    assert display.vergence(parallax) == pytest.approx(closing / EYES_M)


def test_parallax_zero_is_on_the_screen_or_at_infinity() -> None:
    assert DISPLAYS["monitor"].vergence(0) == pytest.approx(1 / 0.6)
    assert DISPLAYS["phone"].vergence(0) == 0
    # The eyes' axes are parallel where what is behind the screen is as far apart as the eyes are.
    assert DISPLAYS["cinema"].vergence(-0.063 / 12) == pytest.approx(0)


def test_fields_of_view() -> None:
    assert DISPLAYS["phone"].degrees(1) == pytest.approx(80)
    assert DISPLAYS["headset"].degrees(1) == pytest.approx(40)
    assert DISPLAYS["monitor"].width_m == pytest.approx(0.598, abs=1e-3)


def test_the_zone_of_shibata_and_others() -> None:
    """With the eyes focused at half a metre, comfort reaches from 1.380 to 2.537 dioptres."""
    display = Display(width_m=0.5, distance_m=0.5)
    bounds = bounds_of(display)
    assert display.vergence(bounds.farthest) == pytest.approx((2 - 0.442) / 1.129)
    assert display.vergence(bounds.nearest) == pytest.approx((2 + 0.626) / 1.035)
    # At ten metres its far end lies beyond infinity, which no parallax may reach.
    assert Display(width_m=5, distance_m=10).vergence(bounds_of(Display(width_m=5, distance_m=10)).farthest) == 0


@given(display=displays, one=parallaxes, other=parallaxes, at_sides=st.none() | parallaxes)
def test_what_is_fitted_fits(display: Display, one: float, other: float, at_sides: float | None) -> None:
    farthest, nearest, bounds = min(one, other), max(one, other), bounds_of(display)
    fitted = fit(farthest, nearest, display, at_sides=at_sides)
    assert 0 < fitted.factor <= 1
    assert fitted.factor * farthest - fitted.shift >= bounds.farthest - 1e-9
    assert fitted.factor * nearest - fitted.shift <= bounds.nearest + 1e-9


@given(display=displays, places=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_what_fits_stays(display: Display, places: tuple[float, float]) -> None:
    bounds, held = bounds_of(display), 0.97
    farthest, nearest = (
        bounds.farthest + (0.01 + held * place) * (bounds.nearest - bounds.farthest) for place in sorted(places)
    )
    fitted = fit(farthest, nearest, display)
    assert (fitted.factor, fitted.shift) == (1, pytest.approx(0, abs=1e-12))


def test_the_screen_is_moved_to_what_the_frame_cuts() -> None:
    fitted = fit(0.0, 0.03, DISPLAYS["monitor"], at_sides=0.01)
    assert (fitted.factor, fitted.shift) == (1, pytest.approx(0.01))
    # ... but not so far that what is behind takes more than half of the zone there.
    fitted = fit(0.0, 0.03, DISPLAYS["monitor"], at_sides=0.03)
    assert fitted.shift == pytest.approx(-bounds_of(DISPLAYS["monitor"]).farthest / 2)


@pytest.mark.parametrize("wrong", [{"width_m": 0.0}, {"distance_m": -1.0}, {"width_m": float("nan")}])
def test_no_such_display(wrong: dict[str, Any]) -> None:
    sound: dict[str, Any] = {"width_m": 1.0, "distance_m": 1.0}
    with pytest.raises(ConfigError, match="must be positive metres"):
        Display(**(sound | wrong))
