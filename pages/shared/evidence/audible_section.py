"""Hear what the model heard: the focus alone, all but the focus, and what the model says of either."""

import numpy as np
import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.charts.scores import scores_html
from ser_core.analysis import Analysis, Explanation
from ser_core.model.classifier import Classifier
from ser_core.work.jobs import Job

HELP = """
The strongest part of the map is the focus. What is taken out goes down to the recording's own noise floor, phases stay,
and the three sounds are equally loud. Turn from one to another above the player, or with the keys 1, 2 and 3, even
while it plays. The model listens to each anew: a verdict that survives with the focus alone, and falls without it,
rests on what is marked.
"""


def hearing(analysis: Analysis, explanation: Explanation, classifier: Classifier) -> Job | None:
    """Return the job that makes the sounds, or None where nothing was heard."""
    if not explanation.covered.any():
        return None
    return cached.hearing_focus(analysis, explanation, session.choice("share") / 100, classifier)


def show(analysis: Analysis, hearing: Job) -> None:
    """Show what the model says of the three sounds, side by side."""
    st.markdown("**Hear what the model heard**", help=HELP)
    st.slider(
        "Focus, part of time and frequency (%)", 5, 60, step=5, **session.widget("share", session.choice("share"))
    )
    heard = waiting.results({"focus": hearing}).get("focus")
    if heard is None:
        return
    scored = (
        ("The recording", analysis.scores.recording),
        ("The focus alone", heard.alone.scores),
        ("All but the focus", heard.without.scores),
    )
    for column, (name, scores) in zip(st.columns(3, gap="medium"), scored, strict=True):
        column.markdown(name)
        column.html(scores_html(analysis.emotions, scores))
    st.caption(in_words(analysis.emotions, *(int(np.argmax(scores)) for _, scores in scored)))


def in_words(emotions: tuple[str, ...], whole: int, alone: int, without: int) -> str:
    """Say whether the verdict survives with the focus alone, and whether it falls without it."""
    survives = "survives" if alone == whole else f"turns to {emotions[alone]}"
    falls = "stays" if without == whole else f"turns to {emotions[without]}"
    return f"The verdict {emotions[whole]} {survives} with the focus alone, and {falls} without it."
