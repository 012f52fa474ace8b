"""Annotated recordings into a project, all or nothing, and out of it again; in both databases."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ser_core.annotations.annotation import RECORDING_TIER, AnnotatedRecording
from ser_core.annotations.store.marks import content_of
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.store.transfer import Imported, exporting
from ser_core.errors import AnnotationsRefused, Cancelled
from ser_core.work.progress import Work
from tests.databases import file, fresh_project, fresh_store, fresh_url, mark, sha  # noqa: F401

LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


def document(number, *annotations, **others):
    about = {"name": f"other {number}.wav", "sha256": sha(number), "duration_s": 9.0, "sample_rate_hz": 8_000}
    return AnnotatedRecording(**about | {"annotations": annotations} | others)


def many_documents(recordings, marks_each):
    return [
        document(number, *(mark(place, place + 1, emotion="sad") for place in range(marks_each)))
        for number in range(100, 100 + recordings)
    ]


def contents(documents):
    return [(d.name, d.sha256, d.duration_s, [content_of(mark) for mark in d.annotations]) for d in documents]


def test_an_export_imported_elsewhere_is_the_same(store, project):
    made = [
        document(7, mark(1, 2, emotion="sad", annotator="Ann", changed_at=LONG_AGO), provenance={"model": "fusion"}),
        document(8),
        document(9, mark(0, 9, tier=RECORDING_TIER, annotator="Ben", status="verified"), mark(3, 4, annotator="Ben")),
    ]
    there = store.projects.create("There")
    assert store.transfer.import_recordings(there, made, "Cid") == Imported(3, added=3)
    exported = list(store.transfer.export(there))
    assert contents(exported) == contents(made)
    assert exported[0].provenance == {"model": "fusion"}
    assert exported[0].annotations[0].changed_at == LONG_AGO
    assert exported[0].sample_rate_hz == 8_000
    assert store.transfer.import_recordings(project, exported, "Cid") == Imported(3, added=3)
    assert contents(store.transfer.export(project))[-3:] == contents(made)
    only = list(store.transfer.export(there, "Ben"))
    assert [len(document.annotations) for document in only] == [0, 0, 2]


def test_an_import_is_idempotent_and_leaves_existing_marks(store, project):
    label = mark(0, 10, tier=RECORDING_TIER, annotator="Ann", status="done")
    store.marks.edit(project, sha(0), "Ann", add=[label, mark(emotion="sad", annotator="Ann")])
    (stored, _) = store.marks.of(project, sha(0))
    new = mark(5, 6, emotion="happy", annotator="Ann")
    doc = document(0, replace(label, emotion="angry"), mark(emotion="sad", annotator="Ann"), new, new)
    assert store.transfer.import_recordings(project, [doc, doc], "Ann") == Imported(1, added=1, known=5, left_out=2)
    after = store.marks.of(project, sha(0))
    assert (len(after), after[0]) == (3, stored)
    assert store.transfer.import_recordings(project, [doc], "Ann") == Imported(1, known=3, left_out=1)
    assert store.marks.of(project, sha(0)) == after
    assert store.recordings.open(project, sha(0), "Ann").recording.file.name == "take 0.wav"
    again = list(store.transfer.export(project))
    assert store.transfer.import_recordings(project, again, "Ann") == Imported(5, known=3)


def test_provenance_is_replaced_by_a_newer_one_but_not_by_none(store, project):
    for about, expected in [({"model": "a"}, "a"), ({}, "a"), ({"model": "b"}, "b")]:
        store.transfer.import_recordings(project, [document(0, provenance=about)], "Ann")
        assert store.recordings.open(project, sha(0), "Ann").provenance == {"model": expected}


def test_an_import_can_be_undone_in_each_recording_and_earlier_edits_after_it(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")])
    docs = [document(0, mark(5, 6, annotator="Ben"), mark(7, 8)), document(1, mark(5, 6))]
    store.transfer.import_recordings(project, docs, "Ann")
    assert [annotation.annotator for annotation in store.marks.of(project, sha(0))] == ["Ann", "Ben", "Ann"]
    assert store.history.undo(project, sha(0), "Ben") is None
    store.history.undo(project, sha(0), "Ann")
    assert [annotation.emotion for annotation in store.marks.of(project, sha(0))] == ["sad"]
    assert len(store.marks.of(project, sha(1))) == 1
    store.history.undo(project, sha(0), "Ann")
    assert store.marks.of(project, sha(0)) == ()
    store.history.redo(project, sha(0), "Ann")
    store.history.redo(project, sha(0), "Ann")
    assert len(store.marks.of(project, sha(0))) == 3
    assert [len(step.changes) for step in store.history.page(project, sha(0)).items] == [2, 1, 1, 2, 2, 1]


def test_after_an_import_undo_continues_with_the_importers_own_edits(store, project):
    store.marks.edit(project, sha(0), "Ann", add=[mark(emotion="sad")])
    store.marks.edit(project, sha(0), "Ben", add=[mark(emotion="happy")])
    store.transfer.import_recordings(project, [document(0, mark(5, 6))], "Ann")
    store.history.undo(project, sha(0), "Ann")
    store.history.undo(project, sha(0), "Ann")
    assert [annotation.emotion for annotation in store.marks.of(project, sha(0))] == ["happy"]


def test_file_without_hashes_finds_its_recording_by_name_if_there_is_one(store, project):
    nameless = document(0, mark(emotion="sad"), name="take 3.wav", sha256=None)
    store.transfer.import_recordings(project, [nameless], "Ann")
    assert len(store.marks.of(project, sha(3))) == 1
    with pytest.raises(AnnotationsRefused, match=r"which recording 'x.wav' is, and the project has none of that name"):
        store.transfer.import_recordings(project, [nameless, replace(nameless, name="x.wav")], "Ann")
    store.recordings.add(project, [file(9, name="take 3.wav")])
    with pytest.raises(AnnotationsRefused, match="has 2 of that name"):
        store.transfer.import_recordings(project, [nameless], "Ann")


def test_an_import_with_one_wrong_mark_leaves_nothing(store, project):
    wrong = [document(8, mark()), document(9, mark(note="\0"))]
    with pytest.raises(AnnotationsRefused, match="not text"):
        store.transfer.import_recordings(project, wrong, "Ann")
    with pytest.raises(AnnotationsRefused, match="SHA-256 'x'"):
        store.transfer.import_recordings(project, [document(8, mark()), document(9, sha256="x")], "Ann")
    with pytest.raises(AnnotationsRefused, match="project is no longer there"):
        store.transfer.import_recordings(project + 1, [document(8)], "Ann")
    assert store.recordings.page(project).total == 5


def test_an_import_reports_progress_and_is_invisible_until_complete(store, project, database_url):
    shown, seen = [], []
    with closing(open_store(database_url)) as other:

        def progress(fraction, words):
            shown.append((fraction, words))
            seen.append((other.recordings.page(project).total, other.recordings.count_by_status(project)["open"]))

        imported = store.transfer.import_recordings(project, many_documents(300, 5), "Ann", Work(progress))
        assert imported == Imported(300, added=1_500)
        assert set(seen) == {(5, 5)}
        assert other.recordings.page(project).total == 305
    fractions = [fraction for fraction, _ in shown]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) >= 3
    assert shown[-1] == (1.0, "1500 of 1500 marks")


def test_recordings_without_marks_are_imported_with_progress_too(store, project):
    shown = []
    store.transfer.import_recordings(project, many_documents(3, 0), "Ann", Work(lambda *state: shown.append(state)))
    assert shown == [(1.0, "0 of 0 marks")]
    assert store.recordings.page(project).total == 8
    assert store.transfer.import_recordings(project, [], "Ann") == Imported(0)


def test_cancelled_import_leaves_nothing(store, project):
    checks = []

    def cancelled():
        checks.append(1)
        return len(checks) > 2

    with pytest.raises(Cancelled):
        store.transfer.import_recordings(project, many_documents(300, 5), "Ann", work=Work(stop=cancelled))
    assert len(checks) == 3
    assert store.recordings.page(project).total == 5
    assert store.transfer.import_recordings(project, many_documents(300, 5), "Ann").added == 1_500


def test_export_holds_few_recordings_at_a_time_and_misses_none(store, project, monkeypatch):
    monkeypatch.setattr(exporting, "RECORDINGS_AT_ONCE", 2)
    store.marks.edit(project, sha(3), "Ann", add=[mark(3, 4), mark(1, 2)])
    other = store.projects.create("Between")
    store.recordings.add(other, [file(0)])
    store.recordings.add(project, [file(5)])
    exported = list(store.transfer.export(project))
    assert [document.sha256 for document in exported] == [sha(number) for number in range(6)]
    assert [mark.region.start_s for mark in exported[3].annotations] == [1, 3]
    assert list(store.transfer.export(other + 1)) == []
