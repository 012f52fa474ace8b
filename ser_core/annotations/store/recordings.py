"""The recordings of a project as a queue of work: found by their content, filtered, ordered, counted, rated."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    tuple_,
    update,
)

from ser_core.annotations.annotation import STATUSES
from ser_core.annotations.store import trash
from ser_core.annotations.store.marks import insert_into
from ser_core.annotations.store.tables import STANDING_LABEL, folded, kept_name, kept_text, marks, recordings
from ser_core.audio.decoding import LONG
from ser_core.errors import AnnotationsRefused

OF_RECORDING = marks.c.recording_id == recordings.c.id

#: The place in STATUSES of the label that is furthest; a recording without one is open.
FURTHEST = func.coalesce(
    func.max(case({status: place for place, status in enumerate(STATUSES)}, value=marks.c.status)), 0
)

RATINGS = ("uncertainty", "explainers_disagreement", "annotators_disagreement")

#: Oldest and A first, but what is rated highest first: there a person's work teaches most.
ORDERS = {"added": (recordings.c.id,), "name": (recordings.c.folded_name, recordings.c.id)} | {
    rating: (recordings.c[rating], recordings.c.id) for rating in RATINGS
}


@dataclass(frozen=True)
class RecordingFile:
    """An audio file that may be marked.

    Attributes
    ----------
    sha256 : str
        Of its bytes, 64 hexadecimal digits.
    path : str or None
        Where it was last seen.
    """

    sha256: str
    name: str
    duration_s: float
    sample_rate_hz: int | None = None
    path: str | None = None


@dataclass(frozen=True)
class QueuedRecording:
    """A recording in the list of a project.

    Attributes
    ----------
    uncertainty, explainers_disagreement, annotators_disagreement : float or None
        At least 0; None where nobody has rated it.
    status : {"open", "done", "verified"}
        Of the annotator's label of the whole recording; of all annotators' the furthest, where none was asked for.
    marks : int
        Of all annotators.
    """

    file: RecordingFile
    added_at: datetime
    uncertainty: float | None
    explainers_disagreement: float | None
    annotators_disagreement: float | None
    status: str
    marks: int


@dataclass(frozen=True)
class Queue:
    """Which recordings of a project, in which order.

    Attributes
    ----------
    annotator : str or None
        Whose status, marks and emotion the other fields mean; None for anybody's.
    status : {"open", "done", "verified"} or None
    marked : bool or None
        With marks or without.
    emotion : str or None
        That a mark names.
    text : str
        Part of the name, in any case.
    order : {"added", "name", "uncertainty", "explainers_disagreement", "annotators_disagreement"}
    """

    annotator: str | None = None
    status: str | None = None
    marked: bool | None = None
    emotion: str | None = None
    text: str = ""
    order: str = "added"

    def __post_init__(self) -> None:
        if self.status not in (None, *STATUSES):
            raise AnnotationsRefused(f"The status '{self.status}' is not known; choose {', '.join(STATUSES)}.")
        if self.order not in ORDERS:
            raise AnnotationsRefused(f"The order '{self.order}' is not known; choose {', '.join(ORDERS)}.")
        for asked in (self.annotator, self.emotion, self.text):
            kept_text(asked or "", "text that is looked for")


def add_files(
    connection: Connection, project: int, files: Iterable[RecordingFile], at: datetime, added_by: str | None
) -> None:
    """Add recordings; one that is there already, by its content, takes the file's name and path."""
    statement = insert_into(connection, recordings)
    statement = statement.on_conflict_do_update(
        index_elements=["project_id", "sha256"],
        set_={name: statement.excluded[name] for name in ("name", "folded_name", "path")},
    )
    known = {"added_by": added_by}
    rows = [
        recording_row(project, file, at) | {"path": file.path and kept_text(file.path, "path")} | known
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
        If the SHA-256, the name or the duration is none.
    """
    name = kept_name(file.name, "name of a recording")
    if not re.fullmatch("[0-9a-f]{64}", file.sha256):
        raise AnnotationsRefused(
            f"'{name}' comes with the SHA-256 {file.sha256[:80]!r}; it has to be 64 hexadecimal digits, a to f small."
        )
    if not 0 < file.duration_s <= LONG.longest_s:
        raise AnnotationsRefused(
            f"'{name}' lasts {file.duration_s:g} s; what lasts can be marked, and at most {LONG.longest_s:g} s of it."
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
        **dict.fromkeys(RATINGS),
    }


def lock(
    connection: Connection, project: int, sha256: str, provenance: Mapping[str, Any] | None = None
) -> tuple[int, float]:
    """Return a recording's id and length, and let nobody else change its marks until the transaction ends.

    Raises
    ------
    AnnotationsRefused
        If the project has no such recording.
    """
    asked, columns = of_file(project, sha256), (recordings.c.id, recordings.c.duration_s)
    if provenance is None:
        statement = select(*columns).where(*asked).with_for_update(key_share=True)
    else:
        statement = update(recordings).where(*asked).values(provenance=dict(provenance)).returning(*columns)
    found = connection.execute(statement).one_or_none()
    if found is None:
        raise missing_recording_error(sha256)
    return found.id, found.duration_s


def of_file(project: int, sha256: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that find a recording of a project."""
    return recordings.c.project_id == project, recordings.c.sha256 == kept_text(sha256, "SHA-256")


def missing_recording_error(sha256: str) -> AnnotationsRefused:
    """Return the refusal of a recording that the project does not have."""
    return AnnotationsRefused(f"The recording {sha256[:12]}… is not in this project any more; add it again.")


def rate(connection: Connection, project: int, rating: str, values: Mapping[str, float | None]) -> None:
    """Write one rating of recordings, which are given by their SHA-256."""
    if rating not in RATINGS:
        raise AnnotationsRefused(f"The rating '{rating}' is not known; choose {', '.join(RATINGS)}.")
    for sha256, value in values.items():
        if value is not None and not 0 <= value < math.inf:
            raise AnnotationsRefused(f"The {rating} {value} of {sha256[:12]}… is not possible; it starts at 0.")
    asked = (recordings.c.project_id == project, recordings.c.sha256 == bindparam("of"))
    statement = update(recordings).where(*asked).values({rating: bindparam("value", type_=recordings.c[rating].type)})
    if values:
        connection.execute(statement, [{"of": sha256, "value": value} for sha256, value in values.items()])


def page_of_queue(connection: Connection, project: int, queue: Queue, page: int, size: int) -> tuple[list[Any], int]:
    """Return a page of recordings, and how many there are on all pages."""
    wanted = _wanted(project, queue)
    count = connection.execute(select(func.count()).select_from(recordings).where(*wanted)).scalar_one()
    # The ids by themselves: PostgreSQL would count the marks of the recordings on all earlier pages too.
    ids = select(recordings.c.id).where(*wanted).order_by(*_ordered(queue)).limit(size).offset(page * size)
    rows = connection.execute(_listed(queue.annotator).where(recordings.c.id.in_(ids)).order_by(*_ordered(queue)))
    return [queued(row) for row in rows], count


def count_by_status(connection: Connection, project: int, annotator: str | None) -> dict[str, int]:
    """Return how many recordings of a project are open, done and verified."""
    label = and_(OF_RECORDING, STANDING_LABEL, *_whose(annotator))
    joined = select(FURTHEST.label("rank")).select_from(recordings.outerjoin(marks, label))
    furthest = joined.where(recordings.c.project_id == project).group_by(recordings.c.id).subquery()
    rows = connection.execute(select(furthest.c.rank, func.count()).group_by(furthest.c.rank))
    return dict.fromkeys(STATUSES, 0) | {STATUSES[rank]: count for rank, count in rows}


def find(connection: Connection, project: int, sha256: str, annotator: str | None) -> Row | None:
    """Return the row of a recording, from which `queued` and `neighbours` know more."""
    return connection.execute(_listed(annotator).where(*of_file(project, sha256))).one_or_none()


def neighbours(connection: Connection, row: Row, queue: Queue) -> tuple[str | None, str | None]:
    """Return the SHA-256 of the recordings before and after one in a queue, of which it need not be any more."""
    columns = ORDERS[queue.order]
    here = tuple_(*(literal(row._mapping[column.name], column.type) for column in columns))
    earlier, later = tuple_(*columns) < here, tuple_(*columns) > here
    before, after = (later, earlier) if queue.order in RATINGS else (earlier, later)
    wanted = select(recordings.c.sha256).where(*_wanted(row.project_id, queue)).limit(1)
    previous = wanted.where(before).order_by(*_ordered(queue, backwards=True)).scalar_subquery()
    following = wanted.where(after).order_by(*_ordered(queue)).scalar_subquery()
    return tuple(connection.execute(select(previous.label("previous"), following.label("following"))).one())


def queued(row: Row) -> QueuedRecording:
    """Return the recording of a row that `find` or a page of a queue gave."""
    file = RecordingFile(row.sha256, row.name, row.duration_s, row.sample_rate_hz, row.path)
    ratings = {name: row._mapping[name] for name in RATINGS}
    return QueuedRecording(file, row.added_at, **ratings, status=STATUSES[row.furthest], marks=row.mark_count)


def _listed(annotator: str | None) -> Select:
    count = select(func.count()).where(OF_RECORDING, ~marks.c.deleted).scalar_subquery()
    return select(recordings, _furthest(annotator).label("furthest"), count.label("mark_count"))


def _furthest(annotator: str | None) -> ScalarSelect[int]:
    return select(FURTHEST).where(OF_RECORDING, STANDING_LABEL, *_whose(annotator)).scalar_subquery()


def _whose(annotator: str | None) -> list[ColumnElement[bool]]:
    return [] if annotator is None else [marks.c.annotator == annotator]


def _wanted(project: int, queue: Queue) -> list[ColumnElement[bool]]:
    def has_mark(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        # EXISTS would become a join in PostgreSQL, and one that takes seconds where there are no statistics yet.
        asked = (OF_RECORDING, ~marks.c.deleted, *_whose(queue.annotator), *conditions)
        return select(marks.c.recording_id).where(*asked).limit(1).scalar_subquery().is_not(None)

    wanted = [recordings.c.project_id == project]
    if queue.status is not None:
        wanted.append(_furthest(queue.annotator) == STATUSES.index(queue.status))
    if queue.marked is not None:
        wanted.append(has_mark() if queue.marked else ~has_mark())
    if queue.emotion is not None:
        wanted.append(has_mark(marks.c.emotion == queue.emotion))
    if queue.text:
        wanted.append(recordings.c.folded_name.contains(folded(queue.text), autoescape=True))
    return wanted


def _ordered(queue: Queue, backwards: bool = False) -> list[ColumnElement]:
    descending = (queue.order in RATINGS) != backwards
    return [column.desc() if descending else column.asc() for column in ORDERS[queue.order]]
