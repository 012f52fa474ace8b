"""The experiment on data selection: time saved and UAR lost by training on the selected segments."""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import axes
from pages.shared.charts import selection as charts
from pages.shared.charts.experiments import NETWORKS
from pages.shared.language import plural, t
from pages.shared.models.comparison_section import points, side_of_zero
from pages.shared.models.experiment_file import command, read_drawable_result, show_missing
from ser_core.experiments.experiment_sections import PAPER_ACCURACY, PAPER_MINUTES


def show() -> None:
    """Show the effect of data selection on training time and UAR, for one network and for all."""
    st.header(t("Data selection: training time and UAR"), help=t("Figs. 20, 22 and 23 and Table 5 of the paper."))
    names = {network: f"selection-{network}" for network in NETWORKS}
    found = {network: result for network, name in names.items() if (result := read_drawable_result(name, _draw))}
    missing = {one: command("experiment selection", f"--network {one}") for one in names if one not in found}
    if found:
        _show_found(found)
    show_missing(missing, len(names))


def _show_found(found: dict[str, dict[str, Any]]) -> None:
    network = max(found, key=lambda one: len(found[one]["rules"]))
    if len(found) > 1:
        network = st.segmented_control(
            t("Network"),
            list(found),
            format_func=lambda one: t(NETWORKS[one]),
            default=network,
            required=True,
            key="evaluate_selection",
            persist_state="session",
        )
    words, method, saving, cost, recalls = _selection(found[network])
    st.markdown(words)
    st.caption(method)
    left, right = st.columns(2, gap="large")
    left.markdown(t("**Training segments and time**"))
    left.plotly_chart(saving, config=axes.config(buttons=False))
    right.markdown(
        t("**UAR**, mean over corpora"),
        help=t("Right: the difference from training on all segments, on the same recordings, with its 95 % interval."),
    )
    right.plotly_chart(cost, config=axes.config(buttons=False))
    left, right = st.columns(2, gap="large")
    left.markdown(t("**Recall by emotion**, all corpora"))
    left.plotly_chart(recalls, config=axes.config(buttons=False))
    right.markdown(
        t("**Accuracy, UAR and F1**"), help=t("UAR: mean over corpora. Accuracy and F1: all corpora together.")
    )
    right.plotly_chart(charts.networks_chart(found), config=axes.config(buttons=False))


def _draw(result: dict[str, Any]) -> object:
    return _selection(result), charts.networks_chart({next(iter(NETWORKS)): result})


def _selection(result: dict[str, Any]) -> tuple[str, str, go.Figure, go.Figure, go.Figure]:
    """Return the result in words, the method in words, and the charts."""
    rules = result["rules"]
    before, after = (rules[rule]["figures"]["pooled"]["recall"] for rule in ("none", "minmax"))
    words = [
        t(
            "Training on the segments that Gaussian data selection selects, instead of all, changes the UAR by "
            "{difference}.",
            difference=_difference(rules["minmax"]),
        )
    ]
    words += [
        t(
            "Compared with dropping as many of *{others}*: {difference}.",
            others=t(charts.BASELINES[rule]),
            difference=_difference(found),
        )
        for rule, found in result["minmax_minus"].items()
    ]
    return (
        " ".join(words),
        _method(result),
        charts.saving_chart(rules),
        charts.cost_chart(rules),
        charts.recalls_chart(before, after),
    )


def _method(result: dict[str, Any]) -> str:
    folds = result["folds"]
    return " ".join(
        [
            t(
                "The threshold is {threshold:g}, the highest that costs at most half a point on the validation "
                "speakers.",
                threshold=result["threshold"],
            ),
            plural(
                len(folds),
                "Tested on fold {folds} of 5, on all segments; on selected segments, as in the paper, the UAR is "
                "{uar:.1f} %.",
                "Tested on folds {folds} of 5, on all segments; on selected segments, as in the paper, the UAR is "
                "{uar:.1f} %.",
                folds=", ".join(f"{fold:d}" for fold in folds),
                uar=100 * result["rules"]["minmax"]["selected_test"]["mean_over_corpora_uar"],
            ),
            t(
                "The paper, on other data: accuracy {before} % before and {after} % after selection, training "
                "{before_min} and {after_min} min.",
                before=PAPER_ACCURACY["none"],
                after=PAPER_ACCURACY["minmax"],
                before_min=PAPER_MINUTES["none"],
                after_min=PAPER_MINUTES["minmax"],
            ),
        ]
    )


def _difference(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return t(
        "{gain} points ({low} to {high})"
        if side_of_zero((low, high))
        else "{gain} points ({low} to {high}; no significant difference)",
        gain=points(found["gain"]),
        low=points(low),
        high=points(high),
    )
