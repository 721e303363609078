import jaxtyping
import pytest
import torch
from torch import Tensor

from stereodiffusion.errors import ConfigError
from stereodiffusion.formats import AnaglyphMethod, anaglyph
from stereodiffusion.formats.layouts.anaglyph import DUBOIS, MIXES

BLACK, WHITE, RED = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0)
ALL: list[AnaglyphMethod] = [*DUBOIS, *MIXES]


def colour(rgb: tuple[float, float, float]) -> Tensor:
    return torch.tensor(rgb, dtype=torch.float64).reshape(1, 3, 1, 1)


def mixed(left: tuple[float, float, float], right: tuple[float, float, float], method: AnaglyphMethod) -> list[float]:
    return anaglyph(colour(left), colour(right), method).flatten().tolist()


@pytest.mark.parametrize(
    ("method", "of_left", "of_right"),
    [
        ("red-cyan", (1, 0, 0), (0, 1, 1)),
        ("green-magenta", (0, 1, 0), (1, 0, 1)),
        ("amber-blue", (1, 0.97769, 0), (0, 0.25031, 1)),  # linear 0.950 and 0.051
        ("color", (1, 0, 0), (0, 1, 1)),
        ("half-color", (1, 0, 0), (0, 1, 1)),
        ("gray", (1, 0, 0), (0, 1, 1)),
        ("true", (1, 0, 0), (0, 0, 1)),
    ],
)
def test_each_eye_has_the_colour_of_its_filter(
    method: AnaglyphMethod, of_left: tuple[float, ...], of_right: tuple[float, ...]
) -> None:
    assert mixed(WHITE, BLACK, method) == pytest.approx(of_left, abs=1e-4)
    assert mixed(BLACK, WHITE, method) == pytest.approx(of_right, abs=1e-4)


def test_red_in_both_eyes_by_hand() -> None:
    # Linear light: 0.437 - 0.011 = 0.426, -0.062 + 0.377 = 0.315, -0.048 - 0.026 < 0; sRGB of these.
    assert mixed(RED, RED, "red-cyan") == pytest.approx([0.68433, 0.59695, 0], abs=1e-4)
    # -0.062 + 0.529 = 0.467, 0.284 - 0.016 = 0.268, -0.015 + 0.009 < 0
    assert mixed(RED, RED, "green-magenta") == pytest.approx([0.71312, 0.55441, 0], abs=1e-4)
    # 1.062 - 0.016 > 1, -0.026 + 0.006 < 0, -0.038 + 0.094 = 0.056
    assert mixed(RED, RED, "amber-blue") == pytest.approx([1, 0, 0.26242], abs=1e-4)


def test_the_simple_mixes_by_hand() -> None:
    left, right = (0.2, 0.4, 0.6), (0.9, 0.5, 0.1)
    grey_left, grey_right = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6, 0.299 * 0.9 + 0.587 * 0.5 + 0.114 * 0.1
    assert mixed(left, right, "color") == pytest.approx([0.2, 0.5, 0.1])
    assert mixed(left, right, "half-color") == pytest.approx([grey_left, 0.5, 0.1])
    assert mixed(left, right, "gray") == pytest.approx([grey_left, grey_right, grey_right])
    assert mixed(left, right, "true") == pytest.approx([grey_left, 0, grey_right])


@pytest.mark.parametrize("method", DUBOIS)
@pytest.mark.parametrize("level", [0.0, 0.02, 0.2, 0.5, 0.9, 1.0])
def test_grey_without_parallax_stays_grey(method: AnaglyphMethod, level: float) -> None:
    grey = (level, level, level)
    assert mixed(grey, grey, method) == pytest.approx(grey, abs=1e-3)  # rows add up to 1 within 0.001


@pytest.mark.parametrize("method", ALL)
def test_stays_in_range_and_keeps_shape_and_precision(method: AnaglyphMethod) -> None:
    noise = torch.rand(2, 2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    picture = anaglyph(noise[0], noise[1], method)
    assert picture.shape == (2, 3, 5, 7)
    assert picture.dtype == torch.float32
    assert picture.isfinite().all()
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_an_unknown_method() -> None:
    with pytest.raises((ConfigError, jaxtyping.TypeCheckError), match="sepia"):
        anaglyph(colour(RED), colour(RED), "sepia")  # pyright: ignore[reportArgumentType]
