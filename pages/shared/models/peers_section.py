"""All models in the same test: the paper's system and its peers."""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import axes, experiments
from pages.shared.language import recognised, t
from pages.shared.language.names import in_markdown, printable
from pages.shared.models.comparison_section import points
from pages.shared.models.experiment_file import command, read_drawable_result, show_missing
from pages.shared.models.model_figures import split_in_words
from ser_core.experiments import COMPARISON


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
    st.dataframe(rows, hide_index=True, height="content", column_config=_columns(next(iter(result["models"]))))
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
        "UAR": 100 * model["uar"],
        "behind": "" if name == first else t("{gain} ({low} to {high})", gain=gain, low=low, high=high),
        "folds": t("{uar:.1f} % ({n:d})", uar=100 * folds["uar"], n=folds["count"]) if folds else "",
        "WA": 100 * model["accuracy"],
        "MAA": 100 * model["macro_average_accuracy"],
        "AUROC": model["auroc"],
        "numbers": model["numbers"] / 1e6,
        "training": model["training_seconds"] / 60,
        "after": model["learnt_from"] or "",
        "milliseconds": model["milliseconds"],
    }


def _columns(first: str) -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "model": st.column_config.TextColumn(t("Model"), pinned=True, width=170),
        "UAR": number("UAR", format="%.1f %%"),
        "behind": st.column_config.TextColumn(
            t("{first} minus it", first=printable(first)),
            help=t("Points of UAR on the same speakers, with 95 % interval."),
        ),
        "folds": st.column_config.TextColumn(
            t("Several folds"), help=t("UAR over several folds, if more than one was trained.")
        ),
        "WA": number("WA", format="%.1f %%", help=t("Weighted accuracy: over all recordings.")),
        "MAA": number(
            "MAA",
            format="%.1f %%",
            help=t("Macro-average accuracy: mean over emotions of the accuracy against all others."),
        ),
        "AUROC": number("AUROC", format="%.3f", help=t("Mean over emotions of the area under the ROC curve.")),
        "numbers": number(t("Parameters"), format="%.2f M"),
        "training": number(
            t("Training"),
            format="%.1f min",
            help=t("As measured; for some models while other jobs were running."),
        ),
        "after": st.column_config.TextColumn(t("Trained after"), help=t("Its training includes that of this network.")),
        "milliseconds": number(
            t("Prediction time"),
            format="%.0f ms",
            help=t("Scores and verdict of a recording, without decoding; median over several recordings."),
        ),
    }
