"""What says how much parallax there is and what lies on the screen excludes what says it otherwise."""

from typing import Any

import pytest

from stereodiffusion.errors import ConfigError
from stereodiffusion.request import TextRequest
from stereodiffusion.settings import DISPLAYS, Settings
from stereodiffusion.settings.plain import from_plain
from stereodiffusion.settings.presets import preset


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"parallax.budget_percent": 2.0, "parallax.budget_degrees": 1.0, "viewing.display": "tv"},
            "exclude each other",
        ),
        ({"parallax.budget_percent": -1.0}, r"parallax.budget_percent must be in \[0, 50\], got -1"),
        ({"parallax.budget_degrees": 1.0}, "parallax.budget_degrees needs a display"),
        ({"parallax.budget_degrees": 50.0, "viewing.display": "tv"}, "at most half of the width"),
        ({"parallax.convergence": 0.1, "parallax.convergence_percentile": 50.0}, "exclude each other: one thing"),
        ({"parallax.convergence": "auto", "parallax.convergence_at": [0.5, 0.5]}, "exclude each other: one thing"),
        ({"parallax.convergence": "middle"}, "parallax.convergence"),
        ({"parallax.convergence_percentile": 101.0}, r"must be in \[0, 100\], got 101"),
        ({"parallax.convergence_at": [0.5, 1.5]}, "two fractions of the sides"),
        ({"parallax.convergence_at": [0.5]}, "parallax.convergence_at"),
        ({"parallax.curve": [0, 0.7, 0.6, 1]}, "never fall and end with 1, got 0, 0.7, 0.6, 1"),
        ({"parallax.curve": [0.1, 1]}, "must begin with 0"),
        ({"parallax.curve": []}, "got nothing"),
        ({"viewing.comfort": "fit"}, "viewing.comfort fit needs a display"),
        ({"viewing.width_m": 1.0, "viewing.comfort": "fit"}, "belong together, got one of them"),
        ({"viewing.display": "tv", "viewing.width_m": 1.0, "viewing.distance_m": 1.0}, "has its own width"),
        ({"viewing.width_m": 1.0, "viewing.distance_m": 0.0}, "must be positive metres, got 0"),
        ({"viewing.display": "wall"}, "viewing.display must be one of phone, headset"),
    ],
)
def test_what_excludes_each_other_or_is_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        preset("best", "text").changed(changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parallax.max_disparity": 0.05, "parallax.budget_percent": 2.0}, "the depth budget says how much"),
        ({"viewing.display": "tv"}, "nothing asks what the display is"),
        ({"viewing.width_m": 1.0, "viewing.distance_m": 1.0}, "nothing asks what the display is"),
    ],
)
def test_what_would_have_no_effect_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=f"would have no effect: {reason}"):
        TextRequest(prompt="a ball", changes=changes)


def test_one_picture_at_a_time() -> None:
    with pytest.raises(ConfigError, match="expected one prompt, got several"):
        TextRequest(prompt=("a ball", "a box"), changes={"parallax.convergence": "auto"})


def test_it_goes_to_json_and_back() -> None:
    changes = {
        "parallax.budget_degrees": 1.5,
        "parallax.convergence_at": [0.25, 0.5],
        "parallax.curve": [0, 0.25, 1],
        "viewing.display": "cinema",
        "viewing.comfort": "fit",
    }
    asked = preset("best", "photo").changed(changes)
    assert from_plain(Settings, asked.plain()) == asked
    assert asked.viewing.screen == DISPLAYS["cinema"]
    assert asked.parallax.curve == (0, 0.25, 1)


def test_a_straight_curve_is_plain_however_it_is_said() -> None:
    for curve in ([0, 1], [0, 0.5, 1], [0, 0.25, 0.5, 0.75, 1]):
        assert not preset("best", "text").changed({"parallax.curve": curve}).looks_at_map
    assert preset("best", "text").changed({"parallax.curve": [0, 0.4, 1]}).looks_at_map


def test_the_screen_is_a_number_only_once_it_is_found() -> None:
    with pytest.raises(ConfigError, match="has yet to be found"):
        _ = preset("best", "text").changed({"parallax.convergence": "auto"}).parallax.zero
