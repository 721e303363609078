"""A stereo pair: what every way of making one returns."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import PIL.Image
import torch
from torch import Tensor
from torch.nn import functional

from stereodiffusion.errors import ConfigError, FormatError, GeometryError
from stereodiffusion.formats.eyes import Eyes
from stereodiffusion.formats.files import PathLike, check_name, write_files
from stereodiffusion.formats.layouts.floating_window import floating_window, window_bars
from stereodiffusion.formats.maps import encode_map
from stereodiffusion.formats.maps.visualise import visualise
from stereodiffusion.formats.naming import Extra, Names, check_files, encode_files, extra_files
from stereodiffusion.formats.outputs import encode, output_format
from stereodiffusion.formats.pictures.image import encode_image, encoding, identify_picture, resize_image
from stereodiffusion.geometry import Disparity, warp_disparity
from stereodiffusion.geometry.accept import check_picture, described
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.types import Image, Region


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class StereoPair:
    """Both eyes' views of a scene, or a batch of them.

    Attributes:
        left: the left eye's picture.
        right: the right eye's picture.
        disparity: of the left picture; unknown where that was made up beside a source that does not see it.
        occlusion: the cells of the right picture that show what the left eye does not see.
        provenance: what made the pair, as JSON values: prompt, seed, model, version ... Goes into the saved files.
    """

    left: Image
    right: Image
    disparity: Disparity
    occlusion: Region
    provenance: Mapping[str, object] = field(default_factory=dict[str, object])

    def __post_init__(self) -> None:
        for name, view in (("left", self.left), ("right", self.right)):
            check_picture(view, name=name)
        check_disparity(self.disparity)
        if not isinstance(self.occlusion, Tensor) or self.occlusion.dtype != torch.bool:
            raise GeometryError(f"occlusion must be a (b, 1, h, w) bool tensor, got {described(self.occlusion)}")
        batch, _, height, width = self.left.shape
        parts = {"disparity": self.disparity.pixels, "occlusion": self.occlusion}
        for name, part, channels in (("right", self.right, 3), *((name, part, 1) for name, part in parts.items())):
            if tuple(part.shape) != (batch, channels, height, width):
                raise GeometryError(f"{name} must be {(batch, channels, height, width)}, got {tuple(part.shape)}")
        try:
            json.dumps(dict(self.provenance), allow_nan=False)
        except (TypeError, ValueError) as refused:
            raise ConfigError(f"provenance must be plain JSON values: {refused}") from refused
        object.__setattr__(self, "provenance", dict(self.provenance))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of one eye."""
        return self.left.shape[2], self.left.shape[3]

    def __len__(self) -> int:
        return self.left.shape[0]

    def __getitem__(self, index: int) -> "StereoPair":
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, got {index}")
        one = slice(index % len(self), index % len(self) + 1)
        return StereoPair(
            left=self.left[one],
            right=self.right[one],
            disparity=Disparity(pixels=self.disparity.pixels[one], known=self.disparity.known[one]),
            occlusion=self.occlusion[one],
            provenance=self.provenance,
        )

    def __iter__(self) -> Iterator["StereoPair"]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.size
        count = f"{len(self)} x " if len(self) > 1 else ""
        return f"StereoPair({count}{height} x {width}, provenance={dict(self.provenance)})"

    def _repr_png_(self) -> bytes:
        """Shows the pair in a notebook; a batch one below the other."""
        pictures = torch.cat(list(torch.cat([self.left, self.right], dim=-1)), dim=-2)
        return encode_image(pictures[None], ".png")

    def image(self, format: str = "sbs") -> PIL.Image.Image:  # noqa: A002 - the command line's word
        """The pair in one of `OUTPUT_FORMATS`, in memory. Animations, MPO and spatial photos have two frames."""
        kind = output_format(format)
        if len(kind.parts) > 1:
            raise FormatError(f"{format} are {len(kind.parts)} pictures: see left and right")
        if kind.extra == "video":
            raise FormatError(f"{format} is a video and no picture: save it")
        content = encode(format, self.eyes(), kind.suffixes[0])
        return identify_picture(content) if format == "spatial" else PIL.Image.open(BytesIO(content))

    def eyes(self) -> Eyes:
        """The pair as a value that files are written from; it may be told what else is known of it (`replace`)."""
        self._check_single("eyes")
        return Eyes(left=self.left, right=self.right, disparity=self.disparity, settings=self.provenance)

    def save(
        self,
        path: PathLike,
        format: str | Sequence[str] = "sbs",  # noqa: A002
        *,
        also: Extra | Collection[Extra] = (),
        names: Names = "plain",
    ) -> list[Path]:
        """Writes the pair, all files or none, and returns their paths.

        Args:
            path: of a single format. Several go to `<stem>-<format><suffix>`; the pairs of a batch have
                `-0`, `-1` ... at the end of their stems. Existing files are replaced.
            format: one or several of `OUTPUT_FORMATS`.
            also: `disparity` (`<stem>-disparity.pfm`: exact, in pixels of the left eye, unknown is inf; and
                `<stem>-disparity.png` for people: near is red), `disparity-kitti` (16-bit PNG, 256 levels a pixel,
                0 is unknown), `disparity-exr` (exact, unknown is NaN),
                `occlusion` (`<stem>-occlusion.png`: white where the right eye sees what the left does not),
                `left` and `right` (pictures, `<stem>-left<suffix>`).
            names: `players` ends stems as players expect it (see `formats.naming`).
        """
        path = Path(path)
        check_name(path)
        formats = [format] if isinstance(format, str) else list(dict.fromkeys(format))
        extras: Collection[Extra] = [also] if isinstance(also, str) else also
        if not formats and not extras:
            raise FormatError("expected at least one format")
        contents: dict[Path, bytes] = {}
        for index, pair in enumerate(self):
            target = path if len(self) == 1 else path.with_name(f"{path.stem}-{index}{path.suffix}")
            check_files(target, formats, extras, pair.left.shape[2:], names)
            contents |= encode_files(target, formats, pair.eyes(), names) | pair._encode_extras(target, extras)
        return write_files(contents)

    def resize(self, height: int, width: int) -> "StereoPair":
        """The pair at another size; the disparity scales with the width."""
        disparity = self.disparity.resize(height, width)  # first: it refuses sizes below 1
        covered = functional.interpolate(self.occlusion.float(), (height, width), mode="area")
        return StereoPair(
            left=resize_image(self.left, height, width),
            right=resize_image(self.right, height, width),
            disparity=disparity,
            occlusion=covered >= 0.5,
            provenance=self.provenance,
        )

    def swapped(self) -> "StereoPair":
        """The eyes exchanged, for glasses or players that have them the wrong way round.

        Disparity and occlusion are those of the exchanged pair: near and far change places, so disparity is
        negative, and unknown where the new left eye sees what the new right does not.
        """
        seen = warp_disparity(self.disparity, to="right")
        back = warp_disparity(seen, to="left")
        return StereoPair(
            left=self.right,
            right=self.left,
            disparity=Disparity(pixels=-seen.pixels, known=seen.known),
            occlusion=~back.known,
            provenance=self.provenance,
        )

    def with_floating_window(self) -> "StereoPair":
        """The pair with black bars at its sides where the frame cuts what stands before the screen.

        See `stereodiffusion.formats.floating_window`. Their widths in pixels, left and right, are `floating_window` in
        the provenance. Disparity and occlusion stay.
        """
        self._check_single("a floating window")
        left, right = floating_window(self.left, self.right, self.disparity)
        provenance = {**self.provenance, "floating_window": list(window_bars(self.disparity))}
        return replace(self, left=left, right=right, provenance=provenance)

    def _encode_extras(self, path: Path, also: Collection[Extra]) -> dict[Path, bytes]:
        """The content of every file beside those of the formats."""
        contents: dict[Path, bytes] = {}
        for extra in also:
            for target in extra_files(path, extra):
                with encoding(target):
                    contents[target] = self._encode_extra(extra, target.suffix)
        return contents

    def _encode_extra(self, extra: Extra, suffix: str) -> bytes:
        match extra:
            case "disparity":
                return encode_map(self.disparity, suffix) if suffix == ".pfm" else self._coloured(suffix)
            case "disparity-kitti" | "disparity-exr":
                return encode_map(self.disparity, suffix)
            case "occlusion":
                return encode_image(self.occlusion.float().expand(-1, 3, -1, -1), suffix)
            case "left":
                return encode_image(self.left, suffix, {**self.provenance, "format": extra})
            case "right":
                return encode_image(self.right, suffix, {**self.provenance, "format": extra})

    def _coloured(self, suffix: str) -> bytes:
        return encode_image(visualise(self.disparity), suffix)

    def _check_single(self, what: str) -> None:
        if len(self) != 1:
            raise FormatError(f"{what} takes one pair, got a batch of {len(self)}: index it")
