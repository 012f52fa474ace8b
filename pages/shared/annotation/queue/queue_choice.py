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

#: What the queue can be limited to, in words.
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
    """Return the task that the queue is limited to: by default to assigned recordings, if there are any."""
    usual, whose = st.session_state.setdefault("usual tasks", {}), (project.id, project.annotator)
    if whose not in usual:
        mine = Queue(annotator=project.annotator, task="assigned")
        usual[whose] = "assigned" if project.store.recordings.page(project.id, mine, size=1).total else ANY
    return session.choice("queue_task") or usual[whose]


def choose_recordings(project: OpenProject, sha256: Iterable[str], words: str) -> None:
    """Limit the queue to recordings, whatever its filters said, and open it; `words` say which they are."""
    for name in ("status", "label", "task", "session"):
        session.choose(f"queue_{name}", ANY)
    session.choose("queue_text", "")
    session.choose("queue_page", 0)
    session.choose("queue_among", (project.id, frozenset(sha256), words))
    session.choose("annotate_view", "Queue")


def chosen_recordings(project: OpenProject) -> tuple[frozenset[str], str] | None:
    """Return the recordings that the queue is limited to, and which they are in words; None if it is not."""
    of, *chosen = session.choice("queue_among") or (None,)
    return tuple(chosen) if of == project.id else None


def queue_of(project: OpenProject) -> Queue:
    """Return the project's queue, filtered and ordered as this visit has chosen."""
    tier = session.choice("label_tier")
    is_of_project = st.session_state.get(LABELS_OF) == (project.id, tier)
    label = session.choice("queue_label") if is_of_project else ANY
    return Queue(
        annotator=None if session.choice("queue_whose") != "me" else project.annotator,
        status=None if session.choice("queue_status") == ANY else session.choice("queue_status"),
        among=chosen[0] if (chosen := chosen_recordings(project)) else None,
        task=None if task_of(project) == ANY else task_of(project),
        label=None if label == ANY else label,
        text=session.choice("queue_text"),
        order=session.choice("queue_order"),
        tier=tier if is_of_project and tier != REGION_TIER else None,
        session=None if session.choice("queue_session") == ANY else session.choice("queue_session"),
    )
