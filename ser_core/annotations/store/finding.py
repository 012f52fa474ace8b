"""A search for marks by their label, and by the label of a mark in another tier that overlaps them."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnCollection, ColumnElement, Connection, Row, and_, func, or_, select

from ser_core.annotations.annotation import REGION_TIER, Annotation
from ser_core.annotations.store.marks import annotation_of
from ser_core.annotations.store.recordings import RecordingFile, file_of
from ser_core.annotations.store.tables import marks, recordings, valid_text
from ser_core.errors import AnnotationsRefused

MAX_HITS = 1_000


@dataclass(frozen=True)
class MarkQuery:
    """The marks to find.

    Attributes
    ----------
    label : str
        Their label, ignoring case; "" for any.
    tier : str
        Key of their tier.
    least_s : float
        Their shortest length.
    over_tier : str or None
        Key of a tier in which a mark overlaps them; None: any other tier, if `over_label` is given.
    over_label : str
        The label of that mark, ignoring case; "" for any.
    """

    label: str = ""
    tier: str = REGION_TIER
    least_s: float = 0.0
    over_tier: str | None = None
    over_label: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the query has another tier."""
        return self.over_tier is not None or bool(self.over_label.strip())

    def __post_init__(self) -> None:
        if not self.least_s >= 0:
            raise AnnotationsRefused(f"A length of {self.least_s:g} s is not possible; give at least 0.")
        for words in (self.label, self.over_label):
            valid_text(words, "text to look for")


@dataclass(frozen=True)
class Hit:
    """A mark that was found, its recording and, if the query has another tier, the mark in it."""

    file: RecordingFile
    mark: Annotation
    over: Annotation | None


def hits(connection: Connection, project: int, query: MarkQuery) -> Iterator[Hit]:
    """Yield the marks that a query finds, in order of recordings and time, each once."""
    over = marks.alias("over")
    found = recordings.join(marks, marks.c.recording_id == recordings.c.id)
    columns = [recordings, *(column.label(f"mark_{column.name}") for column in marks.c)]
    wanted = [
        recordings.c.project_id == project,
        marks.c.tier == query.tier,
        ~marks.c.deleted,
        marks.c.end_s - marks.c.start_s >= query.least_s,
        *_label_conditions(marks.c, query.label),
    ]
    if query.is_over:
        in_tier = over.c.tier != query.tier if query.over_tier is None else over.c.tier == query.over_tier
        overlaps = and_(over.c.start_s < marks.c.end_s, over.c.end_s > marks.c.start_s)
        inside = and_(over.c.start_s == over.c.end_s, over.c.start_s.between(marks.c.start_s, marks.c.end_s))
        lies_over = (over.c.recording_id == recordings.c.id, in_tier, ~over.c.deleted)
        found = found.join(over, and_(*lies_over, or_(overlaps, inside), *_label_conditions(over.c, query.over_label)))
        columns += [column.label(f"over_{column.name}") for column in over.c]
    order = (recordings.c.folded_name, recordings.c.id, marks.c.start_s, marks.c.key)
    statement = select(*columns).select_from(found).where(*wanted).order_by(*order)
    last = None
    for row in connection.execute(statement):
        mark = _mark(row, "mark")
        # Databases fold only some letters, so the label is compared again here.
        if mark.key == last or not _has_label(mark, query.label):
            continue
        other = _mark(row, "over") if query.is_over else None
        if other is None or _has_label(other, query.over_label):
            last = mark.key
            yield Hit(file_of(row), mark, other)


def _label_conditions(columns: ColumnCollection, label: str) -> list[ColumnElement[bool]]:
    """Return the conditions for a label; none for one that only Python can compare, in `_has_label`."""
    if not label.strip() or not label.isascii():
        return []
    return [func.trim(func.lower(func.coalesce(columns.emotion, columns.note))) == label.strip().lower()]


def _has_label(mark: Annotation, label: str) -> bool:
    own_label = mark.note if mark.emotion is None else mark.emotion
    return not label.strip() or own_label.strip().casefold() == label.strip().casefold()


def _mark(row: Row, prefix: str) -> Annotation:
    return annotation_of({column.name: row._mapping[f"{prefix}_{column.name}"] for column in marks.c})
