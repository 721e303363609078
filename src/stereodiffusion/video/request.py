"""What is asked for of a video: the file, the parallax, the viewer, key frames, and how both eyes share a frame."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from stereodiffusion.errors import ConfigError
from stereodiffusion.models.cards import AUTO, preset_for
from stereodiffusion.request.inputs import PictureFile
from stereodiffusion.request.request import check_estimator, check_model
from stereodiffusion.settings import Parallax, Settings
from stereodiffusion.settings.options import option
from stereodiffusion.settings.plain import to_plain
from stereodiffusion.settings.presets import preset
from stereodiffusion.settings.viewing import Viewing

VERSION = 1
"""Of the JSON form."""

REACH = 3
"""Frames on either side that depth and occlusions of a frame are held steady with."""

_METHOD, _OUTPUT, _KEYS = "Method", "Output", "Key frames"

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
class KeyFrames:
    """Frames whose occlusions a diffusion model draws, as photo mode with `best` does.

    Attributes:
        model: A name of `stereodiffusion models`, a repository of the hub, a folder or a `.safetensors` file.
        prompt: What the video shows; may be empty.
        every: How many frames of a scene lie from one to the next, the first of which is the scene's first. None is
            as many as lets the pictures of two of them fade into each other.
        steps: Of the sampling; the preset's if None.
        seed: Of all of them.
    """

    model: str = option(
        MISSING,
        "--model",
        "-m",
        panel=_KEYS,
        default_help="none",
        metavar="NAME",
        help="Let a diffusion model draw, on key frames, what no frame around has seen: a name of `stereodiffusion "
        "models`, a repository of the hub, a folder or a .safetensors file.",
    )
    prompt: str = option("", "--prompt", panel=_KEYS, metavar="TEXT", help="What the video shows; may be left out.")
    every: int | None = option(
        None,
        "--key-frames",
        panel=_KEYS,
        metavar="N",
        default_help=str(REACH + 1),
        help=f"A scene's first frame is a key frame, and every N-th after it, N at most {2 * REACH + 1}.",
    )
    steps: int | None = option(
        None, "--steps", panel=_KEYS, metavar="N", default_help="the preset's", help="Denoising steps, at least 2."
    )
    seed: int = option(0, "--seed", panel=_KEYS, metavar="N", help="Same command, same seed: same video.")

    def __post_init__(self) -> None:
        check_model(self.model, "text")
        if self.every is not None and self.every < 1:
            raise ConfigError(f"keys.every must be at least 1, got {self.every}")
        if self.steps is not None and self.steps < 2:
            raise ConfigError(f"keys.steps must be at least 2, got {self.steps}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"keys.seed must be a whole number from 0 to 2^63 - 1, got {self.seed}")
        preset_for(self.model, "best", "photo").changed(self.changes)

    @property
    def changes(self) -> dict[str, Any]:
        """Of the settings of photo mode."""
        return {} if self.steps is None else {"sampling.steps": self.steps}


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
        keys: On which frames a diffusion model draws, and which; on none if None.
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
    keys: KeyFrames | None = None

    def __post_init__(self) -> None:
        check_estimator(self.estimator)
        if not 0 <= self.quality <= 51:
            raise ConfigError(f"quality must be from 0 to 51, got {self.quality}")
        self.settings()  # which check themselves
        most = 2 * REACH + 1 if self.steady else 1
        if self.key_every > most:
            window = f"frames see {REACH} to either side" if self.steady else "without steady each frame is for itself"
            raise ConfigError(f"keys.every must be at most {most}, got {self.key_every}: {window}")

    def settings(self) -> Settings:
        """Of the pictures: `best`, as far as it works in pixels; exemplars would be others in every frame.

        Raises:
            ConfigError: If settings contradict each other.
        """
        best = preset("best", "photo").changed({"warp.fill": "smooth"})
        return replace(best, parallax=self.parallax, viewing=self.viewing)

    @property
    def key_every(self) -> int:
        """How many frames lie from one key frame of a scene to the next."""
        if self.keys is not None and self.keys.every is not None:
            return self.keys.every
        return REACH + 1 if self.steady else 1

    def plain(self) -> dict[str, Any]:
        """As plain JSON values; of key frames nothing is said where there are none."""
        said = {"version": VERSION, "mode": "video", **to_plain(self)}
        return said if self.keys is not None else {name: value for name, value in said.items() if name != "keys"}
