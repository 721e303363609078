"""Every method of the tables, run; the model is tiny and real."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any, cast

import pytest
import torch
from tests import tiny

from stereodiffusion.baselines.blank import warp
from stereodiffusion.bench.methods import METHODS, ViewSynthesizer, paper_settings
from stereodiffusion.bench.tools import CountingBackbone, Tools
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.settings import Sampling
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.compose import known_view
from stereodiffusion.types import Image

pytestmark = pytest.mark.long

CLASSICAL = [name for name, method in METHODS.items() if not method.needs_model]
# The published walk of RePaint is the short one at 17 times the cost; `tests/baselines` holds it against its source.
WITH_MODEL = [name for name, method in METHODS.items() if method.needs_model and name != "repaint"]
STEPS = 4
NULL_TEXT_STEPS = 2  # of each, ten iterations through the network and back


@pytest.fixture(scope="module")
def backbone() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline("epsilon"), name="tiny")


@pytest.fixture
def tools(backbone: StableDiffusion) -> Tools:
    return Tools(model=backbone, steps=STEPS)


def a_scene() -> tuple[Image, Disparity]:
    """A slanted wall and a box that is nearer by more than two cells of eight pixels."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    left = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0)) * 0.5 + columns / 128
    pixels = 1 + rows / 64
    pixels[16:48, 28:52] = 20
    return left, Disparity.from_pixels(pixels)


@pytest.fixture(scope="module")
def made(backbone: StableDiffusion) -> Callable[[str], tuple[Image, int]]:
    """The right view of that scene by a method with the model, and its evaluations; made once."""

    @cache
    def make(name: str) -> tuple[Image, int]:
        optimised = name.startswith("sd-paper") and not name.endswith("-ddim")
        tools = Tools(model=backbone, steps=NULL_TEXT_STEPS if optimised else STEPS)
        synthesize = METHODS[name](tools)
        assert tools.evaluations == 0  # nothing is done before a picture comes
        return synthesize(*a_scene()), tools.evaluations

    return make


def test_the_tables_have_their_rows() -> None:
    first = {name for name, method in METHODS.items() if 1 in method.tables}
    assert first == {"blank", "stretch", "photography-3d", "repaint", "sd-paper"}
    second = {name for name, method in METHODS.items() if 2 in method.tables}
    suffixes = ("", "-none", "-spsmd", "-attention", "-attention-spsmd-deblur")
    assert second == {f"sd-paper{suffix}" for suffix in suffixes}


def test_descriptions_tell_methods_apart() -> None:
    descriptions = [method.description for method in METHODS.values()]
    assert len(set(descriptions)) == len(METHODS)


def test_published_settings_are_the_preset_on_a_disparity_that_is_final() -> None:
    assert paper_settings(attention="unidirectional", spsmd=True) == preset("paper", "photo").changed(
        {"parallax.scale": "metric"}
    )


@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_methods_need_no_model_and_keep_what_does_not_move(name: str) -> None:
    tools = Tools(model="there is no such model")
    synthesize = METHODS[name](tools)
    assert isinstance(synthesize, ViewSynthesizer)
    left, disparity = a_scene()
    right = synthesize(left, disparity)
    assert right.shape == left.shape
    assert 0 <= float(right.min()) <= float(right.max()) <= 1
    still = Disparity.from_pixels(torch.zeros(disparity.size))
    torch.testing.assert_close(synthesize(left, still), left)
    assert tools.evaluations == 0


@pytest.mark.parametrize("name", WITH_MODEL)
def test_methods_with_a_model_run(name: str, made: Callable[[str], tuple[Image, int]]) -> None:
    right, evaluations = made(name)
    assert right.shape == (1, 3, 64, 64)
    assert right.dtype == torch.float32
    assert not right.requires_grad
    assert 0 <= float(right.min()) <= float(right.max()) <= 1
    assert (evaluations > 0) == (name != "stretch-decoded")


def test_the_control_is_the_autoencoder_alone(
    backbone: StableDiffusion, made: Callable[[str], tuple[Image, int]]
) -> None:
    stretched = METHODS["stretch"](Tools())(*a_scene())
    torch.testing.assert_close(made("stretch-decoded")[0], backbone.decode(backbone.encode(stretched)))


def test_every_technique_changes_the_picture(made: Callable[[str], tuple[Image, int]]) -> None:
    names = [name for name in METHODS if name.startswith("sd-paper") and name.endswith("-ddim")]
    assert len(names) == 3 * 2 * 2
    pictures = {name: made(name)[0] for name in names}
    for a, b in combinations(names, 2):
        assert not torch.equal(pictures[a], pictures[b]), (a, b)


@pytest.mark.parametrize("name", ["repaint-short", "sd-paper-attention-spsmd-deblur-ddim"])
def test_every_picture_starts_from_the_seed_anew(
    name: str, tools: Tools, made: Callable[[str], tuple[Image, int]]
) -> None:
    assert torch.equal(METHODS[name](tools)(*a_scene()), made(name)[0])


def test_another_seed_is_another_picture(tools: Tools, made: Callable[[str], tuple[Image, int]]) -> None:
    name = "sd-paper-attention-spsmd-deblur-ddim"
    assert not torch.equal(METHODS[name](replace(tools, seed=1))(*a_scene()), made(name)[0])


@pytest.mark.parametrize("name", ["repaint-short", "latent-blanking"])
def test_only_what_is_hidden_comes_from_the_model(name: str, made: Callable[[str], tuple[Image, int]]) -> None:
    warped = warp(*a_scene(), registration="subpixel")
    right, _ = made(name)
    assert torch.equal(right * warped.visible, warped.view)
    hidden = warped.occlusion.expand_as(right)
    assert bool((right != made("blank-subpixel")[0])[hidden].any())


def test_best_takes_from_the_model_what_the_left_eye_does_not_see(made: Callable[[str], tuple[Image, int]]) -> None:
    known = known_view(*a_scene(), preset("best", "photo").warp)
    seen = known.seen.known.expand_as(known.view)
    right, _ = made("sd-best")
    torch.testing.assert_close(right[seen], known.view[seen])
    assert bool((right != known.view)[~seen].any())


def test_evaluations_are_what_the_method_costs(made: Callable[[str], tuple[Image, int]]) -> None:
    # The shift comes after step `shift`; the last level of the inversion costs nothing (offset 0).
    shift = round(0.2 * STEPS)
    there, alone = STEPS - 1, STEPS - 1 - shift
    assert made("repaint-short")[1] == 140
    assert made("latent-blanking")[1] == there + alone
    assert made("sd-fast")[1] == there + alone
    assert made("sd-paper-ddim")[1] == there + 2 * STEPS  # both views; the empty prompt needs no guidance


def test_a_counting_model_is_the_model(backbone: StableDiffusion) -> None:
    counting = CountingBackbone(backbone)
    assert isinstance(counting, Backbone)
    for name in (
        "name",
        "pixels_per_latent",
        "latent_channels",
        "patch",
        "native_size",
        "prediction",
        "depth_conditioned",
    ):
        assert getattr(counting, name) == getattr(backbone, name)
    assert counting.attention_places == backbone.attention_places
    assert counting.device == backbone.device
    assert counting.schedule(Sampling(steps=7), (8, 8)) == backbone.schedule(Sampling(steps=7), (8, 8))
    x_t = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    words = counting.embed(["a red ball", ""])
    with torch.no_grad():
        assert torch.equal(counting.predict(x_t, 500, words), backbone.predict(x_t, 500, words))
    assert counting.evaluations == 2
    picture = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    assert torch.equal(counting.encode(picture), backbone.encode(picture))
    assert torch.equal(counting.decode(x_t), backbone.decode(x_t))
    assert counting.evaluations == 2


def test_an_evaluation_with_gradients_counts_twice(backbone: StableDiffusion) -> None:
    counting = CountingBackbone(backbone)
    x_t = torch.zeros(1, 4, 8, 8, requires_grad=True)
    counting.predict(x_t, 500, counting.embed([""]))
    assert counting.evaluations == 2


def test_a_named_model_is_loaded_once_when_it_is_needed(model: str) -> None:
    tools = Tools(model=model)
    assert tools.evaluations == 0
    assert tools.backbone is tools.backbone
    assert tools.backbone.native_size == (64, 64)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        cast(Any, METHODS)["mine"] = METHODS["identity"]
