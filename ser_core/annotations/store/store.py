"""The store of annotations: every method is one transaction, and what has returned is saved.

Nobody overwrites what somebody else has written meanwhile: a change says which revision of a mark it was made to, and
is refused where that is not the newest. What a person does at once, as splitting a mark, is one step of the history.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Select, func, select

from ser_core.annotations.annotation import AnnotatedRecording, Annotation, fitted
from ser_core.annotations.store import history, recordings, tables, transfer, trash
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.marks import (
    IN_ORDER_OF_TIME,
    Change,
    Standing,
    annotation_of,
    change_to,
    checked,
    insert_into,
    mark_row,
    refuse_second_label,
    standing_marks,
    write_marks,
)
from ser_core.annotations.store.recordings import Queue, QueuedRecording, RecordingFile
from ser_core.annotations.store.tables import kept_name
from ser_core.annotations.store.transfer import Imported
from ser_core.annotations.store.trash import Deleted, Holding
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from ser_core.work.progress import UNWATCHED, Work

PAGE_SIZE = 50
#: As a size of pages: all on one.
EVERY = 2**31
ANYTHING = Queue()

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A part of a list, and how many items all of it has."""

    items: tuple[Item, ...]
    total: int


@dataclass(frozen=True)
class Project:
    """A set of recordings that people mark together."""

    id: int
    name: str
    created_at: datetime
    owner: str | None
    recordings: int


@dataclass(frozen=True)
class OpenRecording:
    """All that a page needs of one recording.

    Attributes
    ----------
    annotations : tuple of Annotation
        Of all annotators, in order of time.
    previous, next : str or None
        SHA-256 of its neighbours in the queue.
    can_undo, can_redo : bool
        For the annotator who opened it.
    """

    recording: QueuedRecording
    provenance: Mapping[str, Any]
    annotations: tuple[Annotation, ...]
    previous: str | None
    next: str | None
    can_undo: bool
    can_redo: bool


def open_store(url: str) -> "Store":
    """Open the database at a URL, make its tables or bring them up to date, and return the store in it.

    Parameters
    ----------
    url : str
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`; `database.default_url` gives the usual one.

    Raises
    ------
    AnnotationsRefused
        If the database cannot be opened or was made by a newer version.
    """
    return Store(Database(url))


class Store:
    """Projects, recordings and the marks in them; safe to share between threads.

    Every method raises `AnnotationsRefused` where the database does not answer; then nothing of it was saved.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known_annotators: set[str] = set()

    @property
    def place(self) -> str:
        """Where the database is, without user and password."""
        return self._database.place

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    # --- projects and annotators ---

    def create_project(self, name: str, owner: str = "") -> int:
        """Create a project and return its id; a name that is taken is refused.

        Parameters
        ----------
        owner : str
            Who may delete it and all that is in it. Where nobody is named, it is whoever marks in it first.
        """
        name = kept_name(name, "name of the project")
        row = {"name": name, "created_at": datetime.now(UTC), "owner": _person(owner) or None}
        with self._database.writing() as connection:
            statement = insert_into(connection, tables.projects).values(row)
            statement = statement.on_conflict_do_nothing().returning(tables.projects.c.id)
            created = connection.execute(statement).scalar_one_or_none()
        if created is None:
            raise AnnotationsRefused(f"There is a project '{name}' already; choose another name.")
        return created

    def projects(self, page: int = 0, size: int = PAGE_SIZE) -> Page[Project]:
        """Return a page of the projects, in the order of their names."""
        of_project = tables.recordings.c.project_id == tables.projects.c.id
        count = select(func.count()).where(of_project).scalar_subquery().label("recordings")
        columns = (tables.projects.c[name] for name in ("id", "name", "created_at", "owner"))
        there = tables.projects.c.deleted_at.is_(None)
        listed = select(*columns, count).where(there).order_by(tables.projects.c.name)
        with self._database.reading() as connection:
            rows, total = _page(connection, listed, page, size)
        return Page(tuple(Project(**row._mapping) for row in rows), total)

    def annotators(self, page: int = 0, size: int = PAGE_SIZE) -> Page[str]:
        """Return a page of the names of all who have marked, in any project."""
        listed = select(tables.annotators.c.name).order_by(tables.annotators.c.name)
        with self._database.reading() as connection:
            rows, total = _page(connection, listed, page, size)
        return Page(tuple(row.name for row in rows), total)

    # --- recordings ---

    def add_recordings(self, project: int, files: Iterable[RecordingFile], added_by: str = "") -> None:
        """Add recordings to a project; one that is there, by its SHA-256, takes the new name and path."""
        with self._database.writing() as connection:
            _require_project(connection, project)
            recordings.add_files(connection, project, files, datetime.now(UTC), _person(added_by) or None)

    # --- what is deleted ---

    def holdings_of(self, sha256: str) -> list[Holding]:
        """Return which projects hold a recording, whose marks, and who may delete them."""
        with self._database.reading() as connection:
            return trash.holdings_of(connection, sha256)

    def holding_of_project(self, project: int) -> Holding:
        """Return whose marks are in a project, and who may delete it."""
        with self._database.reading() as connection:
            return trash.holding_of_project(connection, project)

    def delete_recording(self, sha256: str, person: str, *, for_good: bool = False) -> int:
        """Move a recording, with its marks and history, out of every project where somebody may do so.

        Parameters
        ----------
        person : str
            Who deletes it; "" for somebody who has no name.
        for_good : bool
            Not into the trash, out of which it comes back for 30 days: `finish_deletions` then has to follow.

        Returns
        -------
        projects : int
            That it was deleted from.

        Raises
        ------
        AnnotationsRefused
            If it is in projects, but all of it in each is others'.
        """
        at = datetime.now(UTC)
        with self._database.writing() as connection:
            ids = trash.trash_recording(connection, sha256, _person(person), at)
            if for_good:
                trash.delete_for_good(connection, ids, at)
        return len(ids)

    def delete_project(self, project: int, person: str, *, for_good: bool = False) -> None:
        """Move a project into the trash, or delete it for good; as `delete_recording`.

        Raises
        ------
        AnnotationsRefused
            If it is not there, or somebody else's.
        """
        at = datetime.now(UTC)
        with self._database.writing() as connection:
            deleted = trash.trash_project(connection, project, _person(person), at)
            if for_good:
                trash.delete_for_good(connection, [deleted], at)

    def delete_unused_project(self, project: int) -> None:
        """Delete a project that no recording was added to, and leave any other."""
        with self._database.writing() as connection:
            trash.delete_unused_project(connection, project)

    def trash(self) -> list[Deleted]:
        """Return what was deleted in the last 30 days and can be restored, the newest first."""
        with self._database.reading() as connection:
            return trash.listed(connection)

    def restore(self, deleted: int, person: str) -> str:
        """Put back what was deleted, by its id in the trash; return the name of the project that it is in.

        Raises
        ------
        AnnotationsRefused
            If it is not in the trash, somebody has no part in it, or it was added again and marked meanwhile.
        """
        with self._database.writing() as connection:
            return trash.restore(connection, deleted, _person(person))

    def delete_for_good(self, deleted: int, person: str) -> None:
        """Delete what is in the trash before its time; `finish_deletions` has to follow.

        Raises
        ------
        AnnotationsRefused
            If it is not in the trash, or others' marks are in it and somebody else's project.
        """
        with self._database.writing() as connection:
            found, _ = trash.locked(connection, deleted)
            if not found.may_delete(_person(person)):
                raise AnnotationsRefused(
                    f"Only {found.owner or found.deleted_by or 'whoever made it'} can delete this for good now; "
                    f"it goes by itself on {found.goes_at:%Y-%m-%d}."
                )
            trash.delete_for_good(connection, [deleted], datetime.now(UTC))

    def empty_trash(self, now: datetime) -> None:
        """Delete for good what was deleted 30 days ago, single marks too; `finish_deletions` does so."""
        with self._database.writing() as connection:
            trash.delete_for_good(connection, trash.due(connection, now), now)
            trash.delete_marks_for_good(connection, now)

    def note_sounds(self, sha256: Collection[str], due_at: datetime) -> None:
        """Note sounds of which no recording is known, to be deleted at a time unless one is by then."""
        with self._database.writing() as connection:
            known = select(tables.recordings.c.sha256).where(tables.recordings.c.sha256.in_(sha256))
            trash.note_unfinished(connection, set(sha256) - set(connection.execute(known).scalars()), due_at)

    def delete_sounds(self, now: datetime, delete_sound: Callable[[str], None]) -> set[str]:
        """Call a function for each sound that is due and that no recording needs; return what `finished` takes.

        Nobody adds such a recording meanwhile.
        """
        with self._database.writing() as connection:
            due = trash.unfinished(connection, now)
            for sha256, held in due.items():
                if not held and sha256 != trash.THE_FILE:
                    delete_sound(sha256)
        return set(due)

    def finished(self, sha256: Collection[str]) -> None:
        """Take deletions out of the journal."""
        with self._database.writing() as connection:
            trash.forget_unfinished(connection, sha256)
        self._database.empty_log()

    def overwrite_deleted(self) -> None:
        """Leave no bytes of what was deleted in a file of SQLite: the last step of every deletion.

        Raises
        ------
        AnnotationsRefused
            If the file cannot be written anew; what was deleted is deleted all the same.
        """
        self._database.overwrite_deleted()

    def rate(self, project: int, rating: str, values: Mapping[str, float | None]) -> None:
        """Keep a rating of recordings by which queues can be ordered.

        Parameters
        ----------
        rating : {"uncertainty", "explainers_disagreement", "annotators_disagreement"}
        values : mapping of str to float or None
            At least 0, for each recording's SHA-256; those that the project has not are passed over.
        """
        with self._database.writing() as connection:
            recordings.rate(connection, project, rating, values)

    def recordings(
        self, project: int, queue: Queue = ANYTHING, page: int = 0, size: int = PAGE_SIZE
    ) -> Page[QueuedRecording]:
        """Return a page of a queue."""
        with self._database.reading() as connection:
            items, total = recordings.page_of_queue(connection, project, queue, page, size)
        return Page(tuple(items), total)

    def count_by_status(self, project: int, annotator: str | None = None) -> dict[str, int]:
        """Return how many recordings are open, done and verified, for one annotator or for who is furthest."""
        with self._database.reading() as connection:
            return recordings.count_by_status(connection, project, annotator and _name(annotator))

    def open_recording(self, project: int, sha256: str, annotator: str, queue: Queue = ANYTHING) -> OpenRecording:
        """Return a recording for an annotator to work on, with all marks and its neighbours in a queue.

        Raises
        ------
        AnnotationsRefused
            If the project has no such recording.
        """
        annotator = _name(annotator)
        with self._database.reading() as connection:
            row = recordings.find(connection, project, sha256, queue.annotator)
            if row is None:
                raise recordings.missing_recording_error(sha256)
            return OpenRecording(
                recordings.queued(row),
                row.provenance,
                _annotations(connection, project, sha256, None),
                *recordings.neighbours(connection, row, queue),
                *history.can_undo_and_redo(connection, row.id, annotator),
            )

    # --- marks ---

    def annotations_of(self, project: int, sha256: str, annotator: str | None = None) -> tuple[Annotation, ...]:
        """Return the marks in a recording, of one annotator or of all, in order of time."""
        with self._database.reading() as connection:
            return _annotations(connection, project, sha256, annotator and _name(annotator))

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
            Who does it. New marks that name no annotator of their own become theirs.
        change, delete : sequence of Annotation
            Marks of the store, with the key and revision that they were read with; they stay their annotator's. A
            verified one that gets another place, emotion or intensity, and no other status, is done again.
        provenance : mapping, optional
            What suggested the new marks; replaces that of the recording.

        Returns
        -------
        step : Step
            `step.marks` are the changed and the new marks, in this order, as they are now.

        Raises
        ------
        AnnotationsOutdated
            If somebody has changed or deleted one of the marks since it was read.
        AnnotationsRefused
            If a mark cannot be, or the recording or the mark is not there, or a mark that is to be deleted is somebody
            else's and so is the project.
        """
        annotator = _name(annotator)
        changed, new = ([checked(mark, annotator) for mark in marks] for marks in (change, add))
        self._add_annotators({annotator, *(mark.annotator for mark in new)})
        with self._database.writing() as connection:
            (recording_id, duration_s), at = recordings.lock(connection, project, sha256, provenance), datetime.now(UTC)
            changed, new = ([fitted(mark, duration_s) for mark in marks] for marks in (changed, new))
            standing = standing_marks(connection, recording_id, [mark.key for mark in (*delete, *changed)])
            gone = [_current(standing, mark) for mark in delete]
            _require_own(connection, project, annotator, gone)
            changes = [
                *(change_to(there, None, at) for there in gone),
                *(_change_of(_current(standing, mark), mark, at) for mark in changed),
                *(change_to(None, mark, at) for mark in new),
            ]
            beneath = history.top_of_stack(recording_id, annotator)
            return _take(connection, recording_id, annotator, standing, changes, at, "edit", beneath_id=beneath)

    def undo(self, project: int, sha256: str, annotator: str) -> Step | None:
        """Undo the annotator's last edit in a recording that is not undone; return None where there is none.

        Raises
        ------
        AnnotationsOutdated
            If somebody else has changed one of its marks since; then nothing is undone.
        """
        return self._turn(project, sha256, annotator, "undo", history.top_of_stack, history.reversed_changes)

    def redo(self, project: int, sha256: str, annotator: str) -> Step | None:
        """Redo what the annotator undid last in a recording; None where an edit followed, or nothing was undone.

        Raises
        ------
        AnnotationsOutdated
            If somebody else has changed one of its marks since; then nothing is redone.
        """
        return self._turn(project, sha256, annotator, "redo", history.next_to_redo, history.repeated_changes)

    def deleted_marks(self, project: int, sha256: str) -> list[Standing]:
        """Return the marks of a recording that were deleted in the last 30 days, the newest first, and by whom."""
        asked = (*recordings.of_file(project, sha256), tables.DELETED_MARK)
        listed = select(tables.marks).join(tables.recordings).where(*asked).order_by(tables.marks.c.changed_at.desc())
        with self._database.reading() as connection:
            rows = connection.execute(listed).all()
        return [Standing(annotation_of(row._mapping), True, row.changed_by) for row in rows]

    def restore_mark(self, project: int, sha256: str, annotator: str, key: str) -> Step:
        """Put back a mark that was deleted, as a step that can be undone.

        Raises
        ------
        AnnotationsRefused
            If it was not deleted, or it is somebody else's, was deleted by another and the project is not theirs.
        """
        annotator = _name(annotator)
        self._add_annotators({annotator})
        with self._database.writing() as connection:
            (recording_id, _), at = recordings.lock(connection, project, sha256), datetime.now(UTC)
            standing = standing_marks(connection, recording_id, [key])
            there = standing.get(key)
            if there is None or not there.deleted:
                raise AnnotationsRefused("This mark is not in the trash any more; load the recording again.")
            if there.changed_by != annotator:
                _require_own(connection, project, annotator, [there], "restored")
            changes = [change_to(there, there.annotation, at)]
            beneath = history.top_of_stack(recording_id, annotator)
            return _take(connection, recording_id, annotator, standing, changes, at, "edit", beneath_id=beneath)

    def history(self, project: int, sha256: str, page: int = 0, size: int = PAGE_SIZE) -> Page[Step]:
        """Return a page of all that was done to the marks of a recording, the newest first."""
        of_recording = recordings.of_file(project, sha256)
        listed = select(tables.steps).join(tables.recordings).where(*of_recording).order_by(tables.steps.c.id.desc())
        with self._database.reading() as connection:
            rows, total = _page(connection, listed, page, size)
        return Page(tuple(history.step_of(row) for row in rows), total)

    # --- other tools ---

    def import_recordings(
        self,
        project: int,
        documents: Collection[AnnotatedRecording],
        annotator: str,
        work: Work = UNWATCHED,
    ) -> Imported:
        """Add annotated recordings to a project, all or nothing; marks that stand there already are not doubled.

        Parameters
        ----------
        documents : collection of AnnotatedRecording
            Those without a SHA-256 belong to the recording of their name.
        annotator : str
            Who imports, and so can undo it in each recording; marks that name no annotator become theirs.

        Raises
        ------
        AnnotationsRefused
            If a mark cannot be, or it is not clear to which recording it belongs.
        Cancelled
        """
        annotator = _name(annotator)
        documents = [
            replace(document, annotations=tuple(checked(mark, annotator) for mark in document.annotations))
            for document in documents
        ]
        self._add_annotators({annotator, *(mark.annotator for document in documents for mark in document.annotations)})
        at = datetime.now(UTC)
        with self._database.writing() as connection:
            _require_project(connection, project)
            return transfer.import_documents(connection, project, documents, annotator, at, work)

    def export(self, project: int, annotator: str | None = None) -> Iterator[AnnotatedRecording]:
        """Yield the recordings of a project with the marks of one annotator or of all; few are held at a time."""
        last_id, annotator = 0, annotator and _name(annotator)
        while True:
            with self._database.reading() as connection:
                documents, last_id = transfer.documents_after(connection, project, last_id, annotator)
            if not documents:
                return
            yield from documents

    def _turn(
        self, project: int, sha256: str, annotator: str, kind: str, find: Callable[..., Any], turned: Callable[..., Any]
    ) -> Step | None:
        annotator = _name(annotator)
        with self._database.writing() as connection:
            (recording_id, _), at = recordings.lock(connection, project, sha256), datetime.now(UTC)
            edit = history.edit_at(connection, find(recording_id, annotator))
            if edit is None:
                return None
            standing = standing_marks(connection, recording_id, edit.keys)
            changes = turned(edit, standing, at)
            top = edit.beneath_id if kind == "undo" else edit.id
            return _take(connection, recording_id, annotator, standing, changes, at, kind, top_id=top)

    def _add_annotators(self, names: set[str]) -> None:
        """Add those who are new, at once: within a long import they would keep others of their name waiting."""
        new = sorted(names - self._known_annotators)
        if new:
            with self._database.writing() as connection:
                statement = insert_into(connection, tables.annotators).on_conflict_do_nothing()
                connection.execute(statement, [{"name": name} for name in new])
            self._known_annotators.update(new)


def _name(annotator: str) -> str:
    return kept_name(annotator, "name of the annotator")


def _person(name: str) -> str:
    """Return a name as it stands at marks, or "" for nobody's."""
    return _name(name) if name.strip() else ""


def _require_own(
    connection: Connection, project: int, annotator: str, marks: Sequence[Standing], deed: str = "deleted"
) -> None:
    """Refuse to do something to others' marks, unless in one's own project."""
    others = {there.annotation.annotator for there in marks} - {annotator}
    if others and trash.owner_of(connection, project) != annotator:
        raise AnnotationsRefused(
            f"Marks of {' and '.join(sorted(others))} can be {deed} by them or by the project's owner, not by "
            f"{annotator}. Nothing was {deed}."
        )


def _annotations(connection: Connection, project: int, sha256: str, annotator: str | None) -> tuple[Annotation, ...]:
    asked = (*recordings.of_file(project, sha256), ~tables.marks.c.deleted)
    if annotator is not None:
        asked = (*asked, tables.marks.c.annotator == annotator)
    statement = select(tables.marks).join(tables.recordings).where(*asked).order_by(*IN_ORDER_OF_TIME)
    return tuple(annotation_of(row._mapping) for row in connection.execute(statement))


def _current(standing: Mapping[str, Standing], mark: Annotation) -> Standing:
    """Return the mark that a change was made to, if it is still the same."""
    there = standing.get(mark.key)
    if there is None:
        raise AnnotationsRefused("This mark is not in this recording; load the recording anew.")
    if there.deleted or there.annotation.revision != mark.revision:
        raise AnnotationsOutdated(
            f"{history.who_and_when(there)}, after you had opened it. Nothing was overwritten: load the recording anew "
            "and make your change again if it is still wanted."
        )
    return there


def _change_of(there: Standing, mark: Annotation, at: datetime) -> Change:
    """Return the change of a mark by whomever; it stays its annotator's, and verified only as it was verified."""
    before = there.annotation
    same = (mark.region, mark.emotion, mark.intensity) == (before.region, before.emotion, before.intensity)
    status = "done" if before.status == mark.status == "verified" and not same else mark.status
    return change_to(there, replace(mark, annotator=before.annotator, status=status), at)


def _take(
    connection: Connection,
    recording_id: int,
    annotator: str,
    standing: Mapping[str, Standing],
    changes: Sequence[Change],
    at: datetime,
    kind: str,
    **stack: Any,
) -> Step:
    """Write changes and their step."""
    if not changes or len({change.key for change in changes}) < len(changes):
        raise AnnotationsRefused("A step has to change at least one mark, and none of them twice.")
    refuse_second_label(standing, changes)
    write_marks(connection, [mark_row(recording_id, change, annotator, at) for change in changes])
    row = history.step_row(recording_id, annotator, changes, at, kind, **stack)
    return history.add_step(connection, row, changes)


def _page(connection: Connection, listed: Select, page: int, size: int) -> tuple[Sequence[Any], int]:
    total = connection.execute(select(func.count()).select_from(listed.order_by(None).subquery())).scalar_one()
    return connection.execute(listed.limit(size).offset(page * size)).all(), total


def _require_project(connection: Connection, project: int) -> None:
    """Refuse a project that was deleted, and keep it from being deleted until the transaction ends."""
    found = select(tables.projects.c.id).where(tables.projects.c.id == project)
    if connection.execute(found.with_for_update(read=True, key_share=True)).scalar_one_or_none() is None:
        raise AnnotationsRefused("This project is not there any more; choose another one, or create it anew.")
