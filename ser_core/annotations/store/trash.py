"""The trash, which keeps deleted items for 30 days: who owns them, and who may delete or restore them.

A deletion moves recordings, with their marks and history, into a project of its own that no list shows. That project's
`deleted_name` is the name of the project they came from, and `of_project` its id, or NULL if the whole project was
deleted. A permanent deletion writes what remains to be done to the journal `unfinished_deletions`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from ser_core.annotations.store.history import forget_marks
from ser_core.annotations.store.marks import StoredMark, insert_into
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
class Ownership:
    """Who owns, and so may delete, a recording in a project or a whole project.

    Attributes
    ----------
    owner : str or None
        Who created the project; if that is not known, who marked in it first, or else who added the first recording;
        None if nobody is known.
    marks : mapping of str to int
        Number of marks by annotator; 0 for somebody who only corrected F0.
    added_by : str or None
        Who added the recording, if known.
    is_project : bool
    """

    project: int
    project_name: str
    owner: str | None
    marks: Mapping[str, int] = field(default_factory=dict)
    added_by: str | None = None
    is_project: bool = False

    def may_delete(self, person: str) -> bool:
        """Whether somebody owns the project, or made everything in the recording."""
        person = composed(person)
        involved = {*self.marks, self.added_by} - {None}
        if self.owner is None and not involved:
            return True
        return bool(person) and (person == self.owner or (not self.is_project and involved == {person}))

    def refusal(self, person: str) -> AnnotationsRefused:
        """Return the refusal for somebody who may not delete it."""
        what = "The project" if self.is_project else "The recording in the project"
        return AnnotationsRefused(
            f"{what} '{self.project_name}' holds {self.in_words()}, and {person or 'somebody without a name'} neither "
            f"owns the project nor made all of them. Ask {self.responsible}."
        )

    @property
    def responsible(self) -> str:
        """Who can delete it, in words."""
        return self.owner or " and ".join(sorted({*self.marks, self.added_by} - {None}))

    def in_words(self) -> str:
        """Return the number of marks by annotator, in words.

        >>> Ownership(1, "Voices", None, {"bea": 1, "ann": 3, "cid": 0}).in_words()
        '3 marks of ann, 1 mark of bea, F0 corrected by cid'
        """
        counts = (
            f"F0 corrected by {name}"
            if count == 0
            else f"{count} mark of {name}"
            if count == 1
            else f"{count} marks of {name}"
            for name, count in sorted(self.marks.items())
        )
        return ", ".join(counts) or "no marks"


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
    def goes_at(self) -> datetime:
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


# --- owners ---


def ownerships_of(connection: Connection, sha256: str) -> list[Ownership]:
    """Return who owns a recording, for each project that it is in."""
    chosen = recordings.c.sha256 == valid_text(sha256, "SHA-256"), projects.c.deleted_at.is_(None)
    columns = select(projects.c.id, projects.c.name, projects.c.owner, recordings.c.added_by)
    rows = connection.execute(columns.join(recordings).where(*chosen).order_by(projects.c.name)).all()
    return _ownerships(connection, rows, recordings.c.sha256 == sha256)


def ownership_of_project(connection: Connection, project: int) -> Ownership:
    """Return for a whole project what `ownerships_of` returns for a recording."""
    rows = _rows_of_project(connection, project, lock=False)
    (found,) = _ownerships(connection, rows, recordings.c.project_id == project, is_project=True)
    return found


def _rows_of_project(connection: Connection, project: int, *, lock: bool) -> Sequence[Row]:
    columns = select(projects.c.id, projects.c.name, projects.c.owner)
    found = columns.where(projects.c.id == project, projects.c.deleted_at.is_(None))
    rows = connection.execute(found.with_for_update() if lock else found).all()
    if not rows:
        raise AnnotationsRefused("This project is no longer there; somebody has already deleted it.")
    return rows


def owner_of(connection: Connection, project: int) -> str | None:
    """Return who created a project, else who marked in it first, else who first added a recording."""
    created = connection.execute(select(projects.c.owner).where(projects.c.id == project)).scalar_one_or_none()
    return created or first_contributor(connection, project)


def require_own_marks(
    connection: Connection, project: int, annotator: str, stored: Sequence[StoredMark], action: str = "deleted"
) -> None:
    """Refuse to delete or restore others' marks, unless in one's own project."""
    require_own(connection, project, annotator, {there.annotation.annotator for there in stored}, action)


def require_own(
    connection: Connection, project: int, annotator: str, names: Collection[str], action: str = "deleted"
) -> None:
    """Refuse an action on marks of others, given by their names, unless in one's own project."""
    others = set(names) - {annotator}
    if others and owner_of(connection, project) != annotator:
        raise AnnotationsRefused(
            f"Marks of {' and '.join(sorted(others))} can be {action} by them or by the project's owner, not by "
            f"{annotator}. Nothing was {action}."
        )


def _save_owner(connection: Connection, project: int, owner: str | None) -> None:
    """Store the owner of a project before the rows that show it are deleted."""
    has_no_owner = projects.c.id == project, projects.c.owner.is_(None)
    connection.execute(update(projects).where(*has_no_owner).values(owner=owner))


def first_contributor(connection: Connection, project: int) -> str | None:
    """Return who marked first in a project, else who first added a recording."""
    of_project = select(recordings.c.id).where(recordings.c.project_id == project)
    first = select(func.min(steps.c.id)).where(steps.c.recording_id.in_(of_project)).scalar_subquery()
    annotator = connection.execute(select(steps.c.annotator).where(steps.c.id == first)).scalar_one_or_none()
    if annotator is not None:
        return annotator
    added = select(recordings.c.added_by).where(recordings.c.project_id == project, recordings.c.added_by.is_not(None))
    return connection.execute(added.order_by(recordings.c.id).limit(1)).scalar_one_or_none()


def _ownerships(
    connection: Connection, rows: Sequence[Row], chosen: ColumnElement[bool], is_project: bool = False
) -> list[Ownership]:
    mark_counts = _marks_by_project(connection, chosen, [row.id for row in rows])
    return [
        Ownership(
            row.id,
            row.name,
            row.owner or first_contributor(connection, row.id),
            mark_counts.get(row.id, {}),
            None if is_project else row.added_by,
            is_project,
        )
        for row in rows
    ]


def _marks_by_project(
    connection: Connection, chosen: ColumnElement[bool], ids: Collection[int]
) -> dict[int, dict[str, int]]:
    wanted = chosen, recordings.c.project_id.in_(ids)
    mark_counts = (
        select(recordings.c.project_id, marks.c.annotator, func.count()).join(marks).where(*wanted, ~marks.c.deleted)
    )
    mark_counts = mark_counts.group_by(recordings.c.project_id, marks.c.annotator)
    f0_editors = select(recordings.c.project_id, steps.c.annotator, literal(0)).join(steps)
    f0_editors = f0_editors.where(*wanted, steps.c.f0.is_not(None)).distinct()
    found: dict[int, dict[str, int]] = {}
    for project, annotator, count in connection.execute(union_all(mark_counts, f0_editors)):
        counts = found.setdefault(project, {})
        counts[annotator] = max(count, counts.get(annotator, 0))
    return found


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
        _save_owner(connection, ownership.project, ownership.owner)
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
    rows = _rows_of_project(connection, project, lock=True)
    own = recordings.c.project_id == project
    connection.execute(select(recordings.c.id).where(own).order_by(recordings.c.id).with_for_update())
    (ownership,) = _ownerships(connection, rows, own, is_project=True)
    if not ownership.may_delete(person):
        raise ownership.refusal(person)
    bin_id = _new_bin(connection, ownership, person, at)
    connection.execute(update(recordings).where(own).values(project_id=bin_id))
    for table in (tiers, members):
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
    mark_counts = _marks_by_project(connection, in_bins, ids)
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
        who, by = person or "Somebody without a name", found.deleted_by or "somebody"
        raise AnnotationsRefused(
            f"{who} has no part in what {by} deleted; ask them or {found.owner} to restore it."
            if found.owner
            else f"{who} has no part in what {by} deleted; ask them to restore it."
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
        _save_owner(connection, project, owner_of(connection, project))
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
