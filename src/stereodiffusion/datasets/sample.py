"""One stereo pair with what is known about it, from whatever data set."""

from dataclasses import dataclass

from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class StereoSample:
    """A real or rendered pair and its truth, at the data set's own size; batches of one.

    Attributes:
        name: What the scene is called inside its data set, such as `2006/Aloe`; fit for a file name after
            replacing `/`.
        left: What the left eye sees.
        right: What the right eye sees: the truth that a synthesised view is compared with.
        disparity: Of the left view, None if the publisher gives none; unknown stays unknown.
        right_disparity: Of the right view, if given.
        occlusion: Cells of the right view that the left does not see, if known exactly (rendered scenes).
        caption: What the picture shows, "" if nobody said.
    """

    name: str
    left: Image
    right: Image
    disparity: Disparity | None = None
    right_disparity: Disparity | None = None
    occlusion: Region | None = None
    caption: str = ""
