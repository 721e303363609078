"""Disparity measured by a network: the horizontal part of the optical flow between the eyes, by RAFT (Teed, Deng 2020).

The network is torchvision's, extra `raft`; its weights are fetched from download.pytorch.org at first use.

    raft_large    trained on FlyingChairs, FlyingThings, Sintel, KITTI and HD1K: on KITTI it has seen the scenes
    raft_small    a fifth of the parameters, trained on FlyingChairs and FlyingThings alone

Nothing was trained on generated pictures, and a network guesses where nothing matches: what both eyes' measurements
agree on is what counts (`MatchedPair.consistent`), as for semi-global matching.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stereodiffusion.errors import ModelUnavailableError
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics.fetching import TORCHVISION, fetch_weights
from stereodiffusion.metrics.matching import Matcher, SemiGlobalMatcher
from stereodiffusion.metrics.region import check_alike
from stereodiffusion.types import Image

MatcherName: TypeAlias = Literal["sgbm", "raft_large", "raft_small"]

_STRIDE = 8  # of RAFT's features
_SMALLEST = 16 * _STRIDE  # its pyramid halves them three times, and looks around the last one

_WEIGHTS: Mapping[MatcherName, str] = MappingProxyType(
    {"raft_large": "raft_large_C_T_SKHT_V2-ff5fadd5.pth", "raft_small": "raft_small_C_T_V2-01064c6d.pth"}
)


@runtime_checkable
class FlowNetwork(Protocol):
    """What torchvision's RAFT is: two views in [-1, 1] in, finer and finer flows from the first to the second out."""

    def __call__(self, first: Image, second: Image) -> Sequence[Float[Tensor, "b 2 h w"]]:
        """Each flow is (x, y) in pixels: what is at x in the first view is at x + flow in the second."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowMatcher:
    """A `Matcher` by a network of optical flow.

    The views are continued by their border to sides that the network takes: multiples of 8, at least 128.

    Attributes:
        network: What measures.
        device: Where it is; disparities come back to where the views are.
    """

    network: FlowNetwork
    device: str = "cpu"

    @torch.no_grad()
    def __call__(self, left: Image, right: Image) -> Disparity:
        """See `Matcher`; a network answers everywhere, so every cell is known."""
        check_alike(left, right)
        height, width = left.shape[2:]
        first, second = (2 * _continued(view.float()).to(self.device) - 1 for view in (left, right))
        flow = self.network(first, second)[-1][:, :1, :height, :width].to(left.device)
        return Disparity(pixels=-flow, known=torch.ones_like(flow, dtype=torch.bool))


def load_matcher(name: MatcherName, *, device: str = "cpu") -> Matcher:
    """What measures disparity, by name.

    Raises:
        ModelUnavailableError: If torchvision is not installed or does not fit, or weights cannot be fetched.
    """
    if name == "sgbm":
        return SemiGlobalMatcher()
    if find_spec("torchvision") is None:
        raise ModelUnavailableError(f"{name} needs its network: pip install 'stereodiffusion[raft]'")
    try:
        network = cast(nn.Module, getattr(import_module("torchvision.models.optical_flow"), name)())
    except (ImportError, RuntimeError) as broken:  # RuntimeError: its operators do not load
        raise ModelUnavailableError(
            f"{name} needs a torchvision that is built for torch {torch.__version__}: {broken}"
        ) from broken
    network.load_state_dict(fetch_weights(TORCHVISION + _WEIGHTS[name]))
    return FlowMatcher(network=network.eval().requires_grad_(False).to(device), device=device)


def _continued(view: Image) -> Float[Tensor, "b 3 _ _"]:
    """The view with its last column and row repeated."""
    down, across = (max(-size % _STRIDE, _SMALLEST - size) for size in view.shape[2:])
    return functional.pad(view, (0, across, 0, down), mode="replicate")
