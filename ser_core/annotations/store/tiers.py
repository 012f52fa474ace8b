"""The tiers of a project: their order and contents, and how the tiers of files map to them.

Marks name a tier by its key, which stays when the tier is renamed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, or_, select, update

from ser_core.analysis import Point
from ser_core.annotations.annotation import (
    EMOTION,
    RECORDING_TIER,
    REGION_TIER,
    AnnotatedRecording,
    Annotation,
    Tier,
    tier_of_marks,
)
from ser_core.annotations.formats.layers import free_name, unique_names
from ser_core.annotations.store.marks import insert_into
from ser_core.annotations.store.tables import marks, projects, recordings, tiers, valid_name, valid_text
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused

MAX_TIERS = 1_000
#: Tiers that every project has.
BUILT_IN = (REGION_TIER, RECORDING_TIER)
#: What can be changed about a tier, in all recordings.
CHANGEABLE = ("name", "content", "labels", "parent", "colour", "shown", "mapping")
#: The properties that define the meaning of a tier's marks: whether they are opinions, and what they teach.
MEANING = ("content", "labels", "mapping")


def of_project(connection: Connection, project: int) -> tuple[Tier, ...]:
    """Return the tiers of a project in order, without parents that were deleted."""
    present = [_tier(row) for row in _rows(connection, project) if row.deleted_at is None]
    keys = {tier.key for tier in present}
    return tuple(tier if tier.parent in keys else replace(tier, parent=None) for tier in present)


def deleted(connection: Connection, project: int) -> tuple[Tier, ...]:
    """Return the tiers of a project that were deleted and can be restored."""
    return tuple(_tier(row) for row in _rows(connection, project) if row.deleted_at is not None)


def _rows(connection: Connection, project: int) -> Sequence[Row]:
    statement = select(tiers).where(tiers.c.project_id == project).order_by(tiers.c.position, tiers.c.id)
    return connection.execute(statement).all()


def _tier(row: Row) -> Tier:
    values = {name: row._mapping[name] for name in ("key", "name", "kind", "content", "parent", "colour", "shown")}
    return Tier(**values, labels=tuple(row.labels), mapping=tuple(map(tuple, row.mapping)))


def _values(tier: Tier) -> dict[str, Any]:
    values = asdict(tier)
    del values["participant"]  # that of a tier in one recording
    return values | {
        "name": valid_name(tier.name, "name of the tier"),
        "labels": [valid_name(label, "label") for label in tier.labels],
        "mapping": [(emotion, label and valid_name(label, "label")) for emotion, label in tier.mapping],
    }


# --- changes ---


def add_emotion_tier(connection: Connection, project: int) -> None:
    """Give a new project the tier of emotions."""
    connection.execute(insert(tiers).values(_values(EMOTION) | {"project_id": project, "position": 0}))


def add(connection: Connection, project: int, tier: Tier) -> Tier:
    """Add a tier below the others, and return it with its key: its name, with a number if a tier had that already."""
    rows = _rows(connection, project)
    name = valid_name(tier.name, "name of the tier")
    added = replace(tier, name=name, key=free_name(name, {RECORDING_TIER, *(row.key for row in rows)}))
    _require_valid(added, rows)
    position = max((row.position for row in rows), default=-1) + 1
    connection.execute(insert(tiers).values(_values(added) | {"project_id": project, "position": position}))
    return added


def change(connection: Connection, project: int, tier: Tier, seen: Tier | None) -> tuple[Tier, Tier]:
    """Change the name, labels, parent, colour and other properties of a tier; its kind stays.

    Returns
    -------
    before, after : Tier
        The tier in the database before and after the change.
    """
    rows = _rows(connection, project)
    current = next((row for row in rows if row.key == tier.key and row.deleted_at is None), None)
    if current is None:
        raise AnnotationsRefused(f"The tier '{tier.name}' is no longer there; load the page again.")
    now = next(each for each in of_project(connection, project) if each.key == tier.key)
    if seen is not None and now != replace(seen, participant=""):
        raise AnnotationsOutdated(f"Somebody else has changed the tier '{now.name}' meanwhile; load the page again.")
    _require_valid(tier, rows)
    values = {name: value for name, value in _values(tier).items() if name in CHANGEABLE}
    connection.execute(update(tiers).where(tiers.c.id == current.id).values(values))
    stored = values | {name: tuple(values[name]) for name in ("labels", "mapping")}
    return now, replace(now, **stored)


def _require_valid(tier: Tier, rows: Sequence[Row]) -> None:
    """Refuse a parent that is missing, holds points or is below the tier itself, and too many tiers."""
    if len(rows) >= MAX_TIERS and tier.key not in {row.key for row in rows}:
        raise AnnotationsRefused(f"A project holds at most {MAX_TIERS} tiers, deleted ones included.")
    by_key = {row.key: row for row in rows}
    ancestor = tier.parent
    for _ in rows:
        if ancestor is None:
            return
        if ancestor not in by_key or by_key[ancestor].kind != "intervals":
            raise AnnotationsRefused(f"The parent of '{tier.name}' must be a tier of intervals; choose another one.")
        if ancestor == tier.key:
            raise AnnotationsRefused(
                f"The tiers above '{tier.name}' would belong to it themselves; choose another one."
            )
        ancestor = by_key[ancestor].parent


def order(connection: Connection, project: int, keys: Sequence[str]) -> None:
    """Put tiers in an order; the others follow in the order that they have."""
    rows = _rows(connection, project)
    rank = {key: position for position, key in enumerate(keys)}
    ordered = sorted(rows, key=lambda row: rank.get(row.key, len(rank)))
    positions = [{"tier_id": row.id, "new_position": position} for position, row in enumerate(ordered)]
    if positions:
        statement = update(tiers).where(tiers.c.id == bindparam("tier_id"))
        connection.execute(statement.values(position=bindparam("new_position")), positions)


# --- participants ---


def with_participants(found: Iterable[Tier], participants: Mapping[str, str]) -> tuple[Tier, ...]:
    """Return tiers with their participants in one recording, as its row has them."""
    return tuple(replace(tier, participant=participants.get(tier.key, "")) for tier in found)


def set_participant(connection: Connection, project: int, sha256: str, key: str, participant: str, seen: str) -> None:
    """Set who speaks in the marks of a tier in a recording; see `Store.tiers.set_participant`."""
    of_file = recordings.c.project_id == project, recordings.c.sha256 == valid_text(sha256, "SHA-256")
    columns = recordings.c.id, recordings.c.participants
    row = connection.execute(select(*columns).where(*of_file).with_for_update(key_share=True)).one_or_none()
    if row is None or key not in {tier.key for tier in of_project(connection, project)}:
        raise AnnotationsRefused("The recording or the tier is no longer in the project; load the page again.")
    if row.participants.get(key, "") != seen:
        raise AnnotationsOutdated(
            "Somebody else has changed the participant of this tier meanwhile; load the page again."
        )
    write_participants(connection, row.id, row.participants | {key: _participant(participant)})


def write_participants(connection: Connection, recording_id: int, participants: Mapping[str, str]) -> None:
    """Replace the participants of all tiers in a recording."""
    named = {key: participant for key, participant in participants.items() if participant}
    connection.execute(update(recordings).where(recordings.c.id == recording_id).values(participants=named))


def _participant(name: str) -> str:
    return valid_name(name, "name of the participant") if name.strip() else ""


# --- deletion ---


def marks_in_tier(project: int, key: str) -> list[ColumnElement[bool]]:
    """Return the conditions that find the marks of a tier, also in recordings that lie in the trash."""
    homes = select(projects.c.id).where(or_(projects.c.id == project, projects.c.of_project == project))
    in_project = select(recordings.c.id).where(recordings.c.project_id.in_(homes))
    return [marks.c.recording_id.in_(in_project), marks.c.tier == key]


def count_marks(connection: Connection, project: int, key: str) -> dict[str, int]:
    """Return how many marks each annotator has in a tier."""
    where = (*marks_in_tier(project, key), ~marks.c.deleted)
    rows = connection.execute(select(marks.c.annotator, func.count()).where(*where).group_by(marks.c.annotator))
    return dict(tuple(row) for row in rows.all())


def delete(connection: Connection, project: int, key: str, person: str, at: datetime) -> None:
    """Delete a tier and its marks, which `restore` can bring back for 30 days."""
    if key in BUILT_IN:
        raise AnnotationsRefused("The tier of emotions stays; hide it instead.")
    _set_deleted(connection, project, key, None, at)
    deleted_marks = update(marks).where(*marks_in_tier(project, key), ~marks.c.deleted)
    values = {"deleted": True, "revision": marks.c.revision + 1, "changed_at": at, "changed_by": person}
    connection.execute(deleted_marks.values(values))


def restore(connection: Connection, project: int, key: str, person: str, at: datetime) -> None:
    """Restore a tier with the marks that were deleted with it."""
    row = next((row for row in _rows(connection, project) if row.key == key), None)
    if row is None or row.deleted_at is None:
        raise AnnotationsRefused("This tier is not deleted; load the page again.")
    _set_deleted(connection, project, key, row.deleted_at, None)
    restored_marks = update(marks).where(
        *marks_in_tier(project, key), marks.c.deleted, marks.c.changed_at == row.deleted_at
    )
    values = {"deleted": False, "revision": marks.c.revision + 1, "changed_at": at, "changed_by": person}
    connection.execute(restored_marks.values(values))


def _set_deleted(
    connection: Connection, project: int, key: str, before: datetime | None, after: datetime | None
) -> None:
    own = tiers.c.project_id == project, tiers.c.key == key, tiers.c.deleted_at.is_not_distinct_from(before)
    if not connection.execute(update(tiers).where(*own).values(deleted_at=after)).rowcount:
        raise AnnotationsRefused("This tier is no longer as the page shows it; load the page again.")


# --- tiers that marks name ---


def add_missing(connection: Connection, project: int, named: Iterable[Annotation]) -> None:
    """Add or restore the tiers that marks name, and refuse a mark of the wrong kind for its tier."""
    by_key: dict[str, list[Annotation]] = {}
    for mark in named:
        if mark.tier not in BUILT_IN:
            by_key.setdefault(mark.tier, []).append(mark)
    if not by_key:
        return
    # Locked, so that nobody deletes a tier while a mark is added to it: no page would show that mark.
    wanted = select(tiers).where(tiers.c.project_id == project, tiers.c.key.in_(by_key)).order_by(tiers.c.id)
    stored = {row.key: row for row in connection.execute(wanted.with_for_update(read=True))}
    missing = [tier_of_marks(key, marks_of_tier) for key, marks_of_tier in by_key.items() if key not in stored]
    deleted_keys = [key for key in by_key if key in stored and stored[key].deleted_at is not None]
    if missing:
        last = max((row.position for row in _rows(connection, project)), default=-1)
        _insert(connection, project, missing, range(last + 1, last + 1 + len(missing)))
    if deleted_keys:
        wanted = tiers.c.project_id == project, tiers.c.key.in_(deleted_keys)
        connection.execute(update(tiers).where(*wanted).values(deleted_at=None))
    for key, marks_of_tier in by_key.items():
        if key in stored:
            require_kind(_tier(stored[key]), marks_of_tier)


def require_kind(tier: Tier, named: Iterable[Annotation]) -> None:
    """Refuse points in a tier of intervals, and the other way round."""
    for mark in named:
        if isinstance(mark.region, Point) != (tier.kind == "points"):
            what = "a point" if tier.kind == "intervals" else "an interval"
            raise AnnotationsRefused(
                f"The tier '{tier.name}' holds {tier.kind}, and {what} at {mark.region.start_s:g} s was given. "
                "Put it into another tier."
            )


def _insert(connection: Connection, project: int, new: Sequence[Tier], positions: Iterable[int]) -> None:
    """Insert tiers; those that are there, deleted or added by somebody else just now, take the new values."""
    rows = [
        _values(tier) | {"project_id": project, "position": position, "deleted_at": None}
        for tier, position in zip(new, positions, strict=True)
    ]
    statement = insert_into(connection, tiers)
    taken = {name: statement.excluded[name] for name in (*CHANGEABLE, "position", "deleted_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["project_id", "key"], set_=taken), rows)


# --- tiers of files ---


def _with_valid_names(found: Iterable[Tier]) -> tuple[Tier, ...]:
    """Return tiers with valid keys and names, each key once."""
    named: dict[str, Tier] = {}
    for tier in found:
        key, name = (valid_name(value, "name of the tier") for value in (tier.key, tier.name))
        parent = tier.parent and valid_name(tier.parent, "name of the tier")
        if key != RECORDING_TIER:
            parent = None if parent == key else parent
            participant = _participant(tier.participant)
            named.setdefault(key, replace(tier, key=key, name=name, parent=parent, participant=participant))
    return tuple(named.values())


class FileTierMapping:
    """Maps the tiers of files to those of a project, and adds those that the project lacks."""

    def __init__(self, connection: Connection, project: int) -> None:
        self._connection, self._project = connection, project
        rows = _rows(connection, project)
        self._with_deleted = {row.key: _tier(row) for row in rows}
        self._tiers = {row.key: _tier(row) for row in rows if row.deleted_at is None}
        self._known_keys: dict[tuple[Tier, ...], dict[str, str]] = {}
        self._new: dict[str, Tier] = {}

    @property
    def new(self) -> tuple[Tier, ...]:
        """The tiers that the project did not have."""
        return tuple(self._new.values())

    @property
    def text_tiers(self) -> set[str]:
        """Keys of the tiers that hold labels or text."""
        return {key for key, tier in self._tiers.items() if tier.content != "emotions"}

    def with_project_keys(self, document: AnnotatedRecording) -> AnnotatedRecording:
        """Return a document whose marks and tiers have the keys of the project."""
        file_tiers = _with_valid_names(document.all_tiers)
        found = tuple(replace(tier, participant="") for tier in file_tiers)
        if found not in self._known_keys:
            self._known_keys[found] = self._keys(found)
        keys = self._known_keys[found]
        return replace(
            document,
            tiers=tuple(replace(tier, key=keys[tier.key]) for tier in file_tiers),
            annotations=tuple(self._in_project_tier(mark, keys) for mark in document.annotations),
            left_out=tuple(self._in_project_tier(mark, keys) for mark in document.left_out),
        )

    def _in_project_tier(self, mark: Annotation, keys: Mapping[str, str]) -> Annotation:
        """Return a mark with the project's tier; in a tier of labels or text, its emotion becomes its note."""
        tier = self._tiers.get(keys.get(mark.tier, mark.tier))
        if tier is None:
            return mark
        if tier.content != "emotions" and mark.emotion is not None and not mark.note:
            mark = replace(mark, emotion=None, note=mark.emotion)
        return mark if mark.tier == tier.key else replace(mark, tier=tier.key)

    def _keys(self, found: Sequence[Tier]) -> dict[str, str]:
        """Return the project's key of each tier of a file, by its key in the file."""
        keys: dict[str, str] = {}
        names = unique_names(found)
        by_name = {name: self._tiers[key] for key, name in unique_names(self._tiers.values()).items()}
        emotions = self._tiers.get(REGION_TIER)
        if emotions is not None:  # a file may have the name that it was given, too
            by_name.setdefault(emotions.name, emotions)
        for tier in found:
            candidates = by_name.get(names[tier.key]), self._tiers.get(tier.key)
            taken = set(keys.values())
            match = next((c for c in candidates if c and c.kind == tier.kind and c.key not in taken), None)
            keys[tier.key] = self._add(tier, found, keys) if match is None else match.key
        for tier in found:
            if tier.parent in keys and keys[tier.key] in self._new:
                self._set_parent(keys[tier.key], keys[tier.parent])
        return keys

    def _set_parent(self, key: str, parent: str) -> None:
        """Put a new tier below its parent, unless that holds points or is itself below the tier."""
        ancestor, seen = parent, {key}
        while ancestor is not None and ancestor not in seen:
            seen.add(ancestor)
            ancestor = self._with_deleted[ancestor].parent if ancestor in self._with_deleted else None
        if ancestor is None and self._with_deleted[parent].kind == "intervals":
            child = replace(self._with_deleted[key], parent=parent)
            self._new[key] = self._with_deleted[key] = self._tiers[key] = child

    def _add(self, tier: Tier, found: Sequence[Tier], keys: Mapping[str, str]) -> str:
        taken = {key for key, each in self._with_deleted.items() if each.kind != tier.kind or key in self._tiers}
        if len(self._with_deleted) >= MAX_TIERS and tier.key not in self._with_deleted:
            raise AnnotationsRefused(
                f"With the tier '{tier.name}' the project would have more than {MAX_TIERS} tiers. Choose fewer."
            )
        key = free_name(tier.key, {RECORDING_TIER, *taken})
        added = replace(tier, key=key, parent=None)
        before = [keys[each.key] for each in found if each.key in keys]
        ordered = list(self._tiers)
        position = max((ordered.index(each) for each in before), default=-1) + 1
        ordered.insert(position, key)
        self._with_deleted[key] = added
        self._tiers = {each: self._with_deleted[each] for each in ordered}
        self._new[key] = added
        return key

    def write(self) -> None:
        """Write the tiers that were added, and the order of all."""
        if self._new:
            ordered = list(self._tiers)
            _insert(self._connection, self._project, self.new, [ordered.index(key) for key in self._new])
            order(self._connection, self._project, ordered)
