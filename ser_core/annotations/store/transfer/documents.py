"""The documents of an import: joined by recording, and checked against the recordings of the project."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select

from ser_core.annotations.annotation import AnnotatedRecording, Annotation, valid_mark
from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.f0.corrections import CorrectedF0
from ser_core.annotations.formats.values import error_context, quoted
from ser_core.annotations.store import trash
from ser_core.annotations.store.marks import insert_into
from ser_core.annotations.store.recordings import RecordingFile, recording_row
from ser_core.annotations.store.tables import recordings
from ser_core.errors import AnnotationsRefused


def join_by_recording(documents: Iterable[AnnotatedRecording]) -> list[AnnotatedRecording]:
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


def lock_recordings(
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


def _only_one_named(by_name: Mapping[str, Sequence[tuple[int, float]]], name: str) -> tuple[int, float]:
    found = by_name.get(name, ())
    if len(found) != 1:
        raise AnnotationsRefused(
            f"The file does not say by SHA-256 which recording '{name}' is, and the project has "
            f"{len(found) or 'none'} of that name; add the right one, or give distinct names."
        )
    return found[0]


def documents_by_id(
    ids_and_lengths: Sequence[tuple[int, float]], documents: Sequence[AnnotatedRecording]
) -> dict[int, AnnotatedRecording]:
    """Return one document for each recording, by its id; refuse marks and F0 beyond its length."""
    by_id: dict[int, AnnotatedRecording] = {}
    for (recording_id, duration_s), document in zip(ids_and_lengths, documents, strict=True):
        document = replace(document, annotations=tuple(_valid_marks(document, duration_s)))
        f0.require_frames(document.f0.frames, duration_s)
        by_id[recording_id] = _join([by_id[recording_id], document]) if recording_id in by_id else document
    return by_id


def _valid_marks(document: AnnotatedRecording, duration_s: float) -> list[Annotation]:
    found = []
    for number, mark in enumerate(document.annotations, start=1):
        with error_context(f"{quoted(document.name)}, mark {number}"):
            found.append(valid_mark(mark, duration_s))
    return found
