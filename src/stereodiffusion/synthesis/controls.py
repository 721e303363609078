"""From what is asked of the scene and the viewer to parallax: depth budget, curve, screen, comfort.

What these mean depends on what a map holds, so it is settled once per source, on the source's own map, before any view
is made: the map gets its final relief, and the settings the number at which the screen lies. All that is made later
follows these two, whatever grid it works on. The order is: curve, budget, screen, comfort.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace

from stereodiffusion.comfort import fit, looked_at
from stereodiffusion.comfort.rules import FARTHEST, NEAREST
from stereodiffusion.errors import ConfigError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.curve import along_curve
from stereodiffusion.geometry.frame import border_parallax
from stereodiffusion.settings import Parallax, Settings
from stereodiffusion.synthesis.parallax import effective
from stereodiffusion.synthesis.run import Note
from stereodiffusion.types import Image

_UNSEEN = 0.0005  # of the width: moving the screen by less is not worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Controlled:
    """A source's map and settings, with all that was asked of its parallax applied to them.

    Attributes:
        disparity: With the final relief; `effective` scales what is normalised, and converges.
        settings: With the screen as a number, and nothing left to be found in the map.
    """

    disparity: Disparity
    settings: Settings


def controlled(disparity: Disparity, picture: Image | None, settings: Settings) -> Generator[Note, None, Controlled]:
    """Settle the parallax of a source; says in a line what comfort changed.

    Args:
        disparity: Of the source, dense, as given or estimated, on any grid.
        picture: The source; None if it is not drawn yet.
        settings: As asked.

    Raises:
        ConfigError: If parallax depends on the map, and there are several; or a number comes out of range.
    """
    if not settings.looks_at_map:
        return Controlled(disparity=disparity, settings=settings)
    if disparity.batch != 1:
        raise ConfigError(
            "a depth budget, a curve, a screen that is found in the map and comfort are of one picture: make them one "
            f"by one, got a batch of {disparity.batch}"
        )
    asked = settings.parallax
    if not asked.straight:
        disparity = along_curve(disparity, asked.curve)
    found = replace(
        asked,
        budget_percent=None,
        budget_degrees=None,
        convergence=0.0,
        convergence_percentile=None,
        convergence_at=None,
        curve=(0.0, 1.0),
    )
    if settings.budget is not None:
        disparity, found = _with_budget(disparity, found, settings.budget)
    screen_px = _screen(effective(disparity, found), picture, asked)
    found = replace(found, convergence=_in_range(screen_px / disparity.width))
    if settings.viewing.comfort == "fit":
        disparity, found = yield from _fitted(disparity, found, settings)
    viewing = replace(settings.viewing, comfort="off")
    return Controlled(disparity=disparity, settings=replace(settings, parallax=found, viewing=viewing))


def _with_budget(disparity: Disparity, parallax: Parallax, budget: float) -> tuple[Disparity, Parallax]:
    """The whole relief takes the budget, a fraction of the width."""
    if parallax.scale == "normalized":
        return disparity, replace(parallax, max_disparity=budget)
    relief = float(disparity.pixels.max() - disparity.pixels.min())
    return _scaled(disparity, parallax, budget * disparity.width / relief) if relief > 0 else (disparity, parallax)


def _scaled(disparity: Disparity, parallax: Parallax, factor: float) -> tuple[Disparity, Parallax]:
    """Another strength; the settings say it too, in the terms of maps without a unit."""
    found = replace(parallax, max_disparity=min(parallax.max_disparity * factor, 0.5))
    return (disparity if parallax.scale == "normalized" else disparity.scaled(factor)), found


def _screen(disparity: Disparity, picture: Image | None, asked: Parallax) -> float:
    """The disparity that lies on the screen, in pixels."""
    if asked.convergence == "auto":
        if picture is not None and tuple(picture.shape[2:]) != disparity.size:
            picture = resize_image(picture, *disparity.size)
        return looked_at(disparity, picture)
    if asked.convergence_percentile is not None:
        return float(disparity.percentile(asked.convergence_percentile))
    if asked.convergence_at is not None:
        column, row = (
            min(int(place * length), length - 1)
            for place, length in zip(asked.convergence_at, (disparity.width, disparity.height), strict=True)
        )
        return float(disparity.pixels[0, 0, row, column])
    return asked.convergence * disparity.width


def _fitted(
    disparity: Disparity, parallax: Parallax, settings: Settings
) -> Generator[Note, None, tuple[Disparity, Parallax]]:
    """Less parallax, and the screen elsewhere, where a display asks for it."""
    display = settings.viewing.screen
    if display is None:
        raise ConfigError("viewing.comfort fit needs a display, got none")
    shown = effective(disparity, parallax)
    farthest, nearest = (float(shown.percentile(percent)) / shown.width for percent in (FARTHEST, NEAREST))
    at_sides = None
    if display.zero == "screen":
        at_sides = max(float(rows.max()) for rows in border_parallax(shown)) / shown.width
    fitted = fit(farthest, nearest, display, at_sides=at_sides)
    screen = _in_range(fitted.factor * parallax.zero + fitted.shift)
    name = settings.viewing.name
    if fitted.factor == 1 and abs(fitted.shift) < _UNSEEN:
        yield Note(f"comfort: fits {name} as it is")
        return disparity, parallax
    less = "" if fitted.factor == 1 else f"parallax times {fitted.factor:.3f} and "
    yield Note(f"comfort: for {name} {less}convergence {screen:.4f} of the width, was {parallax.zero:.4f}")
    disparity, scaled = _scaled(disparity, parallax, fitted.factor)
    return disparity, replace(scaled, convergence=screen)


def _in_range(convergence: float) -> float:
    """The screen, if it is where settings may have it."""
    if not -0.5 <= convergence <= 0.5:
        raise ConfigError(
            f"the screen would lie at {convergence:.2f} of the width, expected -0.5 to 0.5: is the map in another unit?"
        )
    return convergence
