import io
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image

from stereodiffusion.errors import ConfigError, FormatError, GeometryError
from stereodiffusion.formats import OUTPUT_FORMATS, disparity_from_map, read_image, read_map, read_metadata
from stereodiffusion.geometry import Disparity, splat
from stereodiffusion.pair import StereoPair

WRONG_SHAPE = (GeometryError, jaxtyping.TypeCheckError)  # the second when shapes are checked at run time


def make_pair(batch: int = 1, size: tuple[int, int] = (12, 20), **provenance: Any) -> StereoPair:
    """A near square before a far wall."""
    height, width = size
    left = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
    left = (left * 255).round() / 255
    near = torch.zeros(batch, height, width)
    near[:, height // 3 : 2 * height // 3, width // 2 : 3 * width // 4] = 3
    disparity = Disparity.from_pixels(near)
    warped = splat(left, disparity)
    occlusion = warped.occlusion
    return StereoPair(left=left, right=warped.view, disparity=disparity, occlusion=occlusion, provenance=provenance)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- the value ----------------------------------------------------------------------------------------------------


def test_parts_of_different_sizes_are_refused() -> None:
    pair = make_pair()
    parts: dict[str, Any] = {name: getattr(pair, name) for name in ("left", "right", "disparity", "occlusion")}
    wrong = {
        "right": pair.right[..., 1:],
        "occlusion": pair.occlusion[..., 1:, :],
        "disparity": pair.disparity.resize(6, 10),
        "left": pair.left.repeat(2, 1, 1, 1),
    }
    for name, part in wrong.items():
        changed: dict[str, Any] = {**parts, name: part}
        with pytest.raises(WRONG_SHAPE):
            StereoPair(**changed)
    parts["occlusion"] = pair.occlusion.float()
    with pytest.raises(WRONG_SHAPE):
        StereoPair(**parts)


@pytest.mark.parametrize("value", [object(), float("nan"), torch.zeros(1)])
def test_provenance_must_be_json(value: Any) -> None:
    with pytest.raises(ConfigError, match="plain JSON"):
        make_pair(it=value)


def test_provenance_is_the_pairs_own() -> None:
    given: dict[str, Any] = {"seed": 1}
    pair = make_pair(**given)
    given["seed"] = 2
    assert pair.provenance == {"seed": 1}


def test_pairs_travel_between_processes() -> None:
    pair = make_pair(2, seed=1)
    copy: StereoPair = pickle.loads(pickle.dumps(pair))
    assert torch.equal(copy.right, pair.right)
    assert torch.equal(copy.disparity.known, pair.disparity.known)
    assert copy.provenance == pair.provenance


def test_a_batch_is_a_sequence() -> None:
    batch = make_pair(3, seed=1)
    assert len(batch) == 3
    assert torch.equal(torch.cat([pair.left for pair in batch]), batch.left)
    assert torch.equal(batch[-1].right, batch.right[2:])
    assert batch[1].provenance == {"seed": 1}
    with pytest.raises(IndexError, match="below 3, got 3"):
        batch[3]


def test_repr_is_short() -> None:
    assert repr(make_pair(2, seed=1)) == "StereoPair(2 x 12 x 20, provenance={'seed': 1})"
    assert repr(make_pair()) == "StereoPair(12 x 20, provenance={})"


def test_shows_itself_in_a_notebook() -> None:
    shown = Image.open(io.BytesIO(make_pair(3)._repr_png_()))  # pyright: ignore[reportPrivateUsage]
    assert shown.format == "PNG"
    assert shown.size == (40, 36)


# --- changing -----------------------------------------------------------------------------------------------------


def test_resizing() -> None:
    pair = make_pair(2, seed=1)
    larger = pair.resize(24, 60)
    assert larger.size == larger.disparity.size == (24, 60)
    assert larger.disparity.pixels.max() == 9
    assert larger.occlusion.float().mean() == pair.occlusion.float().mean()
    assert 0 <= larger.left.min() <= larger.left.max() <= 1
    assert larger.provenance == pair.provenance
    same = pair.resize(12, 20)
    assert torch.allclose(same.right, pair.right, atol=1e-6)
    assert torch.equal(same.occlusion, pair.occlusion)
    with pytest.raises(GeometryError, match="at least 1, got 0 x 20"):
        pair.resize(0, 20)


def test_swapping_exchanges_the_pictures() -> None:
    pair = make_pair(2)
    back = pair.swapped().swapped()
    assert torch.equal(pair.swapped().left, pair.right)
    assert torch.equal(back.left, pair.left)
    assert torch.equal(back.right, pair.right)


def test_disparity_of_a_swapped_pair_points_to_the_same_things() -> None:
    pair = make_pair()
    swapped = pair.swapped()
    assert torch.equal(swapped.disparity.known, ~pair.occlusion)
    _, _, rows, columns = swapped.disparity.known.nonzero(as_tuple=True)
    moved = columns - swapped.disparity.pixels[0, 0, rows, columns].round().long()
    assert torch.allclose(swapped.right[0, :, rows, moved], swapped.left[0, :, rows, columns])


def test_occlusion_of_a_swapped_pair_is_what_the_right_eye_did_not_see() -> None:
    pair = make_pair()
    seen = torch.zeros_like(pair.occlusion)
    source = splat(pair.left, pair.disparity).source
    for row in range(12):
        reached = source[0, 0, row]
        seen[0, 0, row, reached[reached >= 0]] = True
    assert torch.equal(pair.swapped().occlusion, ~seen)


# --- saving -------------------------------------------------------------------------------------------------------


def test_saves_where_it_is_told(tmp_path: Path) -> None:
    pair = make_pair(prompt="a red ball", seed=3)
    assert pair.save(tmp_path / "ball.png") == [tmp_path / "ball.png"]
    assert files(tmp_path) == ["ball.png"]
    assert torch.equal(read_image(tmp_path / "ball.png")[..., :20], pair.left)
    assert read_metadata(tmp_path / "ball.png") == {"prompt": "a red ball", "seed": 3, "format": "sbs"}


def test_saves_every_format_at_once(tmp_path: Path) -> None:
    pair = make_pair(seed=3)
    written = pair.save(tmp_path / "ball.png", list(OUTPUT_FORMATS), also=["disparity", "occlusion", "left", "right"])
    assert len(set(written)) == len(written) == len(OUTPUT_FORMATS) + 2 + 2
    assert files(tmp_path) == sorted(path.name for path in written)
    for path in written:
        if path.suffix not in (".pfm", ".mp4", ".webm") and path.stem not in ("ball-occlusion", "ball-disparity"):
            told = read_metadata(path)
            assert (told["seed"], told["format"]) == (3, path.stem.removeprefix("ball-"))


def test_saves_the_geometry(tmp_path: Path) -> None:
    pair = make_pair()
    assert pair.save(tmp_path / "ball.jpg", also=["disparity", "occlusion", "right"]) == [
        tmp_path / f"ball{end}" for end in (".jpg", "-disparity.pfm", "-disparity.png", "-occlusion.png", "-right.jpg")
    ]
    disparity = disparity_from_map(read_map(tmp_path / "ball-disparity.pfm"), "disparity-px")
    assert torch.equal(disparity.pixels, pair.disparity.pixels)
    occlusion = np.asarray(Image.open(tmp_path / "ball-occlusion.png").convert("L"))
    assert np.array_equal(occlusion == 255, pair.occlusion[0, 0].numpy())
    assert set(np.unique(occlusion)) == {0, 255}


def test_a_batch_is_numbered(tmp_path: Path) -> None:
    pair = make_pair(2)
    pair.save(tmp_path / "ball.png", also="disparity")
    assert files(tmp_path) == [
        f"ball-{number}{end}" for number in (0, 1) for end in ("-disparity.pfm", "-disparity.png", ".png")
    ]
    assert torch.equal(read_image(tmp_path / "ball-1.png")[..., 20:], pair[1].right)
    pair.save(tmp_path / "two.png", ["sbs", "mpo"])
    assert files(tmp_path)[6:] == ["two-0-mpo.mpo", "two-0-sbs.png", "two-1-mpo.mpo", "two-1-sbs.png"]


def test_the_same_pair_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_pair(seed=1).save(tmp_path / name / "ball.png", list(OUTPUT_FORMATS), also="disparity")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    for name in files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("name", "formats", "message"),
    [
        ("ball.png", ["sbs", "hologram"], "got 'hologram'"),
        ("ball.mpo", "sbs", "got .mpo"),
        ("none/ball.png", "sbs", "does not exist"),
        ("ball.png", [], "at least one format"),
    ],
)
def test_a_failure_leaves_nothing_behind(tmp_path: Path, name: str, formats: str | list[str], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        make_pair().save(tmp_path / name, formats)
    assert files(tmp_path) == []


def test_when_one_of_several_cannot_be_encoded_none_is_written(tmp_path: Path) -> None:
    long = make_pair(size=(2, 9000))
    with pytest.raises(FormatError, match=r"ball-sbs\.webp: a picture of 18000 x 2 is too large"):
        long.save(tmp_path / "ball.webp", ["anaglyph", "sbs"])
    assert files(tmp_path) == []


def test_when_one_of_several_cannot_be_written_none_is(tmp_path: Path) -> None:
    (tmp_path / "ball-disparity.pfm").mkdir()
    with pytest.raises(FormatError, match=r"ball-disparity\.pfm: expected a file name, got a folder"):
        make_pair().save(tmp_path / "ball.png", also="disparity")
    assert files(tmp_path) == ["ball-disparity.pfm"]


def test_an_extra_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises((FormatError, jaxtyping.TypeCheckError), match="depth"):
        make_pair().save(tmp_path / "ball.png", also="depth")  # pyright: ignore[reportArgumentType]


def test_a_path_without_a_name() -> None:
    for pair in (make_pair(), make_pair(2)):
        with pytest.raises(FormatError, match=r"expected a file name, got '\.'"):
            pair.save(".", also="disparity")


def test_pictures_in_memory() -> None:
    pair = make_pair()
    assert pair.image().size == (40, 12)
    assert pair.image("anaglyph").size == (20, 12)
    assert getattr(pair.image("wiggle-gif"), "n_frames", 1) == 2
    with pytest.raises(FormatError, match="eyes are 2 pictures"):
        pair.image("eyes")
    with pytest.raises(FormatError, match="got a batch of 2"):
        make_pair(2).image()


def test_a_floating_window_is_drawn_in_a_copy_and_told() -> None:
    before = replace(make_pair(made="here"), disparity=Disparity.from_pixels(torch.full((12, 20), 2.5)))
    left, right = before.left.clone(), before.right.clone()
    shown = before.with_floating_window()
    assert shown.provenance == {"made": "here", "floating_window": [3, 3]}
    assert not bool(shown.left[..., :3].any())
    assert not bool(shown.right[..., -3:].any())
    assert torch.equal(shown.left[..., 3:], left[..., 3:])
    assert torch.equal(before.left, left)
    assert torch.equal(before.right, right)
    with pytest.raises(FormatError, match="a floating window takes one pair, got a batch of 2"):
        make_pair(2).with_floating_window()
