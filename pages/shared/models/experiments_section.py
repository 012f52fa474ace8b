"""What the paper's experiments gave with the models here, or the command that makes what is missing."""

import shlex
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import experiments as charts
from pages.shared.models import peers_section
from pages.shared.models.comparison_section import points, side_of_zero
from pages.shared.models.experiment_file import command, read_result_drawn, show_missing
from pages.shared.names import in_markdown
from ser_core.errors import SerError
from ser_core.experiments.results_page import PAPER_ACCURACY, PAPER_MINUTES
from ser_core.model.checkpoint import find_model, read_card
from ser_core.model.networks import NETWORKS

CONFIG = {"displayModeBar": False}
#: What a rank correlation of two maps says, from which value on.
LIKENESS = {
    0.5: "the branches look at much the same",
    0.2: "the branches look at partly the same",
    -0.2: "the branches look at different things",
    -1.0: "the branches look at opposite things",
}


def show(models: Sequence[str]) -> None:
    """Show every experiment, one below the other."""
    peers_section.show()
    show_selection()
    show_bands()
    show_branches()
    show_robustness(models)


def show_selection() -> None:
    """Show what data selection saves and costs, for the network that is chosen, then for all together."""
    st.subheader("What data selection saves and costs", help="Figs. 20, 22 and 23 and Table 5 of the paper.")
    names = {network: f"selection-{network}" for network in charts.NETWORKS}
    found = {network: result for network, name in names.items() if (result := read_result_drawn(name, _selected))}
    missing = {one: command("experiment selection", f"--network {one}") for one in names if one not in found}
    if found:
        _show_selection(found)
    show_missing(missing, len(names))


def _show_selection(found: dict[str, dict[str, Any]]) -> None:
    network = max(found, key=lambda one: len(found[one]["rules"]))
    if len(found) > 1:
        network = st.segmented_control(
            "Network",
            list(found),
            format_func=charts.NETWORKS.get,
            default=network,
            required=True,
            key="evaluate_selection",
            persist_state="session",
        )
    words, beside, saving, cost, recalls = _selection(found[network])
    st.markdown(words)
    st.caption(beside)
    left, right = st.columns(2, gap="large")
    left.markdown("**What each rule leaves to learn from**")
    left.plotly_chart(saving, config=CONFIG)
    right.markdown(
        "**What that costs** · UAR, mean over corpora",
        help="At the right the difference to all segments on the same recordings, with its 95 % interval.",
    )
    right.plotly_chart(cost, config=CONFIG)
    left, right = st.columns(2, gap="large")
    left.markdown("**How often each emotion is found** · all corpora")
    left.plotly_chart(recalls, config=CONFIG)
    right.markdown("**Accuracy, UAR and F1**", help="UAR: mean over corpora. Accuracy and F1: all corpora together.")
    right.plotly_chart(charts.networks_chart(found), config=CONFIG)


def _selected(result: dict[str, Any]) -> object:
    return _selection(result), charts.networks_chart({next(iter(charts.NETWORKS)): result})


def _selection(result: dict[str, Any]) -> tuple[str, str, go.Figure, go.Figure, go.Figure]:
    """Return the experiment in words, how it was done, and its figures."""
    rules = result["rules"]
    before, after = (rules[rule]["figures"]["pooled"]["recall"] for rule in ("none", "minmax"))
    folds = f"fold{'s' if len(result['folds']) > 1 else ''} {', '.join(f'{fold:d}' for fold in result['folds'])}"
    chosen = 100 * rules["minmax"]["selected_test"]["mean_over_corpora_uar"]
    words = (
        "Learnt from what Gaussian data selection leaves instead of from all segments, the UAR changes by "
        f"{_difference(rules['minmax'])}."
    ) + "".join(
        f" Compared with dropping as many segments *{charts.BESIDE[rule]}* it is {_difference(found)}."
        for rule, found in result["minmax_minus"].items()
    )
    beside = (
        f"The threshold is {result['threshold']:g}, the highest that cost at most half a point on validation "
        f"speakers. Tested on {folds} of 5, on all segments; on selected ones, as in the paper, the "
        f"UAR is {chosen:.1f} %. The paper, on other data: accuracy {PAPER_ACCURACY['none']} % before and "
        f"{PAPER_ACCURACY['minmax']} % after, training {PAPER_MINUTES['none']} and {PAPER_MINUTES['minmax']} min."
    )
    return words, beside, charts.saving_chart(rules), charts.cost_chart(rules), charts.recalls_chart(before, after)


def _difference(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    shown = "" if side_of_zero((low, high)) else ", no difference is shown"
    return f"{points(found['gain'])} points ({points(low)} to {points(high)}{shown})"


def show_bands() -> None:
    """Show which frequencies speak for which emotion."""
    st.subheader("Which frequencies speak for which emotion", help="Fig. 24 of the paper.")
    result = read_result_drawn("bands", _bands)
    if result is None:
        show_missing({"bands": command("experiment bands")}, 1)
        return
    words, figure = _bands(result)
    st.markdown(words)
    st.plotly_chart(figure, config=CONFIG)


def _bands(result: dict[str, Any]) -> tuple[str, go.Figure]:
    recordings = sum(found["recordings"] for found in result["emotions"].values())
    corpora = ", ".join(in_markdown(corpus) for corpus in result["corpora"])
    words = (
        f"Grad-CAM of {in_markdown(result['model'])} for the emotion that was acted, on {recordings} recordings of "
        f"{corpora} that the model never heard. Above zero a band speaks for the emotion, below against it; speakers "
        "and corpora count equally, and intervals (95 %) draw speakers anew. The paper finds higher frequencies active "
        "for anger and happiness, lower ones for neutral and sad speech."
    )
    return words, charts.bands_chart(result)


def show_branches() -> None:
    """Show where both branches look in one segment, and how alike their maps are in all."""
    st.subheader("Where VGGish and YAMNet look in the same segment", help="Fig. 7 of the paper.")
    result = read_result_drawn("branches", _branches)
    if result is None:
        show_missing({"branches": command("experiment branches")}, 1)
        return
    words, figures = _branches(result)
    st.markdown(words)
    for column, (title, figure) in zip(st.columns(3), figures.items(), strict=True):
        column.markdown(f"**{title}**")
        column.plotly_chart(figure, config=CONFIG)


def _branches(result: dict[str, Any]) -> tuple[str, dict[str, go.Figure]]:
    example, cells = result["example"], result["cells"]
    middle, low, high = (_signed(value) for value in (result["rank_correlation"], *result["quartiles"]))
    words = (
        f"Rank correlation of the two maps: **{middle}**, the median of {result['recordings']:d} recordings (quartiles "
        f"{low} to {high}): {_likeness(result['rank_correlation'])}. Shown is the segment that "
        f"{in_markdown(result['model'])} is surest of: {in_markdown(example['emotion'])}, score "
        f"{example['score']:.2f}, from {in_markdown(example['corpus'])}."
    )
    figures = {"Log-mel spectrogram": charts.segment_chart(example["log_mel"])}
    for branch, map_ in example["maps"].items():
        title = f"{charts.NETWORKS[branch]} · {cells[branch][0]:d} by {cells[branch][1]:d} cells"
        figures[title] = charts.branch_chart(example["log_mel"], map_)
    return words, figures


def _likeness(correlation: float) -> str:
    for least, words in LIKENESS.items():
        if correlation >= least:
            return words
    raise ValueError(f"{correlation} is no correlation")


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def show_robustness(models: Sequence[str]) -> None:
    """Show how the models stand worse sound."""
    st.subheader("How models stand worse sound", help="Noise, another level, lines and a room, put on by the computer.")
    names = {model: f"robustness-{model}" for model in models}
    found = {model: result for model, name in names.items() if (result := read_result_drawn(name, _robustness))}
    missing = {
        model: command("experiment robustness", f"--model {shlex.quote(model)}")
        for model in models
        if model not in found and _is_ours(model)
    }
    if found:
        st.plotly_chart(charts.robustness_chart(found), config=CONFIG)
        splits = [f"{in_markdown(model)}: {in_markdown(result['split'])}" for model, result in found.items()]
        st.caption("  \n".join(splits))
    show_missing(missing, len(names))


def _is_ours(model: str) -> bool:
    try:
        return read_card(find_model(model)).get("architecture") in NETWORKS
    except SerError:
        return False


def _robustness(result: dict[str, Any]) -> tuple[str, go.Figure]:
    return in_markdown(result["split"]), charts.robustness_chart({"": result})
