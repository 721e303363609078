"""The exact disparity that lies beside a pair which this package wrote."""

from pathlib import Path

import torch

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import PathLike
from stereodiffusion.formats.maps import read_map
from stereodiffusion.formats.pictures.image import read_metadata
from stereodiffusion.geometry import Disparity


def disparity_beside(path: PathLike) -> Path | None:
    """The map that `StereoPair.save(also="disparity")` wrote beside a picture of this package, if it did."""
    path = Path(path)
    try:
        written = str(read_metadata(path).get("format", ""))
    except FormatError:
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
