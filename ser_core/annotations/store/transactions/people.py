"""The annotators of the database, and the roles and assignments of people in projects."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from ser_core.annotations.annotation import Annotation
from ser_core.annotations.assignment import AssignmentPlan
from ser_core.annotations.store import history, people, recordings, tables, tiers
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.marks import StoredMark, change_to, insert_into, marks_of
from ser_core.annotations.store.people import Person
from ser_core.errors import AnnotationsRefused


class Annotators:
    """Adds annotators that the database does not have yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[str] = set()

    def add(self, names: set[str]) -> None:
        """Add new annotators in a separate transaction: during a long import, others of the same name would wait."""
        new = sorted(names - self._known)
        if new:
            with self._database.writing() as connection:
                statement = insert_into(connection, tables.annotators).on_conflict_do_nothing()
                connection.execute(statement, [{"name": name} for name in new])
            self._known.update(new)


class People:
    """The people of projects, and their assignments."""

    def __init__(self, database: Database, annotators: Annotators) -> None:
        self._database = database
        self._annotators = annotators

    def of(self, project: int) -> tuple[Person, ...]:
        """Return the owner, the members, and everybody else who has recordings to annotate, by name."""
        with self._database.reading() as connection:
            return people.of_project(connection, project)

    def may_review(self, project: int, person: str) -> bool:
        """Whether somebody may change others' marks and write the gold layer."""
        with self._database.reading() as connection:
            return bool(
                connection.execute(select(people.is_reviewer(project, people.valid_annotator(person)))).scalar_one()
            )

    def set_roles(self, project: int, person: str, roles: Mapping[str, str | None]) -> None:
        """Give people roles, all or none.

        Parameters
        ----------
        person : str
            Who does it: the project's owner.
        roles : mapping of str to {"owner", "annotator", "reviewer"} or None
            By person. None takes the role away. The previous owner becomes a reviewer.

        Raises
        ------
        AnnotationsRefused
            If somebody else owns the project, or it would lose its owner.
        """
        person = people.valid_person(person)
        # The new owner comes last, as only the previous one can give the other roles.
        ordered = sorted(
            ((people.valid_person(name), role) for name, role in roles.items()), key=lambda one: one[1] == people.OWNER
        )
        with self._database.writing() as connection:
            for name, role in ordered:
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
        person, names = people.valid_person(person), {people.valid_person(name) for name in annotators}
        with self._database.writing() as connection:
            return people.assign(connection, project, person, names, plan)

    def has_drawn_work(self, project: int, annotator: str) -> bool:
        """Return whether recordings were assigned to an annotator by `assign`, not only by sending them back."""
        with self._database.reading() as connection:
            return people.has_drawn_work(connection, project, people.valid_annotator(annotator))

    def unassign(self, project: int, person: str, annotator: str) -> int:
        """Remove an annotator's unfinished assignments, and return their number; marks stay.

        Raises
        ------
        AnnotationsRefused
            If somebody else owns the project.
        """
        with self._database.writing() as connection:
            return people.unassign(connection, project, people.valid_person(person), people.valid_annotator(annotator))

    def send_back(self, project: int, sha256: str, person: str, annotator: str, reason: str) -> Step | None:
        """Send a recording back to an annotator, whose marks of emotions in it become open.

        Returns
        -------
        step : Step or None
            The change of the marks; None if all were open.

        Raises
        ------
        AnnotationsRefused
            If the person does not review, no reason is given, or the annotator has no part in the recording.
        """
        person, annotator, reason = (
            people.valid_person(person),
            people.valid_person(annotator),
            people.valid_reason(reason),
        )
        self._annotators.add({person})
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
        """Take back that a recording was sent back to an annotator; their marks stay as they are.

        Raises
        ------
        AnnotationsRefused
            If the person does not review.
        """
        with self._database.writing() as connection:
            recording_id, _, may_review = recordings.lock(connection, project, sha256, people.valid_person(person))
            people.require_reviewer(may_review, person, "withdraw what was sent back")
            people.withdraw(connection, recording_id, people.valid_annotator(annotator))


def _change_status(
    connection: Connection, recording_id: int, person: str, found: Iterable[Annotation], status: str, at: datetime
) -> Step | None:
    """Give marks of emotions another status, as one step; None if all have it."""
    other = [mark for mark in found if mark.tier in tiers.BUILT_IN and mark.status != status]
    if not other:
        return None
    stored = {mark.key: StoredMark(mark, False, person) for mark in found}
    changes = [change_to(stored[mark.key], replace(mark, status=status), at) for mark in other]
    beneath = history.top_of_stack(recording_id, person)
    return history.record_step(connection, recording_id, person, stored, changes, at, "edit", beneath_id=beneath)
