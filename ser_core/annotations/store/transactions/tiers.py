"""The tiers of projects: their names, contents, appearance and participants, and their deletion."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select

from ser_core.annotations.annotation import Tier
from ser_core.annotations.store import people, tiers
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.people.ownership import require_own
from ser_core.annotations.store.transactions.people import Annotators
from ser_core.annotations.store.transactions.projects import require_project


class Tiers:
    """The tiers of projects, which group their marks."""

    def __init__(self, database: Database, annotators: Annotators) -> None:
        self._database = database
        self._annotators = annotators

    def of(self, project: int) -> tuple[Tier, ...]:
        """Return the tiers of a project in order."""
        with self._database.reading() as connection:
            return tiers.of_project(connection, project)

    def deleted(self, project: int) -> tuple[Tier, ...]:
        """Return the tiers of a project that were deleted."""
        with self._database.reading() as connection:
            return tiers.deleted(connection, project)

    def add(self, project: int, tier: Tier) -> Tier:
        """Add a tier below the others, and return it with the key by which marks name it.

        Raises
        ------
        AnnotationsRefused
            If its parent cannot be one, or the project has too many tiers.
        """
        with self._database.writing() as connection:
            require_project(connection, project)
            return tiers.add(connection, project, tier)

    def change(self, project: int, tier: Tier, person: str, seen: Tier | None = None) -> None:
        """Give a tier, found by its key, another name, content, labels, parent, colour or visibility.

        Parameters
        ----------
        person : str
            Who does it.
        seen : Tier, optional
            As it was shown.

        Raises
        ------
        AnnotationsOutdated
            If somebody has changed it since it was shown.
        AnnotationsRefused
            If it is not there, the parent cannot be one, or its content, labels or mapping would change while it holds
            marks of others and the person is no reviewer.
        """
        person = people.valid_annotator(person)
        with self._database.writing() as connection:
            before, after = tiers.change(connection, project, tier, seen)
            if any(getattr(before, name) != getattr(after, name) for name in tiers.MEANING):
                others = tiers.count_marks(connection, project, tier.key).keys() - {person}
                is_reviewer = select(people.is_reviewer(project, person))
                may_change = not others or bool(connection.execute(is_reviewer).scalar_one())
                action = "change the content and labels of a tier with others' marks"
                people.require_reviewer(may_change, person, action)

    def set_participant(self, project: int, sha256: str, key: str, participant: str, seen: str) -> None:
        """Set who speaks in the marks of a tier in one recording; "" for nobody.

        Parameters
        ----------
        seen : str
            The participant that was shown.

        Raises
        ------
        AnnotationsOutdated
            If somebody has named another one since then.
        AnnotationsRefused
            If the recording or the tier is not there, or the name cannot be stored.
        """
        with self._database.writing() as connection:
            tiers.set_participant(connection, project, sha256, key, participant, seen)

    def order(self, project: int, keys: Sequence[str]) -> None:
        """Put the tiers of a project in another order."""
        with self._database.writing() as connection:
            tiers.order(connection, project, keys)

    def count_marks(self, project: int, key: str) -> dict[str, int]:
        """Return how many marks each annotator has in a tier."""
        with self._database.reading() as connection:
            return tiers.count_marks(connection, project, key)

    def delete(self, project: int, key: str, person: str) -> None:
        """Delete a tier with its marks; for 30 days `restore` can bring both back.

        Raises
        ------
        AnnotationsRefused
            If it is that of emotions or not there, or it holds others' marks and the project belongs to others.
        """
        person = people.valid_annotator(person)
        self._annotators.add({person})
        with self._database.writing() as connection:
            others = set(tiers.count_marks(connection, project, key)) - {person}
            require_own(connection, project, person, others)
            tiers.delete(connection, project, key, person, datetime.now(UTC))

    def restore(self, project: int, key: str, person: str) -> None:
        """Restore a deleted tier with the marks that were deleted with it.

        Raises
        ------
        AnnotationsRefused
            If it is not deleted.
        """
        person = people.valid_annotator(person)
        self._annotators.add({person})
        with self._database.writing() as connection:
            tiers.restore(connection, project, key, person, datetime.now(UTC))
