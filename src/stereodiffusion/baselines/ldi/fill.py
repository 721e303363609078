"""Colour continued into a synthesis region. What does it is exchangeable: anything that is a `Fill`.

Each fill sees one peeled layer: the context, where its material comes from, and the synthesis region. All other cells
show the foreground, or nothing, and must not be used.
"""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float

from stereodiffusion.baselines.ldi.exemplar import refine_with_exemplars
from stereodiffusion.types import Image, Map, Region

SAME_DEPTH_PX = 3.0
"""Cells that differ by more do not continue one another's colour, even where they meet."""

_RADIUS = 2
_SIDE = 2 * _RADIUS + 1


@runtime_checkable
class Fill(Protocol):
    """Anything that continues a picture into a region: exemplars, diffusion models, ..."""

    def __call__(self, picture: Image, disparity: Map, context: Region, synthesis: Region) -> Image:
        """The picture with new colours in the synthesis region.

        Args:
            picture: (1, 3, h, w), what is seen when everything in front is peeled off.
            disparity: (1, 1, h, w) in pixels; of the new pixels where they are, so that depth can guide colour.
            context: (1, 1, h, w), the cells to take material from.
            synthesis: (1, 1, h, w), the cells to fill, disjoint from the context. Other cells are neither.

        Returns:
            (1, 3, h, w) in [0, 1]; only the synthesis region is used.
        """
        ...


def exemplar_fill(picture: Image, disparity: Map, context: Region, synthesis: Region) -> Image:
    """Continue with patches of the context that fit what is around each cell and have its depth.

    Colours are first continued smoothly from the rim inwards, then patches that look like the result are found
    and laid over one another (`exemplar`). Deterministic.
    """
    colour = picture[0].detach().permute(1, 2, 0).to("cpu", torch.float32).numpy()
    depth = disparity[0, 0].detach().to("cpu", torch.float32).numpy()
    known, hole = context[0, 0].cpu().numpy(), synthesis[0, 0].cpu().numpy()
    smooth = continue_smoothly(colour, depth, known, hole)
    filled = refine_with_exemplars(smooth, depth, known, hole)
    return torch.from_numpy(filled).permute(2, 0, 1)[None].to(picture)


def smooth_fill(picture: Image, disparity: Map, context: Region, synthesis: Region) -> Image:
    """Continue colours smoothly, without texture: each cell becomes the mean of what lies beside it at its depth."""
    colour = picture[0].detach().permute(1, 2, 0).to("cpu", torch.float32).numpy()
    depth = disparity[0, 0].detach().to("cpu", torch.float32).numpy()
    filled = continue_smoothly(colour, depth, context[0, 0].cpu().numpy(), synthesis[0, 0].cpu().numpy())
    return torch.from_numpy(filled).permute(2, 0, 1)[None].to(picture)


def continue_smoothly(
    colour: Float[np.ndarray, "h w 3"],
    disparity: Float[np.ndarray, "h w"],
    context: Bool[np.ndarray, "h w"],
    synthesis: Bool[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w 3"]:
    """Fill a region ring by ring from its rim: each cell is the weighted mean of the filled cells around it.

    Only cells within `SAME_DEPTH_PX` count. What has no such cell beside it takes the one closest in depth, and without
    any (no context at all) the mean of the picture.
    """
    width = synthesis.shape[1]
    if not synthesis.any():
        return colour
    padded = np.pad(colour, ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0)))
    stride = width + 2 * _RADIUS
    flat = padded.reshape(-1, 3)
    depth = np.pad(disparity, _RADIUS).ravel()
    filled = np.pad(context & ~synthesis, _RADIUS).ravel()
    dy, dx = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1]
    around = (dy * stride + dx).ravel()
    weight = 1 / np.maximum(dy**2 + dx**2, 1).ravel().astype(np.float32)
    y, x = np.nonzero(synthesis)
    todo = (y + _RADIUS) * stride + x + _RADIUS
    tolerance, span = SAME_DEPTH_PX, float(np.ptp(disparity))
    beside = np.array([-stride, -1, 1, stride])
    while todo.size:
        # Only cells on the present rim can be ready: looking at the others would cost most of the time.
        rim = np.flatnonzero(filled[todo[:, None] + beside].any(axis=1))
        near = todo[rim, None] + around
        counts = filled[near] & (np.abs(depth[near] - depth[todo[rim], None]) <= tolerance)
        share = weight * counts
        total = share.sum(axis=1)
        # Corner by corner a ring would grow spikes: a cell waits until it has neighbours enough, if others have.
        ready = total > min(1.5, 0.999 * float(total.max(initial=0)))
        if not ready.any():
            if tolerance > 2 * span:
                flat[todo] = colour[context].mean(axis=0) if context.any() else colour.mean(axis=(0, 1))
                break
            tolerance *= 2
            continue
        now = rim[ready]
        flat[todo[now]] = np.einsum("nk,nkc->nc", share[ready], flat[near[ready]]) / total[ready, None]
        filled[todo[now]] = True
        todo = np.delete(todo, now)
    return padded[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
