"""Who owns projects and recordings, and so may delete them and others' marks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Row, func, literal, select, union_all, update

from ser_core.annotations.store.marks import StoredMark
from ser_core.annotations.store.tables import composed, marks, projects, recordings, steps, valid_text
from ser_core.errors import AnnotationsRefused


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


def ownerships_of(connection: Connection, sha256: str) -> list[Ownership]:
    """Return who owns a recording, for each project that it is in."""
    chosen = recordings.c.sha256 == valid_text(sha256, "SHA-256"), projects.c.deleted_at.is_(None)
    columns = select(projects.c.id, projects.c.name, projects.c.owner, recordings.c.added_by)
    rows = connection.execute(columns.join(recordings).where(*chosen).order_by(projects.c.name)).all()
    return _ownerships(connection, rows, recordings.c.sha256 == sha256)


def ownership_of_project(connection: Connection, project: int, *, lock: bool = False) -> Ownership:
    """Return for a whole project what `ownerships_of` returns for a recording; optionally lock it and its recordings.

    Raises
    ------
    AnnotationsRefused
        If the project is not there.
    """
    columns = select(projects.c.id, projects.c.name, projects.c.owner)
    found = columns.where(projects.c.id == project, projects.c.deleted_at.is_(None))
    rows = connection.execute(found.with_for_update() if lock else found).all()
    if not rows:
        raise AnnotationsRefused("This project is no longer there; somebody has already deleted it.")
    own = recordings.c.project_id == project
    if lock:
        connection.execute(select(recordings.c.id).where(own).order_by(recordings.c.id).with_for_update())
    (ownership,) = _ownerships(connection, rows, own, is_project=True)
    return ownership


def owner_of(connection: Connection, project: int) -> str | None:
    """Return who created a project, else who marked in it first, else who first added a recording."""
    created = connection.execute(select(projects.c.owner).where(projects.c.id == project)).scalar_one_or_none()
    return created or first_contributor(connection, project)


def first_contributor(connection: Connection, project: int) -> str | None:
    """Return who marked first in a project, else who first added a recording."""
    of_project = select(recordings.c.id).where(recordings.c.project_id == project)
    first = select(func.min(steps.c.id)).where(steps.c.recording_id.in_(of_project)).scalar_subquery()
    annotator = connection.execute(select(steps.c.annotator).where(steps.c.id == first)).scalar_one_or_none()
    if annotator is not None:
        return annotator
    added = select(recordings.c.added_by).where(recordings.c.project_id == project, recordings.c.added_by.is_not(None))
    return connection.execute(added.order_by(recordings.c.id).limit(1)).scalar_one_or_none()


def save_owner(connection: Connection, project: int, owner: str | None) -> None:
    """Store the owner of a project before the rows that show it are deleted."""
    has_no_owner = projects.c.id == project, projects.c.owner.is_(None)
    connection.execute(update(projects).where(*has_no_owner).values(owner=owner))


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


def _ownerships(
    connection: Connection, rows: Sequence[Row], chosen: ColumnElement[bool], is_project: bool = False
) -> list[Ownership]:
    mark_counts = marks_by_project(connection, chosen, [row.id for row in rows])
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


def marks_by_project(
    connection: Connection, chosen: ColumnElement[bool], ids: Collection[int]
) -> dict[int, dict[str, int]]:
    """Return the number of marks by annotator in the chosen recordings of projects; 0 for somebody who corrected F0."""
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
