"""What the page says, in plain words: how far a run is, and why something is refused."""

import re
from collections.abc import Mapping
from html import escape

from stereodiffusion.synthesis.run import Stage
from stereodiffusion.web.forms import without_places
from stereodiffusion.web.results import Result
from stereodiffusion.web.studio import Event
from stereodiffusion.web.worker import Waiting

_STAGES: Mapping[Stage, str] = {
    "source": "Drawing the picture",
    "depth": "Estimating its depth",
    "inversion": "Tracing the photo back to noise",
    "null-text": "Fitting the photo",
    "view": "Drawing the other eye",
    "both views": "Drawing both eyes",
    "views": "Drawing the eyes",
    "crops": "Looking closer at what was hidden",
    "decoding": "Finishing",
}

_CONTROLS: Mapping[str, str] = {
    "--max-disparity": "Strength",
    "parallax.max_disparity": "Strength",
    "--convergence": "Screen",
    "parallax.convergence": "Screen",
    "parallax.curve": "Curve",
    "sampling.steps": "Steps",
    "--map-kind": "“What its values are”",
    "--map-unknown": "“Unknown values”",
    "map.unknown": "“Unknown values”",
    "--map-scale": "“Values per unit”",
    "map.scale": "“Values per unit”",
    "--two-step": "“Draw the picture first”",
    "hand it in (--disparity MAP)": "choose one",
    "--disparity": "“Its depth map”",
    "near-is-bright": "“near is bright”",
    "near-is-dark": "“near is dark”",
    "disparity-px": "“disparity in pixels”",
    "depth-m": "“depth in metres”",
}
"""What the page calls options of the command line, settings, and their values."""


def progress(event: Event) -> str:
    """How far a run is, as HTML."""
    if isinstance(event, Result):
        return ""
    if isinstance(event, Waiting):
        return _bar("Waiting" if not event.ahead else f"Waiting · {event.ahead} before you")
    if event.at is None:
        return _bar("Loading the model")
    line = f"{_STAGES[event.at.stage]} · {event.at.step} of {event.at.steps}"
    if event.left_s is not None and event.left_s >= 1:
        line += f" · {event.left_s:.0f} s left"
    return _bar(line, event.at.step / event.at.steps)


def _bar(line: str, share: float | None = None) -> str:
    value = "" if share is None else f' value="{share:.3f}"'
    return f'<div class="status" role="status"><progress{value} aria-label="progress"></progress>{escape(line)}</div>'


def refusal(error: Exception) -> str:
    """Why something is refused, as HTML: one line, in the page's own words."""
    line = in_words(" ".join(str(error).split()))
    return f'<div class="status"><p class="error" role="alert">{escape(line)}</p></div>'


_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")  # one for which the page has no control


def in_words(line: str) -> str:
    """A line in which controls are called as the page calls them."""
    line = without_places(line)
    for name, control in _CONTROLS.items():
        line = line.replace(name, control)
    return _OPTION.sub(lambda found: f"the command line's {found[1].replace('-', ' ')}", line)


def said(line: str) -> str:
    """A line that is no error, as HTML."""
    return f'<div class="status" role="status">{escape(line)}</div>'
