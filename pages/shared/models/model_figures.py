"""The figures of a model: headline, by corpus and gender, by emotion, calibration and abstention."""

from typing import Any

import numpy as np
import streamlit as st

from pages.shared.charts import axes, evaluation
from pages.shared.language import recognised, t, texts
from pages.shared.language.names import corpus_name, in_markdown, speaker_name, with_corpus_names
from pages.shared.models import confusion_cell
from ser_core.learning.metrics import COMPARED_CORPORA
from ser_core.learning.predictions import Predictions

ALL = texts("all corpora")


def split_in_words(split: str) -> str:
    """Return the description of a split in this visit's language; each part is translated as a sentence."""
    return with_corpus_names("; ".join(map(recognised, split.split("; "))))


def show_headline(split: str, figures: dict[str, Any]) -> None:
    """Show the headline figures, and how they were measured."""
    pooled, worst = figures["pooled"], figures["worst_speaker"]
    first, second, third, fourth = st.columns(4)
    uar, note = headline_words(figures)
    low, high = figures["headline"]["interval"]
    interval = t("95 % interval {low:.0f} to {high:.0f} %", low=100 * low, high=100 * high)
    first.metric(
        t("UAR, mean over corpora"),
        t("{percent:.1f} %", percent=100 * uar),
        interval if uar == figures["headline"]["uar"] else None,
        delta_color="off",
        delta_arrow="off",
    )
    second.metric(t("Recordings"), pooled["recordings"])
    third.metric(t("Speakers"), pooled["speakers"])
    error = 100 * figures["calibration"]["expected_error"]
    fourth.metric(t("Calibration error, pooled"), t("{percent:.1f} %", percent=error))
    measured = t(
        "Split: {split}. UAR is the mean of the emotions' recalls; chance is {chance:.0f} %. Intervals (95 %) resample "
        "speakers; with few speakers they are rough.",
        split=in_markdown(split),
        chance=100 / len(pooled["recall"]),
    )
    st.caption(f"{measured} {note}".strip())
    if worst:
        st.caption(
            t(
                "Lowest accuracy of a speaker: {speaker}, {accuracy:.0f} % of {recordings} recordings.",
                speaker=in_markdown(speaker_name(worst["speaker"])),
                accuracy=100 * worst["accuracy"],
                recordings=worst["recordings"],
            )
        )


def headline_words(figures: dict[str, Any]) -> tuple[float, str]:
    """Return the headline UAR, and a note on corpora whose words give the emotion away.

    The mean leaves these corpora out if the table has the four corpora that are measured now. Earlier models were
    tested without CREMA-D; their figures stay as published.
    """
    headline, uar_of_all = figures["headline"], figures["mean_over_corpora_uar"]
    if not headline["apart"]:
        return uar_of_all, ""
    apart = ", ".join(in_markdown(corpus_name(corpus)) for corpus in headline["apart"])
    if set(COMPARED_CORPORA) <= set(headline["corpora"]):
        return headline["uar"], t("The mean leaves out {names}, whose words give the emotion away.", names=apart)
    return uar_of_all, t(
        "The mean includes {names}, whose words give the emotion away; without it: {uar:.1f} %.",
        names=apart,
        uar=100 * headline["uar"],
    )


def show_table(figures: dict[str, Any]) -> None:
    """List the figures by corpus, by gender where it is known, and pooled."""
    genders = {recognised(gender): found for gender, found in figures["gender"].items()}
    corpora = {corpus_name(corpus): found for corpus, found in figures["corpora"].items()}
    rows = {**corpora, **genders, t("pooled"): figures["pooled"]}
    st.dataframe(
        [
            {
                "tested on": name,
                "UAR": with_interval(f),
                "accuracy": t("{percent:.1f} %", percent=100 * f["accuracy"]),
                "macro F1": t("{percent:.1f} %", percent=100 * f["macro_f1"]),
                "recordings": f["recordings"],
                "speakers": f["speakers"],
            }
            for name, f in rows.items()
        ],
        hide_index=True,
        column_config={
            "tested on": st.column_config.TextColumn(t("tested on"), width="medium"),
            "UAR": st.column_config.TextColumn(
                t("UAR (95 % interval)"), alignment="right", help=t("The interval resamples speakers.")
            ),
            "accuracy": st.column_config.TextColumn(t("accuracy"), alignment="right"),
            "macro F1": st.column_config.TextColumn(t("macro F1"), alignment="right"),
            "recordings": t("recordings"),
            "speakers": t("speakers"),
        },
    )


def with_interval(figures: dict[str, Any]) -> str:
    """Return a UAR with its 95 % interval."""
    low, high = figures["interval"]
    return t("{uar:.1f} % ({low:.0f} to {high:.0f})", uar=100 * figures["uar"], low=100 * low, high=100 * high)


def show_emotions(predictions: Predictions, figures: dict[str, Any], *, by_others: bool) -> None:
    """Draw recalls and the confusion matrix, and list the recordings of a cell.

    `by_others`: whether the predictions are by models of other folds or corpora than the one that the app explains.
    """
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(t("**Recall by emotion** (dashed line: chance)"))
        st.plotly_chart(
            evaluation.recall_chart(figures["corpora"], predictions.emotions), width="stretch", config=axes.config()
        )
    with right:
        st.markdown(t("**Confusion matrix**"))
        corpus = st.selectbox(
            t("Corpus"),
            [ALL, *figures["corpora"]],
            format_func=lambda name: t(ALL) if name == ALL else corpus_name(name),
            key="evaluate_corpus",
            label_visibility="collapsed",
            persist_state="session",
        )
        shown = figures["pooled"] if corpus == ALL else figures["corpora"][corpus]
        confusion_cell.show_matrix(shown["confusion"], predictions.emotions)
    in_corpus = np.array([corpus in (ALL, name) for name in predictions.corpora])
    confusion_cell.show_recordings(predictions.subset(in_corpus), by_others=by_others)


def show_calibration(figures: dict[str, Any], history: dict[str, list[dict[str, float]]]) -> None:
    """Draw calibration, abstention and learning curves."""
    left, right = st.columns(2, gap="large")
    left.markdown(
        t("**Calibration**, all recordings pooled"),
        help=t("On the diagonal, a score of 0.7 is right seven times in ten."),
    )
    left.plotly_chart(evaluation.calibration_chart(figures["calibration"]), width="stretch", config=axes.config())
    right.markdown(
        t("**Abstention**, all recordings pooled"),
        help=t("What the model gains if it answers only above a minimum score, which rises from right to left."),
    )
    right.plotly_chart(evaluation.abstention_chart(figures["abstention"]), width="stretch", config=axes.config())
    if not any(len(epochs) > 1 for epochs in history.values()):
        return
    st.markdown(t("**Learning curves** · UAR on validation speakers, mean over corpora"))
    st.plotly_chart(evaluation.history_chart(history), width="stretch", config=axes.config())
