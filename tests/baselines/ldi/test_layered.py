"""Pixels behind one another and their links."""

import numpy as np
from jaxtyping import Bool
from tests.baselines.ldi.making import HEIGHT, WALL_PX, WIDTH, Scene, box_before_wall

from stereodiffusion.baselines.ldi.edges import find_discontinuities
from stereodiffusion.baselines.ldi.layered import (
    NO_LINK,
    LayeredImage,
    from_picture,
    peel,
    recoloured,
    with_layer,
)

MARGIN = 3


def single_layer(scene: Scene) -> LayeredImage:
    outside = np.pad(scene.disparity, ((0, 0), (0, MARGIN)), constant_values=np.inf)
    edges = find_discontinuities(outside)
    return from_picture(
        scene.colour, scene.disparity, margin=MARGIN, cut_right=edges.right > 0, cut_down=edges.down > 0
    )


def behind_the_box(scene: Scene, image: LayeredImage, hidden: Bool[np.ndarray, "h w"]) -> LayeredImage:
    """The wall continued behind a part of the box."""
    surface = peel(image)
    disparity = np.where(hidden, np.float32(WALL_PX), surface.disparity)
    edges = find_discontinuities(disparity, shortest=1)
    return with_layer(
        image,
        behind=surface,
        colour=np.full((HEIGHT, WIDTH + MARGIN, 3), 0.5, dtype=np.float32),
        disparity=disparity,
        present=hidden,
        cut_right=edges.right > 0,
        cut_down=edges.down > 0,
    )


def test_links_are_cut_across_discontinuities_and_nowhere_else() -> None:
    scene = box_before_wall()
    image = single_layer(scene)
    assert image.layers == 1
    linked = np.zeros((HEIGHT, WIDTH + MARGIN), dtype=bool)
    linked[:, : WIDTH - 1] = scene.box[:, :-1] == scene.box[:, 1:]
    np.testing.assert_array_equal(image.right[0] != NO_LINK, linked)
    below = np.zeros((HEIGHT, WIDTH + MARGIN), dtype=bool)
    below[:-1, :WIDTH] = scene.box[:-1] == scene.box[1:]
    np.testing.assert_array_equal(image.down[0] != NO_LINK, below)


def test_beyond_the_frame_is_nothing() -> None:
    surface = peel(single_layer(box_before_wall()))
    assert (surface.layer[:, WIDTH:] == -1).all()
    assert np.isinf(surface.disparity[:, WIDTH:]).all()
    assert (surface.layer[:, :WIDTH] == 0).all()


def test_a_new_layer_is_connected_with_the_wall_and_not_with_the_box() -> None:
    scene = box_before_wall()
    hidden = np.zeros((HEIGHT, WIDTH + MARGIN), dtype=bool)
    hidden[10:30, 38:44] = True
    image = behind_the_box(scene, single_layer(scene), hidden)
    assert image.layers == 2
    assert (image.right[1, 10:30, 43] == 0).all()  # on to the wall of the picture
    assert (image.right[1, 10:30, 38:43] == 1).all()  # among themselves
    assert (image.down[0, 9, 38:44] == 1).all()  # from the wall above
    assert (image.down[1, 29, 38:44] == 0).all()  # to the wall below
    assert (image.right[0, 10:30, 37] == 0).all()  # the box keeps its own links
    assert (image.right[0, 10:30, 43] == NO_LINK).all()  # the box's edge stays cut


def test_no_pixel_has_two_neighbours_on_one_side() -> None:
    scene = box_before_wall()
    hidden = np.zeros((HEIGHT, WIDTH + MARGIN), dtype=bool)
    hidden[10:30, 30:44] = True
    image = behind_the_box(scene, single_layer(scene), hidden)
    for links in (image.right, image.down):
        for target in range(image.layers):
            assert ((links == target).sum(axis=0) <= 1).all()
    assert (image.right[~image.present] == NO_LINK).all()


def test_peeling_shows_the_deepest() -> None:
    scene = box_before_wall()
    hidden = np.zeros((HEIGHT, WIDTH + MARGIN), dtype=bool)
    hidden[10:30, 38:44] = True
    surface = peel(behind_the_box(scene, single_layer(scene), hidden))
    np.testing.assert_array_equal(surface.layer == 1, hidden)
    assert (surface.disparity[hidden] == WALL_PX).all()
    np.testing.assert_array_equal(surface.colour[:, :WIDTH][~hidden[:, :WIDTH]], scene.colour[~hidden[:, :WIDTH]])


def test_recolouring_reaches_the_pixel_that_the_surface_shows() -> None:
    scene = box_before_wall()
    hidden = np.zeros((HEIGHT, WIDTH + MARGIN), dtype=bool)
    hidden[10:30, 38:44] = True
    image = behind_the_box(scene, single_layer(scene), hidden)
    where = np.zeros_like(hidden)
    where[20, 40:50] = True  # four hidden pixels, then six of the wall
    new = recoloured(image, peel(image), where, np.ones_like(image.colour[0]))
    changed = (new.colour != image.colour).any(axis=-1)
    assert changed[1, 20, 40:44].all()
    assert changed[0, 20, 44:50].all()
    assert changed.sum() == 10
