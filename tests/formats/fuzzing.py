"""Damaged files, and a program that reads them under limits; see `test_fuzz`.

python -m tests.formats.fuzzing FOLDER     reads every file in it, a line of JSON for each
"""

import json
import random
import signal
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from stereodiffusion.bench.results import read_rows
from stereodiffusion.errors import FormatWarning, StereoDiffusionError
from stereodiffusion.formats import disparity_from_map, read_image, read_map, read_metadata, read_pair

SECONDS = 10.0  # of the processor, which other programs may share
MEGABYTES = 1500.0
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, 8000, 65500, 100000)


def mutants(samples: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged copies, the kinds of files and of damage in turn; the same for the same seed."""
    rng = random.Random(seed)
    for number in range(count):
        kind = list(samples)[number % len(samples)]
        content = bytearray(samples[kind])
        for _ in range(rng.choice((1, 1, 2, 4))):
            rng.choice((_flip, _truncate, _overwrite, _overwrite, _repeat, _remove))(content, rng)
        if kind.startswith("png") and rng.random() < 0.7:
            content = _with_sums(content)
        yield f"{number:05}-{kind}", bytes(content)


def _flip(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 3, 20))):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _truncate(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content) + 1) :]


def _overwrite(content: bytearray, rng: random.Random) -> None:
    """A number of 1, 2 or 4 bytes, mostly where headers are."""
    at = rng.randrange(min(len(content), rng.choice((64, 512, 1 << 20))) + 1)
    code, order = rng.choice("BHI"), rng.choice("<>")
    size = struct.calcsize(order + code)
    content[at : at + size] = struct.pack(order + code, rng.choice(_NUMBERS) & (256**size - 1))


def _repeat(content: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(content) + 1)
    content[at:at] = content[at : at + rng.choice((4, 16, 200))] * rng.choice((1, 2, 50))


def _remove(content: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(content) + 1)
    del content[at : at + rng.choice((1, 4, 30))]


def _with_sums(content: bytearray) -> bytearray:
    """Checksums of PNG set right again, so that damage is met behind them."""
    at = 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if end + 4 > len(content):
            break
        content[end : end + 4] = struct.pack(">I", zlib.crc32(content[at + 4 : end]))
        at = end + 4
    return content


def _read(path: Path) -> float:
    """By every reader, each of which may refuse; the seconds of the slowest."""
    slowest = 0.0
    for read in (read_rows,) if path.is_dir() else (read_image, read_metadata, _read_map, read_pair):
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS + 1)
        try:
            read(path)
        except StereoDiffusionError as refused:
            if "\n" in str(refused) or path.name not in str(refused):
                raise AssertionError(f"not one line that names the file: {refused}") from refused
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, time.process_time() - began)
    return slowest


def _read_map(path: Path) -> None:
    disparity_from_map(read_map(path), "near-is-bright", nearest_px=3.0)


def _late(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"longer than {SECONDS:g} s")


def _most_megabytes() -> float:
    """What this process held at most. (`getrusage` would count what the parent held when it started it.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def _say(fields: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    """A line for each file: its name before it is read, and what came of it after."""
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", FormatWarning)
    signal.signal(signal.SIGPROF, _late)
    for path in sorted(folder.iterdir()):
        _say({"name": path.name})
        fault, seconds = "", 0.0
        try:
            seconds = _read(path)
        except BaseException as escaped:
            fault = f"{type(escaped).__name__}: {escaped}"
        _say({"fault": fault, "seconds": seconds, "megabytes": _most_megabytes()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
