"""The depth of procedural photographs against the geometry that was asked for."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("skimage")  # the textures come from its photographs
from training.photo_canvas import Canvas, View, rotation
from training.photo_textures import unchanged

GREY = unchanged(np.full((256, 256, 3), 128, np.uint8))
VIEW = View(size=(48, 64), focal=0.9, pitch=0.3, roll=0.1, height=1.5)
WORLD = np.eye(3)


def canvas() -> Canvas:
    return Canvas(VIEW, np.array([0.3, 1.0, -0.5]), ambient=0.5)


def points(drawn: Canvas) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Where the rays of all pixels end, (n, 3), and which pixels show something."""
    shown = drawn.inverse > 0
    return drawn.eye + drawn.rays[shown] / drawn.inverse[shown][:, None], shown


def test_rays_end_where_the_camera_projects_from() -> None:
    drawn = canvas()
    drawn.plane(np.zeros(3), WORLD[0], WORLD[2], GREY, 1.0)
    ends, shown = points(drawn)
    pixels, depth = drawn.project(ends)
    rows, columns = np.nonzero(shown)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], 1) + 0.5, atol=1e-2)
    np.testing.assert_allclose(1 / depth, drawn.inverse[shown], rtol=1e-4)


def test_a_floor_lies_at_height_zero_and_its_inverse_depth_is_affine_in_pixels() -> None:
    drawn = canvas()
    drawn.plane(np.zeros(3), WORLD[0], WORLD[2], GREY, 1.0)
    ends, shown = points(drawn)
    np.testing.assert_allclose(ends[:, 1], 0, atol=1e-4)
    rows, columns = np.nonzero(shown)
    basis = np.stack([np.ones(len(rows)), rows, columns], 1)
    _, rest, *_ = np.linalg.lstsq(basis, drawn.inverse[shown], rcond=None)
    assert rest[0] < 1e-9


def test_an_ellipsoid_and_a_frustum_satisfy_their_equations() -> None:
    base, height = np.array([0.2, 0.0, 4.0]), 2.0
    axes = rotation(0.7)
    drawn = canvas()
    drawn.quadric(base, axes, (0.6, 0.6), height, GREY, 1.0, round_=True, squash=0.5)
    ends, shown = points(drawn)
    x, y, z = ((ends - base) @ axes.T).T
    assert shown.sum() > 50
    np.testing.assert_allclose((x / 0.6) ** 2 + (y - 1) ** 2 + (z / 0.3) ** 2, 1, atol=1e-3)

    drawn = canvas()
    drawn.quadric(base, axes, (0.8, 0.3), height, GREY, 1.0)
    ends, shown = points(drawn)
    x, y, z = ((ends - base) @ axes.T).T
    assert shown.sum() > 50
    np.testing.assert_allclose(np.hypot(x, z), 0.8 + (0.3 - 0.8) * y / height, atol=1e-3)
    assert y.min() >= 0
    assert y.max() <= height


def test_the_faces_of_a_box_are_where_its_size_says() -> None:
    centre, size, axes = np.array([0.0, 0.5, 4.0]), np.array([1.0, 1.0, 2.0]), rotation(0.5)
    drawn = canvas()
    drawn.box(centre, size, axes, [GREY] * 3, 1.0)
    ends, shown = points(drawn)
    assert shown.sum() > 50
    inside = np.abs((ends - centre) @ axes.T) / (size / 2)
    np.testing.assert_allclose(inside.max(1), 1, atol=1e-3)


def test_the_nearest_is_seen_in_whatever_order_things_are_drawn() -> None:
    def drawn(order: list[int]) -> Canvas:
        scene = canvas()
        things = [
            lambda: scene.plane(np.zeros(3), WORLD[0], WORLD[2], GREY, 1.0),
            lambda: scene.box(np.array([0, 0.5, 3.0]), np.ones(3), WORLD, [GREY] * 3, 1.0),
            lambda: scene.quadric(np.array([0.4, 0, 2.5]), WORLD, (0.3, 0.3), 0.8, GREY, 1.0),
        ]
        for i in order:
            things[i]()
        return scene

    first, second = drawn([0, 1, 2]), drawn([2, 1, 0])
    np.testing.assert_array_equal(first.inverse, second.inverse)
    np.testing.assert_array_equal(first.colour, second.colour)


def test_a_camera_that_is_pitched_down_sees_the_floor_and_boards_lean_back() -> None:
    drawn = Canvas(View((48, 64), 0.9, 0.4, 0.0, 1.5), np.array([0.3, 1.0, -0.5]), ambient=0.5)
    drawn.plane(np.zeros(3), WORLD[0], WORLD[2], GREY, 1.0)
    middle, depth = 1.5 / np.sin(0.4), 1 / drawn.inverse[23:25, 31:33].mean()
    assert depth == pytest.approx(middle, rel=1e-2)
    up = rotation(0.0, 0.4)[1]
    assert up[1] > 0
    assert up[2] > 0  # the top is farther
