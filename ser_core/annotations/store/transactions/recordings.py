"""The recordings of projects: added, rated, listed as queues, and opened for annotation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from ser_core.annotations.annotation import Annotation, Assignment, Tier
from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.f0.corrections import CorrectedF0
from ser_core.annotations.formats.fields import f0_of
from ser_core.annotations.store import history, people, recordings, tiers, work_queue
from ser_core.annotations.store.database import PAGE_SIZE, Database, Page
from ser_core.annotations.store.marks import marks_of
from ser_core.annotations.store.recordings import RecordingFile, Speaker
from ser_core.annotations.store.transactions.projects import require_project
from ser_core.annotations.store.work_queue import WHOLE_QUEUE, Queue, QueuedRecording


@dataclass(frozen=True)
class OpenRecording:
    """Everything that a page needs about one recording.

    Attributes
    ----------
    annotations : tuple of Annotation
        Of all annotators and tiers, in order of time.
    tiers : tuple of Tier
        Those of the project, in order, with their participants in this recording.
    assignments : tuple of Assignment
        In order of annotators.
    previous, next : str or None
        SHA-256 of its neighbours in the queue.
    can_undo, can_redo : bool
        For the annotator who opened it.
    f0 : CorrectedF0
        Everybody's corrections.
    """

    recording: QueuedRecording
    provenance: Mapping[str, Any]
    annotations: tuple[Annotation, ...]
    tiers: tuple[Tier, ...]
    assignments: tuple[Assignment, ...]
    previous: str | None
    next: str | None
    can_undo: bool
    can_redo: bool
    f0: CorrectedF0


class Recordings:
    """The recordings of projects, without their sound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, project: int, files: Iterable[RecordingFile], added_by: str = "") -> None:
        """Add recordings to a project; an existing one takes the new name, path and, if given, speaker."""
        with self._database.writing() as connection:
            require_project(connection, project)
            by = people.valid_name_or_empty(added_by) or None
            recordings.add_files(connection, project, files, datetime.now(UTC), by)

    def rate(self, project: int, rating: str, values: Mapping[str, float | None], tier: str | None = None) -> None:
        """Store a rating of recordings, by which queues can be ordered.

        Parameters
        ----------
        rating : {"uncertainty", "explainers_disagreement", "annotators_disagreement"}
        values : mapping of str to float or None
            At least 0, by SHA-256; recordings that are not in the project are ignored.
        tier : str, optional
            Key of the tier of labels on which annotators disagree; without one these are the marks of emotions.
        """
        with self._database.writing() as connection:
            recordings.rate(connection, project, rating, values, tier)

    def page(
        self, project: int, queue: Queue = WHOLE_QUEUE, page: int = 0, size: int = PAGE_SIZE
    ) -> Page[QueuedRecording]:
        """Return a page of a queue."""
        with self._database.reading() as connection:
            items, total = work_queue.page_of_queue(connection, project, queue, page, size)
        return Page(tuple(items), total)

    def speakers(self) -> list[Speaker]:
        """Return the speakers of all projects, ordered by project and name."""
        with self._database.reading() as connection:
            return recordings.all_speakers(connection)

    def of_speaker(self, project: int, speaker: str) -> list[RecordingFile]:
        """Return the recordings of a speaker in a project, ordered by name."""
        with self._database.reading() as connection:
            return recordings.of_speaker(connection, project, speaker)

    def sessions(self, project: int) -> list[str]:
        """Return the sessions of the recordings of a project, ordered by name."""
        with self._database.reading() as connection:
            return recordings.sessions_of(connection, project)

    def count_by_status(self, project: int, annotator: str | None = None, task: str | None = None) -> dict[str, int]:
        """Return how many recordings are open, done and verified, for one annotator or by the most advanced label.

        `task`: only recordings of this task of a `Queue`.
        """
        with self._database.reading() as connection:
            return work_queue.count_by_status(
                connection, project, annotator and people.valid_annotator(annotator), task
            )

    def files(self, project: int) -> tuple[RecordingFile, ...]:
        """Return the files of a project, in order of addition."""
        with self._database.reading() as connection:
            return recordings.files_of(connection, project)

    def open(self, project: int, sha256: str, annotator: str, queue: Queue = WHOLE_QUEUE) -> OpenRecording:
        """Return a recording for an annotator to work on, with all marks and its neighbours in a queue.

        Raises
        ------
        AnnotationsRefused
            If the project has no such recording.
        """
        annotator = people.valid_annotator(annotator)
        with self._database.reading() as connection:
            row = work_queue.find(connection, project, sha256, queue.annotator)
            if row is None:
                raise recordings.missing_recording_error(sha256)
            edits = history.top_of_stack(row.id, annotator), history.next_to_redo(row.id, annotator)
            *around, corrected = connection.execute(
                select(*work_queue.neighbours(row, queue), *edits, f0.of_recording(row.id))
            ).one()
            return OpenRecording(
                work_queue.queued(row),
                row.provenance,
                marks_of(connection, recordings.of_file(project, sha256)),
                tiers.with_participants(tiers.of_project(connection, project), row.participants),
                people.assignments_of(connection, [row.id])[row.id],
                *around[:2],
                *(edit is not None for edit in around[2:]),
                f0_of(corrected),
            )
