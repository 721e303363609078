"""The presets: named settings, written out in full."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import (
    AfterSource,
    Attention,
    Decoded,
    Guidance,
    MapFitting,
    Mode,
    OwnPixels,
    Parallax,
    Resync,
    Sampling,
    Settings,
    Shift,
    Together,
    Warp,
)

PresetName: TypeAlias = Literal["paper", "fast", "best"]

_PAPER_GUIDANCE: dict[Mode, float] = {"text": 9.0, "depth": 9.0, "photo": 7.5}


def preset(name: PresetName, mode: Mode) -> Settings:
    """The settings that a preset stands for.

    `paper` is the authors' published code, decision by decision: disparity normalised and truncated to whole cells,
    both views denoised together from the first step, null-text inversion for photos, the depth condition
    shared by both views. `fast` is the same method at the least cost that stays within 0.2 dB of fifty steps of DDIM:
    the source is recorded once and replayed, a view takes three of its steps at once, photos are inverted once, in ten
    steps, without optimisation and without guidance, disparity in pixels stays what it is.
    `best` goes beyond the paper: what the source sees of a view is moved in pixels, and only what it does not
    see is generated, late.

    Raises:
        ConfigError: If there is no such preset or mode.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
    if name == "paper":
        return _paper(mode)
    if name == "fast":
        return _fast(mode)
    if name == "best":
        return _best(mode)
    raise ConfigError(f"preset must be one of {', '.join(preset_names())}, got {name!r}")


def preset_names() -> Sequence[PresetName]:
    """The presets there are."""
    return get_args(PresetName)


def _paper(mode: Mode) -> Settings:
    return Settings(
        sampling=Sampling(steps=50, offset=0 if mode == "photo" else 1),
        guidance=Guidance(scale=_PAPER_GUIDANCE[mode]),
        parallax=Parallax(scale="normalized"),
        map=MapFitting(refine="off"),
        shift=Shift(at=0.2, splat="paper"),
        views=Together(
            resync=Resync(how="copy", every=0.2, until=0.8),
            attention=Attention(start=0.2),
            inversion="null-text" if mode == "photo" else "ddim",
        ),
        picture=Decoded(),
        warp=Warp(),
        view_depth="same",
    )


def _fast(mode: Mode) -> Settings:
    photo = mode == "photo"
    return Settings(
        sampling=Sampling(steps=10, offset=0) if photo else Sampling(steps=50),
        guidance=Guidance(scale=1.0 if photo else _PAPER_GUIDANCE[mode]),
        parallax=Parallax(scale="metric"),
        map=MapFitting(refine="off"),
        shift=Shift(at=0.2, splat="subpixel"),
        views=AfterSource(
            every=0.0 if photo else 0.06,  # three of 50 steps at once: docs/notes.md; in steps, `Settings.view_indices`
            resync=Resync(how="copy", every=0.2, until=0.8),
            attention=Attention(start=0.2),
        ),
        picture=Decoded(),
        warp=Warp(),
    )


def _best(mode: Mode) -> Settings:
    fast = _fast(mode)
    return Settings(
        sampling=fast.sampling,
        guidance=fast.guidance,
        parallax=fast.parallax,
        map=MapFitting(refine="estimated", hair=mode != "depth"),  # a map says what is drawn: there is no hair to add
        shift=Shift(at=0.8, splat="subpixel"),
        views=AfterSource(
            every=0.06,  # as above
            resync=Resync(how="pixels", every=0.02, until=1.0),
            attention=Attention(start=0.8),
        ),
        picture=OwnPixels(),
        warp=Warp(borders="soft", fill="exemplars" if mode == "photo" else "smooth", frame="continues"),
    )
