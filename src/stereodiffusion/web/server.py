"""The page, listening: Gradio with its guard before it, and the files of results beside it."""

import logging
import os
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import gradio as gr
import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from stereodiffusion import temporary
from stereodiffusion.errors import StereoDiffusionError
from stereodiffusion.formats.layouts.anaglyph import DUBOIS, MIXES
from stereodiffusion.synthesis import StereoDiffusion
from stereodiffusion.web.form import STATIC
from stereodiffusion.web.guard import App, Guard
from stereodiffusion.web.limits import Limits
from stereodiffusion.web.page import HEAD, Page
from stereodiffusion.web.results import look_of
from stereodiffusion.web.studio import Studio
from stereodiffusion.web.telling import in_words

_THREADS = 40  # beside those of clients that wait: as many as there are without them
LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "json": "application/json",
    "zip": "application/zip",
}
_ABOUT = {
    "red-cyan": "red-cyan glasses",
    "green-magenta": "green-magenta glasses",
    "amber-blue": "amber-blue glasses",
    "color": "red-cyan, colours as they are",
    "half-color": "red-cyan, left eye grey",
    "gray": "red-cyan, both eyes grey",
    "true": "red-blue, both eyes grey",
}


def _asked(
    strength: float | None = None, convergence: float | None = None, curve: str = "", window: bool = False
) -> tuple[float | None, float | None, str, bool]:
    """What an address says after its question mark of how to show a result."""
    return strength, convergence, curve, window


Asked = Annotated[tuple[float | None, float | None, str, bool], Depends(_asked)]


def anaglyphs() -> Mapping[str, Any]:
    """The matrices of all kinds of anaglyphs, and whether they act on linear light, as JSON values."""
    kinds = [(name, each, True) for name, each in DUBOIS.items()] + [
        (name, each, False) for name, each in MIXES.items()
    ]
    return {
        name: {"about": _ABOUT[name], "left": left, "right": right, "linear": linear}
        for name, (left, right), linear in kinds
    }


def application(
    model: StereoDiffusion,
    folder: Path,
    *,
    limits: Limits | None = None,
    auth: str | None = None,
    hosts: frozenset[str] | None = None,
) -> App:
    """The whole page as an ASGI application.

    Args:
        model: Makes the pairs.
        folder: For what clients send; nothing else of this machine is read for them. Gradio is told so for the whole
            process.
        limits: Of what clients may ask for.
        auth: `user:password`; None lets everybody in.
        hosts: Names under which the page may be asked for; None for any.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    limits = limits or Limits()
    studio = Studio(model, limits, folder)
    page = Page(studio)
    page.blocks.queue(max_size=None, api_open=True)

    @asynccontextmanager
    async def with_threads(_: FastAPI) -> AsyncGenerator[None]:
        # Each client that waits has a thread, and files are asked for meanwhile.
        current_default_thread_limiter().total_tokens = limits.waiting + _THREADS
        yield

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=with_threads)
    app.mount("/stereo/static", StaticFiles(directory=STATIC))
    _add_results(app, studio)
    theme = gr.themes.Default(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    gr.mount_gradio_app(
        app,
        page.blocks,
        path="",
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=limits.upload_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme,
        css_paths=STATIC / "page.css",
        head=HEAD,
        allowed_paths=[],
    )
    return Guard(app, limits, auth, hosts)


def _add_results(app: FastAPI, studio: Studio) -> None:
    """The files of results."""

    @app.exception_handler(StereoDiffusionError)
    def refuse(_: Request, refused: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse({"detail": in_words(str(refused))}, status_code=400)

    @app.get("/stereo/anaglyphs.json")
    def matrices() -> Mapping[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return anaglyphs()

    @app.get("/stereo/results/{name}.json")
    def result(name: str) -> Mapping[str, Any]:  # pyright: ignore[reportUnusedFunction]
        plain = studio.results[name].plain()
        return {**plain, "notes": [in_words(note) for note in plain["notes"]]}

    @app.get("/stereo/results/{name}/comfort.json")
    def comfort(name: str, display: str, look: Asked) -> Mapping[str, Any]:  # pyright: ignore[reportUnusedFunction]
        result = studio.results[name]
        report = result.comfort(look_of(result, *look), display).plain()
        findings = [{**each, "text": in_words(each["text"])} for each in report["findings"]]
        return {**report, "findings": findings}

    @app.get("/stereo/results/{name}/{file}")
    def file(name: str, file: str, look: Asked) -> Response:  # pyright: ignore[reportUnusedFunction]
        result = studio.results[name]
        content = result.file(file, look_of(result, *look))
        kind = _TYPES.get(file.rpartition(".")[2], "application/octet-stream")
        return Response(content, media_type=kind, headers={"cache-control": "private, max-age=3600"})

    @app.post("/stereo/results/{name}/map")
    async def edit(name: str, asked: Request) -> Mapping[str, Any]:  # pyright: ignore[reportUnusedFunction]
        studio.results.edit(name, await asked.body())
        return {"result": name}


@contextmanager
def own_folder() -> Generator[Path]:
    """An empty folder, for as long as it is needed."""
    folder = temporary.new_folder()
    try:
        yield folder
    finally:
        temporary.remove(folder)


def serve(model: StereoDiffusion, *, host: str, port: int, auth: str | None) -> None:
    """Serve the page until the process is told to end.

    Args:
        model: Makes the pairs.
        host: The address to listen on.
        port: The port.
        auth: `user:password`; None lets everybody in.
    """
    hosts = LOCAL if host in LOCAL or host == "::1" else None
    with own_folder() as folder:
        app = application(model, folder, auth=auth, hosts=hosts)
        config = uvicorn.Config(
            app, host=host, port=port, log_level="warning", server_header=False, timeout_graceful_shutdown=1
        )
        logging.getLogger("uvicorn.error").addFilter(_is_no_farewell)
        uvicorn.Server(config).run()


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """Whether a line of the server's is about something else than clients that are still there when it ends."""
    cancelled = record.exc_info is not None and record.exc_info[0] is CancelledError
    return not (cancelled or record.msg.startswith("Cancel %s running task(s)"))
