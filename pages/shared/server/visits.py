"""Continue a visit when its page is reloaded or opened in another tab, and free visits that nobody returns to."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.state import SessionState

from pages.shared import cached, session
from pages.shared.cached import classifying, forgetting, long_recordings
from pages.shared.recording import open_recordings
from pages.shared.server import login, memory
from pages.shared.server.server_guard import VISIT_COOKIE
from pages.shared.server.visit_stores import LEFT_AFTER_S

#: Streamlit lets a visit without a connection reconnect for two minutes.
FORGOTTEN_AFTER_S = 130

#: Session keys that a reloaded page or another tab takes over. Its widgets are empty, so no upload is read twice.
CONTINUED_KEYS = (
    *("notice_read", "tour", "choices", "held", "long", "current", "queued", "stretch", "made"),
    *("words", "requested_words", "word_model_requested"),
)


@dataclass(eq=False)
class _Tab:
    """A tab of a browser. Each has a visit of its own, with its own owner.

    Attributes
    ----------
    browser : tuple of str
        The secret in the browser's cookie, and who is logged in there.
    """

    owner: str
    browser: tuple[str, str | None]
    state: SessionState
    session_id: str
    connected: bool = True
    #: Whether the next run clears the caches, because a recording was deleted in another tab.
    must_clear_caches: bool = False


_tabs: dict[str, _Tab] = {}


def begin() -> None:
    """Continue this browser's visit if the page was reloaded or is another tab; else begin one.

    A reloaded page is the same visit, with its running jobs. Another tab gets a copy of the visit's state, and is then
    independent.
    """
    if "owner" not in st.session_state and (last := _last_tab()) is not None:
        _take_over(last)
    tab = mark_active()
    if tab.must_clear_caches:
        tab.must_clear_caches = False
        forgetting.clear_caches()


def _last_tab() -> _Tab | None:
    """Return the browser's last closed tab, else its newest open one."""
    return min(reversed(_tabs_of_browser()), key=lambda tab: tab.connected, default=None)


def _tabs_of_browser() -> list[_Tab]:
    browser = _browser()
    return [tab for tab in list(_tabs.values()) if browser[0] and tab.browser == browser]


def _browser() -> tuple[str, str | None]:
    return st.context.cookies.get(VISIT_COOKIE, ""), login.person()


def _take_over(tab: _Tab) -> None:
    for name in CONTINUED_KEYS:
        if name in tab.state:
            value = tab.state[name]
            st.session_state[name] = dict(value) if isinstance(value, dict) else value
    session.reset(tuple(session.IN_ADDRESS.values()))()
    if not tab.connected:
        st.session_state["owner"] = tab.owner
        return
    if (long := open_recordings.held_long()) is not None:  # so that closing it in one tab leaves it open in the other
        st.session_state["long"] = replace(long, words=dict(long.words), closed=threading.Event())
    for queue in (cached.jobs(), cached.read_ahead_jobs()):
        queue.share(tab.owner, session.owner())


def forget_recording(sha256: str) -> None:
    """Forget a recording and its stretches in the browser's other tabs too, with results and cached audio."""
    for tab in (tab for tab in _tabs_of_browser() if tab.owner != session.owner()):
        forgotten = {sha256}
        if "held" in tab.state:
            forgotten |= {key for key, one in list(tab.state["held"].items()) if one.recording.part_of == sha256}
        for each in forgotten:
            for name in ("held", "words", "requested_words"):
                if name in tab.state:
                    tab.state[name].pop(each, None)
            for queue in (cached.jobs(), cached.read_ahead_jobs()):
                queue.forget(tab.owner, about=each)
        if "long" in tab.state and tab.state["long"].sha256 == sha256:
            tab.state["long"].closed.set()
        tab.must_clear_caches = True
        _run_again(tab)


def _run_again(tab: _Tab) -> None:
    """Run the page of an open tab again, as after a change in its browser."""
    found = runtime.get_instance()._session_mgr.get_active_session_info(tab.session_id) if runtime.exists() else None
    if found is not None:
        found.session.request_rerun(found.session._client_state)


def mark_active() -> _Tab:
    """Note that this visit is connected, and return its tab; every run of a page calls this."""
    return _connected(session.owner())


# Streamlit has no hook for the end of a visit, but it releases the resources of a connection.
@st.cache_resource(scope="session", show_spinner=False, on_release=lambda tab: _disconnected(tab))
def _connected(owner: str) -> _Tab:
    _tabs.pop(owner, None)  # so that it becomes the newest
    context = get_script_run_ctx()
    _tabs[owner] = _Tab(owner, _browser(), context.session_state._state, context.session_id)
    return _tabs[owner]


def _disconnected(tab: _Tab) -> None:
    queues = cached.jobs(), long_recordings.transcriptions(), cached.read_ahead_jobs()
    tab.connected = False

    def stop_work() -> None:
        for queue in queues:
            queue.withdraw(tab.owner, classifying.RECORDING_JOBS, running=True)

    def forget() -> None:
        del _tabs[tab.owner]
        for queue in queues:
            queue.forget(tab.owner)
        cached.forget_segments()
        memory.give_back()

    def unless_reconnected(function: Callable[[], None]) -> None:
        if _tabs.get(tab.owner) is tab:
            function()

    # Jobs about a recording are quick to redo and others are waiting; imports and exports may run on for longer.
    for wait_s, function in ((LEFT_AFTER_S, stop_work), (FORGOTTEN_AFTER_S, forget)):
        timer = threading.Timer(wait_s, unless_reconnected, (function,))
        timer.daemon = True
        timer.start()
