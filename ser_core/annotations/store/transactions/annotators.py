"""The people who have marked or changed anything, whom marks and steps name."""

from ser_core.annotations.store import tables
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.marks import insert_into


class Annotators:
    """Adds people who are new in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[str] = set()

    def add(self, names: set[str]) -> None:
        """Add new annotators in a transaction of their own: in a long import, others of the same name would wait."""
        new = sorted(names - self._known)
        if new:
            with self._database.writing() as connection:
                statement = insert_into(connection, tables.annotators).on_conflict_do_nothing()
                connection.execute(statement, [{"name": name} for name in new])
            self._known.update(new)
