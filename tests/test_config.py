"""Presets say what the paper and its authors' code do; impossible settings are refused."""

from dataclasses import replace
from typing import Any

import pytest

from stereodiffusion.config import StereoConfig, preset, preset_names
from stereodiffusion.errors import ConfigError


def test_paper_is_the_authors_code() -> None:
    text, photo = preset("paper", "text"), preset("paper", "photo")
    assert (text.steps, text.guidance, text.timestep_offset) == (50, 9.0, 1)
    assert (photo.steps, photo.guidance, photo.timestep_offset, photo.inversion) == (50, 7.5, 0, "null-text")
    assert text.shift_index == 10
    assert text.resync_indices == {20, 30, 40}
    assert list(text.attention_indices) == list(range(10, 50))
    assert text.max_disparity == 0.08
    assert not text.deblur


@pytest.mark.parametrize("steps", [2, 3, 4, 10, 25, 50, 100, 999])
@pytest.mark.parametrize("name", preset_names())
def test_moments_scale_with_the_steps(steps: int, name: Any) -> None:
    config = replace(preset(name, "text"), steps=steps)
    assert 0 <= config.shift_index < steps - 1
    assert all(config.shift_index < index < steps for index in config.resync_indices)
    most = 4 if config.resync == "copy" else 40  # every fifth of the steps, or every fiftieth
    assert len(config.resync_indices) <= most


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 1}, "steps must be at least 2, got 1"),
        ({"guidance": 0.5}, "guidance must be finite and at least 1"),
        ({"guidance": float("nan")}, "guidance must be finite and at least 1, got nan"),
        ({"guidance": float("inf")}, "guidance must be finite and at least 1, got inf"),
        ({"max_disparity": 8.0}, "fraction of the width"),
        ({"convergence": 5}, "fraction of the width"),
        ({"shift_at": 1.0}, "leaves no step"),
        ({"shift_at": -0.1}, "shift_at must be a fraction"),
        ({"resync_every": 0.0}, "resync_every must be above 0"),
        ({"attention_from": 2}, "attention_from must be a fraction"),
        ({"attention": "bidirectional"}, "needs left='joint'"),
        ({"inversion": "null-text"}, "needs left='joint'"),
        ({"right_every": 3}, "right_every must be a fraction"),
        ({"right_every": 0.06, "left": "joint"}, "right_every needs left='recorded'"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        StereoConfig(**wrong)


def test_unknown_presets_and_modes_are_refused() -> None:
    with pytest.raises(ConfigError, match="preset must be one of paper, fast, best, got 'quick'"):
        preset("quick", "text")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="mode must be one of"):
        preset("fast", "video")  # type: ignore[arg-type]
