"""What goes wrong while annotations are saved: the process is killed, the server goes, the disk is full or read-only.

In every case: what was reported as saved is there, nothing is half saved, and the next call works.
"""

import hashlib
import os
import re
import signal
import sqlite3
import sys
import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.saved_sounds import finish_deletions, save_sound, saved_sha256
from ser_core.annotations.store import recordings
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.teaching.corpus import SOUNDS, TAUGHT
from ser_core.errors import AnnotationsRefused
from ser_core.work.progress import Work
from tests.broken_machine import everything_under, files_of_at_most, forks, killed, read_only
from tests.databases import file, fresh_project, fresh_schema, fresh_store, fresh_url, mark, sha  # noqa: F401

pytestmark = pytest.mark.process

KILLS = {"sqlite": 12, "postgresql": 8}
REFUSED = r"^The annotation database failed \(.+\). Nothing counts as saved: load the page"

# --- a known sequence of steps: the marks follow from their number ---


def take_step(number, store, project) -> None:
    """Take the step of a number: add two marks; split the first, which adds a third; undo that; redo it."""
    place, kind = divmod(number, 4)
    note = f"{place}"
    if kind == 0:
        store.marks.edit(project, sha(0), "Ann", add=[mark(0, 4, note=note), mark(4, 8, note=note)])
    elif kind == 1:
        (whole, _) = (annotation for annotation in store.marks.of(project, sha(0)) if annotation.note == note)
        halves = {"change": [replace(whole, region=Region(0, 2))], "add": [mark(2, 4, note=note)]}
        store.marks.edit(project, sha(0), "Ann", **halves)
    else:
        (store.history.undo, store.history.redo)[kind - 2](project, sha(0), "Ann")


def places_after(deeds) -> list[tuple[str, float, float]]:
    """Return the note, start and end of all marks after a number of steps."""
    pair, halved = [(0, 4), (4, 8)], [(0, 2), (2, 4), (4, 8)]
    pairs, rest = divmod(deeds, 4)
    last = [[], pair, halved, pair][rest]
    return [(f"{place}", *of) for place in range(pairs) for of in halved] + [(f"{pairs}", *of) for of in last]


def assert_left_by(deeds, store, project) -> int:
    """Assert that the store has the marks after one of these numbers of steps; return the number."""
    with store._database.writing() as connection:
        # PostgreSQL may still be ending a killed process's statement.
        recordings.lock(connection, project, sha(0), "Ann")
    steps = store.history.page(project, sha(0), size=10_000)
    assert steps.total in deeds
    assert {len(step.changes) for step in steps.items} <= {2}
    standing = [(a.note, a.region.start_s, a.region.end_s) for a in store.marks.of(project, sha(0))]
    assert sorted(standing) == sorted(places_after(steps.total))
    return steps.total


def assert_sound(url) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


# --- killed ---


def do_for_ever(url, project, first, reports) -> None:
    with closing(open_store(url)) as store:
        for number in range(first, 10_000):
            take_step(number, store, project)
            reports.send(number + 1)


def import_much(url, project, reports) -> None:
    marks = tuple(mark(place, place + 1) for place in range(2_000))
    document = AnnotatedRecording("much.wav", sha(50), 3_000.0, None, marks)
    with closing(open_store(url)) as store:
        store.transfer.import_recordings(project, [document], "Ann", Work(lambda fraction, words: reports.send(words)))


def test_process_killed_at_any_moment_loses_nothing_that_it_had_reported(store, project, database_url):
    rng, done = np.random.default_rng(0), 0
    for _ in range(KILLS[store._database._url.get_backend_name()]):
        store.close()
        first = done
        moment = {"after": int(rng.integers(1, 8)), "wait_s": rng.uniform(0, 0.02)}
        reported = killed(do_for_ever, database_url, project, first, **moment)
        assert reported == list(range(first + 1, first + 1 + len(reported)))
        with closing(open_store(database_url)) as again:
            done = assert_left_by({reported[-1], reported[-1] + 1}, again, project)
        assert_sound(database_url)
    while store.history.undo(project, sha(0), "Ann"):
        pass
    assert store.marks.of(project, sha(0)) == ()


def test_a_killed_import_leaves_nothing(store, project, database_url):
    reported = killed(import_much, database_url, project, after=1)
    assert reported[0] == "500 of 2000 marks"
    assert reported[-1] != "2000 of 2000 marks"
    assert store.recordings.page(project).total == 5
    assert_sound(database_url)
    store.marks.edit(project, sha(0), "Ben", add=[mark()])


def delete_project_and_die(url, project, data, moment) -> None:
    """Delete a project for good; be killed before the file or statement of this number is touched."""
    touched = count(1)

    def touch(*_) -> None:
        if next(touched) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(name, arguments) -> None:
        if name in ("os.remove", "os.rename", "os.rmdir") or (name == "open" and str(data) in str(arguments[0])):
            touch()

    with closing(open_store(url)) as store:
        sys.addaudithook(audit)
        for name in ("before_cursor_execute", "commit"):
            event.listen(Engine, name, touch)
        store.trash.delete_project(project, "Ben", for_good=True)
        finish_deletions(store, Path(data))


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.long)])
def test_deletion_for_good_that_was_killed_at_any_moment_is_finished_at_the_next_start(database_url, tmp_path, step):
    left, data = [], tmp_path / "data"
    for moment in count(1, step):
        with closing(open_store(database_url)) as store:
            project = store.projects.create(f"Secret project {moment}", "Ben")
            sources = [f"secret sound {moment} {number}".encode() for number in range(5)]
            files = [file(0, sha256=hashlib.sha256(source).hexdigest(), name="secret name") for source in sources]
            store.recordings.add(project, files)
            for source, each in zip(sources, files, strict=True):
                save_sound(source, data)
                store.marks.edit(project, each.sha256, "Ann", add=[mark(note="secret note")])
            piece = data / TAUGHT / "Voices-1" / SOUNDS / f"{files[2].sha256[:16]}-001.wav"
            piece.parent.mkdir(parents=True)
            piece.write_bytes(b"secret piece")
        process = forks.Process(target=delete_project_and_die, args=(database_url, project, str(data), moment))
        process.start()
        process.join()
        left.append(len(saved_sha256(data)))
        with closing(open_store(database_url)) as store:
            finish_deletions(store, data)
            if store.projects.page().total:  # it was killed before it had deleted anything
                assert left[-1] == 5
                assert store.recordings.page(project).total == 5
                store.trash.delete_project(project, "Ben", for_good=True)
                finish_deletions(store, data)
            assert (store.projects.page().total, store.trash.items()) == (0, [])
            assert store.trash.delete_sounds(datetime.max.replace(tzinfo=UTC), str) == set()
        assert saved_sha256(data) == []
        assert list((data / TAUGHT).iterdir()) == []
        assert b"secret" not in everything_under(tmp_path).lower()
        assert_sound(database_url)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert set(left) == {0, 1, 2, 3, 4, 5} if step == 1 else {0, 5} <= set(left)
    assert moment > 20


# --- the server goes ---


@contextmanager
def server_lost_before(place, url):
    """End the store's connection before the statement with this index, counting COMMIT; yield those that were sent."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    sent = []

    def note(connection, *_) -> None:
        sent.append(connection)
        if len(sent) == place:
            backend = connection.connection.driver_connection.info.backend_pid
            assert other.execute("SELECT pg_terminate_backend(%s, 10000)", [backend]).fetchone() == (True,)

    with psycopg.connect(plain, autocommit=True) as other:
        for name in ("before_cursor_execute", "commit"):
            event.listen(Engine, name, note)
        try:
            yield sent
        finally:
            for name in ("before_cursor_execute", "commit"):
                event.remove(Engine, name, note)


def project_state(store, project):
    recording = store.recordings.open(project, sha(0), "Ann")
    return recording, store.history.page(project, sha(0)), store.recordings.page(project)


def refusal_of(action, *arguments) -> str:
    try:
        action(*arguments)
    except AnnotationsRefused as refused:
        return str(refused)
    return ""


ACTIONS = {
    "list": lambda store, project: store.recordings.page(project),
    "open": lambda store, project: store.recordings.open(project, sha(0), "Ann"),
    "edit": lambda store, project: store.marks.edit(project, sha(0), "Ann", add=[mark(), mark()]),
    "edit as a newcomer": lambda store, project: store.marks.edit(project, sha(0), "Ben", add=[mark()]),
    "undo": lambda store, project: store.history.undo(project, sha(0), "Ann"),
    "redo": lambda store, project: store.history.redo(project, sha(0), "Ann"),
    "rate": lambda store, project: store.recordings.rate(project, "uncertainty", {sha(0): 1.0, sha(1): 2.0}),
    "import": lambda store, project: store.transfer.import_recordings(
        project, [AnnotatedRecording("new.wav", sha(9), 9.0, None, (mark(),) * 600)], "Ann"
    ),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_connection_lost_before_any_statement_is_refused_once_and_the_next_call_works(action):
    with fresh_schema() as url, closing(open_store(url)) as store:
        project = store.projects.create("Voices")
        store.recordings.add(project, [file(0), file(1)])
        for number in (0, 4, 8):
            take_step(number, store, project)
        store.history.undo(project, sha(0), "Ann")
        for place in count(1):
            before = project_state(store, project)
            store.marks._annotators._known.discard("Ben")
            with server_lost_before(place, url) as sent:
                refusal = refusal_of(ACTIONS[action], store, project)
            if len(sent) < place:
                break
            assert re.match(REFUSED, refusal)
            assert project_state(store, project) == before
        assert refusal == ""
        assert place > 2
        assert (project_state(store, project) == before) == (action in ("list", "open"))


def test_a_connection_lost_between_two_calls_is_made_again_unnoticed():
    with fresh_schema() as url, closing(open_store(url)) as store, closing(open_store(url)) as other:
        with store._database.reading() as connection:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
        with other._database.reading() as connection:
            assert connection.scalar(text(f"SELECT pg_terminate_backend({backend}, 10000)"))
        assert store.projects.page().total == 0


def test_a_read_only_server_is_refused():
    with fresh_schema() as url, closing(open_store(url)) as store:
        project = store.projects.create("Voices")
        store.recordings.add(project, [file(0)])
        search_path = make_url(url).query["options"]
        standby = make_url(url).update_query_dict({"options": f"{search_path} -cdefault_transaction_read_only=on"})
        with closing(open_store(standby.render_as_string(hide_password=False))) as other:
            assert other.recordings.page(project).total == 1
            with pytest.raises(AnnotationsRefused, match=r"read-only transaction\)\. Nothing counts as saved"):
                other.marks.edit(project, sha(0), "Ann", add=[mark()])
        take_step(0, store, project)
        assert_left_by({1}, store, project)


# --- the disk ---


@pytest.fixture
def sqlite_file(tmp_path) -> Path:
    return tmp_path / "annotations.sqlite"


def test_a_full_disk_keeps_saved_marks_and_writing_continues_once_there_is_room(sqlite_file):
    rng, done = np.random.default_rng(0), 0
    with closing(open_store(f"sqlite:///{sqlite_file}")) as store:
        project = store.projects.create("Voices")
        store.recordings.add(project, [file(0)])
        for _ in range(20):
            log = sqlite_file.with_name(f"{sqlite_file.name}-wal")
            with files_of_at_most(log.stat().st_size + int(rng.integers(0, 30_000))):
                while not (refusal := refusal_of(take_step, done, store, project)):
                    done += 1
                assert re.match(REFUSED, refusal)
                assert len(store.marks.of(project, sha(0))) == len(places_after(done))
            assert_left_by({done}, store, project)
            assert_sound(f"sqlite:///{sqlite_file}")
            take_step(done, store, project)
            done += 1


@pytest.mark.parametrize("size", [0, 4_096, 20_000, 60_000])
def test_a_new_database_without_room_is_refused_and_can_be_created_later(sqlite_file, size):
    with files_of_at_most(size), pytest.raises(AnnotationsRefused, match=r"annotations.sqlite, cannot be opened \("):
        open_store(f"sqlite:///{sqlite_file}")
    with closing(open_store(f"sqlite:///{sqlite_file}")) as store:
        assert store.projects.page().total == 0


def test_a_file_that_turns_read_only_is_refused_and_saved_marks_stay():
    with tempfile.TemporaryDirectory() as folder, closing(open_store(f"sqlite:///{folder}/a.sqlite")) as store:
        project = store.projects.create("Voices")
        store.recordings.add(project, [file(0)])
        take_step(0, store, project)
        store.close()
        with read_only(Path(folder)), pytest.raises(AnnotationsRefused, match=REFUSED):
            take_step(1, store, project)
        take_step(1, store, project)
        assert_left_by({2}, store, project)


def test_edit_that_fails_half_way_leaves_no_mark(store, project, database_url):
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE steps RENAME TO hidden_steps"))
    with pytest.raises(AnnotationsRefused, match=r"\(.*steps.*\)\. Nothing counts as saved"):
        store.marks.edit(project, sha(0), "Ann", add=[mark()])
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE hidden_steps RENAME TO steps"))
    engine.dispose()
    assert store.marks.of(project, sha(0)) == ()
