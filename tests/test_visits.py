"""What is one visit's is nobody else's, and goes when the visit ends."""

import gc
import hashlib
import threading
import urllib.error
import urllib.request
import uuid
import weakref

import pytest
import soundfile
from playwright.sync_api import sync_playwright
from streamlit.runtime.memory_media_file_storage import _calculate_file_id

from pages.shared import cached
from pages.shared.server import visits
from tests.running_app import launch, needs_browser, running_app, turn_to, upload, visit
from tests.test_browser import LONGEST_WAIT_MS

PATIENCE_S = 120
HASHES = ((hashlib.sha256, {}), (hashlib.blake2b, {"digest_size": 16}))


class Waits:
    """A timer that goes off when the test says so."""

    def __init__(self, seconds, action, arguments=()) -> None:
        self.seconds, self.action = seconds, lambda: action(*arguments)
        Waits.before, Waits.newest = getattr(Waits, "newest", None), self

    def start(self) -> None:
        """Wait."""


@pytest.fixture
def connected(monkeypatch):
    """Connect a visit that has one result and one job that goes on; return its connections as they are made."""
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
    visits._broken(owner, connection)
    assert Waits.newest.seconds >= 120
    assert cached.jobs().find(owner, "done") is done
    Waits.newest.action()
    assert [cached.jobs().find(owner, key) for key in ("done", "running")] == [None, None]
    assert running._cancelled.is_set()
    assert owner not in visits._connections


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


@pytest.fixture(scope="module")
def two_visits(tmp_path_factory, make_voice):
    """Two people with a recording each, in one app: their pages, and the addresses that each has fetched."""
    needs_browser()
    folder = tmp_path_factory.mktemp("visits")
    with running_app(folder / "data", folder / "app.log") as address, sync_playwright() as playwright:
        browser, people = launch(playwright), {}
        for number, name in enumerate(("Ann", "Ben")):
            soundfile.write(folder / f"secret of {name}.wav", make_voice(1.5, 16_000, seed=number), 16_000)
            page = browser.new_page()
            page.set_default_timeout(LONGEST_WAIT_MS)
            fetched = []
            page.on("request", lambda request, fetched=fetched: fetched.append(request.url))
            visit(page, address)
            upload(page, folder / f"secret of {name}.wav")
            turn_to(page, "Listen")
            people[name] = page, fetched, (folder / f"secret of {name}.wav").read_bytes()
        yield address, people
        browser.close()


@pytest.mark.browser
def test_no_page_of_one_visit_shows_or_fetches_what_is_anothers(two_visits):
    address, people = two_visits
    for name, other in (("Ann", "Ben"), ("Ben", "Ann")):
        page, fetched, _ = people[name]
        for title in ("Explain", "Listen"):
            turn_to(page, title)
            if title == "Explain":
                page.locator("strong", has_text=f"secret of {name}").wait_for()
            assert f"secret of {other}" not in page.content()
        page.locator(".st-key-pages a").filter(has_text="Select").click()
        page.get_by_text("at least 3 are needed to compare them").wait_for()
        assert f"secret of {other}" not in page.content()
        media = {url for url in fetched if url.startswith(f"{address}/media/")}
        assert len(media) > 3
        assert media.isdisjoint(people[other][1])


@pytest.mark.browser
def test_addresses_of_sounds_cannot_be_computed_from_what_is_in_them(two_visits):
    address, people = two_visits
    page, fetched, source = people["Ann"]
    turn_to(page, "Listen")
    sound = [url for url in fetched if "/media/" in url and url.endswith(".wav")][-1]
    with urllib.request.urlopen(sound) as answer:
        content = answer.read()
    assert len(sound.rsplit("/", 1)[1].removesuffix(".wav")) == 32
    sha256 = hashlib.sha256(content).hexdigest()
    of_streamlit = [_calculate_file_id(content, "audio/wav", name) for name in (None, sha256)]
    known = (b"secret of Ann.wav", hashlib.sha256(source).hexdigest().encode(), str(len(content)).encode(), content)
    derived = [f(words, **size).hexdigest()[:32] for words in known for f, size in HASHES]
    for name in (*of_streamlit, *derived):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/media/{name}.wav")
    for listing in ("/media/", "/media", "/_stcore/media"):
        with pytest.raises(urllib.error.HTTPError, match="40"):
            urllib.request.urlopen(f"{address}{listing}/..%2f")
