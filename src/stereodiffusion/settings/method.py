"""The groups of settings that every mode has, and `Settings`, which holds them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Literal, TypeAlias

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings.options import option
from stereodiffusion.settings.parallax import Parallax
from stereodiffusion.settings.viewing import Viewing
from stereodiffusion.settings.views import AfterSource, Together, check_fractions

Mode: TypeAlias = Literal["text", "depth", "photo"]
SolverName: TypeAlias = Literal["ddim", "dpm++", "lcm"]
STOCHASTIC: Final[frozenset[SolverName]] = frozenset({"lcm"})
"""Solvers that add noise after each step, at levels of their own; an inversion does not lead back along them."""
SpacingName: TypeAlias = Literal["leading", "trailing"]
Refinement: TypeAlias = Literal["off", "estimated", "all"]
Precision: TypeAlias = Literal["float32", "float16", "bfloat16"]
"""In which a network runs."""
PrecisionChoice: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]
"""The same, or the fastest that the device is good at."""

_METHOD = "Method"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a picture is denoised.

    Attributes:
        steps: Sampling steps n. In photo mode they are also the steps of the inversion.
        solver: What takes the steps. `ddim` is the paper's, and Euler's method for models of flow matching; `dpm++` is
            DPM-Solver++ (2M), which needs fewer; `lcm` is for checkpoints distilled to be latent consistency models. A
            photo is inverted by DDIM in any case, and the solver takes the right view along the levels that the
            inversion visited.
        spacing: Where the steps lie: `leading` begins below the noisiest level, as the paper does, `trailing` at
            the noisiest, which few steps need and Turbo checkpoints are made for. `lcm` has levels of its own, and so
            have models of flow matching.
        offset: Of leading spacing: 0 visits t = 980 ... 0 (of 1000, at n = 50), 1 visits t = 981 ... 1.
    """

    steps: int = option(50, "--steps", panel=_METHOD, metavar="N", help="Denoising steps, at least 2.")
    solver: SolverName = option(
        "ddim",
        "--solver",
        panel=_METHOD,
        help="dpm++ needs fewer steps than ddim; lcm is for checkpoints made for it.",
    )
    spacing: SpacingName = option(
        "leading", "--spacing", panel=_METHOD, help="Where the steps lie; Turbo checkpoints want trailing."
    )
    offset: Literal[0, 1] = 1

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ConfigError(f"sampling.steps must be at least 2, got {self.steps}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Classifier-free guidance (Ho & Salimans 2021).

    Attributes:
        scale: w; 1 evaluates the prompt alone and costs half.
        start: First step in which guidance is evaluated; before it the prompt alone is, at half the cost.
        stop: First step in which it no longer is (Kynkäänniemi et al. 2024); 1 guides to the end. Null-text
            inversion guides every step.
    """

    scale: float = option(
        7.5,
        "--guidance",
        panel=_METHOD,
        metavar="W",
        default_help="the model's, or else the preset's",
        help="How strictly to follow the prompt; 1 is the least.",
    )
    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.scale < inf:
            raise ConfigError(f"guidance.scale must be finite and at least 1, got {self.scale}")
        check_fractions(self, "guidance", "start", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFitting:
    """How a disparity map is fitted to its picture.

    Attributes:
        refine: Snap the borders in `estimated` disparity to the picture's edges, and those in maps that a picture was
            drawn from, since it follows them about and not exactly. Maps of photos stay as they are, but with `all`.
        hair: Let hair and thin things move with what they hang on, where borders are snapped.
    """

    refine: Refinement = option(
        "off",
        "--refine",
        panel=_METHOD,
        help="Which maps have their borders moved to the picture's, hair included: estimated ones and those that a "
        "picture is drawn from, or also a --disparity that was estimated elsewhere and is soft or a little off (all).",
    )
    hair: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """The stereo pixel shift (Sec. 3.1).

    Attributes:
        at: When the source's latent is shifted to become the view's.
        splat: `paper` moves whole latent cells, truncated; `subpixel` rounds to the nearest cell, registers at
            the picture's resolution and closes cracks.
        deblur: Fill the shift's holes with N(0, 1) instead of zeros (Eq. 8).
    """

    at: float = 0.2
    splat: Literal["paper", "subpixel"] = "subpixel"
    deblur: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.at < 1:
            raise ConfigError(f"shift.at must be a fraction of the steps in [0, 1), got {self.at}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Both views as the model decodes them.

    Attributes:
        kind: Names this member of the union.
    """

    kind: Literal["decoded"] = "decoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPixels:
    """The source as it is, at its own size, and views made of its own pixels, generated ones in the occlusions alone.

    Attributes:
        kind: Names this member of the union.
        crops: How many crops of a photo that is larger than the model's size may be run again at a finer scale, around
            its occlusions; 0 makes them at the model's size alone. Each costs an inversion and a view of its own.
    """

    kind: Literal["own-pixels"] = "own-pixels"
    crops: int = option(
        0,
        "--crops",
        panel=_METHOD,
        metavar="N",
        help="With preset best: make the occlusions of a large photo again in up to N crops, at a finer scale than the "
        "model's. Each costs as much as the photo; 0 makes none.",
    )

    def __post_init__(self) -> None:
        if self.crops < 0:
            raise ConfigError(f"picture.crops must be at least 0, got {self.crops}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Warp:
    """How pixels are moved, where they are.

    Attributes:
        borders: `soft` takes those at depth edges apart, so that each of the two surfaces in them moves on its own;
            `hard` moves them as they are.
        fill: What occlusions show before the model sees them: the background continued `smooth`, or that with the
            texture of `exemplars` from the picture itself.
        frame: Whether a surface that the frame cuts `continues` beyond it and hides what is behind, or `ends` there.
    """

    borders: Literal["hard", "soft"] = "hard"
    fill: Literal["smooth", "exemplars"] = "smooth"
    frame: Literal["ends", "continues"] = "ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every decision of the method, checked on construction; made by `preset` and changed by `changed`.

    Attributes:
        sampling: Steps and solver.
        guidance: Towards the prompt.
        parallax: Scale of the disparity.
        map: How a map is fitted to its picture.
        shift: When and how the source's latent is moved.
        views: How views are denoised beside the source.
        picture: What the views are made of.
        warp: How pixels are moved.
        view_depth: Depth mode: condition a view on the `warped` map, or on the `same` map as the source.
        viewing: For whom the pair is made.
    """

    sampling: Sampling
    guidance: Guidance
    parallax: Parallax
    map: MapFitting
    shift: Shift
    views: AfterSource | Together
    picture: Decoded | OwnPixels
    warp: Warp
    view_depth: Literal["warped", "same"] = "warped"
    viewing: Viewing = Viewing()

    def __post_init__(self) -> None:
        if self.parallax.budget_degrees is not None and self.viewing.screen is None:
            raise ConfigError(
                "parallax.budget_degrees needs a display: viewing.display, or viewing.width_m and viewing.distance_m"
            )
        if self.budget is not None and self.budget > 0.5:
            raise ConfigError(f"a depth budget must be at most half of the width, got {self.budget:.0%}")
        solver = self.sampling.solver
        if self.views.resync.how == "mixed" and solver != "ddim":
            raise ConfigError(f"views.resync.how mixed takes a step of DDIM again (Eq. 6), got solver {solver!r}")
        if isinstance(self.views, Together) and self.views.inversion == "null-text" and solver != "ddim":
            raise ConfigError(f"null-text inversion optimises steps of DDIM (Eq. 10), got solver {solver!r}")
        if isinstance(self.picture, OwnPixels) and self.picture.crops and self.views.resync.how != "pixels":
            raise ConfigError(
                f"picture.crops needs views.resync.how pixels, as in preset 'best', got {self.views.resync.how!r}"
            )

    def changed(self, changes: Mapping[str, object]) -> "Settings":
        """These settings with some of them changed.

        Args:
            changes: New values by name, such as `{"shift.at": 0.3, "views": "together"}`. A member of a union is named
                by its kind, and keeps what both have in common.

        Raises:
            ConfigError: If there is no such setting, or a value is of a wrong type or out of range.
        """
        from stereodiffusion.settings.plain import patched

        return patched(self, changes)

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, group by group."""
        from stereodiffusion.settings.plain import to_plain

        return to_plain(self)

    @property
    def budget(self) -> float | None:
        """Parallax between the farthest and the nearest point, as a fraction of the width; None if nothing is said."""
        if self.parallax.budget_degrees is not None and self.viewing.screen is not None:
            return self.viewing.screen.parallax_of(self.parallax.budget_degrees)
        return None if self.parallax.budget_percent is None else self.parallax.budget_percent / 100

    @property
    def looks_at_map(self) -> bool:
        """Whether parallax depends on what a map holds, so that each picture has its own."""
        return not self.parallax.plain or self.viewing.comfort != "off"

    @property
    def together(self) -> bool:
        """Whether both views are denoised side by side."""
        return isinstance(self.views, Together)

    @property
    def null_text(self) -> bool:
        """Whether photos are inverted with null-text optimisation."""
        return isinstance(self.views, Together) and self.views.inversion == "null-text"

    @property
    def own_pixels(self) -> bool:
        """Whether views are made of the source's own pixels."""
        return isinstance(self.picture, OwnPixels)

    @property
    def crops(self) -> int:
        """How many crops may be made again."""
        return self.picture.crops if isinstance(self.picture, OwnPixels) else 0

    @property
    def shift_index(self) -> int:
        """Index of the step after which the source's latent is shifted; one step at least is left to the view."""
        return min(self._at(self.shift.at), self.sampling.steps - 2)

    @property
    def view_indices(self) -> range:
        """Indices of the source's steps at which a view begins a step of its own."""
        every = self.views.every if isinstance(self.views, AfterSource) else 0.0
        return range(self.shift_index + 1, self.sampling.steps, max(1, self._at(every)))

    @property
    def resync_indices(self) -> frozenset[int]:
        """Indices of the steps after which SPSMD acts."""
        resync = self.views.resync
        if resync.how == "off":
            return frozenset()
        stride = max(1, self._at(resync.every))
        last = min(self._at(resync.until), self.sampling.steps - 1)
        return frozenset(range(self.shift_index + stride, last + 1, stride))

    @property
    def guidance_indices(self) -> range:
        """Indices of the steps in which guidance is evaluated."""
        return range(self._at(self.guidance.start), self._at(self.guidance.stop))

    @property
    def attention_indices(self) -> range:
        """Indices of the steps whose self-attention is shared."""
        attention = self.views.attention
        return range(0) if attention.mode == "off" else range(self._at(attention.start), self._at(attention.stop))

    def _at(self, fraction: float) -> int:
        return round(fraction * self.sampling.steps)
