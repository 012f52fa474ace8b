"""A deleted recording leaves nothing: in the visit, on disk and, on request, in the annotations."""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pages.shared import cached
from pages.shared.language.names import in_markdown
from pages.shared.recording.deletion import FOR_GOOD, LEAVE
from pages.shared.session import CHOICES
from ser_core.analysis import Region
from ser_core.annotations.annotation import Annotation
from ser_core.annotations.saved_sounds import save_sound, saved_sha256
from ser_core.annotations.store.database import FILE_NAME, Database, default_url
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.teaching.corpus import SOUNDS, TAUGHT
from ser_core.audio.reading import read_recording
from ser_core.errors import AnnotationsRefused
from ser_core.model.shipped_models import model_names
from ser_core.work.jobs import Jobs
from tests.broken_machine import everything_under
from tests.databases import file as file_of
from tests.databases import fresh_store, fresh_url, mark, sha  # noqa: F401 (fixtures)
from tests.test_pages import all_jobs, finished, hold, opened, wav, with_recording, words

NAME, NOTE = "Interview with Jane Doe.wav", "she whispers the name of her sister"

in_the_app = pytest.mark.skipif(not model_names(), reason="no model is shipped in models/")


def marked(url: str, *recordings: tuple[str, str, str], owner: str = "") -> None:
    """Put recordings (SHA-256, name, a mark's note) into a project, one mark of ann's in each, changed once."""
    with closing(open_store(url)) as store:
        project = store.projects.create("Voices", owner)
        for sha256, name, note in recordings:
            store.recordings.add(project, [RecordingFile(sha256, name, 2.5)])
            step = store.marks.edit(project, sha256, "ann", add=[Annotation(Region(0.5, 1.0), note=note)])
            store.marks.edit(project, sha256, "ann", change=[replace(step.marks[0], emotion="sad")])


def as_person(app, name: str):
    """Name the annotator of a visit, as if they had typed their name on the page Annotate."""
    app.session_state["choices"] = dict(CHOICES) | {"annotator": name}
    return app


def fate_of(app):
    return next(one for one in app.radio if one.label.startswith("In "))


def button_of(app, label: str):
    return next(button for button in app.button if button.label == label)


@in_the_app
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_recording_deleted_for_good_leaves_no_byte_under_the_data_folder(voice, make_voice, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    monkeypatch.delenv("SER_DATABASE_URL", raising=False)
    other = with_recording("app.py", make_voice(1.5, 16_000, seed=9))
    button_of(other, "Save").click().run()
    (others,) = (tmp_path / "analyses").iterdir()

    app = as_person(opened("app.py"), "ann")
    app.file_uploader[0].upload(NAME, wav(voice), "audio/wav").run()
    app = finished(app)
    source = app.file_uploader[0].value[0].getvalue()
    recording = read_recording(source, NAME)
    button_of(app, "Save").click().run()
    marked(default_url(tmp_path), (recording.sha256, NAME, NOTE), ("b" * 64, "Another.wav", "stays"))
    save_sound(source, tmp_path)
    piece = tmp_path / TAUGHT / "Voices-1" / SOUNDS / f"{recording.sha256[:16]}-001.wav"
    piece.parent.mkdir(parents=True)
    piece.write_bytes(source)
    others_piece = tmp_path / TAUGHT / "Voices-2" / SOUNDS / f"{'b' * 16}-001.wav"
    others_piece.parent.mkdir(parents=True)
    others_piece.write_bytes(b"stays")
    app.run()
    of_projects = [(kind, 1) for kind in ("export", "into", "measure", "hits")]
    for key in of_projects:
        cached.jobs().add_finished(app.session_state["owner"], key, "Of projects", NOTE)
    before = everything_under(tmp_path)
    traces = (
        source[1000:1064],
        NAME.encode(),
        NOTE.encode(),
        recording.sha256.encode(),
        recording.sha256[:16].encode(),
    )
    assert all(trace in before for trace in traces)

    with closing(open_store(default_url(tmp_path))) as elsewhere:  # like the page Annotate of somebody else
        elsewhere.projects.page()
        button_of(app, "Delete this recording").click().run()
        assert "1 mark of ann" in words(app)
        fate_of(app).set_value(FOR_GOOD)
        button_of(app, "Delete").click().run()
        assert not app.exception
        assert not app.error
        after = everything_under(tmp_path)
    assert not [trace for trace in traces if trace in after]
    assert others.is_dir()
    assert others_piece.is_file()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("SELECT name FROM recordings").fetchall() == [("Another.wav",)]
        assert connection.execute("SELECT count(*) FROM steps").fetchone() == (2,)

    assert recording.sha256 not in app.session_state["held"]
    assert app.file_uploader[0].value == []
    assert not [job for job in all_jobs(app) if recording.sha256 in job.key or job.key in of_projects]


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SER_DATA", str(tmp_path))
    monkeypatch.delenv("SER_DATABASE_URL", raising=False)
    return tmp_path


@in_the_app
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_marks_stay_on_request_and_the_next_recording_is_opened(voice, make_voice, data):
    app = as_person(opened("app.py"), "ann")
    hold(app, make_voice(1.5, 16_000, seed=9))
    kept = app.session_state["held"]
    hold(app, voice)
    app.session_state["held"] = kept | app.session_state["held"]
    gone = app.session_state["current"]
    marked(default_url(data), (gone, NAME, NOTE))
    save_sound(wav(voice), data)
    app = finished(app.run())
    button_of(app, "Delete this recording").click().run()
    fate_of(app).set_value(LEAVE)
    button_of(app, "Delete").click().run()
    assert list(app.session_state["held"]) == list(kept) == [app.session_state["current"]]
    assert NOTE.encode() in everything_under(data)
    assert saved_sha256(data) == [gone]


@in_the_app
def test_a_saved_recording_is_deleted_after_a_question_and_another_at_once(voice, make_voice, data):
    app = with_recording("app.py", voice)
    button_of(app, "Save").click().run()
    (saved,) = (data / "analyses").iterdir()
    button_of(app, "Delete this recording").click().run()
    assert saved.is_dir()
    button_of(app, "Delete").click().run()
    assert not saved.exists()
    assert app.toast[0].value == f"{in_markdown('voice.wav')} is deleted."
    hold(app, make_voice(1.5, 16_000, seed=9))
    app = finished(app.run())
    button_of(app, "Delete this recording").click().run()
    assert not app.session_state["held"]


@in_the_app
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_visitor_without_marks_sees_whose_they_are_and_removes_nothing_from_the_project(voice, data):
    app = as_person(with_recording("app.py", voice), "mallory")
    sha256 = app.session_state["current"]
    marked(default_url(data), (sha256, NAME, NOTE), owner="ben")
    save_sound(wav(voice), data)
    app.run()
    button_of(app, "Delete this recording").click().run()
    assert "1 mark of ann" in words(app)
    assert "Ask ben" in words(app)
    assert not [one for one in app.radio if one.label.startswith("In ")]
    assert app.session_state["held"]  # nothing is deleted before confirmation
    button_of(app, "Delete").click().run()
    assert not app.error
    assert not app.session_state["held"]
    assert NOTE.encode() in everything_under(data)
    assert saved_sha256(data) == [sha256]


@in_the_app
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_deletion_can_be_cancelled_before_confirmation_and_undone_from_the_trash_after(voice, data):
    app = as_person(with_recording("app.py", voice), "ann")
    sha256 = app.session_state["current"]
    marked(default_url(data), (sha256, NAME, NOTE))
    app.run()
    button_of(app, "Delete this recording").click().run()
    button_of(app, "Cancel").click().run()
    assert app.session_state["held"]
    button_of(app, "Delete this recording").click().run()
    button_of(app, "Delete").click().run()
    assert not app.session_state["held"]
    with closing(open_store(default_url(data))) as store:
        assert [(one.recording_name, one.deleted_by) for one in store.trash.items()] == [(NAME, "ann")]
        (project,) = store.projects.page().items
        assert project.recordings == 0
        store.trash.restore(store.trash.items()[0].id, "ann")
        assert len(store.marks.of(project.id, sha256)) == 1


@in_the_app
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_unreadable_store_is_reported_and_everything_else_can_be_deleted(voice, data):
    (data / FILE_NAME).write_text("no database at all, but long enough to be read as the head of one" * 20)
    app = with_recording("app.py", voice)
    button_of(app, "Delete this recording").click().run()
    assert not app.exception
    assert "If projects contain it, it stays there" in app.warning[0].value
    assert app.session_state["current"] in app.session_state["held"]
    button_of(app, "Delete").click().run()
    assert not app.exception
    assert not app.session_state["held"]


@in_the_app
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_sound_that_no_project_uses_is_deleted_with_its_recording(voice, data):
    open_store(default_url(data)).close()
    app = with_recording("app.py", voice)
    save_sound(wav(voice), data)
    button_of(app, "Delete this recording").click().run()
    assert not app.session_state["held"]
    assert saved_sha256(data) == []


@in_the_app
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_deletion_interrupted_by_the_end_of_the_app_is_finished_at_its_start(voice, data):
    source = b"secret sound"
    sha256 = hashlib.sha256(source).hexdigest()
    marked(default_url(data), (sha256, NAME, NOTE))
    save_sound(source, data)
    with closing(open_store(default_url(data))) as store:
        store.trash.delete_recording(sha256, "ann", for_good=True)
    opened("app.py")
    assert saved_sha256(data) == []
    assert not [trace for trace in (source, NAME.encode(), NOTE.encode()) if trace in everything_under(data)]


def test_a_deleted_recording_is_in_no_project_and_others_keep_their_marks(store):
    for name in ("One", "Two"):
        project = store.projects.create(name, "ann")
        store.recordings.add(project, [file_of(0), file_of(1)])
        for number in (0, 1):
            store.marks.edit(project, sha(number), "ann", add=[mark()])
    store.trash.delete_recording(sha(0), "ann")
    for project in (found.id for found in store.projects.page().items):
        assert [one.file.sha256 for one in store.recordings.page(project).items] == [sha(1)]
        assert len(store.marks.of(project, sha(1))) == 1
    store.trash.delete_recording(sha(0), "ann")  # doing it again is no error


def test_what_sqlite_only_marked_as_free_is_overwritten(tmp_path):
    file = tmp_path / FILE_NAME
    open_store(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("INSERT INTO annotators VALUES (?)", (NOTE * 200,))
        connection.execute("DELETE FROM annotators")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert NOTE.encode() in file.read_bytes()
    with closing(Database(f"sqlite:///{file}")) as database:
        database.overwrite_deleted()
        assert NOTE.encode() not in everything_under(tmp_path)


def test_a_busy_database_is_reported_after_everything_else_was_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("ser_core.annotations.store.database.WRITE_TIMEOUT_S", 0.2)
    url = f"sqlite:///{tmp_path / FILE_NAME}"
    with closing(open_store(url)) as store, closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
        project = store.projects.create("One")
        store.recordings.add(project, [file_of(0)])
        store.trash.delete_project(project, "", for_good=True)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AnnotationsRefused, match=r"The marks are deleted, but .*database is locked"):
            store.trash.overwrite_deleted()
        other.rollback()
        store.trash.overwrite_deleted()


def test_only_jobs_about_the_deleted_recording_are_forgotten():
    jobs = Jobs()
    keys = [("classify", "a", 1), ("explain", "lime", "a"), ("classify", "b"), "a"]
    done = {key: jobs.submit("ann", key, "Listening", lambda *_: 1) for key in keys}
    bobs = jobs.submit("bob", keys[0], "Listening", lambda *_: 1)
    for job in (*done.values(), bobs):
        assert job.ended.wait(10)
    jobs.forget("ann", about="a")
    assert [jobs.find("ann", key) for key in keys] == [None, None, done[keys[2]], done["a"]]
    assert jobs.find("bob", keys[0]) is bobs
