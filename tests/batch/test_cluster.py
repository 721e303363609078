"""What a cluster's worker is, without a cluster: `python -m tests.batch.losing_a_node` has one."""

import socket
import sys
from importlib.util import find_spec

import pytest

from stereodiffusion.batch.cluster import Cluster, Share, connected, init
from stereodiffusion.errors import ConfigError, ResultsError

pytestmark = pytest.mark.long


def test_a_machine_holds_as_many_workers_as_its_scarcest_resource() -> None:
    machine = {"CPU": 9.0, "GPU": 2.0, "memory": 10e9}
    assert Share(threads=2).fitting(machine, 0) == 4
    assert Share(threads=2).fitting(machine, 3_000_000_000) == 3
    assert Share(threads=16).fitting(machine, 0) == 0
    assert Share(threads=16, gpus=1.0).fitting(machine, 3_000_000_000) == 2
    assert Share(threads=1, gpus=1.0).fitting({"CPU": 9.0}, 0) == 0


def test_what_a_machine_must_have_is_said_in_words() -> None:
    assert str(Share(threads=2)) == "2 free processors"
    assert str(Share(threads=2, gpus=0.5)) == "1 free processor and 0.5 of a graphics card"


@pytest.mark.skipif(find_spec("ray") is None, reason="left out: needs the extra batch")
def test_what_cannot_be_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and does not listen
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
        for address in (nobody, "somewhere", "127.0.0.1:port"):
            with pytest.raises(ResultsError, match=f"{address}: expected local, auto or the HOST:PORT of a Ray"):
                Cluster(address=address).check_there()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'stereodiffusion\[batch\]'"):
        Cluster()


class _Slow:
    """What Ray does on a busy machine: so many starts take too long, and each leaves something behind."""

    def __init__(self, failing: int) -> None:
        self.left, self.starts, self.ended = failing, 0, 0

    def init(self, address: str) -> None:
        self.starts += 1
        assert self.ended == self.starts - 1  # nothing of the last start is there
        if self.left:
            self.left -= 1
            raise Exception(f"The current node at {address} timed out during startup.")

    def shutdown(self) -> None:
        self.ended += 1


def test_ray_that_does_not_start_in_time_is_started_again_on_this_machine_alone() -> None:
    slow = _Slow(2)
    init(slow, "local", {})
    assert (slow.starts, slow.ended) == (3, 2)
    for failing, address, starts in ((3, "local", 3), (1, "auto", 1)):
        slow = _Slow(failing)
        with pytest.raises(Exception, match="timed out"):
            init(slow, address, {})
        assert (slow.starts, slow.ended) == (starts, starts)


class _Refusing(_Slow):
    """What Ray does where a cluster asks for a token and gets none."""

    def init(self, address: str, **options: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379\nand more")


@pytest.mark.parametrize(
    ("address", "mode", "hinted"), [("auto", "", True), ("auto", "token", False), ("local", "", False)]
)
def test_a_cluster_that_refuses_gives_one_line_with_what_may_help(
    monkeypatch: pytest.MonkeyPatch, address: str, mode: str, hinted: bool
) -> None:
    monkeypatch.setitem(sys.modules, "ray", _Refusing(0))
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    hint = "; if it asks for a token, set RAY_AUTH_MODE=token" if hinted else ""
    line = f"{address}: expected a Ray cluster there: Failed to connect to Ray cluster at 10.0.0.1:6379{hint}"
    with pytest.raises(ResultsError, match=f"^{line}$"), connected(address):
        pass
