"""Restricts what the server answers and accepts, from its start and on every page.

Streamlit's own server answers to any host name and accepts files from anybody who is connected. `app.py` puts this
guard between the network and Streamlit.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from streamlit import cli_util, config, file_util, runtime
from streamlit.web.server import server_util

from pages.shared.server.streaming import send_in_pieces, sound_on_disk
from pages.shared.server.visit_stores import Refused, require_stores

#: An upload that stalls for this long is aborted, because it reserves memory.
UPLOAD_STALLS_AFTER_S = 60.0
#: A slower upload is aborted too, because it would reserve memory for too long.
MIN_UPLOAD_BYTES_PER_S = 50_000

#: The cookie by which a reloaded page, or another tab, continues this browser's visit until the browser is closed.
VISIT_COOKIE = "hear_why_visit"

HEADERS = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?", re.IGNORECASE)
CLOSED_PATH = re.compile(r"/_stcore/(metrics|agent)(/|$)")
PAGES = [file.stem.partition("_")[2] for file in (Path(__file__).parents[3] / "pages").glob("*.py")]
PAGE_PATH = re.compile(rf"/({'|'.join(PAGES)})$")
#: Otherwise a page first looks for the server below its own address, and logs an error in the browser's console.
BACKEND_SCRIPT = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL(".", location).href }</script>'
UPLOAD_PATH = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+/?$")


class Guard:
    """Middleware around Streamlit: refuses requests for other servers, and adds headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if headers.get("content-type", "").startswith("text/html"):
                    set_visit_cookie(HTTPConnection(scope), headers)
            await send(message)

        try:
            require_own_host_and_origin(HTTPConnection(scope))
            if CLOSED_PATH.search(scope["path"]):
                raise Refused(404, "Not found.")
            if scope["type"] == "http" and scope["method"] == "PUT" and (upload := UPLOAD_PATH.search(scope["path"])):
                await self._receive_upload(upload[1], scope, receive, send_with_headers)
            elif scope["type"] == "http" and scope["method"] == "GET" and PAGE_PATH.search(scope["path"]):
                page = HTMLResponse(page_html(), headers={"Cache-Control": "no-cache"})
                await page(scope, receive, send_with_headers)
            elif scope["type"] == "http" and scope["method"] == "GET" and (sound := sound_on_disk(scope["path"])):
                byte_range = HTTPConnection(scope).headers.get("range", "")
                await send_in_pieces(sound, byte_range, scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except Refused as refusal:
            response = PlainTextResponse(refusal.sentence, refusal.status)
            if scope["type"] == "websocket":
                response = WebSocketClose(1008, refusal.sentence)
            await response(scope, receive, send_with_headers)

    async def _receive_upload(self, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        if not shows_uploader(session_id):
            raise Refused(403, "The open page takes no files. Open a page that does, and choose the file there.")
        length = HTTPConnection(scope).headers.get("content-length", "")
        if not length.isdecimal():
            raise Refused(411, "An upload must state its length.")

        now = asyncio.get_running_loop().time
        deadline = now() + UPLOAD_STALLS_AFTER_S + int(length) / MIN_UPLOAD_BYTES_PER_S

        async def receive_in_time() -> Message:
            try:
                async with asyncio.timeout_at(min(now() + UPLOAD_STALLS_AFTER_S, deadline)):
                    return await receive()
            except TimeoutError:
                raise Refused(408, "The upload stalled or was too slow. Try again.") from None

        with runtime.get_instance().uploaded_file_mgr.reserve(session_id, int(length)):
            await self._app(scope, receive_in_time, send)


def set_visit_cookie(request: HTTPConnection, headers: MutableHeaders) -> None:
    """Set the visit cookie in a browser that has none: a secret that scripts cannot read."""
    if VISIT_COOKIE not in request.cookies:
        encrypted = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        rules = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if encrypted else "")
        headers.append("Set-Cookie", f"{VISIT_COOKIE}={secrets.token_urlsafe(24)}; {rules}")


@cache
def page_html() -> str:
    """Return the HTML of every page but the first, with a script that sets the server's address."""
    document = Path(file_util.get_static_dir(), "index.html").read_text("utf-8")
    return document.replace("<head>", f"<head>{BACKEND_SCRIPT}", 1)


def require_own_host_and_origin(request: HTTPConnection) -> None:
    """Refuse requests for another host name, and requests made by another site's pages.

    Any site may point its own name at this machine's address, and could then read the responses of a server that
    answers to that name (DNS rebinding).
    """
    hosts, origins = request.headers.getlist("host"), request.headers.getlist("origin")
    if len(hosts) != 1 or not is_own_name(hosts[0], request.scope.get("server")):
        raise Refused(
            421,
            "This server does not use that host name. Its operator sets the name in STREAMLIT_BROWSER_SERVER_ADDRESS.",
        )
    # Only exact matches: for others, Streamlit would ask an address service on the internet.
    if any(origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}") for origin in origins):
        raise Refused(403, "This server only answers its own pages.")


def is_own_name(host: str, bound_to: tuple[str, int | None] | None = None) -> bool:
    """Return whether a Host header names this server: localhost, the address of the connection, or a public name."""
    if HOST.fullmatch(host) is None:
        return False
    with suppress(ValueError):
        name = urlsplit(f"//{host}").hostname.rstrip(".")
        public = [config.get_option("browser.serverAddress"), *config.get_option("server.allowedHosts")]
        own = LOCAL_NAMES | {each.lower().rstrip(".") for each in public}
        return name in own or (bound_to is not None and name == bound_to[0].removeprefix("::ffff:"))
    return False


def shows_uploader(session_id: str) -> bool:
    """Return whether a visit is connected and its page shows an upload widget; never before login."""
    connected = runtime.get_instance()._session_mgr.get_active_session_info(session_id)
    if connected is None:
        return False
    state = connected.session.session_state
    widgets = state._new_widget_state
    shown = set(widgets.states) | set(state._old_state)
    return any(
        metadata.value_type == "file_uploader_state_value" and name in shown
        for name, metadata in list(widgets.widget_metadata.items())
    )


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """At start, check that the stores are ours, then open a browser, as `streamlit run` does for scripts."""
    require_stores(app._runtime)
    if not config.get_option("server.headless"):
        address = server_util.get_url(config.get_option("browser.serverAddress"))
        asyncio.get_running_loop().call_soon(cli_util.open_browser, address)
    yield
