"""Stores for the uploads, media files and sessions of visits, with limits, in place of Streamlit's own.

Streamlit's own stores take files of any size, serve audio at addresses that can be guessed, and free the memory of a
visit only when the next one comes.
"""

import asyncio
import hashlib
import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from streamlit import net_util, runtime
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

from ser_core.audio.working_copy import FileBytes
from ser_core.errors import SerError

#: Limits of the uploads in memory, for one visit and for all visits together.
MAX_VISIT_BYTES = 500 * 2**20
MAX_TOTAL_BYTES = 2**30

#: After this long without a connection, a visit's audio is no longer served until it reconnects.
LEFT_AFTER_S = 15.0

#: How long a file that was made for a download is served; the browser fetches it at once.
DOWNLOAD_S = 60.0

#: How long a file is served after a run of the page that did not use it. A run that the next one interrupts has not
#: used every file that the page still shows.
UNUSED_S = 10.0

#: How many visits without a connection may reconnect.
MAX_DISCONNECTED = 128

log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is answered only with a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class VisitUploads(MemoryUploadedFileManager):
    """Uploaded files, with a memory limit for each visit and for all visits together."""

    def __init__(self, upload_endpoint: str) -> None:
        super().__init__(upload_endpoint)
        self._reserved_bytes: Counter[str] = Counter()

    @contextmanager
    def reserve(self, session_id: str, size_bytes: int) -> Iterator[None]:
        """Reserve memory for an upload while it arrives."""
        with self._lock:
            stored_bytes = sum(len(file.data) for file in self.file_storage.get(session_id, {}).values())
            if stored_bytes + self._reserved_bytes[session_id] + size_bytes > MAX_VISIT_BYTES:
                limit = MAX_VISIT_BYTES // 2**20
                raise Refused(413, f"The files of one visit may take {limit} MB. Remove one, or reload the page.")
            if self._total_bytes + self._reserved_bytes.total() + size_bytes > MAX_TOTAL_BYTES:
                raise Refused(503, "This server's memory for uploads is full. Try again in a few minutes.")
            self._reserved_bytes[session_id] += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._reserved_bytes[session_id] -= size_bytes
                self._reserved_bytes += Counter()  # drops entries at zero

    def add_file(self, session_id: str, file: UploadedFileRec) -> None:
        """Store a file with a reservation, unless its visit ended during the upload."""
        if not self._reserved_bytes[session_id]:
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
        self._unused: dict[str, object] = {}
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
            self._unused.pop(file_id, None)
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
        """Delete a file that a run did not use, unless another run uses it soon."""
        self._unused[file_id] = marker = object()

        def delete_if_unused() -> None:
            with self._lock:
                if self._unused.get(file_id) is marker:
                    self._delete(file_id)

        _later(UNUSED_S, delete_if_unused)

    def _delete(self, file_id: str) -> None:
        super().delete_file(file_id)
        self._visits.pop(file_id, None)
        self._unused.pop(file_id, None)

    def forget(self, session_id: str) -> None:
        """Delete all files of a visit at once."""
        for file_id, visit in list(self._visits.items()):
            if visit == session_id:
                self._delete(file_id)


def _later(seconds: float, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function in some seconds, on the server's thread."""
    loop = runtime.get_instance()._get_async_objs().eventloop
    loop.call_soon_threadsafe(loop.call_later, seconds, function, *arguments)


def is_active(session_id: str) -> bool:
    """Return whether a visit is connected, or was a moment ago."""
    sessions = runtime.get_instance()._session_mgr
    return sessions.is_active_session(session_id) or sessions._session_storage.disconnected_s(session_id) < LEFT_AFTER_S


class VisitSessions(SessionStorage):
    """Visits without a connection. Each ends when its time is up, not when the next visitor comes.

    Parameters
    ----------
    ttl_seconds : int
        How long a visit may take to reconnect; set by `server.disconnectedSessionTTL`.
    """

    def __init__(self, ttl_seconds: int) -> None:
        self._ttl_s = ttl_seconds
        self._disconnected: dict[str, tuple[float, SessionInfo]] = {}

    def get(self, session_id: str) -> SessionInfo | None:
        return self._disconnected[session_id][1] if session_id in self._disconnected else None

    def save(self, session_info: SessionInfo) -> None:
        session_id, since = session_info.session.id, monotonic()
        self._disconnected[session_id] = since, session_info
        asyncio.get_running_loop().call_later(self._ttl_s, self._end_unless_reconnected, session_id, since)
        if len(self._disconnected) > MAX_DISCONNECTED:
            self._end(next(iter(self._disconnected)))

    def delete(self, session_id: str) -> None:
        del self._disconnected[session_id]

    def list(self) -> list[SessionInfo]:
        return [info for _, info in self._disconnected.values()]

    def disconnected_s(self, session_id: str) -> float:
        """Return the seconds since a visit lost its connection; infinity if it has ended."""
        return monotonic() - self._disconnected[session_id][0] if session_id in self._disconnected else float("inf")

    def _end_unless_reconnected(self, session_id: str, since: float) -> None:
        if session_id in self._disconnected and self._disconnected[session_id][0] == since:
            self._end(session_id)

    def _end(self, session_id: str) -> None:
        _, info = self._disconnected.pop(session_id)
        info.session.shutdown()
        runtime.get_instance().media_file_mgr._storage.forget(session_id)


def install() -> None:
    """Replace the stores that Streamlit creates at start by those of this module."""
    memory_uploaded_file_manager.MemoryUploadedFileManager = VisitUploads
    memory_media_file_storage.MemoryMediaFileStorage = VisitMedia
    memory_session_storage.MemorySessionStorage = VisitSessions
    net_util.get_external_ip = lambda: None


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
