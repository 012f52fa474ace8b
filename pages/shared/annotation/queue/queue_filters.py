"""The filters and the order of the queue."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared import session
from pages.shared.annotation.open_project import LABELS, OpenProject
from pages.shared.annotation.queue.queue_choice import ANY, ORDERS, TASKS
from pages.shared.annotation.tiers.label_tiers import choose_label_tier, label_tiers
from pages.shared.language import t, texts
from pages.shared.language.names import printable
from ser_core.annotations.annotation import STATUSES, Tier

OWNERS = texts({"me": "mine", "anybody": "anybody's"})

#: In little space the filters stand in several rows.
ROWS = """
<style>
  .st-key-queue_filters { container-type: inline-size; }
  @container (max-width: 45rem) {
    .st-key-queue_filters [data-testid="stColumn"] { min-width: min(100%, 8.2rem); }
  }
</style>
"""


def queue_filters(project: OpenProject, task: str) -> Tier | None:
    """Show the filters and the order; return the chosen tier of labels, or None for the marks of emotions."""
    st.html(ROWS)
    with st.container(key="queue_filters"):
        return _filters(project, task)


def _filters(project: OpenProject, task: str) -> Tier | None:
    tiers, sessions = label_tiers(project), project.store.recordings.sessions(project.id)
    if tiers or sessions:
        text_column, *optional_columns, label_column, owner_column = st.columns(
            3 + bool(tiers) + bool(sessions), vertical_alignment="bottom"
        )
        task_column, status_column, order_column = st.columns([1, 1, 2], vertical_alignment="bottom")
    else:
        columns = st.columns([2, 1.5, 1.2, 1.3, 1.3, 2], vertical_alignment="bottom")
        text_column, task_column, status_column, owner_column, label_column, order_column = columns
        optional_columns = [text_column]  # nothing is drawn there
    task_column.selectbox(
        t("Work"),
        list(TASKS),
        format_func=lambda task: t(TASKS[task]),
        help=t("*Assigned* and *sent back*: to the person under *Whose marks*. *Decided*: with a gold layer."),
        **session.widget("queue_task", task),
    )
    text_column.text_input(t("Name contains"), **session.widget("queue_text", session.choice("queue_text")))
    status_column.selectbox(
        t("Status"),
        [ANY, *STATUSES],
        format_func=t,
        **session.widget("queue_status", session.choice("queue_status")),
    )
    owner_column.selectbox(
        t("Whose marks"),
        list(OWNERS),
        format_func=lambda owner: t(OWNERS[owner]),
        help=t("Whose status and marks the filters refer to."),
        **session.widget("queue_whose", session.choice("queue_whose")),
    )
    with optional_columns[-1]:
        help_text = t("Whose marks are counted, found, and compared by *Rate the queue*.")
        tier = choose_label_tier(project, t("Tier"), help_text, width="stretch")
    with label_column:
        _label_filter(tier)
    _session_filter(sessions, optional_columns[0])
    order_column.selectbox(
        t("Order by"),
        list(ORDERS),
        format_func=lambda order: t(ORDERS[order]),
        **session.widget("queue_order", session.choice("queue_order")),
    )
    return tier


def _session_filter(sessions: Sequence[str], column: DeltaGenerator) -> None:
    """Show the filter by session, if the recordings have any."""
    if session.choice("queue_session") not in (ANY, *sessions):
        session.choose("queue_session", ANY)
    if sessions:
        column.selectbox(
            t("Session"),
            [ANY, *sessions],
            format_func=lambda name: t(name) if name == ANY else printable(name),
            **session.widget("queue_session", session.choice("queue_session")),
        )


def _label_filter(tier: Tier | None) -> None:
    labels = LABELS if tier is None else tier.labels
    if session.choice("queue_label") not in (ANY, *labels):
        session.choose("queue_label", ANY)
    st.selectbox(
        t("Marked emotion") if tier is None else t("Label"),
        [ANY, *labels],
        format_func=lambda label: t(label) if tier is None or label == ANY else printable(label),
        **session.widget("queue_label", session.choice("queue_label")),
    )
