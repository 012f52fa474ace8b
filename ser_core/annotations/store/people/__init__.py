"""The people of a project: their roles, the recordings assigned to them, and those sent back to them.

In a project without members, everybody may do everything that is not reserved for its owner. With members, the owner
and reviewers change others' marks and write the gold layer; everybody else changes only marks of their own.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, false, func, or_, select, update

from ser_core.annotations.annotation import (
    GOLD,
    RECORDING_TIER,
    REGION_TIER,
    AnnotatedRecording,
    Assignment,
    is_gold_name,
)
from ser_core.annotations.assignment import AssignmentPlan, draw_assignments
from ser_core.annotations.store.marks import Change, insert_into
from ser_core.annotations.store.people.ownership import first_contributor, owner_of
from ser_core.annotations.store.tables import (
    RECORDING_LABEL,
    assignments,
    marks,
    members,
    projects,
    recordings,
    tiers,
    valid_name,
    valid_text,
)
from ser_core.errors import AnnotationsRefused

OWNER, ANNOTATOR, REVIEWER = ROLES = ("owner", "annotator", "reviewer")
#: Roles that any number of people may have.
MEMBER_ROLES = (ANNOTATOR, REVIEWER)
MAX_REASON_LENGTH = 2_000

#: The condition for a label with which an annotator finished an assigned recording.
FINISHED = and_(
    marks.c.recording_id == assignments.c.recording_id,
    marks.c.annotator == assignments.c.annotator,
    RECORDING_LABEL,
    marks.c.status != "open",
)
#: The condition for an assignment that was sent back and is not finished since.
SENT_BACK = and_(assignments.c.reason != "", select(marks.c.key).where(FINISHED).limit(1).scalar_subquery().is_(None))


@dataclass(frozen=True)
class Person:
    """Somebody who has a role or recordings to annotate.

    Attributes
    ----------
    role : {"owner", "annotator", "reviewer"} or None
        None for somebody with assignments but without a role.
    assigned, finished, sent_back : int
        Recordings that are assigned to them; of these, those that they set to done, and those that were sent back and
        are not done since.
    """

    name: str
    role: str | None
    assigned: int = 0
    finished: int = 0
    sent_back: int = 0


# --- roles ---


def is_reviewer(project: int, person: str) -> ColumnElement[bool]:
    """Return the condition that somebody may change others' marks and write the gold layer."""
    role = select(members.c.role).where(members.c.project_id == project, members.c.person == person)
    any_member = select(members.c.person).where(members.c.project_id == project).limit(1)
    owner = select(projects.c.owner).where(projects.c.id == project)
    has_role = or_(role.scalar_subquery() == REVIEWER, owner.scalar_subquery() == person)
    return or_(any_member.scalar_subquery().is_(None), func.coalesce(has_role, false()))


def require_reviewer(may_review: bool, person: str, action: str) -> None:
    """Refuse an action to somebody who is neither the owner nor a reviewer."""
    if not may_review:
        raise AnnotationsRefused(
            f"{person} is an annotator here, and only reviewers and the project's owner can {action}. Nothing was "
            "changed; the owner can make you a reviewer."
        )


def require_review_rights(
    connection: Connection, project: int, may_review: bool, person: str, changes: Iterable[Change]
) -> None:
    """Refuse changes to others' emotions and labels, or to the gold layer, by somebody who may not review."""
    if may_review:
        return
    touched = [mark for change in changes for mark in (change.before, change.after) if mark is not None]
    others = [mark for mark in touched if mark.annotator not in (person, GOLD)]
    if any(mark.annotator == GOLD for mark in touched):
        require_reviewer(may_review, person, "change the gold layer")
    if not others:
        return
    in_project = select(tiers.c.key).where(tiers.c.project_id == project, tiers.c.content != "text")
    reviewed_tiers = {REGION_TIER, RECORDING_TIER, *connection.execute(in_project).scalars()}
    for mark in others:
        if mark.tier in reviewed_tiers or mark.emotion is not None:
            require_reviewer(may_review, person, f"make or change marks of {mark.annotator}")


def require_owner(connection: Connection, project: int, person: str) -> None:
    """Refuse somebody who does not own the project; one that nobody owns becomes theirs."""
    row = connection.execute(select(projects.c.owner).where(projects.c.id == project).with_for_update()).one_or_none()
    if row is None:
        raise AnnotationsRefused("This project is no longer there; choose another one.")
    owner = row.owner or first_contributor(connection, project) or person
    if owner != person:
        raise AnnotationsRefused(f"Only the project's owner, {owner}, can give roles and assign recordings. Ask them.")
    if row.owner is None:
        connection.execute(update(projects).where(projects.c.id == project).values(owner=owner))


def set_role(connection: Connection, project: int, person: str, name: str, role: str | None) -> None:
    """Give somebody a role, or None; a new owner replaces the old one, who becomes a reviewer."""
    if role not in (*ROLES, None):
        raise AnnotationsRefused(f"The role '{role}' is not known; choose {', '.join(ROLES)}.")
    require_owner(connection, project, person)
    if name == person:
        if role == OWNER:
            return
        raise AnnotationsRefused(f"A project needs an owner. Make somebody else its owner; {person} then reviews.")
    if role == OWNER:
        connection.execute(update(projects).where(projects.c.id == project).values(owner=name))
        _add_members(connection, project, {person: REVIEWER})
    if role in (OWNER, None):
        connection.execute(delete(members).where(members.c.project_id == project, members.c.person == name))
    else:
        _add_members(connection, project, {name: role})


def _add_members(connection: Connection, project: int, roles: Mapping[str, str]) -> None:
    statement = insert_into(connection, members)
    taken = {"role": statement.excluded.role}
    statement = statement.on_conflict_do_update(index_elements=["project_id", "person"], set_=taken)
    if roles:
        rows = [{"project_id": project, "person": who, "role": role} for who, role in roles.items()]
        connection.execute(statement, rows)


def add_roles(
    connection: Connection, project: int, person: str, documents: Iterable[AnnotatedRecording]
) -> tuple[bool, bool]:
    """Give people the roles that files name, if their owner imports them and they have none here.

    Returns
    -------
    may_review, is_owner : bool
        Whether the importer may write the gold layer, and give roles and assign recordings.
    """
    is_owner = owner_of(connection, project) in (None, person)
    roles: dict[str, str] = {}
    for document in documents:
        roles |= {valid_person(name): role for name, role in document.roles.items() if role in MEMBER_ROLES}
    if is_owner and roles:
        require_owner(connection, project, person)  # else a project without an owner would have no reviewer
        known = {*roles_of(connection, project), person}
        _add_members(connection, project, {name: role for name, role in roles.items() if name not in known})
    return bool(connection.execute(select(is_reviewer(project, person))).scalar_one()), is_owner


def roles_of(connection: Connection, project: int) -> dict[str, str]:
    """Return the roles of the members, which the owner is not, by name."""
    columns = select(members.c.person, members.c.role).where(members.c.project_id == project)
    return dict(tuple(row) for row in connection.execute(columns.order_by(members.c.person)))


def of_project(connection: Connection, project: int) -> tuple[Person, ...]:
    """Return the owner, the members, and everybody else who has recordings to annotate, by name."""
    roles = roles_of(connection, project)
    owner = owner_of(connection, project)
    if owner is not None:
        roles[owner] = OWNER
    is_finished = select(marks.c.key).where(FINISHED).limit(1).scalar_subquery().is_not(None)
    each = (
        select(assignments.c.annotator, is_finished.label("is_finished"), SENT_BACK.label("is_sent_back"))
        .join(recordings, recordings.c.id == assignments.c.recording_id)
        .where(recordings.c.project_id == project)
        .subquery()
    )
    sums = (func.sum(case((column, 1), else_=0)) for column in (each.c.is_finished, each.c.is_sent_back))
    rows = connection.execute(select(each.c.annotator, func.count(), *sums).group_by(each.c.annotator))
    counts = {name: tuple(numbers) for name, *numbers in rows}
    return tuple(Person(name, roles.get(name), *counts.get(name, ())) for name in sorted({*roles, *counts}))


# --- assignments ---


def assign(
    connection: Connection, project: int, person: str, annotators: Collection[str], plan: AssignmentPlan
) -> dict[str, tuple[str, ...]]:
    """Draw annotators for the recordings that have none, and return them by SHA-256."""
    require_owner(connection, project, person)
    load: dict[str, int] = {}
    free = {}
    joined = recordings.outerjoin(assignments, assignments.c.recording_id == recordings.c.id)
    columns = select(recordings.c.id, recordings.c.sha256, assignments.c.annotator).select_from(joined)
    for row in connection.execute(columns.where(recordings.c.project_id == project)):
        if row.annotator is None:
            free[row.sha256] = row.id
        else:
            load[row.annotator] = load.get(row.annotator, 0) + 1
    drawn = draw_assignments(list(free), annotators, plan, load)
    found = [(free[sha256], Assignment(name, plan.in_words())) for sha256, names in drawn.items() for name in names]
    add_assignments(connection, found)
    return drawn


def add_assignments(connection: Connection, found: Collection[tuple[int, Assignment]]) -> None:
    """Add assignments, each with the id of its recording; existing ones stay as they are."""
    rows = [vars(assignment) | {"recording_id": recording_id} for recording_id, assignment in found]
    if rows:
        connection.execute(insert_into(connection, assignments).on_conflict_do_nothing(), rows)


def has_drawn_work(connection: Connection, project: int, annotator: str) -> bool:
    """Return whether recordings were drawn for an annotator; being sent back also assigns one, but is not drawn."""
    of_project = assignments.c.recording_id == recordings.c.id, recordings.c.project_id == project
    drawn = assignments.c.annotator == annotator, assignments.c.drawn != ""
    return connection.execute(select(assignments.c.annotator).where(*of_project, *drawn).limit(1)).first() is not None


def unassign(connection: Connection, project: int, person: str, annotator: str) -> int:
    """Remove an annotator's unfinished assignments, and return their number."""
    require_owner(connection, project, person)
    of_project = assignments.c.recording_id.in_(select(recordings.c.id).where(recordings.c.project_id == project))
    finished = select(marks.c.key).where(FINISHED).limit(1).scalar_subquery().is_not(None)
    unfinished = of_project, assignments.c.annotator == annotator, ~finished
    return connection.execute(delete(assignments).where(*unfinished)).rowcount


def assignments_of(connection: Connection, ids: Collection[int]) -> dict[int, tuple[Assignment, ...]]:
    """Return the assignments of recordings by their ids, each in order of annotators."""
    found: dict[int, tuple[Assignment, ...]] = dict.fromkeys(ids, ())
    statement = select(assignments).where(assignments.c.recording_id.in_(ids))
    for row in connection.execute(statement.order_by(assignments.c.recording_id, assignments.c.annotator)):
        values = {name: value for name, value in row._mapping.items() if name != "recording_id"}
        found[row.recording_id] += (Assignment(**values),)
    return found


# --- sent back ---


def send_back(
    connection: Connection, recording_id: int, annotator: str, reason: str, person: str, at: datetime
) -> None:
    """Send a recording back to an annotator with a reason, and assign it to them if it is not."""
    values = {"reason": reason, "sent_back_by": person, "sent_back_at": at}
    statement = insert_into(connection, assignments).values(
        {"recording_id": recording_id, "annotator": annotator, "drawn": ""} | values
    )
    new: dict[str, Any] = {name: statement.excluded[name] for name in values}
    connection.execute(statement.on_conflict_do_update(index_elements=["recording_id", "annotator"], set_=new))


def withdraw(connection: Connection, recording_id: int, annotator: str) -> None:
    """Store that a recording is no longer sent back to an annotator, nor assigned to them if nobody drew it."""
    own = assignments.c.recording_id == recording_id, assignments.c.annotator == annotator
    connection.execute(delete(assignments).where(*own, assignments.c.drawn == ""))
    empty = {"reason": "", "sent_back_by": "", "sent_back_at": None}
    connection.execute(update(assignments).where(*own).values(empty))


def valid_assignment(found: Assignment) -> Assignment:
    """Return an imported assignment as the database stores it, or refuse it."""
    reason = valid_reason(found.reason) if found.reason else ""
    texts = {"drawn": found.drawn, "sent_back_by": found.sent_back_by}
    texts = {name: valid_text(value, "assignment") for name, value in texts.items()}
    return replace(found, annotator=valid_person(found.annotator), reason=reason, **texts)


def valid_reason(reason: str) -> str:
    """Return the reason for sending a recording back, without spaces around it, or refuse it."""
    reason = valid_text(reason, "reason").strip()
    if not reason:
        raise AnnotationsRefused("Say why the recording is sent back; its annotator reads it.")
    if len(reason) > MAX_REASON_LENGTH:
        raise AnnotationsRefused(f"The reason has {len(reason)} characters; at most {MAX_REASON_LENGTH} are allowed.")
    return reason


def valid_annotator(annotator: str) -> str:
    """Return the name of an annotator as marks store it."""
    return valid_name(annotator, "name of the annotator")


def valid_name_or_empty(name: str) -> str:
    """Return a name as marks store it, or "" for nobody."""
    return valid_annotator(name) if name.strip() else ""


def valid_person(name: str) -> str:
    """Return the name of a person, or refuse that of the gold layer."""
    name = valid_annotator(name)
    if is_gold_name(name):
        raise AnnotationsRefused(f"The name '{name}' is reserved for the gold layer. Give your own name.")
    return name
