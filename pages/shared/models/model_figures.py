"""The figures of a model: the one that counts, all by corpus and gender, by emotion, and how far to trust them."""

from typing import Any

import numpy as np
import streamlit as st

from pages.shared.charts import evaluation
from pages.shared.models import confusion_cell
from pages.shared.names import in_markdown
from ser_core.learning.headline import MEASURED
from ser_core.learning.predictions import Predictions

ALL = "all corpora"


def show_headline(split: str, figures: dict[str, Any]) -> None:
    """Say the figure that counts, and how it came about."""
    pooled, worst = figures["pooled"], figures["worst_speaker"]
    one, two, three, four = st.columns(4)
    uar, about = headline_words(figures)
    one.metric("UAR, mean over corpora", f"{100 * uar:.1f} %")
    two.metric("Recordings", pooled["recordings"])
    three.metric("Speakers", pooled["speakers"])
    four.metric("Calibration error", f"{100 * figures['calibration']['expected_error']:.1f} %")
    st.caption(
        f"Split: {in_markdown(split)}. UAR is the mean of the emotions' recalls, by chance "
        f"{100 / len(pooled['recall']):.0f} %. Intervals (95 %) resample speakers and are rough where there are few."
        f"{about}"
    )
    if worst:
        st.caption(
            f"The speaker heard worst is {in_markdown(worst['speaker'])}: {100 * worst['accuracy']:.0f} % of "
            f"{worst['recordings']} recordings."
        )


def headline_words(figures: dict[str, Any]) -> tuple[float, str]:
    """Return the mean that counts, and what to say of corpora whose words betray the emotion.

    They are left out of it where the table has the four corpora that are measured by now; the figures of earlier
    models, which knew no CREMA-D, stay as they were published.
    """
    found, every = figures["headline"], figures["mean_over_corpora_uar"]
    if not found["apart"]:
        return every, ""
    apart = ", ".join(map(in_markdown, found["apart"]))
    if set(MEASURED) <= set(found["corpora"]):
        return found["uar"], f" The mean leaves out {apart}, whose words betray the emotion."
    return every, (
        f" The mean includes {apart}, whose words betray the emotion; without it: {100 * found['uar']:.1f} %."
    )


def show_table(figures: dict[str, Any]) -> None:
    """List the corpora, then women and men where the corpora say so, then all together."""
    rows = {**figures["corpora"], **figures["gender"], "pooled": figures["pooled"]}
    st.dataframe(
        [
            {
                "": name,
                "UAR": 100 * f["uar"],
                "from": 100 * f["interval"][0],
                "to": 100 * f["interval"][1],
                "accuracy": 100 * f["accuracy"],
                "macro F1": 100 * f["macro_f1"],
                "recordings": f["recordings"],
                "speakers": f["speakers"],
            }
            for name, f in rows.items()
        ],
        hide_index=True,
        column_config={"": st.column_config.TextColumn("", width="medium")}
        | {
            name: st.column_config.NumberColumn(name, format="%.1f %%")
            for name in ("UAR", "from", "to", "accuracy", "macro F1")
        },
    )


def show_emotions(predictions: Predictions, figures: dict[str, Any]) -> None:
    """Draw how often each emotion is found and what is taken for what; let the recordings of a cell be heard."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**How often each emotion is found** · the dashed line is chance")
        st.plotly_chart(evaluation.recall_chart(figures["corpora"], predictions.emotions), width="stretch")
    with right:
        st.markdown("**What is taken for what**")
        corpus = st.selectbox(
            "Corpus",
            [ALL, *figures["corpora"]],
            key="evaluate_corpus",
            label_visibility="collapsed",
            persist_state="session",
        )
        shown = figures["pooled"] if corpus == ALL else figures["corpora"][corpus]
        confusion_cell.show_matrix(shown["confusion"], predictions.emotions)
    here = np.array([corpus in (ALL, its) for its in predictions.corpora])
    confusion_cell.show_recordings(predictions.of(here))


def show_trust(figures: dict[str, Any], history: dict[str, list[dict[str, float]]]) -> None:
    """Draw how far scores can be trusted, and how the model learnt."""
    left, right = st.columns(2, gap="large")
    left.markdown(
        "**Do scores mean what they say?** · all recordings together",
        help="On the diagonal, of all scores of 0.7 seven in ten are right.",
    )
    left.plotly_chart(evaluation.calibration_chart(figures["calibration"]), width="stretch")
    right.markdown(
        "**If it may stay silent** · all recordings together",
        help="From right to left only higher scores are given as an answer.",
    )
    right.plotly_chart(evaluation.abstention_chart(figures["abstention"]), width="stretch")
    if not any(len(epochs) > 1 for epochs in history.values()):
        return
    st.markdown("**How it learnt** · UAR on validation speakers, mean over corpora")
    st.plotly_chart(evaluation.history_chart(history), width="stretch")
