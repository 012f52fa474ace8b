"""The recordings of a project as a work queue: found by content, filtered, ordered, counted, rated."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
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

from ser_core.annotations.annotation import GOLD, RECORDING_TIER, REGION_TIER, STATUSES, Annotation
from ser_core.annotations.store import people, trash
from ser_core.annotations.store.marks import annotation_of, insert_into
from ser_core.annotations.store.tables import (
    STANDING_LABEL,
    assignments,
    folded,
    marks,
    projects,
    recordings,
    valid_name,
    valid_text,
)
from ser_core.errors import AnnotationsRefused, RecordingNotInProject
from ser_core.settings import LONG_RECORDING, AudioLimits

OF_RECORDING = marks.c.recording_id == recordings.c.id
ASSIGNED = assignments.c.recording_id == recordings.c.id
#: Without a choice of another tier, these are counted and found.
OF_EMOTIONS = marks.c.tier.in_((REGION_TIER, RECORDING_TIER))

#: The most advanced status of a recording's labels, as its index in STATUSES; without a label it is open.
FURTHEST = func.coalesce(
    func.max(case({status: index for index, status in enumerate(STATUSES)}, value=marks.c.status)), 0
)

#: What a queue can be limited to: recordings of the annotator, unassigned, sent back, or with a gold layer.
TASKS = ("assigned", "unassigned", "sent back", "gold")

#: A queue cannot be limited to more recordings than this: databases limit the parameters of a statement.
MOST_AMONG = 30_000

RATINGS = ("uncertainty", "explainers_disagreement", "annotators_disagreement")

#: Oldest first, or A first, but the highest rating first: there a person's work teaches most.
ORDERS = {"added": (recordings.c.id,), "name": (recordings.c.folded_name, recordings.c.id)} | {
    rating: (recordings.c[rating], recordings.c.id) for rating in RATINGS
}


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
    """Return the speakers that are known, by SHA-256 of their recordings."""
    return {file.sha256: file.speaker for file in files if file.speaker}


@dataclass(frozen=True)
class QueuedRecording:
    """A recording in the list of a project.

    Attributes
    ----------
    uncertainty, explainers_disagreement, annotators_disagreement : float or None
        At least 0; None if not rated.
    status : {"open", "done", "verified"}
        Status of the annotator's label of the whole recording or, without an annotator, the most advanced status.
    marks : int
        Marks of emotions or of the queue's tier, of all annotators.
    own_marks : int
        Those of the annotator; without one, of all.
    assigned_to : tuple of str
        Whose work it is, in order of names.
    sent_back : str
        Why it came back to the annotator, who has not done it since; without an annotator, to anybody.
    has_gold : bool
        Whether somebody decided what is right.
    disagreement_tier : str or None
        Key of the tier of labels that `annotators_disagreement` is of; None: the marks of emotions.
    """

    file: RecordingFile
    added_at: datetime
    uncertainty: float | None
    explainers_disagreement: float | None
    annotators_disagreement: float | None
    status: str
    marks: int
    own_marks: int
    assigned_to: tuple[str, ...] = ()
    sent_back: str = ""
    has_gold: bool = False
    disagreement_tier: str | None = None


@dataclass(frozen=True)
class Queue:
    """Which recordings of a project, in which order.

    Attributes
    ----------
    annotator : str or None
        Whose status, marks and emotion the other fields filter by; None for anybody's.
    status : {"open", "done", "verified"} or None
    marked : bool or None
        With marks, or without.
    label : str or None
        Named by a mark: an emotion or, in a tier of labels, one of these.
    text : str
        Part of the name, ignoring case.
    among : frozenset of str or None
        Only these, by SHA-256, at most `MOST_AMONG`.
    task : {"assigned", "unassigned", "sent back", "gold"} or None
    order : {"added", "name", "uncertainty", "explainers_disagreement", "annotators_disagreement"}
    tier : str or None
        Key of a tier of labels whose marks are counted and found; None: the marks of emotions.
    session : str or None
        Only recordings of this session.
    """

    annotator: str | None = None
    status: str | None = None
    marked: bool | None = None
    label: str | None = None
    text: str = ""
    order: str = "added"
    among: frozenset[str] | None = None
    task: str | None = None
    tier: str | None = None
    session: str | None = None

    def __post_init__(self) -> None:
        if self.status not in (None, *STATUSES):
            raise AnnotationsRefused(f"The status '{self.status}' is not known; choose {', '.join(STATUSES)}.")
        if self.order not in ORDERS:
            raise AnnotationsRefused(f"The order '{self.order}' is not known; choose {', '.join(ORDERS)}.")
        if self.task not in (None, *TASKS):
            raise AnnotationsRefused(f"The task '{self.task}' is not known; choose {', '.join(TASKS)}.")
        if self.among is not None and len(self.among) > MOST_AMONG:
            raise AnnotationsRefused(
                f"{len(self.among)} recordings are too many to choose at once; choose up to {MOST_AMONG}."
            )
        for wanted in (self.annotator, self.label, self.text, self.tier, self.session, *(self.among or ())):
            valid_text(wanted or "", "text to look for")


ANYTHING = Queue()


def add_files(
    connection: Connection, project: int, files: Iterable[RecordingFile], at: datetime, added_by: str | None
) -> None:
    """Add recordings; one that is there, by content, takes the new name, path and, if given, speaker."""
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
    columns = recordings.c.id, recordings.c.duration_s, people.reviews(project, person).label("may_review")
    if provenance is None:
        statement = select(*columns).where(*wanted).with_for_update(key_share=True, of=recordings)
    else:
        statement = update(recordings).where(*wanted).values(provenance=dict(provenance)).returning(*columns)
    found = connection.execute(statement).one_or_none()
    if found is None:
        raise missing_recording_error(sha256)
    return found.id, found.duration_s, bool(found.may_review)


def lock_marks(
    connection: Connection, project: int, queue: Queue, annotator: str | None, tier: str | None = None
) -> dict[int, list[Annotation]]:
    """Return the marks of emotions, or of a tier, in recordings that have another status than the queue's.

    Recordings and marks are locked until the transaction ends, so that nobody changes them in the meantime.
    """
    own = recordings.c.project_id == project, recordings.c.sha256.in_(queue.among or ())
    wanted = _of_tier(tier), ~marks.c.deleted, marks.c.status != queue.status, *_whose(annotator)
    statement = select(marks).join(recordings, OF_RECORDING).where(*own, *wanted).order_by(recordings.c.id)
    found: dict[int, list[Annotation]] = {}
    for row in connection.execute(statement.with_for_update(key_share=True)):
        found.setdefault(row.recording_id, []).append(annotation_of(row._mapping))
    return found


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
    wanted = (recordings.c.project_id == project, recordings.c.sha256 == bindparam("of"))
    rated = {rating: bindparam("value", type_=recordings.c[rating].type)}
    if rating == "annotators_disagreement":
        rated["disagreement_tier"] = tier and valid_text(tier, "key of the tier")
    statement = update(recordings).where(*wanted).values(rated)
    if values:
        connection.execute(statement, [{"of": sha256, "value": value} for sha256, value in values.items()])


def all_speakers(connection: Connection) -> list[Speaker]:
    """Return the speakers of all projects, ordered by project and name."""
    there = projects.c.deleted_at.is_(None)
    columns = (projects.c.id.label("project_id"), projects.c.name.label("project"), recordings.c.speaker)
    named = recordings.join(projects, projects.c.id == recordings.c.project_id)
    statement = (
        select(*columns, func.count().label("count"))
        .select_from(named)
        .where(there, recordings.c.speaker.is_not(None))
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
    """Return the sessions that recordings of a project are of, ordered by name."""
    wanted = recordings.c.project_id == project, recordings.c.session.is_not(None)
    return sorted(connection.scalars(select(recordings.c.session).where(*wanted).distinct()))


def page_of_queue(connection: Connection, project: int, queue: Queue, page: int, size: int) -> tuple[list[Any], int]:
    """Return a page of recordings, and their number on all pages."""
    wanted = _wanted(project, queue)
    count = connection.execute(select(func.count()).select_from(recordings).where(*wanted)).scalar_one()
    # The ids first: otherwise PostgreSQL counts the marks of the recordings on all earlier pages too.
    ids = select(recordings.c.id).where(*wanted).order_by(*_ordered(queue)).limit(size).offset(page * size)
    listed = _listed(queue.annotator, queue.tier).where(recordings.c.id.in_(ids))
    rows = connection.execute(listed.order_by(*_ordered(queue)))
    return [queued(row) for row in rows], count


def count_by_status(connection: Connection, project: int, annotator: str | None, task: str | None) -> dict[str, int]:
    """Return how many recordings of a project, or of a task in it, are open, done and verified."""
    label = and_(OF_RECORDING, STANDING_LABEL, *_whose(annotator))
    joined = select(FURTHEST.label("rank")).select_from(recordings.outerjoin(marks, label))
    wanted = _wanted(project, Queue(annotator=annotator, task=task))
    furthest = joined.where(*wanted).group_by(recordings.c.id).subquery()
    rows = connection.execute(select(furthest.c.rank, func.count()).group_by(furthest.c.rank))
    return dict.fromkeys(STATUSES, 0) | {STATUSES[rank]: count for rank, count in rows}


def find(connection: Connection, project: int, sha256: str, annotator: str | None) -> Row | None:
    """Return the row of a recording, which `queued` and `neighbours` take."""
    return connection.execute(_listed(annotator).where(*of_file(project, sha256))).one_or_none()


def neighbours(row: Row, queue: Queue) -> tuple[ScalarSelect[str], ScalarSelect[str]]:
    """Return the queries for the SHA-256 of the recordings before and after one in a queue, even if it left that."""
    columns = ORDERS[queue.order]
    here = tuple_(*(literal(row._mapping[column.name], column.type) for column in columns))
    earlier, later = tuple_(*columns) < here, tuple_(*columns) > here
    before, after = (later, earlier) if queue.order in RATINGS else (earlier, later)
    wanted = select(recordings.c.sha256).where(*_wanted(row.project_id, queue)).limit(1)
    previous = wanted.where(before).order_by(*_ordered(queue, backwards=True)).scalar_subquery()
    following = wanted.where(after).order_by(*_ordered(queue)).scalar_subquery()
    return previous, following


def queued(row: Row) -> QueuedRecording:
    """Return the recording of a row from `find` or from a page of a queue."""
    ratings = {name: row._mapping[name] for name in RATINGS}
    status = STATUSES[row.furthest]
    counts = {"marks": row.mark_count, "own_marks": row.own_count}
    names = tuple(sorted((row.assigned_to or "").splitlines()))
    work = {"assigned_to": names, "sent_back": row.sent_back or "", "has_gold": bool(row.has_gold)}
    ratings["disagreement_tier"] = row.disagreement_tier
    return QueuedRecording(file_of(row), row.added_at, **ratings, status=status, **counts, **work)


def file_of(row: Row) -> RecordingFile:
    """Return the file of a row of `recordings`."""
    return RecordingFile(*(row._mapping[field.name] for field in fields(RecordingFile)))


def _listed(annotator: str | None, tier: str | None = None) -> Select:
    count = select(func.count()).where(OF_RECORDING, _of_tier(tier), ~marks.c.deleted)
    own = count.where(*_whose(annotator)).scalar_subquery().label("own_count")
    counts = count.where(*_whose(None)).scalar_subquery().label("mark_count"), own
    names = select(func.aggregate_strings(assignments.c.annotator, "\n")).where(ASSIGNED)
    work = (
        names.scalar_subquery().label("assigned_to"),
        _first_work(assignments.c.reason, annotator, people.SENT_BACK).label("sent_back"),
        _has_gold().label("has_gold"),
    )
    return select(recordings, _furthest(annotator).label("furthest"), *counts, *work)


def _furthest(annotator: str | None) -> ScalarSelect[int]:
    return select(FURTHEST).where(OF_RECORDING, STANDING_LABEL, *_whose(annotator)).scalar_subquery()


def _of_tier(tier: str | None) -> ColumnElement[bool]:
    return OF_EMOTIONS if tier is None else marks.c.tier == tier


def _whose(annotator: str | None) -> list[ColumnElement[bool]]:
    return [marks.c.annotator != GOLD if annotator is None else marks.c.annotator == annotator]


def _has_gold() -> ColumnElement[bool]:
    gold = select(marks.c.key).where(OF_RECORDING, OF_EMOTIONS, ~marks.c.deleted, *_whose(GOLD))
    return gold.limit(1).scalar_subquery().is_not(None)


def _first_work(column: Column, annotator: str | None, *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    """Return the query for one column of the first assignment of a recording, to an annotator or to anybody."""
    whose = [] if annotator is None else [assignments.c.annotator == annotator]
    found = select(column).where(ASSIGNED, *whose, *conditions)
    return found.order_by(assignments.c.annotator).limit(1).scalar_subquery()


def _wanted(project: int, queue: Queue) -> list[ColumnElement[bool]]:
    def has_mark(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        # PostgreSQL would turn EXISTS into a join, which takes seconds while there are no statistics yet.
        where = (OF_RECORDING, _of_tier(queue.tier), ~marks.c.deleted, *_whose(queue.annotator), *conditions)
        return select(marks.c.recording_id).where(*where).limit(1).scalar_subquery().is_not(None)

    wanted = [recordings.c.project_id == project]
    if queue.status is not None:
        wanted.append(_furthest(queue.annotator) == STATUSES.index(queue.status))
    if queue.marked is not None:
        wanted.append(has_mark() if queue.marked else ~has_mark())
    if queue.label is not None:
        said = marks.c.emotion if queue.tier is None else marks.c.note
        wanted.append(has_mark(said == queue.label))
    if queue.task is not None:
        wanted.append(_is_task(queue.task, queue.annotator))
    if queue.among is not None:
        wanted.append(recordings.c.sha256.in_(queue.among))
    if queue.session is not None:
        wanted.append(recordings.c.session == queue.session)
    if queue.text:
        wanted.append(recordings.c.folded_name.contains(folded(queue.text), autoescape=True))
    return wanted


def _is_task(task: str, annotator: str | None) -> ColumnElement[bool]:
    if task == "gold":
        return _has_gold()
    if task == "unassigned":
        return _first_work(assignments.c.annotator, None).is_(None)
    sent_back = [people.SENT_BACK] if task == "sent back" else []
    return _first_work(assignments.c.annotator, annotator, *sent_back).is_not(None)


def _ordered(queue: Queue, backwards: bool = False) -> list[ColumnElement]:
    descending = (queue.order in RATINGS) != backwards
    return [column.desc() if descending else column.asc() for column in ORDERS[queue.order]]
