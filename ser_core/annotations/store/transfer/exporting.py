"""Export of the recordings of a project with their marks, in batches."""

from sqlalchemy import Connection, select

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.f0.corrections import CorrectedF0
from ser_core.annotations.store import people, tiers
from ser_core.annotations.store.marks import IN_ORDER_OF_TIME, annotation_of
from ser_core.annotations.store.tables import marks, recordings
from ser_core.annotations.store.transfer import RECORDINGS_AT_ONCE


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
