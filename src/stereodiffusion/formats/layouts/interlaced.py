"""Interlaced: both eyes in one picture of an eye's size, each seen in half of its pixels.

For displays that polarise or mask their pixels by turns: rows (passive 3D monitors and televisions), columns
(lenticular and barrier displays without glasses), or a checkerboard (DLP televisions). The left eye has the first pixel
of all three (the first row, the first column). Each eye keeps half of its pixels, exactly; reading back fills the
others between their neighbours.
"""

from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

Pattern: TypeAlias = Literal["rows", "columns", "checkerboard"]


def interlaced(
    left: Float[Tensor, "b channels h w"], right: Float[Tensor, "b channels h w"], pattern: Pattern
) -> Float[Tensor, "b channels h w"]:
    """The two eyes by turns."""
    return torch.where(_shows_left(pattern, left), left, right)


def separated(
    frame: Float[Tensor, "b channels h w"], pattern: Pattern
) -> tuple[Float[Tensor, "b channels h w"], Float[Tensor, "b channels h w"]]:
    """The left and the right eye: what the frame shows of each, exactly, and between that the mean around it."""
    shows_left = _shows_left(pattern, frame)
    return _completed(frame, shows_left), _completed(frame, ~shows_left)


def _shows_left(pattern: Pattern, like: Float[Tensor, "b channels h w"]) -> Bool[Tensor, "h w"]:
    height, width = like.shape[-2:]
    rows = torch.arange(height, device=like.device)[:, None]
    columns = torch.arange(width, device=like.device)[None]
    match pattern:
        case "rows":
            number = rows.expand(height, width)
        case "columns":
            number = columns.expand(height, width)
        case "checkerboard":
            number = rows + columns
    return number % 2 == 0


def _completed(frame: Float[Tensor, "b channels h w"], shown: Bool[Tensor, "h w"]) -> Float[Tensor, "b channels h w"]:
    """The pixels that are shown, and for each other the mean of those that are shown above, below and beside it."""
    weight = shown.to(frame.dtype)[None, None]
    total = _neighbours((frame * weight).flatten(0, 1)[:, None]).reshape(frame.shape)
    return torch.where(shown, frame, total / _neighbours(weight).clamp_min(1))


def _neighbours(cells: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
    """The sum of the four neighbours of each cell; beyond the border there are none."""
    cross = cells.new_tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]])[None, None]
    return functional.conv2d(cells, cross, padding=1)
