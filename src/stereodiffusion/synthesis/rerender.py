"""A finished pair drawn again with other parallax, at once and without the model.

A pair is recorded in two layers: the source picture with its disparity, and what the other eye sees behind it, as the
model has drawn it, with the disparity of the background there. Each is moved as a surface, and the source lies in
front. What neither of them shows, since deeper parallax uncovers more than the model has drawn, mirrors the background
beside it. It is a preview: a run with the same settings draws those places, and takes borders apart that are mixtures.

Only the first layer is moved as a whole; all else is done for the cells alone that it leaves empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import NamedTuple, TypeAlias

import cv2
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, warp_disparity
from stereodiffusion.geometry.curve import STRAIGHT, check_curve, from_curve_to_curve
from stereodiffusion.pair import StereoPair
from stereodiffusion.types import Image

Rows: TypeAlias = Float[Tensor, "h w"]
Cells: TypeAlias = Int[Tensor, " _"]
"""Cells by their index, row by row; in order."""
Values: TypeAlias = Float[Tensor, " _"]

_TORN_PX = 1.5  # neighbours that lie farther apart in disparity belong to two surfaces
_MIXED_PX = 2  # beside a border, where pixels are mixtures of both surfaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """What can be changed of a finished pair.

    Attributes:
        strength: Parallax of the nearest point before convergence, as a fraction of the width, in [0, 0.5].
        convergence: Parallax that is moved to the screen, as a fraction of the width, in [-0.5, 0.5].
        curve: Where the relief goes between the farthest and the nearest point, see `Parallax.curve`.

    Raises:
        GeometryError: If one is out of range.
    """

    strength: float
    convergence: float
    curve: tuple[float, ...] = STRAIGHT

    def __post_init__(self) -> None:
        if not (isfinite(self.strength) and 0 <= self.strength <= 0.5):
            raise GeometryError(f"strength must be a fraction of the width in [0, 0.5], got {self.strength}")
        if not (isfinite(self.convergence) and -0.5 <= self.convergence <= 0.5):
            raise GeometryError(f"convergence must be a fraction of the width in [-0.5, 0.5], got {self.convergence}")
        check_curve(self.curve)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rerender:
    """A pair whose parallax can be changed. Its left eye is taken for the source.

    Attributes:
        pair: As it was made: a single one.
        made: What it was made with; of a map in pixels or metres, strength is the parallax of the nearest point.
    """

    pair: StereoPair
    made: Relief
    _front: Rows = field(init=False, repr=False)
    _hidden: Cells = field(init=False, repr=False)
    _behind: Values = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.pair) != 1:
            raise GeometryError(f"expected a single pair, got a batch of {len(self.pair)}")
        screen_px = self._px(self.made.convergence)
        front = self.pair.disparity.filled().pixels[0, 0].float()
        hidden = self.pair.occlusion.flatten().nonzero().squeeze(1)
        object.__setattr__(self, "_front", front + screen_px)
        object.__setattr__(self, "_hidden", hidden)
        object.__setattr__(self, "_behind", _seen(front).disparity.flatten()[hidden] + screen_px)

    def at(self, relief: Relief) -> StereoPair:
        """The pair with other parallax; the pair itself, with the parallax that it has.

        Raises:
            GeometryError: If the pair is flat and cannot be made deeper, or its curve cannot be undone.
        """
        made, pair = self.made, self.pair
        if made.strength == 0 and relief.strength > 0:
            raise GeometryError("the pair has no relief: its disparity is the same everywhere")
        if relief == made:
            return pair
        front, behind = (values - self._px(relief.convergence) for values in self._spread(relief))
        # The second layer is where the right eye saw it, and moves by as much as its disparity changes.
        change = behind - (self._behind - self._px(made.convergence))
        seen = _seen(front)
        right = _sampled(pair.left, seen.position)
        _show_behind(right, pair.right, (~seen.visible).flatten().nonzero().squeeze(1), self._hidden, change)
        return replace(
            pair,
            right=right,
            disparity=Disparity(pixels=front[None, None], known=torch.ones_like(pair.occlusion)),
            occlusion=~seen.visible[None, None],
            provenance={**pair.provenance, "rerendered": _plain(relief)},
        )

    def _spread(self, relief: Relief) -> tuple[Rows, Values]:
        """Both layers' disparity before convergence."""
        factor = relief.strength / self.made.strength if self.made.strength else 1.0
        front, behind = self._front, self._behind
        if relief.curve != self.made.curve:
            ends = float(front.min()), float(front.max())
            front, behind = (
                from_curve_to_curve(values, ends, self.made.curve, relief.curve) for values in (front, behind)
            )
        return front * factor, behind * factor

    def _px(self, fraction: float) -> float:
        return fraction * self.pair.left.shape[3]


def mirrored(pair: StereoPair) -> StereoPair:
    """A pair in a mirror, where the eyes change places: of a pair whose source is its right eye one whose is its left.

    Disparity is unknown where the new left eye sees what the new right does not.
    """
    moved = warp_disparity(pair.disparity)
    known = moved.known & ~pair.occlusion
    disparity = Disparity(pixels=torch.where(known, moved.pixels, 0.0), known=known).mirrored()
    return StereoPair(
        left=pair.right.flip(-1),
        right=pair.left.flip(-1),
        disparity=disparity,
        occlusion=~warp_disparity(disparity).known,
        provenance=pair.provenance,
    )


def _plain(relief: Relief) -> Mapping[str, object]:
    said = {"strength": round(relief.strength, 6), "convergence": round(relief.convergence, 6)}
    return said if relief.curve == STRAIGHT else {**said, "curve": list(relief.curve)}


class _Seen(NamedTuple):
    """What the other eye sees of a surface.

    Attributes:
        disparity: Of what is seen at each column; in holes, of the background beside them.
        position: Column of the surface's own picture that is seen; in holes the background, mirrored.
        visible: Where it is the surface, and no hole in it.
    """

    disparity: Rows
    position: Rows
    visible: Bool[Tensor, "h w"]


def _seen(disparity: Rows) -> _Seen:
    """Move a surface to the right eye: x_R = x_L - d. Of all that comes to one column the nearest has the largest x."""
    height, width = disparity.shape
    column = torch.arange(width, device=disparity.device).expand(height, width)
    # Beside the frame there is a column on either side for what leaves it.
    target = (column - disparity).round_().clamp_(-1, width).long().add_(1)
    source = torch.full((height, width + 2), -1, device=disparity.device)
    source = source.scatter_reduce_(-1, target, column, "amax")[:, 1:-1].contiguous()
    visible = source >= 0
    dense = disparity.gather(-1, source.clamp_min_(0))
    position = column + dense
    holes = (~visible).flatten().nonzero().squeeze(1)
    if len(holes):
        _fill(holes, dense.view(-1), position.view(-1), visible.view(-1), width)
    return _Seen(dense, position, visible)


def _fill(holes: Cells, dense: Tensor, position: Tensor, visible: Tensor, width: int) -> None:
    """Holes lie between two surfaces: the farther one goes on behind the nearer. Narrow ones are stretched surface."""
    column = holes % width
    begins = column == 0
    begins[1:] |= holes.diff() != 1
    begins[0] = True
    first, run = begins.nonzero().squeeze(1), begins.cumsum(0) - 1
    last = torch.cat([first[1:], first.new_tensor([len(holes)])]) - 1
    before, after = column[first] - 1, column[last] + 1  # columns beside each hole; -1 and width are none
    d_before = dense[(holes[first] - 1).clamp_min(0)].masked_fill(before < 0, torch.inf)
    d_after = dense[(holes[last] + 1).clamp_max(len(dense) - 1)].masked_fill(after >= width, torch.inf)
    background = torch.minimum(d_before, d_after).nan_to_num(posinf=0.0)
    stretched = ((d_before - d_after).abs() <= _TORN_PX) & (after - before == 2)
    at_before = d_before <= d_after
    away = torch.where(at_before, 1 - _MIXED_PX, _MIXED_PX - 1)
    mirror = 2 * torch.where(at_before, before, after) + away
    dense[holes] = background[run]
    position[holes] = torch.where(stretched[run], column, mirror[run] - column) + background[run]
    visible[holes] = stretched[run]


def _show_behind(picture: Image, drawn: Image, empty: Cells, cells: Cells, change: Values) -> None:
    """Show in the empty cells of a picture what was drawn behind its first layer, where that has moved to.

    Args:
        picture: Is changed.
        drawn: The picture of the second layer.
        empty: Cells of `picture` that show nothing yet.
        cells: Those of `drawn` that belong to the second layer.
        change: Of their disparity.
    """
    if len(cells) == 0:
        return
    height, width = picture.shape[2:]
    row, column = cells // width, cells % width
    target = (column - change).round_().clamp_(-1, width).long() + 1
    lies = torch.full((height * (width + 2),), -1, device=cells.device)
    lies.scatter_reduce_(0, row * (width + 2) + target, torch.arange(len(cells), device=cells.device), "amax")
    lies.view(height, -1)[:, [0, -1]] = -1  # what has left the frame
    column = empty % width
    at = empty // width * (width + 2) + column + 1
    here, before, after = lies[at], lies[at - 1], lies[at + 1]
    d_before, d_after = change[before.clamp_min(0)], change[after.clamp_min(0)]
    stretched = (before >= 0) & (after >= 0) & ((d_before - d_after).abs() <= _TORN_PX)
    moved = torch.where(here >= 0, change[here.clamp_min(0)], torch.minimum(d_before, d_after))
    shown = (here >= 0) | stretched
    empty, moved = empty[shown], moved[shown]
    position = (empty % width + moved).clamp_(0, width - 1)
    left = position.floor()
    index = empty // width * width + left.long()
    flat = drawn[0].flatten(1)
    beside = flat[:, (index + 1).clamp_max(flat.shape[1] - 1)]
    picture[0].view(3, -1)[:, empty] = torch.lerp(flat[:, index], beside, (position - left).to(flat.dtype))


def _sampled(picture: Image, position: Rows) -> Image:
    """The picture at fractional columns, to 1/32 of a pixel; beyond the frame its last one."""
    height, width = position.shape
    columns = position.clamp(0, width - 1).cpu().numpy()
    rows = torch.arange(height, dtype=torch.float32)[:, None].expand(height, width).contiguous().numpy()
    values = picture[0].permute(1, 2, 0).float().contiguous().cpu().numpy()
    moved = torch.from_numpy(cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    return moved.permute(2, 0, 1)[None].contiguous().to(picture)
