"""The three modes behind one loaded model: what most people use."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from stereodiffusion import __version__
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Edit
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.alone import LOADING
from stereodiffusion.models.cards import AUTO, find_card
from stereodiffusion.models.estimators import DepthEstimator, load_depth_estimator
from stereodiffusion.models.estimators.choosing import choose
from stereodiffusion.models.hub import DEFAULT, Hub
from stereodiffusion.models.memory import PLENTY, Memory
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import (
    DepthRequest,
    Pair,
    PhotoRequest,
    Request,
    TextRequest,
    pipeline_name,
    prompts_of,
    with_digests,
)
from stereodiffusion.request.inputs import MapFile, PictureFile
from stereodiffusion.settings import PrecisionChoice
from stereodiffusion.settings.presets import PresetName
from stereodiffusion.synthesis.asking import check_request, device_of
from stereodiffusion.synthesis.conditioning import Prompted
from stereodiffusion.synthesis.depth import depth_source, two_step_source
from stereodiffusion.synthesis.inputs import disparity_of, fitted, photo_of
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.recorded import Recording
from stereodiffusion.synthesis.run import Run, Synthesis, Turns, ViewRun, ViewSynthesis, in_turns
from stereodiffusion.synthesis.stereo import pair_beside, views_beside
from stereodiffusion.synthesis.text import text_source
from stereodiffusion.types import Image
from stereodiffusion.viewpoint import SourceEye
from stereodiffusion.views import View

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

CheckSize: TypeAlias = Callable[[int, int], None]


class StereoDiffusion:
    """Makes stereo pairs from text, from a depth map and text, or from a photo.

    `run` takes a request; `text`, `depth` and `photo` make one of their arguments and give its pair.

    Attributes:
        name: What requests call the model.
        backbone: The text-conditioned model, loaded on first use.
        depth_backbone: The depth-conditioned model, loaded on first use.
    """

    def __init__(
        self,
        model: "str | Path | DiffusionPipeline" = "toybox",
        *,
        device: str | None = None,
        dtype: PrecisionChoice = "auto",
        depth_estimator: str | Path = AUTO,
        hub: Hub = DEFAULT,
        memory: Memory = PLENTY,
    ) -> None:
        self._model, self._hub, self._memory = model, hub, memory
        self._dtype: PrecisionChoice = dtype
        self._estimator_asked = depth_estimator
        self._estimators: dict[str, DepthEstimator] = {}
        self._backbones: dict[bool, Backbone] = {}
        self._device = device or device_of(model)
        check_request(model, depth_estimator, device=self._device, dtype=dtype, hub=hub)
        self.name = str(model) if isinstance(model, str | Path) else pipeline_name(_origin_of(model))

    @property
    def backbone(self) -> Backbone:
        """The text-conditioned model."""
        return self._loaded(depth=False)

    @property
    def depth_backbone(self) -> Backbone:
        """The depth-conditioned model: a sibling of its own for `toybox`, the model itself for SD2-depth."""
        return self._loaded(depth=True)

    def _loaded(self, *, depth: bool) -> Backbone:
        from stereodiffusion.models.backbones import load_backbone  # diffusers takes seconds to import

        with LOADING:  # a second thread waits for the first one's
            if depth not in self._backbones:
                where: dict[str, Any] = {"device": self._device, "dtype": self._dtype, "memory": self._memory}
                self._backbones[depth] = load_backbone(self._model, depth=depth, hub=self._hub, **where)
            return self._backbones[depth]

    def _estimator(self, name: str) -> DepthEstimator:
        """A monocular depth estimator, loaded on first use."""
        with LOADING:
            if name not in self._estimators:
                hub = self._hub.for_another
                self._estimators[name] = load_depth_estimator(name, device=self._device, dtype="float32", hub=hub)
            return self._estimators[name]

    def run(
        self,
        request: Request,
        *,
        check_size: CheckSize | None = None,
        edit: Edit | None = None,
        turns: Turns | None = None,
    ) -> Run | ViewRun:
        """Make what a request says.

        Args:
            request: Its files are read, and everything is checked that can be, before this returns.
            check_size: Told (height, width) of each eye as soon as that is known, so that it may refuse what could not
                be written, before any model is loaded.
            edit: What happens to the latents of the source after each of its steps, if it is drawn, and alone.
            turns: Entered for each turn of the work. Several runs of one model may go on at once, each in a thread of
                its own, if they hold one lock in turns that have networks.

        Returns:
            A `Run`, whose result is a pair, or a `ViewRun`, whose results are views, as the request wants it.

        Raises:
            ConfigError: If the request is for another model, its settings make no sense with what goes in, or there
                is an `edit` and no source that is drawn alone.
            FormatError: If a file cannot be read, or is not what the request says.
            GeometryError: If a photo or a map makes no sense.
            ModelError: If the model cannot be loaded or is of the wrong kind.
            PromptError: If the prompt cannot be encoded.
        """
        self._check_mine(request)
        if edit is not None:
            _check_drawn(request)
        request = with_digests(request)
        notes: list[str] = []
        recording, request = self._recording(request, notes, check_size or _any_size, edit)
        signature = self._signature(request)
        if isinstance(request.wanted, Pair):
            pair = pair_beside(recording, request.wanted.source)
            return Run(_signed_pair(pair if turns is None else in_turns(pair, turns), signature), notes)
        positions = request.wanted.positions
        views = views_beside(recording, positions)
        return ViewRun(_signed_views(views if turns is None else in_turns(views, turns), signature), positions, notes)

    def text(
        self,
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        preset: PresetName = "best",
        changes: Mapping[str, object] | None = None,
        seed: int = 0,
        size: tuple[int, int] | None = None,
        source: SourceEye = "left",
    ) -> StereoPair:
        """A stereo pair from a prompt, or a batch of pairs from several: see `TextRequest` and `run`."""
        return self._pair(
            TextRequest(
                model=self.name,
                prompt=cast(str, prompt),
                negative=negative,
                preset=preset,
                changes=changes or {},
                seed=seed,
                size=size,
                wanted=Pair(source=source),
            )
        )

    def depth(
        self,
        disparity: "Disparity | MapFile | str | Path",
        prompt: str | Sequence[str],
        *,
        negative: str = "",
        preset: PresetName = "best",
        changes: Mapping[str, object] | None = None,
        seed: int = 0,
        two_step: bool = False,
        source: SourceEye = "left",
    ) -> StereoPair:
        """A stereo pair from a picture that has the given disparity: see `DepthRequest` and `run`."""
        return self._pair(
            DepthRequest(
                model=self.name,
                map=cast(MapFile, disparity),
                prompt=cast(str, prompt),
                negative=negative,
                preset=preset,
                changes=changes or {},
                seed=seed,
                two_step=two_step,
                wanted=Pair(source=source),
            )
        )

    def photo(
        self,
        photo: "Image | str | Path",
        *,
        disparity: "Disparity | MapFile | str | Path | None" = None,
        prompt: str | Sequence[str] = "",
        preset: PresetName = "best",
        changes: Mapping[str, object] | None = None,
        seed: int = 0,
        source: SourceEye = "left",
    ) -> StereoPair:
        """A stereo pair from a photo, at the photo's size: see `PhotoRequest` and `run`."""
        return self._pair(
            PhotoRequest(
                model=self.name,
                photo=cast(PictureFile, photo),
                map=cast(MapFile | None, disparity),
                prompt=cast(str, prompt),
                preset=preset,
                changes=changes or {},
                seed=seed,
                wanted=Pair(source=source),
            )
        )

    def _pair(self, request: Request) -> StereoPair:
        return cast(Run, self.run(request)).result

    def _check_mine(self, request: Request) -> None:
        names = {self.name, *_names_of(self.name)}
        if request.model not in names:
            raise ConfigError(f"the request is for model {request.model}, this is {self.name}")
        estimator, own = getattr(request, "estimator", AUTO), str(self._estimator_asked)
        if AUTO not in (estimator, own) and estimator not in {own, *_names_of(own)}:
            raise ConfigError(f"the request is for depth estimator {estimator}, this has {own}")

    def _recording(
        self, request: Request, notes: list[str], check_size: CheckSize, edit: Edit | None
    ) -> tuple[Recording, Request]:
        """The work that gives the source, ready to begin, and the request with all that was chosen for it.

        Files are read and models loaded, what draws before what estimates.
        """
        if isinstance(request, TextRequest):
            return self._text_recording(request, notes, check_size, edit)
        if isinstance(request, PhotoRequest):
            return self._photo_recording(request, notes, check_size)
        asked = Prompted(prompts=prompts_of(request.prompt), negative=request.negative, seed=request.seed)
        given, settings = cast(Disparity, disparity_of(request, notes)), request.settings()
        if not request.two_step:
            return depth_source(self.depth_backbone, given, asked, settings, edit=edit), request
        backbones = self.depth_backbone, self.backbone
        return two_step_source(*backbones, given, asked, settings, request.photo_settings()), request

    def _text_recording(
        self, request: TextRequest, notes: list[str], check_size: CheckSize, edit: Edit | None
    ) -> tuple[Recording, TextRequest]:
        asked = Prompted(prompts=prompts_of(request.prompt), negative=request.negative, seed=request.seed)
        if request.size is not None:
            check_size(*request.size)
        backbone = self.backbone
        request = replace(request, estimator=self._chosen(request.estimator, self.name, notes))
        estimator = self._estimator(request.estimator)
        settings = request.settings()
        return text_source(backbone, estimator, asked, settings, size=request.size, edit=edit), request

    def _photo_recording(
        self, request: PhotoRequest, notes: list[str], check_size: CheckSize
    ) -> tuple[Recording, PhotoRequest]:
        disparity, photo = disparity_of(request, notes), photo_of(request.photo)
        check_size(photo.shape[2], photo.shape[3])
        prompts = prompts_of(request.prompt)
        asked = Prompted(prompts=prompts * len(photo) if len(prompts) == 1 else prompts, seed=request.seed)
        if disparity is not None:
            given = fitted(disparity, photo, request, notes)
            return photo_source(self.backbone, photo, given, asked, request.settings()), request
        backbone = self.backbone
        request = replace(request, estimator=self._chosen(request.estimator, None, notes))
        estimator = self._estimator(request.estimator)
        return photo_source(backbone, photo, estimator, asked, request.settings()), request

    def _chosen(self, asked: str, drawn_by: str | None, notes: list[str]) -> str:
        """The name of what estimates a picture's depth."""
        chosen = choose(self._estimator_asked if asked == AUTO else asked, drawn_by=drawn_by, hub=self._hub)
        if chosen.note is not None:
            notes.append(chosen.note)
        return chosen.name

    def _signature(self, request: Request) -> dict[str, object]:
        """What is written beside all that comes of a request: enough to make it again."""
        backbone = self.depth_backbone if isinstance(request, DepthRequest) else self.backbone
        machine = {
            "device": str(backbone.device),
            "dtype": str(backbone.dtype).removeprefix("torch."),
            **{name: value for name, value in asdict(self._memory).items() if value != getattr(PLENTY, name)},
            "python": platform.python_version(),
            **{name: _version_of(name) for name in ("torch", "diffusers", "transformers")},
            "revisions": _revisions(self.name, getattr(request, "estimator", AUTO)),
        }
        return {"version": __version__, "request": request.plain(), "machine": machine}


def load(
    model: "str | Path | DiffusionPipeline" = "toybox",
    *,
    device: str | None = None,
    dtype: PrecisionChoice = "auto",
    depth_estimator: str | Path = AUTO,
    hub: Hub = DEFAULT,
    memory: Memory = PLENTY,
) -> StereoDiffusion:
    """A model ready to make stereo pairs.

    Args:
        model: `toybox`, the name of a card, a hub id, also with `@revision`, a folder in diffusers' layout, a
            `.safetensors` file, or a pipeline of diffusers that you already have (its LoRAs, dtype, device and
            offloading are kept).
        device: Where to compute: `cpu`, `cuda`, `mps`; a pipeline's own, otherwise `cpu`, if None.
        dtype: `float32`, `float16`, `bfloat16`, or `auto`: the fastest that the device is good at, bfloat16 on
            processors that multiply in it, float16 on CUDA, otherwise float32.
        depth_estimator: The name of a card, a hub id or a folder; `auto` is `toybox-depth` for what `toybox` draws,
            and for all other pictures the best that is to be had, see `stereodiffusion.models.estimators.choosing`.
        hub: Which revision and variant of a model of the hub, and how it is fetched, as in diffusers.
        memory: What is done for a device with little memory, such as `Memory(offload="model", tiles=True)`.

    Raises:
        ModelError: If it can be seen at once that the model cannot be loaded; what has to be fetched or read for that
            is found on first use, and parts that a mode does not need are not looked for.
        ConfigError: If there is no such device or precision here.
    """
    return StereoDiffusion(model, device=device, dtype=dtype, depth_estimator=depth_estimator, hub=hub, memory=memory)


def _any_size(height: int, width: int) -> None:
    del height, width


def _signed_pair(synthesis: Synthesis, signature: Mapping[str, object]) -> Synthesis:
    pair = yield from synthesis
    return replace(pair, provenance={**signature, "resolved": dict(pair.provenance)})


def _signed_views(synthesis: ViewSynthesis, signature: Mapping[str, object]) -> ViewSynthesis:
    for event in synthesis:
        if isinstance(event, View):
            event = replace(event, provenance={**signature, "resolved": dict(event.provenance)})
        yield event


def _check_drawn(request: Request) -> None:
    photo = isinstance(request, PhotoRequest) or (isinstance(request, DepthRequest) and request.two_step)
    if photo or request.settings().together:
        raise ConfigError(
            "an edit of the source's steps is for one that is drawn alone, from a prompt or a map with fast or best"
        )


def _names_of(name: str) -> tuple[str, ...]:
    card = find_card(name)
    return () if card is None else (card.name, card.repository or card.name)


def _revisions(*names: str) -> dict[str, str]:
    cards = [card for name in names if (card := find_card(name)) is not None]
    return {card.name: card.revision for card in cards if card.revision is not None}


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _origin_of(pipeline: "DiffusionPipeline") -> str:
    return str(getattr(pipeline, "config", {}).get("_name_or_path") or "")
