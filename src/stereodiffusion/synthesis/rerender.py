"""A finished pair drawn again with other parallax, at once and without the model.

A pair is recorded in two layers: the source picture with its disparity, and what the other eye sees behind it, as the
model has drawn it, with the disparity of the background there. Each is moved as a surface, and the source lies in
front. What neither of them shows, since deeper parallax uncovers more than the model has drawn, mirrors the background
beside it. It is a preview: a run with the same settings draws those places, and takes borders apart that are mixtures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, in_bands
from stereodiffusion.pair import StereoPair
from stereodiffusion.types import Image, Map, Region

Rows: TypeAlias = Float[Tensor, "h w"]
Cells: TypeAlias = Bool[Tensor, "h w"]

_TORN_PX = 1.5  # neighbours that lie farther apart in disparity belong to two surfaces
_CELLS_AT_ONCE = 1 << 15  # so few that all that is computed of them stays in the processor's cache
_MIXED_PX = 2  # beside a border, where pixels are mixtures of both surfaces


class _Seen(NamedTuple):
    """What the other eye sees of a surface.

    Attributes:
        disparity: Of what is seen at each column; in holes, of the background beside them.
        position: Column of the surface's own picture that is seen; in holes the background, mirrored.
        visible: Where it is the surface, and no hole in it.
    """

    disparity: Rows
    position: Rows
    visible: Cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerender:
    """A pair whose parallax can be changed.

    Attributes:
        pair: As it was made: a single one whose source is its left eye.
        convergence: That it was made with, as a fraction of the width.
        strength: That it was made with; of a map in pixels or metres the parallax of its nearest point before
            convergence, as a fraction of the width.
    """

    pair: StereoPair
    convergence: float
    strength: float
    _front: Rows = field(init=False, repr=False)
    _behind: Rows = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.pair) != 1:
            raise GeometryError(f"expected a single pair, got a batch of {len(self.pair)}")
        screen_px = self.convergence * self._width
        front = self.pair.disparity.filled().pixels[0, 0].float() + screen_px
        object.__setattr__(self, "_front", front)
        object.__setattr__(self, "_behind", _seen(front - screen_px).disparity + screen_px)

    @property
    def _width(self) -> int:
        return self.pair.left.shape[3]

    def at(self, strength: float, convergence: float) -> StereoPair:
        """The pair with other parallax; the pair itself, with the parallax that it has.

        Args:
            strength: Parallax of the nearest point before convergence, as a fraction of the width, in [0, 0.5].
            convergence: Parallax that is moved to the screen, as a fraction of the width, in [-0.5, 0.5].

        Raises:
            GeometryError: If one is out of range, or the pair is flat and cannot be made deeper.
        """
        _check(strength, convergence)
        if self.strength == 0 and strength > 0:
            raise GeometryError("the pair has no relief: its disparity is the same everywhere")
        if (strength, convergence) == (self.strength, self.convergence):
            return self.pair
        factor = strength / self.strength if self.strength else 1.0
        screen_px = convergence * self._width
        front = self._front * factor - screen_px
        # The second layer is where the right eye saw it, and moves by as much as its disparity changes.
        change = self._behind * (factor - 1) - (screen_px - self.convergence * self._width)
        pair = self.pair
        fields = (pair.left, pair.right, front[None, None], change[None, None], pair.occlusion)
        right, visible = in_bands(_drawn, *fields, cells=_CELLS_AT_ONCE)
        return replace(
            self.pair,
            right=right,
            disparity=Disparity(pixels=front[None, None], known=torch.ones_like(self.pair.occlusion)),
            occlusion=~visible,
            provenance=self._signed(strength, convergence),
        )

    def _signed(self, strength: float, convergence: float) -> Mapping[str, object]:
        changed = {"strength": round(strength, 6), "convergence": round(convergence, 6)}
        return {**self.pair.provenance, "rerendered": changed}


def _drawn(left: Image, right: Image, front: Map, change: Map, hidden: Region) -> tuple[Image, Region]:
    """Rows of the right picture, and where they show the source's own pixels.

    Args:
        left: The source.
        right: As it was made.
        front: The new disparity of the source.
        change: Of the disparity of what `right` shows.
        hidden: What of `right` the source does not see.
    """
    seen = _seen(front[0, 0])
    moved = _seen(change[0, 0], hidden[0, 0])
    drawn = _sampled(left[0], seen.position)
    second = _sampled(right[0], moved.position)
    picture = torch.where(~seen.visible & moved.visible, second, drawn)
    return picture[None], seen.visible[None, None]


def _check(strength: float, convergence: float) -> None:
    if not (isfinite(strength) and 0 <= strength <= 0.5):
        raise GeometryError(f"strength must be a fraction of the width in [0, 0.5], got {strength}")
    if not (isfinite(convergence) and -0.5 <= convergence <= 0.5):
        raise GeometryError(f"convergence must be a fraction of the width in [-0.5, 0.5], got {convergence}")


def _seen(disparity: Rows, known: Cells | None = None) -> _Seen:
    """Move a surface to the right eye: x_R = x_L - d. Of all that comes to one column the nearest has the largest x."""
    size = disparity.shape[-1]
    column = torch.arange(size, device=disparity.device).expand(disparity.shape)
    target = (column - disparity).round().long()
    inside = (target >= 0) & (target < size)
    if known is not None:
        inside &= known
    source = torch.full((disparity.shape[0], size + 1), -1, device=disparity.device)
    source.scatter_reduce_(-1, torch.where(inside, target, size), column, "amax")
    source = source[:, :-1]
    found = source >= 0
    moved = disparity.gather(-1, source.clamp_min_(0))

    # Holes lie between two surfaces: the farther one goes on behind the nearer. Narrow ones are stretched surface.
    before = torch.where(found, column, -1).cummax(-1).values
    after = torch.where(found, column, size).flip(-1).cummin(-1).values.flip(-1)
    d_before = moved.gather(-1, before.clamp_min(0)).masked_fill_(before < 0, torch.inf)
    d_after = moved.gather(-1, after.clamp_max(size - 1)).masked_fill_(after >= size, torch.inf)
    stretched = ~found & ((d_before - d_after).abs() <= _TORN_PX) & (after - before <= 1 + _TORN_PX)
    background = torch.minimum(d_before, d_after).nan_to_num_(posinf=0.0)
    dense = torch.where(found, moved, background)
    visible = found | stretched
    edge = torch.where(d_before <= d_after, before, after)
    away = torch.where(d_before <= d_after, 1 - _MIXED_PX, _MIXED_PX - 1)
    mirrored = 2 * edge - column + away + background
    position = torch.where(visible, column + dense, mirrored)
    return _Seen(dense, position, visible)


def _sampled(picture: Float[Tensor, "3 h w"], position: Rows) -> Float[Tensor, "3 h w"]:
    """The picture at fractional columns; beyond the frame its last one."""
    size = picture.shape[-1]
    position = position.clamp(0, size - 1)
    left = position.floor()
    weight = position - left
    index = left.long().expand(picture.shape)
    here = picture.gather(-1, index)
    return torch.lerp(here, picture.gather(-1, (index + 1).clamp_max(size - 1)), weight.to(picture.dtype))
