"""A synthesis under way: iterate over it for progress, or ask for its result; several views come one by one."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Another kind of work begins, and lasts until the next turn.

    Attributes:
        stage: What is done.
        networks: Whether networks compute in it. Otherwise pixels alone are worked on, and another run of the same
            model may have its networks meanwhile.
    """

    stage: str
    networks: bool


Turns: TypeAlias = Callable[[Turn], AbstractContextManager[object]]
"""Entered for each turn: holds a lock, or looks at the clock."""

Synthesis: TypeAlias = Generator[Progress | Note | Turn, None, StereoPair]

ViewSynthesis: TypeAlias = Generator[Progress | Note | Turn | View, None, None]

Event = TypeVar("Event")
Made = TypeVar("Made")


def in_turns(events: Generator[Event, None, Made], turns: Turns) -> Generator[Event, None, Made]:
    """The same work, with each of its turns entered while it is done. What comes before the first is in none."""
    with closing(events):
        made = yield from _until_turn(events)
        while isinstance(made, Turn):
            with turns(made):
                made = yield from _until_turn(events)
        return made


def _until_turn(events: Generator[Event, None, Made]) -> Generator[Event, None, Made | Turn]:
    """What happens before the next turn, which is given; or what the work gives, if there is none any more."""
    while True:
        try:
            event = next(events)
        except StopIteration as finished:
            return finished.value
        if isinstance(event, Turn):
            return event
        yield event


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

    def _watch(self, synthesis: Synthesis) -> Generator[Progress]:
        with closing(synthesis):
            while True:
                try:
                    event = next(synthesis)
                except StopIteration as finished:
                    self._pair = finished.value
                    return
                if isinstance(event, Note):
                    self.notes.append(event.text)
                elif isinstance(event, Progress):
                    yield event

    def close(self) -> None:
        """Break off."""
        self._steps.close()

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

    def _watch(self, synthesis: ViewSynthesis) -> Generator[Progress | View]:
        with closing(synthesis):
            for event in synthesis:
                if isinstance(event, Note):
                    self.notes.append(event.text)
                elif not isinstance(event, Turn):
                    yield event

    def close(self) -> None:
        """Break off."""
        self.steps.close()

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
