"""Both eyes out of a file again, or out of two.

What this package wrote says in its metadata how its eyes are packed; an MPO has them as two pictures; of other files
the shape tells: twice as wide as high or wider is side by side, higher than wide is top-bottom. What lies between may
be half side by side or half top-bottom, or no pair at all, and has to be said. Half frames are stretched back.
"""

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import PathLike, read_bytes
from stereodiffusion.formats.image import decoding, from_pil, identify_picture, read_image, read_metadata, resize_image
from stereodiffusion.formats.limits import check_size
from stereodiffusion.formats.maps import read_map
from stereodiffusion.geometry import Disparity

Layout: TypeAlias = Literal["sbs", "sbs-half", "cross-eyed", "top-bottom", "top-bottom-half", "mpo", "eyes"]
"""How a pair is packed, by the names of the output formats."""


class Eyes(NamedTuple):
    """Both eyes.

    Attributes:
        left: One picture, sRGB in [0, 1].
        right: The other eye's, of the same size.
        layout: How they were packed.
    """

    left: Float[Tensor, "1 3 h w"]
    right: Float[Tensor, "1 3 h w"]
    layout: Layout


def read_eyes(path: PathLike, right: PathLike | None = None, *, layout: Layout | None = None) -> Eyes:
    """Both eyes of a pair.

    Args:
        path: The file, or the left eye's.
        right: The right eye's, if that is a file of its own.
        layout: How the eyes are packed in one file; told from the file if None.

    Raises:
        FormatError: If a file cannot be read, does not say how its eyes are packed, cannot be cut into two equal
            halves, or the two eyes are of different sizes.
    """
    if right is not None:
        if layout not in (None, "eyes"):
            raise FormatError(f"two files are two eyes, got layout {layout}: leave it out")
        eyes = Eyes(read_image(path), read_image(right), "eyes")
    else:
        found = layout or _layout_of(path)
        if found == "eyes":
            raise FormatError(f"{path} is one eye: expected the other eye's file besides")
        eyes = Eyes(*_both_frames(path), found) if found == "mpo" else _halves(path, found)
    if eyes.left.shape != eyes.right.shape:
        sizes = " and ".join(f"{eye.shape[3]} x {eye.shape[2]}" for eye in (eyes.left, eyes.right))
        raise FormatError(f"{path}: expected two eyes of one size, got {sizes}")
    return eyes


def packed_as(path: PathLike) -> str | None:
    """The format in which this package wrote a picture; None if it wrote none of it."""
    try:
        return str(read_metadata(path).get("format", ""))
    except FormatError:
        return None


def _layout_of(path: PathLike) -> Layout:
    written = packed_as(path)
    for layout in get_args(Layout):
        if layout == written:
            return layout
    if written in ("left", "right"):
        return "eyes"
    if written:
        raise FormatError(f"{path}: the eyes of {written} cannot be taken apart; {', '.join(get_args(Layout))} can")
    content = read_bytes(path)
    with decoding(path):
        picture = identify_picture(content)
        if picture.format == "MPO":
            return "mpo"
        width, height = picture.size
    if width >= 2 * height:
        return "sbs"
    if height > width:
        return "top-bottom"
    raise FormatError(f"{path}: {width} x {height} does not tell how two eyes are packed in it: say with --layout")


def _halves(path: PathLike, layout: Layout) -> Eyes:
    picture = read_image(path)
    height, width = picture.shape[2:]
    beside = layout in ("sbs", "sbs-half", "cross-eyed")
    if (width if beside else height) % 2:
        side = f"{width} columns" if beside else f"{height} rows"
        raise FormatError(f"{path}: expected two equal halves ({layout}), got {side}")
    first, second = picture.chunk(2, dim=3 if beside else 2)
    if layout.endswith("-half"):
        first, second = (resize_image(eye, height, width) for eye in (first, second))
    return Eyes(second, first, layout) if layout == "cross-eyed" else Eyes(first, second, layout)


def _both_frames(path: PathLike) -> tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "1 3 h w"]]:
    content = read_bytes(path)
    with decoding(path):
        picture = identify_picture(content)
        count = getattr(picture, "n_frames", 1)
        if picture.format != "MPO" or count < 2:
            raise FormatError(f"expected an MPO with two pictures, got {picture.format} with {count}")
        check_size(picture.width, picture.height)
        left = from_pil(picture)
        picture.seek(1)
        return left, from_pil(picture)


def disparity_beside(path: PathLike) -> Path | None:
    """The exact map that `StereoPair.save(also="disparity")` wrote beside a picture of this package, if it did."""
    path, written = Path(path), packed_as(path)
    if written is None:
        return None
    ends = dict.fromkeys(["", f"-{written}", "-left", "-right"])
    stems = [path.stem.removesuffix(end) for end in ends if path.stem.endswith(end)]
    found = [path.with_name(f"{stem}-disparity.pfm") for stem in stems]
    return next((each for each in found if each.is_file()), None)


def saved_disparity(path: Path) -> Disparity:
    """The map that `StereoPair.save(also="disparity")` wrote: of the left picture as it is shown, unknown is inf.

    Raises:
        FormatError: If it cannot be read.
    """
    values = read_map(path).values[None, None].float()
    known = values.isfinite()
    return Disparity(pixels=torch.where(known, values, 0.0), known=known)
