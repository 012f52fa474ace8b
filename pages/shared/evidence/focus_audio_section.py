"""The sound of the focus alone and of everything else, and the model's scores for both."""

from collections.abc import Hashable

import numpy as np
import streamlit as st

from pages.shared import session, waiting
from pages.shared.cached import explaining, sounds
from pages.shared.charts.scores import scores_html
from pages.shared.language import t, texts
from ser_core.analysis import Analysis, Explanation, Recording
from ser_core.explanation.focus_audio import FocusScores, focus_mask
from ser_core.model.classifier import Classifier
from ser_core.pipeline import focus_region_mask
from ser_core.work.jobs import Job

HELP = texts("""
Everything outside the focus, or the focus itself, is attenuated to the recording's noise floor; phases stay as they
are, and the three sounds are equally loud. Switch between them above the player, or with the keys 1, 2 and 3, even
while it plays. The model classifies each sound again: if the verdict stays on the focus alone and changes without it,
it rests on the focus.
""")
SOUNDS = texts({session.REGIONS: "The focus regions", session.POINTS: "The strongest points of the map"})
VERSIONS = texts({"the focus alone": "the focus alone", "everything else": "everything else"})
#: What the sounds are made of, and whether the verdict stays the same on it alone and without it.
IN_WORDS = texts(
    {
        (
            session.REGIONS,
            True,
            True,
        ): "From the focus alone, the verdict stays **{alone}** ({score:.2f}); without it, it stays the same.",
        (
            session.REGIONS,
            True,
            False,
        ): "From the focus alone, the verdict stays **{alone}** ({score:.2f}); without it, it becomes **{without}**.",
        (
            session.REGIONS,
            False,
            True,
        ): "From the focus alone, the verdict becomes **{alone}** ({score:.2f}); without it, it stays the same.",
        (
            session.REGIONS,
            False,
            False,
        ): "From the focus alone, the verdict becomes **{alone}** ({score:.2f}); without it, it becomes **{without}**.",
        (
            session.POINTS,
            True,
            True,
        ): "From the map's strongest points alone, the verdict stays **{alone}** ({score:.2f}); without them, it stays "
        "the same.",
        (
            session.POINTS,
            True,
            False,
        ): "From the map's strongest points alone, the verdict stays **{alone}** ({score:.2f}); without them, it "
        "becomes **{without}**.",
        (
            session.POINTS,
            False,
            True,
        ): "From the map's strongest points alone, the verdict becomes **{alone}** ({score:.2f}); without them, it "
        "stays the same.",
        (
            session.POINTS,
            False,
            False,
        ): "From the map's strongest points alone, the verdict becomes **{alone}** ({score:.2f}); without them, it "
        "becomes **{without}**.",
    }
)
NO_PART_DECIDES = texts(
    "No part of the speech does both, keep the verdict alone and change it when it is missing; this one comes closest."
)


def audio_job(analysis: Analysis, explanation: Explanation, classifier: Classifier) -> Job | None:
    """Return the job that makes and classifies the versions, or None if there is no focus."""
    if session.choice("audible") == session.POINTS:
        mask = focus_mask(explanation.relevance, explanation.covered, session.choice("map_share") / 100)
    else:
        mask = focus_region_mask(analysis)
    return explaining.focus_audio_job(analysis, mask, classifier) if mask.any() else None


def show(analysis: Analysis, job: Job | None) -> None:
    """Show the model's scores for the three sounds, side by side."""
    st.header(t("Scores with and without the focus"), divider="gray", help=t(HELP))
    by_points = session.choice("audible") == session.POINTS
    source, *share = st.columns([3, 2] if by_points else 1, gap="large", vertical_alignment="bottom")
    source.segmented_control(
        t("Sound of"),
        list(SOUNDS),
        format_func=lambda sound: t(SOUNDS[sound]),
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
        (t("The recording"), analysis.scores.recording),
        (t("The focus alone"), scores.alone.scores),
        (t("Everything else"), scores.without.scores),
    )
    for column, (name, each) in zip(st.columns(3, gap="medium"), shown, strict=True):
        column.markdown(name)
        column.html(scores_html(analysis.emotions, each))


def in_words(analysis: Analysis, scores: FocusScores) -> str:
    """Describe whether the verdict stays the same on the focus or the points alone, and whether it changes without.

    If the focus should decide but does not, add that no part does.
    """
    whole, alone, without = (
        int(np.argmax(each)) for each in (analysis.scores.recording, scores.alone.scores, scores.without.scores)
    )
    words = t(
        IN_WORDS[session.choice("audible"), alone == whole, without == whole],
        alone=t(analysis.emotions[alone]),
        score=float(scores.alone.scores[alone]),
        without=t(analysis.emotions[without]),
    )
    should_decide = (session.choice("focus_rule"), session.choice("audible")) == (session.DECIDING, session.REGIONS)
    if not should_decide or alone == whole != without:
        return words
    return f"{words} {t(NO_PART_DECIDES)}"


def sounds_of(key: Hashable, scores: FocusScores, recording: Recording) -> dict[str, bytes]:
    """Return the versions that the player offers, by name; `key` is the key of their job."""
    return {t(VERSIONS[name]): sound for name, sound in sounds.focus_sounds(key, scores, recording).items()}
