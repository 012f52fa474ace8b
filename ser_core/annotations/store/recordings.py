"""The recordings of a project: added, found by content, locked and rated."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    func,
    select,
    update,
)

from ser_core.annotations.store import people, trash
from ser_core.annotations.store.marks import insert_into
from ser_core.annotations.store.tables import (
    folded,
    projects,
    recordings,
    valid_name,
    valid_text,
)
from ser_core.errors import AnnotationsRefused, RecordingNotInProject
from ser_core.settings import LONG_RECORDING, AudioLimits

RATINGS = ("uncertainty", "explainers_disagreement", "annotators_disagreement")


@dataclass(frozen=True)
class RecordingFile:
    """An audio file that can be annotated.

    Attributes
    ----------
    sha256 : str
        SHA-256 of its bytes, 64 hexadecimal digits.
    path : str or None
        Where it was last seen.
    speaker : str or None
        Who speaks, a name that is unique in the project; None if not known.
    session : str or None
        The session in which it was recorded; None if there is none.
    """

    sha256: str
    name: str
    duration_s: float
    sample_rate_hz: int | None = None
    path: str | None = None
    speaker: str | None = None
    session: str | None = None

    @property
    def is_long(self) -> bool:
        """Whether it is too long to be read at once."""
        limits, samples = AudioLimits(), self.duration_s * (self.sample_rate_hz or 0)
        return self.duration_s > limits.longest_s or samples > limits.max_samples


@dataclass(frozen=True)
class Speaker:
    """Somebody who speaks in recordings of a project, and in how many."""

    project_id: int
    project: str
    speaker: str
    count: int


def speakers_of(files: Iterable[RecordingFile]) -> dict[str, str]:
    """Return the known speakers, by SHA-256 of their recordings."""
    return {file.sha256: file.speaker for file in files if file.speaker}


def add_files(
    connection: Connection, project: int, files: Iterable[RecordingFile], at: datetime, added_by: str | None
) -> None:
    """Add recordings; an existing one of the same content takes the new name, path and, if given, speaker."""
    statement = insert_into(connection, recordings)
    statement = statement.on_conflict_do_update(
        index_elements=["project_id", "sha256"],
        set_={name: statement.excluded[name] for name in ("name", "folded_name", "path")}
        | {"speaker": func.coalesce(statement.excluded.speaker, recordings.c.speaker)},
    )
    rows = [
        recording_row(project, file, at) | {"path": file.path and valid_text(file.path, "path"), "added_by": added_by}
        for file in files
    ]
    if rows:
        connection.execute(statement, rows)
        trash.forget_unfinished(connection, {row["sha256"] for row in rows})


def recording_row(project: int, file: RecordingFile, at: datetime) -> dict[str, Any]:
    """Return a new row of `recordings`.

    Raises
    ------
    AnnotationsRefused
        If the SHA-256, a name or the duration is not valid.
    """
    name = valid_name(file.name, "name of a recording")
    if not re.fullmatch("[0-9a-f]{64}", file.sha256):
        raise AnnotationsRefused(
            f"'{name}' comes with the SHA-256 {file.sha256[:80]!r}; it must be 64 lowercase hexadecimal digits."
        )
    if not 0 < file.duration_s <= LONG_RECORDING.longest_s:
        raise AnnotationsRefused(
            f"'{name}' lasts {file.duration_s:g} s. A recording must be longer than 0 s and last at most "
            f"{LONG_RECORDING.longest_s:g} s."
        )
    return {
        "project_id": project,
        "sha256": file.sha256,
        "name": name,
        "folded_name": folded(name),
        "duration_s": float(file.duration_s),
        "sample_rate_hz": None if file.sample_rate_hz is None else int(file.sample_rate_hz),
        "path": None,
        "provenance": {},
        "added_at": at,
        "added_by": None,
        "speaker": valid_name(file.speaker, "name of the speaker") if file.speaker else None,
        "session": valid_name(file.session, "name of the session") if file.session else None,
        **dict.fromkeys((*RATINGS, "disagreement_tier")),
    }


def lock(
    connection: Connection, project: int, sha256: str, person: str, provenance: Mapping[str, Any] | None = None
) -> tuple[int, float, bool]:
    """Return a recording's id, its length and whether somebody may review it; lock its marks.

    The lock lasts until the transaction ends.

    Raises
    ------
    AnnotationsRefused
        If the project has no such recording.
    """
    wanted = of_file(project, sha256)
    columns = recordings.c.id, recordings.c.duration_s, people.is_reviewer(project, person).label("may_review")
    if provenance is None:
        statement = select(*columns).where(*wanted).with_for_update(key_share=True, of=recordings)
    else:
        statement = update(recordings).where(*wanted).values(provenance=dict(provenance)).returning(*columns)
    found = connection.execute(statement).one_or_none()
    if found is None:
        raise missing_recording_error(sha256)
    return found.id, found.duration_s, bool(found.may_review)


def of_file(project: int, sha256: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that find a recording of a project."""
    return recordings.c.project_id == project, recordings.c.sha256 == valid_text(sha256, "SHA-256")


def missing_recording_error(sha256: str) -> RecordingNotInProject:
    """Return the refusal for a recording that is not in the project."""
    return RecordingNotInProject(f"The recording {sha256[:12]}… is not in this project; add it.")


def rate(
    connection: Connection, project: int, rating: str, values: Mapping[str, float | None], tier: str | None
) -> None:
    """Store one rating for recordings, given by their SHA-256; the tier is that of the annotators' disagreement."""
    if rating not in RATINGS:
        raise AnnotationsRefused(f"The rating '{rating}' is not known; choose {', '.join(RATINGS)}.")
    for sha256, value in values.items():
        if value is not None and not 0 <= value < math.inf:
            raise AnnotationsRefused(f"The {rating} {value} of {sha256[:12]}… is not possible; it starts at 0.")
    is_rated = (recordings.c.project_id == project, recordings.c.sha256 == bindparam("rated_sha256"))
    rated = {rating: bindparam("value", type_=recordings.c[rating].type)}
    if rating == "annotators_disagreement":
        rated["disagreement_tier"] = tier and valid_text(tier, "key of the tier")
    statement = update(recordings).where(*is_rated).values(rated)
    if values:
        connection.execute(statement, [{"rated_sha256": sha256, "value": value} for sha256, value in values.items()])


def all_speakers(connection: Connection) -> list[Speaker]:
    """Return the speakers of all projects, ordered by project and name."""
    not_deleted = projects.c.deleted_at.is_(None)
    columns = (projects.c.id.label("project_id"), projects.c.name.label("project"), recordings.c.speaker)
    named = recordings.join(projects, projects.c.id == recordings.c.project_id)
    statement = (
        select(*columns, func.count().label("count"))
        .select_from(named)
        .where(not_deleted, recordings.c.speaker.is_not(None))
        .group_by(*columns)
        .order_by(projects.c.name, recordings.c.speaker)
    )
    return [Speaker(**row._mapping) for row in connection.execute(statement)]


def files_of(connection: Connection, project: int) -> tuple[RecordingFile, ...]:
    """Return all recordings of a project, in order of addition."""
    columns = (recordings.c[field.name] for field in fields(RecordingFile))
    rows = connection.execute(select(*columns).where(recordings.c.project_id == project).order_by(recordings.c.id))
    return tuple(RecordingFile(*row) for row in rows)


def of_speaker(connection: Connection, project: int, speaker: str) -> list[RecordingFile]:
    """Return the recordings of a speaker in a project, ordered by name."""
    wanted = (recordings.c.project_id == project, recordings.c.speaker == valid_text(speaker, "name of the speaker"))
    rows = connection.execute(select(recordings).where(*wanted).order_by(recordings.c.name, recordings.c.id))
    return [file_of(row) for row in rows]


def sessions_of(connection: Connection, project: int) -> list[str]:
    """Return the sessions of the recordings of a project, ordered by name."""
    wanted = recordings.c.project_id == project, recordings.c.session.is_not(None)
    return sorted(connection.scalars(select(recordings.c.session).where(*wanted).distinct()))


def file_of(row: Row) -> RecordingFile:
    """Return the file of a row of `recordings`."""
    return RecordingFile(*(row._mapping[field.name] for field in fields(RecordingFile)))
