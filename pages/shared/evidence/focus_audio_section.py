"""The sound of the focus alone and of everything else, and the model's scores for both."""

import numpy as np
import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.charts.scores import scores_html
from pages.shared.language import t
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation.focus import focus_frames
from ser_core.explanation.focus_audio import FocusScores, focus_mask
from ser_core.model.classifier import Classifier
from ser_core.work.jobs import Job

HELP = """
Everything outside the focus, or the focus itself, is attenuated to the recording's noise floor; phases stay as they
are, and the three sounds are equally loud. Switch between them above the player, or with the keys 1, 2 and 3, even
while it plays. The model classifies each sound again: if the verdict stays on the focus alone and changes without it,
it rests on the focus.
"""
SOUNDS = {session.REGIONS: "The focus regions", session.POINTS: "The strongest points of the map"}


def audio_job(analysis: Analysis, explanation: Explanation, classifier: Classifier) -> Job | None:
    """Return the job that makes and classifies the versions, or None if there is no focus."""
    if session.choice("audible") == session.POINTS:
        mask = focus_mask(explanation.relevance, explanation.covered, session.choice("map_share") / 100)
    else:
        inside = focus_frames(analysis.focus, analysis.spectrogram.frame_times_s)
        mask = np.repeat(inside[:, None], analysis.spectrogram.log_mel.shape[1], axis=1)
    return cached.focus_audio_job(analysis, mask, classifier) if mask.any() else None


def show(analysis: Analysis, job: Job | None) -> None:
    """Show the model's scores for the three sounds, side by side."""
    st.header(t("Scores with and without the focus"), divider="gray", help=HELP)
    by_points = session.choice("audible") == session.POINTS
    source, *share = st.columns([3, 2] if by_points else 1, gap="large", vertical_alignment="bottom")
    source.segmented_control(
        t("Sound of"),
        list(SOUNDS),
        format_func=SOUNDS.get,
        required=True,
        label_visibility="collapsed",
        **session.widget("audible", session.choice("audible")),
    )
    if by_points:
        share[0].slider(
            t("Share of time and frequency (%)"),
            5,
            60,
            step=5,
            **session.widget("map_share", session.choice("map_share")),
        )
    scores = job and waiting.results({"focus": job}).get("focus")
    if not scores:
        return
    shown = (
        ("The recording", analysis.scores.recording),
        ("The focus alone", scores.alone.scores),
        ("Everything else", scores.without.scores),
    )
    for column, (name, of_sound) in zip(st.columns(3, gap="medium"), shown, strict=True):
        column.markdown(name)
        column.html(scores_html(analysis.emotions, of_sound))


def in_words(analysis: Analysis, scores: FocusScores) -> str:
    """Say whether the verdict stays the same on the focus alone, and whether it changes without it."""
    whole, alone, without = (
        int(np.argmax(each)) for each in (analysis.scores.recording, scores.alone.scores, scores.without.scores)
    )
    emotions = analysis.emotions
    with_it = f"stays **{emotions[whole]}**" if alone == whole else f"becomes **{emotions[alone]}**"
    without_it = "stays the same" if without == whole else f"becomes **{emotions[without]}**"
    return f"From it alone, the verdict {with_it} ({scores.alone.scores[alone]:.2f}); without it, it {without_it}."
