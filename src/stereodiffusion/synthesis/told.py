"""The disparity of a pair that was made here, told again by its request."""

from collections.abc import Generator, Mapping

from stereodiffusion.errors import StereoDiffusionError
from stereodiffusion.geometry import Disparity
from stereodiffusion.request import DepthRequest, Pair, PhotoRequest, Request, request_from
from stereodiffusion.request.inputs import MapFile, checked_digest
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis.controls import Controlled, controlled
from stereodiffusion.synthesis.inputs import disparity_of
from stereodiffusion.synthesis.parallax import effective
from stereodiffusion.synthesis.run import Note
from stereodiffusion.types import Image


def told_disparity(recorded: Mapping[str, object], left: Image) -> Disparity | None:
    """The disparity that the request of a pair says, of its left picture as it is shown.

    It says it where the left eye was the source and had a map, and that is still there and the same. What was
    estimated, or had its borders moved to the picture's, would have to be made again.

    Args:
        recorded: What is written in the pair's file.
        left: Its left picture.

    Returns:
        The disparity; None where it is not said.
    """
    try:
        request = request_from(recorded.get("request"))
        given = _map_of(request)
        if given is None:
            return None
        checked_digest(given)
        return _shown(request, left)
    except StereoDiffusionError:  # the map is gone, or it is another one by now
        return None


def _map_of(request: Request) -> MapFile | None:
    """The map of a request that alone settles the disparity."""
    if not isinstance(request, DepthRequest | PhotoRequest) or not isinstance(request.map, MapFile):
        return None
    is_left = isinstance(request.wanted, Pair) and request.wanted.source == "left"
    return request.map if is_left and request.map.sha256 and _settings_of(request).map.refine != "all" else None


def _settings_of(request: Request) -> Settings:
    return request.photo_settings() if isinstance(request, DepthRequest) and request.two_step else request.settings()


def _shown(request: Request, left: Image) -> Disparity | None:
    """As the modes take it: a photo's map on the photo's grid, a map that is drawn on its own."""
    found = disparity_of(request, []) if isinstance(request, DepthRequest | PhotoRequest) else None
    if found is None:
        return None
    size, is_photo = (left.shape[2], left.shape[3]), isinstance(request, PhotoRequest)
    dense = found.resize(*size).filled() if is_photo else found.filled()
    ready = _result(controlled(dense, left if is_photo else None, _settings_of(request)))
    return effective(ready.disparity.resize(*size), ready.settings.parallax)


def _result(work: Generator[Note, None, Controlled]) -> Controlled:
    while True:
        try:
            next(work)
        except StopIteration as finished:
            return finished.value
