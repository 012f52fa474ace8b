"""The annotation database: opening it, migrations, and use by several processes at once.

As a script it is run by the other processes: `python -m tests.test_annotation_database DEED URL PROJECT NAME`.
"""

import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from ser_core.annotations.store.database import MIGRATIONS, default_url
from ser_core.annotations.store.tables import metadata
from ser_core.annotations.store.transactions import open_store
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from tests.databases import file, fresh_project, fresh_schema, fresh_store, fresh_url, mark, sha  # noqa: F401

ROOT = Path(__file__).parent.parent
CHANGES_EACH = 20


# --- what other processes do; each line that they print was saved before ---


def say(line) -> None:
    print(line, flush=True)


def change_the_same(store, project, name) -> None:
    """Append a word to the note of the one mark of recording 0, and add marks to recording 1."""
    for number in range(CHANGES_EACH):
        word = f"{name}{number}"
        while True:
            (there,) = store.marks.of(project, sha(0))
            try:
                store.marks.edit(project, sha(0), name, change=[replace(there, note=f"{there.note} {word}")])
                break
            except AnnotationsOutdated:
                pass
        store.marks.edit(project, sha(1), name, add=[mark(note=word)])
        say(word)


@contextmanager
def process(deed, *arguments):
    """Start another process that does one of these; it waits for a line before it begins."""
    command = [sys.executable, "-m", "tests.test_annotation_database", deed, *map(str, arguments)]
    started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def begin(*processes) -> None:
    for started in processes:
        assert started.stdout.readline() == "ready\n"
    for started in processes:
        started.stdin.write("go\n")
        started.stdin.flush()


# --- several at once ---


def test_two_processes_that_change_the_same_mark_lose_no_word(store, project, database_url):
    store.marks.edit(project, sha(0), "Cid", add=[mark()])
    names = ("Ann", "Ben")
    with (
        process("change_the_same", database_url, project, names[0]) as one,
        process("change_the_same", database_url, project, names[1]) as two,
    ):
        begin(one, two)
        reported = [line.strip() for other in (one, two) for line in other.stdout.readlines()]
    expected = sorted(f"{name}{number}" for name in names for number in range(CHANGES_EACH))
    assert sorted(reported) == expected
    (changed,) = store.marks.of(project, sha(0))
    assert sorted(changed.note.split()) == expected
    assert changed.revision == 1 + len(expected)
    assert sorted(annotation.note for annotation in store.marks.of(project, sha(1))) == expected
    notes = [step.marks[0].note for step in store.history.page(project, sha(0), size=1_000).items]
    assert all(newer.startswith(older) for newer, older in pairwise(notes))


def test_processes_that_open_a_new_database_at_once_make_it_once(database_url):
    with ExitStack() as stack:
        others = [stack.enter_context(process("open", database_url, 0, name)) for name in "abc"]
        begin(*others)
        assert [other.stdout.readline() for other in others] == ["opened\n"] * 3
    with closing(open_store(database_url)) as store:
        assert [project.name for project in store.projects.page().items] == ["a", "b", "c"]


def test_a_database_file_that_another_process_is_creating_is_waited_for(tmp_path):
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, other.rollback).start()
        with closing(open_store(f"sqlite:///{path}")) as store:
            assert store.projects.page().total == 0


# --- opened ---


def test_migrations_create_the_tables_that_the_code_uses(store, database_url):
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        for table in metadata.tables.values():
            checks = {check["name"] for check in inspect(connection).get_check_constraints(table.name)}
            assert checks == {check.name for check in table.constraints if "Check" in type(check).__name__}
    engine.dispose()


def test_database_of_a_newer_version_is_refused_and_left_alone(store, database_url):
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of tomorrow'"))
    with pytest.raises(AnnotationsRefused, match=r"made by a newer version of this program; install that version, or"):
        open_store(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "of tomorrow"
    engine.dispose()


FIRST_ROWS = (
    "INSERT INTO projects VALUES (1, :decomposed, '2024-05-01 12:00:00'), (2, :composed, '2024-05-01 12:00:00')",
    "INSERT INTO annotators VALUES ('Ann')",
    "INSERT INTO recordings VALUES (1, 1, :sha, 'a.wav', 'a.wav', 10, 16000, NULL, '{}', '2024-05-01 12:00:00', -1, "
    "-1, -1)",
    "INSERT INTO marks VALUES ('key', 1, 'emotion', 'Ann', 1, 2, NULL, NULL, 'sad', NULL, '', NULL, 'open', 1, FALSE, "
    "'2024-05-01 12:00:00', 'Ann')",
    "INSERT INTO marks VALUES ('other', 1, 'words', 'Ann', 2, 3, NULL, NULL, NULL, NULL, 'nein', NULL, 'open', 1, "
    "FALSE, '2024-05-01 12:00:00', 'Ann')",
    "INSERT INTO steps VALUES (1, 1, 'Ann', '2024-05-01 12:00:00', 'edit', '[]', NULL, NULL)",
)


def engine_of_version(url, version):
    """Return an engine of a database as the migrations up to a version leave it."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, version)
    return engine


def test_a_database_of_the_first_version_is_migrated_with_its_content(database_url):
    engine = engine_of_version(database_url, "0001")
    with engine.begin() as connection:
        for statement in FIRST_ROWS:
            connection.execute(text(statement), {"sha": sha(0), "decomposed": "Zoe\u0308", "composed": "Zo\u00eb"})
    with closing(open_store(database_url)) as newer:
        projects = {project.name: project.id for project in newer.projects.page().items}
        assert projects == {"Zo\u00eb": 2, "Zo\u00eb (2)": 1}
        assert [found.emotion or found.note for found in newer.marks.of(1, sha(0))] == ["sad", "nein"]
        assert [(tier.key, tier.content) for tier in newer.tiers.of(1)] == [("emotion", "emotions"), ("words", "text")]
        assert [tier.key for tier in newer.tiers.of(2)] == ["emotion"]
        assert newer.history.page(1, sha(0)).items[0].f0 is None
        assert newer.recordings.open(1, sha(0), "Ann").f0.hz == {}
        (ownership,) = newer.trash.ownerships_of(sha(0))
        assert (ownership.owner, ownership.marks, ownership.added_by) == ("Ann", {"Ann": 2}, None)
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        connection.execute(text("UPDATE marks SET end_s = start_s"))  # points could not be stored before
    engine.dispose()


def test_marks_and_steps_of_the_version_before_channels_and_participants_are_read_and_undone(database_url):
    engine = engine_of_version(database_url, "0009")
    was = (
        '[[null, {"tier": "emotion", "annotator": "Ann", "emotion": "sad", "intensity": null, "note": "", '
        '"confidence": null, "status": "open", "start_s": 1.0, "end_s": 2.0, "low_hz": null, "high_hz": null, '
        '"key": "key", "revision": 1, "changed_at": "2024-05-01T12:00:00+00:00"}]]'
    )
    columns = "id, project_id, sha256, name, folded_name, duration_s, provenance, added_at, uncertainty, "
    columns += "explainers_disagreement, annotators_disagreement"
    statements = (
        "INSERT INTO projects (id, name, created_at) VALUES (1, 'A', '2024-05-01 12:00:00')",
        "INSERT INTO annotators VALUES ('Ann')",
        f"INSERT INTO recordings ({columns}) VALUES (1, 1, :sha, 'a.wav', 'a.wav', 10, '{{}}', "
        "'2024-05-01 12:00:00', -1, -1, -1)",
        "INSERT INTO tiers (project_id, key, name, position, kind, content, labels, shown) "
        "VALUES (1, 'emotion', 'emotion', 0, 'intervals', 'emotions', '[]', TRUE)",
        FIRST_ROWS[3],
        "INSERT INTO steps (recording_id, annotator, at, kind, changes) "
        "VALUES (1, 'Ann', '2024-05-01 12:00:00', 'edit', :was)",
    )
    with engine.begin() as connection:
        for statement in statements:
            given = {name: value for name, value in (("sha", sha(0)), ("was", was)) if f":{name}" in statement}
            connection.execute(text(statement), given)
    engine.dispose()
    with closing(open_store(database_url)) as newer:
        opened = newer.recordings.open(1, sha(0), "Ann")
        assert [(found.emotion, found.channel) for found in opened.annotations] == [("sad", None)]
        assert [tier.participant for tier in opened.tiers] == [""]
        newer.history.undo(1, sha(0), "Ann")
        newer.history.redo(1, sha(0), "Ann")
        (found,) = newer.marks.of(1, sha(0))
        newer.marks.edit(1, sha(0), "Ann", change=[replace(found, channel=2)])
        assert [found.channel for found in newer.marks.of(1, sha(0))] == [2]
        newer.history.undo(1, sha(0), "Ann")
        assert [found.channel for found in newer.marks.of(1, sha(0))] == [None]


def test_a_person_called_gold_is_renamed(database_url):
    engine = engine_of_version(database_url, "0001")
    with engine.begin() as connection:
        for statement in FIRST_ROWS:
            names = {"sha": sha(0), "decomposed": "A", "composed": "B"}
            connection.execute(text(statement.replace("'Ann'", "'Gold'")), names)
        was = '[[null, {"annotator": "Gold", "note": "not \\"annotator\\": \\"Gold\\""}]]'
        connection.execute(text("UPDATE steps SET changes = :was"), {"was": was})
    with closing(open_store(database_url)) as newer:
        assert {mark.annotator for mark in newer.marks.of(1, sha(0))} == {"Gold (a person)"}
        assert newer.trash.ownerships_of(sha(0))[0].owner == "Gold (a person)"
    with engine.begin() as connection:
        ((annotator, changes),) = connection.execute(text("SELECT annotator, changes FROM steps")).all()
        assert annotator == "Gold (a person)"
        assert changes == was.replace('{"annotator": "Gold"', '{"annotator": "Gold (a person)"')
        assert connection.scalars(text("SELECT name FROM annotators")).all() == ["Gold (a person)"]
    engine.dispose()


def test_sqlite_syncs_to_disk_and_enforces_foreign_keys(tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path / 'a.sqlite'}")) as store, store._database.reading() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas] == ["wal", 2, 1, 60_000]


def test_the_database_is_that_of_the_environment_else_a_file_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("SER_DATABASE_URL", raising=False)
    odd = tmp_path / "a folder? #1 50%"
    with closing(open_store(default_url(odd))) as store:
        store.projects.create("Here")
    assert (odd / "annotations.sqlite").is_file()
    monkeypatch.setenv("SER_DATABASE_URL", "postgresql://someone@somewhere/something")
    assert default_url(odd) == "postgresql://someone@somewhere/something"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://user:hidden@host/name", "names mysql; it must be sqlite:///FILE or postgresql://"),
        ("no url, hidden", "names no database"),
        ("sqlite://", "names sqlite; it must be"),
        ("sqlite:///:memory:", "names sqlite"),
        ("postgresql://user:hidden@host:port/name", "names no database"),
        ("postgresql://user:hidden@127.0.0.1:1/name", "name at 127.0.0.1, cannot be opened .*Check SER_DATABASE_URL"),
        ("postgres://user@127.0.0.1:1/name?password=hidden", "name at 127.0.0.1, cannot be opened"),
        ("postgresql://user:hidden@127.0.0.1:1/name?nonsense=hidden", "cannot be opened"),
    ],
)
def test_database_that_cannot_be_reached_is_refused_without_its_password(url, words):
    with pytest.raises(AnnotationsRefused, match=words) as refused:
        open_store(url)
    assert "hidden" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_file_that_is_not_a_database_or_has_a_file_as_its_folder_is_refused(tmp_path):
    (tmp_path / "text").write_text("No database, but long enough to be taken for the head of one. " * 20)
    with pytest.raises(AnnotationsRefused, match=r"text, cannot be opened .file is not a database"):
        open_store(f"sqlite:///{tmp_path / 'text'}")
    with pytest.raises(AnnotationsRefused, match=r"folder of the annotation database, .* cannot be made"):
        open_store(f"sqlite:///{tmp_path / 'text' / 'a.sqlite'}")


def test_a_write_that_waits_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ser_core.annotations.store.database.WRITE_TIMEOUT_S", 0.01)
    path = tmp_path / "a.sqlite"
    with closing(open_store(f"sqlite:///{path}")) as store, closing(sqlite3.connect(path)) as other:
        project = store.projects.create("Voices")
        store.recordings.add(project, [file(0)])
        other.execute("BEGIN IMMEDIATE")
        assert store.recordings.page(project).total == 1
        with pytest.raises(AnnotationsRefused, match=r"\(database is locked\).*Nothing counts as saved"):
            store.marks.edit(project, sha(0), "Ann", add=[mark()])
        other.rollback()
        store.marks.edit(project, sha(0), "Ann", add=[mark()])


def main(deed, url, project, name) -> None:
    say("ready")
    sys.stdin.readline()
    with closing(open_store(url)) as store:
        if deed == "open":
            store.projects.create(name)
            say("opened")
        else:
            change_the_same(store, int(project), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
