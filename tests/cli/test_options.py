from typing import get_args

import pytest

from stereodiffusion.cli import choices, options
from stereodiffusion.cli.options import common, parse_size
from stereodiffusion.config import PrecisionChoice, SolverName, SpacingName, preset
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.formats import OUTPUT_FORMATS, MapKind, Unknown
from stereodiffusion.pair import Extra


def settled(**changes: object) -> options.Common:
    settings: dict[str, object] = {
        "preset_name": "fast",
        "steps": None,
        "solver": None,
        "spacing": None,
        "guidance": None,
        "max_disparity": None,
        "convergence": None,
        "formats": ["sbs"],
        "also": [],
        "dtype": "float32",
        "seed": 0,
    }
    return common("text", **(settings | changes))  # pyright: ignore[reportArgumentType]


def test_the_choices_are_those_of_the_modules_that_own_them() -> None:
    assert tuple(OUTPUT_FORMATS) == choices.FORMATS
    assert get_args(Extra) == choices.EXTRAS
    assert get_args(MapKind) == choices.MAP_KINDS
    assert get_args(Unknown) == choices.UNKNOWNS
    assert get_args(PrecisionChoice) == choices.DTYPES
    assert get_args(SolverName) == choices.SOLVERS
    assert get_args(SpacingName) == choices.SPACINGS


def test_a_preset_is_left_as_it_is() -> None:
    assert settled().config == preset("fast", "text")
    assert not settled().deepened


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
        ({"dtype": "float8"}, ConfigError, "--dtype must be one of auto, float32, float16, bfloat16, got 'float8'"),
        ({"seed": -1}, ConfigError, "--seed must be a whole number from 0"),
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
