"""Which depth estimator a picture gets where nobody says which: `auto`."""

from dataclasses import dataclass, replace
from pathlib import Path

from stereodiffusion.errors import ModelUnavailableError
from stereodiffusion.models.cards import AUTO, find_card
from stereodiffusion.models.estimators.locating import EMBEDDED, EMBEDDED_FOR_PHOTOGRAPHS, locate
from stereodiffusion.models.hub import DEFAULT, Hub

FOR_PHOTOGRAPHS = "depth-anything-v2-small"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An estimator, and why it is not the best there is.

    Attributes:
        name: As `load_depth_estimator` takes it.
        note: A line for people; None if there is nothing to say.
    """

    name: str
    note: str | None = None


def choose(asked: str | Path, *, drawn_by: str | None = None, hub: Hub = DEFAULT) -> Choice:
    """The estimator that is asked for; for `auto` the best that is to be had, which may have to be fetched.

    Args:
        asked: A name, a folder, or `auto`.
        drawn_by: The model that draws the picture; None for a photograph. What `toybox` draws, `toybox-depth` knows
            best. All other pictures are taken for photographs: Depth Anything V2 Small (Yang et al. 2024), if it is on
            disk or can be fetched, otherwise the embedded estimator.
        hub: How it is fetched.
    """
    if str(asked) != AUTO:
        return Choice(name=str(asked))
    if drawn_by == "toybox":
        return Choice(name=EMBEDDED)
    try:
        locate(FOR_PHOTOGRAPHS, replace(hub, revision=None, variant=None))
    except ModelUnavailableError as unavailable:
        return Choice(name=EMBEDDED_FOR_PHOTOGRAPHS, note=_note(unavailable))
    return Choice(name=FOR_PHOTOGRAPHS)


def _note(unavailable: ModelUnavailableError) -> str:
    card = find_card(FOR_PHOTOGRAPHS)
    size = "" if card is None else f" ({card.download_mb} MB)"
    reason = str(unavailable).partition("; ")[0]
    return (
        f"depth is estimated by the embedded {EMBEDDED_FOR_PHOTOGRAPHS}, which is coarse: {reason}; fetch "
        f"{FOR_PHOTOGRAPHS}{size} once with a network, or bring a map: --disparity"
    )
