"""Settings of the method, in groups (`method`, `parallax`, `viewing`, `views`), and `presets`, which fix them.

Moments of the denoising are fractions of its steps, so that settings carry over between step counts: fraction f
of n steps means "when the step with index round(f n) has been taken", indices counting from 0. Parallax is a
fraction of the picture's width; `display` and `viewing` say what it is to a viewer.

A setting is named by its group and itself: `shift.at`, `views.attention.stop`. Settings that exclude each other stand
in different members of a union: what only a view beside a recorded source has is in `AfterSource`, what only views that
are denoised together have is in `Together`.
"""

from stereodiffusion.settings.display import DISPLAYS, Display, DisplayName
from stereodiffusion.settings.method import (
    STOCHASTIC,
    Decoded,
    Guidance,
    MapFitting,
    Mode,
    OwnPixels,
    Precision,
    PrecisionChoice,
    Refinement,
    Sampling,
    Settings,
    Shift,
    SolverName,
    SpacingName,
    Warp,
)
from stereodiffusion.settings.parallax import Parallax
from stereodiffusion.settings.viewing import Viewing
from stereodiffusion.settings.views import AfterSource, Attention, AttentionMode, Resync, Together

__all__ = [
    "DISPLAYS",
    "STOCHASTIC",
    "AfterSource",
    "Attention",
    "AttentionMode",
    "Decoded",
    "Display",
    "DisplayName",
    "Guidance",
    "MapFitting",
    "Mode",
    "OwnPixels",
    "Parallax",
    "Precision",
    "PrecisionChoice",
    "Refinement",
    "Resync",
    "Sampling",
    "Settings",
    "Shift",
    "SolverName",
    "SpacingName",
    "Together",
    "Viewing",
    "Warp",
]
