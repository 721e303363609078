"""Protocols: from a scene of a data set to what all methods are given and what they are measured against.

Common to all. Unknown cells of the truth are filled first: sparse truth is made dense (`datasets.densify`), gaps take
the farther of their neighbours on the row. So all methods are given the same map, which is known everywhere. Then the
centre square is cut out of both eyes at the same columns and brought to the working size: pictures bicubic, disparity
by its nearest cell with its values scaled. Or nothing is cut and resized (`size` None). Metrics compare the whole right
view, borders included. *Visible* are the pixels of the right view that a pixel of the left view lands on when the true
map is rounded to whole pixels, or what the data set itself says; the rest is *occluded*: hidden behind nearer things,
beyond the left view's frame, or a crack of a column on a slanted surface. The protocols differ in the disparity:

    paper       its range stretched to [0, s], s one fraction of the width for a whole data set: the true parallax is
                lost, and every right view is misregistered against the photographed one
    metric      true pixels. An estimate, which has no unit, gets the two numbers that fit it to the truth best (least
                squares in scale and offset)
    leak-free   estimated, stretched to [0, s], s the one number per scene with which a plain warp gives the pair whose
                SGBM disparity is closest to the real pair's (see `scale`): no true geometry comes in
    genstereo   true pixels, or an estimate fitted to them, as under `metric`; another size, and other PSNR and SSIM
                (`metrics.genstereo`): the whole picture is brought to 768 x 768 whatever its shape, of what is more
                than twice as wide as high (KITTI) the centre square; bilinear with a low pass, in 8 bits

Why the nearest cell: that is how independent reference numbers were made, which this benchmark agrees with (see
docs/benchmark.md). `Disparity.resize` keeps surfaces better: on Middlebury the visible pixels gain 0.3 dB by it, and
stretched holes lose as much, because they start from pixels that are mixed of two surfaces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from stereodiffusion.baselines.blank import warp
from stereodiffusion.bench.regions import further_regions
from stereodiffusion.bench.results import DisparitySource, Protocol
from stereodiffusion.bench.scale import fitted, parallax_by_sgbm
from stereodiffusion.datasets import StereoSample
from stereodiffusion.datasets.densify import densify
from stereodiffusion.errors import ConfigError, DatasetError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics import GENSTEREO_SIZE
from stereodiffusion.types import Image, Map, Region

_SPARSE = 0.5  # share of known cells; laser scanners reach 0.3, what was measured with structured light 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseKind:
    """A protocol, and where the disparity comes from."""

    protocol: Protocol
    disparity: DisparitySource

    def __str__(self) -> str:
        return f"{self.protocol} protocol, {'true' if self.disparity == 'truth' else 'estimated'} disparity"


def case_kinds(protocols: Sequence[Protocol], disparities: Sequence[DisparitySource]) -> tuple[CaseKind, ...]:
    """Every protocol with every disparity; `leak-free` has the estimated one alone, whatever is asked for."""
    kinds = (
        CaseKind(protocol=protocol, disparity="estimated" if protocol == "leak-free" else disparity)
        for protocol in protocols
        for disparity in disparities
    )
    return tuple(dict.fromkeys(kinds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What may be chosen about the preparation.

    Attributes:
        size: Edge of the centre square in pixels; None leaves the pictures as they are.
        max_disparity: Parallax of the nearest point under `paper`, as a fraction of the width. The paper does not say
            which it had for each data set; its authors' code has 0.08 for all.
        estimator: What estimates disparity.
    """

    size: int | None = 512
    max_disparity: float = 0.08
    estimator: str = "toybox-depth"

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 8:
            raise ConfigError(f"the size must be at least 8 pixels, got {self.size}")
        if not 0 <= self.max_disparity <= 0.5:
            raise ConfigError(f"max_disparity must be a fraction of the width in [0, 0.5], got {self.max_disparity}")

    @property
    def size_name(self) -> str:
        """The size as it stands in settings and file names."""
        return "native" if self.size is None else str(self.size)

    def settings(self, kind: CaseKind) -> dict[str, object]:
        """What a case depends on, as JSON values."""
        settings: dict[str, object] = {"size": str(GENSTEREO_SIZE) if kind.protocol == "genstereo" else self.size_name}
        if kind.protocol == "paper":
            settings["max_disparity"] = self.max_disparity
        if kind.disparity == "estimated":
            settings["estimator"] = self.estimator
        return settings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """What all methods are given, and what they are measured against; pictures are (1, 3, h, w) in [0, 1].

    Attributes:
        left: The left view.
        right: The right view as it was photographed or rendered.
        disparity: What the methods are given: pixels of the left view, known everywhere.
        visible: Pixels of the true right view that the left eye sees as well.
        further: More regions of the true right view, see `regions`.
    """

    left: Image
    right: Image
    disparity: Disparity
    visible: Region
    further: Mapping[str, Region]

    @property
    def facts(self) -> dict[str, float]:
        """Numbers about the case, for its rows."""
        return {
            "height": float(self.left.shape[2]),
            "width": float(self.left.shape[3]),
            "visible": float(self.visible.float().mean()),
            "nearest_px": float(self.disparity.pixels.max()),
            "farthest_px": float(self.disparity.pixels.min()),
        }


def prepare(sample: StereoSample, kind: CaseKind, preparation: Preparation, estimate: Callable[[Image], Map]) -> Case:
    """A scene as a protocol has it.

    Args:
        sample: The scene.
        kind: The protocol, and where the disparity comes from.
        preparation: The choices there are.
        estimate: Relative inverse depth of a picture, near is large; called for estimated disparity only.

    Raises:
        DatasetError: If the scene has no true disparity and the protocol needs it.
    """
    cut = AsGenStereo(*sample.left.shape[2:]) if kind.protocol == "genstereo" else Square(preparation.size)
    left, right = cut.picture(sample.left), cut.picture(sample.right)
    truth = None if sample.disparity is None else cut.disparity(_dense(sample.disparity, sample.left))
    measured = None if sample.disparity is None else cut.disparity(sample.disparity)

    if kind.protocol == "leak-free":
        relief = estimate(left)
        disparity = Disparity.from_relative(relief, parallax_by_sgbm(left, right, relief))
    elif kind.protocol == "paper" and kind.disparity == "estimated":
        disparity = Disparity.from_relative(estimate(left), preparation.max_disparity * left.shape[3])
    elif truth is None or measured is None:
        raise DatasetError(f"{sample.name}: no true disparity, which the {kind.protocol} protocol needs")
    elif kind.protocol == "paper":
        disparity = Disparity.from_relative(truth.pixels, preparation.max_disparity * left.shape[3])
    else:
        disparity = truth if kind.disparity == "truth" else fitted(estimate(left), measured)

    if sample.occlusion is not None:
        visible = ~cut.region(sample.occlusion)
    else:
        visible = warp(left, disparity if truth is None else truth).visible
    further = further_regions(left, truth, ~visible)
    return Case(left=left, right=right, disparity=disparity, visible=visible, further=further)


def _dense(disparity: Disparity, picture: Image) -> Disparity:
    """Known everywhere: sparse maps with the edges of the picture, gaps in dense ones from behind."""
    sparse = float(disparity.known.float().mean()) < _SPARSE
    return densify(disparity, picture) if sparse else disparity.filled()


def _square(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the centre square."""
    edge = min(height, width)
    return (height - edge) // 2, (width - edge) // 2, edge, edge


def _square_of(picture: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c n n"]:
    top, left, height, width = _square(*picture.shape[2:])
    return picture[..., top : top + height, left : left + width].contiguous()


@dataclass(frozen=True, slots=True)
class Square:
    """The centre square at the working size; or, without one, all as it is."""

    size: int | None

    def picture(self, picture: Image) -> Float[Tensor, "1 3 h2 w2"]:
        """A view."""
        if self.size is None:
            return picture
        square = _square_of(picture)
        return square if square.shape[2] == self.size else resize_image(square, self.size, self.size)

    def region(self, region: Region) -> Bool[Tensor, "1 1 h2 w2"]:
        """What lies in a region by half."""
        return region if self.size is None else _region_at(_square_of(region.float()), self.size)

    def disparity(self, disparity: Disparity) -> Disparity:
        """A map, by its nearest cells; values scale with the width."""
        if self.size is None:
            return disparity
        return _nearest(disparity.crop(*_square(*disparity.size)), self.size)


@dataclass(frozen=True, slots=True)
class AsGenStereo:
    """The whole picture as a square of 768 x 768; the centre square of what is more than twice as wide as high."""

    height: int
    width: int

    @property
    def _whole(self) -> bool:
        return self.width <= 2 * self.height

    def picture(self, picture: Image) -> Float[Tensor, "1 3 n n"]:
        """A view."""
        square = picture if self._whole else _square_of(picture)
        small = functional.interpolate(square, (GENSTEREO_SIZE, GENSTEREO_SIZE), mode="bilinear", antialias=True)
        return (small.clamp(0, 1) * 255).round() / 255

    def region(self, region: Region) -> Bool[Tensor, "1 1 n n"]:
        """What lies in a region by half."""
        return _region_at(region.float() if self._whole else _square_of(region.float()), GENSTEREO_SIZE)

    def disparity(self, disparity: Disparity) -> Disparity:
        """A map, by its nearest cells; values scale with the width."""
        square = disparity if self._whole else disparity.crop(*_square(*disparity.size))
        return _nearest(square, GENSTEREO_SIZE)


def _region_at(region: Float[Tensor, "1 1 h w"], size: int) -> Bool[Tensor, "1 1 {size} {size}"]:
    """What lies in the region by half, at another size."""
    return functional.interpolate(region, (size, size), mode="area") >= 0.5


def _nearest(disparity: Disparity, size: int) -> Disparity:
    """A map as a square, by its nearest cells."""
    # Cell i takes the source cell floor(i n / size), as OpenCV's nearest neighbour does: see the module.
    row, column = (torch.arange(size) * edge // size for edge in disparity.size)
    at = (..., row[:, None], column)
    return Disparity(pixels=disparity.pixels[at] * (size / disparity.width), known=disparity.known[at])
