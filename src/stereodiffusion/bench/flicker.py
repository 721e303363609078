"""How much the right eye of a video flickers, on moving scenes with exact truth: frame by frame, and held steady."""

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

import cv2
import numpy as np
import torch
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray

from stereodiffusion.datasets.scenes import Scene, captions, render
from stereodiffusion.datasets.scenes.moving import MovingScene, sample_moving_scene
from stereodiffusion.metrics.flicker import flicker
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.request.inputs import PictureFile
from stereodiffusion.settings import Parallax
from stereodiffusion.synthesis import load
from stereodiffusion.types import Image, Map
from stereodiffusion.video.making import Maker, State
from stereodiffusion.video.request import KeyFrames, VideoRequest
from stereodiffusion.video.source import Frame
from stereodiffusion.video.view import to_levels

Way: TypeAlias = Literal["frame by frame", "held steady", "with key frames"]

WAYS: Mapping[Way, bool] = MappingProxyType({"frame by frame": False, "held steady": True, "with key frames": True})
"""What is compared: `steady` of a request; the last only where there is a model for it."""

REGIONS = ("everywhere", "occlusions", "borders")
"""Of the right eye: all of it; what the left eye does not see; what lies beside a jump of disparity."""

EXACT = "exact"
"""The name of an estimator that does not tremble."""

_UNNAMED = PictureFile(path="scene")
_SCALE, _SHIFT, _BULGE = 0.10, 0.05, 0.06  # deviations; of shift and bulges as parts of the whole relief
_BULGE_PX = 24
_RAMP_PX = 1.5
_BORDER_PX = 4
_JUMP_PX = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Flicker:
    """A line of the table.

    Attributes:
        way: What made the right eye.
        levels: Mean flicker in each of `REGIONS`, in levels.
        error: Mean absolute difference from the true right eye in each of `REGIONS`, in levels.
        cpu_seconds: Of the processor, for each frame, with the estimator that was given.
    """

    way: Way
    levels: Mapping[str, float]
    error: Mapping[str, float]
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truth:
    """A frame of both eyes, how deep it is, and its range of disparity as settings say it."""

    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    regions: Mapping[str, Bool[np.ndarray, "h w"]]
    parallax: Parallax
    disparity: NDArray[np.float32]
    right_disparity: NDArray[np.float32]


class _Trembling:
    """The true depth, as an estimator gives it that looks at each frame for itself.

    Scale and shift jump and surfaces bulge, anew for each frame and by 0 on average, and borders are ramps. So the true
    motion and the true occlusions are those of what is made.
    """

    name, least_side, has_borders = "the truth, trembling", 1, True

    def __init__(self, videos: Sequence[Sequence["_Truth"]], tremble: float) -> None:
        self._depths: dict[bytes, NDArray[np.float32]] = {}
        for number, video in enumerate(videos):
            for frame, truth in enumerate(video):
                rng = np.random.default_rng([number, frame])
                self._depths[truth.left.tobytes()] = _trembling(truth.disparity, tremble, rng)

    def __call__(self, image: Image) -> Map:
        return torch.from_numpy(self._depths[to_levels(image).tobytes()])[None, None]


def _trembling(disparity: NDArray[np.float32], tremble: float, rng: np.random.Generator) -> NDArray[np.float32]:
    span = float(np.ptp(disparity))
    coarse = rng.normal(size=(disparity.shape[0] // _BULGE_PX + 2, disparity.shape[1] // _BULGE_PX + 2))
    height, width = disparity.shape
    bulges = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    ramps = cv2.GaussianBlur(disparity, (0, 0), _RAMP_PX)
    scale, shift = 1 + tremble * _SCALE * rng.normal(), tremble * _SHIFT * rng.normal() * span
    return np.maximum(scale * (ramps + tremble * _BULGE * span * bulges) + shift + span, 0).astype(np.float32)


def measure(
    seeds: Iterable[int],
    *,
    frames: int = 16,
    size: tuple[int, int] = (180, 320),
    estimator: DepthEstimator | None = None,
    tremble: float = 1.0,
    keys: KeyFrames | None = None,
) -> Iterator[Flicker]:
    """The table, line by line.

    Args:
        seeds: Of moving scenes.
        frames: Of each.
        size: (height, width) of a frame.
        estimator: Of depth; the truth, trembling, if None.
        tremble: How much the truth trembles; 0 is the floor, the flicker of resampled borders and invented places.
        keys: Of a third way, in which a model draws on key frames; without a prompt it is told what each scene shows.
    """
    scenes = [sample_moving_scene(seed) for seed in seeds]
    videos = [[_truth(scene.at(number), size) for number in range(frames)] for scene in scenes]
    estimator = estimator or _Trembling(videos, tremble)
    model = None if keys is None else load(keys.model)
    for way, steady in WAYS.items():
        with_keys = way == "with key frames"
        if with_keys and model is None:
            continue
        before = time.process_time()
        made: list[list[UInt8[np.ndarray, "h w 3"]]] = []
        for scene, video in zip(scenes, videos, strict=True):
            told = _told(keys, scene.start) if with_keys else None
            request = VideoRequest(video=_UNNAMED, steady=steady, parallax=video[0].parallax, keys=told)
            maker = Maker(request=request, estimator=estimator, model=model if with_keys else None)
            made.append(_rights(maker, video))
        spent = (time.process_time() - before) / (len(videos) * frames)
        yield _line(way, scenes, videos, made, spent)


def table(lines: Sequence[Flicker]) -> str:
    """The lines in Markdown."""
    rows = [
        "| | " + " | ".join(f"flicker {region}" for region in REGIONS) + " | error in occlusions | CPU s / frame |",
        "|---|" + "---|" * (len(REGIONS) + 2),
    ]
    for line in lines:
        levels = [f"{line.levels[region]:.2f}" for region in REGIONS]
        others = [f"{line.error['occlusions']:.1f}", f"{line.cpu_seconds:.2f}"]
        rows.append("| " + " | ".join([line.way, *levels, *others]) + " |")
    return "\n".join(rows)


def _truth(scene: Scene, size: tuple[int, int]) -> _Truth:
    pair = render(scene, size)
    right = pair.right.disparity
    window = np.ones((2 * _BORDER_PX + 1,) * 2, np.uint8)
    borders = cv2.dilate(right, window) - cv2.erode(right, window) > _JUMP_PX
    hidden = pair.right.occluded
    hidden[:, -round(float(right.max())) :] = False  # beyond the frame nobody knows anything
    regions = {"everywhere": np.ones(size, bool), "occlusions": hidden, "borders": borders}
    far, near = float(pair.left.disparity.min()) / size[1], float(pair.left.disparity.max()) / size[1]
    parallax = Parallax(max_disparity=near - far, convergence=-far)
    return _Truth(
        left=_levels(pair.left.image),
        right=_levels(pair.right.image),
        regions=regions,
        parallax=parallax,
        disparity=pair.left.disparity,
        right_disparity=right,
    )


def _told(keys: KeyFrames | None, scene: Scene) -> KeyFrames | None:
    """Key frames with what the scene shows as their prompt, if they have none."""
    return keys if keys is None or keys.prompt else replace(keys, prompt=captions(scene, 1)[0])


def _rights(maker: Maker, video: Sequence[_Truth]) -> list[UInt8[np.ndarray, "h w 3"]]:
    frames = (Frame(picture=each.left, pts=number, duration=1) for number, each in enumerate(video))
    return [right for made in maker.runs(frames, State()) for right in made.rights]


def _line(
    way: Way,
    scenes: Sequence[MovingScene],
    videos: Sequence[Sequence[_Truth]],
    rights: Sequence[Sequence[UInt8[np.ndarray, "h w 3"]]],
    spent: float,
) -> Flicker:
    levels: dict[str, list[float]] = {region: [] for region in REGIONS}
    errors: dict[str, list[float]] = {region: [] for region in REGIONS}
    for scene, video, eye in zip(scenes, videos, rights, strict=True):
        off = [made.astype(np.float32) - truth.right for made, truth in zip(eye, video, strict=True)]
        for number, truth in enumerate(video):
            back, seen = scene.flow(number, number - 1, truth.right.shape[:2], "right")
            for name, region in truth.regions.items():
                errors[name].append(float(np.abs(off[number])[region].mean()))
                if number:
                    changed = flicker(off[number - 1], off[number], back, truth.right_disparity, region & seen)
                    levels[name].append(changed)
    return Flicker(way=way, levels=_means(levels), error=_means(errors), cpu_seconds=spent)


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: statistics.fmean(each for each in some if not np.isnan(each)) for name, some in values.items()}


def _levels(image: NDArray[np.float32]) -> UInt8[np.ndarray, "h w 3"]:
    return np.rint(image * 255).astype(np.uint8)
