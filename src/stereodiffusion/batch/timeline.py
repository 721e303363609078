"""Which stage of which picture went on when: how stages of several pictures overlap, and a trace to be looked at."""

import json
import os
import socket
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

READING, WRITING = "reading", "writing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stage of a picture, from when to when.

    Attributes:
        stage: What was done.
        networks: Whether networks computed in it.
        began: By the clock of its machine that never jumps, in seconds.
        ended: The same.
        worker: Machine and process.
        hand: Thread of it; each works on one picture at a time.
    """

    stage: str
    networks: bool
    began: float
    ended: float
    worker: str
    hand: int

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class Watch:
    """Times the stages of one picture, in whichever threads they are.

    Attributes:
        spans: Those that have ended.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []

    @contextmanager
    def timed(self, stage: str, *, networks: bool = False) -> Generator[None]:
        """A stage goes on while this is entered."""
        began = time.monotonic()
        try:
            yield
        finally:
            span = Span(
                stage=stage,
                networks=networks,
                began=began,
                ended=time.monotonic(),
                worker=f"{socket.gethostname()} {os.getpid()}",
                hand=threading.get_native_id(),
            )
            self.spans.append(span)


def overlap(spans: Sequence[Span]) -> float:
    """The share of the time in which anything is done in which two or more things are, in [0, 1].

    Args:
        spans: Of one machine.
    """
    edges = sorted([(span.began, 1) for span in spans] + [(span.ended, -1) for span in spans])
    busy, several, going_on, since = 0.0, 0.0, 0, 0.0
    for when, change in edges:
        busy += (when - since) * (going_on > 0)
        several += (when - since) * (going_on > 1)
        going_on, since = going_on + change, when
    return several / busy if busy else 0.0


def chrome_trace(pictures: Iterable[tuple[str, Sequence[Span]]]) -> str:
    """The spans of pictures as browsers and Perfetto show them: JSON in Chrome's trace event format.

    Args:
        pictures: Inputs and their spans. A process of the trace is a worker, a thread of it one that worked on a
            picture at a time. Machines have clocks of their own: what is on several cannot be compared.
    """
    workers, events = dict[str, int](), list[dict[str, Any]]()
    for place, spans in pictures:
        for span in spans:
            number = workers.setdefault(span.worker, len(workers) + 1)
            events.append(
                {
                    "name": span.stage,
                    "cat": "networks" if span.networks else "pixels",
                    "ph": "X",
                    "ts": round(span.began * 1e6),
                    "dur": round(span.seconds * 1e6),
                    "pid": number,
                    "tid": span.hand,
                    "args": {"input": place},
                }
            )
    names = [
        {"name": "process_name", "ph": "M", "pid": number, "tid": 0, "args": {"name": worker}}
        for worker, number in workers.items()
    ]
    return json.dumps(
        {"traceEvents": [*names, *sorted(events, key=lambda event: event["ts"])], "displayTimeUnit": "ms"}
    )
