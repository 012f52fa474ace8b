"""How well a model does on people whom it never heard."""

from typing import Any

import numpy as np
import streamlit as st

from pages.shared import confusion_cell, controls, frame, model_figures, session
from pages.shared.charts import evaluation
from ser_core.checkpoint import TEST_TABLE, find_model, model_names, read_card
from ser_core.errors import SerError
from ser_core.learning.predictions import Predictions, all_figures, read_predictions

ALL = "all corpora"


@st.cache_data(max_entries=16, show_spinner="Computing figures and intervals")
def tested(model: str, written_ns: int) -> tuple[dict[str, Any], Predictions, dict[str, Any]]:
    """Return a model's card, table and figures; `written_ns` tells a table from the one that stood there before."""
    folder = find_model(model)
    predictions = read_predictions(folder / TEST_TABLE)
    return read_card(folder), predictions, all_figures(predictions)


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


def show_trust(card: dict[str, Any], figures: dict[str, Any]) -> None:
    """Draw how far scores can be trusted, and how the model learnt."""
    left, right = st.columns(2, gap="large")
    left.markdown(
        "**Do scores mean what they say?**", help="On the diagonal, of all scores of 0.7 seven in ten are right."
    )
    left.plotly_chart(evaluation.calibration_chart(figures["calibration"]), width="stretch")
    right.markdown("**If it may stay silent**", help="From right to left only higher scores are given as an answer.")
    right.plotly_chart(evaluation.abstention_chart(figures["abstention"]), width="stretch")
    st.markdown("**How it learnt** · UAR on validation speakers, mean over corpora")
    st.plotly_chart(evaluation.history_chart(card["history"]), width="stretch")


frame.begin("Evaluate", "👂", "How well does the model do on people whom it never heard?")
controls.sidebar()
names = model_names()
if not names:
    st.stop()
name = session.choice("model") if session.choice("model") in names else names[0]
try:
    table_file = find_model(name) / TEST_TABLE
    card, predictions, figures = tested(name, table_file.stat().st_mtime_ns if table_file.is_file() else 0)
    model_figures.show_headline(card, figures)
    model_figures.show_table(figures)
    show_emotions(predictions, figures)
    show_trust(card, figures)
except SerError as refusal:
    st.error(str(refusal), icon=":material/error:")
