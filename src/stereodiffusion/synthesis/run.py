"""A synthesis under way: iterate over it for progress, or ask for its result."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from stereodiffusion.pair import StereoPair

Stage: TypeAlias = Literal[
    "left view", "depth", "inversion", "null-text", "right view", "both views", "crops", "decoding"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A step that was taken.

    Attributes:
        stage: What is being done.
        step: Steps of the stage that are done, from 1.
        steps: Steps that the stage has.
        evaluations: Network evaluations that this step cost, per latent.
    """

    stage: Stage
    step: int
    steps: int
    evaluations: int = 0


Synthesis: TypeAlias = Generator[Progress, None, StereoPair]


class Run:
    """One synthesis under way.

    Iterating does the work and yields `Progress`; `result` does what is left to do and gives the pair. Breaking off is
    allowed at any moment and leaves the model as it was.
    """

    def __init__(self, synthesis: Synthesis) -> None:
        self._steps = self._watch(synthesis)
        self._pair: StereoPair | None = None

    def _watch(self, synthesis: Synthesis) -> Iterator[Progress]:
        self._pair = yield from synthesis

    def __iter__(self) -> Iterator[Progress]:
        return self._steps

    @property
    def result(self) -> StereoPair:
        """The pair; runs to the end if need be.

        Raises:
            RuntimeError: If the run was broken off by an error before.
        """
        for _ in self._steps:
            pass
        if self._pair is None:
            raise RuntimeError("this run ended before its pair was complete")
        return self._pair
