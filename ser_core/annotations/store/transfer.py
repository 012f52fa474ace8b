"""Import of annotated recordings into a project, all or nothing, and export from it in batches."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice

from sqlalchemy import Connection, func, insert, select, update

from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier, valid_mark
from ser_core.annotations.exchange.merging import Difference, compared, signed
from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.f0.corrections import CorrectedF0, F0Change
from ser_core.annotations.formats.gate import at as refused_at
from ser_core.annotations.formats.gate import shown as in_quotes
from ser_core.annotations.store import history, people, tiers, trash
from ser_core.annotations.store.history import TOP, step_row
from ser_core.annotations.store.marks import (
    IN_ORDER_OF_TIME,
    Change,
    Standing,
    annotation_of,
    change_of,
    change_to,
    insert_into,
    mark_row,
    opinions_of,
    write_marks,
)
from ser_core.annotations.store.recordings import RecordingFile, recording_row
from ser_core.annotations.store.tables import marks, recordings, steps, valid_name
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from ser_core.work.progress import Work

RECORDINGS_AT_ONCE = 200
MARKS_AT_ONCE = 500


@dataclass(frozen=True)
class FoundDifference:
    """A difference, and the recording that it is in."""

    recording: str
    difference: Difference


@dataclass(frozen=True)
class Imported:
    """What an import did, or would do.

    Attributes
    ----------
    recordings : int
        New or known recordings that the documents are of.
    added : int
        Marks.
    known : int
        Marks that were there already, with the same content.
    left_out : int
        Marks of the files that differ from those here, which stay.
    changed, moved, deleted : int
        Marks here that became as they are in the files.
    restored : int
        Marks that were deleted here since they were written to the files, and are taken back.
    f0_frames : int
        Frames whose F0 became as it was corrected in the files.
    f0_left_out : int
        Frames whose F0 was corrected otherwise here, and stays.
    participants : int
        Tiers, once in each recording, whose participant became as it is in the files.
    participants_left_out : int
        Those that have another participant here, who stays.
    about : int
        Recordings whose speaker or session became as it is in the files.
    about_left_out : int
        Those that have another one here, which stays.
    differences : tuple of FoundDifference
        All that differs between the files and the project.
    new_tiers : tuple of Tier
        Those of the files that the project did not have.
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
    differences: tuple[FoundDifference, ...] = field(default=(), compare=False)
    new_tiers: tuple[Tier, ...] = field(default=(), compare=False)


class OnlyShown(Exception):
    """Rolls back what an import that only shows had to write."""

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
    shown: Imported | None = None,
    restore: bool = False,
) -> Imported:
    """Merge the marks of documents into their recordings; see `Store.transfer.import_recordings`."""
    total = sum(len(document.annotations) for document in documents)
    counts: Counter[str] = Counter()
    differences: list[FoundDifference] = []
    written = of_recordings = 0
    may_review, keeps_people = people.add_roles(connection, project, annotator, documents)
    of_files = tiers.TiersOfFiles(connection, project)
    documents = [of_files.with_our_keys(document) for document in documents]
    of_files.write()
    waiting = iter(_by_recording(documents))
    while batch := list(islice(waiting, RECORDINGS_AT_ONCE)):
        lengths = _recordings(connection, project, batch, annotator, at)
        if keeps_people:
            found = zip(lengths, batch, strict=True)
            work_of = [(of, people.valid_assignment(one)) for (of, _), each in found for one in each.assignments]
            people.add_assignments(connection, work_of)
        wanted = _wanted(lengths, batch)
        of_recordings += len(wanted)
        found = _compared(connection, wanted, of_files.of_text, annotator, counts)
        differences += [FoundDifference(wanted[of].name, each) for of, some in found.items() for each in some]
        changes = _changes(connection, project, found, annotator, at, mode, restore, counts)
        if mode != "show":
            every = [each for some in changes.values() for each in some]
            people.require_judge(connection, project, may_review, annotator, every)
        rows = [mark_row(of, change, annotator, at) for of, some in changes.items() for change in some]
        for start in range(0, max(len(rows), 1), MARKS_AT_ONCE):
            work.check("The import was stopped; nothing was imported.")
            if mode != "show":
                write_marks(connection, rows[start : start + MARKS_AT_ONCE])
            written += len(rows[start : start + MARKS_AT_ONCE])
            done = min(written + counts["known"] + counts["left_out"], total)
            work.report(done / total if total else 1.0, f"{done} of {total} marks")
        of_f0 = _f0_changes(connection, wanted, mode, counts)
        _take_participants(connection, wanted, mode, counts)
        _take_speakers_and_sessions(connection, wanted, mode, counts)
        if mode != "show":
            add_steps(connection, changes, annotator, at, of_f0)
    imported = Imported(of_recordings, differences=tuple(differences), new_tiers=of_files.new, **counts)
    if shown is not None and shown.differences != imported.differences:
        raise AnnotationsOutdated(
            "Marks were changed here after the changes were shown, and nothing was imported. Give the files again."
        )
    if mode == "show":
        raise OnlyShown(imported)
    return imported


def _wanted(
    lengths: Sequence[tuple[int, float]], documents: Sequence[AnnotatedRecording]
) -> dict[int, AnnotatedRecording]:
    """Return what the documents say of each recording, by its id; refuse marks and F0 beyond its length."""
    wanted: dict[int, AnnotatedRecording] = {}
    for (recording_id, duration_s), document in zip(lengths, documents, strict=True):
        document = replace(document, annotations=tuple(_valid_marks(document, duration_s)))
        f0.require_frames(document.f0.frames, duration_s)
        wanted[recording_id] = _joined([wanted[recording_id], document]) if recording_id in wanted else document
    return wanted


def _f0_changes(
    connection: Connection, wanted: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> dict[int, F0Change]:
    """Correct F0 as documents have it, return what that changes, and count frames.

    What was corrected here stays, unless the mode is "replace" and the file has something newer.
    """
    corrected = {of: document.f0.frames for of, document in wanted.items() if document.f0.frames}
    there = f0.of_recordings(connection, list(corrected)) if corrected else {}
    changes = {}
    for of, frames in corrected.items():
        standing = there.get(of, CorrectedF0())
        same = {frame for frame, each in frames.items() if standing.hz.get(frame) == each.hz}
        after = {
            frame: each
            for frame, each in frames.items()
            if frame not in same
            and (frame not in standing.frames or (mode != "add" and each.at > standing.frames[frame].at))
        }
        counts["f0_frames"] += len(after)
        counts["f0_left_out"] += len(frames) - len(after) - len(same)
        if after:
            before = {frame: standing.frames[frame] for frame in after if frame in standing.frames}
            changes[of] = F0Change(before, after)
            if mode != "show":
                f0.write(connection, of, standing, changes[of])
    return changes


def _take_participants(
    connection: Connection, wanted: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> None:
    """Name participants as documents do, and count tiers; who was named here stays, unless the mode is "replace"."""
    given = {of: {each.key: each.participant for each in one.tiers if each.participant} for of, one in wanted.items()}
    columns = recordings.c.id, recordings.c.participants
    rows = connection.execute(select(*columns).where(recordings.c.id.in_([of for of in given if given[of]])))
    for of, there in rows.all():
        others = {key: who for key, who in given[of].items() if there.get(key, who) != who}
        taken = {key: who for key, who in given[of].items() if key not in there}
        taken |= others if mode == "replace" else {}
        counts["participants"] += len(taken)
        counts["participants_left_out"] += len(others.keys() - taken.keys())
        if taken and mode != "show":
            tiers.write_participants(connection, of, there | taken)


def _take_speakers_and_sessions(
    connection: Connection, wanted: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> None:
    """Say who speaks, and in which session, as documents do; what is said here stays, unless the mode is "replace"."""
    given = {
        of: {"speaker": valid_name(one.speaker, "name of the speaker") if one.speaker else None}
        | {"session": valid_name(one.session, "name of the session") if one.session else None}
        for of, one in wanted.items()
        if one.speaker or one.session
    }
    columns = recordings.c.id, recordings.c.speaker, recordings.c.session
    for row in connection.execute(select(*columns).where(recordings.c.id.in_(given))).all():
        there = {"speaker": row.speaker, "session": row.session}
        differ = {name: value for name, value in given[row.id].items() if value and there[name] != value}
        taken = {name: value for name, value in differ.items() if mode == "replace" or there[name] is None}
        counts["about"] += bool(taken)
        counts["about_left_out"] += len(taken) < len(differ)
        if taken and mode != "show":
            connection.execute(update(recordings).where(recordings.c.id == row.id).values(taken))


def _by_recording(documents: Iterable[AnnotatedRecording]) -> list[AnnotatedRecording]:
    """Return documents with those of the same recording joined: what is missing in one may be in another."""
    groups: dict[tuple[str | None, str], list[AnnotatedRecording]] = {}
    for document in documents:
        name = document.name if document.sha256 is None else ""
        groups.setdefault((document.sha256, name), []).append(document)
    return [_joined(group) for group in groups.values()]


def _joined(documents: Sequence[AnnotatedRecording]) -> AnnotatedRecording:
    if len(documents) == 1:
        return documents[0]
    # Beside a file that knows its marks, one that does not deletes nothing: what it lacks may be new here.
    keys = [document.exported_keys for document in documents if document.exported_keys is not None]
    return replace(
        documents[0],
        annotations=tuple(mark for document in documents for mark in document.annotations),
        provenance=next((d.provenance for d in reversed(documents) if d.provenance), documents[0].provenance),
        exported_keys={key: revision for each in keys for key, revision in each.items()} if keys else None,
        left_out=tuple(mark for document in documents for mark in document.left_out),
        tiers=tuple(tier for document in documents for tier in document.tiers),
        assignments=tuple(one for document in documents for one in document.assignments),
        speaker=next((document.speaker for document in documents if document.speaker), ""),
        session=next((document.session for document in documents if document.session), ""),
        f0=CorrectedF0({frame: each for document in documents for frame, each in document.f0.frames.items()}),
    )


def _compared(
    connection: Connection,
    wanted: Mapping[int, AnnotatedRecording],
    of_text: Collection[str],
    annotator: str,
    counts: Counter[str],
) -> dict[int, list[Difference]]:
    """Return what differs in each recording, and count what the project has already."""
    standing: dict[int, list[Annotation]] = {of: [] for of in wanted}
    gone: dict[int, dict[str, Annotation]] = {of: {} for of in wanted}
    for row in connection.execute(select(marks).where(marks.c.recording_id.in_(wanted))):
        mark = annotation_of(row._mapping)
        if row.deleted:
            gone[row.recording_id][mark.key] = mark
        else:
            standing[row.recording_id].append(mark)
    found = {}
    for of, document in wanted.items():
        contents_at, past = (partial(each, connection, of) for each in (history.contents_at, history.changes_in))
        given, left_out = (
            signed(those, standing[of], of_text, annotator) for those in (document.annotations, document.left_out)
        )
        comparison = compared(standing[of], given, document.exported_keys, contents_at, gone[of], left_out, past)
        counts["known"] += comparison.known
        unsigned = {id(mark) for mark, before in zip(given, document.annotations, strict=True) if not before.annotator}
        # A new mark in somebody's tier is the importer's.
        found[of] = [
            replace(each, after=replace(each.after, annotator=annotator))
            if each.kind == "new" and id(each.after) in unsigned
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
    """Return the changes that a mode makes of differences, and count them."""
    changes: dict[int, list[Change]] = {}
    gone: list[Standing] = []
    restored: list[Standing] = []
    for of, differences in found.items():
        for each in differences:
            if each.kind == "new":
                counts["added"] += 1
                change = change_to(None, each.after, each.after.changed_at or at)
            elif each.kind == "deleted here" and restore:
                counts["restored"] += 1
                restored.append(Standing(each.after, True, annotator))
                change = change_to(restored[-1], each.after, at)
            elif mode == "add" or each.kind in ("conflict", "changed here", "deleted here"):
                counts["left_out"] += each.after is not None
                continue
            else:
                counts[each.kind] += 1
                standing = Standing(each.before, False, annotator)
                gone += [standing] if each.kind == "deleted" else []
                change = change_of(standing, each.after, at) if each.after else change_to(standing, None, at)
            changes.setdefault(of, []).append(change)
    if mode == "replace":
        trash.require_own_marks(connection, project, annotator, opinions_of(gone))
    if mode != "show":
        trash.require_own_marks(connection, project, annotator, opinions_of(restored), "restored")
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
    whose = [] if annotator is None else [marks.c.annotator == annotator]
    of_found = marks.c.recording_id.in_([row.id for row in found]), ~marks.c.deleted
    by_recording: dict[int, list[Annotation]] = {row.id: [] for row in found}
    for mark in connection.execute(select(marks).where(*of_found, *whose).order_by(*IN_ORDER_OF_TIME)):
        by_recording[mark.recording_id].append(annotation_of(mark._mapping))
    corrected = f0.of_recordings(connection, list(by_recording))
    assigned, roles = people.assignments_of(connection, list(by_recording)), people.roles_of(connection, project)
    documents = [
        AnnotatedRecording(
            row.name,
            row.sha256,
            row.duration_s,
            row.sample_rate_hz,
            tuple(by_recording[row.id]),
            row.provenance,
            tiers=tiers.with_participants(of_project, row.participants),
            assignments=assigned[row.id],
            roles=roles,
            f0=_by(corrected.get(row.id, CorrectedF0()), annotator),
            speaker=row.speaker or "",
            session=row.session or "",
        )
        for row in found
    ]
    return documents, found[-1].id if found else last_id


def _by(corrected: CorrectedF0, annotator: str | None) -> CorrectedF0:
    """Return what one person corrected, or anybody."""
    if annotator is None:
        return corrected
    return CorrectedF0({frame: each for frame, each in corrected.frames.items() if each.by == annotator})


def _recordings(
    connection: Connection, project: int, documents: Sequence[AnnotatedRecording], annotator: str, at: datetime
) -> list[tuple[int, float]]:
    """Return ids and lengths of the documents' recordings; missing ones are added, and all are locked."""
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
    found = connection.execute(locked.with_for_update(key_share=True)).all()
    by_sha256 = {row.sha256: (row.id, row.duration_s) for row in found}
    by_name: dict[str, list[tuple[int, float]]] = {}
    for row in found:
        by_name.setdefault(row.name, []).append((row.id, row.duration_s))
    return [by_sha256[d.sha256] if d.sha256 is not None else _only(by_name, d.name) for d in documents]


def _valid_marks(document: AnnotatedRecording, duration_s: float) -> list[Annotation]:
    found = []
    for number, mark in enumerate(document.annotations, start=1):
        with refused_at(f"{in_quotes(document.name)}, mark {number}"):
            found.append(valid_mark(mark, duration_s))
    return found


def _only(by_name: Mapping[str, Sequence[tuple[int, float]]], name: str) -> tuple[int, float]:
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
    of_f0: Mapping[int, F0Change] | None = None,
) -> None:
    """Add one step per recording, given by its id, on top of the annotator's earlier steps there.

    `of_f0` are changes of F0 that are written already.
    """
    of_f0 = of_f0 or {}
    changed = list(dict.fromkeys([*additions, *of_f0]))
    theirs = steps.c.recording_id.in_(changed), steps.c.annotator == annotator
    newest = select(func.max(steps.c.id)).where(*theirs).group_by(steps.c.recording_id)
    tops = dict(connection.execute(select(steps.c.recording_id, TOP).where(steps.c.id.in_(newest))).all())
    rows = [
        step_row(of, annotator, additions.get(of, ()), at, "edit", of_f0.get(of), beneath_id=tops.get(of))
        for of in changed
    ]
    if rows:
        connection.execute(insert(steps), rows)
