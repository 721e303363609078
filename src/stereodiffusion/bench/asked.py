"""What is asked of `bench run` and `bench speed`: the command line takes its options from these fields.

The names are spelled out, for the modules that own them import torch, and `--help` does not wait for it.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import Mode
from stereodiffusion.settings.options import option
from stereodiffusion.settings.presets import preset_names

DATASETS = ("middlebury", "kitti", "eth3d", "folder", "webdataset", "scenes", "auto")
PROTOCOLS = ("paper", "metric", "leak-free", "genstereo")
DISPARITIES = ("truth", "estimated")
PERCEPTUAL = ("lpips_alex", "lpips_vgg", "lpips_squeeze", "stlpips_alex", "stlpips_vgg")
PAIRWISE = ("met3r", "isqoe")
MATCHERS = ("sgbm", "raft_large", "raft_small")

MODELS = ("toybox", "sd1")
MODES: tuple[Mode, ...] = ("text", "depth", "photo")
CELLS_PX = 64
"""Sides of random networks' pictures are multiples of it."""

_WHAT, _METHOD, _RUNNING = "What is run", "Method", "Running"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What `bench run` is to compute, before anything is looked up.

    Attributes:
        dataset: Which data set.
        data: The folder where it lies; None where scenes are drawn.
        output: The folder of results.
        methods: Names of methods and of groups of them.
        protocols: How pictures are prepared.
        disparities: Where disparity comes from.
        edge: Of the centre square in pixels, or `native`.
        count: How many scenes; None is all.
        first: Seed of the first procedural scene.
        perceptual: Learned metrics to measure with besides.
        pairwise: Learned judgements of the pair to make besides.
        matcher: What measures disparity.
        model: The diffusion model.
        steps: DDIM steps; None takes each method's own.
        max_disparity: Of the nearest point under the paper protocol, a fraction of the width.
        depth_estimator: None is the one that suits the model.
        seed: Of all random numbers.
        workers: How many processes.
    """

    dataset: str = option(MISSING, metavar="DATASET", help=f"One of {', '.join(DATASETS)}.")
    data: Path | None = option(None, metavar="DATA", help="The folder where it lies; `scenes` are drawn.")
    output: Path = option(
        Path("results"), "--output", "-o", metavar="FOLDER", help="Results; a run that was broken off goes on there."
    )
    methods: tuple[str, ...] = option(
        ("classical",),
        "--methods",
        metavar="NAMES",
        panel=_WHAT,
        help="Methods, or all, classical (those without a model), table1, table2, figure3, figure8, steps; repeat it "
        "or list several with commas.",
    )
    protocols: tuple[str, ...] = option(
        ("metric",), "--protocol", metavar="NAMES", panel=_WHAT, help=f"{', '.join(PROTOCOLS)}."
    )
    disparities: tuple[str, ...] = option(
        ("truth",),
        "--disparity",
        metavar="NAMES",
        panel=_WHAT,
        help=f"{', '.join(DISPARITIES)}; leak-free has the estimated one alone.",
    )
    edge: str = option(
        "512",
        "--size",
        metavar="N",
        panel=_WHAT,
        help="Edge of the centre square in pixels; native: pictures as they are.",
    )
    count: int | None = option(
        None, "--count", metavar="N", panel=_WHAT, default_help="all", help="The first N scenes alone."
    )
    first: int = option(0, "--first", metavar="SEED", panel=_WHAT, help="Of `scenes`: the seed of the first.")
    perceptual: tuple[str, ...] = option(
        (),
        "--perceptual",
        metavar="NAMES",
        panel=_WHAT,
        default_help="none",
        help=f"Learned metrics besides, of the extras lpips and stlpips: {', '.join(PERCEPTUAL)}.",
    )
    pairwise: tuple[str, ...] = option(
        (),
        "--pairwise",
        metavar="NAMES",
        panel=_WHAT,
        default_help="none",
        help=f"Learned judgements of the pair besides, by networks of your own: {', '.join(PAIRWISE)}.",
    )
    matcher: str = option(
        "sgbm",
        "--matcher",
        metavar="NAME",
        panel=_WHAT,
        help=f"What measures disparity on the pairs: {', '.join(MATCHERS)}. A network, of the extra raft, does so "
        "besides SGBM; its numbers carry its name.",
    )
    model: str = option(
        "toybox",
        "--model",
        "-m",
        metavar="NAME",
        panel=_METHOD,
        help="A name of `stereodiffusion models`, a repository of the hub, a folder or a .safetensors file.",
    )
    steps: int | None = option(
        None,
        "--steps",
        metavar="N",
        panel=_METHOD,
        default_help="the preset's",
        help="Denoising steps, at least 2.",
    )
    max_disparity: float = option(
        0.08,
        "--max-disparity",
        metavar="S",
        panel=_METHOD,
        help="Parallax of the nearest point under the paper protocol, a fraction of the width.",
    )
    depth_estimator: str | None = option(
        None,
        "--depth-estimator",
        metavar="NAME",
        panel=_METHOD,
        default_help="the one that suits the model",
        help="What estimates depth: a name, a repository or a folder.",
    )
    seed: int = option(0, "--seed", metavar="N", panel=_METHOD, help="Same command, same seed: same picture.")
    workers: int = option(1, "--workers", metavar="N", panel=_RUNNING, help="How many processes.")

    def __post_init__(self) -> None:
        _check_least("workers", self.workers, 1)
        if self.matcher not in MATCHERS:
            raise ConfigError(f"matcher must be one of {', '.join(MATCHERS)}, got {self.matcher!r}")
        if self.edge != "native" and not self.edge.isdecimal():
            raise ConfigError(f"edge must be a number of pixels or native, got {self.edge!r}")
        _check_names("protocols", self.protocols, PROTOCOLS)
        _check_names("disparities", self.disparities, DISPARITIES)
        _check_names("perceptual", self.perceptual, PERCEPTUAL)
        _check_names("pairwise", self.pairwise, PAIRWISE)

    @property
    def edge_px(self) -> int | None:
        """Edge of the centre square; None for pictures as they are."""
        return None if self.edge == "native" else int(self.edge)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRequest:
    """What `bench speed` is to measure.

    Attributes:
        output: The folder of the report.
        models: Whose networks.
        modes: What is made.
        presets: With which settings.
        stretch: Steps that are run of each; None is all.
        rounds: How often everything is measured.
        edge: Of the pictures of networks with random weights, in pixels; None is the published one's.
        threads: Of the processor; None leaves it to torch.
    """

    output: Path = option(
        Path("results"), "--output", "-o", metavar="FOLDER", help="Where speed.json and speed.md are written."
    )
    models: tuple[str, ...] = option(
        MODELS,
        "--model",
        "-m",
        metavar="NAMES",
        help="toybox, and sd1: networks of Stable Diffusion's size with random weights, nothing is downloaded.",
    )
    modes: tuple[str, ...] = option(MODES, "--mode", metavar="NAMES", help=f"{', '.join(MODES)}; several with commas.")
    presets: tuple[str, ...] = option(
        ("paper", "fast", "best"),
        "--preset",
        metavar="NAMES",
        help=f"{', '.join(preset_names())}; several with commas.",
    )
    stretch: int | None = option(
        None,
        "--stretch",
        metavar="N",
        default_help="all",
        help="Run N steps of each and extrapolate; at Stable Diffusion's size `paper` takes hours otherwise.",
    )
    rounds: int = option(
        1, "--rounds", metavar="N", help="Measure everything N times, in turns; of each line the fastest counts."
    )
    edge: int | None = option(
        None,
        "--size",
        metavar="N",
        default_help="512",
        help=f"Edge of the pictures of sd1 in pixels, a multiple of {CELLS_PX}.",
    )
    threads: int | None = option(
        None, "--threads", metavar="N", default_help="torch's own", help="Threads of the processor."
    )

    def __post_init__(self) -> None:
        _check_names("models", self.models, MODELS)
        _check_names("modes", self.modes, MODES)
        _check_names("presets", self.presets, preset_names())
        _check_least("stretch", self.stretch, 2)
        _check_least("rounds", self.rounds, 1)
        _check_least("threads", self.threads, 1)
        if self.edge is not None and (self.edge < CELLS_PX or self.edge % CELLS_PX):
            raise ConfigError(f"edge must be a multiple of {CELLS_PX} pixels, got {self.edge}")


def _check_names(field: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{field} must be one or several of {', '.join(known)}, got {name!r}")


def _check_least(field: str, given: int | None, least: int) -> None:
    if given is not None and given < least:
        raise ConfigError(f"{field} must be at least {least}, got {given}")
