"""Learned distances between pictures: LPIPS (Zhang et al. 2018) and its shift-tolerant kin (Ghildyal and Liu 2022).

Both compare the features of a network, channel by channel, by weights fitted to what people see. They are optional:

    lpips_alex, lpips_vgg, lpips_squeeze    extra `lpips`: torchmetrics brings the fitted weights of LPIPS 0.1; those
                                            of the network are fetched from download.pytorch.org at first use
    stlpips_alex, stlpips_vgg               extra `stlpips`: stlpips-pytorch brings all weights

The packages are read from, not imported. `lpips_squeeze` is the LPIPS of the StereoDiffusion paper, which its authors
took from torchmetrics.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stereodiffusion.errors import GeometryError, ModelUnavailableError
from stereodiffusion.metrics import trunks
from stereodiffusion.metrics.fetching import TORCHVISION, fetch_weights
from stereodiffusion.metrics.region import check_alike, named_regions, weighted_mean
from stereodiffusion.types import Image, Map, Region

PerceptualName: TypeAlias = Literal["lpips_alex", "lpips_vgg", "lpips_squeeze", "stlpips_alex", "stlpips_vgg"]

_Cells: TypeAlias = Float[Tensor, "b 1 _ _"]
"""A number per cell of a stage; the sizes of stages differ."""

_MEAN, _DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of ImageNet, for pictures in [-1, 1]
_SMALLEST = 32


class PerceptualMetric(nn.Module):
    """A learned distance: 0 for equal pictures, lower is better.

    Args:
        trunk: The network.
        calibration: For each of its stages the weights of its channels, each of shape (channels,).
    """

    def __init__(self, trunk: trunks.Trunk, calibration: list[Float[Tensor, " _"]]) -> None:
        super().__init__()
        self.trunk = trunk.eval().requires_grad_(False)
        self.calibration = nn.ParameterList(nn.Parameter(weights, requires_grad=False) for weights in calibration)

    def forward(self, generated: Image, truth: Image, region: Region | None = None) -> Float[Tensor, " b"]:
        """The distance of each picture of a batch, in [0, 1] or a little above.

        Args:
            generated: (b, 3, h, w), sRGB in [0, 1].
            truth: as `generated`.
            region: the pixels that count; a cell of features counts by the share of it that lies in the region,
                though it has seen more.

        Raises:
            GeometryError: If the sizes differ or a side is below 32.
        """
        check_alike(generated, truth, region)
        return self.over(self.maps(generated, truth), region)

    @torch.no_grad()
    def maps(self, generated: Image, truth: Image) -> list[_Cells]:
        """The distance of each cell of each stage."""
        if min(truth.shape[2:]) < _SMALLEST:
            raise GeometryError(
                f"a learned metric needs sides of at least {_SMALLEST} pixels, got {tuple(truth.shape[2:])}"
            )
        features = (self.trunk(_standardized(view)) for view in (generated, truth))
        return [
            ((_unit(a) - _unit(b)) ** 2 * weights.view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
            for a, b, weights in zip(*features, self.calibration, strict=True)
        ]

    def over(self, maps: list[_Cells], region: Region | None) -> Float[Tensor, " b"]:
        """The distance over a region of the pictures, from their `maps`; NaN where it is empty."""
        if region is None:
            return torch.stack([cells.mean(dim=(1, 2, 3)) for cells in maps]).sum(dim=0)
        weight = region.to(maps[0].dtype)
        distances = (weighted_mean(cells, _shrunk(weight, cells)).squeeze(1) for cells in maps)
        return torch.stack(list(distances)).sum(dim=0)


def evaluate_perceptual(
    metrics: Mapping[PerceptualName, PerceptualMetric],
    generated: Image,
    truth: Image,
    visible: Region | None = None,
    further: Mapping[str, Region] | None = None,
) -> dict[str, float]:
    """As `evaluate_images`, by learned metrics: each by its name, and over the same regions.

    Raises:
        GeometryError: If the sizes differ, there is more than one picture, or a side is below 32.
    """
    check_alike(generated, truth, visible)
    if len(generated) != 1:
        raise GeometryError(f"one picture at a time is evaluated, got {len(generated)}")
    regions = named_regions(visible, further)
    numbers: dict[str, float] = {}
    for name, metric in metrics.items():
        maps = metric.maps(generated, truth)
        numbers |= {f"{name}{suffix}": float(metric.over(maps, region)) for suffix, region in regions.items()}
    return numbers


def installed_perceptual() -> tuple[PerceptualName, ...]:
    """The metrics whose package is installed; loading LPIPS may still need the network."""
    return tuple(name for name in get_args(PerceptualName) if find_spec(_SOURCES[name].package) is not None)


def load_perceptual(name: PerceptualName) -> PerceptualMetric:
    """A learned metric with its weights.

    Raises:
        ModelUnavailableError: If its package is not installed, or weights cannot be fetched.
    """
    source = _SOURCES[name]
    fitted = torch.load(_fitted_weights(name), map_location="cpu", weights_only=True)
    trunk = source.trunk()
    if source.url is None:
        weights = [value for key, value in fitted.items() if key.startswith("net.") and not key.endswith(".filt")]
    else:
        weights = [value for key, value in fetch_weights(source.url).items() if key.startswith("features.")]
    trunks.fill(trunk, weights)
    return PerceptualMetric(trunk, [fitted[f"lin{i}.model.1.weight"].flatten() for i in range(len(trunk.stages))])


def check_perceptual(name: PerceptualName) -> None:
    """Refuse a metric whose package is not installed, before any work.

    Raises:
        ModelUnavailableError: If it is not.
    """
    _fitted_weights(name)


def _fitted_weights(name: PerceptualName) -> Path:
    source = _SOURCES[name]
    spec = find_spec(source.package)
    if spec is None or spec.origin is None:
        extra = name.split("_")[0]
        raise ModelUnavailableError(f"{name} needs its fitted weights: pip install 'stereodiffusion[{extra}]'")
    return Path(spec.origin).parent / source.file


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where a metric's weights are: in a file of a package, the network's own there as well unless there is a URL."""

    trunk: Callable[[], trunks.Trunk]
    package: str
    file: str
    url: str | None = None


_SOURCES: Mapping[PerceptualName, _Source] = MappingProxyType(
    {
        "lpips_alex": _Source(
            trunk=trunks.alexnet,
            package="torchmetrics",
            file="functional/image/lpips_models/alex.pth",
            url=TORCHVISION + "alexnet-owt-7be5be79.pth",
        ),
        "lpips_vgg": _Source(
            trunk=trunks.vgg16,
            package="torchmetrics",
            file="functional/image/lpips_models/vgg.pth",
            url=TORCHVISION + "vgg16-397923af.pth",
        ),
        "lpips_squeeze": _Source(
            trunk=trunks.squeezenet,
            package="torchmetrics",
            file="functional/image/lpips_models/squeeze.pth",
            url=TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
        ),
        "stlpips_alex": _Source(
            trunk=trunks.alexnet_shift_tolerant,
            package="stlpips_pytorch",
            file="weights/vST0.0/alex_shift_tolerant.pth",
        ),
        "stlpips_vgg": _Source(
            trunk=trunks.vgg16_shift_tolerant,
            package="stlpips_pytorch",
            file="weights/vST0.0/vgg_shift_tolerant.pth",
        ),
    }
)


def _standardized(image: Image) -> Image:
    mean, deviation = (image.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _DEVIATION))
    return (2 * image - 1 - mean) / deviation


def _shrunk(weight: Map, cells: _Cells) -> _Cells:
    """The mean weight within each cell."""
    return functional.adaptive_avg_pool2d(weight, (cells.shape[2], cells.shape[3]))


def _unit(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Of length 1 in each cell."""
    return features / (features.norm(dim=1, keepdim=True) + 1e-10)
