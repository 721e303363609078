"""What a run is to compute: scenes times protocols times methods."""

from collections.abc import Iterator
from dataclasses import dataclass

from stereodiffusion.bench.protocols import CaseKind, Preparation
from stereodiffusion.bench.regions import FURTHER_REGIONS
from stereodiffusion.bench.results import Job, Row
from stereodiffusion.bench.selection import CATALOGUE
from stereodiffusion.datasets import StereoDataset
from stereodiffusion.errors import ConfigError
from stereodiffusion.metrics import MATCHED, MatcherName, PairwiseName, PerceptualName
from stereodiffusion.settings import PrecisionChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a worker has to know. It can be pickled.

    Attributes:
        dataset: The scenes.
        kinds: Protocols, each with where the disparity comes from.
        methods: Names of the `CATALOGUE`.
        preparation: How the pictures are prepared.
        model: The diffusion model of the methods that need one: a name, a repository, a folder or a file.
        device: Where networks run.
        dtype: In which precision the diffusion model runs.
        steps: DDIM steps; None takes each method's own.
        seed: Of all random numbers.
        perceptual: Learned metrics to measure with besides.
        pairwise: Learned judgements of the pair to measure with besides.
        matcher: What measures disparity; a network does so besides semi-global matching.
    """

    dataset: StereoDataset
    kinds: tuple[CaseKind, ...]
    methods: tuple[str, ...]
    preparation: Preparation
    model: str = "toybox"
    device: str = "cpu"
    dtype: PrecisionChoice = "float32"
    steps: int | None = None
    seed: int = 0
    perceptual: tuple[PerceptualName, ...] = ()
    pairwise: tuple[PairwiseName, ...] = ()
    matcher: MatcherName = "sgbm"

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in CATALOGUE:
                raise ConfigError(f"there is no method {name!r}; there are {', '.join(CATALOGUE)}")
        if not self.methods or not self.kinds:
            raise ConfigError(f"expected methods and protocols, got {len(self.methods)} and {len(self.kinds)}")

    def jobs(self, scene: str) -> Iterator[tuple[CaseKind, Job]]:
        """The jobs of a scene, each with the kind of case it needs; jobs of one kind follow each other."""
        for kind in self.kinds:
            for method in self.methods:
                yield (
                    kind,
                    Job(
                        dataset=self.dataset.name,
                        scene=scene,
                        protocol=kind.protocol,
                        disparity=kind.disparity,
                        method=method,
                        settings=self.preparation.settings(kind) | self._model_settings(method),
                    ),
                )

    def satisfied_by(self, row: Row | None) -> bool:
        """Whether a row answers its job with all metrics that are wanted."""
        by_region = (f"{name}_{region}" for name in ("psnr", *self.perceptual) for region in FURTHER_REGIONS)
        matched = (matched_by(self.matcher, name) for name in MATCHED)
        wanted = {*self.perceptual, *self.pairwise, *by_region, *matched}
        return row is not None and row.metrics.keys() >= wanted

    def _model_settings(self, method: str) -> dict[str, object]:
        if not CATALOGUE[method].needs_model:
            return {}
        return {"model": self.model, "dtype": self.dtype, "steps": self.steps, "seed": self.seed}


def matched_by(matcher: MatcherName, name: str) -> str:
    """What a number of `MATCHED` is called in rows: with the name of the network that measured it, if it was one."""
    return name if matcher == "sgbm" else f"{name}_{matcher}"
