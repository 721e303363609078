"""Context and synthesis region of a box before a wall."""

import numpy as np
import pytest
from tests.baselines.ldi.making import BOX_PX, HEIGHT, WALL_PX, WIDTH, box_before_wall

from stereodiffusion.baselines.ldi.edges import Discontinuities, find_discontinuities
from stereodiffusion.baselines.ldi.layered import LayeredImage, Surface, from_picture, peel
from stereodiffusion.baselines.ldi.regions import CONTEXT_STEPS, RIM_PX, Regions, background_silhouette, grow_regions

MARGIN = 14
BOX = np.pad(box_before_wall().box, ((0, 0), (0, MARGIN)))
ROWS, COLUMNS = np.mgrid[:HEIGHT, : WIDTH + MARGIN]
INSIDE = np.minimum.reduce([ROWS - 10, 29 - ROWS, COLUMNS - 24, 43 - COLUMNS])
"""Steps from the edge of the box inwards, negative outside."""


def parts() -> tuple[LayeredImage, Surface, Discontinuities]:
    scene = box_before_wall()
    edges = find_discontinuities(np.pad(scene.disparity, ((0, 0), (0, MARGIN)), constant_values=np.inf))
    image = from_picture(
        scene.colour, scene.disparity, margin=MARGIN, cut_right=edges.right > 0, cut_down=edges.down > 0
    )
    return image, peel(image), edges


@pytest.fixture
def regions() -> Regions:
    image, surface, edges = parts()
    return grow_regions(image, surface, background_silhouette(surface, edges))


def test_the_silhouette_is_the_wall_around_the_box_and_the_frame() -> None:
    _, surface, edges = parts()
    silhouette = background_silhouette(surface, edges)
    cell, hidden = (np.divmod(places, WIDTH + MARGIN) for places in (silhouette.cell, silhouette.hidden))
    at_box = BOX[hidden]
    assert at_box.sum() == 4 * 20
    assert not BOX[cell][at_box].any()
    assert (silhouette.steps[at_box] == BOX_PX - WALL_PX + 1).all()
    np.testing.assert_array_equal(cell[1][~at_box], WIDTH - 1)
    np.testing.assert_array_equal(hidden[1][~at_box], WIDTH)


def test_only_cuts_of_the_frontier_count() -> None:
    _, surface, edges = parts()
    frontier = np.zeros_like(BOX)
    frontier[:, 43] = True
    silhouette = background_silhouette(surface, edges, frontier=frontier)
    columns = np.divmod(silhouette.hidden, WIDTH + MARGIN)[1]
    assert silhouette.hidden.size == 20 + 2  # the right side, and the ends of the upper and lower one
    np.testing.assert_array_equal(columns, 43)


def test_the_synthesis_region_lies_behind_the_box_as_far_as_the_box_can_move_away(regions: Regions) -> None:
    expected = (INSIDE >= 0) & (INSIDE <= BOX_PX - WALL_PX)
    np.testing.assert_array_equal(regions.synthesis[:, :WIDTH], expected[:, :WIDTH])
    np.testing.assert_allclose(regions.disparity[regions.synthesis], WALL_PX)
    assert regions.synthesis[:, WIDTH:].all()  # beyond the frame the wall goes on as well


def test_the_context_is_the_wall(regions: Regions) -> None:
    assert not (regions.context & regions.synthesis).any()
    assert not (regions.context & BOX).any()
    assert not regions.context[:, WIDTH:].any()
    reach = -INSIDE
    assert regions.context[:, :WIDTH][(reach > RIM_PX)[:, :WIDTH] & (reach <= CONTEXT_STEPS // 2)[:, :WIDTH]].all()


def test_the_rim_is_where_colours_mix(regions: Regions) -> None:
    around = (INSIDE < 0) & (INSIDE >= -RIM_PX)
    assert regions.rim.any()
    assert not (regions.rim & ~around).any()
    assert not (regions.rim & regions.context).any()
    np.testing.assert_array_equal(regions.rim[12:28, 22:24], True)
