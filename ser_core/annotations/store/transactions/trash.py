"""Deletion, for 30 days or for good, of recordings, projects and their audio."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime

from sqlalchemy import select

from ser_core.annotations.store import people, tables, trash
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.people import ownership
from ser_core.annotations.store.people.ownership import Ownership
from ser_core.annotations.store.trash import Deleted
from ser_core.errors import AnnotationsRefused


class Trash:
    """Deleted items, and the deletions that are not finished."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ownerships_of(self, sha256: str) -> list[Ownership]:
        """Return who owns and may delete a recording, for each project that it is in."""
        with self._database.reading() as connection:
            return ownership.ownerships_of(connection, sha256)

    def ownership_of_project(self, project: int) -> Ownership:
        """Return who owns and may delete a whole project."""
        with self._database.reading() as connection:
            return ownership.ownership_of_project(connection, project)

    def delete_recording(self, sha256: str, person: str, *, for_good: bool = False) -> int:
        """Move a recording, with its marks and history, out of every project in which the person may do so.

        Parameters
        ----------
        person : str
            Who deletes it; "" for somebody without a name.
        for_good : bool
            Whether to skip the trash, from which it could be restored for 30 days. `finish_deletions` must follow.

        Returns
        -------
        projects : int
            Number of projects that it was deleted from.

        Raises
        ------
        AnnotationsRefused
            If it is in projects, but may be deleted from none of them.
        """
        at = datetime.now(UTC)
        with self._database.writing() as connection:
            ids = trash.trash_recording(connection, sha256, people.valid_name_or_empty(person), at)
            if for_good:
                trash.delete_for_good(connection, ids, at)
        return len(ids)

    def delete_project(self, project: int, person: str, *, for_good: bool = False) -> None:
        """Move a project into the trash, or delete it for good, as `delete_recording` does.

        Raises
        ------
        AnnotationsRefused
            If it is not there, or belongs to somebody else.
        """
        at = datetime.now(UTC)
        with self._database.writing() as connection:
            deleted = trash.trash_project(connection, project, people.valid_name_or_empty(person), at)
            if for_good:
                trash.delete_for_good(connection, [deleted], at)

    def delete_unused_project(self, project: int) -> None:
        """Delete a project without recordings, and leave any other."""
        with self._database.writing() as connection:
            trash.delete_unused_project(connection, project)

    def items(self) -> list[Deleted]:
        """Return the items that were deleted in the last 30 days and can be restored, the newest first."""
        with self._database.reading() as connection:
            return trash.all_items(connection)

    def restore(self, deleted: int, person: str) -> str:
        """Restore an item of the trash, by its id; return the name of the project that it is in.

        Raises
        ------
        AnnotationsRefused
            If it is not in the trash, the person has no part in it, or it was added and marked again meanwhile.
        """
        with self._database.writing() as connection:
            return trash.restore(connection, deleted, people.valid_name_or_empty(person))

    def delete_for_good(self, deleted: int, person: str) -> None:
        """Delete an item of the trash before its time; `finish_deletions` must follow.

        Raises
        ------
        AnnotationsRefused
            If it is not in the trash, or contains others' marks and comes from somebody else's project.
        """
        with self._database.writing() as connection:
            found, _ = trash.lock_item(connection, deleted)
            if not found.may_delete(people.valid_name_or_empty(person)):
                raise AnnotationsRefused(
                    f"Only {found.owner or found.deleted_by or 'whoever made it'} can delete this for good now; "
                    f"it is deleted by itself on {found.expires_at:%Y-%m-%d}."
                )
            trash.delete_for_good(connection, [deleted], datetime.now(UTC))

    def empty(self, now: datetime) -> None:
        """Delete for good the items and marks that were deleted 30 days ago; called by `finish_deletions`."""
        with self._database.writing() as connection:
            trash.delete_for_good(connection, trash.due_items(connection, now), now)
            trash.delete_marks_for_good(connection, now)

    def note_sounds(self, sha256: Collection[str], due_at: datetime) -> None:
        """Note sounds without a known recording, to be deleted at that time unless one is known by then."""
        with self._database.writing() as connection:
            known = select(tables.recordings.c.sha256).where(tables.recordings.c.sha256.in_(sha256))
            trash.note_unfinished(connection, set(sha256) - set(connection.execute(known).scalars()), due_at)

    def delete_sounds(self, now: datetime, delete_sound: Callable[[str], None]) -> set[str]:
        """Call a function for each sound that is due and that no recording needs; return what `mark_finished` takes.

        Nobody can add such a recording in the meantime.
        """
        with self._database.writing() as connection:
            due = trash.unfinished(connection, now)
            for sha256, held in due.items():
                if not held and sha256 != trash.DATABASE_FILE:
                    delete_sound(sha256)
        return set(due)

    def mark_finished(self, sha256: Collection[str]) -> None:
        """Remove deletions from the journal."""
        with self._database.writing() as connection:
            trash.forget_unfinished(connection, sha256)
        self._database.empty_log()

    def overwrite_deleted(self) -> None:
        """Leave no bytes of deleted rows in an SQLite file: the last step of every deletion.

        Raises
        ------
        AnnotationsRefused
            If the file cannot be rewritten; the rows are deleted all the same.
        """
        self._database.overwrite_deleted()
