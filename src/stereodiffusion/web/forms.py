"""From what is typed into the page, or sent by a program, to a request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.models.cards import AUTO, preset_for
from stereodiffusion.request import DepthRequest, PhotoRequest, Request, TextRequest, request_from
from stereodiffusion.request.inputs import MapFile, MapKind, PictureFile
from stereodiffusion.settings import Mode
from stereodiffusion.settings.presets import PresetName

MAP_KINDS: Mapping[str, MapKind] = {
    "near is bright": "near-is-bright",
    "near is dark": "near-is-dark",
    "disparity in pixels (PFM, NPY)": "disparity-px",
    "depth in metres (PFM, NPY)": "depth-m",
}
"""What the page calls the kinds of maps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What all modes have in common.

    Attributes:
        preset: Settings of the method.
        steps: None or 0 for the preset's; browsers show 0 where nothing is said.
        seed: Of the noise.
        strength: `parallax.max_disparity`; None for the preset's.
        convergence: `parallax.convergence`; None for the preset's.
        changes: JSON of further settings, by name.
    """

    preset: str = "best"
    steps: float | None = None
    seed: float | None = 0
    strength: float | None = None
    convergence: float | None = None
    changes: str = ""

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
        }
        changed = {name: value for name, (value, own) in offered.items() if value is not None and value != own}
        seed = _whole("seed", self.seed)
        return {
            "model": model,
            "preset": preset,
            "seed": 0 if seed is None else seed,
            "changes": {**changed, **parse_changes(self.changes)},
        }


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
    model: str, path: str | None, kind: str, prompt: str, negative: str, options: Options
) -> DepthRequest:
    """A request of depth mode, of a file that was sent.

    Raises:
        StereoDiffusionError: If something makes no sense.
    """
    if not path:
        raise FormatError("there is no depth map yet: choose a file, or an example")
    given = MapFile(path=path, kind=MAP_KINDS.get(kind, cast(MapKind, kind)))
    return DepthRequest(map=given, prompt=prompt, negative=negative, **options.fields(model, "depth"))


def photo_request(model: str, path: str | None, prompt: str, options: Options) -> PhotoRequest:
    """A request of photo mode, of a file that was sent.

    Raises:
        StereoDiffusionError: If something makes no sense.
    """
    if not path:
        raise FormatError("there is no photo yet: choose a file, or an example")
    return PhotoRequest(photo=PictureFile(path=path), prompt=prompt, **options.fields(model, "photo"))


def with_parallax(request: Request, strength: float, convergence: float) -> Request:
    """The request with other parallax.

    Raises:
        ConfigError: If it has no effect there.
    """
    parallax = request.settings().parallax
    changed: dict[str, object] = {}
    if abs(strength - parallax.max_disparity) > 1e-9:
        changed["parallax.max_disparity"] = strength
    if abs(convergence - parallax.zero) > 1e-9:
        changed["parallax.convergence"] = convergence
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
