"""Who may ask, and for what: everything passes here before Gradio sees it.

What the page does not need is not there: Gradio has routes that fetch addresses, edit code or show other people's
files. A client may name no address and no file but what it has sent.
"""

import base64
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from stereodiffusion.web.limits import Limits, Rate

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_API = "/gradio_api/"
_OPEN = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt|/(assets|static|svelte|stereo)/.*"
    rf"|{_API}(info/?|theme\.css|app_id/?|startup-events|queue/(join|data)|cancel|reset/?|upload|upload_progress)"
    rf"|{_API}(run|call|heartbeat)/.*|{_API}file=/.*"
)
"""The paths that there are; `file=/` serves what was uploaded, addresses begin otherwise."""

_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*:|^//", re.IGNORECASE)
_MESSAGE_BYTES = 1_000_000  # of what is no file
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        b"worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """ASGI middleware.

    Args:
        app: What it guards.
        limits: Of what clients may ask for.
        auth: `user:password`; None lets everybody in.
        hosts: Names under which the page may be asked for; None for any. A page that listens on this machine alone
            has its own, so that no other page can reach it under a name that it has pointed here.
    """

    def __init__(self, app: App, limits: Limits, auth: str | None = None, hosts: frozenset[str] | None = None) -> None:
        self._app, self._limits, self._hosts = app, limits, hosts
        self._auth = None if auth is None else b"Basic " + base64.b64encode(auth.encode())
        self._rate = Rate(limits.messages_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with one line."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refusal = self._refused(scope)
        if refusal is None and scope["method"] == "POST":
            body, refusal = await self._body(scope, receive)
            receive = _replayed(body, receive)
        if refusal is not None:
            await _answer(send, *refusal)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refused(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = cast(Mapping[bytes, bytes], dict(scope["headers"]))
        if self._hosts is not None:
            host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
            if host not in self._hosts:
                return HTTPStatus.FORBIDDEN, f"this page is not to be asked for as {host!r}"
        if self._auth is not None and not hmac.compare_digest(headers.get(b"authorization", b""), self._auth):
            return HTTPStatus.UNAUTHORIZED, "expected a user name and a password"
        if scope["method"] not in ("GET", "HEAD", "POST") or not _OPEN.fullmatch(scope["path"]):
            return HTTPStatus.NOT_FOUND, "there is no such page"
        if scope["method"] == "POST" and not self._rate.allows(client_of(scope)):
            return HTTPStatus.TOO_MANY_REQUESTS, f"expected at most {self._limits.messages_per_minute} a minute"
        return None

    async def _body(self, scope: Scope, receive: Receive) -> tuple[bytes, tuple[HTTPStatus, str] | None]:
        """What was sent, and why it is refused."""
        files = scope["path"] == f"{_API}upload" or scope["path"].startswith("/stereo/")
        most = self._limits.upload_bytes + 10_000 if files else _MESSAGE_BYTES
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                return b"", (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {most / 1e6:g} MB")
            more = message.get("more_body", False)
        body = b"".join(parts)
        if not files and names_address(body):
            return b"", (HTTPStatus.BAD_REQUEST, "expected files that were sent, got an address")
        return body, None


def client_of(scope: Scope) -> str:
    """Who asks: the address that the connection comes from."""
    return scope["client"][0] if scope.get("client") else "unknown"


def names_address(body: bytes) -> bool:
    """Whether JSON names a file by an address from which it would be fetched."""
    try:
        said = json.loads(body or b"null")
    except (ValueError, RecursionError):
        return False
    left: list[Any] = [said]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            path = each.get("path")
            if isinstance(path, str) and _ADDRESS.match(path):
                return True
            left += each.values()
        elif isinstance(each, list):
            left += each
    return False


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that has been read already, then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _answer(send: Send, status: HTTPStatus, line: str) -> None:
    body = json.dumps({"detail": line}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Basic realm="StereoDiffusion", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
