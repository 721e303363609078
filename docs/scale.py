"""A batch of a million photos on a thousand graphics cards, simulated: the tables of docs/scale.md.

    python docs/scale.py [PICTURES]

What is simulated is `stereodiffusion.batch.cluster`: workers with a model each and four pictures in hand, of which one
is read, two are drawn and one is written at a time; one program that writes a line for each picture and hands out the
next; machines that fail with all that their workers have in hand; and what was lost, tried again after all others.
"""

import random
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from math import inf

IN_HAND, AT_ONCE = 4, 2  # as stereodiffusion.batch.making has it
HOUR = 3600.0
TURNS = ((True, 0.05), (False, 0.15), (True, 0.25), (False, 0.2), (True, 0.3), (False, 0.35))
"""Of a picture, whether networks compute in it and seconds: depth, borders, inversion, warping, view, warping."""


def pace(turns: Sequence[tuple[bool, float]], at_once: int, pictures: int = 400) -> float:
    """Seconds from one picture to the next of a worker that draws so many at once, with its networks for one of them.

    Args:
        turns: Of a picture: whether networks compute in it, and seconds.
        at_once: How many are drawn at once; each has a thread for its pixels.
        pictures: How many to look at, after as many that fill the line.
    """
    free, ended, begun = 0.0, [0.0], at_once
    events = [(0.0, number, 0) for number in range(at_once)]
    while len(ended) <= 2 * pictures:
        when, number, turn = heappop(events)
        if turn == len(turns):
            ended.append(when)
            number, turn, begun = begun, 0, begun + 1
        networks, seconds = turns[turn]
        if networks:
            when = free = max(when, free) + seconds
        else:
            when += seconds
        heappush(events, (when, number, turn + 1))
    return (ended[2 * pictures] - ended[pictures]) / pictures


_READY, _FAILS = -1, -2  # events that are no picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The machines, and what the stages of a picture take, in seconds; docs/scale.md says where the numbers are from.

    Attributes:
        pictures: To be made.
        machines: How many.
        cards: Graphics cards of a machine, with a worker each.
        read: Fetched and decoded.
        draw: Computed, from one picture to the next.
        networks: For how long of that a picture has the card.
        write: Encoded and stored.
        report: Of the one program, for each picture: its line on disk, and the next picture handed out.
        start: Of a worker: libraries and weights.
        between_failures: Of one machine, on average.
        away: Until another machine stands in for one that failed.
        retries: How often what was lost is tried again.
        spread: Whether drawing takes exponentially distributed times rather than the same for all.
        seed: Of chance.
    """

    pictures: int = 1_000_000
    machines: int = 125
    cards: int = 8
    read: float = 0.15
    draw: float = pace(TURNS, AT_ONCE)
    networks: float = sum(seconds for networks, seconds in TURNS if networks)
    write: float = 0.35
    report: float = 0.0025
    start: float = 30.0
    between_failures: float = inf
    away: float = 300.0
    retries: int = 2
    spread: bool = False
    seed: int = 0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        seconds: Until the last line.
        done: Pictures made.
        lost: Losses of pictures, of some several times.
        failed: Pictures lost as often as they may be tried.
        failures: Of machines.
        drawing: Card-seconds of networks that came to something.
        waited: Seconds that results waited for the program, in all.
    """

    seconds: float = 0.0
    done: int = 0
    lost: int = 0
    failed: int = 0
    failures: int = 0
    drawing: float = 0.0
    waited: float = 0.0


@dataclass(slots=True, eq=False)
class Worker:
    """When each of its stages is free again, and which pictures it has in hand.

    `life` counts how often it was lost: what a former life had in hand never comes back.
    """

    read: float
    draw: float
    write: float
    life: int = 0
    hand: set[int] = field(default_factory=set[int])


def simulate(fleet: Fleet) -> Outcome:
    """Run a batch to its end, what was lost in passes of its own."""
    outcome, chance = Outcome(), random.Random(fleet.seed)
    left: Sequence[int] = range(fleet.pictures)
    for _ in range(fleet.retries + 1):
        left = _Pass(fleet, outcome, chance, left).run()
        if not left:
            break
    outcome.failed = len(left)
    return outcome


class _Pass:
    """All workers start anew and are handed pictures until none is left."""

    def __init__(self, fleet: Fleet, outcome: Outcome, chance: random.Random, pictures: Sequence[int]) -> None:
        self._fleet, self._outcome, self._chance = fleet, outcome, chance
        self._waiting = deque(pictures)
        self._out = len(pictures)  # pictures of which nothing has been heard
        self._lost: list[int] = []
        self._free = outcome.seconds  # when the program has written its last line
        self._events: list[tuple[float, int, int, int, int]] = []  # when, life, worker (or machine), picture, order
        self._workers = [Worker(0, 0, 0) for _ in range(min(fleet.machines * fleet.cards, self._out))]
        self._order = 0

    def run(self) -> list[int]:
        """The pictures that were lost."""
        for machine in range(-(-len(self._workers) // self._fleet.cards)):
            self._fail_later(machine, self._free)
        for number in range(len(self._workers)):
            self._push(self._free + self._fleet.start, 0, number, _READY)
        while self._out:
            when, life, number, picture, _ = heappop(self._events)
            if picture == _FAILS:
                self._fail(number, when)
            elif life != self._workers[number].life:
                continue
            elif picture == _READY:
                self._workers[number] = Worker(when, when, when, life)
                for _ in range(IN_HAND):
                    self._hand(number, when)
            else:
                self._report(number, picture, when)
        self._outcome.seconds = max(self._outcome.seconds, self._free)
        return self._lost

    def _hand(self, number: int, now: float) -> None:
        """Give a worker the next picture: each stage begins when both it and the picture are ready."""
        if not self._waiting:
            return
        fleet, worker, picture = self._fleet, self._workers[number], self._waiting.popleft()
        draw = self._chance.expovariate(1 / fleet.draw) if fleet.spread else fleet.draw
        worker.read = max(worker.read, now) + fleet.read
        worker.draw = max(worker.draw, worker.read) + draw
        worker.write = max(worker.write, worker.draw) + fleet.write
        worker.hand.add(picture)
        self._push(worker.write, worker.life, number, picture)

    def _report(self, number: int, picture: int, when: float) -> None:
        """A result has come: the program writes its line after those that came before."""
        outcome = self._outcome
        begins = max(when, self._free)
        self._free = begins + self._fleet.report
        outcome.waited += begins - when
        outcome.done += 1
        outcome.drawing += self._fleet.networks
        self._out -= 1
        self._workers[number].hand.discard(picture)
        self._hand(number, self._free)

    def _fail(self, machine: int, when: float) -> None:
        """A machine is gone with all that its workers had in hand; another takes its place."""
        fleet, outcome = self._fleet, self._outcome
        outcome.failures += 1
        back = when + fleet.away
        mine = range(machine * fleet.cards, min((machine + 1) * fleet.cards, len(self._workers)))
        for number in mine:
            worker = self._workers[number]
            self._lost += worker.hand
            outcome.lost += len(worker.hand)
            self._out -= len(worker.hand)
            self._workers[number] = Worker(0, 0, 0, worker.life + 1)
            self._push(back + fleet.start, worker.life + 1, number, _READY)
        self._fail_later(machine, back)

    def _fail_later(self, machine: int, now: float) -> None:
        if self._fleet.between_failures < inf:
            self._push(now + self._chance.expovariate(1 / self._fleet.between_failures), 0, machine, _FAILS)

    def _push(self, when: float, life: int, number: int, picture: int) -> None:
        self._order += 1
        heappush(self._events, (when, life, number, picture, self._order))


def table(rows: Sequence[tuple[str, Fleet]], price: float) -> str:
    """Markdown: what each fleet takes, what it costs at so much for a card's hour, and how busy its cards are."""
    lines = ["| | hours | pictures/s | cards busy | lost | failed | $ |", "|---|---|---|---|---|---|---|"]
    for name, fleet in rows:
        found = simulate(fleet)
        cards = fleet.machines * fleet.cards
        hours, busy = found.seconds / HOUR, found.drawing / found.seconds / cards
        cost = hours * cards * price
        pace = found.done / found.seconds
        lines.append(
            f"| {name} | {hours:.2f} | {pace:.0f} | {busy:.0%} | {found.lost} | {found.failed} | {cost:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table of docs/scale.md."""
    one = Fleet(pictures=int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
    each = replace(one, report=one.report / one.machines)  # programs that do not wait for each other
    rows = [
        ("one batch for all", one),
        ("a batch for each machine", each),
        ("... one drawn at a time", replace(each, draw=pace(TURNS, 1))),
        ("... three at once", replace(each, draw=pace(TURNS, 3))),
        ("... a machine lost each 6000 h", replace(each, between_failures=6000 * HOUR)),
        ("... each 20 h (pre-empted)", replace(each, between_failures=20 * HOUR)),
        ("... each hour", replace(each, between_failures=HOUR)),
        ("... each 10 minutes", replace(each, between_failures=HOUR / 6)),
        ("one batch for 104 cards", replace(one, machines=13)),
    ]
    print(table(rows, price=2.0))  # noqa: T201


if __name__ == "__main__":
    main()
