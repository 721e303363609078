"""Which settings have no effect where, so that nobody is told that something was applied that was not."""

from collections.abc import Iterator, Mapping, Sequence

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import STOCHASTIC, AfterSource, Mode, Settings, Together


def check_used(changes: Mapping[str, object], settings: Sequence[Settings], mode: Mode) -> None:
    """Refuse changes that nothing would come of.

    Args:
        changes: Settings by name.
        settings: With the changes; of each step, where there are several.
        mode: In which they are to be used.

    Raises:
        ConfigError: If a changed setting has no effect.
    """
    idle = dict(item for each in settings for item in unused(each, mode))
    for name in changes:
        for group, reason in idle.items():
            if name == group or name.startswith(f"{group}."):
                raise ConfigError(f"{name} would have no effect: {reason}")


def unused(settings: Settings, mode: Mode) -> Iterator[tuple[str, str]]:
    """Settings, or groups of them, that have no effect, and why."""
    yield from _by_mode(settings, mode)
    sampling, views = settings.sampling, settings.views
    if sampling.solver in STOCHASTIC:
        yield "sampling.spacing", f"solver {sampling.solver} has levels of its own"
        yield "sampling.offset", f"solver {sampling.solver} has levels of its own"
    elif sampling.spacing == "trailing":
        yield "sampling.offset", "it is of leading spacing"
    if settings.guidance.scale == 1:
        yield "guidance.start", "guidance.scale is 1, so there is no guidance"
        yield "guidance.stop", "guidance.scale is 1, so there is no guidance"
    if settings.budget is not None:
        yield "parallax.max_disparity", "the depth budget says how much parallax there is"
    if settings.parallax.budget_degrees is None and settings.viewing.comfort == "off":
        for name in ("display", "width_m", "distance_m"):
            yield f"viewing.{name}", "nothing asks what the display is: viewing.comfort fit or a budget in degrees does"
    if settings.map.refine == "off":
        yield "map.hair", "map.refine is off"
    if views.resync.how == "pixels":
        yield "shift.deblur", "with views.resync.how pixels there are no holes to fill"
    elif not settings.own_pixels:
        yield "warp", "nothing is moved in pixels"
    if views.resync.how == "off":
        yield "views.resync.every", "views.resync.how is off"
        yield "views.resync.until", "views.resync.how is off"
    if views.attention.mode == "off":
        for name in ("start", "stop", "places"):
            yield f"views.attention.{name}", "views.attention.mode is off"
    if isinstance(views, AfterSource) and (views.tokens_mb is None or views.attention.mode == "off"):
        yield "views.beyond", "there is nothing beyond the budget"
    if isinstance(views, Together) and views.inversion == "null-text" and mode == "photo":
        yield "guidance.start", "null-text inversion guides every step"
        yield "guidance.stop", "null-text inversion guides every step"


def _by_mode(settings: Settings, mode: Mode) -> Iterator[tuple[str, str]]:
    if mode != "depth":
        yield "view_depth", "it is of depth mode"
    if mode != "photo":
        yield "picture.crops", "crops are made of photos alone"
        yield "views.inversion", "photos alone are inverted"
    if mode == "depth" and settings.together:
        yield "map", "views together are drawn with their picture, and a map is fitted to one that is there"
