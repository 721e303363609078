"""Presets say what the paper and its authors' code do; what is impossible cannot be written."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given, reject
from hypothesis import settings as examples
from hypothesis import strategies as st
from tests import tiny

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import Mode, Settings
from stereodiffusion.settings.plain import from_plain, setting_names
from stereodiffusion.settings.presets import preset, preset_names

ALL = [preset(name, mode) for name in preset_names() for mode in get_args(Mode)]


def test_paper_is_the_authors_code() -> None:
    text, photo = preset("paper", "text"), preset("paper", "photo")
    assert (text.sampling.steps, text.guidance.scale, text.sampling.offset) == (50, 9.0, 1)
    assert (photo.sampling.steps, photo.guidance.scale, photo.sampling.offset) == (50, 7.5, 0)
    assert photo.null_text
    assert not text.null_text
    assert text.together
    assert photo.together
    assert text.shift_index == 10
    assert text.resync_indices == {20, 30, 40}
    assert list(text.attention_indices) == list(range(10, 50))
    assert text.parallax.max_disparity == 0.08
    assert not text.shift.deblur


@pytest.mark.parametrize("steps", [2, 3, 4, 10, 25, 50, 100, 999])
@pytest.mark.parametrize("name", preset_names())
def test_moments_scale_with_the_steps(steps: int, name: Any) -> None:
    config = preset(name, "text").changed({"sampling.steps": steps})
    assert 0 <= config.shift_index < steps - 1
    assert all(config.shift_index < index < steps for index in config.resync_indices)
    most = 4 if config.views.resync.how == "copy" else 40  # every fifth of the steps, or every fiftieth
    assert len(config.resync_indices) <= most


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"sampling.steps": 1}, r"sampling\.steps must be at least 2, got 1"),
        ({"guidance.scale": 0.5}, r"guidance\.scale must be finite and at least 1"),
        ({"guidance.scale": float("nan")}, r"guidance\.scale must be finite and at least 1, got nan"),
        ({"guidance.scale": float("inf")}, r"guidance\.scale must be finite and at least 1, got inf"),
        ({"guidance.stop": 1.5}, r"guidance\.stop must be a fraction of the steps in \[0, 1\], got 1\.5"),
        ({"parallax.max_disparity": 8.0}, "fraction of the width"),
        ({"parallax.convergence": 5}, "fraction of the width"),
        ({"shift.at": 1.0}, r"shift\.at must be a fraction of the steps in \[0, 1\), got 1\.0"),  # no step is left
        ({"shift.at": -0.1}, r"shift\.at must be a fraction"),
        ({"views.resync.every": 0.0}, r"views\.resync\.every must be above 0"),
        ({"views.attention.start": 2}, r"views\.attention\.start must be a fraction"),
        ({"views.attention.mode": "bidirectional"}, "set views to together"),
        ({"views.inversion": "null-text"}, "there is no 'inversion' in views"),
        ({"views.every": 3}, r"views\.every must be a fraction"),
        ({"views.every": 0.06, "views": "together"}, "there is no 'every' in views"),
        ({"views.tokens_mb": -1.0}, r"views\.tokens_mb must be at least 0"),
        ({"views": "together", "views.tokens_mb": 100.0}, "there is no 'tokens_mb' in views"),
        ({"views": "together", "views.beyond": "recompute"}, "there is no 'beyond' in views"),
        ({"views": "together", "views.resync.how": "pixels"}, "set views to after-source"),
        ({"views.resync.how": "mixed", "sampling.solver": "dpm++"}, r"takes a step of DDIM again \(Eq\. 6\)"),
        (
            {"views": "together", "views.inversion": "null-text", "sampling.solver": "dpm++"},
            r"null-text inversion optimises steps of DDIM \(Eq\. 10\)",
        ),
        ({"picture.crops": 3}, "there is no 'crops' in picture"),
        ({"picture": "own-pixels", "picture.crops": 3}, r"picture\.crops needs views\.resync\.how pixels"),
        ({"views": "sideways"}, "views must be one of after-source, together, got 'sideways'"),
        ({"sampling.solver": "euler"}, r"sampling\.solver must be one of ddim, dpm\+\+, lcm, got 'euler'"),
        ({"sampling.offset": 2}, r"sampling\.offset must be one of 0, 1, got 2"),
        ({"sampling.steps": "5"}, r"sampling\.steps: input should be a valid integer, got '5'"),
        ({"sampling.steps.more": 5}, r"there is no setting 'sampling\.steps\.more'; there are sampling\.steps"),
        ({"steps": 5}, r"there is no setting 'steps'; there are sampling\.steps"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        tiny.settings({**wrong})


def test_unknown_presets_and_modes_are_refused() -> None:
    with pytest.raises(ConfigError, match="preset must be one of paper, fast, best, got 'quick'"):
        preset("quick", "text")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="mode must be one of"):
        preset("fast", "video")  # type: ignore[arg-type]


VALUES: dict[str, list[Any]] = {
    "sampling.steps": [2, 7],
    "sampling.solver": ["dpm++", "lcm"],
    "guidance.stop": [0.5],
    "shift.at": [0, 0.35],
    "views": ["after-source", "together"],
    "views.every": [0.1],
    "views.resync.how": ["off", "mixed", "pixels"],
    "views.attention.mode": ["off", "bidirectional"],
    "views.attention.places": [["mid"], []],
    "views.tokens_mb": [None, 5],
    "views.inversion": ["ddim", "null-text"],
    "picture": ["decoded", "own-pixels"],
    "picture.crops": [0, 4],
    "view_depth": ["same"],
}
CHANGES = st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=5).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(VALUES[name]) for name in names})
)


@examples(deadline=None, max_examples=100)  # the first example waits for imports
@given(st.sampled_from(ALL), CHANGES)
def test_plain_json_and_back_is_the_same(own: Settings, changes: dict[str, Any]) -> None:
    try:
        settings = own.changed(changes)
    except ConfigError:
        reject()
    plain = json.loads(json.dumps(settings.plain(), allow_nan=False))
    assert from_plain(Settings, plain) == settings
    assert settings.changed(changes) == settings
    assert hash(settings) == hash(own.changed(changes))


def test_a_change_leaves_the_others_as_they_are() -> None:
    best = preset("best", "photo")
    assert best.changed({}) == best
    changed = best.changed({"views.attention.stop": 0.9, "sampling.steps": 20})
    plain, was = changed.plain(), best.plain()
    assert (plain["views"]["attention"].pop("stop"), was["views"]["attention"].pop("stop")) == (0.9, 1.0)
    assert (plain["sampling"].pop("steps"), was["sampling"].pop("steps")) == (20, 10)
    assert plain == was
    assert best == preset("best", "photo")


@pytest.mark.parametrize("order", [1, -1])
def test_a_member_of_a_union_keeps_what_both_have(order: int) -> None:
    """In whichever order the changes are named."""
    changes = {"views": "together", "views.inversion": "null-text", "views.resync.how": "copy"}
    best = preset("best", "photo")
    together = best.changed(dict(list(changes.items())[::order]))
    assert together.together
    assert together.null_text
    assert together.views.attention == best.views.attention
    assert (together.views.resync.every, together.views.resync.until) == (0.02, 1.0)
    again = together.changed({"views": "after-source"})
    assert again.views.attention == best.views.attention
    assert not again.together
    assert not again.null_text


def test_every_setting_has_a_name() -> None:
    names = setting_names(Settings)
    assert len(names) == len(set(names))
    assert {"sampling.steps", "views", "views.every", "views.inversion", "picture.crops", "view_depth"} <= set(names)
    assert not any(name.endswith("kind") for name in names)
