"""The right eye's picture of one frame, as far as that frame alone says it: the path of `best` without its model.

Disparity is settled scene by scene. What a depth budget, a curve, the screen and comfort make of a map depends on the
map; asked anew for each frame, the screen would tremble and the relief breathe. So they look at the first frame of a
scene, and what becomes of its disparities there becomes of those of the whole scene.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis.borders import refined
from stereodiffusion.synthesis.compose import border_radius, known_view, over
from stereodiffusion.synthesis.controls import controlled
from stereodiffusion.synthesis.parallax import effective
from stereodiffusion.types import Image, Region
from stereodiffusion.video.steady import Relief

_KNOTS = 65
_FLAT_PX = 1e-3
_SAME_SURFACE_PX = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depth:
    """What a scene makes of relief: from disparity as estimated to that of the pair, straight between the knots.

    Attributes:
        estimated: In pixels, growing.
        final: What becomes of each.
    """

    estimated: Float32[np.ndarray, " knots"]
    final: Float32[np.ndarray, " knots"]

    def of(self, disparity: Disparity) -> Disparity:
        """The disparity that the pair will have."""
        pixels = np.interp(disparity.pixels.numpy(), self.estimated, self.final).astype(np.float32)
        return Disparity(pixels=torch.from_numpy(pixels), known=disparity.known)


def with_borders(relief: Relief, picture: Image, settings: Settings, *, has_borders: bool) -> Disparity:
    """The disparity of a frame as estimated, borders moved to where the picture's are.

    Args:
        relief: In [0, 1].
        picture: The frame, (1, 3, h, w).
        settings: Of the method.
        has_borders: Whether the estimator sees borders at all.
    """
    pixels = torch.from_numpy(relief)[None, None] * (settings.parallax.max_disparity * relief.shape[1])
    disparity = Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool))
    return refined(disparity, picture, settings.map) if has_borders and settings.map.refine != "off" else disparity


def settle(first: Disparity, picture: Image, settings: Settings) -> tuple[Depth, list[str]]:
    """What a scene that begins with this frame makes of disparity, and what there is to say of it.

    Raises:
        ConfigError: If a number comes out of range.
    """
    notes: list[str] = []
    asking = controlled(first, picture, settings)
    try:
        while True:
            notes.append(next(asking).text)
    except StopIteration as done:
        ready = done.value
    final = effective(ready.disparity, ready.settings.parallax)
    before, after = first.pixels.numpy().ravel(), final.pixels.numpy().ravel()
    order = np.argsort(before, kind="stable")
    before, after = before[order], after[order]
    most = settings.parallax.max_disparity * first.width
    if before[-1] - before[0] < _FLAT_PX:
        shift = float(after[0] - before[0])
        ends = np.array([0, most + 1], np.float32)
        return Depth(estimated=ends, final=ends + np.float32(shift)), notes
    at = np.unique(np.searchsorted(before, np.linspace(before[0], before[-1], _KNOTS)).clip(max=before.size - 1))
    x, y = before[at], after[at]
    keep = np.concatenate([[True], np.diff(x) > _FLAT_PX])
    x, y = x[keep], y[keep]
    # Later frames may reach farther and nearer than the first: the ends go on as they end.
    low, high = ((y[1] - y[0]) / (x[1] - x[0]), (y[-1] - y[-2]) / (x[-1] - x[-2]))
    x_ends = min(0.0, float(x[0])) - 1, max(most, float(x[-1])) + 1
    y_ends = y[0] + low * (x_ends[0] - x[0]), y[-1] + high * (x_ends[1] - x[-1])
    return (
        Depth(
            estimated=np.concatenate([[x_ends[0]], x, [x_ends[1]]]).astype(np.float32),
            final=np.concatenate([[y_ends[0]], y, [y_ends[1]]]).astype(np.float32),
        ),
        notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behind:
    """The right eye's picture without the soft borders of nearer things: levels of 8 bits, since many are kept.

    Attributes:
        picture: Occlusions continue the background.
        known: Where it shows the frame's own pixels, none of them mixed with what stands before them.
        disparity: In pixels, dense: occlusions lie as far as the background beside them.
        drawn: Where a diffusion model drew the picture: nowhere but in occlusions, on key frames.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    known: Bool[np.ndarray, "h w"]
    disparity: Float32[np.ndarray, "h w"]
    drawn: Bool[np.ndarray, "h w"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HalfSeen:
    """The right eye's picture before other frames are asked, in two layers.

    Attributes:
        behind: What soft borders lie over.
        front: Soft borders, colours times opacity.
        opacity: Of `front`.
    """

    behind: Behind
    front: UInt8[np.ndarray, "h w 3"]
    opacity: UInt8[np.ndarray, "h w"]

    def shown(self, behind: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The picture with its occlusions filled: the borders over what is behind them."""
        layers = over(to_image(self.front), to_image(self.opacity[..., None]), to_image(behind))
        return to_levels(layers.clamp(0, 1))

    def with_drawn(self, right: Image, occlusion: Region) -> "HalfSeen":
        """The same with the occlusions of a finished picture: what is seen there behind the borders.

        Args:
            right: The picture, (1, 3, h, w) in [0, 1].
            occlusion: Where it was drawn; borders are less than half opaque there.
        """
        through = 1 - to_image(self.opacity[..., None])
        behind = to_levels(((right - to_image(self.front)) / through.clamp(min=0.5)).clamp(0, 1))
        drawn = occlusion[0, 0].numpy()
        picture = np.where(drawn[..., None], behind, self.behind.picture)
        return replace(self, behind=replace(self.behind, picture=picture, drawn=drawn))


def seen_from_right(picture: Image, disparity: Disparity, settings: Settings) -> HalfSeen:
    """Move a frame to the right eye."""
    view = known_view(picture, disparity, settings.warp)
    known = view.seen.known[0, 0].numpy()
    dense = (view.seen.filled() if known.any() else view.seen).pixels[0, 0].float().numpy()
    return HalfSeen(
        behind=Behind(
            picture=to_levels(view.behind.clamp(0, 1)),
            known=known & ~_mixed(known, dense, border_radius(known.shape[0]) + 1),
            disparity=dense,
            drawn=np.zeros_like(known),
        ),
        front=to_levels(view.front.clamp(0, 1)),
        opacity=to_levels(view.opacity)[..., 0],
    )


def _mixed(
    known: Bool[np.ndarray, "h w"], disparity: Float32[np.ndarray, "h w"], reach: int
) -> Bool[np.ndarray, "h w"]:
    """The background right beside occlusions: mixtures with what hides it, taken apart by guessing its colour."""
    window = np.ones((1, 2 * reach + 1), np.uint8)
    beside = cv2.dilate((~known).astype(np.uint8), window) > 0
    return beside & (disparity - cv2.erode(disparity, window) < _SAME_SURFACE_PX)


def to_image(levels: UInt8[np.ndarray, "h w channels"]) -> Tensor:
    """Levels as (1, channels, h, w) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(levels)).permute(2, 0, 1)[None].float() / 255


def to_levels(image: Tensor) -> UInt8[np.ndarray, "h w channels"]:
    """Undoes `to_image`, rounded."""
    return (image[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
