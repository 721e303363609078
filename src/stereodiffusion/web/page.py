"""What people see: the form, the pair and its depth, how comfortable it is, and what was made in the session."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import gradio as gr

from stereodiffusion.errors import StereoDiffusionError
from stereodiffusion.request import Request, TextRequest
from stereodiffusion.settings import DisplayName, Mode
from stereodiffusion.synthesis.rerender import Relief
from stereodiffusion.web import telling
from stereodiffusion.web.api import add_endpoints
from stereodiffusion.web.form import Form, Said
from stereodiffusion.web.forms import loaded
from stereodiffusion.web.results import Look, Result, curve_through, middle_of
from stereodiffusion.web.studio import Studio
from stereodiffusion.web.worker import CancelledError

HEAD = "".join(
    f'<script type="module" src="/stereo/static/{name}.js"></script>' for name in ("viewer", "comfort", "brush")
)

_LIVE = """(strength, convergence, middle, window) => {
    document.querySelector('stereo-viewer')?.at({ strength, convergence, middle, window });
}"""
_SEND = "async (...all) => { await document.querySelector('depth-brush').send(); return all; }"
_ON = "(display) => { document.querySelector('comfort-report')?.on(display); }"
_HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

_Shown = dict[Any, Any]
"""What becomes of controls, by control."""


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
                    self.form = Form()
                    self._session()
                with gr.Column(scale=7, min_width=300):
                    self._pair()
                    self._comfort()
                    self._again()
            self._wire()
            add_endpoints(studio)

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
            with gr.Column(min_width=240):
                self.strength = gr.Slider(
                    0,
                    0.3,
                    0.08,
                    step=0.001,
                    label="Strength",
                    info="How deep: the share of the width by which the nearest moves",
                )
                self.curve = gr.Slider(
                    0.05,
                    0.95,
                    0.5,
                    step=0.01,
                    label="Curve",
                    info="More of the relief for what is near (below 0.5) or far",
                )
            with gr.Column(min_width=240):
                self.convergence = gr.Slider(
                    -0.2,
                    0.2,
                    0,
                    step=0.001,
                    label="Screen",
                    info="What lies on the screen: more moves the scene back",
                )
                self.window = gr.Checkbox(
                    label="Floating window", info="Black bars where the frame cuts what stands before the screen"
                )

    def _comfort(self) -> None:
        with gr.Column(elem_id="comfort"):
            self.display = gr.Radio(
                list(get_args(DisplayName)), value="monitor", label="Looked at on a", elem_id="display"
            )
            self.report = gr.HTML(
                "", html_template='<comfort-report result="${value}"></comfort-report>', elem_id="report"
            )
            self.comfortable = gr.Button("Make comfortable", interactive=False, size="sm", elem_id="comfortable")
            self.comfort_line = gr.HTML("")

    def _again(self) -> None:
        self.again = gr.Button("Run again with these values", interactive=False, elem_id="again")
        with gr.Accordion("Touch up the depth", open=False):
            self.brush = gr.HTML("", html_template='<depth-brush result="${value}"></depth-brush>', elem_id="brush")
            self.with_map = gr.Button("Run again with this depth", interactive=False, elem_id="with-map")
        self.again_line = gr.HTML("")

    @property
    def _sliders(self) -> list[Any]:
        return [self.strength, self.convergence, self.curve, self.window]

    def _wire(self) -> None:
        form = self.form
        self._runs(
            [form.text_make.click, form.text_prompt.submit], self._asked("text"), form.of("text"), form.text_line
        )
        self._runs([form.depth_make.click], self._asked("depth"), form.of("depth"), form.depth_line)
        self._runs([form.photo_make.click], self._asked("photo"), form.of("photo"), form.photo_line)
        self._runs([self.again.click], self._made_again(edited=False), [], self.again_line)
        self._runs([self.with_map.click], self._made_again(edited=True), [], self.again_line, js=_SEND)
        form.stop.click(self._cancel, queue=False, **_HIDDEN)
        for slider in self._sliders:
            slider.change(None, self._sliders, js=_LIVE, **_HIDDEN)
        self.display.change(None, [self.display], js=_ON, **_HIDDEN)
        self.comfortable.click(
            self._fit, {self.result, self.display, *self._sliders}, [*self._sliders, self.comfort_line], **_HIDDEN
        )
        told = [*form.all, *self._sliders, self.session_line]
        self.history.input(self._show, [self.history], [*self._shows, *told], **_HIDDEN)
        self.request_file.upload(self._load, [self.request_file], told, **_HIDDEN)

    @property
    def _shows(self) -> list[Any]:
        """What changes when a result is shown."""
        return [self.result, self.viewer, self.report, self.brush, self.comfortable, self.again, self.with_map]

    def _runs(
        self,
        events: Sequence[Callable[..., object]],
        request_of: Callable[[Said], Request],
        inputs: Sequence[Any],
        line: gr.HTML,
        *,
        js: str | None = None,
    ) -> None:
        """What starts a run: says beside its button how far it is, and shows the pair at last."""

        def run(said: dict[Any, Any], asked: gr.Request) -> Iterator[_Shown]:
            yield from self._follow(lambda: request_of(said), said[self.made], line, asked)

        taken = {*inputs, *self.form.options, *self._sliders, self.result, self.made}
        changed = [line, self.form.stop, *self._shows, self.made, self.history, *self._sliders]
        for event in events:
            event(run, taken, changed, concurrency_limit=None, trigger_mode="once", js=js, **_HIDDEN)

    def _follow(
        self, request_of: Callable[[], Request], made: list[str], line: gr.HTML, asked: gr.Request
    ) -> Iterator[_Shown]:
        client = asked.client.host if asked.client else "unknown"
        running, idle = {self.form.stop: gr.Button(visible=True)}, {self.form.stop: gr.Button(visible=False)}
        try:
            for event in self._studio.make(request_of(), client=client, session=str(asked.session_hash)):
                if isinstance(event, Result):
                    yield {line: "", **idle, **self._new(event, made)}
                else:
                    yield {line: telling.progress(event), **running}
        except CancelledError:
            yield {line: telling.said("Stopped."), **idle}
        except StereoDiffusionError as refused:
            yield {line: telling.refusal(refused), **idle}

    def _new(self, result: Result, made: list[str]) -> _Shown:
        names = [*made, result.name]
        history = gr.Radio(choices=cast(Any, self._titles(names)), value=result.name)
        return {**self._showing(result.name), self.made: names, self.history: history, **self._at(result.made)}

    def _titles(self, names: Sequence[str]) -> list[tuple[str, str]]:
        kept = [name for name in names if name in self._studio.results]
        return [(f"{number} · {self._studio.results[name].title}", name) for number, name in enumerate(kept, start=1)]

    def _cancel(self, asked: gr.Request) -> None:
        self._studio.cancel(str(asked.session_hash))

    def _asked(self, mode: Mode) -> Callable[[Said], Request]:
        """The request that the form of a mode makes."""

        def request(said: Said) -> Request:
            curve = ",".join(f"{place:g}" for place in curve_through(said[self.curve]))
            name = self._studio.model.name
            return self.form.request(mode, name, said, said[self.strength], said[self.convergence], curve)

        return request

    def _made_again(self, *, edited: bool) -> Callable[[Said], Request]:
        """The request of the pair that is shown, with the sliders' parallax."""
        return lambda said: self._studio.again(said[self.result], self._look(said).relief, edited=edited)

    def _look(self, said: Said) -> Look:
        """How the sliders have the pair that is shown."""
        made = self._studio.results[said[self.result]].made
        middle = said[self.curve]
        curve = made.curve if abs(middle - middle_of(made.curve)) < 1e-6 else curve_through(middle)
        relief = Relief(strength=said[self.strength], convergence=said[self.convergence], curve=curve)
        return Look(relief=relief, window=said[self.window])

    def _fit(self, said: dict[Any, Any]) -> _Shown:
        """The sliders where the pair is comfortable."""
        try:
            look = self._look(said)
            fitted = self._studio.results[said[self.result]].comfortable(look, said[self.display])
        except StereoDiffusionError as refused:
            return {self.comfort_line: telling.refusal(refused)}
        if fitted == look:
            return {self.comfort_line: telling.said("There is nothing that other parallax would mend.")}
        return {**self._at(fitted.relief), self.window: fitted.window, self.comfort_line: ""}

    def _show(self, name: str) -> _Shown:
        """A result of the session, and its request in the form."""
        try:
            result = self._studio.results[name]
        except StereoDiffusionError as refused:
            return {self.session_line: telling.refusal(refused)}
        return {
            **self._showing(name),
            **self.form.filled(result.request),
            **self._at(result.made),
            self.session_line: "",
        }

    def _load(self, path: str) -> _Shown:
        """A request from a file, in the form; its own files have to be sent again."""
        try:
            request = loaded(Path(path).read_text(encoding="utf-8", errors="replace"), self._studio.model.name)
            parallax = request.settings().parallax
            screen = 0.0 if parallax.convergence == "auto" else parallax.convergence
            relief = Relief(strength=parallax.max_disparity, convergence=screen, curve=parallax.curve)
        except StereoDiffusionError as refused:
            return {self.session_line: telling.refusal(refused)}
        line = "" if isinstance(request, TextRequest) else "Loaded; its files have to be chosen again."
        filled = self.form.filled(request, files=False)
        return {**filled, **self._at(relief), self.session_line: telling.said(line)}

    def _showing(self, name: str) -> _Shown:
        """A result in the viewer, its comfort, and under the brush, and what can be done with it."""
        shown = dict.fromkeys((self.result, self.viewer, self.report, self.brush), name)
        buttons = (self.comfortable, self.again, self.with_map)
        return {**shown, **{button: gr.Button(interactive=True) for button in buttons}}

    def _at(self, relief: Relief) -> _Shown:
        """The sliders at these values; they reach farther where that is needed."""
        reach = max(0.2, abs(relief.convergence))
        return {
            self.strength: gr.Slider(value=relief.strength, maximum=max(0.3, relief.strength)),
            self.convergence: gr.Slider(value=relief.convergence, minimum=-reach, maximum=reach),
            self.curve: middle_of(relief.curve),
        }
