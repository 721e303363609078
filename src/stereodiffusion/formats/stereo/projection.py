"""Flat pictures on the half sphere of VR180, and back.

A flat (rectilinear) picture shows the direction (x, y, f), f its focal length; an equirectangular one spreads longitude
and latitude evenly. The half sphere is a square of 180 x 180 degrees, black where the picture does not reach, with as
many pixels per degree as the flat picture has in its middle, but not more than `LARGEST` along a side. The picture's
border is continued by two pixels, so that who interpolates at it finds no black.
"""

import math
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.formats.eyes import focal_px
from stereodiffusion.types import Image

_CONTINUED_PX = 2.5

LARGEST = 4096
"""Pixels along a side of the half sphere: 23 for a degree, about what headsets show; two of them can be read again."""


def sphere_side(width: int, field_of_view_deg: float) -> int:
    """Pixels along a side of the half sphere for flat pictures of that width and horizontal angle; even."""
    per_degree = math.radians(focal_px(width, field_of_view_deg))
    return min(2 * math.ceil(90 * per_degree), LARGEST)


def to_sphere(picture: Image, field_of_view_deg: float) -> Float[Tensor, "1 3 side side"]:
    """A flat picture of that horizontal angle on the half sphere."""
    height, width = picture.shape[2:]
    side, focal = sphere_side(width, field_of_view_deg), focal_px(width, field_of_view_deg)
    angle = (np.arange(side, dtype=np.float32) + 0.5) / side * np.float32(math.pi) - np.float32(math.pi / 2)
    longitude, latitude = angle[None], angle[:, None]
    x = focal * np.tan(longitude) + 0 * latitude
    y = focal * np.tan(latitude) / np.cos(longitude)
    is_seen = (np.abs(x) < width / 2 + _CONTINUED_PX) & (np.abs(y) < height / 2 + _CONTINUED_PX)
    return torch.where(torch.from_numpy(is_seen), _sampled(picture, x + (width - 1) / 2, y + (height - 1) / 2), 0.0)


def from_sphere(
    sphere: Image, height: int, width: int, field_of_view_deg: float
) -> Float[Tensor, "1 3 {height} {width}"]:
    """The flat picture of that size and horizontal angle that looks to the middle of the half sphere."""
    rows, columns = sphere.shape[2:]
    focal = focal_px(width, field_of_view_deg)
    x = ((np.arange(width, dtype=np.float32) - (width - 1) / 2) / focal)[None]
    y = ((np.arange(height, dtype=np.float32) - (height - 1) / 2) / focal)[:, None]
    longitude, latitude = np.arctan(x), np.arctan(y / np.sqrt(1 + x**2))
    return _sampled(
        sphere,
        (longitude / math.pi + 0.5) * columns - 0.5 + 0 * latitude,
        (latitude / math.pi + 0.5) * rows - 0.5,
    )


def _sampled(
    picture: Image, x: Float[np.ndarray, "rows columns"], y: Float[np.ndarray, "rows columns"]
) -> Float[Tensor, "1 3 rows columns"]:
    """The picture at those columns and rows; its border is continued beyond it."""
    import cv2

    pixels = np.ascontiguousarray(picture[0].detach().cpu().float().permute(1, 2, 0).numpy())
    taken = cv2.remap(
        pixels, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return torch.from_numpy(cast(np.ndarray, taken).transpose(2, 0, 1).copy())[None].clamp_(0, 1)
