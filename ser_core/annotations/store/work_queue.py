"""The recordings of a project as a work queue: filtered, ordered and counted, with their marks and assignments."""

from dataclasses import dataclass
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
    case,
    func,
    literal,
    select,
    tuple_,
)

from ser_core.annotations.annotation import GOLD, RECORDING_TIER, REGION_TIER, STATUSES, Annotation
from ser_core.annotations.store import people
from ser_core.annotations.store.marks import annotation_of
from ser_core.annotations.store.recordings import RATINGS, RecordingFile, file_of, of_file
from ser_core.annotations.store.tables import RECORDING_LABEL, assignments, folded, marks, recordings, valid_text
from ser_core.errors import AnnotationsRefused

OF_RECORDING = marks.c.recording_id == recordings.c.id
ASSIGNED = assignments.c.recording_id == recordings.c.id
#: The marks that a queue counts and filters by if it has no other tier.
OF_EMOTIONS = marks.c.tier.in_((REGION_TIER, RECORDING_TIER))

#: The most advanced status of a recording's labels, as its index in STATUSES; without a label it is open.
FURTHEST = func.coalesce(
    func.max(case({status: index for index, status in enumerate(STATUSES)}, value=marks.c.status)), 0
)

#: What a queue can be limited to: recordings assigned to the annotator, unassigned, sent back, or with a gold layer.
TASKS = ("assigned", "unassigned", "sent back", "gold")

#: A queue cannot be limited to more recordings than this: databases limit the parameters of a statement.
MAX_RECORDINGS = 30_000

#: Oldest first, or A first, but the highest rating first: there a person's marks teach most.
ORDERS = {"added": (recordings.c.id,), "name": (recordings.c.folded_name, recordings.c.id)} | {
    rating: (recordings.c[rating], recordings.c.id) for rating in RATINGS
}


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
        Its annotators, in order of names.
    sent_back : str
        Why it was sent back to the annotator, who has not done it since; without an annotator, to anybody.
    has_gold : bool
        Whether the gold layer has marks of emotions in it.
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
    """A selection of the recordings of a project, and their order.

    Attributes
    ----------
    annotator : str or None
        Whose status, marks and labels the other fields filter by; None for anybody's.
    status : {"open", "done", "verified"} or None
    marked : bool or None
        With marks, or without.
    label : str or None
        With a mark of this emotion or, in a tier of labels, of this label.
    text : str
        Part of the name, ignoring case.
    among : frozenset of str or None
        Only these, by SHA-256, at most `MAX_RECORDINGS`.
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
        if self.among is not None and len(self.among) > MAX_RECORDINGS:
            raise AnnotationsRefused(
                f"{len(self.among)} recordings are too many to choose at once; choose up to {MAX_RECORDINGS}."
            )
        for wanted in (self.annotator, self.label, self.text, self.tier, self.session, *(self.among or ())):
            valid_text(wanted or "", "text to look for")


WHOLE_QUEUE = Queue()


def page_of_queue(connection: Connection, project: int, queue: Queue, page: int, size: int) -> tuple[list[Any], int]:
    """Return a page of recordings, and their number on all pages."""
    wanted = _conditions(project, queue)
    count = connection.execute(select(func.count()).select_from(recordings).where(*wanted)).scalar_one()
    # The ids first: otherwise PostgreSQL counts the marks of the recordings on all earlier pages too.
    ids = select(recordings.c.id).where(*wanted).order_by(*_order_by(queue)).limit(size).offset(page * size)
    listed = _select_recordings(queue.annotator, queue.tier).where(recordings.c.id.in_(ids))
    rows = connection.execute(listed.order_by(*_order_by(queue)))
    return [queued(row) for row in rows], count


def count_by_status(connection: Connection, project: int, annotator: str | None, task: str | None) -> dict[str, int]:
    """Return how many recordings of a project, or of a task in it, are open, done and verified."""
    label = and_(OF_RECORDING, RECORDING_LABEL, *_by_annotator(annotator))
    joined = select(FURTHEST.label("rank")).select_from(recordings.outerjoin(marks, label))
    wanted = _conditions(project, Queue(annotator=annotator, task=task))
    furthest = joined.where(*wanted).group_by(recordings.c.id).subquery()
    rows = connection.execute(select(furthest.c.rank, func.count()).group_by(furthest.c.rank))
    return dict.fromkeys(STATUSES, 0) | {STATUSES[rank]: count for rank, count in rows}


def find(connection: Connection, project: int, sha256: str, annotator: str | None) -> Row | None:
    """Return the row of a recording, which `queued` and `neighbours` take."""
    return connection.execute(_select_recordings(annotator).where(*of_file(project, sha256))).one_or_none()


def neighbours(row: Row, queue: Queue) -> tuple[ScalarSelect[str], ScalarSelect[str]]:
    """Return queries for the SHA-256 of the recordings before and after one in a queue, even if it is not in it."""
    columns = ORDERS[queue.order]
    position = tuple_(*(literal(row._mapping[column.name], column.type) for column in columns))
    earlier, later = tuple_(*columns) < position, tuple_(*columns) > position
    before, after = (later, earlier) if queue.order in RATINGS else (earlier, later)
    wanted = select(recordings.c.sha256).where(*_conditions(row.project_id, queue)).limit(1)
    previous = wanted.where(before).order_by(*_order_by(queue, backwards=True)).scalar_subquery()
    following = wanted.where(after).order_by(*_order_by(queue)).scalar_subquery()
    return previous, following


def queued(row: Row) -> QueuedRecording:
    """Return the recording of a row from `find` or from a page of a queue."""
    ratings = {name: row._mapping[name] for name in RATINGS}
    return QueuedRecording(
        file_of(row),
        row.added_at,
        **ratings,
        status=STATUSES[row.furthest],
        marks=row.mark_count,
        own_marks=row.own_count,
        assigned_to=tuple(sorted((row.assigned_to or "").splitlines())),
        sent_back=row.sent_back or "",
        has_gold=bool(row.has_gold),
        disagreement_tier=row.disagreement_tier,
    )


def lock_marks(
    connection: Connection, project: int, queue: Queue, annotator: str | None, tier: str | None = None
) -> dict[int, list[Annotation]]:
    """Return the marks of emotions, or of a tier, in recordings that have another status than the queue's.

    Recordings and marks are locked until the transaction ends, so that nobody changes them in the meantime.
    """
    own = recordings.c.project_id == project, recordings.c.sha256.in_(queue.among or ())
    wanted = _of_tier(tier), ~marks.c.deleted, marks.c.status != queue.status, *_by_annotator(annotator)
    statement = select(marks).join(recordings, OF_RECORDING).where(*own, *wanted).order_by(recordings.c.id)
    found: dict[int, list[Annotation]] = {}
    for row in connection.execute(statement.with_for_update(key_share=True)):
        found.setdefault(row.recording_id, []).append(annotation_of(row._mapping))
    return found


def _select_recordings(annotator: str | None, tier: str | None = None) -> Select:
    count = select(func.count()).where(OF_RECORDING, _of_tier(tier), ~marks.c.deleted)
    own = count.where(*_by_annotator(annotator)).scalar_subquery().label("own_count")
    counts = count.where(*_by_annotator(None)).scalar_subquery().label("mark_count"), own
    names = select(func.aggregate_strings(assignments.c.annotator, "\n")).where(ASSIGNED)
    work = (
        names.scalar_subquery().label("assigned_to"),
        _first_assignment(assignments.c.reason, annotator, people.SENT_BACK).label("sent_back"),
        _has_gold().label("has_gold"),
    )
    return select(recordings, _furthest(annotator).label("furthest"), *counts, *work)


def _furthest(annotator: str | None) -> ScalarSelect[int]:
    return select(FURTHEST).where(OF_RECORDING, RECORDING_LABEL, *_by_annotator(annotator)).scalar_subquery()


def _of_tier(tier: str | None) -> ColumnElement[bool]:
    return OF_EMOTIONS if tier is None else marks.c.tier == tier


def _by_annotator(annotator: str | None) -> list[ColumnElement[bool]]:
    return [marks.c.annotator != GOLD if annotator is None else marks.c.annotator == annotator]


def _has_gold() -> ColumnElement[bool]:
    gold = select(marks.c.key).where(OF_RECORDING, OF_EMOTIONS, ~marks.c.deleted, *_by_annotator(GOLD))
    return gold.limit(1).scalar_subquery().is_not(None)


def _first_assignment(column: Column, annotator: str | None, *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    """Return the query for one column of the first assignment of a recording, to an annotator or to anybody."""
    by_annotator = [] if annotator is None else [assignments.c.annotator == annotator]
    found = select(column).where(ASSIGNED, *by_annotator, *conditions)
    return found.order_by(assignments.c.annotator).limit(1).scalar_subquery()


def _conditions(project: int, queue: Queue) -> list[ColumnElement[bool]]:
    def has_mark(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        # PostgreSQL would turn EXISTS into a join, which takes seconds while there are no statistics yet.
        where = (OF_RECORDING, _of_tier(queue.tier), ~marks.c.deleted, *_by_annotator(queue.annotator), *conditions)
        return select(marks.c.recording_id).where(*where).limit(1).scalar_subquery().is_not(None)

    wanted = [recordings.c.project_id == project]
    if queue.status is not None:
        wanted.append(_furthest(queue.annotator) == STATUSES.index(queue.status))
    if queue.marked is not None:
        wanted.append(has_mark() if queue.marked else ~has_mark())
    if queue.label is not None:
        label = marks.c.emotion if queue.tier is None else marks.c.note
        wanted.append(has_mark(label == queue.label))
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
        return _first_assignment(assignments.c.annotator, None).is_(None)
    sent_back = [people.SENT_BACK] if task == "sent back" else []
    return _first_assignment(assignments.c.annotator, annotator, *sent_back).is_not(None)


def _order_by(queue: Queue, backwards: bool = False) -> list[ColumnElement]:
    descending = (queue.order in RATINGS) != backwards
    return [column.desc() if descending else column.asc() for column in ORDERS[queue.order]]
