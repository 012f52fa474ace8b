"""Bytes under an address of their own, of which a browser may fetch pieces."""

import streamlit as st
from streamlit import runtime


def served(content: bytes, kind: str, identity: str, place: str) -> str:
    """Serve bytes for as long as runs of the page go on asking for it, and return their address.

    Streamlit has no public call for this; `st.audio` and `st.image` use the same, and the HTTP server behind it answers
    requests for ranges.

    Parameters
    ----------
    kind : str
        Media type. Of audio/wav and application/octet-stream pieces are sent as they are, never compressed.
    identity : str
        What tells this content from every other. Streamlit itself compares only three pieces of large files.
    place : str
        What the content is for on the page; at one place a new one takes the place of the old one.
    """
    if not runtime.exists():
        return ""
    address = runtime.get_instance().media_file_mgr.add(content, kind, f"player {place}", file_name=identity)
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{address}" if base else address
