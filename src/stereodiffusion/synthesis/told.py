"""The disparity of a pair that was made here, told again by its request."""

from collections.abc import Generator, Mapping

from stereodiffusion.errors import StereoDiffusionError
from stereodiffusion.geometry import Disparity
from stereodiffusion.request import DepthRequest, Pair, PhotoRequest, Request, request_from
from stereodiffusion.request.inputs import MapFile, checked_digest
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis.borders import refined
from stereodiffusion.synthesis.controls import Controlled, controlled
from stereodiffusion.synthesis.inputs import disparity_of
from stereodiffusion.synthesis.parallax import effective
from stereodiffusion.synthesis.run import Note
from stereodiffusion.types import Image


def told_disparity(recorded: Mapping[str, object], left: Image) -> Disparity | None:
    """The disparity that the request of a pair says, of its left picture as it is shown.

    It says it where the left eye was the source and had a map, and that is still there and the same; borders that
    were moved to the picture's are moved there again. What was estimated would have to be made again.

    Args:
        recorded: What is written in the pair's file.
        left: Its left picture.

    Returns:
        The disparity; None where it is not said.
    """
    try:
        request = _with_map(request_from(recorded.get("request")))
        return None if request is None else _shown(request, left)
    except StereoDiffusionError:  # the map is gone, or it is another one by now
        return None


def _with_map(request: Request) -> DepthRequest | PhotoRequest | None:
    """The request, if its map settles the disparity."""
    if not isinstance(request, DepthRequest | PhotoRequest) or not isinstance(request.map, MapFile):
        return None
    is_left = isinstance(request.wanted, Pair) and request.wanted.source == "left"
    if not is_left or not request.map.sha256:
        return None
    checked_digest(request.map)
    return request


def _settings_of(request: Request) -> Settings:
    return request.photo_settings() if isinstance(request, DepthRequest) and request.two_step else request.settings()


def _shown(request: DepthRequest | PhotoRequest, left: Image) -> Disparity | None:
    """As the modes take it: a photo's map on the photo's grid, a map that is drawn on its own."""
    found = disparity_of(request, [])
    if found is None:
        return None
    size, settings = (left.shape[2], left.shape[3]), _settings_of(request)
    fitting = (settings if settings.map.refine == "all" else request.settings()).map
    is_photo = isinstance(request, PhotoRequest)
    moved = fitting.refine == "all" or (fitting.refine == "estimated" and not is_photo)
    dense = found.resize(*size).filled() if is_photo else found.filled()
    picture = left if is_photo or not settings.together else None
    if moved and picture is not None:
        dense = refined(dense.resize(*size), picture, fitting)
    ready = _result(controlled(dense, picture, settings))
    return effective(ready.disparity.resize(*size), ready.settings.parallax)


def _result(work: Generator[Note, None, Controlled]) -> Controlled:
    while True:
        try:
            next(work)
        except StopIteration as finished:
            return finished.value
