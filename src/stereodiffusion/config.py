"""Settings of the method and the presets that fix them.

Moments of the denoising are fractions of its steps, so that settings carry over between step counts: fraction f
of n steps means "when the step with index round(f n) has been taken", indices counting from 0. Parallax is a
fraction of the picture's width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Literal, TypeAlias, get_args

from stereodiffusion.errors import ConfigError

Mode: TypeAlias = Literal["text", "depth", "photo"]
PresetName: TypeAlias = Literal["paper", "fast", "best"]
SolverName: TypeAlias = Literal["ddim", "dpm++", "lcm"]
SpacingName: TypeAlias = Literal["leading", "trailing"]
Refinement: TypeAlias = Literal["off", "estimated", "all"]
Attention: TypeAlias = Literal["off", "unidirectional", "bidirectional"]
AttentionPlaces: TypeAlias = tuple[Literal["down", "mid", "up"], ...]
Precision: TypeAlias = Literal["float32", "float16", "bfloat16"]
"""In which a network runs."""
PrecisionChoice: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]
"""The same, or the fastest that the device is good at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StereoConfig:
    """Every decision of the method, checked on construction.

    Attributes:
        steps: Sampling steps n. In photo mode they are also the steps of the inversion.
        solver: What takes the steps. `ddim` is the paper's; `dpm++` is DPM-Solver++ (2M), which needs fewer; `lcm` is
            for checkpoints distilled to be latent consistency models. A photo is inverted by DDIM in any case, and
            the solver takes the right view along the levels that the inversion visited.
        spacing: Where the steps lie: `leading` begins below the noisiest level, as the paper does, `trailing` at
            the noisiest, which few steps need and Turbo checkpoints are made for. `lcm` has levels of its own.
        guidance: Classifier-free guidance scale w; 1 evaluates the prompt alone and costs half.
        guidance_from: First step in which guidance is evaluated; before it the prompt alone is, at half the cost.
        guidance_until: First step in which it no longer is (Kynkäänniemi et al. 2024); 1 guides to the end. Null-text
            inversion guides every step.
        timestep_offset: Of leading spacing: 0 visits t = 980 ... 0 (of 1000, at n = 50), 1 visits t = 981 ... 1.
        parallax: What becomes of a disparity given in pixels: `metric` keeps it, `normalized` maps its range
            to [0, max_disparity] as the paper does. Relative maps are always scaled to `max_disparity`.
        max_disparity: Parallax of the nearest point, as a fraction of the width (Eq. 3's s).
        convergence: Parallax that is moved to zero, as a fraction of the width: what has it lies on the screen.
        splat: `paper` moves whole latent cells, truncated; `subpixel` rounds to the nearest cell, registers at
            the picture's resolution and closes cracks.
        shift_at: When the left latent is shifted to become the right one (Sec. 3.1).
        right_every: Distance between two steps of the right view: it may take several of the left's at once, since what
            it has in common with the left is known at every level; 0 takes each.
        deblur: Fill the shift's holes with N(0, 1) instead of zeros (Eq. 8).
        resync: SPSMD (Sec. 3.2): `copy` overwrites visible right cells with the shifted left of the finished step,
            as the authors' code does; `mixed` takes that step as Eq. 6 prints it; `pixels` moves the left's picture
            instead of its latents, encodes it, and gives it the left's own noise; `off` does nothing.
        resync_every: Distance between two SPSMD steps.
        resync_until: Last moment at which SPSMD may act.
        attention: Self-attention (Algorithm 1): `unidirectional` lets the right read the left's keys and values,
            `bidirectional` lets both views read both.
        attention_from: First step whose attention is shared.
        attention_until: First step whose attention is no longer shared; 1 shares to the end.
        attention_places: Which self-attention layers are shared.
        left: `recorded` denoises (or inverts) the left once and replays it; `joint` denoises both together.
        memory_budget_mb: How much of a recorded left's attention memory may stay where the model runs, in units of 10^6
            bytes; None takes what it needs. It changes no picture.
        beyond_budget: What becomes of the rest: `offload` keeps it in main memory, or in files if the model runs there;
            `recompute` evaluates the left again beside the right.
        inversion: Photo mode: plain DDIM inversion with its trajectory kept, or null-text optimisation (Eq. 10).
        compose: `decoded` returns both views as the model decodes them. `source` returns the left as it is, at its own
            size, and the right made of the left's own pixels, generated ones in the occlusions alone.
        refine: Snap the borders in `estimated` disparity to the picture's edges, and let hair move with what it hangs
            on. Maps that are given stay as they are, but for those of photos with `all`.
        borders: Where pixels are moved: `soft` takes those at depth edges apart, so that each of the two surfaces in
            them moves on its own; `hard` moves them as they are.
        frame: Whether a surface that the frame cuts `continues` beyond it and hides what is behind, or `ends` there.
        crops: How many crops of a photo that is larger than the model's size may be run again at a finer scale, around
            its occlusions; 0 makes them at the model's size alone. Each costs an inversion and a right view of its own.
        right_depth: Depth mode: condition the right view on the `warped` map, or on the `same` map as the left.
    """

    steps: int = 50
    solver: SolverName = "ddim"
    spacing: SpacingName = "leading"
    guidance: float = 7.5
    guidance_from: float = 0.0
    guidance_until: float = 1.0
    timestep_offset: Literal[0, 1] = 1
    parallax: Literal["metric", "normalized"] = "metric"
    max_disparity: float = 0.08
    convergence: float = 0.0
    splat: Literal["paper", "subpixel"] = "subpixel"
    shift_at: float = 0.2
    right_every: float = 0.0
    deblur: bool = False
    resync: Literal["off", "copy", "mixed", "pixels"] = "copy"
    resync_every: float = 0.2
    resync_until: float = 0.8
    attention: Attention = "unidirectional"
    attention_from: float = 0.2
    attention_until: float = 1.0
    attention_places: AttentionPlaces = ("down", "mid", "up")
    left: Literal["recorded", "joint"] = "recorded"
    memory_budget_mb: float | None = 2000.0
    beyond_budget: Literal["offload", "recompute"] = "offload"
    inversion: Literal["ddim", "null-text"] = "ddim"
    compose: Literal["decoded", "source"] = "decoded"
    refine: Refinement = "off"
    borders: Literal["hard", "soft"] = "hard"
    frame: Literal["ends", "continues"] = "ends"
    crops: int = 0
    right_depth: Literal["warped", "same"] = "warped"

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ConfigError(f"steps must be at least 2, got {self.steps}")
        if not 1 <= self.guidance < inf:
            raise ConfigError(f"guidance must be finite and at least 1, got {self.guidance}")
        if not 0 <= self.max_disparity <= 0.5:
            raise ConfigError(f"max_disparity must be a fraction of the width in [0, 0.5], got {self.max_disparity}")
        if not -0.5 <= self.convergence <= 0.5:
            raise ConfigError(f"convergence must be a fraction of the width in [-0.5, 0.5], got {self.convergence}")
        fractions = ("shift_at", "resync_every", "resync_until", "attention_from", "attention_until")
        for field in (*fractions, "guidance_from", "guidance_until", "right_every"):
            if not 0 <= getattr(self, field) <= 1:
                raise ConfigError(f"{field} must be a fraction of the steps in [0, 1], got {getattr(self, field)}")
        if self.crops < 0:
            raise ConfigError(f"crops must be at least 0, got {self.crops}")
        if self.crops and (self.compose, self.resync) != ("source", "pixels"):
            raise ConfigError(
                "crops are made where pixels are moved, as by preset 'best': compose='source' and resync='pixels', "
                f"got {self.compose!r} and {self.resync!r}"
            )
        if self.memory_budget_mb is not None and not self.memory_budget_mb >= 0:
            raise ConfigError(f"memory_budget_mb must be at least 0, got {self.memory_budget_mb}")
        if self.right_every > 0 and self.left == "joint":
            raise ConfigError("views that are denoised together take the same steps: right_every needs left='recorded'")
        if self.resync_every == 0:
            raise ConfigError("resync_every must be above 0; set resync to 'off' to leave SPSMD out")
        if self.shift_at == 1:
            raise ConfigError(f"shift_at {self.shift_at} leaves no step for the right view at {self.steps} steps")
        if self.attention == "bidirectional" and self.left == "recorded":
            raise ConfigError("bidirectional attention changes the left view, so it needs left='joint', got 'recorded'")
        if self.resync == "pixels" and self.left == "joint":
            raise ConfigError("resync='pixels' needs the left's clean latents first, so left='recorded', got 'joint'")
        if self.resync == "mixed" and self.solver != "ddim":
            raise ConfigError(f"resync='mixed' takes a step of DDIM again (Eq. 6), got solver={self.solver!r}")
        if self.inversion == "null-text" and self.solver != "ddim":
            raise ConfigError(f"null-text inversion optimises steps of DDIM (Eq. 10), got solver={self.solver!r}")
        if self.inversion == "null-text" and self.left == "recorded":
            raise ConfigError("null-text inversion re-denoises the left view, so it needs left='joint', got 'recorded'")

    @property
    def shift_index(self) -> int:
        """Index of the step after which the left latent is shifted; one step at least is left to the right view."""
        return min(round(self.shift_at * self.steps), self.steps - 2)

    @property
    def right_indices(self) -> range:
        """Indices of the left's steps at which the right view begins a step of its own."""
        return range(self.shift_index + 1, self.steps, max(1, round(self.right_every * self.steps)))

    @property
    def resync_indices(self) -> frozenset[int]:
        """Indices of the steps after which SPSMD acts."""
        if self.resync == "off":
            return frozenset()
        stride = max(1, round(self.resync_every * self.steps))
        last = min(round(self.resync_until * self.steps), self.steps - 1)
        return frozenset(range(self.shift_index + stride, last + 1, stride))

    @property
    def guidance_indices(self) -> range:
        """Indices of the steps in which guidance is evaluated."""
        return range(round(self.guidance_from * self.steps), round(self.guidance_until * self.steps))

    @property
    def attention_indices(self) -> range:
        """Indices of the steps whose self-attention is shared."""
        if self.attention == "off":
            return range(0)
        return range(round(self.attention_from * self.steps), round(self.attention_until * self.steps))


_PAPER_GUIDANCE: dict[Mode, float] = {"text": 9.0, "depth": 9.0, "photo": 7.5}


def preset(name: PresetName, mode: Mode) -> StereoConfig:
    """The settings that a preset stands for.

    `paper` is the authors' published code, decision by decision: disparity normalised and truncated to whole cells,
    both views denoised together from the first step, null-text inversion for photos, the depth condition
    shared by both views. `fast` is the same method at the least cost that stays within 0.2 dB of fifty steps of DDIM:
    the left is recorded once and replayed, the right takes three of its steps at once, photos are inverted once, in ten
    steps, without optimisation and without guidance, disparity in pixels stays what it is. To denoise both views
    together under `fast`, set `right_every` to 0 beside `left`.
    `best` goes beyond the paper: what the left eye sees of the right view is moved in pixels, and only what it does not
    see is generated, late.

    Raises:
        ConfigError: If there is no such preset or mode.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
    if name == "paper":
        return StereoConfig(
            guidance=_PAPER_GUIDANCE[mode],
            timestep_offset=0 if mode == "photo" else 1,
            parallax="normalized",
            splat="paper",
            left="joint",
            inversion="null-text" if mode == "photo" else "ddim",
            right_depth="same",
        )
    if name == "fast":
        base = StereoConfig(guidance=_PAPER_GUIDANCE[mode])
        photo = mode == "photo"
        return replace(base, steps=10, guidance=1.0, timestep_offset=0) if photo else replace(base, right_every=0.06)
    if name == "best":
        return replace(
            preset("fast", mode),
            shift_at=0.8,
            right_every=0.06,
            attention_from=0.8,
            resync="pixels",
            resync_every=0.02,
            resync_until=1.0,
            compose="source",
            refine="estimated",
            borders="soft",
            frame="continues",
        )
    raise ConfigError(f"preset must be one of {', '.join(preset_names())}, got {name!r}")


def preset_names() -> Sequence[PresetName]:
    """The presets there are."""
    return get_args(PresetName)
