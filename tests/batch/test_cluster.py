"""What a cluster's worker is, without a cluster: `python -m tests.batch.losing_a_node` has one."""

import socket
import sys
from importlib.util import find_spec

import pytest

from stereodiffusion.batch.cluster import Cluster, Share
from stereodiffusion.errors import ConfigError, ResultsError


def test_a_machine_holds_as_many_workers_as_its_scarcest_resource() -> None:
    machine = {"CPU": 9.0, "GPU": 2.0, "memory": 10e9}
    assert Share(threads=2).fitting(machine, 0) == 4
    assert Share(threads=2).fitting(machine, 3_000_000_000) == 3
    assert Share(threads=16).fitting(machine, 0) == 0
    assert Share(threads=16, gpus=1.0).fitting(machine, 3_000_000_000) == 2
    assert Share(threads=1, gpus=1.0).fitting({"CPU": 9.0}, 0) == 0


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
