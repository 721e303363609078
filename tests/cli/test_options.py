from dataclasses import replace
from typing import get_args

import pytest

from stereodiffusion.cards import find_card
from stereodiffusion.cli import choices
from stereodiffusion.cli.checking import Common, common, parse_positions, parse_size
from stereodiffusion.config import PrecisionChoice, Refinement, SolverName, SpacingName, preset
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.formats import OUTPUT_FORMATS, MapKind
from stereodiffusion.formats.maps import UnknownName
from stereodiffusion.pair import Extra
from stereodiffusion.viewpoint import EYES, Source
from stereodiffusion.views import ViewFormat


def settled(**changes: object) -> Common:
    settings: dict[str, object] = {
        "model": "sd1.5",
        "preset_name": "fast",
        "steps": None,
        "solver": None,
        "spacing": None,
        "guidance": None,
        "max_disparity": None,
        "convergence": None,
        "source": "left",
        "views": None,
        "baselines": None,
        "formats": [],
        "also": [],
        "dtype": "float32",
        "seed": 0,
    }
    return common("text", **(settings | changes))  # pyright: ignore[reportArgumentType]


def test_the_choices_are_those_of_the_modules_that_own_them() -> None:
    assert tuple(OUTPUT_FORMATS) == choices.FORMATS
    assert get_args(ViewFormat) == choices.VIEW_FORMATS
    assert get_args(Source) == tuple(EYES) == choices.SOURCES
    assert get_args(Extra) == choices.EXTRAS
    assert get_args(MapKind) == choices.MAP_KINDS
    assert get_args(UnknownName) == choices.UNKNOWNS
    assert get_args(PrecisionChoice) == choices.DTYPES
    assert get_args(SolverName) == choices.SOLVERS
    assert get_args(SpacingName) == choices.SPACINGS
    assert get_args(Refinement) == choices.REFINEMENTS


def test_a_preset_is_left_as_it_is() -> None:
    assert settled().config == preset("fast", "text")
    assert not settled().deepened
    assert settled().formats == ("sbs",)


def test_the_models_guidance_is_taken_unless_one_is_given() -> None:
    toybox = find_card("toybox")
    assert toybox is not None
    assert toybox.guidance is not None
    assert settled(model="toybox").config == replace(preset("fast", "text"), guidance=toybox.guidance)
    assert settled(model="toybox").photo == preset("fast", "photo")
    assert settled(model="toybox", preset_name="paper").config.guidance == 9
    assert settled(model="toybox", guidance=7.0).config.guidance == 7


def test_single_settings_change_the_preset() -> None:
    config = settled(preset_name="paper", steps=20, guidance=3.0, max_disparity=0.1, convergence=0.02).config
    assert (config.steps, config.guidance, config.max_disparity, config.convergence) == (20, 3.0, 0.1, 0.02)
    assert config.splat == preset("paper", "text").splat


def test_crops_are_a_setting_of_best() -> None:
    assert settled(preset_name="best", crops=12).config.crops == 12
    assert settled(preset_name="best").config == preset("best", "text")


def test_lists_come_repeated_and_with_commas() -> None:
    given = settled(formats=["anaglyph, mpo", "anaglyph", "eyes"], also=["left,right", "disparity"])
    assert given.formats == ("anaglyph", "mpo", "eyes")
    assert given.also == ("left", "right", "disparity")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"preset_name": "slow"}, ConfigError, "--preset must be one of paper, fast"),
        ({"steps": 1}, ConfigError, "steps must be at least 2, got 1"),
        ({"solver": "euler"}, ConfigError, r"--solver must be one of ddim, dpm\+\+, lcm, got 'euler'"),
        ({"spacing": "even"}, ConfigError, "--spacing must be one of leading, trailing, got 'even'"),
        ({"guidance": 0.5}, ConfigError, "guidance must be finite and at least 1"),
        ({"max_disparity": 8.0}, ConfigError, r"max_disparity must be a fraction of the width in \[0, 0.5\], got 8.0"),
        ({"convergence": 3.0}, ConfigError, "convergence must be a fraction"),
        ({"crops": 4}, ConfigError, "crops are made where pixels are moved, as by preset 'best'"),
        ({"preset_name": "best", "crops": -1}, ConfigError, "crops must be at least 0, got -1"),
        ({"refine": "some"}, ConfigError, "--refine must be one of off, estimated, all, got 'some'"),
        ({"dtype": "float8"}, ConfigError, "--dtype must be one of auto, float32, float16, bfloat16, got 'float8'"),
        ({"seed": -1}, ConfigError, "--seed must be a whole number from 0"),
        ({"source": "center"}, ConfigError, "--source must be one of left, right, centre, got 'center'"),
        ({"source": "right", "preset_name": "paper"}, ConfigError, "choose fast or best"),
        ({"views": 3, "preset_name": "paper"}, ConfigError, "choose fast or best"),
        ({"views": 3, "formats": ["sbs"]}, FormatError, "several views go into views and quilt, got --format sbs"),
        ({"formats": ["quilt"]}, FormatError, "--format quilt is for several views"),
        ({"views": 3, "also": ["left"]}, FormatError, "--also is for a pair, not for several views, got left"),
        ({"formats": ["hologram"]}, FormatError, "--format must be one or several of sbs, .* got 'hologram'"),
        ({"also": ["depth"]}, FormatError, "--also must be one or several of disparity, .* got 'depth'"),
    ],
)
def test_what_is_out_of_range_is_refused(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        settled(**changes)


def test_sizes() -> None:
    assert parse_size(None) is None
    assert parse_size("256x384") == (256, 384)
    for wrong in ("256", "x", "256x", "-8x8", "256*384", "1e2x8"):
        with pytest.raises(ConfigError, match="--size must be height x width in pixels, such as 256x384"):
            parse_size(wrong)


def test_views_are_spread_between_the_eyes_or_between_baselines() -> None:
    assert parse_positions("left", None, None) is None
    assert parse_positions("left", 3, None) == (0.0, 0.5, 1.0)
    assert parse_positions("right", 3, None) == (-1.0, -0.5, 0.0)
    assert parse_positions("centre", 3, None) == (-0.5, 0.0, 0.5)
    assert parse_positions("left", None, "0.25, 0.5,1") == (0.25, 0.5, 1.0)
    assert parse_positions("left", 5, "-1,1") == (-1.0, -0.5, 0.0, 0.5, 1.0)
    assert settled(views=2).formats == ("views",)
    assert settled(views=2, formats=["quilt,views"]).formats == ("quilt", "views")
    for wrong in ("", "1,0.5", "0,0", "a", "nan", "inf"):
        with pytest.raises(ConfigError, match=f"--baselines must be numbers from left to right.* got '{wrong}'"):
            parse_positions("left", None, wrong)
    with pytest.raises(ConfigError, match="leave out --source centre"):
        parse_positions("centre", None, "0.5")
    with pytest.raises(ConfigError, match="at least two views to spread, got 1"):
        parse_positions("left", 1, None)
