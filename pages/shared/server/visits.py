"""End of a visit: cancel its jobs and forget its results, to free their memory."""

import threading
from collections.abc import Callable

import streamlit as st

from pages.shared import cached, session
from pages.shared.cached import analysing, long_recordings
from pages.shared.server import memory

#: A page that is reloaded is another visit, which its own work of before would hold up; a short break costs little.
STOPS_AFTER_S = 3

#: For two minutes, a visit whose connection broke may reconnect and get its state back from Streamlit.
COMES_BACK_S = 130

_connections: dict[str, object] = {}


def mark_active() -> None:
    """Note that this visit is connected; every run of a page calls this."""
    _connected(session.owner())


# Streamlit has no hook for the end of a visit, but it releases the resources of a connection.
@st.cache_resource(scope="session", show_spinner=False, on_release=lambda connection: _broken(*connection))
def _connected(owner: str) -> tuple[str, object]:
    _connections[owner] = object()
    return owner, _connections[owner]


def _broken(owner: str, connection: object) -> None:
    queues = cached.jobs(), long_recordings.transcriptions(), cached.ahead()

    def stop_work() -> None:
        for queue in queues:
            queue.withdraw(owner, analysing.RECORDING_JOBS, running=True)

    def forget() -> None:
        del _connections[owner]
        for queue in queues:
            queue.forget(owner)
        memory.give_back()

    def unless_back(do: Callable[[], None]) -> None:
        if _connections.get(owner) is connection:
            do()

    # Jobs about a recording are quick to redo and others are waiting; imports and exports may run on for longer.
    for wait_s, do in ((STOPS_AFTER_S, stop_work), (COMES_BACK_S, forget)):
        timer = threading.Timer(wait_s, unless_back, (do,))
        timer.daemon = True
        timer.start()
