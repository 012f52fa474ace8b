"""Hear what the model heard: the focus alone, all but the focus, and what the model says of either."""

import numpy as np
import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.charts.scores import scores_html
from ser_core.analysis import Analysis, Explanation
from ser_core.audible_focus import level_matched
from ser_core.classifier import Classifier
from ser_core.region_audio import wav_bytes

HELP = """
The strongest part of the map is the focus. What is taken out goes down to the recording's own noise floor, phases stay,
and the three sounds are equally loud. The model listens to each anew: a verdict that survives with the focus alone, and
falls without it, rests on what is marked.
"""


def show(analysis: Analysis, explanation: Explanation, classifier: Classifier) -> None:
    """Show the three sounds side by side with their scores."""
    st.markdown("**Hear what the model heard**", help=HELP)
    share = st.slider(
        "Focus, part of time and frequency (%)", 5, 60, step=5, **session.widget("share", session.choice("share"))
    )
    job = cached.hearing_focus(analysis, explanation, share / 100, classifier)
    heard = waiting.results({"focus": job}).get("focus")
    if heard is None:
        return
    original = analysis.recording.samples
    sounds = (
        ("The recording", original, analysis.scores.recording),
        ("The focus alone", heard.alone.samples, heard.alone.scores),
        ("All but the focus", heard.without.samples, heard.without.scores),
    )
    for column, (name, samples, scores) in zip(st.columns(3, gap="medium"), sounds, strict=True):
        column.markdown(name)
        column.audio(wav_bytes(level_matched(samples, original), analysis.recording.sample_rate_hz))
        column.html(scores_html(analysis.emotions, scores))
    st.caption(in_words(analysis.emotions, *(int(np.argmax(scores)) for _, _, scores in sounds)))


def in_words(emotions: tuple[str, ...], whole: int, alone: int, without: int) -> str:
    """Say whether the verdict survives with the focus alone, and whether it falls without it."""
    survives = "survives" if alone == whole else f"turns to {emotions[alone]}"
    falls = "stays" if without == whole else f"turns to {emotions[without]}"
    return f"The verdict {emotions[whole]} {survives} with the focus alone, and {falls} without it."
