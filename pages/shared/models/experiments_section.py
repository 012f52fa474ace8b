"""Results of the paper's experiments with these models, or the commands that compute them."""

import shlex
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import experiments as charts
from pages.shared.language import number, plural, t, texts
from pages.shared.language.names import corpus_name, in_markdown
from pages.shared.models import peers_section
from pages.shared.models.comparison_section import points, side_of_zero
from pages.shared.models.experiment_file import command, read_result_drawn, show_missing
from pages.shared.models.model_figures import split_in_words
from ser_core.errors import SerError
from ser_core.experiments.results_page import PAPER_ACCURACY, PAPER_MINUTES
from ser_core.model.checkpoint import find_model, read_card
from ser_core.model.networks import NETWORKS

CONFIG = {"displayModeBar": False}
#: From this word error rate on, no word counts as understood.
UNINTELLIGIBLE = 0.9
#: What a rank correlation of two maps means, by its lowest value.
SIMILARITY = texts(
    {
        0.5: "the branches use much the same parts",
        0.2: "the branches use partly the same parts",
        -0.2: "the branches use different parts",
        -1.0: "the branches use opposite parts",
    }
)
#: Sentences in results of earlier versions.
texts(
    (
        "none of the {speakers} test speakers were trained on",
        "the model's own split: {split}",
        "{name} tells other emotions apart ({emotions}).",
    )
)


def show(models: Sequence[str]) -> None:
    """Show every experiment, one below the other."""
    peers_section.show()
    show_selection()
    show_bands()
    show_branches()
    show_robustness(models)
    show_content(models)


def show_selection() -> None:
    """Show the effect of data selection on training time and UAR, for one network and for all."""
    st.header(t("Data selection: training time and UAR"), help=t("Figs. 20, 22 and 23 and Table 5 of the paper."))
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
            t("Network"),
            list(found),
            format_func=lambda one: t(charts.NETWORKS[one]),
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
    left.plotly_chart(saving, config=CONFIG)
    right.markdown(
        t("**UAR**, mean over corpora"),
        help=t("Right: the difference from training on all segments, on the same recordings, with its 95 % interval."),
    )
    right.plotly_chart(cost, config=CONFIG)
    left, right = st.columns(2, gap="large")
    left.markdown(t("**Recall by emotion**, all corpora"))
    left.plotly_chart(recalls, config=CONFIG)
    right.markdown(
        t("**Accuracy, UAR and F1**"), help=t("UAR: mean over corpora. Accuracy and F1: all corpora together.")
    )
    right.plotly_chart(charts.networks_chart(found), config=CONFIG)


def _selected(result: dict[str, Any]) -> object:
    return _selection(result), charts.networks_chart({next(iter(charts.NETWORKS)): result})


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


def show_bands() -> None:
    """Show which frequencies speak for which emotion."""
    st.header(t("Frequencies by emotion"), help=t("Fig. 24 of the paper."))
    result = read_result_drawn("bands", _bands)
    if result is None:
        show_missing({"bands": command("experiment bands")}, 1)
        return
    words, figure = _bands(result)
    st.markdown(words)
    st.plotly_chart(figure, config=CONFIG)


def _bands(result: dict[str, Any]) -> tuple[str, go.Figure]:
    recordings = sum(found["recordings"] for found in result["emotions"].values())
    corpora = ", ".join(in_markdown(corpus_name(corpus)) for corpus in result["corpora"])
    words = t(
        "Grad-CAM of {model} for the acted emotion, on {recordings} held-out recordings of {corpora}. Above zero a "
        "band is evidence for the emotion, below zero against it. Speakers and corpora have equal weight; intervals "
        "(95 %) resample speakers. In the paper, higher frequencies are active for anger and happiness, lower ones "
        "for neutral and sad speech.",
        model=in_markdown(result["model"]),
        recordings=recordings,
        corpora=corpora,
    )
    return words, charts.bands_chart(result)


def show_branches() -> None:
    """Show the maps of both branches for one segment, and how similar they are in all recordings."""
    st.header(t("VGGish and YAMNet on the same segment"), help=t("Fig. 7 of the paper."))
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
    words = t(
        "Rank correlation of the two maps: **{middle}**, the median of {recordings:d} recordings (quartiles {low} to "
        "{high}): {similarity}. The segment shown is the one that {model} is surest of: {emotion}, score {score:.2f}, "
        "from {corpus}.",
        middle=middle,
        recordings=result["recordings"],
        low=low,
        high=high,
        similarity=_similarity(result["rank_correlation"]),
        model=in_markdown(result["model"]),
        emotion=in_markdown(t(example["emotion"])),
        score=example["score"],
        corpus=in_markdown(corpus_name(example["corpus"])),
    )
    figures = {t("Log-mel spectrogram"): charts.segment_chart(example["log_mel"])}
    for branch, map_ in example["maps"].items():
        rows, columns = cells[branch]
        title = t(
            "{network} · {rows:d} by {columns:d} cells",
            network=t(charts.NETWORKS[branch]),
            rows=rows,
            columns=columns,
        )
        figures[title] = charts.branch_chart(example["log_mel"], map_)
    return words, figures


def _similarity(correlation: float) -> str:
    for least, words in SIMILARITY.items():
        if correlation >= least:
            return t(words)
    raise ValueError(f"{correlation} is not a correlation")


def _signed(value: float) -> str:
    return number(value, ".2f")


def show_robustness(models: Sequence[str]) -> None:
    """Show the robustness of the models to degraded audio."""
    st.header(t("Robustness"), help=t("To simulated noise, gain, phone band and reverberation."))
    names = {model: f"robustness-{model}" for model in models}
    found = {model: result for model, name in names.items() if (result := read_result_drawn(name, _robustness))}
    missing = {
        model: command("experiment robustness", f"--model {shlex.quote(model)}")
        for model in models
        if model not in found and _is_ours(model)
    }
    if found:
        st.plotly_chart(charts.robustness_chart(found), config=CONFIG)
        splits = [f"{in_markdown(model)}: {_split(result)}" for model, result in found.items()]
        st.caption("  \n".join(splits))
    show_missing(missing, len(names))


def show_content(models: Sequence[str]) -> None:
    """Show what is left of the verdict where no word is understood, or the pitch is gone."""
    st.header(
        t("Content or voice"),
        help=t(
            "*Low-pass*: below 400 Hz. *Hum*: pitch and loudness over time, with one spectrum throughout. "
            "*Backwards*: every sound, reversed in time. *Whispered*: the words without a pitch."
        ),
    )
    names = {model: f"content-{model}" for model in models}
    found = {model: result for model, name in names.items() if (result := read_result_drawn(name, _content))}
    if found:
        words = [_content(result)[0] for result in found.values()]
        st.markdown("  \n".join(words))
        st.plotly_chart(charts.content_chart(found), config=CONFIG)
        st.caption(
            t(
                "Means over corpora, with 95 % intervals from resampled speakers. Words are compared with those "
                "that Whisper base understands as recorded. In these corpora each sentence is said in every "
                "emotion, so no word can tell emotions apart: what is lost without them is the sound of speech, "
                "not its meaning. Every masking sounds strange to a model, and Whisper's features know words, so "
                "part of the loss may come from that."
            )
        )
    first = next(iter(models), None)
    missing = {first: command("experiment content", f"--model {shlex.quote(first)}")} if first and not found else {}
    show_missing(missing, 1)


def _content(result: dict[str, Any]) -> tuple[str, go.Figure]:
    whole, *others = result["conditions"].values()
    unintelligible = [c for c in others if c["word_error_rate"][0] > UNINTELLIGIBLE]
    best = max((c["uar"] for c in unintelligible), default=None)
    said = t(
        "{model}, {recordings} recordings of {speakers} unseen speakers: UAR {uar} as recorded."
        if best is None
        else "{model}, {recordings} recordings of {speakers} unseen speakers: UAR {uar} as recorded, at most {best} "
        "where no word is understood.",
        model=in_markdown(result["model"]),
        recordings=result["recordings"],
        speakers=result["speakers"],
        uar=_with_interval(whole["uar"]),
        best=best and _with_interval(best),
    )
    return said, charts.content_chart({"": result})


def _with_interval(figures: Sequence[float]) -> str:
    mean, low, high = (100 * figure for figure in figures)
    return t("{mean:.0f} % ({low:.0f} to {high:.0f})", mean=mean, low=low, high=high)


def _is_ours(model: str) -> bool:
    try:
        return read_card(find_model(model)).get("architecture") in NETWORKS
    except SerError:
        return False


def _robustness(result: dict[str, Any]) -> tuple[str, go.Figure]:
    return _split(result), charts.robustness_chart({"": result})


def _split(result: dict[str, Any]) -> str:
    return in_markdown(split_in_words(result["split"]))
