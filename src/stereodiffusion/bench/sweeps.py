"""Methods that are in no table of the paper: one setting, gone through (Fig. 3, Fig. 8, and the number of steps)."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from stereodiffusion.baselines.blank import warp
from stereodiffusion.bench.methods import (
    Method,
    ViewSynthesizer,
    blanking_fill,
    fill_holes,
    paper_settings,
    stereo_diffusion,
)
from stereodiffusion.bench.tools import Tools
from stereodiffusion.geometry import Disparity
from stereodiffusion.settings import SolverName, SpacingName
from stereodiffusion.settings.presets import preset
from stereodiffusion.types import Image

SHIFTS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)
"""When the latent is shifted, as fractions of the steps; attention is shared and SPSMD acts from then on."""

BLANKED = (0.1, 0.25, 0.5)
"""How much of the picture is erased, at its right side, as fractions of the width."""


STEPS = (5, 8, 10, 15, 20, 25, 50)
"""Numbers of steps."""

SAMPLERS: tuple[tuple[SolverName, SpacingName], ...] = (
    ("ddim", "leading"),
    ("ddim", "trailing"),
    ("dpm++", "leading"),
    ("dpm++", "trailing"),
)
"""Solvers, and where their steps lie."""


def _in_steps(solver: SolverName, spacing: SpacingName, steps: int) -> tuple[str, Method]:
    changes = {"sampling.solver": solver, "sampling.spacing": spacing, "sampling.steps": steps}
    method = Method(
        description=f"preset fast with {steps} steps of {solver}, {spacing}",
        tables=(),
        needs_model=True,
        make=stereo_diffusion(preset("fast", "photo").changed(changes)),
    )
    return f"fast-{solver}-{spacing}-{steps}", method


def _shifted_at(moment: float) -> Method:
    settings = paper_settings(attention="unidirectional", spsmd=True, inversion="ddim").changed(
        {"shift.at": moment, "views.attention.start": moment}
    )
    return Method(
        description=f"StereoDiffusion with DDIM inversion, shifted after {moment:.0%} of the steps (Fig. 3)",
        tables=(),
        needs_model=True,
        make=stereo_diffusion(settings),
    )


def _blanked(share: float) -> Method:
    return Method(
        description=f"inpainting by latent blanking, the right {share:.0%} of the view erased as well (Fig. 8)",
        tables=(),
        needs_model=True,
        make=partial(_erase_and_fill, share),
    )


def _erase_and_fill(share: float, tools: Tools) -> ViewSynthesizer:
    def synthesize(left: Image, disparity: Disparity) -> Image:
        warped = warp(left, disparity, registration="subpixel")
        visible = warped.visible.clone()
        visible[..., erased_from(share, left.shape[3]) :] = False
        return fill_holes(tools, blanking_fill, warped.view, visible)

    return synthesize


def erased_from(share: float, width: int) -> int:
    """The first column that is erased."""
    return round((1 - share) * width)


SHIFT_SWEEP: Mapping[str, Method] = MappingProxyType({f"shift-at-{at:.1f}": _shifted_at(at) for at in SHIFTS})
"""Fig. 3."""

STEPS_SWEEP: Mapping[str, Method] = MappingProxyType(
    {
        name: method
        for solver, spacing in SAMPLERS
        for steps in STEPS
        for name, method in [_in_steps(solver, spacing, steps)]
    }
)
"""Preset `fast` by solver and number of steps."""

BLANKING_SWEEP: Mapping[str, Method] = MappingProxyType({f"blanked-{share:.2f}": _blanked(share) for share in BLANKED})
"""Fig. 8."""
