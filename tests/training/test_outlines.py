"""The measure of outlines on renders, whose outlines are lines and ellipses, and on renders made wavy."""

from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("skimage")
from training.outlines import outline, toy_mask

from stereodiffusion.datasets.scenes import SHAPES, RenderedView, Scene, Toy, render
from stereodiffusion.datasets.scenes.description import Shape

SIZE = 256
Array = np.ndarray[Any, Any]


@cache
def rendered(shape: Shape) -> RenderedView:
    height_m = 0.6 if shape in ("ball", "cube") else 0.75
    toy = Toy(shape=shape, colour="blue", pattern="plain", x_m=0.1, z_m=2.0, radius_m=0.3, height_m=height_m, yaw=0.4)
    floor = "wooden table" if shape == "cone" else "grey floor"
    scene = Scene(seed=1, toys=(replace(toy, pattern="striped") if shape == "cone" else toy,), floor=floor,
                  background="yellow wall")  # fmt: skip
    return render(scene, (SIZE, SIZE)).left


def distance(picture: Array, toy: Array) -> float:
    return float(outline(picture, toy).distances.mean())


def wavy(image: Array, amplitude: float, wavelength: float = 24.0) -> Array:
    """The image with its columns moved by a sine of the row, and its rows by one of the column."""
    y, x = np.indices((SIZE, SIZE)).astype(np.float32)
    turn = 2 * np.pi / wavelength
    across, down = x + amplitude * np.sin(turn * y), y + amplitude * np.sin(turn * x)
    return cv2.remap(image.astype(np.float32), across, down, cv2.INTER_LINEAR)


@pytest.mark.parametrize("shape", SHAPES)
def test_renders_are_outlined_by_lines_and_ellipses(shape: Shape) -> None:
    view = rendered(shape)
    assert distance(view.image, view.toy == 0) < 0.2


def test_waves_are_measured_by_their_amplitude() -> None:
    view = rendered("cube")
    amplitudes = (1.0, 2.0, 3.0)
    found = [distance(wavy(view.image, a), wavy(view.toy == 0, a) > 0.5) for a in amplitudes]
    np.testing.assert_allclose(found, 2 / np.pi * np.array(amplitudes), rtol=0.2)  # the mean of a sine


def test_the_wavier_a_ball_the_farther_it_is_from_an_ellipse() -> None:
    view = rendered("ball")
    found = [distance(wavy(view.image, a), wavy(view.toy == 0, a) > 0.5) for a in (0.0, 1.0, 2.0)]
    assert (np.diff(found) > 0.3).all()


def test_blur_and_noise_alone_change_little() -> None:
    view = rendered("cube")
    toy = view.toy == 0
    noise = np.random.default_rng(0).normal(0, 0.02, view.image.shape)
    blurred = cv2.GaussianBlur(view.image, (0, 0), 1.5)
    assert distance(blurred, toy) < distance(view.image, toy) + 0.15
    assert distance(view.image + noise, toy) < distance(view.image, toy) + 0.15


@pytest.mark.parametrize("shape", SHAPES)
def test_a_toy_is_what_stands_before_floor_and_wall(shape: Shape) -> None:
    view = rendered(shape)
    found, toy = toy_mask(view.image, view.disparity), view.toy == 0
    assert (found & toy).sum() > 0.95 * (found | toy).sum()


def test_nothing_before_floor_and_wall_has_no_outline() -> None:
    view = rendered("ball")
    toy = toy_mask(view.image, np.repeat(view.disparity[:, :1], SIZE, 1))
    assert not toy.any()
    assert len(outline(view.image, toy).points) == 0
