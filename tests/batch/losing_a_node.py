"""A batch on a Ray cluster of two nodes on this machine, one of which is killed in the midst; looks at what is there.

    python -m tests.batch.losing_a_node MODEL ESTIMATOR FOLDER --photos 120

Needs the extra `batch`, and some ten seconds of a processor for each node to start.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import psutil
from ray.cluster_utils import Cluster as Nodes
from tests.batch.killing import contents, make_all, write_photos

from stereodiffusion.batch import REPORT, Cluster, Entry, Making, Output, jobs_of, read_report, read_rows, run

_NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80_000_000}


def main() -> None:
    """Start, kill, look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "estimator", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--photos", type=int, default=120)
    asked = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    photos, folder = asked.folder / "photos", asked.folder / "results"
    write_photos(photos, asked.photos)
    nodes = Nodes(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    try:
        entries = watched(asked, photos, folder, nodes)
    finally:
        nodes.shutdown()
    assert [entry.status for entry in entries] == ["done"] * asked.photos
    lines = (folder / REPORT).read_text().splitlines()
    assert len(lines) == len(read_report(folder)) == asked.photos  # nothing twice
    found = contents(folder)
    assert found.keys() == {entry.result for entry in entries}  # nothing besides, nothing half-written
    for photo in sorted(photos.iterdir())[10:]:  # some are made again by one process
        photo.unlink()
    make_all(photos, asked.folder / "again", asked.model, asked.estimator, ("sbs",), 1)
    assert contents(asked.folder / "again").items() <= found.items()
    print(f"{asked.photos} photos, each once; ten of them held against the bytes of an undisturbed run")  # noqa: T201


def watched(asked: argparse.Namespace, photos: Path, folder: Path, nodes: Nodes) -> list[Entry]:
    """The batch, in which the second node dies as soon as workers on both nodes draw."""
    second, began = None, time.monotonic()
    named = {"model": str(asked.model), "estimator": str(asked.estimator)}
    jobs, _ = jobs_of(read_rows(photos), {**named, "preset": "fast", "changes": {"sampling.steps": 2}})
    entries, making = list[Entry](), Making(folder=folder, output=Output(formats=("sbs",)))
    for entry in run(jobs, making, workers=Cluster(address=str(nodes.address))):
        entries.append(entry)
        said = "made" if entry.made else "found" if entry.status == "done" else entry.reason
        print(f"{time.monotonic() - began:4.0f} s {len(entries):4} {Path(entry.input).name} {said}")  # noqa: T201
        if len(entries) == 1:  # a program speaks to the cluster through a node that must stay: the first
            second = nodes.add_node(**_NODE)
        if second is not None and working() == 2:
            print("the second node dies")  # noqa: T201
            nodes.remove_node(second, allow_graceful=False)
            second = None
    assert second is None, "one worker was done before the other had begun: more photos are needed"
    return entries


def working() -> int:
    """Workers on this machine that have begun, by what Ray calls their processes."""
    names = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
    return sum(name.startswith("ray::_Worker") and "__init__" not in name for name in names)


if __name__ == "__main__":
    main()
