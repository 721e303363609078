"""The nodes: a model, a source from text, depth or a photo, and a pair or views beside it.

Nodes make requests and run them, nothing else. Pictures are ComfyUI's: IMAGE is (b, h, w, 3) and MASK (b, h, w), both
float in [0, 1]. ComfyUI runs nodes in torch's inference mode, in which null-text inversion could have no gradients;
what runs here steps out of it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, cast, get_args

import torch
from torch import Tensor

import stereodiffusion
from stereodiffusion.errors import FormatError, GeometryError
from stereodiffusion.formats import OUTPUT_FORMATS, RawMap, from_pil, shows_whole
from stereodiffusion.formats.pictures.image import STILL_SUFFIXES
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.cards import CARDS, preset_for
from stereodiffusion.models.cards import find_card as card_of
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import DepthRequest, Pair, PhotoRequest, Request, TextRequest, Views
from stereodiffusion.request.inputs import MapFile
from stereodiffusion.settings import Mode, PrecisionChoice

if TYPE_CHECKING:
    from stereodiffusion.synthesis import Run, StereoDiffusion, ViewRun

from .host import checkpoint, checkpoints, device_of, follow, output_folder
from .inputs import changes_of, inputs_of, settings_inputs

Inputs: TypeAlias = dict[str, dict[str, tuple[Any, ...]]]
Changes: TypeAlias = Mapping[str, Any]

_CATEGORY = "StereoDiffusion"
_OPTIONAL_SETTINGS: dict[str, tuple[Any, ...]] = {"settings": ("STEREO_SETTINGS",)}


class Source(NamedTuple):
    """What is asked of which model."""

    model: "StereoDiffusion"
    request: Request


class Loader:
    """Loads a model by its name, from ComfyUI's checkpoints, or from anywhere."""

    CATEGORY = _CATEGORY
    FUNCTION = "load"
    RETURN_TYPES = ("STEREO_MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        named = [card.name for card in CARDS if card.kind != "depth-estimator"]
        where = {"default": "", "tooltip": "Instead: a repository of the hub, a folder or a .safetensors file."}
        device = {"default": "auto", "tooltip": "auto (ComfyUI's own), cpu, cuda, mps ..."}
        return {
            "required": {
                "model": ([*named, *checkpoints()], {"default": "toybox"}),
                "other": ("STRING", where),
                **inputs_of(TextRequest, ("estimator",)),
                "device": ("STRING", device),
                "dtype": (list(get_args(PrecisionChoice)), {"default": "auto"}),
            }
        }

    def load(self, model: str, other: str, estimator: str, device: str, dtype: PrecisionChoice) -> tuple[Any]:
        """The model; its parts are read when they are first used."""
        where: str | Path = other.strip() or (model if card_of(model) else checkpoint(model))
        with torch.inference_mode(False):
            return (stereodiffusion.load(where, device=device_of(device), dtype=dtype, depth_estimator=estimator),)


class SettingsNode:
    """Changes to the preset, for any of the sources."""

    CATEGORY = _CATEGORY
    FUNCTION = "change"
    RETURN_TYPES = ("STEREO_SETTINGS",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        more = {"default": "", "tooltip": 'Any other settings by name as JSON, such as {"shift.at": 0.3}.'}
        return {"required": {**settings_inputs(), "more": ("STRING", more)}}

    def change(self, **given: str) -> tuple[Changes]:
        """The changes by name."""
        return (changes_of(given),)


class FromText:
    """A source that is drawn from a prompt."""

    CATEGORY = _CATEGORY
    FUNCTION = "ask"
    RETURN_TYPES = ("STEREO_SOURCE",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        side = {"default": 0, "min": 0, "max": 16384, "step": 8, "tooltip": "Of each eye in pixels; 0: the model's."}
        return {
            "required": {
                "model": ("STEREO_MODEL",),
                **inputs_of(TextRequest, ("prompt", "negative", "preset", "seed")),
                "width": ("INT", side),
                "height": ("INT", side),
            },
            "optional": _OPTIONAL_SETTINGS,
        }

    def ask(
        self, model: "StereoDiffusion", width: int, height: int, settings: Changes | None = None, **given: Any
    ) -> tuple[Source]:
        """The request."""
        if (width == 0) != (height == 0):
            raise GeometryError(f"expected width and height, or 0 for both, got {width} and {height}")
        size = (height, width) if height else None
        return (Source(model, TextRequest(model=model.name, size=size, changes=settings or {}, **given)),)


class FromDepth:
    """A source that is drawn from a depth map and a prompt."""

    CATEGORY = _CATEGORY
    FUNCTION = "ask"
    RETURN_TYPES = ("STEREO_SOURCE",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "model": ("STEREO_MODEL",),
                "depth": ("IMAGE",),
                **_map_inputs(),
                **inputs_of(DepthRequest, ("prompt", "negative", "preset", "seed", "two_step")),
            },
            "optional": _OPTIONAL_SETTINGS,
        }

    def ask(
        self, model: "StereoDiffusion", depth: Tensor, map_kind: Any, settings: Changes | None = None, **given: Any
    ) -> tuple[Source]:
        """The request."""
        disparity, changes = _disparity(depth, map_kind, model, given["preset"], settings or {}, "depth")
        request = DepthRequest(model=model.name, map=cast(MapFile, disparity), changes=changes, **given)
        return (Source(model, request),)


class FromPhoto:
    """A source that is a photo, with its depth or without."""

    CATEGORY = _CATEGORY
    FUNCTION = "ask"
    RETURN_TYPES = ("STEREO_SOURCE",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "model": ("STEREO_MODEL",),
                "photo": ("IMAGE",),
                **_map_inputs(),
                **inputs_of(PhotoRequest, ("prompt", "preset", "seed")),
            },
            "optional": {"depth": ("IMAGE",), **_OPTIONAL_SETTINGS},
        }

    def ask(
        self,
        model: "StereoDiffusion",
        photo: Tensor,
        map_kind: Any,
        depth: Tensor | None = None,
        settings: Changes | None = None,
        **given: Any,
    ) -> tuple[Source]:
        """The request."""
        with torch.inference_mode(False):
            picture, disparity, changes = _picture(photo), None, dict(settings or {})
            size = picture.shape[2], picture.shape[3]
            if depth is not None:
                disparity, changes = _disparity(depth, map_kind, model, given["preset"], changes, "photo")
                if not shows_whole(disparity.size, size):
                    got = f"{disparity.height}x{disparity.width} and {size[0]}x{size[1]}"
                    raise GeometryError(f"expected depth of the photo's shape, got {got}")
                disparity = disparity.resize(*size)
            request = PhotoRequest(
                model=model.name, photo=cast(Any, picture), map=cast(Any, disparity), changes=changes, **given
            )
        return (Source(model, request),)


class MakePair:
    """Both eyes."""

    CATEGORY = _CATEGORY
    FUNCTION = "make"
    RETURN_TYPES = ("STEREO_PAIR", "IMAGE", "IMAGE", "IMAGE", "MASK")
    RETURN_NAMES = ("pair", "left", "right", "depth", "occlusion")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        eye = inputs_of(Pair, ("source",))["source"]
        return {"required": {"source": ("STEREO_SOURCE",), "eye": eye}}

    def make(self, source: Source, eye: Any) -> tuple[StereoPair, Tensor, Tensor, Tensor, Tensor]:
        """The pair, its parts, and depth as a picture: near is bright."""
        request = replace(source.request, wanted=Pair(source=eye))
        with torch.inference_mode(False):
            run = cast("Run", source.model.run(request))
            follow(run)
            pair = run.result
            shown = Disparity.from_relative(pair.disparity.pixels, 1.0, pair.disparity.known).pixels
        return pair, _image(pair.left), _image(pair.right), _image(shown.expand(-1, 3, -1, -1)), _mask(pair.occlusion)


class MakeViews:
    """Views from several places, from left to right."""

    CATEGORY = _CATEGORY
    FUNCTION = "make"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("views", "occlusion")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        place = {"min": -4.0, "max": 4.0, "step": 0.05, "tooltip": "In baselines to the right of the source."}
        return {
            "required": {
                "source": ("STEREO_SOURCE",),
                "count": ("INT", {"default": 9, "min": 2, "max": 256}),
                "first": ("FLOAT", {"default": -0.5, **place}),
                "last": ("FLOAT", {"default": 0.5, **place}),
            }
        }

    def make(self, source: Source, count: int, first: float, last: float) -> tuple[Tensor, Tensor]:
        """The views as one batch."""
        request = replace(source.request, wanted=Views(positions=stereodiffusion.spread(count, first, last)))
        with torch.inference_mode(False):
            views = follow(cast("ViewRun", source.model.run(request)).steps)
        return _image(torch.cat([view.picture for view in views])), _mask(torch.cat([v.occlusion for v in views]))


class Pack:
    """Both eyes in one picture."""

    CATEGORY = _CATEGORY
    FUNCTION = "pack"
    RETURN_TYPES = ("IMAGE",)
    FORMATS: ClassVar[list[str]] = [
        name
        for name, form in OUTPUT_FORMATS.items()
        if len(form.parts) == 1 and set(form.suffixes) == set(STILL_SUFFIXES)
    ]

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"pair": ("STEREO_PAIR",), "format": (cls.FORMATS, {"default": "sbs"})}}

    def pack(self, pair: StereoPair, format: str) -> tuple[Tensor]:  # noqa: A002 - as StereoPair.save
        """One picture for each pair of the batch."""
        return (_image(torch.cat([from_pil(each.image(format)) for each in pair])),)


class Save:
    """Writes a pair with the request that made it, in any format."""

    CATEGORY = _CATEGORY
    FUNCTION = "save"
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        name = {"default": "stereo", "tooltip": "In ComfyUI's output folder; numbers are added, nothing is replaced."}
        return {
            "required": {
                "pair": ("STEREO_PAIR",),
                "name": ("STRING", name),
                "format": (list(OUTPUT_FORMATS), {"default": "sbs"}),
            }
        }

    def save(self, pair: StereoPair, name: str, format: str) -> dict[str, Any]:  # noqa: A002
        """Write it and name the files."""
        if Path(name).name != name or not name.strip("."):
            raise FormatError(f"expected a name without folders, got {name!r}")
        folder, suffix = output_folder(), OUTPUT_FORMATS[format].suffixes[0]
        taken = {file.name for file in folder.iterdir()}
        number = 0
        while any(other.startswith(f"{name}_{number:05}") for other in taken):
            number += 1
        written = pair.save(folder / f"{name}_{number:05}{suffix}", format)
        shown = [{"filename": file.name, "subfolder": "", "type": "output"} for file in written]
        return {"ui": {"images": [each for each in shown if not each["filename"].endswith(".mpo")]}}


def _map_inputs() -> dict[str, tuple[Any, ...]]:
    """What the values of a depth picture mean: those kinds that need no unit."""
    kinds, told = inputs_of(MapFile, ("kind",))["kind"]
    return {"map_kind": ([kind for kind in kinds if kind.startswith("near-")], told | {"default": "near-is-bright"})}


def _disparity(
    depth: Tensor, kind: Any, model: "StereoDiffusion", preset: Any, changes: Changes, mode: Mode
) -> tuple[Disparity, dict[str, Any]]:
    """The disparity that a depth picture means, and the changes that are left to be made."""
    from stereodiffusion.synthesis.parallax import meant  # ComfyUI starts the sooner

    parallax = preset_for(model.name, preset, mode).changed(changes).parallax
    given = MapFile(path="depth", kind=kind)
    with torch.inference_mode(False):
        maps = [
            meant(RawMap(values=each, bits=32, is_integer=False, name="depth"), kind, given, parallax)
            for each in _picture(depth).mean(dim=1)
        ]
    batch = Disparity(pixels=torch.cat([m.pixels for m in maps]), known=torch.cat([m.known for m in maps]))
    left = dict(changes)
    if parallax.scale == "metric":  # it is in pixels now
        left.pop("parallax.max_disparity", None)
    return batch, left


def _picture(image: Tensor) -> Tensor:
    """(b, 3, h, w) of an IMAGE; what lies above 1 by rounding is cut."""
    if image.ndim != 4 or image.shape[-1] not in (3, 4):
        raise GeometryError(f"expected an IMAGE (b, h, w, 3), got {tuple(image.shape)}")
    return image[..., :3].clone().float().movedim(-1, 1).clamp(0, 1).contiguous()


def _image(picture: Tensor) -> Tensor:
    return picture.detach().float().cpu().movedim(1, -1).contiguous()


def _mask(region: Tensor) -> Tensor:
    return region[:, 0].float().cpu()


NODE_CLASS_MAPPINGS: dict[str, type] = {
    "StereoDiffusionLoader": Loader,
    "StereoDiffusionSettings": SettingsNode,
    "StereoDiffusionFromText": FromText,
    "StereoDiffusionFromDepth": FromDepth,
    "StereoDiffusionFromPhoto": FromPhoto,
    "StereoDiffusionPair": MakePair,
    "StereoDiffusionViews": MakeViews,
    "StereoDiffusionPack": Pack,
    "StereoDiffusionSave": Save,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "StereoDiffusionLoader": "Stereo model",
    "StereoDiffusionSettings": "Stereo settings",
    "StereoDiffusionFromText": "Stereo source from text",
    "StereoDiffusionFromDepth": "Stereo source from depth",
    "StereoDiffusionFromPhoto": "Stereo source from photo",
    "StereoDiffusionPair": "Stereo pair",
    "StereoDiffusionViews": "Stereo views",
    "StereoDiffusionPack": "Pack stereo pair",
    "StereoDiffusionSave": "Save stereo pair",
}
