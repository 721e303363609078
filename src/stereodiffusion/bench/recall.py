"""Null-text inversion that is computed once for each photo, and paid for by every method that uses it.

It depends on the photo alone, not on the technique, the disparity or the protocol, and it is three quarters of what
`sd-paper` costs. So the methods of one scene share it, and what it cost is added to the cost of each.
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch

from stereodiffusion.bench.cost import peak_memory_mb
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.synthesis.retrace import Retraced, retrace
from stereodiffusion.synthesis.run import Progress
from stereodiffusion.types import Latent


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What an inversion cost when it was computed.

    Attributes:
        seconds: Wall clock.
        evaluations: Network evaluations.
        peak_memory_mb: Most memory that was held, from the start of the method on; see `Cost`.
    """

    seconds: float
    evaluations: int
    peak_memory_mb: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Known:
    z_0: Latent
    wanted: tuple[tuple[str, ...], Schedule, float]
    found: Retraced
    spent: Spent


class RecalledInversion:
    """`retrace` of one model that remembers the photo before.

    Attributes:
        recalled: What was spared, for each time that it was.
    """

    def __init__(self) -> None:
        self._known: _Known | None = None
        self.recalled: list[Spent] = []

    def __call__(
        self,
        backbone: Backbone,
        z_0: Latent,
        prompts: Sequence[str],
        schedule: Schedule,
        guidance: float,
    ) -> Generator[Progress, None, Retraced]:
        """As `retrace` does."""
        wanted = tuple(prompts), schedule, guidance
        known = self._known
        if known is not None and known.wanted == wanted and torch.equal(known.z_0, z_0):
            self.recalled.append(known.spent)
            return known.found
        start = time.perf_counter()
        found, evaluations = yield from _counted(retrace(backbone, z_0, prompts, schedule, guidance))
        spent = Spent(
            seconds=time.perf_counter() - start,
            evaluations=evaluations,
            peak_memory_mb=peak_memory_mb(backbone.device),
        )
        self._known = _Known(z_0=z_0, wanted=wanted, found=found, spent=spent)
        return found


def _counted(
    inversion: Generator[Progress, None, Retraced],
) -> Generator[Progress, None, tuple[Retraced, int]]:
    evaluations = 0
    while True:
        try:
            progress = next(inversion)
        except StopIteration as ended:
            return ended.value, evaluations
        evaluations += progress.evaluations
        yield progress
