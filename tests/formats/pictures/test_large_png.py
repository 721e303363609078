"""Large PNGs, which are compressed in bands: what Pillow and libpng read is what was written."""

from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image

from stereodiffusion.formats.pictures import png
from stereodiffusion.formats.pictures.image import decode_image, encode_image
from stereodiffusion.formats.pictures.metadata import find_json
from stereodiffusion.geometry import CELLS_AT_ONCE

LEVELS = np.random.default_rng(0).integers(0, 256, (37, 29, 4), dtype=np.uint8)


def written(levels: np.ndarray, cells: int) -> bytes:
    file = BytesIO()
    Image.fromarray(levels[:1, :1].squeeze(2) if levels.shape[2] == 1 else levels[:1, :1]).save(file, "PNG")
    return png.with_pixels(file.getvalue(), levels, cells=cells)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("cells", [1, 300, 5000])
def test_bands_are_read_as_one_picture(channels: int, cells: int) -> None:
    levels = LEVELS[..., :channels]
    content = written(levels, cells)
    assert np.array_equal(np.asarray(Image.open(BytesIO(content))).reshape(levels.shape), levels)
    assert np.array_equal(imagecodecs.png_decode(content).reshape(levels.shape), levels)


def test_a_file_does_not_depend_on_threads() -> None:
    before, files = torch.get_num_threads(), set[bytes]()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            files.add(written(LEVELS, cells=300))
        finally:
            torch.set_num_threads(before)
    assert len(files) == 1


def test_a_large_picture_has_the_chunks_of_a_small_one() -> None:
    settings, exif = {"seed": 3}, Image.Exif()
    exif[271] = "maker"
    small = torch.rand((1, 3, 2, 3), generator=torch.Generator().manual_seed(0))
    large = small.repeat(1, 1, 600, CELLS_AT_ONCE // 3000)
    files = [encode_image(image, ".png", settings, exif=exif.tobytes()) for image in (small, large)]
    for content in files:
        picture = Image.open(BytesIO(content))
        assert find_json(picture, content) == '{"seed": 3}'
        assert picture.getexif()[271] == "maker"
        assert png.find_chunk(content, b"sRGB") == b"\0"
    assert torch.equal(decode_image(files[1]), decode_image(files[0]).repeat(1, 1, 600, CELLS_AT_ONCE // 3000))
