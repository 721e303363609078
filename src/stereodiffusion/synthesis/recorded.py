"""What a mode hands over: a source with all that pairs and views are made from."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.source import Source
from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.synthesis.run import Note, Progress, Turn
from stereodiffusion.types import Image, Latent

Detail: TypeAlias = Callable[[StereoPair, float, Image], Generator[Progress, None, None]]
"""Looks closer at a source and the view at a position, and adds to the change that the model made in the view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A source in latents and in pixels; each view of it costs nothing but itself.

    Attributes:
        source: Its way through the noise levels.
        given_at: Conditioning per step of a view at a position; differs from the source's in depth alone.
        picture: The source in pixels, at the size of the views; None if views that are denoised together have yet to
            draw it.
        disparity: Of the source, dense, before scaling and convergence, on any grid.
        size: (height, width) of the views.
        facts: What is written beside the views, as JSON values.
        photo: Clean latents of the photo that the source is to reproduce, None if it was not made from one.
        detail: What looks at occlusions again, where views are made of the source's pixels; None if nothing does.
    """

    source: Source
    given_at: Callable[[float], Sequence[Conditioning]]
    picture: Image | None
    disparity: Disparity
    size: tuple[int, int]
    facts: Mapping[str, object]
    photo: Latent | None = None
    detail: Detail | None = None


Recording: TypeAlias = Generator[Progress | Note | Turn, None, Recorded]
