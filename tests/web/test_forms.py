"""The page, the command line and Python make the same requests."""

from pathlib import Path

import pytest

from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.request import DepthRequest, PhotoRequest, TextRequest, request_from
from stereodiffusion.request.inputs import MapFile, PictureFile
from stereodiffusion.web.forms import (
    Options,
    depth_request,
    loaded,
    photo_request,
    public,
    text_request,
    with_map,
    with_parallax,
)
from stereodiffusion.web.limits import Limits, Rate


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
    photo = photo_request("toybox", "p.png", "", Options())
    assert photo == PhotoRequest(photo=PictureFile(path="p.png"))
    depth = depth_request("toybox", "d.png", "near is dark", "a ball", "", Options())
    assert depth == DepthRequest(map=MapFile(path="d.png", kind="near-is-dark"), prompt="a ball")
    with pytest.raises(FormatError, match="no photo yet"):
        photo_request("toybox", None, "", Options())


@pytest.mark.parametrize("text", ["[1]", "{", '"a"', "[" * 100_000])
def test_settings_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a JSON object"):
        text_request("toybox", "a ball", "", Options(changes=text))


def test_other_parallax_and_back_is_the_same_request() -> None:
    request = TextRequest(prompt="a ball")
    deeper = with_parallax(request, 0.1, 0.02)
    assert deeper.settings().parallax.max_disparity == 0.1
    assert with_parallax(deeper, 0.08, 0.0).settings() == request.settings()


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
