"""What a cluster's worker is, without a cluster: `python -m tests.batch.losing_a_node` has one."""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.batch.conftest import Batch
from tests.batch.killing import contents

from stereodiffusion.batch import Making, Output, jobs_of, read_rows
from stereodiffusion.batch.cluster import Cluster, Share
from stereodiffusion.batch.making import IN_HAND, Staged
from stereodiffusion.errors import ConfigError, ResultsError


def test_what_several_threads_make_has_the_bytes_that_one_makes(
    photos: Path, batch: Batch, model: Path, estimator: Path, tmp_path: Path
) -> None:
    batch(photos, tmp_path / "one")
    folder = tmp_path / "several"
    folder.mkdir()
    defaults = {"model": str(model), "estimator": str(estimator), "preset": "fast", "changes": {"sampling.steps": 2}}
    jobs, _ = jobs_of(read_rows(photos), defaults)
    work = Staged(Making(folder=folder, output=Output()))
    with ThreadPoolExecutor(IN_HAND) as threads:
        entries = list(threads.map(lambda job: list(work(job)), jobs))
    assert [[entry.status for entry in each] for each in entries] == [["done"]] * 3
    assert contents(folder) == contents(tmp_path / "one")


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
