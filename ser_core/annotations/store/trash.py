"""The trash, which keeps deleted items for 30 days, and who may delete or restore them.

A deletion moves recordings, with their marks and history, into a project of its own that no list shows. That project's
`deleted_name` is the name of the project they came from, and `of_project` its id, or NULL if the whole project was
deleted. A permanent deletion writes what remains to be done to the journal `unfinished_deletions`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from ser_core.annotations.store.history import forget_marks
from ser_core.annotations.store.marks import insert_into
from ser_core.annotations.store.people.ownership import (
    Ownership,
    marks_by_project,
    owner_of,
    ownership_of_project,
    ownerships_of,
    save_owner,
)
from ser_core.annotations.store.tables import (
    DELETED_MARK,
    composed,
    marks,
    members,
    projects,
    recordings,
    steps,
    tiers,
    unfinished_deletions,
    valid_text,
)
from ser_core.errors import AnnotationsRefused

TRASH_PERIOD = timedelta(days=30)
#: In the journal: SQLite's file still holds deleted rows.
DATABASE_FILE = ""


@dataclass(frozen=True)
class Deleted:
    """An item in the trash.

    Attributes
    ----------
    id : int
    recording_name : str or None
        None for a whole project.
    recordings : int
    marks : mapping of str to int
        As of `Ownership`.
    """

    id: int
    project_name: str
    recording_name: str | None
    recordings: int
    marks: Mapping[str, int]
    owner: str | None
    deleted_by: str
    deleted_at: datetime

    @property
    def expires_at(self) -> datetime:
        """When it is deleted for good."""
        return self.deleted_at + TRASH_PERIOD

    def may_delete(self, person: str) -> bool:
        """Whether somebody may delete it for good before that: the project's owner, or whoever made all of it."""
        person = composed(person)
        return (bool(person) and person == self.owner) or {*self.marks, self.deleted_by} == {person}

    def may_restore(self, person: str) -> bool:
        """Whether somebody deleted it, owns it or has marks in it."""
        person = composed(person)
        return person == self.deleted_by or (bool(person) and person in {self.owner, *self.marks})


# --- into the trash ---


def trash_recording(connection: Connection, sha256: str, person: str, at: datetime) -> list[int]:
    """Move a recording out of every project in which somebody may delete it; return the ids of the items in the trash.

    Raises
    ------
    AnnotationsRefused
        If it is in projects but may be deleted from none of them.
    """
    # Waits for edits in progress, and keeps new ones out until it is moved.
    chosen = recordings.c.sha256 == valid_text(sha256, "SHA-256")
    connection.execute(select(recordings.c.id).where(chosen).order_by(recordings.c.id).with_for_update())
    found = ownerships_of(connection, sha256)
    allowed = [ownership for ownership in found if ownership.may_delete(person)]
    if found and not allowed:
        raise found[0].refusal(person)
    ids = []
    for ownership in allowed:
        save_owner(connection, ownership.project, ownership.owner)
        ids.append(_new_bin(connection, ownership, person, at, of_project=ownership.project))
        moved = update(recordings).where(recordings.c.project_id == ownership.project, chosen)
        connection.execute(moved.values(project_id=ids[-1]))
    return ids


def trash_project(connection: Connection, project: int, person: str, at: datetime) -> int:
    """Move a project into the trash, and return its id there.

    Raises
    ------
    AnnotationsRefused
        If it is not there, or not theirs.
    """
    ownership = ownership_of_project(connection, project, lock=True)
    if not ownership.may_delete(person):
        raise ownership.refusal(person)
    bin_id = _new_bin(connection, ownership, person, at)
    for table in (recordings, tiers, members):
        connection.execute(update(table).where(table.c.project_id == project).values(project_id=bin_id))
    connection.execute(update(projects).where(projects.c.of_project == project).values(of_project=bin_id))
    connection.execute(delete(projects).where(projects.c.id == project))
    return bin_id


def _new_bin(
    connection: Connection, ownership: Ownership, person: str, at: datetime, of_project: int | None = None
) -> int:
    row = {
        "name": uuid4().hex,
        "created_at": at,
        "owner": ownership.owner,
        "deleted_at": at,
        "deleted_by": person,
        "deleted_name": ownership.project_name,
        "of_project": of_project,
    }
    return connection.execute(insert(projects).values(row).returning(projects.c.id)).scalar_one()


# --- in the trash ---


def all_items(connection: Connection) -> list[Deleted]:
    """Return everything in the trash, the newest first."""
    in_trash = select(projects).where(projects.c.deleted_at.is_not(None)).order_by(projects.c.deleted_at.desc())
    return _deleted(connection, connection.execute(in_trash).all())


def _deleted(connection: Connection, rows: Sequence[Row]) -> list[Deleted]:
    ids = [row.id for row in rows]
    in_bins = recordings.c.project_id.in_(ids)
    columns = select(recordings.c.project_id, func.count(), func.min(recordings.c.name))
    grouped = connection.execute(columns.where(in_bins).group_by(recordings.c.project_id))
    counts = {bin_id: (count, name) for bin_id, count, name in grouped}
    mark_counts = marks_by_project(connection, in_bins, ids)
    found = []
    for row in rows:
        count, name = counts.get(row.id, (0, None))
        item = Deleted(
            row.id,
            row.deleted_name,
            None if row.of_project is None else name,
            count,
            mark_counts.get(row.id, {}),
            row.owner,
            row.deleted_by,
            row.deleted_at,
        )
        found.append(item)
    return found


def lock_item(connection: Connection, bin_id: int) -> tuple[Deleted, Row]:
    """Return an item of the trash and its row, and lock it, so that nobody else restores or deletes it meanwhile.

    Raises
    ------
    AnnotationsRefused
        If it is no longer there.
    """
    chosen = projects.c.id == bin_id, projects.c.deleted_at.is_not(None)
    row = connection.execute(select(projects).where(*chosen).with_for_update()).one_or_none()
    if row is None:
        raise AnnotationsRefused("This is no longer in the trash: it was restored, or deleted for good.")
    return _deleted(connection, [row])[0], row


# --- out of the trash ---


def restore(connection: Connection, bin_id: int, person: str) -> str:
    """Restore an item, and return the name of the project that it is in now.

    Raises
    ------
    AnnotationsRefused
        If it is not there, the person has no part in it, or the recording has been added and marked again.
    """
    found, row = lock_item(connection, bin_id)
    if not found.may_restore(person):
        name, deleted_by = person or "Somebody without a name", found.deleted_by or "somebody"
        raise AnnotationsRefused(
            f"{name} has no part in what {deleted_by} deleted; ask them or {found.owner} to restore it."
            if found.owner
            else f"{name} has no part in what {deleted_by} deleted; ask them to restore it."
        )
    if row.of_project is None:
        return _restore_project(connection, row)
    project = connection.execute(select(projects).where(projects.c.id == row.of_project).with_for_update()).one()
    if project.deleted_at is not None:
        raise AnnotationsRefused(f"The project '{found.project_name}' is in the trash too; restore that first.")
    _delete_unmarked_duplicate(connection, bin_id, project.id, found)
    moved = update(recordings).where(recordings.c.project_id == bin_id).values(project_id=project.id)
    connection.execute(moved)
    connection.execute(delete(projects).where(projects.c.id == bin_id))
    return project.name


def _restore_project(connection: Connection, row: Row) -> str:
    """Give a project its name back, numbered if another project has that name now."""
    name, count = row.deleted_name, 1
    taken = select(func.count()).select_from(projects)
    while connection.execute(taken.where(projects.c.name == name)).scalar_one():
        count += 1
        name = f"{row.deleted_name} ({count})"
    restored = {"name": name, "deleted_at": None, "deleted_by": None, "deleted_name": None}
    connection.execute(update(projects).where(projects.c.id == row.id).values(restored))
    return name


def _delete_unmarked_duplicate(connection: Connection, bin_id: int, project: int, found: Deleted) -> None:
    """Delete a recording that was added again and has no history; refuse if it has one."""
    restored = select(recordings.c.sha256).where(recordings.c.project_id == bin_id)
    is_duplicate = recordings.c.project_id == project, recordings.c.sha256.in_(restored)
    ids = connection.execute(select(recordings.c.id).where(*is_duplicate).with_for_update()).scalars().all()
    if connection.execute(select(func.count()).where(steps.c.recording_id.in_(ids))).scalar_one():
        raise AnnotationsRefused(
            f"{found.recording_name} was added to '{found.project_name}' again and has been marked there since. "
            "Delete that one first, or leave the older one in the trash."
        )
    connection.execute(delete(recordings).where(recordings.c.id.in_(ids)))


def delete_for_good(connection: Connection, ids: Collection[int], at: datetime) -> None:
    """Delete items of the trash, with what was deleted from those projects before; note what remains to be done."""
    if not ids:
        return
    chosen = projects.c.deleted_at.is_not(None), or_(projects.c.id.in_(ids), projects.c.of_project.in_(ids))
    held = projects.outerjoin(recordings, recordings.c.project_id == projects.c.id)
    # Locked first: an item that somebody restores right now is then left out.
    locked = select(projects.c.id, recordings.c.sha256).select_from(held).where(*chosen).order_by(projects.c.id)
    rows = connection.execute(locked.with_for_update(of=projects)).all()
    note_unfinished(connection, [*{sha256 for _, sha256 in rows} - {None}, DATABASE_FILE], at)
    connection.execute(delete(projects).where(projects.c.id.in_({project_id for project_id, _ in rows})))


def delete_unused_project(connection: Connection, project: int) -> None:
    """Delete a project that is empty and has nothing in the trash."""
    held = select(recordings.c.id).where(recordings.c.project_id == project).limit(1).scalar_subquery()
    others = projects.alias()
    deleted = select(others.c.id).where(others.c.of_project == project).limit(1).scalar_subquery()
    connection.execute(delete(projects).where(projects.c.id == project, held.is_(None), deleted.is_(None)))


def due_items(connection: Connection, now: datetime) -> list[int]:
    """Return the ids of items whose time in the trash is over."""
    return list(connection.execute(select(projects.c.id).where(projects.c.deleted_at <= now - TRASH_PERIOD)).scalars())


def delete_marks_for_good(connection: Connection, now: datetime) -> None:
    """Delete marks that were deleted 30 days ago, with their history."""
    is_due = marks.c.changed_at <= now - TRASH_PERIOD, DELETED_MARK
    is_affected = recordings.c.id.in_(select(marks.c.recording_id).where(*is_due))
    connection.execute(select(recordings.c.id).where(is_affected).order_by(recordings.c.id).with_for_update())
    of_projects = select(recordings.c.project_id).where(is_affected).distinct()
    for project in connection.execute(of_projects).scalars().all():
        save_owner(connection, project, owner_of(connection, project))
    deleted = delete(marks).where(*is_due).returning(marks.c.recording_id, marks.c.key)
    keys: dict[int, set[str]] = {}
    for recording_id, key in connection.execute(deleted):
        keys.setdefault(recording_id, set()).add(key)
    for recording_id, of_recording in keys.items():
        forget_marks(connection, recording_id, of_recording)
    if keys:
        note_unfinished(connection, [DATABASE_FILE], now)


# --- the journal ---


def note_unfinished(connection: Connection, sha256: Collection[str], due_at: datetime) -> None:
    """Note sounds that are to be deleted; of a sound that was noted before, the earlier time counts."""
    if not sha256:
        return
    statement = insert_into(connection, unfinished_deletions)
    new = statement.excluded.due_at
    statement = statement.on_conflict_do_update(
        index_elements=["sha256"], set_={"due_at": new}, where=new < unfinished_deletions.c.due_at
    )
    connection.execute(statement, [{"sha256": each, "due_at": due_at} for each in sorted(sha256)])


def unfinished(connection: Connection, now: datetime) -> dict[str, bool]:
    """Return the sounds that are due, locked, and for each whether a project or the trash holds its recording."""
    held = select(recordings.c.id).where(recordings.c.sha256 == unfinished_deletions.c.sha256).limit(1)
    columns = select(unfinished_deletions.c.sha256, held.scalar_subquery().is_not(None))
    rows = columns.where(unfinished_deletions.c.due_at <= now).order_by(unfinished_deletions.c.sha256)
    return dict(tuple(row) for row in connection.execute(rows.with_for_update(of=unfinished_deletions)))


def forget_unfinished(connection: Connection, sha256: Collection[str]) -> None:
    """Remove sounds from the journal: they are deleted, or needed again."""
    if sha256:
        statement = delete(unfinished_deletions).where(unfinished_deletions.c.sha256 == bindparam("sound"))
        connection.execute(statement, [{"sound": each} for each in sha256])
