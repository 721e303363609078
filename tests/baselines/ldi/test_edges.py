"""Depth edges: found where they are, linked, sharpened."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from tests.baselines.ldi.making import box_before_wall

from stereodiffusion.baselines.ldi.edges import find_discontinuities, sharpen


def test_the_cuts_run_around_the_box() -> None:
    scene = box_before_wall()
    edges = find_discontinuities(scene.disparity)
    assert edges.count == 1
    right, down = np.zeros_like(scene.box), np.zeros_like(scene.box)
    right[10:30, [23, 43]] = True
    down[[9, 29], 24:44] = True
    np.testing.assert_array_equal(edges.right[:, :-1] > 0, right[:, :-1])
    np.testing.assert_array_equal(edges.down[:-1] > 0, down[:-1])


def test_two_boxes_are_two_discontinuities() -> None:
    disparity = np.zeros((20, 40), dtype=np.float32)
    disparity[5:15, 5:12] = 5
    disparity[5:15, 25:32] = 8
    edges = find_discontinuities(disparity)
    assert edges.count == 2
    assert len(np.unique(edges.right[:, :20])) == 2
    assert set(np.unique(edges.right)) == {0, 1, 2}
    assert edges.right[7, 4] == edges.down[4, 8] != edges.right[7, 24]


@pytest.mark.parametrize(("jump", "count"), [(0.5, 0), (1.0, 0), (1.1, 1), (-1.1, 1), (-1.0, 0)])
def test_a_jump_of_one_column_is_none(jump: float, count: int) -> None:
    disparity = np.full((20, 20), 3.0, dtype=np.float32)
    disparity[:, 10:] += jump
    assert find_discontinuities(disparity).count == count


def test_short_ones_are_left_connected_unless_they_lie_at_the_frame() -> None:
    disparity = np.zeros((20, 20), dtype=np.float32)
    disparity[5:7, 5:7] = 9  # eight cuts
    assert find_discontinuities(disparity).count == 0
    assert find_discontinuities(disparity, shortest=8).count == 1
    beyond = np.pad(np.zeros((4, 6), dtype=np.float32), ((0, 0), (0, 3)), constant_values=np.inf)
    edges = find_discontinuities(beyond)
    assert edges.count == 1
    np.testing.assert_array_equal(np.argwhere(edges.right), [[row, 5] for row in range(4)])


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_cuts_that_meet_in_a_corner_have_one_number(height: int, width: int, seed: int) -> None:
    disparity = np.random.default_rng(seed).integers(0, 3, (height, width)).astype(np.float32) * 2
    edges = find_discontinuities(disparity, shortest=1)
    numbers = corners_by_union(disparity)
    found = {("right", y, x): int(n) for (y, x), n in np.ndenumerate(edges.right) if n}
    found |= {("down", y, x): int(n) for (y, x), n in np.ndenumerate(edges.down) if n}
    assert found.keys() == numbers.keys()
    assert len(set(zip(found.values(), (numbers[cut] for cut in found), strict=True))) == edges.count
    assert len(set(numbers.values())) == edges.count


def corners_by_union(disparity: Float[np.ndarray, "h w"]) -> dict[tuple[str, int, int], int]:
    """Each cut with the number of its discontinuity, by merging sets of cuts that share a corner."""
    height, width = disparity.shape
    groups: list[tuple[set[tuple[str, int, int]], set[tuple[int, int]]]] = []
    for y in range(height):
        for x in range(width):
            if x + 1 < width and abs(disparity[y, x] - disparity[y, x + 1]) > 1:
                groups.append(({("right", y, x)}, {(y, x + 1), (y + 1, x + 1)}))
            if y + 1 < height and abs(disparity[y, x] - disparity[y + 1, x]) > 1:
                groups.append(({("down", y, x)}, {(y + 1, x), (y + 1, x + 1)}))
    merged: list[tuple[set[tuple[str, int, int]], set[tuple[int, int]]]] = []
    for cuts, corners in groups:
        apart = [group for group in merged if not group[1] & corners]
        for group in merged:
            if group[1] & corners:
                cuts, corners = cuts | group[0], corners | group[1]
        merged = [*apart, (cuts, corners)]
    return {cut: number for number, (cuts, _) in enumerate(merged) for cut in cuts}


def test_a_blurred_step_becomes_sharp() -> None:
    disparity = np.full((30, 40), 2.0, dtype=np.float32)
    disparity[:, 20:] = 12
    sharp = disparity.copy()
    disparity[:, 19:22] = [4.5, 7.0, 9.5]
    result = sharpen(disparity)
    between = (result > 3) & (result < 11)
    assert not between.any()
    assert np.abs(np.argmax(result > 7, axis=1) - 20).max() <= 1
    np.testing.assert_array_equal(result[:, :14], sharp[:, :14])
    np.testing.assert_array_equal(result[:, 28:], sharp[:, 28:])


def test_sharpening_keeps_what_is_sharp_or_smooth() -> None:
    scene = box_before_wall()
    inner = np.ones_like(scene.box)
    inner[10:30, 24:44] = inner[13:27, 27:41] = True
    result = sharpen(scene.disparity)
    corners = result != scene.disparity
    assert corners.sum() <= 4 * 6  # a median rounds corners off
    slope = np.add.outer(np.linspace(0, 9, 30), np.linspace(0, 9, 30)).astype(np.float32)
    np.testing.assert_array_equal(sharpen(slope), slope)
    flat = np.full((5, 5), 3.0, dtype=np.float32)
    np.testing.assert_array_equal(sharpen(flat), flat)
