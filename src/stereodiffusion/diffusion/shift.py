"""Moving latents from the left view to the right: the stereo pixel shift, SPSMD and deblur (Sec. 3.1, 3.2).

Where cells go is decided once, by the splat of `stereodiffusion.geometry`; its source index tells for each right cell
the left column it came from. Applying it is a gather, never an interpolation: a blend of two noisy cells would have
less than unit variance, which the network takes for blur.

Six planes of whole cells are coarse. Re-synchronising *from pixels* moves the left's picture instead, with sub-pixel
accuracy, and encodes it; only the noise on top of it, which has no position to be wrong about, moves in whole cells.

As in the paper the left is what is there and the right what is made. Only the cell map and the known part know which
of the two eyes that is, or how far apart they are.
"""

from dataclasses import dataclass

import torch

from stereodiffusion.diffusion.denoise import Transition
from stereodiffusion.diffusion.schedule import Level
from stereodiffusion.diffusion.solver import History, State
from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, heading, paper_disparity, splat
from stereodiffusion.settings import Settings
from stereodiffusion.types import Latent, Region, SourceIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMap:
    """For each right cell the left column that it shows.

    Attributes:
        source: Left column on the same row, -1 where no left cell lands, (b, 1, h, w).
    """

    source: SourceIndex

    @property
    def occlusion(self) -> Region:
        """Right cells that no left cell reaches."""
        return self.source < 0

    @property
    def visible(self) -> Region:
        """Right cells that show a left cell."""
        return self.source >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLatents:
    """What is known of the right view before it is made.

    Attributes:
        clean: Latents of the left's picture moved in pixels, its occlusions filled provisionally, (b, c, h, w).
        cells: The cells that show nothing provisional, (b, 1, h, w).
    """

    clean: Latent
    cells: Region


def cell_map(disparity: Disparity, settings: Settings, grid: tuple[int, int], position: float = 1.0) -> CellMap:
    """Where latent cells go.

    Args:
        disparity: Dense, of the picture, on any grid, as given: neither normalised nor converged.
        settings: How parallax is scaled, converged and rounded.
        grid: (height, width) of the latents.
        position: Where they are looked at from, in baselines to the right of the picture's eye.
    """
    height, width = grid
    if settings.parallax.scale == "normalized":
        moved = paper_disparity(disparity, max_disparity=settings.parallax.max_disparity, height=height, width=width)
    else:
        moved = disparity.resize(height, width)
    if settings.parallax.zero:
        moved = moved.converged_at(settings.parallax.zero * width)
    to, fraction = heading(position)
    return CellMap(
        source=splat(torch.zeros_like(moved.pixels), moved, to=to, mode=settings.shift.splat, fraction=fraction).source
    )


def stereo_shift(left: Latent, cells: CellMap) -> Latent:
    """S(x, D) of Eq. 3, as a forward shift; occluded cells are 0.

    Raises:
        GeometryError: If the cell map is of another grid or batch.
    """
    if cells.source.shape != (len(left), 1, *left.shape[2:]):
        raise GeometryError(f"the cell map is {tuple(cells.source.shape)}, the latents are {tuple(left.shape)}")
    moved = left.gather(3, cells.source.clamp_min(0).expand_as(left))
    return moved.masked_fill(cells.occlusion, 0)


def deblur(right: Latent, cells: CellMap, noise: Latent) -> Latent:
    """Eq. 8: occluded cells become `noise`, which is N(0, 1)."""
    return torch.where(cells.occlusion, noise, right)


def shifted_state(left: State, cells: CellMap) -> State:
    """Latents and what a solver remembers beside them, moved alike; cells that come from nowhere have no history."""
    history = left.history
    if history is not None:
        history = History(clean=stereo_shift(history.clean, cells), known=cells.visible)
    return State(latents=stereo_shift(left.latents, cells), history=history)


def resync_copy(left: State, right: State, cells: CellMap) -> State:
    """SPSMD as the authors' code takes it: after a step, visible right cells become the shifted left (Eq. 7)."""
    return overwrite(right, shifted_state(left, cells), cells.visible)


def overwrite(state: State, by: State, where: Region) -> State:
    """Latents and history of the cells at `where` replaced."""
    history = state.history
    if history is not None and by.history is not None:
        history = History(
            clean=torch.where(where, by.history.clean, history.clean),
            known=torch.where(where, by.history.known, history.known),
        )
    return State(latents=torch.where(where, by.latents, state.latents), history=history)


def resync_mixed(left_s: Latent, right: Transition, cells: CellMap) -> Latent:
    """SPSMD as Eq. 6 prints it: the right's step is taken again from X', by what was predicted at x'."""
    mixed = torch.where(cells.visible, stereo_shift(left_s, cells), right.x_t)  # Eq. 7
    return right.schedule.moved(mixed, right.predicted, right.index, right.index + 1)  # Eq. 6


def resync_pixels(
    known: KnownLatents, left_0: Latent, left_s: Latent, level: Level, cells: CellMap, fresh: Latent
) -> Latent:
    """The right view as far as it is known, at the noise level of a finished step: Eq. 7, by pixels.

    What the preset `best` does instead of `resync_copy`. The left's own noise ε = (x_s - signal x_0) / noise goes
    where its cells go and keeps its unit variance; cells that no left cell reaches get `fresh`.

    Args:
        known: The right view's known part, clean.
        left_0: Clean latents of the left.
        left_s: The left's latents at the level.
        level: Its proportions of signal and noise.
        cells: Where the left's cells go.
        fresh: N(0, 1), the same at every level so that a cell keeps its noise.
    """
    if level.noise == 0:
        return known.clean
    noise = (left_s - level.signal * left_0) / level.noise
    moved = torch.where(cells.visible, stereo_shift(noise, cells), fresh)
    return level.signal * known.clean + level.noise * moved
