"""What the page says, in plain words: how far a run is, and why something is refused."""

import re
from collections.abc import Mapping
from html import escape

from stereodiffusion.synthesis.run import Stage
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
    "--map-kind": "What its values are:",
    "parallax.max_disparity": "Strength",
    "parallax.convergence": "Screen",
    "sampling.steps": "Steps",
}
"""What the page calls options of the command line and settings."""


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


_PLACE = re.compile(r"(?<![\w:/])/\S*/")  # where a file lies on this machine, before its name


def without_places(line: str) -> str:
    """A line that says of files of this machine their names alone."""
    return _PLACE.sub("", line)


def in_words(line: str) -> str:
    """A line in which controls are called as the page calls them."""
    line = without_places(line)
    for name, control in _CONTROLS.items():
        line = line.replace(name, control)
    return line


def said(line: str) -> str:
    """A line that is no error, as HTML."""
    return f'<div class="status" role="status">{escape(line)}</div>'
