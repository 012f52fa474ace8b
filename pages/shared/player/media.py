"""Serve bytes at an address from which a browser can fetch ranges."""

import streamlit as st
from streamlit import runtime

from ser_core.audio.working_copy import FileBytes

#: Streamlit reads smaller files whole to identify them.
SMALL_BYTES = 2**20


def served(content: bytes | FileBytes, media_type: str, identity: str, slot: str) -> str:
    """Serve bytes for as long as runs of the page call this, and return their address.

    Streamlit has no public call for this; `st.audio` and `st.image` use the same one, and its HTTP server answers range
    requests.

    Parameters
    ----------
    content : bytes or FileBytes
        A file on disk is not read into memory, unless it is small.
    media_type : str
        Ranges of audio/wav and application/octet-stream are sent uncompressed.
    identity : str
        Unique to this content. Streamlit itself compares only three pieces of large files.
    slot : str
        The content's role on the page; new content replaces the old one in its slot.
    """
    if not runtime.exists():
        return ""
    if len(content) <= SMALL_BYTES:
        content = content[:]
    address = runtime.get_instance().media_file_mgr.add(content, media_type, f"player {slot}", file_name=identity)
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{address}" if base else address
