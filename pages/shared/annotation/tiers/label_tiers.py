"""The tiers of labels, and the choice of one whose labels count instead of the marks of emotions."""

from collections.abc import Mapping

import streamlit as st

from pages.shared import session
from pages.shared.annotation.open_project import OpenProject
from pages.shared.annotation.queue.queue_choice import ANY, LABELS_OF
from pages.shared.language import t, texts
from pages.shared.language.names import printable
from ser_core.annotations.annotation import REGION_TIER, Tier
from ser_core.annotations.store.work_queue import Queue

MARKS_OF_EMOTIONS = texts("marks of emotions")


def choose_label_tier(
    project: OpenProject,
    label: str,
    help_text: str,
    default_name: str = MARKS_OF_EMOTIONS,
    width: int | str = 260,
) -> Tier | None:
    """Show the choice of the labels that count, the same for all views; return None for the marks of emotions.

    In a project without a tier of labels, nothing is shown.
    """
    tiers = label_tiers(project)
    if session.choice("label_tier") not in (REGION_TIER, *tiers):
        session.choose("label_tier", _default_tier(project, tiers))
    _reset_label_filter(project)
    if not tiers:
        return None
    st.selectbox(
        label,
        [REGION_TIER, *tiers],
        format_func=lambda key: t(default_name) if key == REGION_TIER else printable(tiers[key].name),
        width=width,
        help=help_text,
        **session.widget("label_tier", session.choice("label_tier")),
    )
    return tiers.get(session.choice("label_tier"))


def _reset_label_filter(project: OpenProject) -> None:
    """Remove the queue's filter by label as soon as the labels of another tier or project are offered."""
    current = project.id, session.choice("label_tier")
    if st.session_state.setdefault(LABELS_OF, current) != current:
        st.session_state[LABELS_OF] = current
        session.choose("queue_label", ANY)


def label_tiers(project: OpenProject) -> dict[str, Tier]:
    """Return the tiers whose labels can count instead of the marks of emotions, by key."""
    tiers = project.store.tiers.of(project.id)
    return {tier.key: tier for tier in tiers if tier.content == "labels"}


def _default_tier(project: OpenProject, tiers: Mapping[str, Tier]) -> str:
    """Return the key of the tier of emotions or, if nobody has marked any, of the first tier of labels."""
    if not tiers or project.store.recordings.page(project.id, Queue(marked=True), size=1).total:
        return REGION_TIER
    return next(iter(tiers))
