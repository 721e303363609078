"""How large parallax is: from what a map or an estimator says to the disparity that a pair will have.

| what is known | disparity, before `effective` |
|---|---|
| pixels, or metres and the camera | as given: `meant` |
| metres alone, or relative depth | the nearest point has `parallax.max_disparity` of the width |

What is asked of the scene or the viewer changes that first, see `controls`. Then `effective` maps the whole range to
`max_disparity` again where `parallax.scale` is `normalized`, as the paper does, and moves what has the parallax
`parallax.convergence` to the screen.
"""

from collections.abc import Generator

from stereodiffusion.formats import MapKind, RawMap, disparity_from_map
from stereodiffusion.geometry import Disparity, StereoRig
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.request.inputs import MapFile
from stereodiffusion.settings import Parallax, Settings
from stereodiffusion.synthesis.borders import refined
from stereodiffusion.synthesis.run import Turn
from stereodiffusion.types import Image


def effective(disparity: Disparity, parallax: Parallax) -> Disparity:
    """The disparity that a pair will have, on the grid it is given on: scaled as the settings say, then converged."""
    if parallax.scale == "normalized":
        nearest_px = parallax.max_disparity * disparity.width
        disparity = Disparity.from_relative(disparity.pixels, nearest_px, known=disparity.known)
    return disparity.converged_at(parallax.zero * disparity.width) if parallax.zero else disparity


def estimate(estimator: DepthEstimator, picture: Image, settings: Settings) -> Disparity:
    """The disparity of a picture as far as it can be told from the picture alone."""
    return _with_borders(_relative(estimator, picture, settings), estimator, picture, settings)


def estimating(estimator: DepthEstimator, picture: Image, settings: Settings) -> Generator[Turn, None, Disparity]:
    """The same as `estimate`, in turns: a network, then pixels."""
    yield Turn(stage="depth", networks=True)
    disparity = _relative(estimator, picture, settings)
    yield Turn(stage="borders", networks=False)
    return _with_borders(disparity, estimator, picture, settings)


def _relative(estimator: DepthEstimator, picture: Image, settings: Settings) -> Disparity:
    nearest_px = settings.parallax.max_disparity * picture.shape[3]
    return Disparity.from_relative(estimator(picture), nearest_px)


def _with_borders(disparity: Disparity, estimator: DepthEstimator, picture: Image, settings: Settings) -> Disparity:
    if settings.map.refine == "off" or not estimator.has_borders:
        return disparity
    return refined(disparity, picture, settings.map)


def meant(raw: RawMap, kind: MapKind, given: MapFile, parallax: Parallax) -> Disparity:
    """The disparity that the values of a map mean.

    Args:
        raw: The values.
        kind: What they are.
        given: What was said of them: scale, unknown values, the camera.
        parallax: Scales what has no unit.

    Raises:
        GeometryError: If the values make no sense.
    """
    nearest_px = parallax.max_disparity * raw.values.shape[-1]
    unknown = given.unknown
    if kind == "disparity-px":
        return disparity_from_map(raw, kind, scale=given.scale, unknown=unknown)
    if kind != "depth-m":
        return disparity_from_map(raw, kind, nearest_px=nearest_px, unknown=unknown)
    if rig := _camera(given, raw.values.shape[-1]):
        return disparity_from_map(raw, kind, scale=given.scale, rig=rig, unknown=unknown)
    # Without a camera disparity is still f B / Z; f B is the one that gives the nearest point the wanted parallax.
    unscaled = disparity_from_map(
        raw, kind, scale=given.scale, rig=StereoRig(focal_px=1.0, baseline_m=1.0), unknown=unknown
    )
    largest = float(unscaled.pixels.max())
    return unscaled.scaled(nearest_px / largest) if largest > 0 else unscaled


def _camera(given: MapFile, width: int) -> StereoRig | None:
    """The cameras that are said of a map so many columns wide."""
    if given.baseline_m is None:
        return None
    if given.fov_degrees is not None:
        return StereoRig.with_view(given.fov_degrees, given.baseline_m, width)
    return None if given.focal_px is None else StereoRig(focal_px=given.focal_px, baseline_m=given.baseline_m)
