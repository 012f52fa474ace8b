"""The tiers of labels, and the choice of which labels count in the views."""

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


def label_tier(
    project: OpenProject,
    label: str,
    words: str,
    usual: str = MARKS_OF_EMOTIONS,
    width: int | str = 260,
) -> Tier | None:
    """Ask which labels count, in one choice for all views; None for the usual ones: the marks of emotions.

    Without a tier of labels there is nothing to choose, and nothing is shown.
    """
    tiers = label_tiers(project)
    if session.choice("label_tier") not in (REGION_TIER, *tiers):
        session.choose("label_tier", _first_choice(project, tiers))
    _forget_label_of_another_tier(project)
    if not tiers:
        return None
    st.selectbox(
        label,
        [REGION_TIER, *tiers],
        format_func=lambda key: t(usual) if key == REGION_TIER else printable(tiers[key].name),
        width=width,
        help=words,
        **session.widget("label_tier", session.choice("label_tier")),
    )
    return tiers.get(session.choice("label_tier"))


def _forget_label_of_another_tier(project: OpenProject) -> None:
    """Let the queue find any label once labels of another tier, or of another project, are offered."""
    now = project.id, session.choice("label_tier")
    if st.session_state.setdefault(LABELS_OF, now) != now:
        st.session_state[LABELS_OF] = now
        session.choose("queue_label", ANY)


def label_tiers(project: OpenProject) -> dict[str, Tier]:
    """Return the tiers whose labels can count instead of the marks of emotions, by key."""
    tiers = project.store.tiers.of(project.id)
    return {tier.key: tier for tier in tiers if tier.content == "labels"}


def _first_choice(project: OpenProject, tiers: Mapping[str, Tier]) -> str:
    """Return the tier of emotions or, where nobody has marked any, the first tier of labels."""
    if not tiers or project.store.recordings.page(project.id, Queue(marked=True), size=1).total:
        return REGION_TIER
    return next(iter(tiers))
