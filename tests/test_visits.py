"""What is one visit's is nobody else's, and goes when the visit ends."""

import gc
import threading
import uuid
import weakref

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import cached
from pages.shared.server import visits

PATIENCE_S = 120


class Waits:
    """A timer that fires when the test says so."""

    def __init__(self, seconds, action, arguments=()) -> None:
        self.seconds, self.action = seconds, lambda: action(*arguments)
        Waits.before, Waits.newest = getattr(Waits, "newest", None), self

    def start(self) -> None:
        """Wait."""


@pytest.fixture
def connected(monkeypatch):
    """Connect a visit that has one result and one running job; return its connections as they are made."""
    monkeypatch.setattr(threading, "Timer", Waits)
    owner, end = f"visit {id(object())}", threading.Event()
    done = cached.jobs().submit(owner, "done", "Done", lambda work: "a result")
    assert done.ended.wait(PATIENCE_S)
    running = cached.jobs().submit(owner, "running", "Running", lambda work: end.wait(PATIENCE_S))

    def connect():
        visits._connections[owner] = object()
        return owner, visits._connections[owner]

    yield connect, done, running
    end.set()
    assert running.ended.wait(PATIENCE_S)


def test_visit_that_does_not_come_back_is_forgotten_and_its_work_cancelled(connected):
    connect, done, running = connected
    owner, connection = connect()
    cached.ahead().add_finished(owner, ("ahead", "a recording"), "Reading ahead", "its sound")
    visits._broken(owner, connection)
    assert Waits.newest.seconds >= 120
    assert cached.jobs().find(owner, "done") is done
    Waits.newest.action()
    assert [cached.jobs().find(owner, key) for key in ("done", "running")] == [None, None]
    assert cached.ahead().find(owner, ("ahead", "a recording")) is None
    assert running._cancelled.is_set()
    assert owner not in visits._connections


def forget_what_was_read_ahead() -> None:
    from pages.shared import cached, session
    from pages.shared.cached import analysing

    key = "ahead", "a recording"
    cached.ahead().add_finished(session.owner(), key, "Reading ahead", "its sound")
    analysing.forget_recording("a recording")
    assert cached.ahead().find(session.owner(), key) is None


def test_a_recording_that_is_forgotten_is_not_kept_as_one_that_was_read_ahead():
    assert not AppTest.from_function(forget_what_was_read_ahead, default_timeout=60).run().exception


def test_visit_that_left_holds_up_nobody_with_explanations_but_its_export_goes_on(monkeypatch):
    monkeypatch.setattr(threading, "Timer", Waits)
    owner, began, end = f"visit {uuid.uuid4()}", threading.Event(), threading.Event()

    def until_the_end(work):
        began.set()
        assert end.wait(PATIENCE_S)
        return work.stop()

    jobs = [cached.jobs().submit(owner, (kind, 1), kind, until_the_end) for kind in ("explain", "judge", "export")]
    running, waiting, export = jobs
    assert began.wait(PATIENCE_S)
    visits._connections[owner] = connection = object()
    visits._broken(owner, connection)
    assert Waits.before.seconds < 60
    Waits.before.action()
    end.set()
    assert export.ended.wait(PATIENCE_S)
    assert waiting.state == "cancelled"
    assert (running.result, export.result) == (True, False)
    assert [cached.jobs().find(owner, job.key) for job in jobs] == [None, None, export]
    Waits.newest.action()


def test_what_refers_to_itself_goes_with_its_visit_at_once(connected):
    class Ring:
        def __init__(self) -> None:
            self.itself = self

    connect, _, _ = connected
    owner, connection = connect()
    ring = Ring()
    gone = weakref.ref(ring)
    cached.jobs().submit(owner, "ring", "Ring", lambda *_, ring=ring: ring)
    del ring
    gc.collect()
    assert gone() is not None
    visits._broken(owner, connection)
    Waits.newest.action()
    assert gone() is None


def test_visit_that_comes_back_in_time_keeps_its_results_until_it_goes_again(connected):
    connect, done, _ = connected
    owner, first = connect()
    visits._broken(owner, first)
    forget_first = Waits.newest.action
    _, second = connect()
    forget_first()
    assert cached.jobs().find(owner, "done") is done
    visits._broken(owner, second)
    Waits.newest.action()
    assert cached.jobs().find(owner, "done") is None
