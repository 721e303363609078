"""The page, the command line and Python make the same requests."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import stereodiffusion
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.request import DepthRequest, Pair, PhotoRequest, TextRequest, request_from
from stereodiffusion.request.inputs import MapFile, PictureFile
from stereodiffusion.synthesis.rerender import Relief
from stereodiffusion.web.forms import (
    Options,
    SentMap,
    depth_request,
    loaded,
    photo_request,
    public,
    text_request,
    with_map,
    with_relief,
)
from stereodiffusion.web.limits import Limits, Rate
from stereodiffusion.web.telling import in_words


def test_no_steps_are_the_methods_own() -> None:
    """A field for numbers that says nothing shows 0, and sends it."""
    assert text_request("toybox", "a ball", "", Options(steps=0)) == text_request("toybox", "a ball", "", Options())


def test_what_is_left_as_it_is_says_nothing() -> None:
    options = Options(preset="best", steps=50, seed=0, strength=0.08, convergence=0.0)
    assert text_request("toybox", "a ball", "", options) == TextRequest(prompt="a ball")


def test_every_option_reaches_the_request() -> None:
    options = Options(
        preset="fast", steps=12, seed=7, strength=0.05, convergence=0.01, changes='{"guidance.scale": 3.0}'
    )
    expected = TextRequest(
        prompt="a ball",
        negative="blur",
        preset="fast",
        seed=7,
        changes={
            "sampling.steps": 12,
            "parallax.max_disparity": 0.05,
            "parallax.convergence": 0.01,
            "guidance.scale": 3.0,
        },
    )
    assert text_request("toybox", "a ball", "blur", options) == expected


def test_files_become_inputs() -> None:
    none = SentMap(path=None)
    photo = photo_request("toybox", "p.png", none, "", Options())
    assert photo == PhotoRequest(photo=PictureFile(path="p.png"))
    with_map = photo_request("toybox", "p.png", SentMap(path="m.pfm", unknown="0"), "", Options(source="right"))
    assert with_map == PhotoRequest(
        photo=PictureFile(path="p.png"), map=MapFile(path="m.pfm", unknown="zero"), wanted=Pair(source="right")
    )
    given = SentMap(path="d.png", kind="near is dark", unknown="255")
    depth = depth_request("toybox", given, "a ball", "", Options(), two_step=True)
    expected = MapFile(path="d.png", kind="near-is-dark", unknown=255.0)
    assert depth == DepthRequest(map=expected, prompt="a ball", two_step=True)
    metres = SentMap(path="d.png", kind="depth-m", scale=1000)
    assert metres.file() == MapFile(path="d.png", kind="depth-m", scale=1000)
    with pytest.raises(FormatError, match="no photo yet"):
        photo_request("toybox", None, none, "", Options())


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (SentMap(path="m.png", unknown="black"), "map.unknown must be one of NaN and infinite"),
        (SentMap(path="m.png", kind="far is red"), "must be one of disparity-px"),
    ],
)
def test_what_makes_no_sense_of_a_map_is_refused(sent: SentMap, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        sent.file()


@pytest.mark.parametrize("text", ["[1]", "{", '"a"', "[" * 100_000])
def test_settings_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a JSON object"):
        text_request("toybox", "a ball", "", Options(changes=text))


def test_other_parallax_and_back_is_the_same_request() -> None:
    request = TextRequest(prompt="a ball")
    deeper = with_relief(request, Relief(strength=0.1, convergence=0.02, curve=(0.0, 0.7, 1.0)), 0.1)
    parallax = deeper.settings().parallax
    assert (parallax.max_disparity, parallax.zero, parallax.curve) == (0.1, 0.02, (0.0, 0.7, 1.0))
    assert with_relief(deeper, Relief(strength=0.08, convergence=0.0), 0.08) == request


def test_what_was_to_be_found_is_said_in_numbers() -> None:
    changes = {"parallax.convergence": "auto", "viewing.display": "tv", "viewing.comfort": "fit", "shift.at": 0.3}
    again = with_relief(TextRequest(prompt="a ball", changes=changes), Relief(strength=0.08, convergence=0.01), 0.08)
    assert again == TextRequest(prompt="a ball", changes={"shift.at": 0.3, "parallax.convergence": 0.01})


def test_strength_of_a_map_in_pixels_is_its_depth_budget() -> None:
    request = DepthRequest(map=MapFile(path="d.pfm", kind="disparity-px"), prompt="a ball")
    again = with_relief(request, Relief(strength=0.1, convergence=0.0), 0.04)
    assert again.changes == {"parallax.budget_percent": 4.0}


def test_a_curve_is_typed_as_on_the_command_line() -> None:
    request = text_request("toybox", "a ball", "", Options(curve="0, 0.7,1"))
    assert request.settings().parallax.curve == (0.0, 0.7, 1.0)
    assert text_request("toybox", "a ball", "", Options(curve="0,1")) == TextRequest(prompt="a ball")
    with pytest.raises(ConfigError, match=r"must be numbers such as 0,0\.7,1, got 'bent'"):
        text_request("toybox", "a ball", "", Options(curve="bent"))


def _lines_of(module: Path) -> Iterator[str]:
    """What a module says of options of the command line, beside the help of these options."""
    tree = ast.parse(module.read_text())
    helped = {
        id(part)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "option"
        for part in ast.walk(call)
    }
    for each in ast.walk(tree):
        if not (isinstance(each, ast.Constant) and isinstance(each.value, str)) or id(each) in helped:
            continue
        if re.search(r"(^|[ (])--[a-z]", each.value) and "`" not in each.value:
            yield each.value


def test_the_page_speaks_of_its_own_controls() -> None:
    """Whatever the layers below say of options, the page has another word for."""
    package = Path(stereodiffusion.__file__).parent
    layers = ("geometry", "formats/maps", "synthesis", "request", "settings")
    lines = [line for layer in layers for module in (package / layer).rglob("*.py") for line in _lines_of(module)]
    assert len(lines) >= 8
    assert [line for line in lines if "--" in in_words(line)] == []
    note = in_words("/tmp/x/m.pfm: read as disparity in pixels; --map-kind says otherwise")
    assert note == "m.pfm: read as disparity in pixels; “What its values are” says otherwise"


def test_an_edited_map_keeps_the_picture_of_text_and_photo_and_redraws_that_of_a_map() -> None:
    source, edited = Path("s.png"), Path("m.pfm")
    drawn = with_map(TextRequest(prompt="a ball", changes={"sampling.steps": 9}), source, edited)
    assert isinstance(drawn, PhotoRequest)
    assert drawn.photo == PictureFile(path="s.png")
    photo = with_map(PhotoRequest(photo=PictureFile(path="p.png")), source, edited)
    assert isinstance(photo, PhotoRequest)
    assert photo.photo == PictureFile(path="p.png")
    depth = with_map(DepthRequest(map=MapFile(path="d.png", kind="near-is-dark"), prompt="a ball"), source, edited)
    assert isinstance(depth, DepthRequest)
    assert {each.map for each in (drawn, photo, depth)} == {MapFile(path="m.pfm", kind="near-is-bright")}


def test_requests_are_shown_without_the_places_of_files_and_come_back() -> None:
    request = PhotoRequest(photo=PictureFile(path="/secret/place/p.png"), seed=4)
    shown = public(request.plain())
    assert "secret" not in str(shown)
    assert request_from(shown) == PhotoRequest(photo=PictureFile(path="p.png"), seed=4)


def test_a_loaded_request_is_for_this_model() -> None:
    content = '{"version": 1, "mode": "text", "prompt": "a ball", "seed": 3}'
    assert loaded(content, "toybox") == TextRequest(prompt="a ball", seed=3)
    with pytest.raises(ConfigError, match="for model toybox, this page has other"):
        loaded(content, "other")
    with pytest.raises(ConfigError, match="expected a request as JSON"):
        loaded("no JSON", "toybox")


def test_limits() -> None:
    limits = Limits(pixels=100, steps=10, characters=20)
    limits.check_size(10, 10)
    with pytest.raises(ConfigError, match="megapixels, got 11 x 10"):
        limits.check_size(10, 11)
    with pytest.raises(ConfigError, match="at most 30 pixels a side, got 2 x 31"):
        Limits(side=30).check_size(31, 2)
    with pytest.raises(ConfigError, match="at most 10 steps, got 50"):
        limits.check_request(TextRequest(prompt="a ball"))
    with pytest.raises(ConfigError, match="at most 20 characters, got 21"):
        limits.check_request(TextRequest(prompt="a" * 21, changes={"sampling.steps": 10}))


def test_rates_are_for_each_client_and_pass() -> None:
    now = 0.0
    rate = Rate(2, clock=lambda: now)
    assert [rate.allows("a"), rate.allows("a"), rate.allows("a"), rate.allows("b")] == [True, True, False, True]
    now = 61.0
    assert rate.allows("a")
