"""All models in the same test: the paper's system and its peers."""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import axes, experiments
from pages.shared.language import number_column, recognised, t
from pages.shared.language.names import in_markdown, printable
from pages.shared.models.comparison_section import points
from pages.shared.models.experiment_file import command, read_drawable_result, show_missing
from pages.shared.models.model_figures import split_in_words
from ser_core.experiments import COMPARISON

#: The columns of two tables, each as wide as a window of 1280 pixels leaves.
FIGURES = ("model", "UAR", "behind", "folds", "WA", "MAA", "AUROC")
COSTS = ("model", "numbers", "training", "after", "milliseconds")


def show() -> None:
    """Draw the UAR of every model, and list their costs."""
    st.header(t("Comparison with peers"), help=t("Peers: small versions of the systems in the paper's Table 1."))
    result = read_drawable_result(COMPARISON, _draw)
    if result is None:
        show_missing({COMPARISON: command("compare --models all --split speaker")}, 1)
        return
    words, figure, rows = _draw(result)
    st.markdown(words)
    st.plotly_chart(figure, config=axes.config(buttons=False))
    columns = _columns(next(iter(result["models"])))
    st.dataframe(rows, hide_index=True, height="content", column_order=FIGURES, column_config=columns)
    with st.expander(t("Size and speed"), icon=":material/speed:"):
        st.dataframe(rows, hide_index=True, height="content", column_order=COSTS, column_config=columns)
    for name, reason in result["left_out"].items():
        st.caption(t("Without {name}: {reason}", name=in_markdown(name), reason=in_markdown(recognised(reason))))


def _draw(result: dict[str, Any]) -> tuple[str, go.Figure, list[dict[str, Any]]]:
    """Return the method in words, the chart, and the rows of the table."""
    models = dict(sorted(result["models"].items(), key=lambda item: -item[1]["uar"]))
    words = t(
        "All models on the same {recordings:d} recordings of {speakers:d} held-out speakers. Split: {split}. UAR, mean "
        "over corpora; intervals (95 %) resample speakers. The peers are trained for few epochs after their "
        "descriptions, without our augmentation and AudioSet weights.",
        recordings=result["recordings"],
        speakers=result["speakers"],
        split=in_markdown(split_in_words(result["split"])),
    )
    first = next(iter(result["models"]))
    return words, experiments.peers_chart(models), [_row(name, model, first) for name, model in models.items()]


def _row(name: str, model: dict[str, Any], first: str) -> dict[str, Any]:
    low, high = map(points, model["gain_interval"])
    folds, gain = model["folds"], points(model["gain"])
    return {
        "model": printable(name),
        "UAR": round(100 * model["uar"], 1),
        "behind": "" if name == first else t("{gain} ({low} to {high})", gain=gain, low=low, high=high),
        "folds": t("{uar:.1f} % ({n:d})", uar=100 * folds["uar"], n=folds["count"]) if folds else "",
        "WA": round(100 * model["accuracy"], 1),
        "MAA": round(100 * model["macro_average_accuracy"], 1),
        "AUROC": None if model["auroc"] is None else round(model["auroc"], 3),
        "numbers": round(model["numbers"] / 1e6, 2),
        "training": round(model["training_seconds"] / 60, 1),
        "after": model["learnt_from"] or "",
        "milliseconds": round(model["milliseconds"]),
    }


def _columns(first: str) -> dict[str, Any]:
    return {
        "model": st.column_config.TextColumn(t("Model"), pinned=True, width=170),
        "UAR": number_column(t("UAR (%)"), 1),
        "behind": st.column_config.TextColumn(
            t("{first} minus it", first=printable(first)),
            help=t("Points of UAR on the same speakers, with 95 % interval."),
        ),
        "folds": st.column_config.TextColumn(
            t("Several folds"), help=t("UAR over several folds, if more than one was trained.")
        ),
        "WA": number_column("WA (%)", 1, t("Weighted accuracy: over all recordings.")),
        "MAA": number_column(
            "MAA (%)",
            1,
            t("Macro-average accuracy: mean over emotions of the accuracy against all others."),
        ),
        "AUROC": number_column("AUROC", 3, t("Mean over emotions of the area under the ROC curve.")),
        "numbers": number_column(t("Parameters (M)"), 2),
        "training": number_column(
            t("Training (min)"),
            1,
            t("As measured; for some models while other jobs were running."),
        ),
        "after": st.column_config.TextColumn(t("Trained after"), help=t("Its training includes that of this network.")),
        "milliseconds": number_column(
            t("Prediction (ms)"),
            0,
            t("Scores and verdict of a recording, without decoding; median over several recordings."),
        ),
    }
