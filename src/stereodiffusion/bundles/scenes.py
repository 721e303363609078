"""Procedural scenes as annotated pairs: everything is computed from the geometry, nothing is estimated."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import torch
from numpy.typing import NDArray

from stereodiffusion.bundles.annotated import AnnotatedPair
from stereodiffusion.bundles.calibration import Calibration
from stereodiffusion.datasets.scenes import Rig, Scene, captions, render, sample_scene
from stereodiffusion.geometry import Disparity, StereoRig

BASELINE_M = Rig().baseline_m
"""Between the eyes of a scene of which nothing else is asked."""


def scene_name(seed: int, baseline: float, baselines: Sequence[float]) -> str:
    """What the pair of a seed is called: `000042`, and with its baseline where there are several, `000042-0_5`."""
    alone = f"{seed:06d}"
    return alone if len(baselines) == 1 else f"{alone}-{baseline:g}".replace(".", "_")


def annotated_scenes(seed: int, size: tuple[int, int], baselines: Sequence[float]) -> list[AnnotatedPair]:
    """The pairs of a seed: one left eye, and a right eye at each of some distances from it.

    Args:
        seed: Draws the scene, for the usual baseline, so that its left picture is the same whatever is asked.
        size: (height, width) of each eye.
        baselines: Distances of the right eyes, in units of the usual one.
    """
    scene = sample_scene(seed)
    found: list[AnnotatedPair] = []
    for baseline in baselines:
        rig = replace(scene.rig, baseline_m=baseline * BASELINE_M)
        found.append(_annotated(replace(scene, rig=rig), size, scene_name(seed, baseline, baselines)))
    return found


def _annotated(scene: Scene, size: tuple[int, int], name: str) -> AnnotatedPair:
    pair, (height, width) = render(scene, size), size
    rig = StereoRig(focal_px=pair.focal_px, baseline_m=pair.baseline_m)
    # Rays are counted from the pictures' edges, a calibration from the middle of the first pixel.
    centre_px = (width / 2 - 0.5, scene.rig.horizon * height - 0.5)
    return AnnotatedPair(
        name=name,
        left=_picture(pair.left.image),
        right=_picture(pair.right.image),
        disparity=Disparity.from_pixels(torch.from_numpy(pair.left.disparity)),
        right_disparity=Disparity.from_pixels(torch.from_numpy(pair.right.disparity)),
        occlusion=torch.from_numpy(pair.right.occluded)[None, None],
        left_occlusion=torch.from_numpy(pair.left.occluded)[None, None],
        origin="rendered",
        calibration=Calibration(rig=rig, centre_px=centre_px),
        caption=captions(scene, 1)[0],
        facts={"scene": asdict(scene)},
    )


def _picture(image: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()
