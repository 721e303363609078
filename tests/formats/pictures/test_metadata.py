import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import encode_image, read_metadata, write_image

SETTINGS = {
    "prompt": 'a "red" ball, 球 \N{SNOWMAN} \\ é',
    "seed": 7,
    "guidance": 7.5,
    "fast": True,
    "negative": None,
    "steps": [1, 2],
    "nested": {"a": "b"},
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_settings_come_back(tmp_path: Path, suffix: str) -> None:
    path = write_image(tmp_path / f"picture{suffix}", torch.zeros(1, 3, 4, 4), SETTINGS)
    assert read_metadata(path) == SETTINGS
    assert list(read_metadata(path)) == list(SETTINGS)


def test_png_text_is_found_by_other_programs() -> None:
    picture = Image.open(io.BytesIO(encode_image(torch.zeros(1, 3, 4, 4), ".png", SETTINGS)))
    picture.load()
    assert picture.info["Software"] == "StereoDiffusion"
    assert '"seed": 7' in picture.info["stereodiffusion"]


def test_exif_is_found_by_other_programs() -> None:
    tags = Image.open(io.BytesIO(encode_image(torch.zeros(1, 3, 4, 4), ".jpg", SETTINGS))).getexif()
    assert tags[0x0131] == "StereoDiffusion"
    assert tags.get_ifd(0x8769)[0x9286].startswith(b'ASCII\0\0\0{"prompt"')


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_picture_without_settings(tmp_path: Path, suffix: str) -> None:
    path = write_image(tmp_path / f"picture{suffix}", torch.zeros(1, 3, 4, 4))
    with pytest.raises(FormatError, match="expected settings written by this package, found none"):
        read_metadata(path)
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(FormatError, match="found none"):
        read_metadata(path)


@pytest.mark.parametrize("value", [object(), float("nan"), Path()])
def test_settings_that_json_cannot_hold(value: object) -> None:
    with pytest.raises(FormatError, match="plain JSON"):
        encode_image(torch.zeros(1, 3, 4, 4), ".png", {"it": value})


def test_settings_too_long_for_exif(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"long\.jpg: cannot be encoded"):
        write_image(tmp_path / "long.jpg", torch.zeros(1, 3, 4, 4), {"prompt": "a" * 70000})
    assert list(tmp_path.iterdir()) == []
    path = write_image(tmp_path / "long.png", torch.zeros(1, 3, 4, 4), {"prompt": "a" * 70000})
    assert read_metadata(path) == {"prompt": "a" * 70000}
