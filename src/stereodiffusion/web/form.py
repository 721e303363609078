"""What people fill in: the three modes as tabs, and the options that all of them have."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import gradio as gr

from stereodiffusion.request import DepthRequest, Pair, PhotoRequest, Request, TextRequest, prompts_of
from stereodiffusion.request.inputs import MapFile
from stereodiffusion.settings import Mode
from stereodiffusion.settings.presets import preset_names
from stereodiffusion.web.forms import (
    MAP_KINDS,
    UNKNOWN,
    Options,
    SentMap,
    depth_request,
    photo_request,
    text_request,
)
from stereodiffusion.web.results import curve_through, middle_of

STATIC = Path(__file__).parent / "static"

Said = Mapping[Any, Any]
"""What the controls say, by control."""

_PROMPTS = (
    "a red ball in front of a striped blue box",
    "a green cone beside a yellow ball",
    "a checkered box behind a white ball",
)
_SCENE = "a yellow block right of a blue striped cylinder on grass, blue sky"
_MAPS = [".png", ".tif", ".tiff", ".pfm", ".npy", ".exr"]
_AS_FILE_SAYS = "as its file says"
_EYES = {"left eye": "left", "right eye": "right", "between both": "centre"}


class MapControls(NamedTuple):
    """What is said of a depth map.

    Attributes:
        file: The map.
        kind: What its values are.
        unknown: Which of them mean "not known".
        scale: So many are a pixel or a metre.
    """

    file: gr.File
    kind: gr.Dropdown
    unknown: gr.Dropdown
    scale: gr.Number

    def sent(self, said: Said) -> SentMap:
        """The map that was sent."""
        kind = said[self.kind]
        return SentMap(
            path=said[self.file],
            kind="" if kind == _AS_FILE_SAYS else kind,
            unknown=said[self.unknown],
            scale=said[self.scale],
        )

    def filled(self, given: MapFile | None, *, files: bool) -> dict[Any, Any]:
        """The controls as a request has the map."""
        if given is None:
            return {self.file: None, self.kind: gr.skip(), self.unknown: "NaN and infinite", self.scale: 0}
        kinds = {kind: label for label, kind in MAP_KINDS.items()}
        unknown = {name: label for label, name in UNKNOWN.items()}
        return {
            self.file: given.path if files else None,
            self.kind: _AS_FILE_SAYS if given.kind is None else kinds[given.kind],
            self.unknown: unknown.get(given.unknown, f"{given.unknown}"),
            self.scale: given.scale or 0,
        }


class Form:
    """The controls of the left side, as they stand in the Gradio blocks that are being built."""

    def __init__(self) -> None:
        with gr.Tabs() as self.tabs:
            with gr.Tab("Text", id="text"):
                self.text_prompt = gr.Textbox(label="What the picture shows", lines=2, value=_PROMPTS[0])
                self.text_negative = gr.Textbox(label="What to steer away from", lines=1)
                gr.Examples([[each] for each in _PROMPTS], [self.text_prompt], label="Examples")
                self.text_make, self.text_line = _button()
            with gr.Tab("Depth map", id="depth"):
                self._depth_tab()
            with gr.Tab("Photo", id="photo"):
                self._photo_tab()
        self.stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
        with gr.Accordion("Options", open=False):
            self._options()

    def _depth_tab(self) -> None:
        file = gr.File(label="Depth map", file_types=_MAPS, height=110)
        kind = gr.Dropdown([*MAP_KINDS, _AS_FILE_SAYS], label="What its values are", value=next(iter(MAP_KINDS)))
        self.depth_prompt = gr.Textbox(label="What the picture shows", lines=2)
        with gr.Accordion("More about the map and the picture", open=False):
            self.depth_negative = gr.Textbox(label="What to steer away from", lines=1)
            self.depth_map = MapControls(file, kind, *_more_of_a_map())
            self.two_step = gr.Checkbox(
                label="Draw the picture first", info="then treat it as a photo: slower, as the paper's Fig. 7"
            )
        example = [str(STATIC / "example-depth.png"), "near is bright", _SCENE]
        gr.Examples(
            [example], [file, kind, self.depth_prompt], label="Example", example_labels=["a block beside a cylinder"]
        )
        self.depth_make, self.depth_line = _button()

    def _photo_tab(self) -> None:
        self.photo = gr.Image(
            label="Photo", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=220
        )
        self.photo_prompt = gr.Textbox(label="What the photo shows (may be empty)", lines=1)
        with gr.Accordion("Its depth map, and which eye it is", open=False):
            self.eye = gr.Radio(list(_EYES), value="left eye", label="The photo is seen by the")
            file = gr.File(label="Its depth map (estimated without one)", file_types=_MAPS, height=110)
            kind = gr.Dropdown([_AS_FILE_SAYS, *MAP_KINDS], label="What its values are", value=_AS_FILE_SAYS)
            self.photo_map = MapControls(file, kind, *_more_of_a_map())
        example = [str(STATIC / "example-photo.png"), ""]
        gr.Examples(
            [example], [self.photo, self.photo_prompt], label="Example", example_labels=["a block beside a cylinder"]
        )
        self.photo_make, self.photo_line = _button()

    def _options(self) -> None:
        self.preset = gr.Radio(
            list(preset_names()), value="best", label="Method", info="best, fast, or as in the paper"
        )
        with gr.Row():
            self.steps = gr.Number(label="Steps", info="0: as the method has it", value=0, precision=0)
            self.seed = gr.Number(label="Seed", info="the same again: the same picture", value=0, precision=0)
        self.changes = gr.Textbox(
            label="All settings", info='of the method, as JSON: {"shift.at": 0.3}', lines=2, elem_id="changes"
        )

    @property
    def options(self) -> list[Any]:
        """What all modes have in common."""
        return [self.preset, self.steps, self.seed, self.changes]

    def of(self, mode: Mode) -> list[Any]:
        """The controls of one mode."""
        match mode:
            case "text":
                return [self.text_prompt, self.text_negative]
            case "depth":
                return [*self.depth_map, self.depth_prompt, self.depth_negative, self.two_step]
            case "photo":
                return [self.photo, self.photo_prompt, self.eye, *self.photo_map]

    @property
    def all(self) -> list[Any]:
        """All controls that a request fills."""
        return [self.tabs, *self.of("text"), *self.of("depth"), *self.of("photo"), *self.options]

    def request(self, mode: Mode, model: str, said: Said, strength: float, convergence: float, curve: str) -> Request:
        """The request that is filled in.

        Args:
            mode: Which.
            model: The page's.
            said: What `of(mode)` and `options` say.
            strength: Of what has no strength of its own.
            convergence: What lies on the screen.
            curve: Of the relief.

        Raises:
            StereoDiffusionError: If something makes no sense.
        """
        sent = {"depth": self.depth_map, "photo": self.photo_map}[mode].sent(said) if mode != "text" else None
        given = None if sent is None else sent.file()
        in_pixels = given is not None and given.kind in (None, "disparity-px")  # it says how far things move
        options = Options(
            preset=said[self.preset],
            steps=said[self.steps],
            seed=said[self.seed],
            strength=None if in_pixels else strength,
            convergence=convergence,
            curve=curve,
            changes=said[self.changes] or "",
            source=_EYES[said[self.eye]] if mode == "photo" else "left",
        )
        match mode:
            case "text":
                return text_request(model, said[self.text_prompt], said[self.text_negative], options)
            case "depth" if sent is not None:
                prompt, negative = said[self.depth_prompt], said[self.depth_negative]
                return depth_request(model, sent, prompt, negative, options, two_step=said[self.two_step])
            case _:
                return photo_request(
                    model, said[self.photo], sent or SentMap(path=None), said[self.photo_prompt], options
                )

    def filled(self, request: Request, *, files: bool = True) -> dict[Any, Any]:
        """The controls as a request has them.

        Args:
            request: Of any mode.
            files: Whether its files are there; a client's own have to be sent again.
        """
        further = {name: value for name, value in request.changes.items() if not _has_control(name, value)}
        filled: dict[Any, Any] = {
            self.tabs: gr.Tabs(selected=request.mode),
            self.preset: request.preset,
            self.steps: request.changes.get("sampling.steps", 0),
            self.seed: request.seed,
            self.changes: json.dumps(further) if further else "",
        }
        prompt = prompts_of(request.prompt)[0]
        match request:
            case TextRequest():
                return filled | {self.text_prompt: prompt, self.text_negative: request.negative}
            case DepthRequest():
                own = {
                    self.depth_prompt: prompt,
                    self.depth_negative: request.negative,
                    self.two_step: request.two_step,
                }
                return filled | own | self.depth_map.filled(request.map, files=files)
            case PhotoRequest():
                eye = request.wanted.source if isinstance(request.wanted, Pair) else "left"
                eyes = {name: label for label, name in _EYES.items()}
                photo = request.photo.path if files else None
                own = {self.photo: photo, self.photo_prompt: prompt, self.eye: eyes[eye]}
                return filled | own | self.photo_map.filled(request.map, files=files)


def _has_control(name: str, value: object) -> bool:
    """Whether a changed setting is what a control shows: a screen yet to be found and a richer curve are not."""
    match name:
        case "parallax.convergence":
            return value != "auto"
        case "parallax.curve":
            curve = tuple(cast(Sequence[float], value))
            return curve_through(middle_of(curve)) == curve
        case _:
            return name in ("sampling.steps", "parallax.max_disparity")


def _more_of_a_map() -> tuple[gr.Dropdown, gr.Number]:
    """What is seldom said of a map."""
    unknown = gr.Dropdown(
        list(UNKNOWN),
        value="NaN and infinite",
        label="Unknown values",
        info="which mean “not known”; or type a number",
        allow_custom_value=True,
    )
    scale = gr.Number(value=0, label="Values per unit", info="so many are a pixel or a metre; 0: one")
    return unknown, scale


def _button() -> tuple[gr.Button, gr.HTML]:
    """What starts a run, and where it says how far it is."""
    return gr.Button("Make a stereo pair", variant="primary"), gr.HTML("")
