"""Work on the machines of a Ray cluster, of which this machine may be the only one.

A worker is an actor that has made what it works with once. It has several items in hand, so that stages of them can
go on beside each other; all others wait here. The first worker does one item alone: what memory that took is what each
further one asks for, and there are as many as the machines have room for. Items of a worker that is lost, with its
machine or by itself, are given back, and another worker takes its place.
"""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from socket import create_connection
from typing import Any, Generic, TypeAlias, TypeVar

from stereodiffusion.errors import ConfigError, ResultsError, WorkerError, first_line

Item = TypeVar("Item")
Result = TypeVar("Result")
Make: TypeAlias = Callable[[], Callable[[Item], Iterable[Result]]]

_SLACK = 1.25  # of memory: other items may be larger than the first
_LISTENING_S = 10.0  # for an answer of the cluster
_STARTS = 3  # of Ray on this machine at most
_PATIENCE_S = 10.0  # before it is looked whether a worker can still come


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Machines that Ray runs on.

    Attributes:
        address: `local` starts Ray on this machine alone and ends it afterwards; otherwise that of a cluster which is
            there, `HOST:PORT`, or `auto` where this machine is one of it.
        most: Workers at most; as many as there is room for if None.

    Raises:
        ConfigError: If Ray is not installed, or there should be no worker.
    """

    address: str = "local"
    most: int | None = None

    def __post_init__(self) -> None:
        if find_spec("ray") is None:
            raise ConfigError("ray is not installed, which takes the extra: pip install 'stereodiffusion[batch]'")
        if self.most is not None and self.most < 1:
            raise ConfigError(f"workers must be at least 1, got {self.most}")

    def check_there(self) -> None:
        """Refuse an address at which nobody listens; Ray itself would wait for minutes.

        Raises:
            ResultsError: If it is one, or is none.
        """
        if self.address in ("local", "auto"):
            return
        host, _, port = self.address.rpartition(":")
        try:
            create_connection((host, int(port)), timeout=_LISTENING_S).close()
        except (OSError, ValueError, OverflowError) as refused:
            raise ResultsError(
                f"{self.address}: expected local, auto or the HOST:PORT of a Ray cluster: {first_line(refused)}"
            ) from refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a worker takes of its machine.

    Attributes:
        threads: Of torch; as many processors are its own, but one where a graphics card computes.
        gpus: Graphics cards, or a part of one.
        in_hand: Items that it has at once.
    """

    threads: int
    gpus: float = 0.0
    in_hand: int = 1

    @property
    def processors(self) -> int:
        """How many are its own."""
        return 1 if self.gpus else self.threads

    def __str__(self) -> str:
        """What a machine must have."""
        cards = f" and {self.gpus:g} of a graphics card" if self.gpus else ""
        return f"{self.processors} free processor{'s' if self.processors > 1 else ''}{cards}"

    def fitting(self, resources: dict[str, float], memory: int) -> int:
        """How many workers with so many bytes there is room for on a machine."""
        wanted = {"CPU": self.processors, "GPU": self.gpus, "memory": memory}
        return min(int(resources.get(name, 0) // each) for name, each in wanted.items() if each)


def in_cluster(
    make: "Make[Item, Result]",
    items: Sequence[Item],
    cluster: Cluster,
    share: Share,
    *,
    lost: Callable[[Item, WorkerError], Result],
) -> Iterator[Result]:
    """The results of all items, as they come.

    Args:
        make: Called once in each worker, in a folder of the same name as this process's; what it returns is called
            with items, by as many threads at once as there are items in hand.
        items: What is to be done.
        cluster: Where.
        share: What each worker takes.
        lost: What comes of an item whose worker was lost. It may have been done: that can only be seen by looking.

    Raises:
        ResultsError: If there is no such cluster, or no room for one worker in it.
        Exception: Whatever the work raises.
    """
    cluster.check_there()
    with connected(cluster.address) as ray:
        yield from _Crew(ray, make, items, cluster, share).results(lost)


class _Worker:
    """An actor."""

    def __init__(self, make: "Make[Any, Any]", threads: int, folder: str) -> None:
        import torch

        os.chdir(folder)
        torch.set_num_threads(threads)
        self._work = make()

    def ready(self) -> None:
        """Nothing is left to be waited for."""

    def do(self, item: object) -> tuple[list[Any], int]:
        """The results of an item, and how much memory this process has taken at most so far, in bytes."""
        return list(self._work(item)), _peak_bytes()


class _Crew(Generic[Item, Result]):
    """The workers of one run, and what they have in hand."""

    def __init__(
        self, ray: Any, make: "Make[Item, Result]", items: Sequence[Item], cluster: Cluster, share: Share
    ) -> None:
        self._ray, self._make, self._share = ray, make, share
        self._waiting = deque(items)
        self._most = min(cluster.most or len(items), len(items))
        self._memory = 0
        self._held: dict[Any, tuple[Any, Item | None]] = {}  # by what each gives: the worker, and on what, if on any
        self._alive = set[Any]()

    def results(self, lost: Callable[[Item, WorkerError], Result]) -> Iterator[Result]:
        """All of them, as they come."""
        if not self._waiting:
            return
        if not self._room():
            raise ResultsError(
                f"expected a machine with {self._share}, the cluster has none; OMP_NUM_THREADS=1 asks for one"
            )
        self._start(1)
        while self._waiting or any(item is not None for _, item in self._held.values()):
            done, _ = self._ray.wait(list(self._held), num_returns=1, timeout=_PATIENCE_S) if self._held else ([], [])
            if not done:
                if self._hopeless():
                    yield from self._given_up(lost)
                    return
                continue
            (reference,) = done
            worker, item = self._held.pop(reference)
            try:
                found = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except self._ray.exceptions.RayError as error:
                self._replace(worker)
                if item is not None:
                    yield lost(item, _worker_error(error))
                continue
            if item is None:
                self._alive.add(worker)
            else:
                results, peak = found
                yield from results
                self._grow(peak)
            self._hand(worker)

    def _start(self, count: int) -> None:
        """More workers; each is given nothing before it is there, since one for which there is no room yet waits."""
        for _ in range(count):
            options = {"num_cpus": self._share.processors, "num_gpus": self._share.gpus, "memory": self._memory}
            actor = self._ray.remote(_Worker).options(**options, max_concurrency=self._share.in_hand)
            worker = actor.remote(self._make, self._share.threads, os.getcwd())  # noqa: PTH109 - as it was given
            self._held[worker.ready.remote()] = worker, None

    def _room(self) -> int:
        """How many workers the machines hold."""
        machines = [each["Resources"] for each in self._ray.nodes() if each["Alive"]]
        return sum(self._share.fitting(machine, self._memory) for machine in machines)

    def _grow(self, peak: int) -> None:
        """Once it is known what memory a worker takes, start all the others."""
        if not self._memory:
            self._memory = int(_SLACK * peak)
            self._start(min(self._most, self._room(), 1 + len(self._waiting)) - 1)

    def _hand(self, worker: Any) -> None:
        """Fill a worker's hands; the first has one item until it is known what that takes."""
        busy = sum(each == worker and item is not None for each, item in self._held.values())
        for _ in range((self._share.in_hand if self._memory else 1) - busy):
            if self._waiting:
                item = self._waiting.popleft()
                self._held[worker.do.remote(item)] = worker, item

    def _replace(self, worker: Any) -> None:
        """Another worker, once, for one that was lost; none for one that never came to be."""
        if worker in self._alive:
            self._alive.remove(worker)
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(worker)  # it may be there and out of reach
            self._start(1)

    def _hopeless(self) -> bool:
        """Whether there is no worker, and none to come."""
        return not self._alive and not (self._held and self._room())

    def _given_up(self, lost: Callable[[Item, WorkerError], Result]) -> Iterator[Result]:
        """What comes of the rest then."""
        while self._waiting:
            yield lost(self._waiting.popleft(), WorkerError("no worker could be started on the cluster"))


def _worker_error(error: Exception) -> WorkerError:
    return WorkerError(f"a worker was lost, with its machine or for want of memory: {first_line(error)}")


def _peak_bytes() -> int:
    if sys.platform == "win32":
        return 1 << 30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def connected(address: str) -> Generator[Any]:
    """Ray itself, connected; it says nothing, reports to nobody, and leaves signals to us.

    Raises:
        ResultsError: If there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        quiet["include_dashboard"] = False
    try:
        init(ray, address, quiet)
    except Exception as refused:  # Ray has no kind of its own for it
        unauthorised = address != "local" and os.environ.get("RAY_AUTH_MODE") != "token"
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token" if unauthorised else ""
        raise ResultsError(f"{address}: expected a Ray cluster there: {first_line(refused)}{hint}") from refused
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        yield ray
    finally:
        ray.shutdown()


def init(ray: Any, address: str, options: dict[str, Any]) -> None:
    """Connect; Ray on this machine is started again if it was too slow: it expects each of its processes within 15 s.

    Raises:
        Exception: Of Ray, if it does not work.
    """
    for left in reversed(range(_STARTS if address == "local" else 1)):
        try:
            ray.init(address=address, **options)
        except Exception:
            ray.shutdown()
            if not left:
                raise
        else:
            return
