"""One scene: read, prepared as the protocols say, given to the methods, and measured."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import torch

from stereodiffusion import __version__
from stereodiffusion.bench.cost import measured
from stereodiffusion.bench.plan import Plan, matched_by
from stereodiffusion.bench.protocols import Case, CaseKind, prepare
from stereodiffusion.bench.results import Job, Row, scene_folder
from stereodiffusion.bench.selection import CATALOGUE
from stereodiffusion.bench.tools import Tools
from stereodiffusion.errors import DatasetError, FormatError, GeometryError
from stereodiffusion.formats import read_image, to_pil
from stereodiffusion.formats.files import write_files
from stereodiffusion.metrics import (
    Matcher,
    PairwiseMetric,
    PairwiseName,
    PerceptualMetric,
    PerceptualName,
    evaluate_genstereo,
    evaluate_images,
    evaluate_matching,
    evaluate_pair,
    evaluate_pairwise,
    evaluate_perceptual,
    load_matcher,
    load_pairwise,
    load_perceptual,
)
from stereodiffusion.models.estimators import DepthEstimator, load_depth_estimator
from stereodiffusion.types import Image, Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that could not be computed; the run goes on without it.

    Attributes:
        what: The scene, and the protocol or the method where the rest of the scene is fine.
        reason: One line.
        jobs: What is without a row for it.
    """

    what: str
    reason: str
    jobs: tuple[Job, ...]


Outcome: TypeAlias = Row | Failure


class Evaluator:
    """Computes the rows of a plan, scene by scene; networks are loaded when they are first needed, and kept."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._tools = Tools(model=plan.model, device=plan.device, dtype=plan.dtype, steps=plan.steps, seed=plan.seed)

    @cached_property
    def _estimator(self) -> DepthEstimator:
        return load_depth_estimator(self._plan.preparation.estimator, device=self._plan.device)

    @cached_property
    def _perceptual(self) -> dict[PerceptualName, PerceptualMetric]:
        return {name: load_perceptual(name) for name in self._plan.perceptual}

    @cached_property
    def _pairwise(self) -> dict[PairwiseName, PairwiseMetric]:
        return {name: load_pairwise(name, device=self._plan.device) for name in self._plan.pairwise}

    @cached_property
    def _matcher(self) -> Matcher:
        return load_matcher(self._plan.matcher, device=self._plan.device)

    def _estimate(self, picture: Image) -> Map:
        """Relative inverse depth; the network is loaded when it is first asked."""
        return self._estimator(picture)

    def scene(self, name: str, wanted: Mapping[str, Row | None]) -> Iterator[Outcome]:
        """The rows of a scene, as they are finished.

        Args:
            name: The scene.
            wanted: The keys of the jobs that are wanted, of all scenes, with an earlier row that lacks metrics.

        Raises:
            ModelError: If a network cannot be loaded; then no other scene will fare better.
        """
        _ = (
            self._perceptual,
            self._pairwise,
            self._matcher,
        )  # if one of them is not to be had, no picture is made for nothing
        todo = [(kind, job) for kind, job in self._plan.jobs(name) if job.key in wanted]
        try:
            sample = self._plan.dataset.read(name)
        except DatasetError as broken:
            yield Failure(what=name, reason=str(broken), jobs=tuple(job for _, job in todo))
            return
        for kind, group in groupby(todo, key=lambda pair: pair[0]):
            jobs = [job for _, job in group]
            try:
                case = prepare(sample, kind, self._plan.preparation, self._estimate)
            except (DatasetError, GeometryError) as refused:
                yield Failure(what=str(kind), reason=str(refused), jobs=tuple(jobs))
                continue
            self._write_views(name, kind, case)
            for job in jobs:
                try:
                    yield self._row(job, case, wanted[job.key])
                except (FormatError, GeometryError) as refused:
                    yield Failure(what=f"{name}, {kind}, {job.method}", reason=str(refused), jobs=(job,))

    def _row(self, job: Job, case: Case, earlier: Row | None) -> Row:
        """The right view made, or read if it was made before, and measured as it was written: in 8 bits."""
        path = self._folder / job.picture
        if earlier is None or not path.exists():
            earlier = self._make(job, case, path)
        right = read_image(path).to(case.right)
        metrics = evaluate_images(right, case.right, case.visible, case.further)
        if job.protocol == "genstereo":
            metrics |= evaluate_genstereo(right, case.right)
        metrics |= evaluate_pair(case.left, right, case.disparity, truth=case.right)
        metrics |= evaluate_perceptual(self._perceptual, right, case.right, case.visible, case.further)
        metrics |= evaluate_pairwise(self._pairwise, case.left, right)
        if self._plan.matcher != "sgbm":
            measured_by = evaluate_matching(case.left, right, case.disparity, matcher=self._matcher)
            metrics |= {matched_by(self._plan.matcher, name): value for name, value in measured_by.items()}
        return replace(earlier, metrics={**earlier.metrics, **metrics})

    def _make(self, job: Job, case: Case, path: Path) -> Row:
        """Run the method once and write its picture; a row without metrics."""
        method = CATALOGUE[job.method]
        if method.needs_model:
            _ = self._tools.backbone  # loading is not the method's time
        synthesize, evaluations = method(self._tools), self._tools.evaluations
        recalled = len(self._tools.inversion.recalled)
        with measured(self._plan.device if method.needs_model else "cpu") as cost:
            generated = synthesize(case.left, case.disparity)
        spared = self._tools.inversion.recalled[recalled:]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, generated)
        return Row(
            job=job,
            metrics={},
            facts=case.facts,
            seconds=cost.seconds + sum(spent.seconds for spent in spared),
            evaluations=self._tools.evaluations - evaluations + sum(spent.evaluations for spent in spared),
            peak_memory_mb=max([cost.peak_memory_mb, *(spent.peak_memory_mb for spent in spared)]),
            versions=_versions(),
        )

    def _write_views(self, scene: str, kind: CaseKind, case: Case) -> None:
        """What the figures set the right views beside."""
        folder = self._folder / scene_folder(self._plan.dataset.name, scene)
        folder.mkdir(parents=True, exist_ok=True)
        for eye, view in (("left", case.left), ("right", case.right)):
            path = folder / f"{eye}-{self._plan.preparation.settings(kind)['size']}.png"
            if not path.exists():
                write_picture(path, view)


def write_picture(path: Path, image: Image) -> None:
    """As PNG of 8 bits, packed quickly rather than tightly: there are thousands of them."""
    content = BytesIO()
    to_pil(image.clamp(0, 1)).save(content, "PNG", compress_level=1)
    write_files({path: content.getvalue()})


def _versions() -> dict[str, str]:
    return {
        "stereodiffusion": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
