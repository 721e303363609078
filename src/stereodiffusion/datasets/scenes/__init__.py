"""Procedural toy scenes: a stereo data set with exact truth, drawn from integer seeds.

    >>> scene = sample_scene(7)
    >>> captions(scene)[0]                        # doctest: +SKIP
    >>> pair = render(scene, (256, 256))
    >>> pair.left.image.shape, pair.right.disparity.shape
    ((256, 256, 3), (256, 256))

A scene is 1 to 3 balls, cubes, cylinders or cones in eight colours and four patterns on a floor before a wall or the
sky.  Depth, the disparity of both eyes and occlusion are computed analytically, not estimated.
"""

from stereodiffusion.datasets.scenes.captions import VOCABULARY, caption, captions
from stereodiffusion.datasets.scenes.description import (
    BACKGROUNDS,
    COLOURS,
    FLOORS,
    PATTERNS,
    SHAPES,
    Rig,
    Scene,
    Toy,
    sample_scene,
)
from stereodiffusion.datasets.scenes.rendering import RenderedPair, RenderedView, render, render_disparity, render_image

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "FLOORS",
    "PATTERNS",
    "SHAPES",
    "VOCABULARY",
    "RenderedPair",
    "RenderedView",
    "Rig",
    "Scene",
    "Toy",
    "caption",
    "captions",
    "render",
    "render_disparity",
    "render_image",
    "sample_scene",
]
