"""Bundles are read back, by this package's readers and by those of others, and say what was put in."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from tests.bundles.making import planes

from stereodiffusion.bundles import (
    AnnotatedPair,
    BundleName,
    annotate,
    bundle_files,
    check_layout,
    gather_bundle,
    read_calibration,
    write_bundle,
    write_loose,
)
from stereodiffusion.bundles import writing as bundle_writing
from stereodiffusion.bundles.scenes import annotated_scenes
from stereodiffusion.datasets import StereoSample, open_dataset
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.settings.presets import preset

LAYOUTS: tuple[BundleName, ...] = ("folder", "middlebury", "kitti", "webdataset")


@pytest.fixture(scope="module")
def pairs() -> list[AnnotatedPair]:
    """One whose map is known everywhere, with cameras; and one with unknown cells and none."""
    (scene,) = annotated_scenes(9, (40, 56), [1.0])  # seed 9 has a wall: no disparity of 0
    return [scene, annotate(planes(2, (40, 56)).pair(), "planes")]


def holds(sample: StereoSample, pair: AnnotatedPair, slack_px: float) -> None:
    for found, meant in ((sample.left, pair.left), (sample.right, pair.right)):
        assert float((found - meant).abs().max()) <= 0.5 / 255 + 1e-6
    assert sample.disparity is not None
    assert torch.equal(sample.disparity.known, pair.disparity.known)
    assert float((sample.disparity.pixels - pair.disparity.pixels).abs().max()) <= slack_px


@pytest.mark.parametrize("layout", LAYOUTS)
def test_our_readers_read_them(layout: BundleName, pairs: list[AnnotatedPair], tmp_path: Path) -> None:
    folder = write_bundle(pairs, layout, tmp_path / "bundle")
    for name in (layout, "auto"):
        data = open_dataset(name, folder)
        assert len(data) == 2
        for scene, pair in zip(data.scenes, pairs, strict=True):
            sample = data.read(scene)
            holds(sample, pair, 1 / 512 if layout == "kitti" else 0.0)
            if layout != "kitti":
                assert sample.right_disparity is not None
                assert torch.equal(sample.right_disparity.known, pair.right_disparity.known)
                assert torch.equal(sample.right_disparity.pixels, pair.right_disparity.pixels)
            if layout in ("folder", "webdataset"):
                assert sample.occlusion is not None
                assert torch.equal(sample.occlusion, pair.occlusion)
    assert list(tmp_path.iterdir()) == [folder]  # nothing half-written beside it


def test_others_read_middlebury_s(pairs: list[AnnotatedPair], tmp_path: Path) -> None:
    folder = write_bundle(pairs, "middlebury", tmp_path / "bundle")
    for pair in pairs:
        scene = folder / pair.name
        maps = {"disp0": pair.disparity, "disp1": pair.right_disparity}
        for name, disparity in maps.items():
            read: Any = cv2.imread(str(scene / f"{name}.pfm"), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(read, np.where(disparity.known[0, 0], disparity.pixels[0, 0], np.inf))
        left: Any = cv2.imread(str(scene / "im0.png"))
        assert np.array_equal(left[..., ::-1], np.round(pair.left[0].permute(1, 2, 0).numpy() * 255))
        for eye, (disparity, occlusion) in enumerate(
            [(pair.disparity, pair.left_occlusion), (pair.right_disparity, pair.occlusion)]
        ):
            mask: Any = imageio.imread(scene / f"mask{eye}nocc.png")
            assert np.array_equal(mask == 255, (disparity.known & ~occlusion)[0, 0])
            assert np.array_equal(mask == 128, (disparity.known & occlusion)[0, 0])
            assert np.array_equal(mask == 0, ~disparity.known[0, 0])
    assert pairs[0].calibration is not None
    assert read_calibration(folder / pairs[0].name / "calib.txt") == pairs[0].calibration
    with pytest.raises(FormatError, match=r"planes/calib.txt: expected the lines cam0, .* got no cam0"):
        read_calibration(folder / "planes" / "calib.txt")


def test_others_read_kitti_s(pairs: list[AnnotatedPair], tmp_path: Path) -> None:
    part = write_bundle(pairs, "kitti", tmp_path / "bundle") / "training"
    for pair in pairs:
        hidden = {"occ": torch.zeros_like(pair.occlusion), "noc": pair.left_occlusion}
        for name, occlusion in hidden.items():
            levels: Any = imageio.imread(part / f"disp_{name}_0" / f"{pair.name}_10.png")
            assert levels.dtype == np.uint16
            known = (pair.disparity.known & ~occlusion)[0, 0].numpy()
            assert np.array_equal(levels > 0, known)
            assert np.abs(levels / 256.0 - pair.disparity.pixels[0, 0].numpy())[known].max() <= 1 / 512
    lines = (part / "calib_cam_to_cam" / f"{pairs[0].name}.txt").read_text().splitlines()
    said = {name: np.array(values.split(), float) for name, values in (line.split(": ") for line in lines)}
    left, right = (said[f"P_rect_{camera}"].reshape(3, 4) for camera in ("02", "03"))
    # A point of the scene, projected by both matrices, is apart by the disparity that its depth has.
    point = np.array([0.2, -0.1, 2.5, 1.0])
    columns = [float((matrix @ point)[0] / (matrix @ point)[2]) for matrix in (left, right)]
    assert pairs[0].calibration is not None
    rig = pairs[0].calibration.rig
    assert columns[0] - columns[1] == pytest.approx(rig.focal_px * rig.baseline_m / 2.5)
    assert not (part / "calib_cam_to_cam" / "planes.txt").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_webdataset_reads_shards(pairs: list[AnnotatedPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    webdataset: Any = pytest.importorskip("webdataset", reason="left out: webdataset is not installed")
    monkeypatch.setattr(bundle_writing, "SAMPLES", 1)
    folder = write_bundle(pairs, "webdataset", tmp_path / "bundle")
    shards = sorted(str(path) for path in folder.iterdir())
    assert [Path(path).name for path in shards] == ["000000.tar", "000001.tar"]
    decode = webdataset.autodecode.Decoder([webdataset.autodecode.imagehandler("rgb")])
    read: list[dict[str, Any]] = []
    for shard in shards:
        with Path(shard).open("rb") as stream:  # given its name, it would leave the file open
            members = webdataset.tariterators.tar_file_expander([{"url": shard, "stream": stream}])
            read += map(decode, webdataset.tariterators.group_by_keys(members))
    assert [each["__key__"] for each in read] == [pair.name for pair in pairs]
    for found, pair in zip(read, pairs, strict=True):
        assert np.abs(found["left.png"] - pair.left[0].permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6
        expected = np.where(pair.right_disparity.known[0, 0], pair.right_disparity.pixels[0, 0], np.nan)
        assert np.array_equal(found["right_disparity.npy"], expected, equal_nan=True)
        assert found["json"]["disparity_is"] == pair.origin
        assert found["json"]["measured"]["occluded"]["right"] == pytest.approx(
            float(pair.occlusion.float().mean()), abs=1e-5
        )


def test_what_lies_behind_the_screen_is_refused_where_there_is_no_place_for_it(tmp_path: Path) -> None:
    settings = preset("best", "photo").changed({"parallax.convergence": 0.02})
    for layout in ("middlebury", "kitti"):
        with pytest.raises(
            ConfigError, match=f"--bundle {layout} holds disparities of 0 and above, --convergence puts"
        ):
            check_layout(layout, settings)
        check_layout(layout, preset("best", "photo").changed({"parallax.convergence": -0.02}))
    check_layout("folder", settings)
    pair = planes(0).pair()
    behind = annotate(
        type(pair)(
            left=pair.left, right=pair.right, disparity=pair.disparity.converged_at(4.0), occlusion=pair.occlusion
        ),
        "behind",
    )
    with pytest.raises(FormatError, match="behind: kitti holds disparities of 0 and above, got -3 px"):
        write_bundle([behind], "kitti", tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
    sample = open_dataset("folder", write_bundle([behind], "folder", tmp_path / "bundle")).read("behind")
    assert sample.disparity is not None
    assert float(sample.disparity.pixels.min()) == -3.0
    with pytest.raises(FormatError, match="expected a new folder for the bundle, it exists"):
        write_bundle([behind], "folder", tmp_path / "bundle")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_are_gathered_whole_and_again(
    layout: BundleName, pairs: list[AnnotatedPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    for pair in pairs:
        write_loose(pair, layout, tmp_path / pair.name)
    names = [pair.name for pair in pairs]
    assert gather_bundle(tmp_path, ["nothing", "../elsewhere"], layout) is None
    gathered = gather_bundle(tmp_path, [*names, names[0]], layout)
    assert gathered is not None
    before = contents(gathered)
    assert before == contents(write_bundle(pairs, layout, tmp_path / "at-once"))
    gather_bundle(tmp_path, names, layout)
    assert contents(gathered) == before
    # A disk that refuses in the middle leaves what was there.
    monkeypatch.setattr(Path, "rename", _refused)
    with pytest.raises(FormatError, match="cannot be written"):
        gather_bundle(tmp_path, names[:1], layout)
    assert contents(gathered) == before
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def _refused(self: Path, target: Path) -> Path:
    raise OSError(28, "No space left on device")


def test_the_same_pair_gives_the_same_bytes_whatever_the_time(pairs: list[AnnotatedPair], tmp_path: Path) -> None:
    one, two = (write_bundle(pairs, "webdataset", tmp_path / name) for name in ("one", "two"))
    assert (one / "000000.tar").read_bytes() == (two / "000000.tar").read_bytes()
    with tarfile.open(one / "000000.tar") as shard:
        assert {(member.mtime, member.uid, member.uname) for member in shard} == {(0, 0, "")}


def damaged(change: Callable[[tarfile.TarFile], None], path: Path) -> Path:
    with tarfile.open(path, "w") as shard:
        change(shard)
    return path


def test_members_that_lead_elsewhere_are_no_pair(pairs: list[AnnotatedPair], tmp_path: Path) -> None:
    files = bundle_files(pairs[0], "webdataset")

    def hostile(shard: tarfile.TarFile) -> None:
        for name, content in files.items():
            member = tarfile.TarInfo(f"../{name}")
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))
        for name in ("link.left.png", "link.right.png"):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            shard.addfile(member)

    (tmp_path / "in").mkdir()
    damaged(hostile, tmp_path / "in" / "a.tar")
    with pytest.raises(Exception, match="no scene of webdataset"):
        open_dataset("webdataset", tmp_path / "in")
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.tar"]


def test_what_is_told_of_a_pair(pairs: list[AnnotatedPair]) -> None:
    told = json.loads(bundle_files(pairs[1], "folder")["about/planes.json"])
    assert (told["disparity_is"], told["caption"], told["calibration"]) == ("given", "planes", None)
    assert told["made_by"] == dict(pairs[1].facts)
    assert json.loads(bundle_files(pairs[0], "folder")[f"about/{pairs[0].name}.json"])["disparity_is"] == "rendered"
