"""Import of annotated recordings into a project, all or nothing: their marks, and what else they say."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice

from sqlalchemy import Connection, select

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.exchange.merging import Difference, compare_marks, with_annotators
from ser_core.annotations.store import history, people, tiers
from ser_core.annotations.store.marks import (
    Change,
    StoredMark,
    annotation_of,
    change_of,
    change_to,
    mark_row,
    without_gold_marks,
    write_marks,
)
from ser_core.annotations.store.people.ownership import require_own_marks
from ser_core.annotations.store.tables import marks
from ser_core.annotations.store.transfer import RECORDINGS_AT_ONCE, Imported, RecordingDifference
from ser_core.annotations.store.transfer.documents import documents_by_id, join_by_recording, lock_recordings
from ser_core.annotations.store.transfer.f0_and_names import take_f0, take_participants, take_speakers_and_sessions
from ser_core.errors import AnnotationsOutdated
from ser_core.work.progress import Work

MARKS_AT_ONCE = 500


class PreviewRollback(Exception):
    """Rolls back the transaction of a preview."""

    def __init__(self, imported: Imported) -> None:
        self.imported = imported


def import_documents(
    connection: Connection,
    project: int,
    documents: Collection[AnnotatedRecording],
    annotator: str,
    at: datetime,
    work: Work,
    mode: str,
    preview: Imported | None = None,
    restore: bool = False,
) -> Imported:
    """Merge the marks of documents into their recordings; see `Store.transfer.import_recordings`."""
    total = sum(len(document.annotations) for document in documents)
    counts: Counter[str] = Counter()
    differences: list[RecordingDifference] = []
    written = recording_count = 0
    may_review, is_owner = people.add_roles(connection, project, annotator, documents)
    file_tiers = tiers.FileTierMapping(connection, project)
    documents = [file_tiers.with_project_keys(document) for document in documents]
    file_tiers.write()
    remaining = iter(join_by_recording(documents))
    while batch := list(islice(remaining, RECORDINGS_AT_ONCE)):
        ids_and_lengths = lock_recordings(connection, project, batch, annotator, at)
        if is_owner:
            assignments = [
                (recording_id, people.valid_assignment(assignment))
                for (recording_id, _), document in zip(ids_and_lengths, batch, strict=True)
                for assignment in document.assignments
            ]
            people.add_assignments(connection, assignments)
        by_id = documents_by_id(ids_and_lengths, batch)
        recording_count += len(by_id)
        found = _differences(connection, by_id, file_tiers.text_tiers, annotator, counts)
        for recording_id, of_recording in found.items():
            document = by_id[recording_id]
            differences += [RecordingDifference(document.name, each, document.sha256) for each in of_recording]
        changes = _changes(connection, project, found, annotator, at, mode, restore, counts)
        if mode != "show":
            all_changes = [change for of_recording in changes.values() for change in of_recording]
            people.require_review_rights(connection, project, may_review, annotator, all_changes)
        rows = [
            mark_row(recording_id, change, annotator, at)
            for recording_id, of_recording in changes.items()
            for change in of_recording
        ]
        for start in range(0, max(len(rows), 1), MARKS_AT_ONCE):
            work.check("The import was stopped; nothing was imported.")
            if mode != "show":
                write_marks(connection, rows[start : start + MARKS_AT_ONCE])
            written += len(rows[start : start + MARKS_AT_ONCE])
            done = min(written + counts["known"] + counts["left_out"], total)
            work.report(done / total if total else 1.0, f"{done} of {total} marks")
        f0_changes = take_f0(connection, by_id, mode, counts)
        take_participants(connection, by_id, mode, counts)
        take_speakers_and_sessions(connection, by_id, mode, counts)
        if mode != "show":
            history.add_steps(connection, changes, annotator, at, f0_changes)
    imported = Imported(recording_count, differences=tuple(differences), new_tiers=file_tiers.new, **counts)
    if preview is not None and preview.differences != imported.differences:
        raise AnnotationsOutdated(
            "Marks were changed here after the changes were shown, and nothing was imported. Give the files again."
        )
    if mode == "show":
        raise PreviewRollback(imported)
    return imported


def _differences(
    connection: Connection,
    documents: Mapping[int, AnnotatedRecording],
    text_tiers: Collection[str],
    annotator: str,
    counts: Counter[str],
) -> dict[int, list[Difference]]:
    """Return the differences in each recording, by its id, and count marks that the project has already."""
    existing: dict[int, list[Annotation]] = {recording_id: [] for recording_id in documents}
    deleted: dict[int, dict[str, Annotation]] = {recording_id: {} for recording_id in documents}
    for row in connection.execute(select(marks).where(marks.c.recording_id.in_(documents))):
        mark = annotation_of(row._mapping)
        if row.deleted:
            deleted[row.recording_id][mark.key] = mark
        else:
            existing[row.recording_id].append(mark)
    found = {}
    for recording_id, document in documents.items():
        imported = with_annotators(document.annotations, existing[recording_id], text_tiers, annotator)
        comparison = compare_marks(
            existing[recording_id],
            imported,
            document.exported_keys,
            partial(history.contents_at, connection, recording_id),
            deleted[recording_id],
            with_annotators(document.left_out, existing[recording_id], text_tiers, annotator),
            partial(history.changes_in, connection, recording_id),
        )
        counts["known"] += comparison.known
        anonymous = {
            id(mark) for mark, in_file in zip(imported, document.annotations, strict=True) if not in_file.annotator
        }
        # A new mark in somebody's tier is the importer's.
        found[recording_id] = [
            replace(each, after=replace(each.after, annotator=annotator))
            if each.kind == "new" and id(each.after) in anonymous
            else each
            for each in comparison.differences
        ]
    return found


def _changes(
    connection: Connection,
    project: int,
    found: Mapping[int, Sequence[Difference]],
    annotator: str,
    at: datetime,
    mode: str,
    restore: bool,
    counts: Counter[str],
) -> dict[int, list[Change]]:
    """Return the changes that an import in this mode makes, by recording, and count them."""
    changes: dict[int, list[Change]] = {}
    deleted: list[StoredMark] = []
    restored: list[StoredMark] = []
    for recording_id, differences in found.items():
        for each in differences:
            if each.kind == "new":
                counts["added"] += 1
                change = change_to(None, each.after, each.after.changed_at or at)
            elif each.kind == "deleted here" and restore:
                counts["restored"] += 1
                restored.append(StoredMark(each.after, True, annotator))
                change = change_to(restored[-1], each.after, at)
            elif mode == "add" or each.kind in ("conflict", "changed here", "deleted here"):
                counts["left_out"] += each.after is not None
                continue
            else:
                counts[each.kind] += 1
                stored = StoredMark(each.before, False, annotator)
                deleted += [stored] if each.kind == "deleted" else []
                change = change_of(stored, each.after, at) if each.after else change_to(stored, None, at)
            changes.setdefault(recording_id, []).append(change)
    if mode == "replace":
        require_own_marks(connection, project, annotator, without_gold_marks(deleted))
    if mode != "show":
        require_own_marks(connection, project, annotator, without_gold_marks(restored), "restored")
    return changes
