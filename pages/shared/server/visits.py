"""The end of a visit: its work is cancelled and its results are forgotten, so that they do not fill the memory."""

import threading
from collections.abc import Callable

import streamlit as st

from pages.shared import cached, session
from pages.shared.server import memory
from pages.shared.server.server_guard import LEFT_AFTER_S

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
    def stop_work() -> None:
        cached.jobs().withdraw(owner, cached.ABOUT_A_RECORDING, running=True)

    def forget() -> None:
        del _connections[owner]
        cached.jobs().forget(owner)
        memory.give_back()

    def unless_back(do: Callable[[], None]) -> None:
        if _connections.get(owner) is connection:
            do()

    # What explains a recording is soon computed again, and others wait for it; what adds or exports goes on for longer.
    for wait_s, do in ((LEFT_AFTER_S, stop_work), (COMES_BACK_S, forget)):
        timer = threading.Timer(wait_s, unless_back, (do,))
        timer.daemon = True
        timer.start()
