"""Send sounds from disk in pieces, whatever range a browser requests."""

import re
from collections.abc import Iterator

from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.web.server.starlette.starlette_app_utils import parse_range_header

from ser_core.audio.working_copy import FileBytes

PIECE_BYTES = 2**18
SOUND_PATH = re.compile(r"/media/([0-9a-f]+\.wav)$")


def sound_on_disk(path: str) -> FileBytes | None:
    """Return the long sound at an address; Streamlit itself would read the requested range into memory."""
    found = SOUND_PATH.search(path)
    if found is None:
        return None
    try:
        content = runtime.get_instance().media_file_mgr._storage.get_file(found[1]).content
    except MediaFileStorageError:
        return None  # Streamlit then answers that it does not exist
    return content if isinstance(content, FileBytes) else None


async def send_in_pieces(content: FileBytes, range_header: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request for a WAV file, or for a range of its bytes."""
    size = len(content)
    try:
        first, last = parse_range_header(range_header, size) if range_header else (0, size - 1)
    except ValueError:
        response: Response = PlainTextResponse("Invalid range", 416, {"Content-Range": f"bytes */{size}"})
        return await response(scope, receive, send)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(last + 1 - first)}
    if range_header:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    # A thread reads each piece only once the browser has received those before it.
    pieces = _pieces(content, first, last + 1)
    response = StreamingResponse(pieces, 206 if range_header else 200, headers, "audio/wav")
    return await response(scope, receive, send)


def _pieces(content: FileBytes, first: int, end: int) -> Iterator[bytes]:
    for start in range(first, end, PIECE_BYTES):
        yield content[start : min(start + PIECE_BYTES, end)]
