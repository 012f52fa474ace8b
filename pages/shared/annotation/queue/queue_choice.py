"""The queue as this visit has limited and ordered it."""

from collections.abc import Iterable

import streamlit as st

from pages.shared import session
from pages.shared.annotation.open_project import OpenProject
from pages.shared.language import texts
from ser_core.annotations.annotation import REGION_TIER
from ser_core.annotations.store.work_queue import Queue

ANY = texts("any")
#: Session key: the project and the tier whose labels were offered last.
LABELS_OF = "labels of"

#: Filters by assignment, with their names.
TASKS = texts(
    {
        ANY: "any",
        "assigned": "assigned",
        "sent back": "sent back",
        "unassigned": "not assigned",
        "gold": "decided (gold)",
    }
)

ORDERS = texts(
    {
        "added": "time added",
        "name": "name",
        "uncertainty": "model uncertainty, highest first",
        "explainers_disagreement": "explainer disagreement, highest first",
        "annotators_disagreement": "annotator disagreement, highest first",
    }
)


def task_of(project: OpenProject) -> str:
    """Return the task that the queue is limited to; by default "assigned" if any were drawn for them, else any.

    A recording that was only sent back to somebody who marks the whole project does not limit their queue to it.
    """
    defaults, key = st.session_state.setdefault("usual tasks", {}), (project.id, project.annotator)
    if key not in defaults:
        is_drawn = project.store.people.has_drawn_work(project.id, project.annotator)
        defaults[key] = "assigned" if is_drawn else ANY
    return session.choice("queue_task") or defaults[key]


def choose_recordings(project: OpenProject, sha256: Iterable[str], description: str) -> None:
    """Clear the filters of the queue, limit it to the given recordings, and open it."""
    for name in ("status", "label", "task", "session"):
        session.choose(f"queue_{name}", ANY)
    session.choose("queue_text", "")
    session.choose("queue_page", 0)
    session.choose("queue_among", (project.id, frozenset(sha256), description))
    session.choose("annotate_view", "Queue")


def chosen_recordings(project: OpenProject) -> tuple[frozenset[str], str] | None:
    """Return the recordings that the queue is limited to, and their description; None if it is not limited."""
    project_id, *chosen = session.choice("queue_among") or (None,)
    return tuple(chosen) if project_id == project.id else None


def queue_of(project: OpenProject) -> Queue:
    """Return the project's queue, filtered and ordered as this visit has chosen."""
    chosen = chosen_recordings(project)
    task = task_of(project)
    tier = session.choice("label_tier")
    is_tier_of_project = st.session_state.get(LABELS_OF) == (project.id, tier)
    return Queue(
        annotator=None if session.choice("queue_whose") != "me" else project.annotator,
        status=_filter("queue_status"),
        among=chosen[0] if chosen else None,
        task=None if task == ANY else task,
        label=_filter("queue_label") if is_tier_of_project else None,
        text=session.choice("queue_text"),
        order=session.choice("queue_order"),
        tier=tier if is_tier_of_project and tier != REGION_TIER else None,
        session=_filter("queue_session"),
    )


def _filter(name: str) -> str | None:
    choice = session.choice(name)
    return None if choice == ANY else choice
