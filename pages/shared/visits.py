"""The end of a visit: its work is cancelled and its results are forgotten, so that they do not fill the memory."""

import threading

import streamlit as st

from pages.shared import cached, memory, session

#: A visit whose connection broke may come back for two minutes, and then Streamlit gives it all it held.
COMES_BACK_S = 130

_connections: dict[str, object] = {}


def here() -> None:
    """Say that this visit goes on; pages call it as they run."""
    _connected(session.owner())


# Streamlit tells nobody when a visit ends, but it releases what it keeps for a connection.
@st.cache_resource(scope="session", show_spinner=False, on_release=lambda connection: _broken(*connection))
def _connected(owner: str) -> tuple[str, object]:
    _connections[owner] = object()
    return owner, _connections[owner]


def _broken(owner: str, connection: object) -> None:
    def forget_unless_back() -> None:
        if _connections.get(owner) is connection:
            del _connections[owner]
            cached.jobs().forget(owner)
            memory.give_back()

    timer = threading.Timer(COMES_BACK_S, forget_unless_back)
    timer.daemon = True
    timer.start()
