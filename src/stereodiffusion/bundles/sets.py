"""Sets of procedural scenes, as many as asked for: split by seed, begun and gone on with, the same bytes every time.

Which part a seed is in depends on the seed and the shares alone: a larger set has the parts of the smaller one and
more in each, and no seed is ever in two. A set is made in units, each of which appears whole: the files of a seed, or
a shard of a thousand seeds' worth. What is there is not made again.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from stereodiffusion import temporary
from stereodiffusion.appending import appending
from stereodiffusion.bundles.layouts import BundleName, about_file, bundle_files, key_of
from stereodiffusion.bundles.scenes import annotated_scenes, scene_name
from stereodiffusion.bundles.shards import SAMPLES, members_of, names_in, write_shard
from stereodiffusion.bundles.writing import put_files
from stereodiffusion.errors import ConfigError, FormatError, ResultsError
from stereodiffusion.formats.files import read_bytes, write_files
from stereodiffusion.processes import in_processes

PartName: TypeAlias = Literal["train", "val", "test"]
PARTS: tuple[PartName, ...] = get_args(PartName)
PLAN = "set.json"
_LOCK = ".lock"
_MOST_SEED = 2**53
_MOST_PIXELS = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSet:
    """What is in a set of scenes.

    Attributes:
        count: How many seeds.
        seed: The first of them.
        size: (height, width) of each eye in pixels.
        baselines: Distances of the right eyes from the left, in units of the usual 65 mm, each above 0.
        split: Shares of `PARTS`, which sum to 1.
        layout: How pairs are written.
    """

    count: int
    layout: BundleName
    seed: int = 0
    size: tuple[int, int] = (512, 512)
    baselines: tuple[float, ...] = (1.0,)
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.seed <= _MOST_SEED - self.count:
            raise ConfigError(f"expected at least one scene and a seed of 0 to 2^53, got {self.count} and {self.seed}")
        if min(self.size) < 16 or self.size[0] * self.size[1] > _MOST_PIXELS:
            raise ConfigError(f"size must be 16x16 to {_MOST_PIXELS} pixels, got {self.size[0]}x{self.size[1]}")
        distinct = {scene_name(0, each, (0, 1)) for each in self.baselines}
        if not self.baselines or not all(0 < each <= 10 for each in self.baselines):
            raise ConfigError(f"baselines must be numbers above 0 up to 10, got {_listed(self.baselines)}")
        if len(distinct) != len(self.baselines):
            raise ConfigError(f"baselines must differ, to six digits, got {_listed(self.baselines)}")
        if not all(0 <= share <= 1 for share in self.split) or abs(sum(self.split) - 1) > 1e-9:
            raise ConfigError(f"split must be three shares that sum to 1, got {_listed(self.split)}")

    @property
    def seeds(self) -> range:
        """Of the scenes."""
        return range(self.seed, self.seed + self.count)

    def part_of(self, seed: int) -> PartName:
        """The part that a seed is in."""
        at = int.from_bytes(hashlib.sha256(f"part of scene {seed}".encode()).digest()[:8]) / 2**64
        if at < self.split[0]:
            return "train"
        return "val" if at < self.split[0] + self.split[1] or self.split[2] == 0 else "test"

    def names_of(self, seed: int) -> list[str]:
        """What the pairs of a seed are called."""
        return [scene_name(seed, baseline, self.baselines) for baseline in self.baselines]

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return cast(dict[str, Any], json.loads(json.dumps(asdict(self))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What appears at once.

    Attributes:
        part: Of the set.
        seeds: Whose pairs are in it.
        shard: The shard that they are in; None where each file is on its own.
    """

    part: PartName
    seeds: tuple[int, ...]
    shard: str | None = None


def units_of(wanted: SceneSet) -> list[Unit]:
    """All units of a set, in order. A shard holds the seeds of a part out of a thousand that follow each other."""
    if wanted.layout != "webdataset":
        return [Unit(part=wanted.part_of(seed), seeds=(seed,)) for seed in wanted.seeds]
    blocks: dict[tuple[PartName, int], list[int]] = {}
    for seed in wanted.seeds:
        blocks.setdefault((wanted.part_of(seed), seed // SAMPLES), []).append(seed)
    return [
        Unit(part=part, seeds=tuple(seeds), shard=f"{part}-{number:06d}.tar")
        for (part, number), seeds in sorted(blocks.items(), key=lambda each: (PARTS.index(each[0][0]), each[0][1]))
    ]


def write_set(wanted: SceneSet, folder: Path, *, workers: int = 1) -> Iterator[Unit]:
    """Make what is missing of a set. Breaking off is allowed at any moment; starting again goes on.

    Args:
        wanted: What there should be.
        folder: Where; made if need be. One run at a time writes there.
        workers: How many processes.

    Yields:
        Each unit that was made, when it is there.

    Raises:
        ResultsError: If the folder holds another set or more of this one, or cannot be written to.
        FormatError: If a file cannot be written.
    """
    check_folder(wanted, folder)
    with appending(folder / _LOCK):
        temporary.remove_left(folder)
        _keep_plan(wanted, folder)
        missing = [unit for unit in units_of(wanted) if not _is_there(unit, wanted, folder)]
        make = partial(_Maker, wanted, folder)
        if workers == 1 or len(missing) < 2:
            work = make()
            for unit in missing:
                yield from work(unit)
        else:
            yield from in_processes(make, missing, workers)


def check_folder(wanted: SceneSet, folder: Path) -> None:
    """Refuse a folder with something else in it.

    Raises:
        ResultsError: If a set was begun there with other settings, or it holds more, or other things are there.
    """
    plan = folder / PLAN
    if not plan.is_file():
        if folder.exists() and (not folder.is_dir() or any(path.name != _LOCK for path in folder.iterdir())):
            raise ResultsError(f"{folder}: expected a new or empty folder, or a set of scenes to go on with")
        return
    there = read_plan(plan)
    changed = [name for name, value in wanted.plain().items() if name != "count" and there.get(name, value) != value]
    if changed:
        name = changed[0]
        raise ResultsError(
            f"{folder} holds a set of {name} {_said(there.get(name))}, got {_said(wanted.plain()[name])}: choose "
            "another folder"
        )
    if there["count"] > wanted.count:
        raise ResultsError(f"{folder} holds a set of {there['count']} scenes already, got {wanted.count}")


def read_plan(path: Path) -> dict[str, Any]:
    """What a folder says is to be in it.

    Raises:
        ResultsError: If it cannot be read or says something else.
    """
    try:
        said = json.loads(read_bytes(path))
    except FormatError as refused:
        raise ResultsError(str(refused)) from refused
    except (ValueError, RecursionError) as wrong:
        raise ResultsError(f"{path}: expected the plan of a set of scenes as JSON, got something else") from wrong
    if not isinstance(said, dict) or not isinstance(count := cast(dict[str, Any], said).get("count"), int) or count < 1:
        raise ResultsError(f"{path}: expected the plan of a set of scenes, with a count, got something else")
    return cast(dict[str, Any], said)


def read_abouts(wanted: SceneSet, folder: Path) -> Iterator[tuple[PartName, dict[str, Any]]]:
    """What is told of each pair of a set that is there, part by part.

    Raises:
        FormatError: If one is missing or is no JSON.
    """
    for unit in units_of(wanted):
        names = [name for seed in unit.seeds for name in wanted.names_of(seed)]
        if unit.shard is None:
            contents = (read_bytes(folder / unit.part / about_file(name, wanted.layout)) for name in names)
        else:
            contents = members_of(folder / unit.shard, [about_file(name, wanted.layout) for name in names])
        for name, content in zip(names, contents, strict=True):
            yield unit.part, _told(name, content)


def _told(name: str, content: bytes) -> dict[str, Any]:
    try:
        about = json.loads(content)
    except (ValueError, RecursionError) as wrong:
        raise FormatError(f"{name}: expected what is told of the pair as JSON, got something else") from wrong
    if not isinstance(about, dict) or not isinstance(cast(dict[str, Any], about).get("measured"), dict):
        raise FormatError(f"{name}: expected what was measured of the pair, got something else")
    return cast(dict[str, Any], about)


def _is_there(unit: Unit, wanted: SceneSet, folder: Path) -> bool:
    """Whether all pairs of a unit are; of a tree the file that tells of a pair came last."""
    names = [name for seed in unit.seeds for name in wanted.names_of(seed)]
    if unit.shard is None:
        return all((folder / unit.part / about_file(name, wanted.layout)).is_file() for name in names)
    path = folder / unit.shard
    if not path.is_file():
        return False
    try:
        held = names_in(path)
    except FormatError:
        return False  # it is made again
    return list(dict.fromkeys(name.partition(".")[0] for name in held)) == [key_of(name) for name in names]


class _Maker:
    """Makes units; plain, so that it can be sent to workers."""

    def __init__(self, wanted: SceneSet, folder: Path) -> None:
        self._wanted, self._folder = wanted, folder

    def __call__(self, unit: Unit) -> Iterator[Unit]:
        staged = temporary.folder_beside(self._folder / PLAN)
        try:
            if unit.shard is None:
                self._put_tree(unit, staged)
            else:
                write_shard(staged / unit.shard, self._samples(unit))
                _move(staged / unit.shard, self._folder / unit.shard)
        finally:
            temporary.remove(staged)
        yield unit

    def _put_tree(self, unit: Unit, staged: Path) -> None:
        for files in self._samples(unit):
            put_files(staged, files)
            for name in files:
                _move(staged / name, self._folder / unit.part / name)

    def _samples(self, unit: Unit) -> Iterator[dict[str, bytes]]:
        for seed in unit.seeds:
            for pair in annotated_scenes(seed, self._wanted.size, self._wanted.baselines):
                yield bundle_files(pair, self._wanted.layout)


def _move(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    except OSError as failed:
        raise FormatError(f"{target}: cannot be written: {failed.strerror}") from failed


def _keep_plan(wanted: SceneSet, folder: Path) -> None:
    content = json.dumps(wanted.plain(), indent=1, sort_keys=True).encode() + b"\n"
    write_files({folder / PLAN: content})


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "none"


def _said(value: object) -> str:
    """What a plan says, as a part of a line."""
    return ", ".join(map(_said, cast(list[object], value))) if isinstance(value, list) else f"{value!a:.40}"
