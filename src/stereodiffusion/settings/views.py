"""How views are denoised: beside a recorded source, or together with it (Sec. 3.2, 3.3)."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from stereodiffusion.errors import ConfigError

AttentionMode: TypeAlias = Literal["off", "unidirectional", "bidirectional"]
AttentionPlaces: TypeAlias = tuple[Literal["down", "mid", "up"], ...]
ResyncMode: TypeAlias = Literal["off", "copy", "mixed", "pixels"]


def check_fractions(group: object, name: str, *fields: str) -> None:
    """Refuse values that are no fractions of the steps.

    Args:
        group: Whose fields they are.
        name: What the group is called.
        fields: Their names.

    Raises:
        ConfigError: If one is not in [0, 1].
    """
    for each in fields:
        if not 0 <= getattr(group, each) <= 1:
            raise ConfigError(f"{name}.{each} must be a fraction of the steps in [0, 1], got {getattr(group, each)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync:
    """Stereo pixel shift in multiple denoising steps, SPSMD (Sec. 3.2).

    Attributes:
        how: `copy` overwrites visible cells with the shifted source of the finished step, as the authors' code does;
            `mixed` takes that step as Eq. 6 prints it; `pixels` moves the source's picture instead of its latents,
            encodes it, and gives it the source's own noise; `off` does nothing.
        every: Distance between two such steps.
        until: Last moment at which one may be taken.
    """

    how: ResyncMode = "copy"
    every: float = 0.2
    until: float = 0.8

    def __post_init__(self) -> None:
        check_fractions(self, "views.resync", "every", "until")
        if self.every == 0:
            raise ConfigError("views.resync.every must be above 0; set views.resync.how to off to leave SPSMD out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Shared self-attention (Algorithm 1).

    Attributes:
        mode: `unidirectional` lets the view read the source's keys and values, `bidirectional` lets both read both.
        start: First step whose attention is shared.
        stop: First step whose attention is no longer shared; 1 shares to the end.
        places: Which self-attention layers are shared; `down`, `mid` and `up` of a transformer are the first, the
            middle and the last third.
    """

    mode: AttentionMode = "unidirectional"
    start: float = 0.2
    stop: float = 1.0
    places: AttentionPlaces = ("down", "mid", "up")

    def __post_init__(self) -> None:
        check_fractions(self, "views.attention", "start", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterSource:
    """The source is denoised or inverted once, recorded, and replayed for each view.

    Attributes:
        kind: Names this member of the union.
        every: Distance between two steps of a view: it may take several of the source's at once, since what it has in
            common with the source is known at every level; 0 takes each.
        resync: SPSMD.
        attention: Shared self-attention; the source cannot read what is made after it.
        tokens_mb: How much of what the source's attention read may stay where the model runs, in units of 10^6 bytes;
            None takes what it needs. It changes no picture.
        beyond: What becomes of the rest: `offload` keeps it in main memory, or in files if the model runs there;
            `recompute` evaluates the source again beside the view.
    """

    kind: Literal["after-source"] = "after-source"
    every: float = 0.0
    resync: Resync = Resync()
    attention: Attention = Attention()
    tokens_mb: float | None = 2000.0
    beyond: Literal["offload", "recompute"] = "offload"

    def __post_init__(self) -> None:
        check_fractions(self, "views", "every")
        if self.tokens_mb is not None and not self.tokens_mb >= 0:
            raise ConfigError(f"views.tokens_mb must be at least 0, got {self.tokens_mb}")
        if self.attention.mode == "bidirectional":
            raise ConfigError("bidirectional attention changes the source: set views to together, got after-source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Both views are denoised side by side from the same noise.

    Attributes:
        kind: Names this member of the union.
        resync: SPSMD; what is moved in pixels needs a source that is there before.
        attention: Shared self-attention.
        inversion: Photo mode: plain DDIM inversion with its trajectory kept, or null-text optimisation (Eq. 10).
    """

    kind: Literal["together"] = "together"
    resync: Resync = Resync()
    attention: Attention = Attention()
    inversion: Literal["ddim", "null-text"] = "ddim"

    def __post_init__(self) -> None:
        if self.resync.how == "pixels":
            raise ConfigError("views.resync.how pixels moves a source that is there: set views to after-source")
