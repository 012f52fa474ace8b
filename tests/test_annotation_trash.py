"""The trash: only makers and owners delete; deleted items can be restored for 30 days, then no byte is left."""

import hashlib
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text

from ser_core.annotations.annotation import MAX_TEXT_LENGTH, RECORDING_TIER, AnnotatedRecording
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, export_recordings
from ser_core.annotations.saved_sounds import (
    FOLDER,
    delete_sound,
    finish_deletions,
    save_sound,
    saved_sha256,
    saved_sound,
)
from ser_core.annotations.store.database import FILE_NAME
from ser_core.annotations.store.people.ownership import Ownership
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.store.trash import TRASH_PERIOD
from ser_core.annotations.teaching.corpus import TAUGHT
from ser_core.errors import AnnotationsRefused
from ser_core.settings import AudioLimits
from tests.broken_machine import everything_under
from tests.databases import file, fresh_project, fresh_store, fresh_url, mark, sha  # noqa: F401

OWNER, ANN, BEA, STRANGER = "Ben", "Ann", "Bea", "Mallory"


@pytest.fixture
def marked(store, project) -> int:
    """Ben's project, in which Ann and Bea marked recording 0, and Ann alone recording 1."""
    store.marks.edit(project, sha(0), ANN, add=[mark(note="hers"), mark(3, 4)])
    store.marks.edit(project, sha(0), BEA, add=[mark(0, 10, tier=RECORDING_TIER, status="done")])
    store.marks.edit(project, sha(1), ANN, add=[mark()])
    store.recordings.rate(project, "uncertainty", {sha(0): 0.5})
    return project


def project_state(store, project):
    return [
        (store.recordings.open(project, sha(n), ANN), store.history.page(project, sha(n)).items) for n in range(5)
    ], store.recordings.count_by_status(project)


# --- permissions ---


def test_a_project_without_creator_or_marks_belongs_to_who_added_its_first_recording(store):
    project = store.projects.create("Nobody's")
    store.recordings.add(project, [file(0)], ANN)
    store.recordings.add(project, [file(1)], BEA)
    with pytest.raises(AnnotationsRefused, match="Ask Ann"):
        store.trash.delete_project(project, STRANGER, for_good=True)
    store.trash.delete_project(project, ANN)


def test_names_in_another_form_of_unicode_are_the_same_person():
    assert Ownership(1, "p", "Zo\u00eb").may_delete("Zoe\u0308 ")


@pytest.mark.parametrize(
    ("holding", "allowed", "refused"),
    [
        (Ownership(1, "p", OWNER, {ANN: 1}), [OWNER, ANN], [BEA, STRANGER, ""]),
        (Ownership(1, "p", OWNER, {ANN: 1, BEA: 2}), [OWNER], [ANN, BEA, STRANGER, ""]),
        (Ownership(1, "p", OWNER, {ANN: 1}, added_by=BEA), [OWNER], [ANN, BEA, STRANGER, ""]),
        (Ownership(1, "p", OWNER, {}, added_by=BEA), [OWNER, BEA], [ANN, STRANGER, ""]),
        (Ownership(1, "p", OWNER), [OWNER], [ANN, STRANGER, ""]),
        (Ownership(1, "p", None), [ANN, ""], []),
        (Ownership(1, "p", OWNER, {ANN: 1}, is_project=True), [OWNER], [ANN, ""]),
    ],
)
def test_only_the_maker_of_everything_or_the_project_owner_may_delete(holding, allowed, refused):
    assert [name for name in allowed if not holding.may_delete(name)] == []
    assert [name for name in refused if holding.may_delete(name)] == []


def test_a_person_without_a_role_cannot_delete_recordings_projects_or_marks(store, marked):
    before = project_state(store, marked)
    theirs = store.marks.of(marked, sha(0))
    for attack in (
        lambda: store.trash.delete_recording(sha(0), STRANGER),
        lambda: store.trash.delete_recording(sha(0), STRANGER, for_good=True),
        lambda: store.trash.delete_recording(sha(0), ""),
        lambda: store.trash.delete_recording(sha(0), ANN),
        lambda: store.trash.delete_project(marked, STRANGER),
        lambda: store.trash.delete_project(marked, ANN, for_good=True),
    ):
        with pytest.raises(AnnotationsRefused, match=r"[23] marks of Ann") as refused:
            attack()
        assert "1 mark of Bea" in str(refused.value)
        assert "Ask Ben" in str(refused.value)
    with pytest.raises(AnnotationsRefused, match="Marks of Ann and Bea can be deleted by them"):
        store.marks.edit(marked, sha(0), STRANGER, delete=theirs)
    assert project_state(store, marked) == before
    assert store.trash.items() == []


def test_a_project_without_an_owner_belongs_to_the_first_annotator(store):
    project = store.projects.create("Nobody's")
    store.recordings.add(project, [file(0), file(1)])
    assert store.trash.delete_recording(sha(1), "") == 1
    store.marks.edit(project, sha(0), ANN, add=[mark()])
    store.marks.edit(project, sha(0), BEA, add=[mark()])
    with pytest.raises(AnnotationsRefused, match="Ask Ann"):
        store.trash.delete_project(project, BEA)
    store.trash.delete_project(project, ANN)


def test_a_recording_is_deleted_only_from_projects_in_which_that_is_allowed(store, marked):
    other = store.projects.create("Bea's", BEA)
    store.recordings.add(other, [file(0)])
    assert store.trash.delete_recording(sha(0), BEA) == 1
    assert store.recordings.page(other).total == 0
    assert store.recordings.page(marked).total == 5


# --- deleting and restoring ---


def test_a_recording_is_restored_with_marks_history_ratings_and_undo(store, marked):
    before = project_state(store, marked)
    store.trash.delete_recording(sha(0), OWNER)
    assert store.recordings.page(marked).total == 4
    assert [document.sha256 for document in store.transfer.export(marked)] == [sha(n) for n in range(1, 5)]
    with pytest.raises(AnnotationsRefused, match="not in this project"):
        store.marks.edit(marked, sha(0), ANN, add=[mark()])
    (deleted,) = store.trash.items()
    assert (deleted.project_name, deleted.recording_name, deleted.recordings) == ("Voices", "take 0.wav", 1)
    assert (deleted.marks, deleted.deleted_by, deleted.owner) == ({ANN: 2, BEA: 1}, OWNER, OWNER)
    assert deleted.expires_at - deleted.deleted_at == timedelta(days=30)
    assert store.trash.restore(deleted.id, ANN) == "Voices"
    assert project_state(store, marked) == before
    assert store.trash.items() == []
    assert store.history.undo(marked, sha(0), ANN).kind == "undo"
    with pytest.raises(AnnotationsRefused, match="no longer in the trash"):
        store.trash.restore(deleted.id, ANN)


def test_a_project_is_restored_beside_another_one_that_has_its_name_now(store, marked):
    before = project_state(store, marked)
    store.trash.delete_recording(sha(4), OWNER)
    store.trash.delete_project(marked, OWNER)
    assert store.projects.page().total == 0
    (whole, one) = sorted(store.trash.items(), key=lambda deleted: deleted.recordings, reverse=True)
    assert (whole.recording_name, whole.recordings, whole.marks) == (None, 4, {ANN: 3, BEA: 1})
    taken = store.projects.create("Voices", STRANGER)
    with pytest.raises(AnnotationsRefused, match="project 'Voices' is in the trash too"):
        store.trash.restore(one.id, OWNER)
    assert store.trash.restore(whole.id, OWNER) == "Voices (2)"
    assert store.trash.restore(one.id, OWNER) == "Voices (2)"
    names = {project.name: project.id for project in store.projects.page().items}
    assert names.pop("Voices") == taken
    assert project_state(store, names["Voices (2)"]) == before


def test_a_person_without_a_role_can_neither_restore_nor_purge(store, marked):
    store.trash.delete_recording(sha(0), OWNER)
    (deleted,) = store.trash.items()
    assert [name for name in (STRANGER, "") if deleted.may_restore(name) or deleted.may_delete(name)] == []
    with pytest.raises(AnnotationsRefused, match="has no part in what Ben deleted"):
        store.trash.restore(deleted.id, STRANGER)
    with pytest.raises(AnnotationsRefused, match="Only Ben can delete this for good"):
        store.trash.delete_for_good(deleted.id, ANN)
    assert len(store.trash.items()) == 1


def test_a_recording_added_again_is_replaced_by_a_restored_one_unless_it_was_marked(store, marked):
    before = project_state(store, marked)
    for marks_again in (False, True):
        store.trash.delete_recording(sha(0), OWNER)
        store.recordings.add(marked, [file(0)])
        (deleted,) = store.trash.items()
        if marks_again:
            store.marks.edit(marked, sha(0), BEA, add=[mark()])
            with pytest.raises(AnnotationsRefused, match="added to 'Voices' again and has been marked there since"):
                store.trash.restore(deleted.id, OWNER)
            assert len(store.marks.of(marked, sha(0))) == 1
        else:
            store.trash.restore(deleted.id, OWNER)
            assert sorted(map(str, project_state(store, marked)[0])) == sorted(map(str, before[0]))


# --- for good ---


def sounds_of_project(store, project, data) -> list[bytes]:
    sources = [f"secret sound {number}".encode() for number in range(3)]
    for source in sources:
        each = file(0, sha256=hashlib.sha256(source).hexdigest(), name="secret name.wav")
        store.recordings.add(project, [each])
        store.marks.edit(project, each.sha256, ANN, add=[mark(note="secret note")])
        save_sound(source, data)
    return sources


def test_trash_is_kept_for_30_days_and_then_leaves_no_byte(store, project, tmp_path):
    data = tmp_path / "data"
    sources = sounds_of_project(store, project, data)
    deleted_at = datetime.now(UTC)
    store.trash.delete_project(project, OWNER)
    finish_deletions(store, data, deleted_at + TRASH_PERIOD - timedelta(minutes=1))
    assert len(store.trash.items()) == 1
    assert len(saved_sha256(data)) == len(sources)
    assert b"secret note" in everything_under(tmp_path) or store.location.startswith("postgres")
    finish_deletions(store, data, deleted_at + TRASH_PERIOD + timedelta(minutes=1))
    assert store.trash.items() == []
    assert saved_sha256(data) == []
    assert b"secret" not in everything_under(tmp_path)


def test_the_owner_deletes_for_good_with_or_without_the_trash(store, project, tmp_path):
    data = tmp_path / "data"
    first, second, _ = (hashlib.sha256(source).hexdigest() for source in sounds_of_project(store, project, data))
    store.trash.delete_recording(first, OWNER, for_good=True)
    finish_deletions(store, data)
    assert first not in saved_sha256(data)
    store.trash.delete_recording(second, OWNER)
    finish_deletions(store, data)
    assert second in saved_sha256(data)
    store.trash.delete_for_good(store.trash.items()[0].id, OWNER)
    finish_deletions(store, data)
    assert second not in saved_sha256(data)
    assert store.trash.items() == []


def test_a_deletion_whose_overwriting_failed_is_repeated(store, project, tmp_path, monkeypatch):
    (sound, *_) = sounds_of_project(store, project, tmp_path)
    store.trash.delete_recording(hashlib.sha256(sound).hexdigest(), OWNER, for_good=True)
    overwrite, overwritten = store.trash.overwrite_deleted, []

    def fail_once() -> None:
        overwritten.append(overwrite())
        if len(overwritten) == 1:
            raise AnnotationsRefused("The disk is full.")

    monkeypatch.setattr(store.trash, "overwrite_deleted", fail_once)
    with pytest.raises(AnnotationsRefused):
        finish_deletions(store, tmp_path)
    for _ in range(2):
        finish_deletions(store, tmp_path)
    assert len(overwritten) == 2


def test_sounds_and_corpora_left_half_written_by_a_killed_program_are_deleted(store, tmp_path):
    for folder in (FOLDER, TAUGHT):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / f".{sha(0)}.part").write_bytes(b"half a secret")
    finish_deletions(store, tmp_path)
    assert b"secret" not in everything_under(tmp_path)


def test_a_sound_that_another_project_or_the_trash_needs_stays(store, project, tmp_path):
    source = b"sound"
    each = file(0, sha256=hashlib.sha256(source).hexdigest())
    other, third = store.projects.create("Other", OWNER), store.projects.create("Third", OWNER)
    for where in (project, other, third):
        store.recordings.add(where, [each])
    save_sound(source, tmp_path)
    store.trash.delete_project(other, OWNER)
    store.trash.delete_project(project, OWNER, for_good=True)
    store.trash.delete_project(third, OWNER, for_good=True)
    finish_deletions(store, tmp_path)
    assert saved_sha256(tmp_path) == [each.sha256]
    (deleted,) = store.trash.items()
    store.trash.restore(deleted.id, OWNER)
    assert saved_sound(each, tmp_path) == source


def test_a_recording_added_again_before_its_deletion_is_finished_keeps_its_sound(store, project, tmp_path):
    source = b"sound"
    each = file(0, sha256=hashlib.sha256(source).hexdigest())
    store.recordings.add(project, [each])
    save_sound(source, tmp_path)
    store.trash.delete_recording(each.sha256, OWNER, for_good=True)
    store.recordings.add(project, [each])
    finish_deletions(store, tmp_path)
    assert saved_sound(each, tmp_path) == source


def test_a_recording_added_during_its_deletion_has_its_sound_or_is_absent(store, project, tmp_path):
    source = b"sound"
    each = file(0, sha256=hashlib.sha256(source).hexdigest())

    def add() -> None:
        store.recordings.add(project, [each])
        save_sound(source, tmp_path)

    def delete() -> None:
        store.trash.delete_recording(each.sha256, OWNER, for_good=True)
        finish_deletions(store, tmp_path)

    with ThreadPoolExecutor(2) as threads:
        for _ in range(25):
            for running in [threads.submit(delete), threads.submit(add)]:
                running.result(60)
            there = each.sha256 in [queued.file.sha256 for queued in store.recordings.page(project).items]
            assert not there or saved_sound(each, tmp_path) == source


# --- single marks ---


def test_deleted_mark_is_listed_and_restored_by_its_maker_its_deleter_and_the_owner_only(store, marked):
    (first, second) = store.marks.of(marked, sha(0), ANN)
    store.marks.edit(marked, sha(0), OWNER, delete=[first, second])
    assert [(there.annotation.annotator, there.changed_by) for there in store.marks.deleted(marked, sha(0))] == [
        (ANN, OWNER)
    ] * 2
    with pytest.raises(AnnotationsRefused, match="Marks of Ann can be restored by them or by the project's owner"):
        store.marks.restore(marked, sha(0), STRANGER, first.key)
    store.marks.restore(marked, sha(0), ANN, first.key)
    store.marks.restore(marked, sha(0), OWNER, second.key)
    assert [found.note for found in store.marks.of(marked, sha(0), ANN)] == [first.note, second.note]
    with pytest.raises(AnnotationsRefused, match="no longer in the trash"):
        store.marks.restore(marked, sha(0), ANN, first.key)
    store.history.undo(marked, sha(0), ANN)
    assert [found.key for found in store.marks.of(marked, sha(0), ANN)] == [second.key]


def test_a_mark_deleted_30_days_ago_leaves_no_byte_and_other_edits_can_be_undone(store, project, tmp_path):
    (early,) = store.marks.edit(project, sha(0), ANN, add=[mark(0, 1, note="early")]).marks
    (gone, _) = store.marks.edit(project, sha(0), ANN, add=[mark(note="secret note"), mark(3, 4, note="stays")]).marks
    (gone,) = store.marks.edit(project, sha(0), BEA, change=[replace(gone, status="verified")]).marks
    store.marks.edit(project, sha(0), ANN, change=[replace(early, note="later")])
    store.marks.edit(project, sha(0), ANN, delete=[gone])
    store.history.undo(project, sha(0), ANN)
    store.history.redo(project, sha(0), ANN)
    deleted_at = datetime.now(UTC)
    finish_deletions(store, tmp_path / "data", deleted_at + TRASH_PERIOD - timedelta(minutes=1))
    assert len(store.marks.deleted(project, sha(0))) == 1
    finish_deletions(store, tmp_path / "data", deleted_at + TRASH_PERIOD + timedelta(minutes=1))
    assert store.marks.deleted(project, sha(0)) == []
    assert b"secret" not in everything_under(tmp_path)
    assert "secret" not in str(store.history.page(project, sha(0)).items)
    assert [step.kind for step in store.history.page(project, sha(0)).items] == ["edit"] * 3
    assert not store.recordings.open(project, sha(0), BEA).can_undo
    notes = []
    while store.history.undo(project, sha(0), ANN):
        notes.append([found.note for found in store.marks.of(project, sha(0))])
    assert notes == [["early", "stays"], ["early"], []]
    while store.history.redo(project, sha(0), ANN):
        notes.append([found.note for found in store.marks.of(project, sha(0))])
    assert notes[3:] == [["early"], ["early", "stays"], ["later", "stays"]]


def test_undo_skips_several_removed_steps_in_a_row(store, project, tmp_path):
    store.marks.edit(project, sha(0), ANN, add=[mark(0, 1, note="before")])
    (gone,) = store.marks.edit(project, sha(0), ANN, add=[mark()]).marks
    (gone,) = store.marks.edit(project, sha(0), ANN, change=[replace(gone, note="changed")]).marks
    store.marks.edit(project, sha(0), ANN, add=[mark(3, 4, note="after")])
    store.marks.edit(project, sha(0), OWNER, delete=[gone])
    finish_deletions(store, tmp_path / "data", datetime.now(UTC) + TRASH_PERIOD + timedelta(minutes=1))
    store.history.undo(project, sha(0), ANN)
    assert [found.note for found in store.marks.of(project, sha(0))] == ["before"]
    store.history.undo(project, sha(0), ANN)
    assert store.marks.of(project, sha(0)) == ()


def test_a_failed_deletion_is_reported_and_does_not_stop_the_others(store, project, tmp_path):
    data = tmp_path / "data"
    sounds_of_project(store, project, data)
    stuck = data / FOLDER / saved_sha256(data)[1]
    stuck.unlink()
    stuck.mkdir()
    store.trash.delete_project(project, OWNER, for_good=True)
    for _ in range(2):
        with pytest.raises(AnnotationsRefused, match=f"{stuck.name} cannot be deleted"):
            finish_deletions(store, data)
        assert saved_sha256(data) == []
    stuck.rmdir()
    finish_deletions(store, data)
    assert store.trash.delete_sounds(datetime.max.replace(tzinfo=UTC), str) == set()


# --- orphans ---


def test_a_sound_without_a_recording_is_deleted_after_30_days_unless_it_is_added(store, project, tmp_path):
    orphan, wanted = b"orphan", b"wanted"
    for source in (orphan, wanted):
        save_sound(source, tmp_path)
    now = datetime.now(UTC)
    finish_deletions(store, tmp_path, now)
    finish_deletions(store, tmp_path, now + timedelta(days=29))
    assert len(saved_sha256(tmp_path)) == 2
    store.recordings.add(project, [file(0, sha256=hashlib.sha256(wanted).hexdigest())])
    finish_deletions(store, tmp_path, now + timedelta(days=31))
    assert saved_sha256(tmp_path) == [hashlib.sha256(wanted).hexdigest()]


def test_sounds_shared_with_another_database_are_never_orphans(store, tmp_path):
    save_sound(b"of the other database", tmp_path / "data")
    now = datetime.now(UTC)
    with closing(open_store(f"sqlite:///{tmp_path / 'other.sqlite'}")) as other:
        finish_deletions(other, tmp_path / "data", now)
    finish_deletions(store, tmp_path / "data", now)
    finish_deletions(store, tmp_path / "data", now + timedelta(days=31))
    assert len(saved_sha256(tmp_path / "data")) == 1


# --- saved sounds ---


def stored(tmp_path, source=b"RIFF and so on"):
    each = file(0, sha256=hashlib.sha256(source).hexdigest())
    return each, tmp_path / FOLDER / each.sha256


@pytest.mark.parametrize("damage", [b"", b"RIFF and s", b"RIFF and so oN", b"RIFF and so on and on"])
def test_a_damaged_sound_is_not_used_and_is_repaired_by_adding_the_recording_again(tmp_path, damage):
    each, path = stored(tmp_path)
    save_sound(b"RIFF and so on", tmp_path)
    path.write_bytes(damage)
    assert saved_sound(each, tmp_path) is None
    save_sound(b"RIFF and so on", tmp_path)
    assert saved_sound(each, tmp_path) == b"RIFF and so on"
    assert [found.name for found in path.parent.iterdir()] == [each.sha256]


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "dangling link"])
def test_an_entry_among_the_sounds_that_is_not_a_file_is_never_opened_but_replaced(tmp_path, kind, monkeypatch):
    each, path = stored(tmp_path)
    path.parent.mkdir()
    (tmp_path / "elsewhere").write_bytes(b"RIFF and so on")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        try:
            os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero, which never ends
        except PermissionError:
            pytest.skip("only root makes devices")
    else:
        path.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    opened, real = [], os.open
    monkeypatch.setattr(os, "open", lambda *args: opened.append(str(args[0])) or real(*args))
    assert saved_sound(each, tmp_path) is None
    assert str(path) not in opened
    save_sound(b"RIFF and so on", tmp_path)
    assert saved_sound(each, tmp_path) == b"RIFF and so on"
    assert (tmp_path / "elsewhere").read_bytes() == b"RIFF and so on"
    delete_sound(each.sha256, tmp_path)
    assert not path.exists()


def test_a_pipe_at_the_last_path_of_a_recording_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "take.wav")
    assert saved_sound(file(0, path=str(tmp_path / "take.wav")), tmp_path) is None


def test_sound_that_is_larger_than_any_upload_is_not_read(tmp_path):
    each, path = stored(tmp_path)
    path.parent.mkdir()
    with path.open("wb") as huge:
        huge.truncate(AudioLimits().largest_file_bytes + 1)
    assert saved_sound(each, tmp_path) is None


def test_a_sound_is_synced_to_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done, sync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda opened: done.append("sync") or sync(opened))
    monkeypatch.setattr(os, "replace", lambda half_written, to: done.append("name") or rename(half_written, to))
    save_sound(b"sound", tmp_path)
    assert done == ["sync", "name", "sync"]


# --- impossible marks ---


@pytest.fixture
def with_invalid_marks(store, project, database_url) -> int:
    """The project with a mark past the end, one that begins there, and one with a long note, as once allowed."""
    store.marks.edit(
        project, sha(0), ANN, add=[mark(1, 2, note="good"), mark(3, 4, note="late"), mark(5, 6, note="gone")]
    )
    store.marks.edit(project, sha(1), BEA, add=[mark(1, 2, note="good"), mark(3, 4, note="long")])
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE marks SET end_s = 12.5 WHERE note = 'late'"))
        connection.execute(text("UPDATE marks SET start_s = 11, end_s = 12 WHERE note = 'gone'"))
        connection.execute(text("UPDATE marks SET note = :long WHERE note = 'long'"), {"long": "x" * 200_000})
    engine.dispose()
    return project


@pytest.mark.parametrize("kind", [key for key in EXPORT_FORMATS if key not in ("rttm", "emu")])
def test_an_impossible_mark_is_cut_or_left_out_of_an_export_with_all_others_in_it(store, with_invalid_marks, kind):
    written = export_recordings(store.transfer.export(with_invalid_marks), EXPORT_FORMATS[kind])
    assert len(written.unfit) == 3
    late, gone, long = written.unfit
    assert "mark 2 of 'Ann': cut" in late
    assert "mark 3 of 'Ann': left out" in gone
    assert "mark 2 of 'Bea': cut" in long
    read = [
        recording
        for name, content in written.files.items()
        if name != "config.xml"
        for recording in EXPORT_FORMATS[kind].read(content, name).recordings
        if recording.annotations
    ]
    assert sum(len(recording.annotations) for recording in read) == 4
    assert max(found.region.end_s for recording in read for found in recording.annotations) == pytest.approx(10)
    assert max(len(found.note) for recording in read for found in recording.annotations) <= MAX_TEXT_LENGTH


def test_an_import_checks_marks_against_the_existing_recording_and_names_the_wrong_one(store, project):
    late = AnnotatedRecording("take 0.wav", sha(0), 20.0, None, (mark(), mark(12, 13)))
    with pytest.raises(AnnotationsRefused, match=r"take 0.wav', mark 2: The mark ends at 13 s, after its recording"):
        store.transfer.import_recordings(project, [late], ANN)
    assert store.marks.of(project, sha(0)) == ()


# --- an emptied database, and names ---


def test_an_emptied_database_is_refused_but_a_new_one_is_not(tmp_path):
    path = tmp_path / FILE_NAME
    url = f"sqlite:///{path}"
    path.touch()  # a new one that another process is creating
    with closing(open_store(url)) as store:
        store.projects.create("Voices")
    whole = path.read_bytes()
    for emptied in (b"", whole[:1], whole[:99], whole[:511], None):
        path.unlink()
        if emptied is None:
            with closing(sqlite3.connect(path)) as other:
                other.execute("CREATE TABLE something_else (id INTEGER)")
                other.commit()
        else:
            path.write_bytes(emptied)
        with pytest.raises(AnnotationsRefused, match=r"(is empty now|is malformed).* backup"):
            open_store(url)
    for left in (512, 4_096, 8_192, len(whole) // 2, len(whole) - 4_096):
        path.write_bytes(whole[:left])
        with pytest.raises(AnnotationsRefused):
            open_store(url).projects.page()
    path.write_bytes(whole)
    with closing(open_store(url)) as store:
        assert [project.name for project in store.projects.page().items] == ["Voices"]
    path.write_bytes(b"")
    path.with_name(f"{FILE_NAME}-made").unlink()
    with closing(open_store(url)) as store:
        assert store.projects.page().total == 0


def test_project_names_in_another_form_of_unicode_are_the_same_name(store):
    store.projects.create("Zoe\u0308")
    with pytest.raises(AnnotationsRefused, match="already a project 'Zo\u00eb'"):
        store.projects.create("Zo\u00eb")
    assert [project.name for project in store.projects.page().items] == ["Zo\u00eb"]
