"""Projects: make one, and list them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from ser_core.annotations.store import people, tables, tiers
from ser_core.annotations.store.database import PAGE_SIZE, Database, Page, first_page
from ser_core.annotations.store.marks import insert_into
from ser_core.annotations.store.tables import valid_name
from ser_core.errors import AnnotationsRefused


@dataclass(frozen=True)
class Project:
    """A set of recordings that people mark together."""

    id: int
    name: str
    created_at: datetime
    owner: str | None
    recordings: int


class Projects:
    """All projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, owner: str = "") -> int:
        """Create a project and return its id, or refuse a name that is taken.

        Parameters
        ----------
        owner : str
            Who may delete it and everything in it. If nobody is named, whoever marks in it first.
        """
        name = valid_name(name, "name of the project")
        row = {"name": name, "created_at": datetime.now(UTC), "owner": people.valid_name_or_empty(owner) or None}
        with self._database.writing() as connection:
            statement = insert_into(connection, tables.projects).values(row)
            statement = statement.on_conflict_do_nothing().returning(tables.projects.c.id)
            created = connection.execute(statement).scalar_one_or_none()
            if created is None:
                raise AnnotationsRefused(f"There is already a project '{name}'; choose another name.")
            tiers.add_emotion_tier(connection, created)
        return created

    def page(self, size: int = PAGE_SIZE) -> Page[Project]:
        """Return the first projects, ordered by name."""
        of_project = tables.recordings.c.project_id == tables.projects.c.id
        count = select(func.count()).where(of_project).scalar_subquery().label("recordings")
        columns = (tables.projects.c[name] for name in ("id", "name", "created_at", "owner"))
        not_deleted = tables.projects.c.deleted_at.is_(None)
        listed = select(*columns, count).where(not_deleted).order_by(tables.projects.c.name)
        with self._database.reading() as connection:
            rows, total = first_page(connection, listed, size)
        return Page(tuple(Project(**row._mapping) for row in rows), total)


def require_project(connection: Connection, project: int) -> None:
    """Refuse a project that was deleted, and lock it against deletion until the transaction ends."""
    found = select(tables.projects.c.id).where(tables.projects.c.id == project)
    if connection.execute(found.with_for_update(read=True, key_share=True)).scalar_one_or_none() is None:
        raise AnnotationsRefused("This project is no longer there; choose another one, or create it again.")
