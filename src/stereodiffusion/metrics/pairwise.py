"""Learned judgements of a pair, without a true right view: MEt3R and iSQoE. Neither comes with this package.

met3r    inconsistency of the two views (Asim et al., CVPR 2025): features of one, moved to the other by the points
         that MASt3R finds in both, against the other's own; 0 is best. Package `met3r`, from
         https://github.com/mohammadasim98/met3r; it fetches its own weights
isqoe    stereoscopic quality of experience (Tamir et al. 2025, arXiv 2412.21127), https://github.com/apple/ml-isqoe.
         It is no package: its network is read as `torch.export.save` writes it, (left, right) in and a number per
         pair out, from `isqoe.pt2` in PyTorch's folder of checkpoints
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from stereodiffusion.errors import GeometryError, ModelUnavailableError, first_line
from stereodiffusion.metrics.region import check_alike
from stereodiffusion.types import Image

PairwiseName: TypeAlias = Literal["met3r", "isqoe"]

_MET3R_EDGE = 256  # its default, at which its numbers are published
_MET3R = {
    "img_size": _MET3R_EDGE,
    "use_norm": True,
    "backbone": "mast3r",
    "feature_backbone": "dino16",
    "feature_backbone_weights": "mhamilton723/FeatUp",
    "upsampler": "featup",
    "distance": "cosine",
    "freeze": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseMetric:
    """A judgement of pairs.

    Attributes:
        judge: From the two views, (b, 3, h, w) in [0, 1], to a number per pair.
    """

    judge: Callable[[Image, Image], Float[Tensor, " b"]]

    @torch.no_grad()
    def __call__(self, left: Image, right: Image) -> Float[Tensor, " b"]:
        """A number for each pair.

        Raises:
            GeometryError: If the sizes differ.
        """
        check_alike(left, right)
        return self.judge(left, right).detach().cpu().double().reshape(len(left))


def evaluate_pairwise(
    metrics: Mapping[PairwiseName, PairwiseMetric], left: Image, generated: Image
) -> dict[str, float]:
    """Each judgement of one pair, by name.

    Raises:
        GeometryError: If the sizes differ or there is more than one picture.
    """
    check_alike(left, generated)
    if len(generated) != 1:
        raise GeometryError(f"one picture at a time is evaluated, got {len(generated)}")
    return {name: float(metric(left, generated)) for name, metric in metrics.items()}


def check_pairwise(name: PairwiseName) -> None:
    """Refuse a judgement whose package or network is not there, before any work.

    Raises:
        ModelUnavailableError: If it is not there.
    """
    if name == "met3r" and find_spec("met3r") is None:
        raise ModelUnavailableError(
            "met3r needs its package, which is not on PyPI: pip install git+https://github.com/mohammadasim98/met3r"
        )
    if name == "isqoe" and not _isqoe_file().is_file():
        raise ModelUnavailableError(
            "isqoe needs the network of https://github.com/apple/ml-isqoe, (left, right) -> score, as "
            f"torch.export.save writes it: expected it at {_isqoe_file()}"
        )


def load_pairwise(name: PairwiseName, *, device: str = "cpu") -> PairwiseMetric:
    """A judgement of pairs, by name.

    Raises:
        ModelUnavailableError: If its package or its network is not there, or does not load.
    """
    check_pairwise(name)
    return PairwiseMetric(judge=_met3r(device) if name == "met3r" else _isqoe(device))


def _met3r(device: str) -> Callable[[Image, Image], Tensor]:
    try:
        network: Any = import_module("met3r").MEt3R(**_MET3R).to(device)
    except Exception as broken:  # pytorch3d, FeatUp and MASt3R, each with its own failures
        raise ModelUnavailableError(f"met3r does not load: {first_line(broken)}") from broken

    def judge(left: Image, right: Image) -> Tensor:
        views = torch.stack([left, right], dim=1).float().flatten(0, 1)
        small = interpolate(views, (_MET3R_EDGE, _MET3R_EDGE), mode="bilinear", antialias=True)
        score, *_ = network(images=2 * small.unflatten(0, (-1, 2)).to(device) - 1)
        return score

    return judge


def _isqoe_file() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / "isqoe.pt2"


def _isqoe(device: str) -> Callable[[Image, Image], Tensor]:
    file = _isqoe_file()
    try:
        network = torch.export.load(file).module().to(device)
    except Exception as broken:  # a damaged archive fails in many ways
        raise ModelUnavailableError(f"{file} is no exported network: {first_line(broken)}") from broken
    return lambda left, right: network(left.to(device), right.to(device))
