"""The three modes from the command line to the files, on a tiny model."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.conftest import Run

import stereodiffusion
from stereodiffusion.formats import read_image, read_map, read_metadata, write_map
from stereodiffusion.geometry import Disparity
from stereodiffusion.settings.presets import preset

FEW = ("--steps", "2", "--quiet")


@pytest.fixture
def tiny_text(model: Path, estimator: Path) -> tuple[str, ...]:
    return (*FEW, "--model", str(model), "--depth-estimator", str(estimator))


def test_text(here: Path, run: Run, tiny_text: tuple[str, ...]) -> None:
    few = (*tiny_text, "--preset", "fast", "--seed", "3", "--max-disparity", "0.1")  # best would move borders
    result = run("text", "a red ball", *few, "--also", "disparity,left")
    assert (result.exit_code, result.stderr) == (0, "")
    ends = (".png", "-disparity.pfm", "-disparity.png", "-left.png")
    assert result.stdout.splitlines() == [f"a-red-ball{end}" for end in ends]
    with Image.open(here / "a-red-ball.png") as picture:
        assert picture.size == (128, 64)
    disparity = read_map(here / "a-red-ball-disparity.pfm").values
    assert disparity.shape == (64, 64)
    assert float(disparity.max()) == pytest.approx(6.4)
    recorded: dict[str, Any] = read_metadata(here / "a-red-ball.png")
    assert recorded["version"] == stereodiffusion.__version__
    assert recorded["request"]["mode"] == "text"
    assert recorded["request"]["seed"] == 3
    assert recorded["resolved"]["model"] == "tiny"
    assert recorded["resolved"]["prompt"] == ["a red ball"]
    assert recorded["format"] == "sbs"


def test_the_same_command_writes_the_same_bytes(here: Path, run: Run, tiny_text: tuple[str, ...]) -> None:
    for name in ("one", "two"):
        result = run("text", "a red ball", *tiny_text, "-o", f"{name}.jpg", "-f", "anaglyph,mpo,wiggle-gif")
        assert (result.exit_code, result.stderr) == (0, "")
    for end in ("-anaglyph.jpg", "-mpo.mpo", "-wiggle-gif.gif"):
        assert (here / f"one{end}").read_bytes() == (here / f"two{end}").read_bytes()


def test_another_seed_is_another_picture(here: Path, run: Run, tiny_text: tuple[str, ...]) -> None:
    run("text", "a red ball", *tiny_text, "-o", "zero.png")
    run("text", "a red ball", *tiny_text, "-o", "implied.png", "--seed", "0")
    run("text", "a red ball", *tiny_text, "-o", "one.png", "--seed", "1")
    assert (here / "zero.png").read_bytes() == (here / "implied.png").read_bytes()
    assert (here / "zero.png").read_bytes() != (here / "one.png").read_bytes()


def test_text_of_another_size(here: Path, run: Run, tiny_text: tuple[str, ...]) -> None:
    assert run("text", "a box", *tiny_text, "--size", "64x96", "-o", "box.png").exit_code == 0
    with Image.open(here / "box.png") as picture:
        assert picture.size == (192, 64)
    wrong = run("text", "a box", *tiny_text, "--size", "60x96", "-o", "wrong.png")
    assert wrong.exit_code == 2
    assert "multiples of 8, got 60x96" in wrong.stderr


def test_a_colour_profile_that_is_passed_over_is_told(here: Path, run: Run, tiny_text: tuple[str, ...]) -> None:
    Image.new("RGB", (64, 64), (90, 120, 200)).save(here / "room.png", icc_profile=b"no profile")
    told = run("photo", "room.png", *(word for word in tiny_text if word != "--quiet"), "-o", "told.png")
    assert (told.exit_code, told.stdout) == (0, "told.png\n")
    assert [line for line in told.stderr.splitlines() if "profile" in line] == [
        "the embedded colour profile is passed over: cannot open profile from string"
    ]
    silent = run("photo", "room.png", *tiny_text, "-o", "silent.png")
    assert (silent.exit_code, silent.stderr) == (0, "")


def test_depth(here: Path, run: Run, model: Path) -> None:
    ramp = torch.linspace(0, 4, 64).expand(64, 64)
    write_map(here / "room.pfm", Disparity.from_pixels(ramp))
    line = ("depth", "room.pfm", "a green cone", "--model", model, "--steps", "2", "--refine", "off")
    result = run(*line, "-o", "room.png", "--also", "disparity")
    assert result.exit_code == 0
    assert result.stderr == "room.pfm: read as disparity in pixels; --map-kind says otherwise\n"
    assert result.stdout.splitlines() == ["room.png", "room-disparity.pfm", "room-disparity.png"]
    torch.testing.assert_close(read_map(here / "room-disparity.pfm").values, ramp)
    said = run(*line, "-o", "said.png", "--map-kind", "disparity-px")
    assert (said.exit_code, said.stderr) == (0, "")
    assert torch.equal(read_image(here / "said.png"), read_image(here / "room.png"))


def test_depth_in_two_steps(here: Path, run: Run, model: Path) -> None:
    write_map(here / "room.pfm", Disparity.from_pixels(torch.linspace(0, 4, 64).expand(64, 64)))
    result = run("depth", "room.pfm", "a green cone", "--two-step", "--model", model, *FEW)
    assert (result.exit_code, result.stderr) == (0, "")
    recorded: dict[str, Any] = read_metadata(here / "a-green-cone.png")
    assert (recorded["request"]["mode"], recorded["resolved"]["prompt"]) == ("depth", ["a green cone"])
    steps = {"sampling.steps": 2}
    assert recorded["resolved"]["drawn_with"] == preset("best", "depth").changed(steps).plain()
    assert recorded["resolved"]["settings"] == preset("best", "photo").changed(steps).plain()


def test_photo_with_its_disparity(here: Path, run: Run, model: Path) -> None:
    Image.fromarray(np.tile(np.arange(96, dtype=np.uint8)[:, None, None] * 2, (1, 128, 3))).save(here / "cat.png")
    write_map(here / "cat.pfm", Disparity.from_pixels(torch.full((48, 64), 2.0)))
    result = run("photo", "cat.png", "--disparity", "cat.pfm", "--model", model, "--steps", "2", "--also", "disparity")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "cat.pfm: read as disparity in pixels; --map-kind says otherwise",
        "cat.pfm: scaled from 64 x 48 to 128 x 96",
        "all of the map has one depth (4 px): both eyes see the same picture",
    ]
    assert result.stdout.splitlines() == ["cat-stereo.png", "cat-stereo-disparity.pfm", "cat-stereo-disparity.png"]
    with Image.open(here / "cat-stereo.png") as picture:
        assert picture.size == (256, 96)
    assert read_map(here / "cat-stereo-disparity.pfm").values.unique().tolist() == [4]  # pixels of the photo
    assert cast(Any, read_metadata(here / "cat-stereo.png"))["request"]["mode"] == "photo"


def test_photo_with_estimated_depth(here: Path, run: Run, tiny_text: tuple[str, ...]) -> None:
    rows = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(rows).save(here / "cat.png")
    few = (*tiny_text, "--preset", "fast", "--max-disparity", "0.05")  # best would move borders
    result = run("photo", "cat.png", *few, "--also", "disparity")
    assert (result.exit_code, result.stderr) == (0, "")
    assert float(read_map(here / "cat-stereo-disparity.pfm").values.max()) == pytest.approx(3.2)
    assert cast(Any, read_metadata(here / "cat-stereo.png"))["resolved"]["depth_estimator"] == "tiny-depth"


def test_both_eyes_beside_the_source(here: Path, run: Run, tiny_text: tuple[str, ...]) -> None:
    result = run("text", "a red ball", *tiny_text, "--source", "centre", "-o", "ball.png")
    assert (result.exit_code, result.stderr, result.stdout) == (0, "", "ball.png\n")
    assert cast(Any, read_metadata(here / "ball.png"))["resolved"]["source"] == "centre"


def test_views_and_their_quilt(here: Path, run: Run, model: Path) -> None:
    """The quilt's tiles are the numbered views, from the lower left on."""
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (1, 48, 3))).save(here / "cat.png")
    write_map(here / "cat.pfm", Disparity.from_pixels(torch.linspace(0, 6, 48).expand(64, 48)))
    line = ("photo", "cat.png", "--disparity", "cat.pfm", "--model", model, *FEW, "--source", "centre")
    result = run(*line, "--views", "6", "--format", "views,quilt")
    assert (result.exit_code, result.stderr) == (0, "")
    numbered = [f"cat-stereo-0{number}.png" for number in range(6)]
    assert result.stdout.splitlines() == [*numbered, "cat-stereo_qs3x2a0.75.png"]
    with Image.open(here / "cat-stereo_qs3x2a0.75.png") as picture:
        quilt = np.asarray(picture)
    assert quilt.shape == (2 * 64, 3 * 48, 3)
    for number, name in enumerate(numbered):
        row, column = divmod(number, 3)
        with Image.open(here / name) as picture:
            tile = quilt[(1 - row) * 64 : (2 - row) * 64, column * 48 : (column + 1) * 48]
            np.testing.assert_array_equal(np.asarray(picture), tile)
    positions = [cast(Any, read_metadata(here / name))["resolved"]["position"] for name in numbered]
    assert positions == pytest.approx([-0.5, -0.3, -0.1, 0.1, 0.3, 0.5])
    assert read_metadata(here / "cat-stereo_qs3x2a0.75.png")["position"] == positions


@pytest.mark.parametrize("way", [(), ("--two-step",)])
def test_views_of_a_map(here: Path, run: Run, model: Path, way: tuple[str, ...]) -> None:
    write_map(here / "room.pfm", Disparity.from_pixels(torch.linspace(0, 4, 64).expand(64, 64)))
    line = ("depth", "room.pfm", "a green cone", *way, "--model", model, *FEW)
    views = run(*line, "--baselines", "-1,0,1", "-o", "view.png")
    assert (views.exit_code, views.stderr) == (0, "")
    for source, eyes in (("left", "12"), ("right", "01")):
        assert run(*line, "--source", source, "-o", "pair.png", "-f", "eyes").exit_code == 0
        for eye, number in zip(("left", "right"), eyes, strict=True):
            one, other = (read_image(here / name) for name in (f"pair-{eye}.png", f"view-0{number}.png"))
            assert torch.equal(one, other)
    assert ("drawn_with" in cast(Any, read_metadata(here / "view-00.png"))["resolved"]) == bool(way)


@pytest.mark.parametrize("device", ["cuda", "mps", "nonsense"])
def test_a_device_that_is_not_there(device: str, here: Path, run: Run) -> None:
    if device != "nonsense" and (torch.cuda.is_available() or torch.backends.mps.is_available()):
        pytest.skip("the device is there")
    result = run("text", "a ball", "--device", device)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"stereodiffusion: error: --device {device} cannot be used here: ")
    assert result.stderr.count("\n") == 1


def test_a_prompt_that_the_model_does_not_know(here: Path, run: Run, tiny_text: tuple[str, ...]) -> None:
    result = run("text", "a zebra", *tiny_text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert list(here.iterdir()) == []


def test_the_bar_shows_stage_and_step(
    here: Path, run: Run, model: Path, estimator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    result = run("text", "a ball", "--steps", "2", "--model", model, "--depth-estimator", estimator)
    assert result.exit_code == 0
    assert result.stdout == "a-ball.png\n"
    for shown in ("starting", "loading", "source", "2/2", "depth", "view", "1/1", "decoding"):
        assert shown in result.stderr
    quiet = run("text", "a ball", "--steps", "2", "--model", model, "--depth-estimator", estimator, "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("a-ball-2.png\n", "")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is in a cache, and nothing can be fetched."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("STEREODIFFUSION_MODELS", str(tmp_path / "by-hand"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("no_hub")
def test_a_model_that_cannot_be_fetched_is_refused_in_a_line(here: Path, run: Run, tmp_path: Path) -> None:
    result = run("text", "a ball", "--model", "sd1.5")
    assert (result.exit_code, result.stdout) == (2, "")
    (error,) = result.stderr.splitlines()
    assert error.startswith("stereodiffusion: error: ")
    assert "toybox" in error
    assert str(tmp_path / "by-hand") in error


@pytest.mark.usefixtures("no_hub")
def test_a_photo_without_a_network_has_its_depth_estimated_by_what_is_embedded(
    here: Path, run: Run, model: Path
) -> None:
    Image.fromarray(np.linspace(0, 255, 64 * 64 * 3).astype(np.uint8).reshape(64, 64, 3)).save(here / "cat.png")
    result = run("photo", "cat.png", "--model", model, "--steps", "2", "-o", "pair.png")
    assert (result.exit_code, result.stdout) == (0, "pair.png\n")
    (note,) = result.stderr.splitlines()
    assert note.startswith("depth is estimated by the embedded photo-depth, which is coarse: depth-anything/")
    assert note.endswith("depth-anything-v2-small (99 MB) once with a network, or bring a map: --disparity")
    recorded: dict[str, Any] = read_metadata(here / "pair.png")
    assert recorded["request"]["estimator"] == "photo-depth"


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".tif", ".png"])
def test_disparity_alone_is_one_command(suffix: str, here: Path, run: Run) -> None:
    Image.fromarray(np.linspace(0, 255, 96 * 64 * 3).astype(np.uint8).reshape(64, 96, 3)).save(here / "cat.jpg")
    line = ("disparity", "cat.jpg", "--max-disparity", "0.1", "--no-refine", "--colour", "-o", f"map{suffix}")
    result = run(*line)
    assert (result.exit_code, result.stdout.splitlines()) == (0, [f"map{suffix}", "map-colour.png"])
    values = read_map(here / f"map{suffix}").values / (256 if suffix == ".png" else 1)
    assert values.shape == (64, 96)
    assert float(values.max()) == pytest.approx(9.6, abs=1 / 256)
    with Image.open(here / "map-colour.png") as shown:
        assert (shown.size, shown.mode) == ((96, 64), "RGB")
    assert run(*line, "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["nowhere.jpg"], "nowhere.jpg: no such file"),
        (["cat.png", "-o", "map.jpg"], "map.jpg: a map goes into .pfm, .npy, .tif, .tiff, .exr, .png, got .jpg"),
        (["cat.png", "-o", "cat.png"], "cat.png is read by this command and would be replaced"),
        (["cat.png", "-o", "there/map.pfm"], "there"),
        (["cat.png", "--depth-estimator", "sd1.5"], "sd1.5 does not estimate depth"),
        (["cat.png", "--max-disparity", "8"], "max_disparity must be a fraction of the width"),
    ],
)
def test_disparity_refuses_in_a_line_before_any_work(line: list[str], message: str, here: Path, run: Run) -> None:
    Image.new("RGB", (64, 64)).save(here / "cat.png")
    result = run("disparity", *line)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert [file.name for file in here.iterdir()] == ["cat.png"]
