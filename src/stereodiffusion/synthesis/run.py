"""A synthesis under way: iterate over it for progress, or ask for its result; several views come one by one."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from stereodiffusion.errors import SynthesisError
from stereodiffusion.formats.files import PathLike
from stereodiffusion.pair import StereoPair
from stereodiffusion.views import View, ViewFormat, save_views

Stage: TypeAlias = Literal[
    "source", "depth", "inversion", "null-text", "view", "both views", "views", "crops", "decoding"
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


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was assumed, or that looks wrong: one line for people."""

    text: str


Synthesis: TypeAlias = Generator[Progress | Note, None, StereoPair]

ViewSynthesis: TypeAlias = Generator[Progress | Note | View, None, None]


class Run:
    """One synthesis under way.

    Iterating does the work and yields `Progress`; `result` does what is left to do and gives the pair. Breaking off is
    allowed at any moment and leaves the model as it was.

    Attributes:
        notes: What was assumed or looks wrong, so far.
    """

    def __init__(self, synthesis: Synthesis, notes: Sequence[str] = ()) -> None:
        self.notes = list(notes)
        self._steps = self._watch(synthesis)
        self._pair: StereoPair | None = None

    def _watch(self, synthesis: Synthesis) -> Iterator[Progress]:
        while True:
            try:
                event = next(synthesis)
            except StopIteration as finished:
                self._pair = finished.value
                return
            if isinstance(event, Note):
                self.notes.append(event.text)
            else:
                yield event

    def __iter__(self) -> Iterator[Progress]:
        return self._steps

    @property
    def result(self) -> StereoPair:
        """The pair; runs to the end if need be.

        Raises:
            SynthesisError: If the run was broken off before, by an error or an interrupt.
        """
        for _ in self._steps:
            pass
        if self._pair is None:
            raise SynthesisError("expected a run that was not broken off: this one ended before its pair was complete")
        return self._pair


class ViewRun:
    """Several views under way.

    Iterating does the work and gives the views as they are made, from left to right; none is kept. `steps` gives
    everything that happens, progress and views alike.

    Attributes:
        steps: The work itself.
        positions: Of the views, in baselines to the right of the source.
        notes: What was assumed or looks wrong, so far.
    """

    def __init__(self, synthesis: ViewSynthesis, positions: Sequence[float], notes: Sequence[str] = ()) -> None:
        self.notes = list(notes)
        self.steps = self._watch(synthesis)
        self.positions = tuple(positions)

    def _watch(self, synthesis: ViewSynthesis) -> Iterator[Progress | View]:
        for event in synthesis:
            if isinstance(event, Note):
                self.notes.append(event.text)
            else:
                yield event

    def __iter__(self) -> Iterator[View]:
        return (event for event in self.steps if isinstance(event, View))

    def __len__(self) -> int:
        return len(self.positions)

    def save(self, path: PathLike, format: ViewFormat = "views") -> list[Path]:  # noqa: A002 - as StereoPair.save
        """Make the views and write each as it comes, to numbered files or into one quilt; returns their paths.

        Raises:
            FormatError: If the suffix is of no still picture, a file cannot be written, or the views are batches.
        """
        return list(save_views(self, self.positions, path, [format]))
