"""Marks and corrected F0: every edit is a step of the history of its recording."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import select

from ser_core.annotations.annotation import GOLD, Annotation, valid_mark
from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.f0.corrections import Correction
from ser_core.annotations.store import finding, history, people, recordings, tables, tiers, work_queue
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.finding import Hit, MarkQuery
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.marks import (
    StoredMark,
    change_of,
    change_to,
    deleted_marks_of,
    mark_row,
    marks_of,
    storable,
    stored_marks,
    without_gold_marks,
    write_marks,
)
from ser_core.annotations.store.people.ownership import require_own_marks
from ser_core.annotations.store.transactions.people import Annotators
from ser_core.annotations.store.work_queue import Queue
from ser_core.errors import AnnotationsRefused


class Marks:
    """The marks of people in recordings."""

    def __init__(self, database: Database, annotators: Annotators) -> None:
        self._database = database
        self._annotators = annotators

    def of(self, project: int, sha256: str, annotator: str | None = None) -> tuple[Annotation, ...]:
        """Return the marks in a recording, of one annotator or of all, in order of time."""
        with self._database.reading() as connection:
            return marks_of(
                connection, recordings.of_file(project, sha256), annotator and people.valid_annotator(annotator)
            )

    def find(self, project: int, query: MarkQuery) -> tuple[Hit, ...]:
        """Return the first marks that a query over tiers finds, by recording and time, at most `MAX_HITS`."""
        with self._database.reading() as connection:
            return tuple(islice(finding.hits(connection, project, query), finding.MAX_HITS))

    def edit(
        self,
        project: int,
        sha256: str,
        annotator: str,
        *,
        add: Sequence[Annotation] = (),
        change: Sequence[Annotation] = (),
        delete: Sequence[Annotation] = (),
        provenance: Mapping[str, Any] | None = None,
    ) -> Step:
        """Add, change and delete marks in a recording, all or none, as one step of the history.

        Parameters
        ----------
        annotator : str
            Who makes the edit. New marks without an annotator become theirs.
        change, delete : sequence of Annotation
            Marks of the store, with the key and revision that they were read with; their annotator stays. A verified
            mark that gets another region, emotion or intensity, but no other status, becomes done.
        provenance : mapping, optional
            Where the new marks come from; replaces the recording's provenance.

        Returns
        -------
        step : Step
            `step.marks` are the changed and the new marks, in this order.

        Raises
        ------
        AnnotationsOutdated
            If somebody has changed or deleted one of the marks since it was read.
        AnnotationsRefused
            If a mark is not valid, the recording or a mark is missing, a mark to delete and the project belong to
            others, or somebody who is no reviewer changes an emotion or label of others or the gold layer.
        """
        annotator = people.valid_person(annotator)
        changed, new = ([storable(mark, annotator) for mark in marks] for marks in (change, add))
        self._annotators.add({annotator, *(mark.annotator for mark in new)})
        with self._database.writing() as connection:
            recording_id, duration_s, may_review = recordings.lock(connection, project, sha256, annotator, provenance)
            at = datetime.now(UTC)
            changed, new = ([valid_mark(mark, duration_s) for mark in marks] for marks in (changed, new))
            tiers.add_missing(connection, project, (*changed, *new))
            stored = stored_marks(connection, recording_id, [mark.key for mark in (*delete, *changed)])
            deleted = [history.require_current(stored, mark) for mark in delete]
            before = [history.require_current(stored, mark) for mark in changed]
            require_own_marks(connection, project, annotator, without_gold_marks(deleted))
            changes = [
                *(change_to(mark, None, at) for mark in deleted),
                *(change_of(earlier, mark, at) for earlier, mark in zip(before, changed, strict=True)),
                *(change_to(None, mark, at) for mark in new),
            ]
            people.require_review_rights(connection, project, may_review, annotator, changes)
            beneath = history.top_of_stack(recording_id, annotator)
            return history.record_step(
                connection, recording_id, annotator, stored, changes, at, "edit", beneath_id=beneath
            )

    def correct_f0(
        self,
        project: int,
        sha256: str,
        annotator: str,
        wanted_hz: Mapping[int, float | None],
        seen: Mapping[int, Correction],
    ) -> Step:
        """Correct the F0 of frames of a recording, all or none, as one step of the history.

        Parameters
        ----------
        wanted_hz : mapping of int to float or None
            By frame; 0: unvoiced; None: as it was measured.
        seen : mapping of int to Correction
            The corrections that were shown, of these frames and perhaps others.

        Raises
        ------
        AnnotationsOutdated
            If somebody has corrected one of the frames since they were shown.
        AnnotationsRefused
            If nothing would change, an F0 is not possible, or the recording or a frame is not there.
        """
        annotator = people.valid_person(annotator)
        self._annotators.add({annotator})
        with self._database.writing() as connection:
            recording_id, duration_s, _ = recordings.lock(connection, project, sha256, annotator)
            at = datetime.now(UTC)
            corrections = f0.corrections_of(connection, recording_id)
            change = f0.change_of(corrections, wanted_hz, seen, duration_s, annotator, at)
            f0.write(connection, recording_id, corrections, change)
            beneath = history.top_of_stack(recording_id, annotator)
            return history.record_step(
                connection, recording_id, annotator, {}, (), at, "edit", change, beneath_id=beneath
            )

    def set_status(
        self,
        project: int,
        sha256: Collection[str],
        person: str,
        status: str,
        annotator: str | None = None,
        tier: str | None = None,
    ) -> int:
        """Give the marks of emotions in recordings another status, as one step of the history of each.

        Parameters
        ----------
        sha256 : collection of str
            Recordings, at most `MAX_RECORDINGS`; those that are not in the project are ignored.
        annotator : str or None
            Whose marks; None for everybody's. The gold layer stays as it is.
        tier : str, optional
            Key of a tier whose marks are changed instead of those of emotions.

        Returns
        -------
        marks : int
            How many changed.

        Raises
        ------
        AnnotationsRefused
            If marks of others are among them and the person does not review.
        """
        person, queue = people.valid_person(person), Queue(among=frozenset(sha256), status=status)
        self._annotators.add({person})
        with self._database.writing() as connection:
            may_review = bool(connection.execute(select(people.is_reviewer(project, person))).scalar_one())
            found = work_queue.lock_marks(
                connection, project, queue, annotator and people.valid_annotator(annotator), tier
            )
            at = datetime.now(UTC)
            changes = {
                recording_id: [
                    change_to(StoredMark(mark, False, person), replace(mark, status=status), at)
                    for mark in of_recording
                ]
                for recording_id, of_recording in found.items()
            }
            all_changes = [change for of_recording in changes.values() for change in of_recording]
            people.require_review_rights(connection, project, may_review, person, all_changes)
            rows = [
                mark_row(recording_id, change, person, at)
                for recording_id, of_recording in changes.items()
                for change in of_recording
            ]
            write_marks(connection, rows)
            history.add_steps(connection, changes, person, at)
        return len(all_changes)

    def deleted(self, project: int, sha256: str) -> list[StoredMark]:
        """Return the marks of a recording that were deleted in the last 30 days, the newest first."""
        with self._database.reading() as connection:
            return deleted_marks_of(connection, recordings.of_file(project, sha256), tables.DELETED_MARK)

    def restore(self, project: int, sha256: str, annotator: str, key: str) -> Step:
        """Restore a deleted mark, as a step that can be undone.

        Raises
        ------
        AnnotationsRefused
            If it was not deleted, or neither the mark, its deletion nor the project is this annotator's.
        """
        annotator = people.valid_person(annotator)
        self._annotators.add({annotator})
        with self._database.writing() as connection:
            recording_id, _, may_review = recordings.lock(connection, project, sha256, annotator)
            at = datetime.now(UTC)
            stored = stored_marks(connection, recording_id, [key])
            mark = stored.get(key)
            if mark is None or not mark.deleted:
                raise AnnotationsRefused("This mark is no longer in the trash; load the recording again.")
            changes = [change_to(mark, mark.annotation, at)]
            if mark.annotation.annotator == GOLD:
                people.require_review_rights(connection, project, may_review, annotator, changes)
            elif mark.changed_by != annotator:
                require_own_marks(connection, project, annotator, [mark], "restored")
            tiers.add_missing(connection, project, [mark.annotation])
            beneath = history.top_of_stack(recording_id, annotator)
            return history.record_step(
                connection, recording_id, annotator, stored, changes, at, "edit", beneath_id=beneath
            )
