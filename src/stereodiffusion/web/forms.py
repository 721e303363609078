"""From what is typed into the page, or sent by a program, to a request."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.models.cards import AUTO, preset_for
from stereodiffusion.request import DepthRequest, Pair, PhotoRequest, Request, TextRequest, request_from
from stereodiffusion.request.inputs import MapFile, MapKind, PictureFile, Unknown, UnknownName
from stereodiffusion.settings import Mode
from stereodiffusion.settings.presets import PresetName
from stereodiffusion.synthesis.rerender import Relief
from stereodiffusion.viewpoint import SourceEye

MAP_KINDS: Mapping[str, MapKind] = {
    "near is bright": "near-is-bright",
    "near is dark": "near-is-dark",
    "disparity in pixels": "disparity-px",
    "depth in metres": "depth-m",
}
"""What the page calls the kinds of maps."""

UNKNOWN: Mapping[str, Unknown] = {
    "NaN and infinite": "nonfinite",
    "0": "zero",
    "negative": "negative",
    "none: all are known": "none",
}
"""What the page calls the values of a map that mean "not known"; any other is a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMap:
    """A depth map that was sent, and what was said of it.

    Attributes:
        path: Of the file; None if there is none.
        kind: What its values are, as the page or a request calls it; "" leaves it to the file's format.
        unknown: Which of them mean "not known", as the page or a request calls it, or a number.
        scale: So many of its values are a pixel or a metre; None or 0 if nothing is said.
    """

    path: str | None
    kind: str = ""
    unknown: str = "nonfinite"
    scale: float | None = None

    def file(self) -> MapFile | None:
        """The map as requests have it.

        Raises:
            ConfigError: If something makes no sense.
        """
        if not self.path:
            return None
        kind = MAP_KINDS.get(self.kind, self.kind)
        if kind and kind not in get_args(MapKind):
            raise ConfigError(f"what its values are must be one of {', '.join(get_args(MapKind))}, got {self.kind!r}")
        said = cast(MapKind | None, kind or None)
        return MapFile(path=self.path, kind=said, unknown=parse_unknown(self.unknown), scale=self.scale or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What all modes have in common, in plain values, as the page and programs say them.

    Attributes:
        preset: Settings of the method.
        steps: None or 0 for the preset's; browsers show 0 where nothing is said.
        seed: Of the noise.
        strength: `parallax.max_disparity`; None for the preset's.
        convergence: `parallax.convergence`; None for the preset's.
        changes: JSON of further settings, by name.
        curve: `parallax.curve` as the command line has it, such as 0,0.7,1; "" for the preset's.
        source: Which eye the source is.
    """

    preset: str = "best"
    steps: float | None = None
    seed: float | None = 0
    strength: float | None = None
    convergence: float | None = None
    changes: str = ""
    curve: str = ""
    source: str = "left"

    def fields(self, model: str, mode: Mode) -> dict[str, Any]:
        """The fields of a request; of the changes, those that change something.

        Raises:
            ConfigError: If one makes no sense.
        """
        preset = cast(PresetName, self.preset)
        usual = preset_for(model, preset, mode)
        offered = {
            "sampling.steps": (_whole("steps", self.steps) or None, usual.sampling.steps),
            "parallax.max_disparity": (self.strength, usual.parallax.max_disparity),
            "parallax.convergence": (self.convergence, usual.parallax.convergence),
            "parallax.curve": (parse_curve(self.curve), list(usual.parallax.curve)),
        }
        changed = {name: value for name, (value, own) in offered.items() if value is not None and value != own}
        seed = _whole("seed", self.seed)
        return {
            "model": model,
            "preset": preset,
            "seed": 0 if seed is None else seed,
            "wanted": Pair(source=cast(SourceEye, self.source)),
            "changes": {**changed, **parse_changes(self.changes)},
        }


def parse_curve(text: str) -> list[float] | None:
    """A curve as it is typed, None if nothing is.

    Raises:
        ConfigError: If it is no list of numbers.
    """
    if not text.strip():
        return None
    try:
        return [float(place) for place in text.split(",")]
    except ValueError:
        raise ConfigError(f"parallax.curve must be numbers such as 0,0.7,1, got {text!r}") from None


def parse_unknown(said: str) -> Unknown:
    """Which values of a map mean "not known".

    Raises:
        ConfigError: If it is neither a name nor a number.
    """
    found = UNKNOWN.get(said, said)
    if found in get_args(UnknownName):
        return cast(UnknownName, found)
    try:
        return float(found)
    except ValueError:
        raise ConfigError(f"map.unknown must be one of {', '.join(UNKNOWN)}, or a number, got {said!r}") from None


def _whole(name: str, value: float | None) -> int | None:
    if value is not None and value != int(value):
        raise ConfigError(f"{name} must be a whole number, got {value}")
    return None if value is None else int(value)


def parse_changes(text: str) -> dict[str, Any]:
    """The settings in the box of all settings.

    Raises:
        ConfigError: If it holds no JSON object.
    """
    if not text.strip():
        return {}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise ConfigError('all settings: expected a JSON object such as {"shift.at": 0.3}, got something else')
    return cast(dict[str, Any], said)


def text_request(model: str, prompt: str, negative: str, options: Options) -> TextRequest:
    """A request of text mode.

    Raises:
        StereoDiffusionError: If something makes no sense.
    """
    return TextRequest(prompt=prompt, negative=negative, **options.fields(model, "text"))


def depth_request(
    model: str, sent: SentMap, prompt: str, negative: str, options: Options, *, two_step: bool = False
) -> DepthRequest:
    """A request of depth mode, of a file that was sent.

    Raises:
        StereoDiffusionError: If something makes no sense.
    """
    given = sent.file()
    if given is None:
        raise FormatError("there is no depth map yet: choose a file, or an example")
    fields = options.fields(model, "depth")
    return DepthRequest(map=given, prompt=prompt, negative=negative, two_step=two_step, **fields)


def photo_request(model: str, path: str | None, sent: SentMap, prompt: str, options: Options) -> PhotoRequest:
    """A request of photo mode, of files that were sent; depth is estimated where there is no map.

    Raises:
        StereoDiffusionError: If something makes no sense.
    """
    if not path:
        raise FormatError("there is no photo yet: choose a file, or an example")
    fields = options.fields(model, "photo")
    return PhotoRequest(photo=PictureFile(path=path), map=sent.file(), prompt=prompt, **fields)


def says_parallax(request: Request) -> bool:
    """Whether a map says itself how far things move, so that a strength has nothing to scale."""
    given = getattr(request, "map", None)
    in_pixels = isinstance(given, MapFile) and (given.kind in (None, "disparity-px") or given.has_camera)
    return in_pixels and request.settings().parallax.scale == "metric"


def with_relief(request: Request, relief: Relief, spread: float) -> Request:
    """The request with other parallax, said in numbers: what was to be found in the map, or to fit a display, is left.

    Args:
        request: What was made.
        relief: What is wanted.
        spread: Parallax that the farthest and the nearest point then have between them, as a fraction of the width.

    Raises:
        ConfigError: If it has no effect there.
    """
    groups = ("parallax.", "viewing.")
    kept = {
        name: value
        for name, value in request.changes.items()
        if name == "parallax.scale" or not name.startswith(groups)
    }
    request = replace(request, changes=kept)
    parallax = request.settings().parallax
    changed: dict[str, object] = {}
    if says_parallax(request):
        changed["parallax.budget_percent"] = round(100 * spread, 3)
    elif abs(relief.strength - parallax.max_disparity) > 1e-9:
        changed["parallax.max_disparity"] = relief.strength
    if parallax.convergence == "auto" or abs(relief.convergence - parallax.convergence) > 1e-9:
        changed["parallax.convergence"] = relief.convergence
    if relief.curve != parallax.curve:
        changed["parallax.curve"] = list(relief.curve)
    return request.changed(changed)


def with_map(request: Request, source: Path, edited: Path) -> DepthRequest | PhotoRequest:
    """The request that uses a depth map that was edited.

    Of a map a picture is drawn again. A photo, and a picture that was drawn from text, stay as they are: the latter is
    then treated as a photo.

    Args:
        request: What was made.
        source: Its source picture.
        edited: The map, near is bright.
    """
    given = MapFile(path=str(edited), kind="near-is-bright")
    if isinstance(request, DepthRequest):
        return replace(request, map=given)
    if isinstance(request, PhotoRequest):
        return replace(request, map=given, estimator=AUTO)
    usable = {name: value for name, value in request.changes.items() if name.startswith(("parallax.", "warp."))}
    return PhotoRequest(
        model=request.model,
        preset=request.preset,
        seed=request.seed,
        changes=usable,
        photo=PictureFile(path=str(source)),
        map=given,
        prompt=request.prompt,
    )


_PLACE = re.compile(r"(?<![\w:/])/\S*/")  # where a file lies on this machine, before its name


def without_places(line: str) -> str:
    """A line that says of files of this machine their names alone."""
    return _PLACE.sub("", line)


def public(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A request's JSON with the names of files instead of where this machine keeps them."""
    said = dict(plain)
    for name in ("photo", "map"):
        if isinstance(said.get(name), Mapping) and "path" in said[name]:
            said[name] = {**said[name], "path": Path(said[name]["path"]).name}
    return said


def loaded(content: str, model: str) -> Request:
    """A request that a client has in a file: for this model, of files that are sent again.

    Raises:
        ConfigError: If it is none, or for another model or estimator.
        StereoDiffusionError: If its values make no sense.
    """
    try:
        request = request_from(json.loads(content))
    except (ValueError, RecursionError) as refused:
        if isinstance(refused, ConfigError):
            raise
        raise ConfigError("expected a request as JSON, got something else") from None
    if request.model != model:
        raise ConfigError(f"the request is for model {request.model}, this page has {model}")
    return request
