"""The numbers of the paper, and of others under the protocols of theirs, to stand beside ours.

Wang et al., StereoDiffusion, CVPRW 2024, Tables 1 to 3. Pictures of 512 x 512; LPIPS with SqueezeNet; the small numbers
are the distances of the best and the worst scene from the mean. Which scale the disparity had for each data set, and
which disparity the baselines were given, is not said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from stereodiffusion.bench.results import DisparitySource, Protocol

Mode: TypeAlias = Literal["text", "depth", "photo"]

_METRICS = ("psnr", "ssim", "lpips_squeeze")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A number over several scenes.

    Attributes:
        mean: Over the scenes.
        best: What has to be added to get the best scene: negative where less is better.
        worst: The same for the worst scene.
    """

    mean: float
    best: float | None = None
    worst: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """A row of a published table.

    Attributes:
        label: What the row is called there; "Ours" is called by its name.
        method: Our name of the method, None if we do not have it.
        disparity: Which disparity it was given; None if that is not said.
        scores: Per data set and metric.
    """

    label: str
    method: str | None
    disparity: DisparitySource | None
    scores: Mapping[str, Mapping[str, Score]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTime:
    """A row of Table 3: seconds for a pair on an RTX 3090.

    Attributes:
        label: What the row is called there.
        method: Our name of the method.
        seconds: From a text, a depth map and a photo, all in all.
        without_left: The same without the time for the left view, or for inverting the photo.
    """

    label: str
    method: str
    seconds: Mapping[Mode, float]
    without_left: Mapping[Mode, float]


def _scores(*numbers: float) -> dict[str, Score]:
    """Three metrics, each a mean, the best and the worst."""
    threes = (numbers[start : start + 3] for start in range(0, 9, 3))
    return {name: Score(mean=m, best=b, worst=w) for name, (m, b, w) in zip(_METRICS, threes, strict=True)}


def _row(
    label: str,
    method: str,
    disparity: DisparitySource | None,
    middlebury: tuple[float, ...],
    kitti: tuple[float, ...],
) -> PublishedRow:
    scores = {"middlebury": _scores(*middlebury), "kitti": _scores(*kitti)}
    return PublishedRow(label=label, method=method, disparity=disparity, scores=scores)


# fmt: off
TABLE_1 = (
    _row("Leave blank", "blank", None,
         (11.328, 2.483, -3.489, 0.315, 0.230, -0.154, 0.450, -0.089, 0.097),
         (12.980, 4.919, -3.831, 0.374, 0.286, -0.251, 0.313, -0.109, 0.222)),
    _row("Stretch", "stretch", None,
         (14.842, 2.714, -2.753, 0.432, 0.265, -0.190, 0.285, -0.089, 0.112),
         (14.757, 5.375, -4.694, 0.429, 0.287, -0.271, 0.212, -0.100, 0.145)),
    _row("3D Photography", "photography-3d", None,
         (14.190, 2.464, -2.798, 0.427, 0.238, -0.175, 0.275, -0.065, 0.073),
         (14.540, 7.256, -4.023, 0.398, 0.270, -0.323, 0.210, -0.073, 0.099)),
    _row("RePaint", "repaint", None,
         (15.102, 2.909, -2.802, 0.462, 0.253, -0.184, 0.311, -0.079, 0.090),
         (15.056, 5.366, -4.897, 0.462, 0.268, -0.285, 0.251, -0.095, 0.128)),
    _row("StereoDiffusion, GT disparity", "sd-paper", "truth",
         (15.456, 2.669, -3.313, 0.468, 0.252, -0.205, 0.231, -0.088, 0.096),
         (15.679, 5.888, -5.487, 0.481, 0.245, -0.310, 0.205, -0.099, 0.135)),
    _row("StereoDiffusion, pseudo disparity", "sd-paper", "estimated",
         (16.980, 4.737, -3.818, 0.551, 0.208, -0.166, 0.173, -0.069, 0.074),
         (15.589, 8.061, -5.016, 0.479, 0.241, -0.300, 0.209, -0.116, 0.114)),
)
"""Quantitative evaluation."""

TABLE_2 = (
    _row("none", "sd-paper-none", "estimated",
         (16.352, 2.330, -2.139, 0.514, 0.241, -0.169, 0.378, -0.149, 0.181),
         (15.286, 5.389, -4.622, 0.476, 0.229, -0.346, 0.364, -0.206, 0.265)),
    _row("SPSMD", "sd-paper-spsmd", "estimated",
         (17.076, 4.450, -3.652, 0.549, 0.190, -0.174, 0.191, -0.073, 0.082),
         (15.305, 6.013, -4.772, 0.474, 0.228, -0.303, 0.230, -0.115, 0.114)),
    _row("attention", "sd-paper-attention", "estimated",
         (15.421, 2.849, -3.657, 0.478, 0.245, -0.199, 0.255, -0.123, 0.116),
         (15.868, 7.775, -5.068, 0.483, 0.240, -0.301, 0.212, -0.113, 0.114)),
    _row("attention + SPSMD", "sd-paper", "truth",
         (15.456, 2.669, -3.313, 0.468, 0.252, -0.205, 0.231, -0.088, 0.096),
         (15.679, 5.888, -5.486, 0.481, 0.245, -0.310, 0.205, -0.099, 0.135)),
    _row("attention + SPSMD + deblur", "sd-paper-attention-spsmd-deblur", "truth",
         (15.149, 2.769, -3.174, 0.444, 0.263, -0.231, 0.234, -0.097, 0.117),
         (15.360, 5.787, -5.332, 0.461, 0.250, -0.306, 0.200, -0.092, 0.127)),
    _row("attention + SPSMD + deblur", "sd-paper-attention-spsmd-deblur", "estimated",
         (16.753, 4.815, -3.783, 0.540, 0.197, -0.169, 0.174, -0.071, 0.066),
         (15.269, 7.923, -5.053, 0.458, 0.261, -0.295, 0.204, -0.111, 0.106)),
    _row("attention + SPSMD", "sd-paper", "estimated",
         (16.980, 4.737, -3.818, 0.551, 0.208, -0.166, 0.173, -0.069, 0.074),
         (15.589, 8.061, -5.016, 0.479, 0.241, -0.300, 0.209, -0.116, 0.114)),
)
"""Ablation, as printed: Table 1 has -5.487 where this one has -5.486."""

TABLE_3 = (
    PublishedTime(
        label="3D Photography", method="photography-3d",
        seconds={"text": 245, "depth": 247, "photo": 231},
        without_left={"text": 231, "depth": 231, "photo": 231},
    ),
    PublishedTime(
        label="RePaint", method="repaint",
        seconds={"text": 338, "depth": 340, "photo": 324},
        without_left={"text": 324, "depth": 324, "photo": 324},
    ),
    PublishedTime(
        label="StereoDiffusion", method="sd-paper",
        seconds={"text": 32, "depth": 18, "photo": 40},
        without_left={"text": 18, "depth": 18, "photo": 17},
    ),
)
"""Seconds on an RTX 3090."""
# fmt: on


def _leak_free(label: str, method: str | None, psnr: float, ssim: float) -> PublishedRow:
    scores: dict[str, Score] = {"psnr": Score(mean=psnr), "ssim": Score(mean=ssim)}
    return PublishedRow(label=label, method=method, disparity="estimated", scores={"middlebury": scores})


LEAK_FREE = (
    _leak_free("StereoDiffusion", "sd-paper", 17.06, 0.525),
    _leak_free("ZeroStereo", None, 17.48, 0.537),
    _leak_free("GenStereo", None, 18.54, 0.599),
    _leak_free("Lyra", None, 18.06, 0.579),
    _leak_free("StereoSpace", None, 17.04, 0.541),
)
"""Middlebury 2014 under the leak-free protocol, as measured by the authors of StereoSpace (arXiv 2512.10959). Their
LPIPS is left out: with which network it was computed is not said."""


def _genstereo(psnr_ssim: Mapping[str, tuple[float, float]]) -> PublishedRow:
    scores = {data: {"psnr": Score(mean=p), "ssim": Score(mean=s)} for data, (p, s) in psnr_ssim.items()}
    return PublishedRow(label="GenStereo", method=None, disparity="estimated", scores=scores)


GENSTEREO = (_genstereo({"middlebury": (25.142, 0.911), "kitti": (23.488, 0.849)}),)
"""GenStereo (arXiv 2503.12720) by its own protocol, with estimated disparity: the 23 scenes of 2014, KITTI 2015."""


def published_rows(table: int, protocol: Protocol) -> tuple[PublishedRow, ...]:
    """What others published of one of our tables under a protocol."""
    match table, protocol:
        case 1, "paper":
            return TABLE_1
        case 2, "paper":
            return TABLE_2
        case 1, "leak-free":
            return LEAK_FREE
        case 1, "genstereo":
            return GENSTEREO
        case _:
            return ()
