"""Sets of scenes: which part a seed is in, what comes of a set that is broken off, and what its card says."""

import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stereodiffusion.bundles import BundleName
from stereodiffusion.bundles.card import write_card
from stereodiffusion.bundles.scenes import annotated_scenes
from stereodiffusion.bundles.sets import PARTS, SceneSet, Unit, check_folder, read_plan, units_of, write_set
from stereodiffusion.bundles.shards import SAMPLES
from stereodiffusion.datasets import open_dataset
from stereodiffusion.errors import ConfigError, ResultsError

SMALL = SceneSet(count=7, layout="folder", size=(16, 24), split=(0.5, 0.25, 0.25))
SHARES = [(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (1.0, 0.0, 0.0), (0.9, 0.0, 0.1), (0.0, 1.0, 0.0)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make(wanted: SceneSet, folder: Path) -> int:
    made = len(list(write_set(wanted, folder)))
    write_card(wanted, folder)
    return made


@given(st.integers(0, 2**40), st.integers(1, 3000), st.sampled_from(SHARES))
def test_a_seed_is_in_one_part_whatever_the_set(seed: int, count: int, shares: tuple[float, float, float]) -> None:
    small = SceneSet(count=count, layout="folder", seed=seed, split=shares)
    large = replace(small, count=count + 1000, layout="webdataset")
    assert small.part_of(seed) == large.part_of(seed)
    assert shares[PARTS.index(small.part_of(seed))] > 0
    seeds = [each for unit in units_of(replace(large, count=min(count, 50))) for each in unit.seeds]
    assert sorted(seeds) == list(range(seed, seed + min(count, 50)))  # each once


def test_the_shares_are_met_on_average_and_shards_hold_what_follows_each_other() -> None:
    units = units_of(SceneSet(count=20_000, layout="webdataset", seed=500))
    sizes = [sum(len(unit.seeds) for unit in units if unit.part == part) for part in PARTS]
    assert np.allclose(np.array(sizes) / 20_000, (0.8, 0.1, 0.1), atol=0.01)
    assert max(len(unit.seeds) for unit in units) <= SAMPLES
    assert all(len({seed // SAMPLES for seed in unit.seeds}) == 1 for unit in units)
    assert len({unit.shard for unit in units}) == len(units) == 3 * 21


@pytest.mark.parametrize("layout", ["folder", "webdataset"])
def test_a_set_that_is_broken_off_goes_on_to_the_same_bytes_and_grows(layout: BundleName, tmp_path: Path) -> None:
    wanted = replace(SMALL, layout=layout)
    make(wanted, tmp_path / "at-once")
    going = cast(Generator[Unit, None, None], write_set(replace(wanted, count=5), tmp_path / "later"))
    next(going)
    going.close()
    assert (tmp_path / "later" / ".stereodiffusion-0123456789abcdef.tmp").mkdir() is None  # as a kill leaves it
    if layout == "folder":  # a kill between the files of a pair
        (about,) = (tmp_path / "later").glob("*/about/*.json")
        about.unlink()
    make(replace(wanted, count=5), tmp_path / "later")
    assert make(replace(wanted, count=5), tmp_path / "later") == 0
    make(wanted, tmp_path / "later")
    assert contents(tmp_path / "later") == contents(tmp_path / "at-once")
    assert [path.name for path in (tmp_path / "later").iterdir() if path.name.startswith(".")] == [".lock"]


def test_a_damaged_shard_is_made_again(tmp_path: Path) -> None:
    wanted = replace(SMALL, layout="webdataset", count=3)
    make(wanted, tmp_path)
    before = contents(tmp_path)
    shard = next(tmp_path.glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:700])
    assert make(wanted, tmp_path) == 1
    assert contents(tmp_path) == before


@pytest.mark.parametrize("layout", ["middlebury", "kitti"])
def test_parts_are_data_sets_of_their_own(layout: BundleName, tmp_path: Path) -> None:
    wanted = replace(SMALL, layout=layout, baselines=(0.5, 2.0))
    make(wanted, tmp_path)
    seeds = {part: [seed for seed in wanted.seeds if wanted.part_of(seed) == part] for part in PARTS}
    for part in PARTS:
        data = open_dataset(layout, tmp_path / part)
        assert len(data) == 2 * len(seeds[part])
        names = {name.removesuffix("_10") for name in data.scenes}
        assert names == {f"{seed:06d}-{b}" for seed in seeds[part] for b in ("0_5", "2")}
    assert len(open_dataset(layout, tmp_path)) == 14


def test_the_card_says_what_is_there(tmp_path: Path) -> None:
    make(SMALL, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    pairs = [pair for seed in SMALL.seeds for pair in annotated_scenes(seed, SMALL.size, SMALL.baselines)]
    values = np.concatenate([pair.disparity.pixels.numpy().ravel() for pair in pairs])
    columns, counts = np.unique(np.floor(values).astype(int), return_counts=True)
    assert card["all"]["histogram"] == {str(k): n for k, n in zip(columns, counts, strict=True)}
    hidden = float(np.mean([pair.left_occlusion.float().mean() for pair in pairs]))
    assert card["all"]["mean"]["occluded.left"] == pytest.approx(hidden, abs=1e-4)
    assert sum(part["pairs"] for part in card["parts"].values()) == card["all"]["pairs"] == 7
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("---\npretty_name:")
    assert f"| left pixels that the right eye does not see | {hidden:.2%} |" in text
    assert card["command"] in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "at least one scene"),
        ({"seed": -1}, "at least one scene and a seed"),
        ({"size": (15, 99)}, "size must be 16x16"),
        ({"baselines": ()}, "baselines must be numbers above 0 up to 10, got none"),
        ({"baselines": (1.0, -1.0)}, "above 0"),
        ({"baselines": (1.0, 1.0)}, "must differ"),
        ({"baselines": (float("nan"),)}, "above 0"),
        ({"split": (0.8, 0.1, 0.2)}, "three shares that sum to 1"),
        ({"split": (1.5, -0.5, 0.0)}, "three shares that sum to 1"),
    ],
)
def test_what_makes_no_sense(changes: dict[str, Sequence[float]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SMALL, **changes)  # pyright: ignore[reportArgumentType]


def test_another_set_is_not_mixed_into_one(tmp_path: Path) -> None:
    for unit in write_set(replace(SMALL, count=2), tmp_path / "set"):
        assert unit.seeds[0] < 2
    with pytest.raises(ResultsError, match=r"holds a set of size 16, 24, got 16, 32: choose another folder"):
        check_folder(replace(SMALL, size=(16, 32)), tmp_path / "set")
    with pytest.raises(ResultsError, match=r"holds a set of layout 'folder', got 'kitti'"):
        check_folder(replace(SMALL, layout="kitti"), tmp_path / "set")
    with pytest.raises(ResultsError, match="holds a set of 2 scenes already, got 1"):
        check_folder(replace(SMALL, count=1), tmp_path / "set")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(ResultsError, match="expected a new or empty folder, or a set of scenes"):
        next(write_set(SMALL, tmp_path / "other"))
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"count": "many"}', '{"count": -1}', "[" * 100_000, "\x00\xff"])
def test_a_plan_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(content)
    with pytest.raises(ResultsError, match=r"set\.json"):
        read_plan(tmp_path / "set.json")
