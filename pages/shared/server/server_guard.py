"""What the server answers, accepts and stores for visits, from its start and whichever page is opened first.

Streamlit's own server answers to any host name, accepts files from anybody who is connected, and frees the memory of a
visit only when the next one comes. `app.py` puts this guard between the network and Streamlit.
"""

import asyncio
import hashlib
import logging
import re
import secrets
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from streamlit import cli_util, config, file_util, net_util, runtime
from streamlit.runtime import memory_media_file_storage, memory_session_storage, memory_uploaded_file_manager
from streamlit.runtime.media_file_storage import MediaFileKind, MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import (
    MemoryFile,
    MemoryMediaFileStorage,
    _calculate_file_id,
    get_extension_for_mimetype,
)
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.session_manager import SessionInfo, SessionStorage
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.web.server import server_util

from pages.shared.server.streaming import send_in_pieces
from ser_core.audio.long_recording import FileBytes
from ser_core.errors import SerError

#: Limits of the uploads in memory, for one visit and for all visits together.
MOST_OF_ONE_VISIT_BYTES = 500 * 2**20
MOST_OF_ALL_BYTES = 2**30

#: An upload that stalls for this long is aborted, because it reserves memory.
UPLOAD_STALLS_AFTER_S = 60.0
#: A slower upload is aborted too, or it would reserve its memory without end.
SLOWEST_UPLOAD_BYTES_PER_S = 50_000

#: After this long without a connection, a visit's audio is no longer served until it reconnects.
LEFT_AFTER_S = 15.0

#: How long a file made for a download, which no page shows, is served; the browser fetches it at once.
DOWNLOAD_S = 60.0

#: How long a file is served that a run of a page no longer names. A run that another one overtakes ends before it has
#: named all files that the page goes on showing.
UNNAMED_S = 10.0

#: How many visits whose connection broke may reconnect.
MAX_DISCONNECTED = 128

#: By which a reloaded page and another tab of the same browser go on with its visit, until the browser is closed.
VISIT_COOKIE = "hear_why_visit"

HEADERS = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
OWN_NAMES = {"localhost", "127.0.0.1", "::1"}
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?", re.IGNORECASE)
CLOSED = re.compile(r"/_stcore/(metrics|agent)(/|$)")
PAGES = [file.stem.partition("_")[2] for file in (Path(__file__).parents[3] / "pages").glob("*.py")]
PAGE = re.compile(rf"/({'|'.join(PAGES)})$")
#: A page would look for the server below its own address first, and note in the browser's console that it is not there.
SERVER = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL(".", location).href }</script>'
SOUND = re.compile(r"/media/([0-9a-f]+\.wav)$")
UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+/?$")

log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is answered only with a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


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
                    name_visit(HTTPConnection(scope), headers)
            await send(message)

        try:
            require_own_host_and_origin(HTTPConnection(scope))
            if CLOSED.search(scope["path"]):
                raise Refused(404, "Not found.")
            if scope["type"] == "http" and scope["method"] == "PUT" and (upload := UPLOAD.search(scope["path"])):
                await self._take_upload(upload[1], scope, receive, send_with_headers)
            elif scope["type"] == "http" and scope["method"] == "GET" and PAGE.search(scope["path"]):
                page = HTMLResponse(page_html(), headers={"Cache-Control": "no-cache"})
                await page(scope, receive, send_with_headers)
            elif scope["type"] == "http" and scope["method"] == "GET" and (sound := sound_on_disk(scope["path"])):
                wanted = HTTPConnection(scope).headers.get("range", "")
                await send_in_pieces(sound, wanted, scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except Refused as refusal:
            answer = PlainTextResponse(refusal.sentence, refusal.status)
            if scope["type"] == "websocket":
                answer = WebSocketClose(1008, refusal.sentence)
            await answer(scope, receive, send_with_headers)

    async def _take_upload(self, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        if not shows_uploader(session_id):
            raise Refused(403, "The open page takes no files. Open a page that does, and choose the file there.")
        length = HTTPConnection(scope).headers.get("content-length", "")
        if not length.isdecimal():
            raise Refused(411, "An upload must state its length.")

        now = asyncio.get_running_loop().time
        latest = now() + UPLOAD_STALLS_AFTER_S + int(length) / SLOWEST_UPLOAD_BYTES_PER_S

        async def receive_in_time() -> Message:
            try:
                async with asyncio.timeout_at(min(now() + UPLOAD_STALLS_AFTER_S, latest)):
                    return await receive()
            except TimeoutError:
                raise Refused(408, "The upload stalled or was too slow. Try again.") from None

        with runtime.get_instance().uploaded_file_mgr.reserve(session_id, int(length)):
            await self._app(scope, receive_in_time, send)


def name_visit(request: HTTPConnection, headers: MutableHeaders) -> None:
    """Give a browser that has no visit a secret name for one, which scripts cannot read."""
    if VISIT_COOKIE not in request.cookies:
        encrypted = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        rules = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if encrypted else "")
        headers.append("Set-Cookie", f"{VISIT_COOKIE}={secrets.token_urlsafe(24)}; {rules}")


def sound_on_disk(path: str) -> FileBytes | None:
    """Return the long sound at an address; Streamlit itself would read the requested range into memory."""
    found = SOUND.search(path)
    if found is None:
        return None
    try:
        content = runtime.get_instance().media_file_mgr._storage.get_file(found[1]).content
    except MediaFileStorageError:
        return None  # Streamlit answers that it is not there
    return content if isinstance(content, FileBytes) else None


@cache
def page_html() -> str:
    """Return the document of every page but the first, which says where the server is."""
    document = Path(file_util.get_static_dir(), "index.html").read_text("utf-8")
    return document.replace("<head>", f"<head>{SERVER}", 1)


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
        own = OWN_NAMES | {each.lower().rstrip(".") for each in public}
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


class VisitUploads(MemoryUploadedFileManager):
    """Uploaded files, with a memory limit for each visit and for all visits together."""

    def __init__(self, upload_endpoint: str) -> None:
        super().__init__(upload_endpoint)
        self._coming_bytes: Counter[str] = Counter()

    @contextmanager
    def reserve(self, session_id: str, size_bytes: int) -> Iterator[None]:
        """Reserve memory for an upload while it arrives."""
        with self._lock:
            held = sum(len(file.data) for file in self.file_storage.get(session_id, {}).values())
            if held + self._coming_bytes[session_id] + size_bytes > MOST_OF_ONE_VISIT_BYTES:
                most = MOST_OF_ONE_VISIT_BYTES // 2**20
                raise Refused(413, f"The files of one visit may take {most} MB. Remove one, or reload the page.")
            if self._total_bytes + self._coming_bytes.total() + size_bytes > MOST_OF_ALL_BYTES:
                raise Refused(503, "This server's memory for uploads is full. Try again in a few minutes.")
            self._coming_bytes[session_id] += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._coming_bytes[session_id] -= size_bytes
                self._coming_bytes += Counter()  # drops entries at zero

    def add_file(self, session_id: str, file: UploadedFileRec) -> None:
        """Store a file with a reservation, unless its visit ended during the upload."""
        if not self._coming_bytes[session_id]:
            raise Refused(403, "No memory was reserved for this file.")
        if runtime.get_instance()._session_mgr.get_session_info(session_id) is not None:
            super().add_file(session_id, file)


class VisitMedia(MemoryMediaFileStorage):
    """Audio and downloads at unguessable addresses, each served only while its visit lasts.

    Streamlit derives addresses from the content, so anybody with the same file could find out that it is open here.
    """

    def __init__(self, media_endpoint: str) -> None:
        super().__init__(media_endpoint)
        self._secret = secrets.token_bytes(32)
        self._visits: dict[str, str | None] = {}
        self._unnamed: dict[str, object] = {}
        self._lock = threading.Lock()

    def load_and_get_id(
        self, path_or_data: str | bytes | FileBytes, mimetype: str, kind: MediaFileKind, filename: str | None = None
    ) -> str:
        content = self._read_file(path_or_data) if isinstance(path_or_data, str) else path_or_data
        context = get_script_run_ctx()
        if context is None:
            file_id = secrets.token_hex(16)
            _later(DOWNLOAD_S, self._delete, file_id)
        else:
            identity = f"{context.session_id} {_calculate_file_id(content, mimetype, filename)}"
            file_id = hashlib.blake2b(identity.encode(), key=self._secret, digest_size=16).hexdigest()
        with self._lock:
            self._unnamed.pop(file_id, None)
            self._visits[file_id] = context and context.session_id
            self._files_by_id.setdefault(file_id, MemoryFile(content, mimetype, kind, filename))
        return file_id

    def get_file(self, filename: str) -> MemoryFile:
        """Return the file at an address while its visit lasts."""
        visit = self._visits.get(filename.partition(".")[0])
        if visit is not None and not is_active(visit):
            raise MediaFileStorageError("The visit has ended.")
        return super().get_file(filename)

    def get_url(self, file_id: str) -> str:
        return f"{self._media_endpoint}/{file_id}{get_extension_for_mimetype(self._files_by_id[file_id].mimetype)}"

    def delete_file(self, file_id: str) -> None:
        """Delete a file that a run did not name, unless another run names it soon."""
        self._unnamed[file_id] = since = object()

        def delete_if_unnamed() -> None:
            with self._lock:
                if self._unnamed.get(file_id) is since:
                    self._delete(file_id)

        _later(UNNAMED_S, delete_if_unnamed)

    def _delete(self, file_id: str) -> None:
        super().delete_file(file_id)
        self._visits.pop(file_id, None)
        self._unnamed.pop(file_id, None)

    def forget(self, session_id: str) -> None:
        """Delete all files of a visit at once."""
        for file_id, visit in list(self._visits.items()):
            if visit == session_id:
                self._delete(file_id)


def _later(seconds: float, do: Callable[..., None], *arguments: Any) -> None:
    """Call a function in some seconds, on the thread that serves."""
    loop = runtime.get_instance()._get_async_objs().eventloop
    loop.call_soon_threadsafe(loop.call_later, seconds, do, *arguments)


def is_active(session_id: str) -> bool:
    """Return whether a visit is connected, or was a moment ago."""
    sessions = runtime.get_instance()._session_mgr
    return sessions.is_active_session(session_id) or sessions._session_storage.away_s(session_id) < LEFT_AFTER_S


class VisitSessions(SessionStorage):
    """Visits whose connection broke. Each ends when its time is up, not when the next visitor comes.

    Parameters
    ----------
    ttl_seconds : int
        How long a visit may take to reconnect; set by `server.disconnectedSessionTTL`.
    """

    def __init__(self, ttl_seconds: int) -> None:
        self._ttl_s = ttl_seconds
        self._away: dict[str, tuple[float, SessionInfo]] = {}

    def get(self, session_id: str) -> SessionInfo | None:
        return self._away[session_id][1] if session_id in self._away else None

    def save(self, session_info: SessionInfo) -> None:
        session_id, since = session_info.session.id, monotonic()
        self._away[session_id] = since, session_info
        asyncio.get_running_loop().call_later(self._ttl_s, self._end_unless_back, session_id, since)
        if len(self._away) > MAX_DISCONNECTED:
            self._end(next(iter(self._away)))

    def delete(self, session_id: str) -> None:
        del self._away[session_id]

    def list(self) -> list[SessionInfo]:
        return [info for _, info in self._away.values()]

    def away_s(self, session_id: str) -> float:
        """Return the seconds a visit has been without a connection; infinity if it has ended."""
        return monotonic() - self._away[session_id][0] if session_id in self._away else float("inf")

    def _end_unless_back(self, session_id: str, since: float) -> None:
        if session_id in self._away and self._away[session_id][0] == since:
            self._end(session_id)

    def _end(self, session_id: str) -> None:
        _, info = self._away.pop(session_id)
        info.session.shutdown()
        runtime.get_instance().media_file_mgr._storage.forget(session_id)


def install() -> None:
    """Replace the stores that Streamlit creates at start by the ones above."""
    memory_uploaded_file_manager.MemoryUploadedFileManager = VisitUploads
    memory_media_file_storage.MemoryMediaFileStorage = VisitMedia
    memory_session_storage.MemorySessionStorage = VisitSessions
    net_util.get_external_ip = lambda: None


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """Check that the stores are ours, then open a browser, as `streamlit run` does for scripts."""
    require_stores(app._runtime)
    if not config.get_option("server.headless"):
        address = server_util.get_url(config.get_option("browser.serverAddress"))
        asyncio.get_running_loop().call_soon(cli_util.open_browser, address)
    yield


def require_stores(started_runtime: runtime.Runtime) -> None:
    """Refuse to serve if Streamlit has created stores of its own.

    Raises
    ------
    SerError
        Names the store: this version of Streamlit creates it in another way.
    """
    sessions = started_runtime._session_mgr
    stores = {
        VisitUploads: started_runtime.uploaded_file_mgr,
        VisitMedia: started_runtime.media_file_mgr._storage,
        VisitSessions: sessions._session_storage,
    }
    for expected, found in stores.items():
        if not isinstance(found, expected):
            refusal = f"Streamlit created a {type(found).__name__} where the guard needs a {expected.__name__}."
            log.critical(refusal)
            raise SerError(f"{refusal} Nothing is served. Install the Streamlit version in requirements.txt.")
