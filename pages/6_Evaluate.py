"""How well a model does on people whom it never heard."""

from typing import Any

import streamlit as st

from pages.shared import controls, frame, session
from pages.shared.charts import evaluation
from ser_core.checkpoint import TEST_TABLE, find_model, model_names, read_card
from ser_core.errors import SerError
from ser_core.learning.predictions import all_figures, read_predictions

ALL = "all corpora"


@st.cache_data(max_entries=16, show_spinner="Computing figures and intervals")
def figures_of(model: str, written_ns: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a model's card and its figures; `written_ns` tells a table from the one that stood there before."""
    folder = find_model(model)
    return read_card(folder), all_figures(read_predictions(folder / TEST_TABLE))


def show_headline(card: dict[str, Any], figures: dict[str, Any]) -> None:
    """Say the figure that counts, and how it came about."""
    pooled, worst = figures["pooled"], figures["worst_speaker"]
    one, two, three, four = st.columns(4)
    one.metric("UAR, mean over corpora", f"{100 * figures['mean_over_corpora_uar']:.1f} %")
    two.metric("Recordings", pooled["recordings"])
    three.metric("Speakers", pooled["speakers"])
    four.metric("Calibration error", f"{100 * figures['calibration']['expected_error']:.1f} %")
    st.caption(
        f"Split: {card['split']}. UAR is the mean of the emotions' recalls, by chance "
        f"{100 / len(card['emotions']):.0f} %. Intervals (95 %) resample speakers and are rough where there are few."
    )
    if worst:
        st.caption(
            f"The speaker heard worst is {worst['speaker']}: {100 * worst['accuracy']:.0f} % of "
            f"{worst['recordings']} recordings."
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


def show_charts(card: dict[str, Any], figures: dict[str, Any]) -> None:
    """Draw what is taken for what, how far scores can be trusted, and how the model learnt."""
    emotions = tuple(card["emotions"])
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**What is taken for what**")
        corpus = st.selectbox("Corpus", [ALL, *figures["corpora"]], key="evaluate_corpus", label_visibility="collapsed")
        shown = figures["pooled"] if corpus == ALL else figures["corpora"][corpus]
        st.plotly_chart(evaluation.confusion_chart(shown["confusion"], emotions), width="stretch")
    with right:
        st.markdown("**How often each emotion is found** · the dashed line is chance")
        st.plotly_chart(evaluation.recall_chart(figures["corpora"], emotions), width="stretch")
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
    card, figures = figures_of(name, table_file.stat().st_mtime_ns if table_file.is_file() else 0)
    show_headline(card, figures)
    show_table(figures)
    show_charts(card, figures)
except SerError as refusal:
    st.error(str(refusal), icon=":material/error:")
