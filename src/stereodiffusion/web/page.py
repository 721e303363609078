"""What people see: the three modes as tabs, the pair, its depth, and what was made in the session."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import gradio as gr

from stereodiffusion.errors import StereoDiffusionError
from stereodiffusion.request import DepthRequest, Request, TextRequest, prompts_of
from stereodiffusion.settings.presets import preset_names
from stereodiffusion.web import telling
from stereodiffusion.web.api import add_endpoints
from stereodiffusion.web.forms import MAP_KINDS, Options, depth_request, loaded, photo_request, text_request
from stereodiffusion.web.results import Result
from stereodiffusion.web.studio import Studio
from stereodiffusion.web.worker import CancelledError

STATIC = Path(__file__).parent / "static"
HEAD = "".join(f'<script type="module" src="/stereo/static/{name}.js"></script>' for name in ("viewer", "brush"))

_PROMPTS = (
    "a red ball in front of a striped blue box",
    "a green cone beside a yellow ball",
    "a checkered box behind a white ball",
)
_SCENE = "a yellow block right of a blue striped cylinder on grass, blue sky"
_OWN_STRENGTH = ("disparity-px",)  # maps that say how far things move
_LIVE = "(s, c) => { document.querySelector('stereo-viewer')?.at(s, c); }"
_SEND = "async (...all) => { await document.querySelector('depth-brush').send(); return all; }"
_HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class Page:
    """The page's controls, and what they do.

    Args:
        studio: Makes the pairs.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        with gr.Blocks(title="StereoDiffusion", analytics_enabled=False) as self.blocks:
            gr.HTML(
                "<h1>StereoDiffusion</h1><p>Stereo pairs from words, from a depth map, or from a photo.</p>",
                elem_id="head",
            )
            with gr.Row(equal_height=False):
                with gr.Column(scale=4, min_width=300):
                    self._modes()
                    self._options()
                    self._session()
                with gr.Column(scale=7, min_width=300):
                    self._pair()
            self._wire()
            add_endpoints(studio)

    def _modes(self) -> None:
        with gr.Tabs() as self.tabs:
            with gr.Tab("Text", id="text"):
                self.text_prompt = gr.Textbox(label="What the picture shows", lines=2, value=_PROMPTS[0])
                self.text_negative = gr.Textbox(label="What to steer away from", lines=1)
                gr.Examples([[each] for each in _PROMPTS], [self.text_prompt], label="Examples")
                self.text_make, self.text_line = _button()
            with gr.Tab("Depth map", id="depth"):
                self.map = gr.File(label="Depth map", file_types=[".png", ".tif", ".tiff", ".pfm", ".npy"], height=110)
                self.kind = gr.Dropdown(
                    list(MAP_KINDS), label="What its values are", info="Disparity in pixels has its own strength."
                )
                self.depth_prompt = gr.Textbox(label="What the picture shows", lines=2)
                self.depth_negative = gr.Textbox(label="What to steer away from", lines=1)
                example = [str(STATIC / "example-depth.png"), "near is bright", _SCENE]
                gr.Examples([example], [self.map, self.kind, self.depth_prompt], label="Example")
                self.depth_make, self.depth_line = _button()
            with gr.Tab("Photo", id="photo"):
                self.photo = gr.Image(
                    label="Photo", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=220
                )
                self.photo_prompt = gr.Textbox(label="What the photo shows (may be empty)", lines=1)
                gr.Examples([[str(STATIC / "example-photo.png"), ""]], [self.photo, self.photo_prompt], label="Example")
                self.photo_make, self.photo_line = _button()
        self.stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")

    def _options(self) -> None:
        with gr.Accordion("Options", open=False):
            self.preset = gr.Radio(
                list(preset_names()), value="best", label="Method", info="best, fast, or as in the paper"
            )
            with gr.Row():
                self.steps = gr.Number(label="Steps", info="0: as the method has it", value=0, precision=0)
                self.seed = gr.Number(label="Seed", info="the same again: the same picture", value=0, precision=0)
            self.changes = gr.Textbox(
                label="All settings", info='of the method, as JSON: {"shift.at": 0.3}', lines=2, elem_id="changes"
            )

    def _session(self) -> None:
        with gr.Accordion("This session", open=False):
            self.made = gr.State([])
            self.history = gr.Radio([], label="Made so far", info="Choose one to see it and to load its request.")
            self.request_file = gr.File(label="Load a request from a file", file_types=[".json"], height=120)
            self.session_line = gr.HTML("")

    def _pair(self) -> None:
        self.result = gr.State("")
        self.viewer = gr.HTML("", html_template='<stereo-viewer result="${value}"></stereo-viewer>', elem_id="viewer")
        with gr.Row():
            self.strength = gr.Slider(
                0,
                0.3,
                0.08,
                step=0.001,
                label="Strength",
                info="How deep: the share of the width by which the nearest moves",
                min_width=240,
            )
            self.convergence = gr.Slider(
                -0.2,
                0.2,
                0,
                step=0.001,
                label="Screen",
                info="What lies on the screen: more moves the scene back",
                min_width=240,
            )
        self.again = gr.Button("Run again with these values", interactive=False, elem_id="again")
        with gr.Accordion("Touch up the depth", open=False):
            self.brush = gr.HTML("", html_template='<depth-brush result="${value}"></depth-brush>', elem_id="brush")
            self.with_map = gr.Button("Run again with this depth", interactive=False, elem_id="with-map")
        self.again_line = gr.HTML("")

    def _wire(self) -> None:
        options = [self.preset, self.steps, self.seed, self.strength, self.convergence, self.changes]
        text = [self.text_prompt, self.text_negative]
        depth = [self.map, self.kind, self.depth_prompt, self.depth_negative]
        photo = [self.photo, self.photo_prompt]
        self._runs([self.text_make.click, self.text_prompt.submit], self._text, [*text, *options], self.text_line)
        self._runs([self.depth_make.click], self._depth, [*depth, *options], self.depth_line)
        self._runs([self.photo_make.click], self._photo, [*photo, *options], self.photo_line)
        depths = [self.result, self.strength, self.convergence]
        self._runs([self.again.click], self._again, depths, self.again_line)
        self._runs([self.with_map.click], self._with_map, depths, self.again_line, js=_SEND)
        self.stop.click(self._cancel, queue=False, **_HIDDEN)
        for slider in (self.strength, self.convergence):
            slider.change(None, [self.strength, self.convergence], js=_LIVE, **_HIDDEN)
        shown = [self.result, self.viewer, self.brush, self.again, self.with_map]
        form = [self.tabs, *text, *depth, *photo, *options]
        self.history.input(self._show, [self.history], [*shown, *form, self.session_line], **_HIDDEN)
        self.request_file.upload(self._load, [self.request_file], [*form, self.session_line], **_HIDDEN)

    def _runs(
        self,
        events: Sequence[Callable[..., object]],
        request_of: Callable[..., Request],
        inputs: Sequence[Any],
        line: gr.HTML,
        *,
        js: str | None = None,
    ) -> None:
        """What starts a run: says beside its button how far it is, and shows the pair at last."""

        def run(*values: Any, asked: gr.Request) -> Iterator[list[Any]]:
            *given, made = values
            yield from self._follow(lambda: request_of(*given), made, asked)

        pair = [self.result, self.viewer, self.brush, self.again, self.with_map]
        outputs = [line, self.stop, *pair, self.made, self.history, self.strength, self.convergence]
        for event in events:
            event(
                _asking(run),
                [*inputs, self.made],
                outputs,
                concurrency_limit=None,
                trigger_mode="once",
                js=js,
                **_HIDDEN,
            )

    def _follow(self, request_of: Callable[[], Request], made: list[str], asked: gr.Request) -> Iterator[list[Any]]:
        client = asked.client.host if asked.client else "unknown"
        kept = [gr.skip()] * 9
        running, idle = gr.Button(visible=True), gr.Button(visible=False)
        try:
            for event in self._studio.make(request_of(), client=client, session=str(asked.session_hash)):
                if isinstance(event, Result):
                    yield ["", idle, *self._shown(event, made)]
                else:
                    yield [telling.progress(event), running, *kept]
        except CancelledError:
            yield [telling.said("Stopped."), idle, *kept]
        except StereoDiffusionError as refused:
            yield [telling.refusal(refused), idle, *kept]

    def _shown(self, result: Result, made: list[str]) -> list[Any]:
        names = [*made, result.name]
        live = result.live
        history = gr.Radio(choices=cast(Any, self._titles(names)), value=result.name)
        return [*_showing(result.name), names, history, *_sliders(live.strength, live.convergence)]

    def _titles(self, names: Sequence[str]) -> list[tuple[str, str]]:
        kept = [name for name in names if name in self._studio.results]
        return [(f"{number} · {self._studio.results[name].title}", name) for number, name in enumerate(kept, start=1)]

    def _cancel(self, asked: gr.Request) -> None:
        self._studio.cancel(str(asked.session_hash))

    def _text(self, prompt: str, negative: str, *options: Any) -> Request:
        return text_request(self._studio.model.name, prompt, negative, _options(*options))

    def _depth(self, path: str | None, kind: str, prompt: str, negative: str, *options: Any) -> Request:
        kind = MAP_KINDS.get(kind, kind)
        own = kind in _OWN_STRENGTH
        return depth_request(
            self._studio.model.name, path, kind, prompt, negative, _options(*options, own_strength=own)
        )

    def _photo(self, path: str | None, prompt: str, *options: Any) -> Request:
        return photo_request(self._studio.model.name, path, prompt, _options(*options))

    def _again(self, name: str, strength: float, convergence: float) -> Request:
        return self._studio.again(name, strength, convergence, edited=False)

    def _with_map(self, name: str, strength: float, convergence: float) -> Request:
        return self._studio.again(name, strength, convergence, edited=True)

    def _show(self, name: str) -> list[Any]:
        """A result of the session, and its request in the form."""
        try:
            result = self._studio.results[name]
        except StereoDiffusionError as refused:
            return [*[gr.skip()] * 20, telling.refusal(refused)]
        live = result.live
        form = _form(result.request, _sliders(live.strength, live.convergence))
        return [*_showing(name), *form, ""]

    def _load(self, path: str) -> list[Any]:
        """A request from a file, in the form; its own files have to be sent again."""
        try:
            request = loaded(Path(path).read_text(encoding="utf-8", errors="replace"), self._studio.model.name)
        except StereoDiffusionError as refused:
            return [*[gr.skip()] * 15, telling.refusal(refused)]
        parallax = request.settings().parallax
        form = _form(request, _sliders(parallax.max_disparity, parallax.zero), files=False)
        line = "" if isinstance(request, TextRequest) else "Loaded; its files have to be chosen again."
        return [*form, telling.said(line)]


def _button() -> tuple[gr.Button, gr.HTML]:
    """What starts a run, and where it says how far it is."""
    return gr.Button("Make a stereo pair", variant="primary"), gr.HTML("")


def _asking(run: Callable[..., Iterator[list[Any]]]) -> Callable[..., Iterator[list[Any]]]:
    """Gradio hands in who asks as a parameter that is annotated so."""

    def asking(asked: gr.Request, *values: Any) -> Iterator[list[Any]]:
        yield from run(*values, asked=asked)

    return asking


def _options(
    preset: str,
    steps: float | None,
    seed: float | None,
    strength: float,
    convergence: float,
    changes: str | None,
    *,
    own_strength: bool = False,
) -> Options:
    return Options(
        preset=preset,
        steps=steps,
        seed=seed,
        strength=None if own_strength else strength,
        convergence=convergence,
        changes=changes or "",
    )


def _showing(name: str) -> list[Any]:
    """A result in the viewer and under the brush, and what can be done with it."""
    return [name, name, name, gr.Button(interactive=True), gr.Button(interactive=True)]


def _sliders(strength: float, convergence: float) -> list[Any]:
    """The sliders at these values; they reach farther where that is needed."""
    reach = max(0.2, abs(convergence))
    return [
        gr.Slider(value=strength, maximum=max(0.3, strength)),
        gr.Slider(value=convergence, minimum=-reach, maximum=reach),
    ]


def _form(request: Request, sliders: Sequence[Any], *, files: bool = True) -> list[Any]:
    """The form, filled with a request: the tabs, text, depth, photo, and the options."""
    keep = gr.skip()
    prompt = prompts_of(request.prompt)[0]
    text, depth, photo = [keep] * 2, [keep] * 4, [keep] * 2
    if isinstance(request, TextRequest):
        text = [prompt, request.negative]
    elif isinstance(request, DepthRequest):
        kinds = {kind: label for label, kind in MAP_KINDS.items()}
        depth = [request.map.path if files else None, kinds.get(request.map.kind or "disparity-px"), prompt]
        depth.append(request.negative)
    else:
        photo = [request.photo.path if files else None, prompt]
    offered = ("sampling.steps", "parallax.max_disparity", "parallax.convergence")
    further = {name: value for name, value in request.changes.items() if name not in offered}
    changes = json.dumps(further) if further else ""
    options = [request.preset, request.changes.get("sampling.steps", 0), request.seed, *sliders, changes]
    return [gr.Tabs(selected=request.mode), *text, *depth, *photo, *options]
