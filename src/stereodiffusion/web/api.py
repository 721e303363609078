"""The same over HTTP, for programs: endpoints `text`, `depth`, `photo`, `rerender` and `comfort`; see docs/web.md."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlencode

import gradio as gr
from gradio.utils import get_upload_folder

from stereodiffusion.errors import FormatError, StereoDiffusionError
from stereodiffusion.request import Request
from stereodiffusion.web.forms import Options, SentMap, depth_request, photo_request, text_request, without_places
from stereodiffusion.web.results import Result, look_of
from stereodiffusion.web.studio import Event, Studio
from stereodiffusion.web.worker import Waiting

Plain = dict[str, Any]


def told(event: Event) -> Plain:
    """What happens, as JSON values."""
    if isinstance(event, Result):
        return event.plain()
    if isinstance(event, Waiting):
        return {"stage": "waiting", "ahead": event.ahead}
    if event.at is None:
        return {"stage": "loading"}
    return {"stage": event.at.stage, "step": event.at.step, "steps": event.at.steps, "left_s": event.left_s}


@contextmanager
def refusals() -> Generator[None]:
    """What is refused is told to the client, in one line."""
    try:
        yield
    except StereoDiffusionError as refused:
        raise gr.Error(without_places(str(refused)), print_exception=False) from refused


def sent(file: Plain | None) -> str | None:
    """The path of a file that the client has sent.

    Raises:
        FormatError: If it is no such file.
    """
    if file is None:
        return None
    path = Path(str(file.get("path", ""))).resolve()
    if not path.is_file() or not path.is_relative_to(Path(get_upload_folder()).resolve()):
        raise FormatError("expected a file that was sent, got another")
    return str(path)


def _spelled_out(endpoint: Callable[..., Iterator[Plain]]) -> Callable[..., Iterator[Plain]]:
    """The endpoint with the fields of its `options` as parameters of its own, since Gradio reads signatures."""
    own = signature(endpoint)
    hints, kinds = get_type_hints(endpoint), get_type_hints(Options)
    names = [each.name for each in fields(Options)]
    spelled = [
        Parameter(each.name, Parameter.POSITIONAL_OR_KEYWORD, default=each.default, annotation=kinds[each.name])
        for each in fields(Options)
    ]
    kept = [each for each in own.parameters.values() if each.name != "options"]
    whole = own.replace(parameters=[*kept, *spelled])

    def spelled_out(*given: Any, **named: Any) -> Iterator[Plain]:
        bound = whole.bind(*given, **named)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        options = Options(**{name: arguments.pop(name) for name in names})
        with refusals():
            yield from endpoint(**arguments, options=options)

    spelled_out.__name__, spelled_out.__doc__ = endpoint.__name__, endpoint.__doc__
    spelled_out.__annotations__ = {**hints, **{name: kinds[name] for name in names}}
    spelled_out.__signature__ = whole  # type: ignore[attr-defined]
    return spelled_out


def add_endpoints(studio: Studio) -> None:
    """Add the endpoints to the Gradio blocks that are being built."""
    model = studio.model.name

    def made(request: Request, asked: gr.Request) -> Iterator[Plain]:
        client = asked.client.host if asked.client else "unknown"
        for event in studio.make(request, client=client, session=f"api-{asked.session_hash}"):
            yield told(event)

    def text(prompt: str, asked: gr.Request, negative: str = "", *, options: Options) -> Iterator[Plain]:
        """A stereo pair from a prompt."""
        yield from made(text_request(model, prompt, negative, options), asked)

    def depth(
        depth_map: Plain,
        kind: str,
        prompt: str,
        asked: gr.Request,
        negative: str = "",
        unknown: str = "nonfinite",
        scale: float | None = None,
        two_step: bool = False,
        *,
        options: Options,
    ) -> Iterator[Plain]:
        """A stereo pair from a depth map and a prompt."""
        given = SentMap(path=sent(depth_map), kind=kind, unknown=unknown, scale=scale)
        yield from made(depth_request(model, given, prompt, negative, options, two_step=two_step), asked)

    def photo(
        photo: Plain,
        asked: gr.Request,
        prompt: str = "",
        depth_map: Plain | None = None,
        kind: str = "",
        unknown: str = "nonfinite",
        scale: float | None = None,
        *,
        options: Options,
    ) -> Iterator[Plain]:
        """A stereo pair from a photo, perhaps with its depth map."""
        given = SentMap(path=sent(depth_map), kind=kind, unknown=unknown, scale=scale)
        yield from made(photo_request(model, sent(photo), given, prompt, options), asked)

    def rerender(
        result: str, strength: float, convergence: float, curve: str = "", floating_window: bool = False
    ) -> Plain:
        """A result with other parallax, at once and without the model: the addresses of its files."""
        with refusals():
            found = studio.results[result]
            look = look_of(found, strength, convergence, curve, floating_window)
            found.shown(look)
            at = "?" + urlencode(
                {
                    "strength": f"{look.relief.strength:g}",
                    "convergence": f"{look.relief.convergence:g}",
                    "curve": ",".join(f"{place:g}" for place in look.relief.curve),
                    "window": str(look.window).lower(),
                },
                safe=",",
            )
            plain = found.plain()
            files = {name: url + at for name, url in plain["files"].items()}
            formats = {name: {**each, "url": each["url"] + at} for name, each in plain["formats"].items()}
            shown = {"strength": strength, "convergence": convergence, "curve": list(look.relief.curve)}
            return {**plain, **shown, "floating_window": look.window, "files": files, "formats": formats}

    def comfort(
        result: str,
        display: str,
        strength: float | None = None,
        convergence: float | None = None,
        curve: str = "",
        floating_window: bool = False,
    ) -> Plain:
        """How comfortable a result is on a display, perhaps with other parallax, and what would mend it."""
        with refusals():
            found = studio.results[result]
            look = look_of(found, strength, convergence, curve, floating_window)
            return found.comfort(look, display).plain()

    for endpoint in (text, depth, photo):
        gr.api(_spelled_out(endpoint), concurrency_limit=None)
    for at_once in (rerender, comfort):
        gr.api(at_once, concurrency_limit=2)
