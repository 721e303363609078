"""The borders of a disparity map, moved to where the picture's are; hair and thin things with what they hang on."""

from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.occlusion import snap_to_edges
from stereodiffusion.settings import MapFitting
from stereodiffusion.types import Image

_SNAPPING_PIXELS = 512 * 512


def refined(disparity: Disparity, picture: Image, fitting: MapFitting) -> Disparity:
    """A dense map whose borders lie where the picture's do, hair included.

    On a small grid first, where an estimator's ramps are narrow and hair is thin, then on the picture's own.
    """
    height, width = picture.shape[2:]
    if height * width <= 2 * _SNAPPING_PIXELS:
        return _snapped(disparity, picture, fitting)
    scale = (_SNAPPING_PIXELS / (height * width)) ** 0.5
    small = round(height * scale), round(width * scale)
    coarse = _snapped(disparity.resize(*small), resize_image(picture, *small), fitting)
    return snap_to_edges(coarse.resize(height, width), picture)


def _snapped(disparity: Disparity, picture: Image, fitting: MapFitting) -> Disparity:
    snapped = snap_to_edges(disparity, picture)
    if not fitting.hair:
        return snapped
    from stereodiffusion.occlusion.strands import attach_strands  # OpenCV takes its time

    return attach_strands(snapped, picture)
