"""What is asked for of a video: the file, the parallax, the viewer, and how both eyes share a frame."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from stereodiffusion.errors import ConfigError
from stereodiffusion.models.cards import AUTO
from stereodiffusion.request.inputs import PictureFile
from stereodiffusion.request.request import check_estimator
from stereodiffusion.settings import Parallax, Settings
from stereodiffusion.settings.options import option
from stereodiffusion.settings.plain import to_plain
from stereodiffusion.settings.presets import preset
from stereodiffusion.settings.viewing import Viewing

VERSION = 1
"""Of the JSON form."""

_METHOD, _OUTPUT = "Method", "Output"

VideoFormat: TypeAlias = Literal["sbs", "sbs-half", "cross-eyed", "top-bottom", "top-bottom-half", "anaglyph", "right"]

VIDEO_FORMATS: Mapping[VideoFormat, str] = MappingProxyType(
    {
        "sbs": "side by side, left eye left, each of full size",
        "sbs-half": "the same, each squeezed to half its width: 3-D television",
        "cross-eyed": "side by side, right eye left",
        "top-bottom": "left eye above the right, each of full size",
        "top-bottom-half": "the same, each squeezed to half its height",
        "anaglyph": "red-cyan glasses, Dubois' colours",
        "right": "the right eye alone",
    }
)
"""How both eyes share a frame, and what for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRequest:
    """A stereo video.

    Attributes:
        video: The source, the left eye.
        format: How both eyes share a frame.
        estimator: What estimates depth; `auto` is the best for photographs that is to be had.
        steady: Depth is aligned with what came before and smoothed along motion, and occlusions are filled by what
            the frames around have there, scene by scene; without it every frame is for itself.
        quality: Of the encoder (CRF): 0 is lossless with H.264, 51 the coarsest.
        parallax: How large parallax is and what lies on the screen; settled on the first frame of each scene.
        viewing: For whom.
    """

    video: PictureFile = option(MISSING, metavar="VIDEO", help="The video: it becomes the left eye.")
    format: VideoFormat = option(
        "sbs",
        "--format",
        "-f",
        panel=_OUTPUT,
        help=f"How both eyes share a frame: {', '.join(VIDEO_FORMATS)}.",
        metavar="FORMAT",
    )
    estimator: str = option(
        AUTO,
        "--depth-estimator",
        panel=_METHOD,
        metavar="NAME",
        help="What estimates depth: a name, a repository or a folder; auto is the best that can be had.",
    )
    steady: bool = option(
        True, "--steady/--no-steady", panel=_METHOD, help="Hold depth and occlusions steady from frame to frame."
    )
    quality: int = option(
        16, "--quality", panel=_OUTPUT, metavar="CRF", help="Of the encoder, 0 (largest file) to 51 (smallest)."
    )
    parallax: Parallax = Parallax()
    viewing: Viewing = Viewing()

    def __post_init__(self) -> None:
        check_estimator(self.estimator)
        if not 0 <= self.quality <= 51:
            raise ConfigError(f"quality must be from 0 to 51, got {self.quality}")
        self.settings()  # which check themselves

    def settings(self) -> Settings:
        """Of the pictures: `best`, as far as it works in pixels; exemplars would be others in every frame.

        Raises:
            ConfigError: If settings contradict each other.
        """
        best = preset("best", "photo").changed({"warp.fill": "smooth"})
        return replace(best, parallax=self.parallax, viewing=self.viewing)

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"version": VERSION, "mode": "video", **to_plain(self)}
