"""A request says the same wherever it comes from, and refuses what would come to nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereodiffusion.errors import ConfigError, FormatError, ModelError, PromptError, StereoDiffusionError
from stereodiffusion.models.cards import CARDS
from stereodiffusion.request import (
    VERSION,
    DepthRequest,
    Pair,
    PhotoRequest,
    Request,
    TextRequest,
    Views,
    request_from,
    schema,
    with_digests,
)
from stereodiffusion.request.inputs import InMemory, MapFile, PictureFile
from stereodiffusion.settings import Settings
from stereodiffusion.settings.plain import setting_names
from stereodiffusion.settings.presets import preset, preset_names

CHANGES: dict[str, Any] = {"shift.at": 0.5, "sampling.steps": 8, "parallax.convergence": -0.01}


@st.composite
def requests(draw: st.DrawFn) -> Request:
    wanted = draw(st.sampled_from([Pair(), Pair(source="centre"), Views(positions=(-0.5, 0.0, 0.25))]))
    some: list[str] = draw(st.lists(st.sampled_from(sorted(CHANGES)), unique=True))
    common: dict[str, Any] = {
        "seed": draw(st.integers(0, 2**63 - 1)),
        "preset": draw(st.sampled_from(["fast", "best"])),
        "changes": {name: CHANGES[name] for name in some},
        "wanted": wanted,
    }
    words = draw(st.text(min_size=1).filter(lambda text: bool(text.strip()) and text.isprintable()))
    match draw(st.sampled_from(["text", "depth", "photo"])):
        case "text":
            prompt = draw(st.sampled_from([words, (words, "a ball")]))
            size = draw(st.sampled_from([None, (64, 96)]))
            return TextRequest(prompt=prompt, negative=words, size=size, estimator="dpt-large", **common)
        case "depth":
            map_ = MapFile(path=words, kind="depth-m", focal_px=100.0, baseline_m=0.1, unknown=draw(st.floats(-9, 9)))
            return DepthRequest(map=map_, prompt=words, two_step=draw(st.booleans()), **common)
        case _:
            map_ = draw(st.sampled_from([None, MapFile(path="m.npy", scale=16.0, unknown="negative")]))
            return PhotoRequest(photo=PictureFile(path=words, sha256="0" * 64), map=map_, prompt="", **common)


@settings(deadline=None)  # the first example waits for imports
@given(requests())
def test_json_and_back_is_the_same_request(request: Request) -> None:
    plain = json.loads(json.dumps(request.plain(), allow_nan=False))
    assert request_from(plain) == request
    jsonschema.validate(plain, schema())


def test_what_is_as_by_default_is_not_said() -> None:
    """So that the name of a result stays the same when requests learn to say more."""
    assert TextRequest(prompt="a ball").plain() == {"version": VERSION, "mode": "text", "prompt": "a ball"}
    said = TextRequest(prompt="a ball", model="toybox", preset="best", seed=0, changes={}, wanted=Pair())
    assert said.plain() == TextRequest(prompt="a ball").plain()


def test_the_key_is_that_of_the_json_and_does_not_change() -> None:
    request = TextRequest(prompt="a ball", changes={"shift.at": 0.3, "sampling.steps": 5}, seed=2)
    other_order = TextRequest(prompt="a ball", changes={"sampling.steps": 5, "shift.at": 0.3}, seed=2)
    assert request.key == other_order.key
    # Stored, for the names of results must not depend on the version of this package.
    assert request.key == "ed12f43d53429e28dfb9afb30911eb06395502bd5654b76e1aa952bd53530615"
    for changed in (replace(request, seed=3), replace(request, prompt="a box"), request.changed({"shift.at": 0.4})):
        assert changed.key != request.key


def test_files_stand_for_their_content(tmp_path: Path) -> None:
    one, same, other = tmp_path / "one.png", tmp_path / "same.png", tmp_path / "other.png"
    one.write_bytes(b"a picture")
    same.write_bytes(b"a picture")
    other.write_bytes(b"another")
    keys = [PhotoRequest(photo=PictureFile(path=str(path))).key for path in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]
    asked = with_digests(PhotoRequest(photo=PictureFile(path=str(one))))
    one.write_bytes(b"something else")
    with pytest.raises(FormatError, match=r"one.png is not the file that was asked for: its SHA-256 is [0-9a-f]{64}"):
        with_digests(asked)
    one.unlink()
    with pytest.raises(FormatError, match=r"one\.png: no such file"):
        with_digests(asked)


def test_a_file_that_nobody_would_read_is_not_digested_either(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(FormatError, match=r"sparse\.png: too large: expected at most 500 MB, got 1000000"):
        with_digests(PhotoRequest(photo=PictureFile(path=str(path))))


def test_what_is_in_memory_is_told_by_its_digest() -> None:
    photo = torch.rand(1, 3, 8, 8)
    request = PhotoRequest(photo=photo)  # pyright: ignore[reportArgumentType] - a tensor is taken as well
    assert isinstance(request.photo, InMemory)
    assert request.key == PhotoRequest(photo=photo.clone()).key  # pyright: ignore[reportArgumentType]
    assert request.key != PhotoRequest(photo=photo.flip(-1)).key  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"photo\.path is missing"):
        request_from(request.plain())


def test_changes_are_changes_to_what_suits_the_model() -> None:
    """A setting that is changed leaves the others as the model's card has them."""
    plain = TextRequest(prompt="a ball", model="toybox").settings()
    changed = TextRequest(prompt="a ball", model="toybox", changes={"sampling.steps": 30}).settings()
    assert plain.guidance.scale == 4.0
    assert changed == plain.changed({"sampling.steps": 30})
    assert TextRequest(prompt="a ball", model="sd1.5").settings().guidance.scale == 9.0
    turbo = TextRequest(prompt="a ball", model="sdxl-turbo").settings()
    assert (turbo.sampling.steps, turbo.sampling.spacing, turbo.guidance.scale) == (4, "trailing", 1.0)


BASE: dict[str, dict[str, Any]] = {
    "text": {"version": 1, "mode": "text", "prompt": "a ball"},
    "depth": {"version": 1, "mode": "depth", "prompt": "a ball", "map": {"path": "map.pfm"}},
    "photo": {"version": 1, "mode": "photo", "photo": {"path": "cat.png"}},
}


@pytest.mark.parametrize(
    ("mode", "changes", "error", "message"),
    [
        ("text", {"version": 2}, ConfigError, "expected a request of version 1 to 1, got version 2"),
        ("text", {"version": True}, ConfigError, "got version True"),
        ("text", {"mode": "video"}, ConfigError, "expected a request with mode text, depth, photo, got 'video'"),
        ("text", {"sed": 1}, ConfigError, "there is no 'sed' in TextRequest; there are model, preset"),
        ("text", {"prompt": " "}, PromptError, "the prompt is empty"),
        ("text", {"prompt": []}, PromptError, "the prompt is empty"),
        ("text", {"seed": "1"}, ConfigError, "seed: input should be a valid integer, got '1'"),
        ("text", {"seed": -1}, ConfigError, "seed must be a whole number from 0"),
        ("text", {"preset": "quick"}, ConfigError, "preset must be one of paper, fast, best, got 'quick'"),
        ("text", {"model": "sd2-depth"}, ModelError, "sd2-depth works from a depth map only"),
        ("text", {"model": "nope"}, ModelError, "there is no model 'nope'"),
        ("text", {"estimator": "sd1.5"}, ModelError, "sd1.5 does not estimate depth"),
        ("text", {"wanted": {"kind": "views", "positions": [1, 0]}}, ConfigError, "from left to right"),
        (
            "text",
            {"wanted": {"kind": "pair", "source": "up"}},
            ConfigError,
            "source must be one of left, right, centre",
        ),
        (
            "text",
            {"preset": "paper", "wanted": {"kind": "pair", "source": "right"}},
            ConfigError,
            "choose fast or best",
        ),
        ("text", {"changes": {"shift.att": 0.5}}, ConfigError, "there is no setting 'shift.att'; there are"),
        ("text", {"changes": {"shift.at": 2}}, ConfigError, r"shift.at must be a fraction of the steps in \[0, 1\)"),
        ("text", {"changes": {"shift.at": "soon"}}, ConfigError, "shift.at: input should be a valid number"),
        ("text", {"changes": {"views": "together", "views.every": 0.1}}, ConfigError, "there is no 'every' in views"),
        ("depth", {"model": "sd1.5"}, ModelError, "sd1.5 takes no depth map"),
        ("depth", {"model": "sd2-depth", "two_step": True}, ModelError, "cannot treat its picture as a photo"),
        ("depth", {"map": {"path": "m.png", "kind": "near"}}, ConfigError, "map.kind must be one of disparity-px"),
        ("depth", {"map": {"path": "m.png", "unknown": "odd"}}, ConfigError, "map.unknown must be one of nonfinite"),
        ("depth", {"map": {"path": "m.png", "focal_px": 1.0}}, ConfigError, "belong together, got one of them"),
        ("photo", {"map": {"path": "m.pfm"}, "estimator": "dpt-large"}, ConfigError, "exclude each other"),
    ],
)
def test_what_makes_no_sense_is_refused(
    mode: str, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        request_from({**BASE[mode], **changes})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt": 3}, "prompt must be text, or a list of texts, got 3"),
        ({"prompt": ["a ball", None]}, "prompt must be text, or a list of texts, got"),
        ({"prompt": b"a ball"}, "prompt must be text"),
        ({"seed": "1"}, "seed must be a whole number, got '1'"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"seed": True}, "seed must be a whole number, got True"),
        ({"negative": None}, "negative must be text, got None"),
        ({"preset": 1}, "preset must be text, got 1"),
        ({"model": Path("toybox")}, "model must be text, got PosixPath"),
        ({"estimator": None}, "estimator must be text, got None"),
        ({"size": 256}, r"size must be \(height, width\) in whole pixels, or None, got 256"),
        ({"size": (256.0, 256)}, r"size must be \(height, width\)"),
        ({"changes": ["shift.at"]}, "changes must be settings by their names"),
        ({"changes": {1: 2}}, "changes must be settings by their names"),
        ({"wanted": "views"}, "wanted must be a Pair or Views, got 'views'"),
    ],
)
def test_what_python_hands_in_is_of_the_fields_kind(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TextRequest(**cast(Any, {"prompt": "a ball", **given}))


def test_numbers_of_numpy_are_numbers() -> None:
    assert TextRequest(prompt="a ball", seed=np.int64(3), size=(np.int32(64), 64)).plain() == {  # type: ignore[arg-type]
        "version": 1, "mode": "text", "prompt": "a ball", "seed": 3, "size": [64, 64]
    }  # fmt: skip


@pytest.mark.parametrize("positions", [3, None, ["left"], [0, None]])
def test_positions_are_numbers(positions: Any) -> None:
    with pytest.raises(ConfigError, match="expected the positions of views from left to right, in baselines, got"):
        Views(positions=positions)


def test_a_photos_prompts_may_be_a_list() -> None:
    listed, fixed = (PhotoRequest(photo=PictureFile(path="a.png"), prompt=each) for each in (["a", "b"], ("a", "b")))  # type: ignore[arg-type]
    assert listed == fixed


@pytest.mark.parametrize(
    ("mode", "preset", "changes"),
    [
        ("text", "best", {"picture.crops": 3}),
        ("text", "best", {"view_depth": "same"}),
        ("text", "paper", {"views.inversion": "null-text"}),
        ("depth", "paper", {"map.refine": "all"}),
        ("text", "best", {"shift.deblur": True}),
        ("photo", "fast", {"warp.borders": "soft"}),
        ("text", "fast", {"sampling.spacing": "trailing", "sampling.offset": 0}),
        ("text", "fast", {"sampling.solver": "lcm", "sampling.spacing": "trailing"}),
        ("photo", "paper", {"guidance.stop": 0.5}),
        ("photo", "fast", {"guidance.stop": 0.5}),  # its guidance is 1
        ("text", "fast", {"views.attention.mode": "off", "views.attention.stop": 0.5}),
        ("text", "fast", {"views.resync.how": "off", "views.resync.every": 0.5}),
        ("photo", "fast", {"map.hair": False}),
    ],
)
def test_what_would_have_no_effect_is_refused(mode: str, preset: str, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="would have no effect"):
        request_from({**BASE[mode], "preset": preset, "changes": changes})


def test_no_file_of_a_request_makes_another_error() -> None:
    """Whatever a file says, one of this package's errors answers, or a request that goes to JSON and back."""
    values: list[object] = [None, 0, -1, 1e400, "", "x", [], {}, [[]], {"kind": "x"}, {"path": 5}, True]
    for base in BASE.values():
        names = [*base, "wanted", "changes", "estimator", "size", "photo", "map", "seed", "negative", "prompt"]
        for name in names:
            for value in values:
                try:
                    made = request_from({**base, name: value})
                except StereoDiffusionError:
                    continue
                assert request_from(made.plain()) == made


def test_every_preset_changes_by_every_name() -> None:
    """Each setting can be named; naming what a preset has already gives the preset."""
    for name in preset_names():
        for mode in ("text", "depth", "photo"):
            own = preset(name, mode)
            plain = own.plain()
            for path in setting_names(Settings):
                value: Any = plain
                for part in path.split("."):
                    value = value.get(part) if isinstance(value, dict) else None
                if value is not None:
                    held = value["kind"] if isinstance(value, dict) else value
                    assert own.changed({path: held}) == own


def test_what_suits_a_model_can_be_set() -> None:
    for card in CARDS:
        assert preset("best", "text").changed(card.suits).changed({}) is not None
