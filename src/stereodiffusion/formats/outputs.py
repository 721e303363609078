"""The output formats by name: what each is for, what it loses, and the files that hold it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal, TypeAlias

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import encoders
from stereodiffusion.formats.encoders import STEREO, Encode, Settings, with_facts
from stereodiffusion.formats.extras import Extra
from stereodiffusion.formats.eyes import FIELD_OF_VIEW_DEG, Eyes
from stereodiffusion.formats.layouts.anaglyph import AnaglyphMethod
from stereodiffusion.formats.layouts.interlaced import Pattern, interlaced
from stereodiffusion.formats.layouts.sbs import cross_eyed, side_by_side, top_bottom
from stereodiffusion.formats.pictures.image import STILL_SUFFIXES
from stereodiffusion.formats.stereo.projection import sphere_side

Frame: TypeAlias = Callable[[int, int], tuple[int, int]]
"""(height, width) of an eye -> (height, width) of the picture in the file."""


def _one_eye(height: int, width: int) -> tuple[int, int]:
    return height, width


def _beside(height: int, width: int) -> tuple[int, int]:
    return height, 2 * width


def _half_beside(height: int, width: int) -> tuple[int, int]:
    return height, 2 * ((width + 1) // 2)


def _above(height: int, width: int) -> tuple[int, int]:
    return 2 * height, width


def _half_above(height: int, width: int) -> tuple[int, int]:
    return 2 * ((height + 1) // 2), width


def _even(height: int, width: int) -> tuple[int, int]:
    return height + height % 2, width + width % 2


def _sphere(height: int, width: int) -> tuple[int, int]:
    side = sphere_side(width, FIELD_OF_VIEW_DEG)
    return side, side


def _spheres(height: int, width: int) -> tuple[int, int]:
    return _beside(*_sphere(height, width))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """One way to keep a stereo pair.

    Attributes:
        about: what it is for, in a line.
        encode: what makes the file; of several the maker of each, by the end of its stem.
        suffixes: of the files that can hold it; the first is its own.
        frame: (height, width) of an eye to those of the picture in the file.
        loses: what does not survive in it, in a few words. JPEG, GIF and video lose alpha besides.
        ending: of the stem, by which players recognise it; empty if there is no custom.
        extra: of this package, whose library it needs.
        needs: what it is made from.
    """

    about: str
    encode: Encode | Mapping[str, Encode]
    suffixes: tuple[str, ...] = tuple(STILL_SUFFIXES)
    frame: Frame = _one_eye
    loses: str = "nothing"
    ending: str = ""
    extra: Extra | None = None
    needs: Literal["both eyes", "left and disparity"] = "both eyes"

    @property
    def parts(self) -> Mapping[str, Encode]:
        """What is encoded, by the end of the file's stem; one part named "" for all but the separate eyes."""
        return self.encode if isinstance(self.encode, Mapping) else MappingProxyType({"": self.encode})


def output_format(name: str) -> OutputFormat:
    """The format of that name.

    Raises:
        FormatError: If there is none.
    """
    if name not in OUTPUT_FORMATS:
        raise FormatError(f"expected a format out of {', '.join(OUTPUT_FORMATS)}, got {name!r}")
    return OUTPUT_FORMATS[name]


def encode(name: str, eyes: Eyes, suffix: str, *, part: str = "") -> bytes:
    """A file of the format of that name, with what made the eyes and what is known beside them.

    Raises:
        FormatError: If the eyes have not what the format needs, or its library is not installed.
    """
    settings: Settings = {key: value for key, value in eyes.settings.items() if key != STEREO} | {"format": name}
    facts = with_facts(settings, field_of_view_deg=eyes.field_of_view_deg, baseline_m=eyes.baseline_m)
    return output_format(name).parts[part](eyes, suffix, facts)


def _anaglyph(about: str, method: AnaglyphMethod, loses: str, ending: str = "") -> OutputFormat:
    return OutputFormat(about=about, encode=encoders.in_glasses(method), loses=loses, ending=ending)


def _interlaced(about: str, pattern: Pattern) -> OutputFormat:
    made = encoders.in_one(partial(interlaced, pattern=pattern))
    return OutputFormat(about=about, encode=made, loses="half of each eye's pixels")


_MIXED = "the eyes: colours of both are mixed, and alpha"
_GREY = "colours, and alpha: grey eyes come back"
_FINE = "alpha, and what JPEG rounds away"

OUTPUT_FORMATS: Mapping[str, OutputFormat] = MappingProxyType(
    {
        "sbs": OutputFormat(
            about="side by side, left eye left: headsets, 3D television, parallel viewing",
            encode=encoders.in_one(side_by_side),
            frame=_beside,
            ending="_LRF_Full_SBS",
        ),
        "sbs-half": OutputFormat(
            about="side by side, each eye squeezed to half its width",
            encode=encoders.halved(partial(side_by_side, size="half"), "width"),
            frame=_half_beside,
            loses="half of the columns",
            ending="_SBS",
        ),
        "cross-eyed": OutputFormat(
            about="side by side, right eye left: for crossed eyes, without any device",
            encode=encoders.in_one(cross_eyed),
            frame=_beside,
            ending="_RLF_cross",
        ),
        "top-bottom": OutputFormat(
            about="left eye above the right",
            encode=encoders.in_one(top_bottom),
            frame=_above,
            ending="_TBF_fulltb",
        ),
        "top-bottom-half": OutputFormat(
            about="left eye above, each squeezed to half its height",
            encode=encoders.halved(partial(top_bottom, size="half"), "height"),
            frame=_half_above,
            loses="half of the rows",
            ending="_TB",
        ),
        "interlaced-rows": _interlaced("rows by turns, the first is the left eye's: passive 3D monitors", "rows"),
        "interlaced-columns": _interlaced("columns by turns: displays with a barrier or lenses", "columns"),
        "checkerboard": _interlaced("pixels by turns: DLP televisions", "checkerboard"),
        "anaglyph": _anaglyph("red-cyan glasses, Dubois' colours", "red-cyan", _MIXED, "_redcyan"),
        "anaglyph-green-magenta": _anaglyph("green-magenta glasses, Dubois", "green-magenta", _MIXED),
        "anaglyph-amber-blue": _anaglyph("amber-blue glasses, Dubois", "amber-blue", _MIXED),
        "anaglyph-color": _anaglyph("red-cyan glasses, channels as they are", "color", _MIXED),
        "anaglyph-half-color": _anaglyph("red-cyan glasses, left eye grey", "half-color", _MIXED),
        "anaglyph-gray": _anaglyph("red-cyan glasses, both eyes grey", "gray", _GREY),
        "anaglyph-true": _anaglyph("red-blue glasses, both eyes grey, darkest", "true", _GREY),
        "mpo": OutputFormat(
            about="both eyes in one file, as 3D cameras write it", encode=encoders.mpo, suffixes=(".mpo",), loses=_FINE
        ),
        "jps": OutputFormat(
            about="a JPEG for crossed eyes that says so: stereo viewers",
            encode=encoders.jps,
            suffixes=(".jps",),
            frame=_beside,
            loses=_FINE,
        ),
        "spatial": OutputFormat(
            about="spatial photo, HEIC: Apple Vision Pro",
            encode=encoders.spatial,
            suffixes=(".heic",),
            loses="alpha, and what HEVC rounds away (4:2:0)",
            extra="spatial",
        ),
        "vr180": OutputFormat(
            about="half spheres in one JPEG, the right eye in its XMP: VR180 photo viewers",
            encode=encoders.vr180,
            suffixes=(".jpg", ".jpeg"),
            frame=_sphere,
            loses="alpha, some sharpness, and what JPEG rounds away",
            ending=".vr",
        ),
        "vr180-sbs": OutputFormat(
            about="half spheres side by side: players of headsets",
            encode=encoders.vr180_beside,
            frame=_spheres,
            loses="alpha, and some sharpness",
            ending="_180x180_LR",
        ),
        "rgbd": OutputFormat(
            about="the left eye beside its depth, near is white: players that make the views themselves",
            encode=encoders.beside_depth("full"),
            frame=_beside,
            loses="the right eye; disparity to 1/255 of its range",
            ending="_RGBD",
            needs="left and disparity",
        ),
        "rgbd-half": OutputFormat(
            about="the same, each squeezed to half its width",
            encode=encoders.beside_depth("half"),
            frame=_half_beside,
            loses="the right eye and half of the columns; disparity to 1/255 of its range",
            ending="_HRGBD",
            needs="left and disparity",
        ),
        "wiggle-gif": OutputFormat(
            about="the eyes in turn, endlessly: no glasses",
            encode=encoders.wiggle,
            suffixes=(".gif",),
            loses="alpha, and all but 256 colours",
        ),
        "wiggle-webp": OutputFormat(
            about="the same in full colour",
            encode=encoders.wiggle,
            suffixes=(".webp",),
            loses="what WebP rounds away",
        ),
        "wiggle-mp4": OutputFormat(
            about="the same as a video, H.264",
            encode=encoders.wiggle,
            suffixes=(".mp4",),
            frame=_even,
            loses="alpha, and what H.264 rounds away; not read back",
            extra="video",
        ),
        "wiggle-webm": OutputFormat(
            about="the same as a video, VP9",
            encode=encoders.wiggle,
            suffixes=(".webm",),
            frame=_even,
            loses="alpha, and what VP9 rounds away; not read back",
            extra="video",
        ),
        "eyes": OutputFormat(
            about="two files, one for each eye",
            encode=MappingProxyType({"left": encoders.left, "right": encoders.right}),
        ),
    }
)
