"""No damaged or hostile file gets more than a refusal in one line, ten seconds and 1.5 GB.

`STEREO_FUZZ=3000` reads so many files instead of the few that fit into every run; `STEREO_FUZZ_SEED` chooses others.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.formats import fuzzing, hostile, samples

IS_LONG = "STEREO_FUZZ" in os.environ
COUNT = int(os.environ.get("STEREO_FUZZ", "150"))
SEED = int(os.environ.get("STEREO_FUZZ_SEED", "0"))
ROOT = Path(__file__).parents[2]


def read_all(folder: Path) -> list[str]:
    """What went wrong with the files of a folder, read in a process of their own."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.formats.fuzzing", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30 + 11 * len(list(folder.iterdir())),
    )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    most = fuzzing.MEGABYTES  # what a process held at most never shrinks: only what takes more counts
    wrong = [f"{line['name']}: the process ended: {run.stderr[-300:]}" for line in lines[len(lines) // 2 * 2 :]]
    for begun, ended in zip(lines[::2], lines[1::2], strict=False):
        if ended["fault"] or ended["seconds"] > fuzzing.SECONDS or ended["megabytes"] > most:
            wrong.append(f"{begun['name']}: {ended}")
        most = max(most, ended["megabytes"])
    assert len(lines) >= 2, run.stderr
    return wrong


def test_no_file_gets_more_than_a_refusal(tmp_path: Path) -> None:
    """Sound, damaged and hostile ones, in one process."""
    for name, content in [*samples.every_kind().items(), *fuzzing.mutants(samples.every_kind(), COUNT, SEED)]:
        (tmp_path / name).write_bytes(content)
    for name, write in hostile.FILES.items():
        if IS_LONG or name not in hostile.SLOW:
            write(tmp_path / name)
    assert read_all(tmp_path) == []
