"""Results of the paper's experiments with these models, or the commands that compute them."""

import shlex
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.shared.charts import axes
from pages.shared.charts import experiments as charts
from pages.shared.language import number, t, texts
from pages.shared.language.names import corpus_name, in_markdown
from pages.shared.models import peers_section, selection_cost_section
from pages.shared.models.experiment_file import command, read_drawable_result, show_missing
from pages.shared.models.model_figures import split_in_words
from ser_core.errors import SerError
from ser_core.model.checkpoint import read_card
from ser_core.model.networks import NETWORKS
from ser_core.model.shipped_models import find_model

#: Above this word error rate, no word counts as understood.
UNINTELLIGIBLE = 0.9
#: Meaning of a rank correlation of two maps, by its lowest value.
SIMILARITY = texts(
    {
        0.5: "the branches use much the same parts",
        0.2: "the branches use partly the same parts",
        -0.2: "the branches use different parts",
        -1.0: "the branches use opposite parts",
    }
)
#: Sentences in results of earlier versions, which the catalogues must have.
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
    selection_cost_section.show()
    show_bands()
    show_branches()
    show_robustness(models)
    show_content(models)


def show_bands() -> None:
    """Show which frequencies speak for which emotion."""
    st.header(t("Frequencies by emotion"), help=t("Fig. 24 of the paper."))
    result = read_drawable_result("bands", _bands)
    if result is None:
        show_missing({"bands": command("experiment bands")}, 1)
        return
    words, figure = _bands(result)
    st.markdown(words)
    st.plotly_chart(figure, config=axes.config(buttons=False))


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
    result = read_drawable_result("branches", _branches)
    if result is None:
        show_missing({"branches": command("experiment branches")}, 1)
        return
    words, figures = _branches(result)
    st.markdown(words)
    for column, (title, figure) in zip(st.columns(3), figures.items(), strict=True):
        column.markdown(f"**{title}**")
        column.plotly_chart(figure, config=axes.config(buttons=False))


def _branches(result: dict[str, Any]) -> tuple[str, dict[str, go.Figure]]:
    example, cells = result["example"], result["cells"]
    median, low, high = (number(value, ".2f") for value in (result["rank_correlation"], *result["quartiles"]))
    words = t(
        "Rank correlation of the two maps: **{median}**, the median of {recordings:d} recordings (quartiles {low} to "
        "{high}): {similarity}. The segment shown is the one that {model} is surest of: {emotion}, score {score:.2f}, "
        "from {corpus}.",
        median=median,
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
    for lowest, words in SIMILARITY.items():
        if correlation >= lowest:
            return t(words)
    raise ValueError(f"{correlation} is not a correlation")


def show_robustness(models: Sequence[str]) -> None:
    """Show the robustness of the models to degraded audio."""
    st.header(t("Robustness"), help=t("To simulated noise, gain, phone band and reverberation."))
    names = {model: f"robustness-{model}" for model in models}
    found = {model: result for model, name in names.items() if (result := read_drawable_result(name, _robustness))}
    missing = {
        model: command("experiment robustness", f"--model {shlex.quote(model)}")
        for model in models
        if model not in found and _is_ours(model)
    }
    if found:
        st.plotly_chart(charts.robustness_chart(found), config=axes.config(buttons=False))
        splits = [f"{in_markdown(model)}: {_split(result)}" for model, result in found.items()]
        st.caption("  \n".join(splits))
    show_missing(missing, len(names))


def show_content(models: Sequence[str]) -> None:
    """Show how well models do if no word is understood, or without pitch."""
    st.header(
        t("Content or voice"),
        help=t(
            "*Low-pass*: below 400 Hz. *Hum*: pitch and loudness over time, with one spectrum throughout. "
            "*Backwards*: every sound, reversed in time. *Whispered*: the words without a pitch."
        ),
    )
    names = {model: f"content-{model}" for model in models}
    found = {model: result for model, name in names.items() if (result := read_drawable_result(name, _content))}
    if found:
        words = [_content(result)[0] for result in found.values()]
        st.markdown("  \n".join(words))
        st.plotly_chart(charts.content_chart(found), config=axes.config(buttons=False))
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
    words = t(
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
    return words, charts.content_chart({"": result})


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
