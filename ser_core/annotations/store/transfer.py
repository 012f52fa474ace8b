"""Import of annotated recordings into a project, all or nothing, and export from it in batches."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice

from sqlalchemy import Connection, func, insert, select, update

from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier, valid_mark
from ser_core.annotations.exchange.merging import Difference, compare_marks, with_annotators
from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.f0.corrections import CorrectedF0, F0Change
from ser_core.annotations.formats.values import error_context, shown
from ser_core.annotations.store import history, people, tiers, trash
from ser_core.annotations.store.history import TOP, step_row
from ser_core.annotations.store.marks import (
    IN_ORDER_OF_TIME,
    Change,
    StoredMark,
    annotation_of,
    change_of,
    change_to,
    insert_into,
    mark_row,
    without_gold_marks,
    write_marks,
)
from ser_core.annotations.store.people.ownership import require_own_marks
from ser_core.annotations.store.recordings import RecordingFile, recording_row
from ser_core.annotations.store.tables import marks, recordings, steps, valid_name
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from ser_core.work.progress import Work

RECORDINGS_AT_ONCE = 200
MARKS_AT_ONCE = 500


@dataclass(frozen=True)
class RecordingDifference:
    """A difference, and the name and SHA-256 of its recording."""

    recording: str
    difference: Difference
    sha256: str | None = None


@dataclass(frozen=True)
class Imported:
    """What an import did, or would do.

    Attributes
    ----------
    recordings : int
        Recordings of the documents, new or known.
    added : int
        Marks.
    known : int
        Marks that were there already, with the same content.
    left_out : int
        Marks of the files that differ from those here, which stay.
    changed, moved, deleted : int
        Marks here that became as they are in the files.
    restored : int
        Marks that were deleted here after they were written to the files, and are restored.
    f0_frames : int
        Frames that took their corrected F0 from the files.
    f0_left_out : int
        Frames with another correction here, which stays.
    participants : int
        Tiers that took their participant from the files, counted in each recording.
    participants_left_out : int
        Tiers with another participant here, who stays.
    about : int
        Recordings that took their speaker or session from the files.
    about_left_out : int
        Recordings with another speaker or session here, which stays.
    differences : tuple of RecordingDifference
        All differences between the files and the project.
    new_tiers : tuple of Tier
        Tiers of the files that the project did not have.
    """

    recordings: int
    added: int = 0
    known: int = 0
    left_out: int = 0
    changed: int = 0
    moved: int = 0
    deleted: int = 0
    restored: int = 0
    f0_frames: int = 0
    f0_left_out: int = 0
    participants: int = 0
    participants_left_out: int = 0
    about: int = 0
    about_left_out: int = 0
    differences: tuple[RecordingDifference, ...] = field(default=(), compare=False)
    new_tiers: tuple[Tier, ...] = field(default=(), compare=False)


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
    remaining = iter(_join_by_recording(documents))
    while batch := list(islice(remaining, RECORDINGS_AT_ONCE)):
        ids_and_lengths = _lock_recordings(connection, project, batch, annotator, at)
        if is_owner:
            assignments = [
                (recording_id, people.valid_assignment(assignment))
                for (recording_id, _), document in zip(ids_and_lengths, batch, strict=True)
                for assignment in document.assignments
            ]
            people.add_assignments(connection, assignments)
        by_id = _documents_by_id(ids_and_lengths, batch)
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
        f0_changes = _f0_changes(connection, by_id, mode, counts)
        _take_participants(connection, by_id, mode, counts)
        _take_speakers_and_sessions(connection, by_id, mode, counts)
        if mode != "show":
            add_steps(connection, changes, annotator, at, f0_changes)
    imported = Imported(recording_count, differences=tuple(differences), new_tiers=file_tiers.new, **counts)
    if preview is not None and preview.differences != imported.differences:
        raise AnnotationsOutdated(
            "Marks were changed here after the changes were shown, and nothing was imported. Give the files again."
        )
    if mode == "show":
        raise PreviewRollback(imported)
    return imported


def _documents_by_id(
    ids_and_lengths: Sequence[tuple[int, float]], documents: Sequence[AnnotatedRecording]
) -> dict[int, AnnotatedRecording]:
    """Return one document for each recording, by its id; refuse marks and F0 beyond its length."""
    by_id: dict[int, AnnotatedRecording] = {}
    for (recording_id, duration_s), document in zip(ids_and_lengths, documents, strict=True):
        document = replace(document, annotations=tuple(_valid_marks(document, duration_s)))
        f0.require_frames(document.f0.frames, duration_s)
        by_id[recording_id] = _join([by_id[recording_id], document]) if recording_id in by_id else document
    return by_id


def _f0_changes(
    connection: Connection, documents: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> dict[int, F0Change]:
    """Take corrections of F0 over from documents, return the changes, and count frames.

    A correction here stays, unless the mode is "replace" and that of the file is newer.
    """
    corrected = {recording_id: document.f0.frames for recording_id, document in documents.items() if document.f0.frames}
    all_existing = f0.of_recordings(connection, list(corrected)) if corrected else {}
    changes = {}
    for recording_id, frames in corrected.items():
        existing = all_existing.get(recording_id, CorrectedF0())
        unchanged = {frame for frame, each in frames.items() if existing.hz.get(frame) == each.hz}
        after = {
            frame: each
            for frame, each in frames.items()
            if frame not in unchanged
            and (frame not in existing.frames or (mode != "add" and each.at > existing.frames[frame].at))
        }
        counts["f0_frames"] += len(after)
        counts["f0_left_out"] += len(frames) - len(after) - len(unchanged)
        if after:
            before = {frame: existing.frames[frame] for frame in after if frame in existing.frames}
            changes[recording_id] = F0Change(before, after)
            if mode != "show":
                f0.write(connection, recording_id, existing, changes[recording_id])
    return changes


def _take_participants(
    connection: Connection, documents: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> None:
    """Take participants over from documents, and count tiers; those named here stay, unless the mode is "replace"."""
    in_files: dict[int, dict[str, str]] = {}
    for recording_id, document in documents.items():
        named = {tier.key: tier.participant for tier in document.tiers if tier.participant}
        if named:
            in_files[recording_id] = named
    columns = recordings.c.id, recordings.c.participants
    rows = connection.execute(select(*columns).where(recordings.c.id.in_(in_files)))
    for recording_id, existing in rows.all():
        different = {key: who for key, who in in_files[recording_id].items() if existing.get(key, who) != who}
        taken = {key: who for key, who in in_files[recording_id].items() if key not in existing}
        taken |= different if mode == "replace" else {}
        counts["participants"] += len(taken)
        counts["participants_left_out"] += len(different.keys() - taken.keys())
        if taken and mode != "show":
            tiers.write_participants(connection, recording_id, existing | taken)


def _take_speakers_and_sessions(
    connection: Connection, documents: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> None:
    """Take speakers and sessions over from documents; those named here stay, unless the mode is "replace"."""
    in_files: dict[int, dict[str, str]] = {}
    for recording_id, document in documents.items():
        named = {"speaker": document.speaker, "session": document.session}
        named = {field: valid_name(name, f"name of the {field}") for field, name in named.items() if name}
        if named:
            in_files[recording_id] = named
    columns = recordings.c.id, recordings.c.speaker, recordings.c.session
    for row in connection.execute(select(*columns).where(recordings.c.id.in_(in_files))).all():
        existing = {"speaker": row.speaker, "session": row.session}
        different = {field: name for field, name in in_files[row.id].items() if existing[field] != name}
        taken = {field: name for field, name in different.items() if mode == "replace" or existing[field] is None}
        counts["about"] += bool(taken)
        counts["about_left_out"] += len(taken) < len(different)
        if taken and mode != "show":
            connection.execute(update(recordings).where(recordings.c.id == row.id).values(taken))


def _join_by_recording(documents: Iterable[AnnotatedRecording]) -> list[AnnotatedRecording]:
    """Return documents, with those of the same recording joined."""
    groups: dict[tuple[str | None, str], list[AnnotatedRecording]] = {}
    for document in documents:
        name = document.name if document.sha256 is None else ""
        groups.setdefault((document.sha256, name), []).append(document)
    return [_join(group) for group in groups.values()]


def _join(documents: Sequence[AnnotatedRecording]) -> AnnotatedRecording:
    if len(documents) == 1:
        return documents[0]
    # Beside a file with keys, one without keys deletes nothing: the marks that it lacks may be new here.
    keys = [document.exported_keys for document in documents if document.exported_keys is not None]
    return replace(
        documents[0],
        annotations=tuple(mark for document in documents for mark in document.annotations),
        provenance=next((d.provenance for d in reversed(documents) if d.provenance), documents[0].provenance),
        exported_keys={key: revision for each in keys for key, revision in each.items()} if keys else None,
        left_out=tuple(mark for document in documents for mark in document.left_out),
        tiers=tuple(tier for document in documents for tier in document.tiers),
        assignments=tuple(assignment for document in documents for assignment in document.assignments),
        speaker=next((document.speaker for document in documents if document.speaker), ""),
        session=next((document.session for document in documents if document.session), ""),
        f0=CorrectedF0({frame: each for document in documents for frame, each in document.f0.frames.items()}),
    )


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


def documents_after(
    connection: Connection, project: int, last_id: int, annotator: str | None
) -> tuple[list[AnnotatedRecording], int]:
    """Return the next recordings of a project after an id, with tiers and marks, and the id of the last of them."""
    of_project = tiers.of_project(connection, project)
    chosen = recordings.c.project_id == project, recordings.c.id > last_id
    found = connection.execute(
        select(recordings).where(*chosen).order_by(recordings.c.id).limit(RECORDINGS_AT_ONCE)
    ).all()
    by_annotator = [] if annotator is None else [marks.c.annotator == annotator]
    in_found = marks.c.recording_id.in_([row.id for row in found]), ~marks.c.deleted
    by_recording: dict[int, list[Annotation]] = {row.id: [] for row in found}
    for mark in connection.execute(select(marks).where(*in_found, *by_annotator).order_by(*IN_ORDER_OF_TIME)):
        by_recording[mark.recording_id].append(annotation_of(mark._mapping))
    corrected = f0.of_recordings(connection, list(by_recording))
    assignments, roles = people.assignments_of(connection, list(by_recording)), people.roles_of(connection, project)
    documents = [
        AnnotatedRecording(
            row.name,
            row.sha256,
            row.duration_s,
            row.sample_rate_hz,
            tuple(by_recording[row.id]),
            row.provenance,
            tiers=tiers.with_participants(of_project, row.participants),
            assignments=assignments[row.id],
            roles=roles,
            f0=_corrected_by(corrected.get(row.id, CorrectedF0()), annotator),
            speaker=row.speaker or "",
            session=row.session or "",
        )
        for row in found
    ]
    return documents, found[-1].id if found else last_id


def _corrected_by(corrected: CorrectedF0, annotator: str | None) -> CorrectedF0:
    """Return the corrections of one person, or of all."""
    if annotator is None:
        return corrected
    return CorrectedF0({frame: each for frame, each in corrected.frames.items() if each.by == annotator})


def _lock_recordings(
    connection: Connection, project: int, documents: Sequence[AnnotatedRecording], annotator: str, at: datetime
) -> list[tuple[int, float]]:
    """Return the ids and lengths in seconds of the documents' recordings; missing ones are added, all are locked."""
    rows = [
        recording_row(project, RecordingFile(d.sha256, d.name, d.duration_s, d.sample_rate_hz), at)
        | {"provenance": dict(d.provenance), "added_by": annotator}
        for d in documents
        if d.sha256 is not None
    ]
    if rows:
        statement = insert_into(connection, recordings)
        excluded = statement.excluded.provenance
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["project_id", "sha256"], set_={"provenance": excluded}, where=excluded != {}
            ),
            rows,
        )
        trash.forget_unfinished(connection, {row["sha256"] for row in rows})
    names = [document.name for document in documents if document.sha256 is None]
    wanted = recordings.c.sha256.in_([row["sha256"] for row in rows]) | recordings.c.name.in_(names)
    columns = select(recordings.c.id, recordings.c.sha256, recordings.c.name, recordings.c.duration_s)
    locked = columns.where(recordings.c.project_id == project, wanted).order_by(recordings.c.id)
    found_rows = connection.execute(locked.with_for_update(key_share=True)).all()
    by_sha256 = {row.sha256: (row.id, row.duration_s) for row in found_rows}
    by_name: dict[str, list[tuple[int, float]]] = {}
    for row in found_rows:
        by_name.setdefault(row.name, []).append((row.id, row.duration_s))
    return [by_sha256[d.sha256] if d.sha256 is not None else _only_one_named(by_name, d.name) for d in documents]


def _valid_marks(document: AnnotatedRecording, duration_s: float) -> list[Annotation]:
    found = []
    for number, mark in enumerate(document.annotations, start=1):
        with error_context(f"{shown(document.name)}, mark {number}"):
            found.append(valid_mark(mark, duration_s))
    return found


def _only_one_named(by_name: Mapping[str, Sequence[tuple[int, float]]], name: str) -> tuple[int, float]:
    found = by_name.get(name, ())
    if len(found) != 1:
        raise AnnotationsRefused(
            f"The file does not say by SHA-256 which recording '{name}' is, and the project has "
            f"{len(found) or 'none'} of that name; add the right one, or give distinct names."
        )
    return found[0]


def add_steps(
    connection: Connection,
    additions: Mapping[int, Sequence[Change]],
    annotator: str,
    at: datetime,
    f0_changes: Mapping[int, F0Change] | None = None,
) -> None:
    """Add one step per recording, given by its id, on top of the annotator's earlier steps there.

    `f0_changes` are changes of F0 that were written before.
    """
    f0_changes = f0_changes or {}
    recording_ids = list(dict.fromkeys([*additions, *f0_changes]))
    own_steps = steps.c.recording_id.in_(recording_ids), steps.c.annotator == annotator
    newest = select(func.max(steps.c.id)).where(*own_steps).group_by(steps.c.recording_id)
    tops = dict(connection.execute(select(steps.c.recording_id, TOP).where(steps.c.id.in_(newest))).all())
    rows = [
        step_row(
            recording_id,
            annotator,
            additions.get(recording_id, ()),
            at,
            "edit",
            f0_changes.get(recording_id),
            beneath_id=tops.get(recording_id),
        )
        for recording_id in recording_ids
    ]
    if rows:
        connection.execute(insert(steps), rows)
