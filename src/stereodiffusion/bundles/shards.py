"""Tar files of samples, as WebDataset reads them: one after another, a sample's members side by side.

The same samples give the same bytes: members have no time, no owner, and the order they are given in.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stereodiffusion.bundles.layouts import Files
from stereodiffusion.errors import FormatError, first_line

SAMPLES = 1000
"""Of a shard at most: some hundred megabytes, as WebDataset's manual has it."""


def write_shard(path: Path, samples: Iterable[Files]) -> None:
    """Write samples as they come, holding one at a time. To be written where nobody looks, and renamed when whole.

    Raises:
        FormatError: If it cannot be written.
    """
    try:
        with tarfile.open(path, "x:", format=tarfile.PAX_FORMAT) as shard:
            for sample in samples:
                for name, content in sample.items():
                    member = tarfile.TarInfo(name)
                    member.size, member.mode = len(content), 0o644
                    shard.addfile(member, io.BytesIO(content))
    except OSError as failed:
        raise FormatError(f"{path}: cannot be written: {failed.strerror}") from failed


def names_in(path: Path) -> list[str]:
    """The names of a shard's members, in their order.

    Raises:
        FormatError: If it cannot be read or is no tar.
    """
    try:
        with tarfile.open(path, "r:") as shard:
            return [member.name for member in shard]
    except (tarfile.TarError, OSError, ValueError) as wrong:
        raise FormatError(f"{path}: expected a tar file: {first_line(wrong)}") from wrong


def members_of(path: Path, names: Sequence[str]) -> Iterator[bytes]:
    """The contents of some of a shard's members, one after another.

    Raises:
        FormatError: If one is missing, or the shard cannot be read or is no tar.
    """
    try:
        with tarfile.open(path, "r:") as shard:
            for name in names:
                file = shard.extractfile(name)
                if file is None:
                    raise FormatError(f"{path}: expected {name} to be a file")
                yield file.read()
    except (tarfile.TarError, KeyError, OSError) as wrong:
        raise FormatError(f"{path}: expected a tar file with what is told of each pair: {first_line(wrong)}") from wrong
