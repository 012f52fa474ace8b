"""A visit's data is private and is deleted when the visit ends."""

import gc
import threading
import uuid
import weakref
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import cached, session
from pages.shared.cached import forgetting
from pages.shared.server import memory, visits

PATIENCE_S = 120
HELD = SimpleNamespace(recording=SimpleNamespace(part_of=None))
CONNECT = visits._connected.__wrapped__


class ManualTimer:
    """A timer that the test fires."""

    def __init__(self, seconds, action, arguments=()) -> None:
        self.seconds, self.action = seconds, lambda: action(*arguments)
        ManualTimer.before, ManualTimer.newest = getattr(ManualTimer, "newest", None), self

    def start(self) -> None:
        """Wait."""


@pytest.fixture
def connected(monkeypatch):
    """Connect a visit that has one result and one running job; return its connections as they are made."""
    monkeypatch.setattr(threading, "Timer", ManualTimer)
    owner, end = f"visit {id(object())}", threading.Event()
    done = cached.jobs().submit(owner, "done", "Done", lambda work: "a result")
    assert done.ended.wait(PATIENCE_S)
    running = cached.jobs().submit(owner, "running", "Running", lambda work: end.wait(PATIENCE_S))

    def connect():
        visits._tabs[owner] = visits._Tab(owner, ("", None), {}, "")
        return visits._tabs[owner]

    yield connect, done, running
    end.set()
    assert running.ended.wait(PATIENCE_S)


@pytest.fixture
def explained_segments(monkeypatch):
    """A loaded model, which notes in this list when it forgets the segments that were explained last."""
    forgotten = []

    class Model:
        def forget_segments(self):
            forgotten.append("segments")

    monkeypatch.setattr(cached, "_loaded_models", {Model(), object()})
    return forgotten


def test_models_forget_the_segments_of_a_deleted_recording(monkeypatch, explained_segments):
    monkeypatch.setattr(session, "owner", lambda: "a tab")
    monkeypatch.setattr(forgetting, "clear_caches", lambda: None)
    monkeypatch.setattr(forgetting, "_stretches_of", lambda sha256: set())
    forgetting.forget_recording("a")
    assert explained_segments == ["segments"]


def test_visit_that_does_not_come_back_is_forgotten_and_its_work_cancelled(connected, explained_segments):
    connect, done, running = connected
    tab = connect()
    owner = tab.owner
    cached.read_ahead_jobs().add_finished(owner, ("ahead", "a recording"), "Reading ahead", "its sound")
    visits._disconnected(tab)
    assert ManualTimer.newest.seconds >= 120
    assert cached.jobs().find(owner, "done") is done
    ManualTimer.newest.action()
    assert [cached.jobs().find(owner, key) for key in ("done", "running")] == [None, None]
    assert cached.read_ahead_jobs().find(owner, ("ahead", "a recording")) is None
    assert running._cancelled.is_set()
    assert owner not in visits._tabs
    assert explained_segments == ["segments"]


def forget_what_was_read_ahead() -> None:
    from pages.shared import cached, session
    from pages.shared.cached import forgetting

    key = "ahead", "a recording"
    cached.read_ahead_jobs().add_finished(session.owner(), key, "Reading ahead", "its sound")
    forgetting.forget_recording("a recording")
    assert cached.read_ahead_jobs().find(session.owner(), key) is None


def test_a_recording_that_is_forgotten_is_not_kept_as_one_that_was_read_ahead():
    assert not AppTest.from_function(forget_what_was_read_ahead, default_timeout=60).run().exception


def test_visit_that_left_holds_up_nobody_with_explanations_but_its_export_goes_on(monkeypatch):
    monkeypatch.setattr(threading, "Timer", ManualTimer)
    owner, began, end = f"visit {uuid.uuid4()}", threading.Event(), threading.Event()

    def until_the_end(work):
        began.set()
        assert end.wait(PATIENCE_S)
        return work.stop()

    jobs = [cached.jobs().submit(owner, (kind, 1), kind, until_the_end) for kind in ("explain", "judge", "export")]
    running, waiting, export = jobs
    assert began.wait(PATIENCE_S)
    visits._tabs[owner] = tab = visits._Tab(owner, ("", None), {}, "")
    visits._disconnected(tab)
    assert ManualTimer.before.seconds < 60
    ManualTimer.before.action()
    end.set()
    assert export.ended.wait(PATIENCE_S)
    assert waiting.state == "cancelled"
    assert (running.result, export.result) == (True, False)
    assert [cached.jobs().find(owner, job.key) for job in jobs] == [None, None, export]
    ManualTimer.newest.action()


def test_what_refers_to_itself_goes_with_its_visit_at_once(connected):
    class Ring:
        def __init__(self) -> None:
            self.itself = self

    connect, _, _ = connected
    tab = connect()
    owner = tab.owner
    ring = Ring()
    gone = weakref.ref(ring)
    cached.jobs().submit(owner, "ring", "Ring", lambda *_, ring=ring: ring)
    del ring
    gc.collect()
    assert gone() is not None
    visits._disconnected(tab)
    ManualTimer.newest.action()
    assert gone() is None


def test_visit_that_comes_back_in_time_keeps_its_results_until_it_goes_again(connected):
    connect, done, _ = connected
    first = connect()
    owner = first.owner
    visits._disconnected(first)
    forget_first = ManualTimer.newest.action
    second = connect()
    forget_first()
    assert cached.jobs().find(owner, "done") is done
    visits._disconnected(second)
    ManualTimer.newest.action()
    assert cached.jobs().find(owner, "done") is None


def a_page() -> None:
    import streamlit as st

    from pages.shared.server import visits

    visits.begin()
    st.session_state.setdefault("notice_read", False)


def opened(monkeypatch, browser: tuple[str, str | None]) -> AppTest:
    monkeypatch.setattr(visits, "_browser", lambda: browser)
    # All tests are one connection to Streamlit, which would remember the first tab.
    monkeypatch.setattr(visits, "_connected", CONNECT)
    app = AppTest.from_function(a_page, default_timeout=60).run()
    assert not app.exception
    return app


@pytest.fixture
def visited(monkeypatch):
    """Start a visit with a recording, a choice, one result and a view in its URL; return its tab and browser."""
    monkeypatch.setattr(threading, "Timer", ManualTimer)
    monkeypatch.setattr(memory, "give_back", lambda: None)  # takes 0.2 s among all that tests import
    browser = uuid.uuid4().hex, "ann"
    app = opened(monkeypatch, browser)
    app.session_state["notice_read"] = True
    app.session_state["held"] = {"a": HELD}
    app.session_state["choices"] = session.CHOICES | {"annotator": "Ann", "emotion": "sad"}
    owner = app.session_state["owner"]
    cached.jobs().add_finished(owner, ("explain", "a"), "Explaining", "a map")
    yield visits._tabs[owner], browser
    for tab in [tab for tab in visits._tabs.values() if tab.browser == browser]:
        visits._disconnected(tab)
        ManualTimer.newest.action()


def test_a_reloaded_page_goes_on_with_its_visit_and_its_work_but_takes_the_view_from_its_address(monkeypatch, visited):
    tab, browser = visited
    visits._disconnected(tab)
    stop = ManualTimer.before.action
    again = opened(monkeypatch, browser)
    assert again.session_state["owner"] == tab.owner
    assert again.session_state["notice_read"]
    assert again.session_state["held"] == {"a": HELD}
    choices = again.session_state["choices"]
    assert (choices["annotator"], choices["emotion"]) == ("Ann", session.CHOICES["emotion"])
    running = cached.jobs().submit(tab.owner, ("explain", "b"), "Explaining", lambda work: work.stop())
    stop()
    ManualTimer.newest.action()
    assert running.ended.wait(PATIENCE_S)
    assert (running.state, running.result) == ("done", False)
    assert cached.jobs().find(tab.owner, ("explain", "a")).result == "a map"


def test_another_tab_begins_with_what_the_visit_has_and_goes_its_own_way(monkeypatch, visited):
    tab, browser = visited
    other = opened(monkeypatch, browser)
    owner = other.session_state["owner"]
    assert owner != tab.owner
    other.session_state["held"].pop("a")
    assert tab.state["held"] == {"a": HELD}
    cached.jobs().forget(tab.owner)
    assert cached.jobs().find(owner, ("explain", "a")).result == "a map"


def test_what_is_deleted_in_one_tab_does_not_come_back_from_another(monkeypatch, visited):
    tab, browser = visited
    monkeypatch.setattr(visits, "_browser", lambda: browser)
    monkeypatch.setattr(session, "owner", lambda: "another tab")
    visits.forget_recording("a")
    visits._disconnected(tab)
    monkeypatch.undo()
    monkeypatch.setattr(threading, "Timer", ManualTimer)
    assert opened(monkeypatch, browser).session_state["held"] == {}
    assert cached.jobs().find(tab.owner, ("explain", "a")) is None


def test_another_tab_forgets_its_cached_audio_once_a_recording_is_deleted(monkeypatch, visited):
    other = opened(monkeypatch, visited[1])
    monkeypatch.setattr(visits, "_connected", visits._tabs.__getitem__)  # as Streamlit remembers a tab
    cleared = []
    monkeypatch.setattr(forgetting, "clear_caches", lambda: cleared.append(session.owner()))
    with monkeypatch.context() as here:
        here.setattr(session, "owner", lambda: "the tab in which it was deleted")
        visits.forget_recording("a")
    for _ in range(2):
        other.run()
    assert cleared == [other.session_state["owner"]]


@pytest.mark.parametrize("change", [{0: "another browser"}, {1: "ben"}, {1: None}], ids=str)
def test_nobody_else_goes_on_with_a_visit(monkeypatch, visited, change):
    tab, browser = visited
    visits._disconnected(tab)
    other = opened(monkeypatch, tuple(change.get(n, who) for n, who in enumerate(browser)))
    assert other.session_state["owner"] != tab.owner
    assert "held" not in other.session_state


def test_without_a_cookie_every_page_begins_a_visit(monkeypatch):
    first = opened(monkeypatch, ("", None))
    assert opened(monkeypatch, ("", None)).session_state["owner"] != first.session_state["owner"]
