"""The disparity that a pair will have: estimated or given, fitted to the picture, scaled and converged."""

from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.occlusion import snap_to_edges
from stereodiffusion.settings import Borders, Parallax, Settings
from stereodiffusion.types import Image

_SNAPPING_PIXELS = 512 * 512


def effective(disparity: Disparity, parallax: Parallax) -> Disparity:
    """The disparity that a pair will have, on the grid it is given on: scaled as the settings say, then converged."""
    if parallax.scale == "normalized":
        nearest_px = parallax.max_disparity * disparity.width
        disparity = Disparity.from_relative(disparity.pixels, nearest_px, known=disparity.known)
    return disparity.converged_at(parallax.convergence * disparity.width) if parallax.convergence else disparity


def estimate(estimator: DepthEstimator, picture: Image, settings: Settings) -> Disparity:
    """The disparity of a picture as far as it can be told from the picture alone."""
    nearest_px = settings.parallax.max_disparity * picture.shape[3]
    disparity = Disparity.from_relative(estimator(picture), nearest_px)
    return disparity if settings.map.refine == "off" else refined(disparity, picture, settings.map)


def refined(disparity: Disparity, picture: Image, borders: Borders) -> Disparity:
    """A dense map whose borders lie where the picture's do, hair included.

    On a small grid first, where an estimator's ramps are narrow and hair is thin, then on the picture's own.
    """
    height, width = picture.shape[2:]
    if height * width <= 2 * _SNAPPING_PIXELS:
        return _snapped(disparity, picture, borders)
    scale = (_SNAPPING_PIXELS / (height * width)) ** 0.5
    small = round(height * scale), round(width * scale)
    coarse = _snapped(disparity.resize(*small), resize_image(picture, *small), borders)
    return snap_to_edges(coarse.resize(height, width), picture)


def _snapped(disparity: Disparity, picture: Image, borders: Borders) -> Disparity:
    snapped = snap_to_edges(disparity, picture)
    if not borders.hair:
        return snapped
    from stereodiffusion.occlusion.strands import attach_strands  # OpenCV takes its time

    return attach_strands(snapped, picture)
