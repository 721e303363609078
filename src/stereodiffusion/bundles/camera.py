"""The cameras of a pair, where its request says of them: metric depth, a focal length and a baseline."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from stereodiffusion.formats import read_map
from stereodiffusion.geometry import StereoRig
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import Request
from stereodiffusion.request.inputs import MapFile


def camera_of(request: Request, pair: StereoPair) -> StereoRig | None:
    """The cameras that a pair was made for; None where nobody said, or the relief was scaled after it was said.

    Moving the screen into the scene is what `doffs` is: the right eye's centre is moved by as many columns.

    Args:
        request: What was asked for; its map is where it was.
        pair: What came of it.

    Raises:
        FormatError: If the map cannot be read any more.
    """
    given, parallax = getattr(request, "map", None), request.settings().parallax
    if not isinstance(given, MapFile) or given.baseline_m is None:
        return None
    if (
        parallax.scale != "metric"
        or not parallax.straight
        or (parallax.budget_percent, parallax.budget_degrees)
        != (
            None,
            None,
        )
    ):
        return None
    width = pair.size[1]
    if given.fov_degrees is not None:
        rig = StereoRig.with_view(given.fov_degrees, given.baseline_m, width)
    else:
        of_map = StereoRig(focal_px=cast(float, given.focal_px), baseline_m=given.baseline_m)
        rig = of_map.resized(width / read_map(given.path).values.shape[-1])
    return replace(rig, doffs_px=_screen(pair) * width)


def _screen(pair: StereoPair) -> float:
    """The parallax that lies on the screen, a fraction of the width, after it was found."""
    resolved = cast(Mapping[str, Any], pair.provenance.get("resolved") or {})
    return float(resolved["settings"]["parallax"]["convergence"]) if resolved else 0.0
