"""The annotation database, an SQLite file or PostgreSQL: connections, migrations, transactions, refusals, pages."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, Select, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from ser_core.errors import AnnotationsRefused

PAGE_SIZE = 50
#: A page size larger than any list.
ALL_ON_ONE_PAGE = 2**31

FILE_NAME = "annotations.sqlite"
MIGRATIONS = Path(__file__).parent / "migrations"

#: How long a writer waits for another, in seconds: longer than an import of many thousand marks takes.
WRITE_TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 10
RETRY_INTERVAL_S = 0.01

TRUNCATE_WAL = "PRAGMA wal_checkpoint(TRUNCATE)"

#: An arbitrary number that no other program locks in the same PostgreSQL database.
MIGRATION_LOCK = 5_153_197_403

#: Alembic keeps the running migration in a global variable.
_one_migration_at_a_time = threading.Lock()


Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page of a list, and the number of items in the whole list."""

    items: tuple[Item, ...]
    total: int


def first_page(connection: Connection, statement: Select, size: int) -> tuple[Sequence[Any], int]:
    """Return the first rows of a query, and its number of rows."""
    total = connection.execute(select(func.count()).select_from(statement.order_by(None).subquery())).scalar_one()
    return connection.execute(statement.limit(size)).all(), total


def default_url(data: Path) -> str:
    """Return `SER_DATABASE_URL`, else the URL of an SQLite file in the data folder."""
    file = URL.create("sqlite", database=str(data / FILE_NAME))
    return os.environ.get("SER_DATABASE_URL") or file.render_as_string()


class Database:
    """Transactions in a database whose tables are up to date.

    Parameters
    ----------
    url : str
        In SQLAlchemy's form: `sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/NAME`.

    Raises
    ------
    AnnotationsRefused
        If it cannot be opened, is neither of the two, or was made by a newer version. Passwords are never quoted.
    """

    def __init__(self, url: str) -> None:
        self._url = _checked_url(url)
        self._engine = _engine(self._url)
        # SQLite must know at its start that a transaction will write: one that reads first cannot wait for others.
        self._writing = self._engine.execution_options(writes=True)
        try:
            self._migrate()
        except DBAPIError as error:
            self.close()
            raise AnnotationsRefused(
                f"The annotation database, {_location(self._url)}, cannot be opened ({_reason(error, self._url)}). "
                "Check SER_DATABASE_URL, and that the server runs or the file is a writable database; "
                "if the file is damaged, restore its backup."
            ) from None
        except BaseException:
            self.close()
            raise

    @property
    def location(self) -> str:
        """Where the database is, without user and password."""
        return _location(self._url)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._refuse_failures(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, or rolled back after an error."""
        with self._refuse_failures(), self._writing.begin() as connection:
            yield connection

    def overwrite_deleted(self) -> None:
        """Rewrite an SQLite file without the pages that still hold deleted rows; a server does so in time.

        Raises
        ------
        AnnotationsRefused
            If somebody else keeps writing, or the disk is full.
        """
        self._execute_on_sqlite("VACUUM", TRUNCATE_WAL)

    def empty_log(self) -> None:
        """Empty SQLite's write-ahead log; a server does so in time. Raises as `overwrite_deleted`."""
        self._execute_on_sqlite(TRUNCATE_WAL)

    def _execute_on_sqlite(self, *statements: str) -> None:
        if self._url.get_backend_name() != "sqlite":
            return
        try:
            with self._refuse_failures(), closing(self._engine.raw_connection()) as connection:
                for statement in statements:
                    row = connection.cursor().execute(statement).fetchone()
                    if row is not None and row[0]:  # a checkpoint that was blocked returns this, and raises nothing
                        raise sqlite3.OperationalError("somebody keeps reading it")
        except sqlite3.Error as error:
            raise AnnotationsRefused(
                "The marks are deleted, but the annotation file could not be rewritten without them "
                f"({error}). Free some space on the disk, or wait until nobody writes, and delete anything once more."
            ) from error

    @contextmanager
    def _refuse_failures(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise AnnotationsRefused(
                f"The annotation database failed ({_reason(error, self._url)}). "
                "Nothing counts as saved: load the page again, look, and try again."
            ) from error

    def _migrate(self) -> None:
        scripts = ScriptDirectory(MIGRATIONS)
        with self._engine.begin() as connection:
            is_newest = _is_newest(connection, scripts)
        if is_newest:
            _note_made(self._url)
            return
        with _one_migration_at_a_time, self._writing.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            if not _is_newest(connection, scripts):
                _refuse_emptied(connection, self._url)
                config = Config(attributes={"connection": connection})
                config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
                command.upgrade(config, "head")
        _note_made(self._url)


def _is_newest(connection: Connection, scripts: ScriptDirectory) -> bool:
    """Whether every migration was applied; refuse a database with a migration that is not known here."""
    applied = MigrationContext.configure(connection).get_current_heads()
    if set(applied) - {script.revision for script in scripts.walk_revisions()}:
        raise AnnotationsRefused(
            "This annotation database was made by a newer version of this program; install that version, "
            "or choose another database with SER_DATABASE_URL."
        )
    return set(applied) == set(scripts.get_heads())


def _refuse_emptied(connection: Connection, url: URL) -> None:
    """Refuse an SQLite file that had our tables before and is empty now."""
    applied = MigrationContext.configure(connection).get_current_heads()
    if not applied and url.get_backend_name() == "sqlite" and _made_mark(url).exists():
        raise AnnotationsRefused(
            f"{url.database} held annotations and is empty now, so nothing is written into it. Restore its backup; "
            f"to start again without it, delete {_made_mark(url).name} beside it."
        )


def _note_made(url: URL) -> None:
    """Write a file beside an SQLite database that has our tables, unless the folder is read-only."""
    if url.get_backend_name() == "sqlite" and not _made_mark(url).exists():
        with suppress(OSError), _made_mark(url).open("w") as mark:
            mark.write(
                "This database holds annotations. Without this file, an empty database would be taken for a new one.\n"
            )


def _made_mark(url: URL) -> Path:
    return Path(f"{url.database}-made")


def _checked_url(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        parsed, backend = None, ""
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed.set(drivername="sqlite+pysqlite")
    raise AnnotationsRefused(
        f"The address of the annotation database names {backend or 'no database'}; "
        "it must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME. Correct SER_DATABASE_URL."
    )


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_S})
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise AnnotationsRefused(
            f"The folder of the annotation database, {_location(url)}, cannot be made ({error}). "
            "Correct SER_DATABASE_URL."
        ) from error
    engine = create_engine(url, connect_args={"timeout": WRITE_TIMEOUT_S, "isolation_level": None})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # WAL: readers do not wait for a writer. FULL: commits survive a power cut. secure_delete: deleted rows are zeroed.
    _switch_to_wal(connection)
    for setting in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # SQLite's timeout does not apply here: it has begun to read, and a reader may not wait to write.
    deadline_s = time.monotonic() + WRITE_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
        time.sleep(RETRY_INTERVAL_S)


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _location(url: URL) -> str:
    """Return where a database is, without user and password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.database or ''} at {url.host or url.query.get('host', 'this machine')}"


def _reason(error: DBAPIError, url: URL) -> str:
    reason = str(error.orig).strip().partition("\n")[0]
    for secret in (url.password, url.query.get("password")):
        reason = reason.replace(str(secret), "…") if secret else reason
    return reason
