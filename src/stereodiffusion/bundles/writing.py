"""Bundles on disk: a folder that appears whole, of one pair or of all results of a batch."""

import os
import shutil
from collections.abc import Iterable, Sequence
from itertools import chain, count, islice
from pathlib import Path

from stereodiffusion import temporary
from stereodiffusion.bundles.annotated import AnnotatedPair
from stereodiffusion.bundles.layouts import PART, BundleName, Files, bundle_files
from stereodiffusion.bundles.shards import SAMPLES, write_shard
from stereodiffusion.errors import FormatError

LOOSE = "bundle"
"""The folder, within that of a batch's result, of the files that go into the bundle of them all."""


def write_bundle(pairs: Sequence[AnnotatedPair], layout: BundleName, folder: Path) -> Path:
    """Write a new folder of pairs, whole or not at all.

    Raises:
        FormatError: If something has that name, the layout cannot hold a pair, or it cannot be written.
    """
    check_free(folder)
    staged = temporary.folder_beside(folder)
    try:
        _fill(staged, layout, (bundle_files(pair, layout) for pair in pairs))
        _rename(staged, folder)
    finally:
        temporary.remove(staged)
    return folder


def write_loose(pair: AnnotatedPair, layout: BundleName, result: Path) -> None:
    """Write a pair's files into the folder of its result, which nobody looks at yet.

    Raises:
        FormatError: As `write_bundle`.
    """
    put_files(result / LOOSE, bundle_files(pair, layout))


def gather_bundle(folder: Path, results: Iterable[str], layout: BundleName) -> Path | None:
    """Put the pairs of a batch's results into one data set, in the folder of the layout's name; None if there is none.

    What has been there is replaced in one step. Files of trees are links to those of the results where the disk has
    links, so that they take no more room; shards are copies.

    Args:
        folder: Of the results.
        results: Names within it, in the order that shards have them.
        layout: That the results were written for.

    Raises:
        FormatError: If it cannot be written.
    """
    places = [folder / name / LOOSE for name in dict.fromkeys(results)]
    if not (places := [place for place in places if place.is_dir() and not place.is_symlink()]):
        return None
    target = folder / layout
    staged, old = temporary.folder_beside(target), temporary.folder_beside(target)
    try:
        if layout == "webdataset":
            _fill(staged, layout, map(_read, places))
        else:
            _link_all(places, staged / PART.get(layout, ""))
        if os.path.lexists(target):
            target.rename(old / layout)
        _rename(staged, target)
    except OSError as failed:
        raise FormatError(f"{target}: cannot be written: {failed.strerror}") from failed
    finally:
        temporary.remove(staged)
        temporary.remove(old)
    return target


def check_free(folder: Path) -> None:
    """Refuse a name that something has: a data set is not replaced by a pair.

    Raises:
        FormatError: If something has it.
    """
    if os.path.lexists(folder):
        raise FormatError(f"{folder}: expected a new folder for the bundle, it exists: choose another --output")


def put_files(folder: Path, files: Files) -> None:
    """Write files below a folder that nobody looks at yet.

    Raises:
        FormatError: If one cannot be written.
    """
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as failed:
            raise FormatError(f"{path}: cannot be written: {failed.strerror}") from failed


def _fill(staged: Path, layout: BundleName, samples: Iterable[Files]) -> None:
    if layout != "webdataset":
        for files in samples:
            put_files(staged / PART.get(layout, ""), files)
        return
    waiting = iter(samples)
    for number in count():
        first = list(islice(waiting, 1))
        if not first:
            return
        write_shard(staged / f"{number:06d}.tar", chain(first, islice(waiting, SAMPLES - 1)))


def _read(place: Path) -> Files:
    """The files of a result, those that tell about it last."""
    return {
        path.name: path.read_bytes()
        for path in sorted(place.iterdir(), key=lambda path: (path.suffix == ".json", path.name))
    }


def _link_all(places: Iterable[Path], staged: Path) -> None:
    for place in places:
        for path in sorted(path for path in place.rglob("*") if path.is_file()):
            there = staged / path.relative_to(place)
            there.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, there)
            except OSError:  # another disk, or one without links
                shutil.copyfile(path, there)


def _rename(staged: Path, folder: Path) -> None:
    try:
        with temporary.kept_whole(staged):
            staged.rename(folder)
    except OSError as failed:
        raise FormatError(f"{folder}: cannot be written: {failed.strerror}") from failed
