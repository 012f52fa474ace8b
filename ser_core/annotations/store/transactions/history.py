"""Undo, redo, and the list of steps."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.store import history, people, recordings, tables, tiers
from ser_core.annotations.store.database import PAGE_SIZE, Database, Page, first_page
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.marks import stored_marks


class History:
    """The steps in recordings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def undo(self, project: int, sha256: str, annotator: str) -> Step | None:
        """Undo the annotator's last edit in a recording, and return it; None if everything is undone.

        Raises
        ------
        AnnotationsOutdated
            If somebody else has changed one of its marks since then; nothing is undone.
        """
        return self._undo_or_redo(project, sha256, annotator, "undo", history.top_of_stack, history.reversed_changes)

    def redo(self, project: int, sha256: str, annotator: str) -> Step | None:
        """Redo what the annotator undid last in a recording; return None if an edit followed or nothing was undone.

        Raises
        ------
        AnnotationsOutdated
            If somebody else has changed one of its marks since then; nothing is redone.
        """
        return self._undo_or_redo(project, sha256, annotator, "redo", history.next_to_redo, history.repeated_changes)

    def _undo_or_redo(
        self,
        project: int,
        sha256: str,
        annotator: str,
        kind: str,
        find: Callable[..., Any],
        changed: Callable[..., Any],
    ) -> Step | None:
        annotator = people.valid_person(annotator)
        with self._database.writing() as connection:
            recording_id, _, may_review = recordings.lock(connection, project, sha256, annotator)
            at = datetime.now(UTC)
            edit = history.edit_at(connection, find(recording_id, annotator))
            if edit is None:
                return None
            stored = stored_marks(connection, recording_id, edit.keys) if edit.keys else {}
            changes = changed(edit, stored, at)
            people.require_review_rights(connection, project, may_review, annotator, changes)
            tiers.add_missing(connection, project, (change.after for change in changes if change.after is not None))
            of_f0 = edit.f0 and f0.undo_or_redo(connection, recording_id, edit.f0, kind)
            top = edit.beneath_id if kind == "undo" else edit.id
            return history.record_step(
                connection, recording_id, annotator, stored, changes, at, kind, of_f0, top_id=top
            )

    def page(self, project: int, sha256: str, size: int = PAGE_SIZE) -> Page[Step]:
        """Return the last steps in a recording, the newest first."""
        of_recording = recordings.of_file(project, sha256)
        listed = select(tables.steps).join(tables.recordings).where(*of_recording).order_by(tables.steps.c.id.desc())
        with self._database.reading() as connection:
            rows, total = first_page(connection, listed, size)
        return Page(tuple(history.step_of(row) for row in rows), total)

    def newest_step(self) -> int:
        """Return the id of the last step in any project, which grows with every change; 0 without any."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(tables.steps.c.id))).scalar_one() or 0
