"""The store of annotations: every method is one transaction, and what it did is saved once it returns.

Nobody overwrites what somebody else wrote in the meantime: a change names the revision of the mark that it was made to,
and is refused if that is not the newest. What a person does in one go, such as splitting a mark, is one step of the
history.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Select, func, select

from ser_core.annotations.annotation import GOLD, AnnotatedRecording, Annotation, Assignment, Tier, valid_mark
from ser_core.annotations.assignment import AssignmentPlan
from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.f0.corrections import CorrectedF0, Correction
from ser_core.annotations.formats.gate import f0_of
from ser_core.annotations.store import finding, history, labelling, people, recordings, tables, tiers, transfer, trash
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.finding import Hit, MarkQuery
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.labelling import LabelledRecording, Relabelled
from ser_core.annotations.store.marks import (
    Standing,
    change_of,
    change_to,
    deleted_marks_of,
    insert_into,
    mark_row,
    marks_of,
    opinions_of,
    standing_marks,
    storable,
    write_marks,
)
from ser_core.annotations.store.people import Person
from ser_core.annotations.store.recordings import Queue, QueuedRecording, RecordingFile, Speaker
from ser_core.annotations.store.tables import valid_name
from ser_core.annotations.store.transfer import Imported
from ser_core.annotations.store.trash import Deleted, Holding
from ser_core.errors import AnnotationsRefused
from ser_core.work.progress import UNWATCHED, Work

PAGE_SIZE = 50
#: As a page size: everything on one page.
EVERY = 2**31
ANYTHING = Queue()

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page of a list, and the number of items in the whole list."""

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
    """Everything that a page needs about one recording.

    Attributes
    ----------
    annotations : tuple of Annotation
        Of all annotators and tiers, in order of time.
    tiers : tuple of Tier
        Those of the project, in order, with their participants here.
    assignments : tuple of Assignment
        Whose work it is, in order of names.
    previous, next : str or None
        SHA-256 of its neighbours in the queue.
    can_undo, can_redo : bool
        For the annotator who opened it.
    f0 : CorrectedF0
        Corrected by anybody.
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


def open_store(url: str) -> "Store":
    """Open the database at a URL, create or upgrade its tables, and return its store.

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

    Every method raises `AnnotationsRefused` if the database fails; then nothing was saved.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known_annotators: set[str] = set()
        #: Of the project that was asked for last, and what is to be the same for them to hold.
        self._labelled: tuple[tuple[Any, ...], tuple[LabelledRecording, ...]] = ((), ())

    @property
    def place(self) -> str:
        """Where the database is, without user and password."""
        return self._database.place

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # --- projects ---

    def create_project(self, name: str, owner: str = "") -> int:
        """Create a project and return its id, or refuse a name that is taken.

        Parameters
        ----------
        owner : str
            Who may delete it and everything in it. If nobody is named, whoever marks in it first.
        """
        name = valid_name(name, "name of the project")
        row = {"name": name, "created_at": datetime.now(UTC), "owner": _person(owner) or None}
        with self._database.writing() as connection:
            statement = insert_into(connection, tables.projects).values(row)
            statement = statement.on_conflict_do_nothing().returning(tables.projects.c.id)
            created = connection.execute(statement).scalar_one_or_none()
            if created is None:
                raise AnnotationsRefused(f"There is already a project '{name}'; choose another name.")
            tiers.add_first(connection, created)
        return created

    def projects(self, size: int = PAGE_SIZE) -> Page[Project]:
        """Return the first projects, ordered by name."""
        of_project = tables.recordings.c.project_id == tables.projects.c.id
        count = select(func.count()).where(of_project).scalar_subquery().label("recordings")
        columns = (tables.projects.c[name] for name in ("id", "name", "created_at", "owner"))
        there = tables.projects.c.deleted_at.is_(None)
        listed = select(*columns, count).where(there).order_by(tables.projects.c.name)
        with self._database.reading() as connection:
            rows, total = _first(connection, listed, size)
        return Page(tuple(Project(**row._mapping) for row in rows), total)

    # --- tiers ---

    def tiers(self, project: int) -> tuple[Tier, ...]:
        """Return the tiers of a project in order."""
        with self._database.reading() as connection:
            return tiers.of_project(connection, project)

    def deleted_tiers(self, project: int) -> tuple[Tier, ...]:
        """Return the tiers of a project that were deleted."""
        with self._database.reading() as connection:
            return tiers.deleted(connection, project)

    def add_tier(self, project: int, tier: Tier) -> Tier:
        """Add a tier below the others, and return it with the key that marks have to name.

        Raises
        ------
        AnnotationsRefused
            If its parent cannot be one, or the project has too many tiers.
        """
        with self._database.writing() as connection:
            _require_project(connection, project)
            return tiers.add(connection, project, tier)

    def change_tier(self, project: int, tier: Tier, seen: Tier | None = None) -> None:
        """Give a tier, found by its key, another name, labels, parent, colour or visibility.

        Parameters
        ----------
        seen : Tier, optional
            As it was shown.

        Raises
        ------
        AnnotationsOutdated
            If somebody has changed it since it was shown.
        AnnotationsRefused
            If it is not there, or the parent cannot be one.
        """
        with self._database.writing() as connection:
            tiers.change(connection, project, tier, seen)

    def set_participant(self, project: int, sha256: str, key: str, participant: str, seen: str) -> None:
        """Say who speaks in the marks of a tier in one recording; "" for nobody.

        Parameters
        ----------
        seen : str
            Who was shown.

        Raises
        ------
        AnnotationsOutdated
            If somebody has named another one since then.
        AnnotationsRefused
            If the recording or the tier is not there, or the name cannot be stored.
        """
        with self._database.writing() as connection:
            tiers.set_participant(connection, project, sha256, key, participant, seen)

    def order_tiers(self, project: int, keys: Sequence[str]) -> None:
        """Put the tiers of a project in another order."""
        with self._database.writing() as connection:
            tiers.order(connection, project, keys)

    def find(self, project: int, query: MarkQuery) -> tuple[Hit, ...]:
        """Return the first marks that a query over tiers finds, by recording and time, at most `MOST_HITS`."""
        with self._database.reading() as connection:
            return tuple(islice(finding.hits(connection, project, query), finding.MOST_HITS))

    def count_marks_in_tier(self, project: int, key: str) -> dict[str, int]:
        """Return how many marks each annotator has in a tier."""
        with self._database.reading() as connection:
            return tiers.count_marks(connection, project, key)

    def delete_tier(self, project: int, key: str, person: str) -> None:
        """Delete a tier with its marks; for 30 days `restore_tier` brings both back.

        Raises
        ------
        AnnotationsRefused
            If it is that of emotions or not there, or somebody else's marks are in it and the project is theirs.
        """
        person = _name(person)
        self._add_annotators({person})
        with self._database.writing() as connection:
            others = set(tiers.count_marks(connection, project, key)) - {person}
            trash.require_own(connection, project, person, others)
            tiers.delete(connection, project, key, person, datetime.now(UTC))

    def restore_tier(self, project: int, key: str, person: str) -> None:
        """Bring back a deleted tier with the marks that went with it.

        Raises
        ------
        AnnotationsRefused
            If it is not deleted.
        """
        person = _name(person)
        self._add_annotators({person})
        with self._database.writing() as connection:
            tiers.restore(connection, project, key, person, datetime.now(UTC))

    # --- people ---

    def people(self, project: int) -> tuple[Person, ...]:
        """Return the owner, the members, and everybody else who has recordings to annotate, by name."""
        with self._database.reading() as connection:
            return people.of_project(connection, project)

    def may_review(self, project: int, person: str) -> bool:
        """Whether somebody may judge others' marks and decide what is right."""
        with self._database.reading() as connection:
            return bool(connection.execute(select(people.reviews(project, _name(person)))).scalar_one())

    def set_roles(self, project: int, person: str, roles: Mapping[str, str | None]) -> None:
        """Give people roles, all or none.

        Parameters
        ----------
        person : str
            Who does it: the project's owner.
        roles : mapping of str to {"owner", "annotator", "reviewer"} or None
            By person. None takes the role away. The owner before becomes a reviewer.

        Raises
        ------
        AnnotationsRefused
            If somebody else owns the project, or it would lose its owner.
        """
        person = people.acting(person)
        # A new owner gets theirs last, as only the owner before can give the others.
        given = sorted(
            ((people.acting(name), role) for name, role in roles.items()), key=lambda one: one[1] == people.OWNER
        )
        with self._database.writing() as connection:
            for name, role in given:
                people.set_role(connection, project, person, name, role)

    def assign(
        self, project: int, person: str, annotators: Iterable[str], plan: AssignmentPlan
    ) -> dict[str, tuple[str, ...]]:
        """Draw annotators for the recordings that are assigned to nobody yet, and return them by SHA-256.

        Raises
        ------
        AnnotationsRefused
            If somebody else owns the project, or there are too few annotators.
        """
        person, names = people.acting(person), {people.acting(name) for name in annotators}
        with self._database.writing() as connection:
            return people.assign(connection, project, person, names, plan)

    def unassign(self, project: int, person: str, annotator: str) -> int:
        """Take away what an annotator has not finished, and return how many recordings that were; marks stay.

        Raises
        ------
        AnnotationsRefused
            If somebody else owns the project.
        """
        with self._database.writing() as connection:
            return people.unassign(connection, project, people.acting(person), _name(annotator))

    def send_back(self, project: int, sha256: str, person: str, annotator: str, reason: str) -> Step | None:
        """Send a recording back to an annotator, whose marks of emotions in it become open.

        Returns
        -------
        step : Step or None
            What happened to the marks; None if all were open.

        Raises
        ------
        AnnotationsRefused
            If the person does not review, no reason is given, or the annotator has no part in the recording.
        """
        person, annotator, reason = people.acting(person), people.acting(annotator), people.valid_reason(reason)
        self._add_annotators({person})
        with self._database.writing() as connection:
            recording_id, _, may_review = recordings.lock(connection, project, sha256, person)
            people.require_reviewer(may_review, person, "send recordings back")
            at = datetime.now(UTC)
            theirs = marks_of(connection, recordings.of_file(project, sha256), annotator)
            if not theirs:
                raise AnnotationsRefused(f"{annotator} has no marks in this recording; there is nothing to send back.")
            people.send_back(connection, recording_id, annotator, reason, person, at)
            return _change_status(connection, recording_id, person, theirs, "open", at)

    def withdraw(self, project: int, sha256: str, person: str, annotator: str) -> None:
        """Forget that a recording was sent back to an annotator; their marks stay as they are.

        Raises
        ------
        AnnotationsRefused
            If the person does not review.
        """
        with self._database.writing() as connection:
            recording_id, _, may_review = recordings.lock(connection, project, sha256, people.acting(person))
            people.require_reviewer(may_review, person, "take back what was sent back")
            people.withdraw(connection, recording_id, _name(annotator))

    # --- recordings ---

    def add_recordings(self, project: int, files: Iterable[RecordingFile], added_by: str = "") -> None:
        """Add recordings to a project; one that is there takes the new name, path and, if given, speaker."""
        with self._database.writing() as connection:
            _require_project(connection, project)
            recordings.add_files(connection, project, files, datetime.now(UTC), _person(added_by) or None)

    # --- deletion ---

    def holdings_of(self, sha256: str) -> list[Holding]:
        """Return the projects that a recording is in, whose marks it has there, and who may delete it."""
        with self._database.reading() as connection:
            return trash.holdings_of(connection, sha256)

    def holding_of_project(self, project: int) -> Holding:
        """Return whose marks a project has, and who may delete it."""
        with self._database.reading() as connection:
            return trash.holding_of_project(connection, project)

    def delete_recording(self, sha256: str, person: str, *, for_good: bool = False) -> int:
        """Move a recording, with its marks and history, out of every project in which the person may do so.

        Parameters
        ----------
        person : str
            Who deletes it; "" for somebody without a name.
        for_good : bool
            Past the trash, from which it could be restored for 30 days. `finish_deletions` must follow.

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
            ids = trash.trash_recording(connection, sha256, _person(person), at)
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
            deleted = trash.trash_project(connection, project, _person(person), at)
            if for_good:
                trash.delete_for_good(connection, [deleted], at)

    def delete_unused_project(self, project: int) -> None:
        """Delete a project without recordings, and leave any other."""
        with self._database.writing() as connection:
            trash.delete_unused_project(connection, project)

    def trash(self) -> list[Deleted]:
        """Return what was deleted in the last 30 days and can be restored, the newest first."""
        with self._database.reading() as connection:
            return trash.listed(connection)

    def restore(self, deleted: int, person: str) -> str:
        """Restore an item of the trash, by its id; return the name of the project that it is in.

        Raises
        ------
        AnnotationsRefused
            If it is not in the trash, the person has no part in it, or it was added and marked again meanwhile.
        """
        with self._database.writing() as connection:
            return trash.restore(connection, deleted, _person(person))

    def delete_for_good(self, deleted: int, person: str) -> None:
        """Delete an item of the trash before its time; `finish_deletions` must follow.

        Raises
        ------
        AnnotationsRefused
            If it is not in the trash, or contains others' marks and comes from somebody else's project.
        """
        with self._database.writing() as connection:
            found, _ = trash.locked(connection, deleted)
            if not found.may_delete(_person(person)):
                raise AnnotationsRefused(
                    f"Only {found.owner or found.deleted_by or 'whoever made it'} can delete this for good now; "
                    f"it is deleted by itself on {found.goes_at:%Y-%m-%d}."
                )
            trash.delete_for_good(connection, [deleted], datetime.now(UTC))

    def empty_trash(self, now: datetime) -> None:
        """Delete for good what was deleted 30 days ago, single marks too; called by `finish_deletions`."""
        with self._database.writing() as connection:
            trash.delete_for_good(connection, trash.due(connection, now), now)
            trash.delete_marks_for_good(connection, now)

    def note_sounds(self, sha256: Collection[str], due_at: datetime) -> None:
        """Note sounds without a known recording, to be deleted at that time unless one is known by then."""
        with self._database.writing() as connection:
            known = select(tables.recordings.c.sha256).where(tables.recordings.c.sha256.in_(sha256))
            trash.note_unfinished(connection, set(sha256) - set(connection.execute(known).scalars()), due_at)

    def delete_sounds(self, now: datetime, delete_sound: Callable[[str], None]) -> set[str]:
        """Call a function for each sound that is due and that no recording needs; return what `finished` takes.

        Nobody can add such a recording in the meantime.
        """
        with self._database.writing() as connection:
            due = trash.unfinished(connection, now)
            for sha256, held in due.items():
                if not held and sha256 != trash.THE_FILE:
                    delete_sound(sha256)
        return set(due)

    def finished(self, sha256: Collection[str]) -> None:
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

    def recordings(
        self, project: int, queue: Queue = ANYTHING, page: int = 0, size: int = PAGE_SIZE
    ) -> Page[QueuedRecording]:
        """Return a page of a queue."""
        with self._database.reading() as connection:
            items, total = recordings.page_of_queue(connection, project, queue, page, size)
        return Page(tuple(items), total)

    def files(self, project: int) -> tuple[RecordingFile, ...]:
        """Return the files of a project, in order of addition."""
        with self._database.reading() as connection:
            return recordings.files_of(connection, project)

    def speakers(self) -> list[Speaker]:
        """Return the speakers whose names are known, of all projects, ordered by project and name."""
        with self._database.reading() as connection:
            return recordings.all_speakers(connection)

    def recordings_of_speaker(self, project: int, speaker: str) -> list[RecordingFile]:
        """Return the recordings of a speaker in a project, ordered by name."""
        with self._database.reading() as connection:
            return recordings.of_speaker(connection, project, speaker)

    def count_by_status(self, project: int, annotator: str | None = None, task: str | None = None) -> dict[str, int]:
        """Return how many recordings are open, done and verified, for one annotator or by the most advanced label.

        `task`: only recordings of this task of a `Queue`.
        """
        with self._database.reading() as connection:
            return recordings.count_by_status(connection, project, annotator and _name(annotator), task)

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
            edits = history.top_of_stack(row.id, annotator), history.next_to_redo(row.id, annotator)
            *around, corrected = connection.execute(
                select(*recordings.neighbours(row, queue), *edits, f0.of_recording(row.id))
            ).one()
            return OpenRecording(
                recordings.queued(row),
                row.provenance,
                marks_of(connection, recordings.of_file(project, sha256)),
                tiers.with_participants(tiers.of_project(connection, project), row.participants),
                people.assignments_of(connection, [row.id])[row.id],
                *around[:2],
                *(edit is not None for edit in around[2:]),
                f0_of(corrected),
            )

    # --- marks ---

    def annotations_of(self, project: int, sha256: str, annotator: str | None = None) -> tuple[Annotation, ...]:
        """Return the marks in a recording, of one annotator or of all, in order of time."""
        with self._database.reading() as connection:
            return marks_of(connection, recordings.of_file(project, sha256), annotator and _name(annotator))

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
            Marks of the store, with the key and revision they were read with; they stay their annotator's. A verified
            mark that gets another place, emotion or intensity, but no other status, becomes done again.
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
            If a mark is not valid, the recording or a mark is not there, a mark to delete is somebody else's and so
            is the project, or a mark is somebody else's opinion or a decision, before or afterwards, and the annotator
            does not review.
        """
        annotator = people.acting(annotator)
        changed, new = ([storable(mark, annotator) for mark in marks] for marks in (change, add))
        self._add_annotators({annotator, *(mark.annotator for mark in new)})
        with self._database.writing() as connection:
            recording_id, duration_s, may_review = recordings.lock(connection, project, sha256, annotator, provenance)
            at = datetime.now(UTC)
            changed, new = ([valid_mark(mark, duration_s) for mark in marks] for marks in (changed, new))
            tiers.require(connection, project, (*changed, *new))
            standing = standing_marks(connection, recording_id, [mark.key for mark in (*delete, *changed)])
            gone = [history.current(standing, mark) for mark in delete]
            before = [history.current(standing, mark) for mark in changed]
            trash.require_own_marks(connection, project, annotator, opinions_of(gone))
            changes = [
                *(change_to(there, None, at) for there in gone),
                *(change_of(there, mark, at) for there, mark in zip(before, changed, strict=True)),
                *(change_to(None, mark, at) for mark in new),
            ]
            people.require_judge(may_review, annotator, changes)
            beneath = history.top_of_stack(recording_id, annotator)
            return history.take_step(
                connection, recording_id, annotator, standing, changes, at, "edit", beneath_id=beneath
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
        annotator = people.acting(annotator)
        self._add_annotators({annotator})
        with self._database.writing() as connection:
            recording_id, duration_s, _ = recordings.lock(connection, project, sha256, annotator)
            at = datetime.now(UTC)
            standing = f0.standing(connection, recording_id)
            change = f0.change_of(standing, wanted_hz, seen, duration_s, annotator, at)
            f0.write(connection, recording_id, standing, change)
            beneath = history.top_of_stack(recording_id, annotator)
            return history.take_step(
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
            Recordings, at most `MOST_AMONG`; those that are not in the project are ignored.
        annotator : str or None
            Whose marks; None for everybody's. The gold layer stays as it is.
        tier : str, optional
            Key of a tier whose marks take the place of those of emotions.

        Returns
        -------
        marks : int
            How many changed.

        Raises
        ------
        AnnotationsRefused
            If marks of others are among them and the person does not review.
        """
        person, queue = people.acting(person), Queue(among=frozenset(sha256), status=status)
        self._add_annotators({person})
        with self._database.writing() as connection:
            may_review = bool(connection.execute(select(people.reviews(project, person))).scalar_one())
            found = recordings.lock_marks(connection, project, queue, annotator and _name(annotator), tier)
            at = datetime.now(UTC)
            changes = {
                of: [change_to(Standing(mark, False, person), replace(mark, status=status), at) for mark in some]
                for of, some in found.items()
            }
            people.require_judge(may_review, person, (each for some in changes.values() for each in some))
            write_marks(connection, [mark_row(of, each, person, at) for of, some in changes.items() for each in some])
            transfer.add_steps(connection, changes, person, at)
        return sum(map(len, changes.values()))

    def undo(self, project: int, sha256: str, annotator: str) -> Step | None:
        """Undo the annotator's last edit in a recording, and return it; None if everything is undone.

        Raises
        ------
        AnnotationsOutdated
            If somebody else has changed one of its marks since then; nothing is undone.
        """
        return self._turn(project, sha256, annotator, "undo", history.top_of_stack, history.reversed_changes)

    def redo(self, project: int, sha256: str, annotator: str) -> Step | None:
        """Redo what the annotator undid last in a recording; return None if an edit followed or nothing was undone.

        Raises
        ------
        AnnotationsOutdated
            If somebody else has changed one of its marks since then; nothing is redone.
        """
        return self._turn(project, sha256, annotator, "redo", history.next_to_redo, history.repeated_changes)

    def labelled_recordings(self, project: int, tier: str | None = None) -> tuple[LabelledRecording, ...]:
        """Return all recordings of a project with everybody's labels of them as a whole, in order of addition.

        The labels are read again only after a step in any project: a map asks for them at every click.

        Parameters
        ----------
        tier : str, optional
            Key of a tier of labels, of which recordings then say too how they are called there.
        """
        # With its time: SQLite gives the id of a step that was deleted for good to another one.
        last = select(func.max(tables.steps.c.id)).scalar_subquery()
        newest = select(tables.steps.c.id, tables.steps.c.at).where(tables.steps.c.id == last)
        with self._database.reading() as connection:
            step = connection.execute(newest).one_or_none()
            of = project, tier, step and tuple(step), recordings.files_of(connection, project)
            known, found = self._labelled
            if known != of:
                found = labelling.labelled(connection, project, of[-1], tier)
                self._labelled = of, found
        return found

    def label_recordings(
        self,
        project: int,
        seen: Mapping[str, int],
        annotator: str,
        *,
        emotion: str | None = None,
        status: str | None = None,
    ) -> Relabelled:
        """Change an annotator's labels of many recordings as a whole, all or none, each as a step of its history.

        Parameters
        ----------
        seen : mapping of str to int
            SHA-256 of the recordings, and the revision of the annotator's label that was shown; 0 without a label.
        emotion, status : str, optional
            What the labels become; what is not given stays.

        Raises
        ------
        AnnotationsOutdated
            If one of the labels was changed, made or deleted since it was shown.
        AnnotationsRefused
            If the label is not valid, or a recording is not there.
        """
        annotator, at = people.acting(annotator), datetime.now(UTC)
        self._add_annotators({annotator})
        with self._database.writing() as connection:
            return labelling.label(connection, project, seen, annotator, at, emotion, status)

    def undo_labels(self, project: int, done: Relabelled, annotator: str) -> None:
        """Undo what `label_recordings` did, in all recordings or in none, each as a step of its history.

        Raises
        ------
        AnnotationsOutdated
            If one of them was marked by the annotator since then.
        """
        annotator = people.acting(annotator)
        with self._database.writing() as connection:
            labelling.undo(connection, project, done, annotator)

    def deleted_marks(self, project: int, sha256: str) -> list[Standing]:
        """Return the marks of a recording that were deleted in the last 30 days, the newest first."""
        with self._database.reading() as connection:
            return deleted_marks_of(connection, recordings.of_file(project, sha256), tables.DELETED_MARK)

    def restore_mark(self, project: int, sha256: str, annotator: str, key: str) -> Step:
        """Restore a deleted mark, as a step that can be undone.

        Raises
        ------
        AnnotationsRefused
            If it was not deleted, or neither the mark, its deletion nor the project is this annotator's.
        """
        annotator = people.acting(annotator)
        self._add_annotators({annotator})
        with self._database.writing() as connection:
            recording_id, _, may_review = recordings.lock(connection, project, sha256, annotator)
            at = datetime.now(UTC)
            standing = standing_marks(connection, recording_id, [key])
            there = standing.get(key)
            if there is None or not there.deleted:
                raise AnnotationsRefused("This mark is no longer in the trash; load the recording again.")
            changes = [change_to(there, there.annotation, at)]
            if there.annotation.annotator == GOLD:
                people.require_judge(may_review, annotator, changes)
            elif there.changed_by != annotator:
                trash.require_own_marks(connection, project, annotator, [there], "restored")
            tiers.require(connection, project, [there.annotation])
            beneath = history.top_of_stack(recording_id, annotator)
            return history.take_step(
                connection, recording_id, annotator, standing, changes, at, "edit", beneath_id=beneath
            )

    def newest_step(self) -> int:
        """Return the id of the last step in any project, by which one sees that marks were changed; 0 without any."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(tables.steps.c.id))).scalar_one() or 0

    def history(self, project: int, sha256: str, size: int = PAGE_SIZE) -> Page[Step]:
        """Return the last steps in a recording, the newest first."""
        of_recording = recordings.of_file(project, sha256)
        listed = select(tables.steps).join(tables.recordings).where(*of_recording).order_by(tables.steps.c.id.desc())
        with self._database.reading() as connection:
            rows, total = _first(connection, listed, size)
        return Page(tuple(history.step_of(row) for row in rows), total)

    # --- import and export ---

    def import_recordings(
        self,
        project: int,
        documents: Collection[AnnotatedRecording],
        annotator: str,
        work: Work = UNWATCHED,
        mode: str = "add",
        shown: Imported | None = None,
        restore: bool = False,
    ) -> Imported:
        """Add annotated recordings to a project, all or nothing; marks that are there already are not added again.

        Parameters
        ----------
        documents : collection of AnnotatedRecording
            One without a SHA-256 belongs to the recording of its name.
        annotator : str
            Who imports, and can undo it in each recording; marks without an annotator become theirs, unless they are
            those of the only person with marks in a tier of labels or text, which files do not name (`merging.signed`).
        mode : {"add", "replace", "show"}
            What happens to marks that differ from those here (`merging` says how they are matched): "add" leaves them
            out; "replace" changes, moves and deletes marks here as the documents have them, but never what was changed
            here since the export; "show" does nothing, and counts what "replace" would do.
        shown : Imported, optional
            What a person has seen of it, as "show" returned it.
        restore : bool
            Take back marks that were deleted here since they were written to a file that knows them by their keys;
            otherwise these are left out.

        Raises
        ------
        AnnotationsRefused
            If a mark is not valid, it is not clear to which recording it belongs, a mark to delete or restore is
            somebody else's and so is the project, or a mark that would be added or changed is somebody else's opinion
            or a decision and the annotator does not review.
        AnnotationsOutdated
            If marks were changed here, so that the import would do something else than was shown.
        Cancelled
        """
        annotator = people.acting(annotator)
        documents = [
            replace(
                document,
                annotations=tuple(storable(mark, "") for mark in document.annotations),
                left_out=tuple(storable(mark, "") for mark in document.left_out),
            )
            for document in documents
        ]
        if mode != "show":
            names = {mark.annotator for document in documents for mark in document.annotations}
            self._add_annotators({annotator, *names} - {""})
        at = datetime.now(UTC)
        try:
            with self._database.writing() as connection:
                _require_project(connection, project)
                return transfer.import_documents(
                    connection, project, documents, annotator, at, work, mode, shown, restore
                )
        except transfer.OnlyShown as shown:
            return shown.imported

    def export(self, project: int, annotator: str | None = None) -> Iterator[AnnotatedRecording]:
        """Yield the recordings of a project with the marks of one annotator or of all, read in batches."""
        last_id, annotator = 0, annotator and _name(annotator)
        while True:
            with self._database.reading() as connection:
                documents, last_id = transfer.documents_after(connection, project, last_id, annotator)
            if not documents:
                return
            yield from documents

    def _turn(
        self,
        project: int,
        sha256: str,
        annotator: str,
        kind: str,
        find: Callable[..., Any],
        changed: Callable[..., Any],
    ) -> Step | None:
        annotator = people.acting(annotator)
        with self._database.writing() as connection:
            recording_id, _, may_review = recordings.lock(connection, project, sha256, annotator)
            at = datetime.now(UTC)
            edit = history.edit_at(connection, find(recording_id, annotator))
            if edit is None:
                return None
            standing = standing_marks(connection, recording_id, edit.keys) if edit.keys else {}
            changes = changed(edit, standing, at)
            people.require_judge(may_review, annotator, changes)
            tiers.require(connection, project, (change.after for change in changes if change.after is not None))
            of_f0 = edit.f0 and f0.turn(connection, recording_id, edit.f0, kind)
            top = edit.beneath_id if kind == "undo" else edit.id
            return history.take_step(
                connection, recording_id, annotator, standing, changes, at, kind, of_f0, top_id=top
            )

    def _add_annotators(self, names: set[str]) -> None:
        """Add new annotators in a transaction of their own: in a long import, others of the same name would wait."""
        new = sorted(names - self._known_annotators)
        if new:
            with self._database.writing() as connection:
                statement = insert_into(connection, tables.annotators).on_conflict_do_nothing()
                connection.execute(statement, [{"name": name} for name in new])
            self._known_annotators.update(new)


def _change_status(
    connection: Connection, recording_id: int, person: str, found: Iterable[Annotation], status: str, at: datetime
) -> Step | None:
    """Give marks of emotions another status, as one step; None if all have it."""
    other = [mark for mark in found if mark.tier in tiers.BUILT_IN and mark.status != status]
    if not other:
        return None
    standing = {mark.key: Standing(mark, False, person) for mark in found}
    changes = [change_to(standing[mark.key], replace(mark, status=status), at) for mark in other]
    beneath = history.top_of_stack(recording_id, person)
    return history.take_step(connection, recording_id, person, standing, changes, at, "edit", beneath_id=beneath)


def _name(annotator: str) -> str:
    return valid_name(annotator, "name of the annotator")


def _person(name: str) -> str:
    """Return a name in the form in which marks have it, or "" for nobody."""
    return _name(name) if name.strip() else ""


def _first(connection: Connection, listed: Select, size: int) -> tuple[Sequence[Any], int]:
    """Return the first rows of a selection, and how many it has."""
    total = connection.execute(select(func.count()).select_from(listed.order_by(None).subquery())).scalar_one()
    return connection.execute(listed.limit(size)).all(), total


def _require_project(connection: Connection, project: int) -> None:
    """Refuse a project that was deleted, and lock it against deletion until the transaction ends."""
    found = select(tables.projects.c.id).where(tables.projects.c.id == project)
    if connection.execute(found.with_for_update(read=True, key_share=True)).scalar_one_or_none() is None:
        raise AnnotationsRefused("This project is no longer there; choose another one, or create it again.")
