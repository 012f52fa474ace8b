"""Empty SQLite and PostgreSQL databases as fixtures to import, and recordings and marks to put into them.

`SER_TEST_POSTGRES` is the URL of a database in which every test gets its own schema.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, event, make_url

from ser_core.analysis import Region
from ser_core.annotations.annotation import Annotation
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import Store, open_store


@contextmanager
def fresh_schema() -> Iterator[str]:
    """Make a schema in the database of the tests and yield a URL that uses it."""
    server = os.environ.get("SER_TEST_POSTGRES")
    if not server:
        reason = "SER_TEST_POSTGRES is not set; it should be the URL of a PostgreSQL database for tests"
        if "postgres" in os.environ.get("SER_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)
    url, schema = make_url(server), f"test_{uuid4().hex}"
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            in_schema = url.update_query_dict({"options": f"-csearch_path={schema}"})
            yield in_schema.render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(name="database_url", params=["sqlite", "postgresql"])
def fresh_url(request, tmp_path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'annotations.sqlite'}"
    else:
        with fresh_schema() as url:
            yield url


def make_tables(url: str) -> None:
    """Put our tables into an empty database, copied from one that was migrated: ten migrations take longer."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        Path(parsed.database).write_bytes(_empty_file())
    else:
        with psycopg.connect(url) as connection:
            connection.execute(_statements_of_migrations())


@cache
def _empty_file() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.sqlite"
        open_store(f"sqlite:///{path}").close()
        return path.read_bytes()


@cache
def _statements_of_migrations() -> str:
    with fresh_schema() as url, statements() as sent:
        open_store(url).close()
    return ";".join(statement for statement, _ in sent if not statement.startswith("SELECT"))


@pytest.fixture(name="store")
def fresh_store(database_url) -> Iterator[Store]:
    """An empty store."""
    make_tables(database_url)
    with closing(open_store(database_url)) as opened:
        yield opened


@pytest.fixture(name="project")
def fresh_project(store) -> int:
    """A project of Ben's in that store with five recordings of 10 s, `sha(0)` to `sha(4)`."""
    project = store.projects.create("Voices", "Ben")
    store.recordings.add(project, [file(number) for number in range(5)])
    return project


def sha(number: int) -> str:
    return f"{number:064x}"


def file(number: int, **others) -> RecordingFile:
    return RecordingFile(**{"sha256": sha(number), "name": f"take {number}.wav", "duration_s": 10.0} | others)


def mark(start_s: float = 1.0, end_s: float = 2.0, **others) -> Annotation:
    return Annotation(Region(start_s, end_s), **others)


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Yield the SQL statements that all stores send in this block, with their parameters.

    BEGIN and COMMIT are left out. A statement for many rows counts once, with the parameters of the first.
    """
    sent: list[tuple[str, Any]] = []

    def note(connection, cursor, statement, parameters, context, many) -> None:
        if not statement.startswith(("BEGIN", "COMMIT")):
            sent.append((statement, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)
