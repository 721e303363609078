"""Requests of the three modes, what they want, and their JSON form."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeAlias, cast

from stereodiffusion.errors import ConfigError, ModelError, PromptError
from stereodiffusion.models.cards import AUTO, Kind, find_card, names_of, preset_for
from stereodiffusion.request.inputs import InMemory, MapFile, PictureFile, as_map, as_picture, checked_digest
from stereodiffusion.request.kinds import settle_kinds
from stereodiffusion.request.usage import check_used
from stereodiffusion.settings import Mode, Settings
from stereodiffusion.settings.options import option
from stereodiffusion.settings.plain import from_plain, to_plain
from stereodiffusion.settings.presets import PresetName, preset_names
from stereodiffusion.viewpoint import EYES, SourceEye, checked_positions

VERSION = 1
"""Of the JSON form."""

_METHOD, _MAP = "Method", "Map"
_PIPELINE = "pipeline:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both eyes.

    Attributes:
        kind: Names this member of the union.
        source: Which eye the source is; beside `centre` both are made.
    """

    kind: Literal["pair"] = "pair"
    source: SourceEye = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Views from several places.

    Attributes:
        kind: Names this member of the union.
        positions: In baselines to the right of the source, from left to right; 0 is the source.
    """

    kind: Literal["views"] = "views"
    positions: tuple[float, ...]

    def __post_init__(self) -> None:
        checked_positions(self.positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What all requests have.

    Attributes:
        model: A name of `stereodiffusion models`, a repository of the hub, a folder or a `.safetensors` file.
        preset: Settings of the method.
        changes: Single settings that differ from it, by name, such as `{"shift.at": 0.3}`.
        wanted: A pair, or views.
        seed: Same request, same seed: same picture. 0 to 2^63 - 1.
    """

    mode: ClassVar[Mode]

    model: str = option(
        "toybox",
        "--model",
        "-m",
        panel=_METHOD,
        metavar="NAME",
        help="A name of `stereodiffusion models`, a repository of the hub, a folder or a .safetensors file.",
    )
    preset: PresetName = option(
        "best",
        "--preset",
        panel=_METHOD,
        help="Settings of the method: fast is the least cost, best goes beyond the paper, paper follows the authors' "
        "code. The options below change single settings of it, --set any.",
    )
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    wanted: Pair | Views = Pair()
    seed: int = option(0, "--seed", panel=_METHOD, metavar="N", help="Same command, same seed: same picture.")

    def _check(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be a whole number from 0 to 2^63 - 1, got {self.seed}")
        if self.preset not in preset_names():
            raise ConfigError(f"preset must be one of {', '.join(preset_names())}, got {self.preset!r}")
        if not isinstance(cast(object, self.wanted), Pair | Views):
            raise ConfigError(f"wanted must be a Pair or Views, got {self.wanted!r}")
        if isinstance(self.wanted, Pair) and self.wanted.source not in EYES:
            raise ConfigError(f"source must be one of {', '.join(EYES)}, got {self.wanted.source!r}")
        object.__setattr__(self, "changes", dict(self.changes))
        settings = self.settings()
        check_used(self.changes, [settings], self.mode)
        if settings.looks_at_map and len(prompts_of(getattr(self, "prompt", ""))) > 1:
            raise ConfigError(
                "a depth budget, a curve, comfort and a screen found in the map are of one picture: expected one "
                "prompt, got several"
            )
        alone = isinstance(self.wanted, Views) or self.wanted.source != "left"
        if settings.together and alone:
            raise ConfigError(
                f"{self.preset if self.preset == 'paper' else 'views together'} makes the right eye together with its "
                "source, the left: for another source or several views choose fast or best"
            )

    def settings(self) -> Settings:
        """The preset as it suits the model, changed.

        Raises:
            ConfigError: If there is no such setting, or a value is of a wrong type or out of range.
        """
        return preset_for(self.model, self.preset, self.mode).changed(self.changes)

    def changed(self, changes: Mapping[str, object]) -> Self:
        """The request with settings changed in addition to those it has already changed."""
        return replace(self, changes={**self.changes, **changes})

    def plain(self) -> dict[str, Any]:
        """As plain JSON values; what is as by default is left out, so that fields to come change no old request."""
        said: dict[str, Any] = {"version": VERSION, "mode": self.mode}
        for each in fields(self):
            value, default = getattr(self, each.name), each.default
            if each.default_factory is not MISSING:
                default = each.default_factory()
            if value != default:
                said[each.name] = _plain(value)
        return said

    @property
    def key(self) -> str:
        """A stable name: the SHA-256 of its JSON, in which files stand for their content, not for their paths.

        Raises:
            FormatError: If a file cannot be read.
        """
        said = with_digests(cast(Any, self)).plain()
        for file in ("photo", "map"):
            if isinstance(said.get(file), dict):
                said[file].pop("path", None)
        return hashlib.sha256(json.dumps(said, sort_keys=True, allow_nan=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest(_Common):
    """A pair or views from a prompt (Sec. 3.4 b).

    Attributes:
        prompt: What the picture shows; several make a batch, picture k with `seed + k`. Sums are rounded otherwise in
            a batch than alone, and a border that could go either way may: measured, up to 0.13 % of a right view's
            values differ by more than one of 255 levels. Requests of one prompt each give the same picture always.
        negative: What to steer away from.
        estimator: What estimates the picture's depth: a name, a repository or a folder; `auto` is the one
            that suits the model.
        size: (height, width) of each eye in pixels, multiples of the model's cell; the model's own if None.
    """

    mode: ClassVar[Mode] = "text"

    prompt: str | tuple[str, ...] = option(MISSING, metavar="PROMPT", help="What the picture shows.")
    negative: str = option("", "--negative", panel=_METHOD, metavar="TEXT", help="What to steer away from.")
    estimator: str = option(
        AUTO,
        "--depth-estimator",
        panel=_METHOD,
        metavar="NAME",
        help="What estimates depth: a name, a repository or a folder; auto is the one that suits the model.",
    )
    size: tuple[int, int] | None = option(
        None,
        "--size",
        panel=_METHOD,
        metavar="HxW",
        default_help="the model's",
        help="Height x width of each eye in pixels, as 256x384.",
    )

    def __post_init__(self) -> None:
        settle_kinds(self)
        _check_prompt(self)
        check_model(self.model, "text")
        check_estimator(self.estimator)
        self._check()


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthRequest(_Common):
    """A pair or views of a picture that has the depth of a map (Sec. 3.4 c).

    Attributes:
        map: Of the source, on any grid; its aspect ratio becomes the picture's.
        prompt: What the picture shows; several make a batch.
        negative: What to steer away from.
        two_step: Draw the source first, then treat it as a photo (Fig. 7).
    """

    mode: ClassVar[Mode] = "depth"

    map: MapFile = option(
        MISSING,
        metavar="MAP",
        help="PNG, TIFF, PFM or NPY. A PFM holds disparity in pixels unless --map-kind says otherwise; of other files "
        "--map-kind has to say what they hold.",
    )
    prompt: str | tuple[str, ...] = option(MISSING, metavar="PROMPT", help="What the picture shows.")
    negative: str = option("", "--negative", panel=_METHOD, metavar="TEXT", help="What to steer away from.")
    two_step: bool = option(
        False,
        "--two-step",
        panel=_METHOD,
        help="Make the source first, then treat it as a photo (the paper's Fig. 7): slower.",
    )

    def __post_init__(self) -> None:
        settle_kinds(self)
        object.__setattr__(self, "map", as_map(self.map))
        _check_prompt(self)
        check_model(self.model, "depth")
        card = find_card(self.model)
        if self.two_step and card is not None and card.kind == "depth":
            raise ModelError(f"{card.name} cannot treat its picture as a photo; --two-step is for toybox")
        self._check()

    def photo_settings(self) -> Settings:
        """Of the second of the two steps, in which views are made."""
        used = {name: value for name, value in self.changes.items() if name != "view_depth"}
        return preset_for(self.model, self.preset, "photo").changed(used)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRequest(_Common):
    """A pair or views of a photo, at the photo's size (Sec. 3.4 a).

    Attributes:
        photo: The source.
        map: Its depth or disparity; estimated if None.
        prompt: What the photo shows; may be empty.
        estimator: What estimates depth where there is no map; `auto` is the best for photographs that is to be had.
    """

    mode: ClassVar[Mode] = "photo"

    photo: PictureFile = option(MISSING, metavar="PHOTO", help="The picture: the left eye's, or what --source says.")
    map: MapFile | None = option(
        None,
        "--disparity",
        panel=_MAP,
        metavar="MAP",
        default_help="estimated",
        help="The photo's disparity in pixels of the map, or what --map-kind says: PNG, TIFF, PFM or NPY.",
    )
    prompt: str | tuple[str, ...] = option(
        "", "--prompt", panel=_METHOD, metavar="TEXT", help="What the photo shows; may be left out."
    )
    estimator: str = option(
        AUTO,
        "--depth-estimator",
        panel=_METHOD,
        metavar="NAME",
        help="What estimates depth: a name, a repository or a folder; auto is the best that can be had.",
    )

    def __post_init__(self) -> None:
        settle_kinds(self)
        object.__setattr__(self, "photo", as_picture(self.photo))
        object.__setattr__(self, "map", None if self.map is None else as_map(self.map))
        check_model(self.model, "text")
        check_estimator(self.estimator)
        if self.map is not None and self.estimator != AUTO:
            raise ConfigError("a map and a depth estimator exclude each other, got both")
        self._check()


Request: TypeAlias = TextRequest | DepthRequest | PhotoRequest

REQUESTS: Mapping[Mode, type[Request]] = {"text": TextRequest, "depth": DepthRequest, "photo": PhotoRequest}
"""The request of each mode."""


def request_from(said: object) -> Request:
    """The request that plain JSON values say.

    Raises:
        ConfigError: If the version is newer, a field is unknown, missing or of a wrong type, or a value out of range.
        ModelError: If a model is of the wrong kind.
        PromptError: If the prompt is empty.
    """
    if not isinstance(said, Mapping):
        raise ConfigError(f"expected a request as a JSON object, got {type(said).__name__}")
    told = dict(cast(Mapping[str, object], said))
    version, mode = told.pop("version", None), told.pop("mode", None)
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ConfigError(f"expected a request of version 1 to {VERSION}, got version {version!r}")
    if not isinstance(mode, str) or mode not in REQUESTS:
        raise ConfigError(f"expected a request with mode {', '.join(REQUESTS)}, got {mode!r}")
    for name in ("photo", "map"):
        if isinstance(told.get(name), str):  # the shorter way to name a file
            told[name] = {"path": told[name]}
    return from_plain(REQUESTS[cast(Mode, mode)], told)


def with_digests(request: Request) -> Request:
    """The request with the SHA-256 of each of its files.

    Raises:
        FormatError: If a file cannot be read, or is not what its digest says.
    """
    found = {name: replace(file, sha256=checked_digest(file)) for name, file in files_of(request)}
    return replace(request, **cast(Any, found)) if found else request


def files_of(request: Request) -> Iterator[tuple[str, PictureFile | MapFile]]:
    """The files that go in, by field."""
    for name in ("photo", "map"):
        value = getattr(request, name, None)
        if isinstance(value, PictureFile | MapFile):
            yield name, value


def schema() -> dict[str, Any]:
    """JSON schema of a request, for forms, servers and editors."""
    from stereodiffusion.request.json_schema import schema_of

    return schema_of(REQUESTS, VERSION)


def pipeline_name(origin: str) -> str:
    """What a request calls a model that is in memory already; nobody else can load it."""
    return _PIPELINE + (origin or "unnamed")


def check_model(name: str, wanted: Kind) -> None:
    """Refuse what is known not to work; what is not known is left to the loading.

    Raises:
        ModelError: If there is no such model, or it is of another kind.
    """
    card = find_card(name)
    if card is None:
        if not name.startswith(_PIPELINE) and "/" not in name and not Path(name).suffix and not _is_there(name):
            raise ModelError(f"there is no model {name!r}; there are {names_of('text')} and {names_of('depth')}")
    elif card.kind == "depth-estimator":
        raise ModelError(f"{card.name} estimates depth and draws nothing; it is for --depth-estimator")
    elif card.kind != wanted and card.name != "toybox":
        needs = "takes no depth map" if wanted == "depth" else "works from a depth map only"
        raise ModelError(f"{card.name} {needs}; there are toybox, {names_of(wanted)}")


def check_estimator(name: str) -> None:
    """Refuse what is known to estimate no depth.

    Raises:
        ModelError: If it is known to be something else.
    """
    card = find_card(name)
    if card is not None and card.kind != "depth-estimator":
        raise ModelError(f"{card.name} does not estimate depth; there are {names_of('depth-estimator')}")


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # no file can have such a name
        return False


def _check_prompt(request: TextRequest | DepthRequest) -> None:
    prompts = prompts_of(request.prompt)
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise PromptError("the prompt is empty: say what the picture shows")


def prompts_of(prompt: str | Sequence[str]) -> list[str]:
    """One or several prompts, as a list."""
    return [prompt] if isinstance(prompt, str) else list(prompt)


def _plain(value: object) -> Any:
    if isinstance(value, InMemory):
        return {"sha256": value.sha256}
    if isinstance(value, PictureFile | MapFile):
        told = to_plain(value)
        return {each.name: told[each.name] for each in fields(value) if getattr(value, each.name) != each.default}
    if isinstance(value, tuple):
        return list(cast(tuple[object, ...], value))
    return to_plain(value) if hasattr(value, "__dataclass_fields__") else value
