"""The same over HTTP, for programs: endpoints `text`, `depth`, `photo` and `rerender`; see docs/web.md."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from stereodiffusion.errors import FormatError, StereoDiffusionError
from stereodiffusion.request import Request
from stereodiffusion.web.forms import Options, depth_request, photo_request, text_request
from stereodiffusion.web.results import Result
from stereodiffusion.web.studio import Event, Studio
from stereodiffusion.web.telling import without_places
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


def add_endpoints(studio: Studio) -> None:
    """Add the endpoints to the Gradio blocks that are being built."""
    model = studio.model.name

    def made(request: Request, asked: gr.Request) -> Iterator[Plain]:
        client = asked.client.host if asked.client else "unknown"
        for event in studio.make(request, client=client, session=f"api-{asked.session_hash}"):
            yield told(event)

    def text(
        prompt: str,
        asked: gr.Request,
        negative: str = "",
        preset: str = "best",
        steps: int | None = None,
        seed: int = 0,
        strength: float | None = None,
        convergence: float | None = None,
        changes: str = "",
    ) -> Iterator[Plain]:
        """A stereo pair from a prompt."""
        with refusals():
            options = Options(
                preset=preset, steps=steps, seed=seed, strength=strength, convergence=convergence, changes=changes
            )
            yield from made(text_request(model, prompt, negative, options), asked)

    def depth(
        depth_map: Plain,
        kind: str,
        prompt: str,
        asked: gr.Request,
        negative: str = "",
        preset: str = "best",
        steps: int | None = None,
        seed: int = 0,
        strength: float | None = None,
        convergence: float | None = None,
        changes: str = "",
    ) -> Iterator[Plain]:
        """A stereo pair from a depth map and a prompt."""
        with refusals():
            options = Options(
                preset=preset, steps=steps, seed=seed, strength=strength, convergence=convergence, changes=changes
            )
            yield from made(depth_request(model, sent(depth_map), kind, prompt, negative, options), asked)

    def photo(
        photo: Plain,
        asked: gr.Request,
        prompt: str = "",
        preset: str = "best",
        steps: int | None = None,
        seed: int = 0,
        strength: float | None = None,
        convergence: float | None = None,
        changes: str = "",
    ) -> Iterator[Plain]:
        """A stereo pair from a photo."""
        with refusals():
            options = Options(
                preset=preset, steps=steps, seed=seed, strength=strength, convergence=convergence, changes=changes
            )
            yield from made(photo_request(model, sent(photo), prompt, options), asked)

    def rerender(result: str, strength: float, convergence: float) -> Plain:
        """A result with other parallax, at once and without the model: the addresses of its files."""
        with refusals():
            found = studio.results[result]
            found.pair(strength, convergence)
            plain = found.plain()
            at = f"?strength={strength:g}&convergence={convergence:g}"
            files = {name: url + at for name, url in plain["files"].items()}
            formats = {name: {**each, "url": each["url"] + at} for name, each in plain["formats"].items()}
            return {**plain, "strength": strength, "convergence": convergence, "files": files, "formats": formats}

    for endpoint in (text, depth, photo):
        gr.api(endpoint, concurrency_limit=None)
    gr.api(rerender, concurrency_limit=2)
