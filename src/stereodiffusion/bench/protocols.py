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

Why the nearest cell: that is how independent reference numbers were made, which this benchmark agrees with (see
docs/benchmark.md). `Disparity.resize` keeps surfaces better: on Middlebury the visible pixels gain 0.3 dB by it, and
stretched holes lose as much, because they start from pixels that are mixed of two surfaces.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from stereodiffusion.baselines.blank import warp
from stereodiffusion.bench.results import DisparitySource, Protocol
from stereodiffusion.bench.scale import fitted, parallax_by_sgbm
from stereodiffusion.datasets import StereoSample
from stereodiffusion.datasets.densify import densify
from stereodiffusion.errors import ConfigError, DatasetError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
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
        settings: dict[str, object] = {"size": self.size_name}
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
    """

    left: Image
    right: Image
    disparity: Disparity
    visible: Region

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
    size = preparation.size
    left, right = _cut(sample.left, size), _cut(sample.right, size)
    truth = None if sample.disparity is None else _cut_map(_dense(sample.disparity, sample.left), size)
    measured = None if sample.disparity is None else _cut_map(sample.disparity, size)

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
        visible = ~_cut_region(sample.occlusion, size)
    else:
        visible = warp(left, disparity if truth is None else truth).visible
    return Case(left=left, right=right, disparity=disparity, visible=visible)


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


def _cut(picture: Image, size: int | None) -> Float[Tensor, "1 3 h2 w2"]:
    if size is None:
        return picture
    square = _square_of(picture)
    return square if square.shape[2] == size else resize_image(square, size, size)


def _cut_region(region: Region, size: int | None) -> Bool[Tensor, "1 1 h2 w2"]:
    if size is None:
        return region
    return functional.interpolate(_square_of(region.float()), (size, size), mode="area") >= 0.5


def _cut_map(disparity: Disparity, size: int | None) -> Disparity:
    if size is None:
        return disparity
    square = disparity.crop(*_square(*disparity.size))
    # Cell i takes the source cell floor(i n / size), as OpenCV's nearest neighbour does: see the module.
    source = torch.arange(size) * square.width // size
    at = (..., source[:, None], source)
    return Disparity(pixels=square.pixels[at] * (size / square.width), known=square.known[at])
