"""Results on held-out people and corpora, with and without a voice's own normal; calibration and abstention."""

import pickle
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from pages.shared.charts import axes
from pages.shared.charts import generalisation as charts
from pages.shared.language import recognised, t, texts
from pages.shared.language.names import corpus_name, in_markdown
from pages.shared.models.comparison_section import points, side_of_zero
from pages.shared.models.experiment_file import read_drawable_result
from pages.shared.models.model_figures import with_interval
from ser_core.analysis.emotions import EMOTION_SETS
from ser_core.corpora.listeners import restrict_recall
from ser_core.errors import SerError
from ser_core.learning.metrics import APART, PairedDifference, paired_difference
from ser_core.learning.plan import FROZEN
from ser_core.learning.predictions import Predictions, describe_test, tables_of
from ser_core.model.networks import NETWORKS

Tested = Callable[[Path], tuple[Predictions, dict[str, Any]]]
MEASURES = texts({"uar": "UAR", "accuracy": "accuracy"})
#: Long heads take several lines, and figures with their intervals one.
EQUAL_COLUMNS = """
<style>
  .st-key-figures_by_corpus table { table-layout: fixed; width: 100%; min-width: 40rem; }
</style>
"""
HELP = texts(
    "New people: held out from training, while other people of their corpus were in it. New corpora: the whole corpus "
    "was held out from training, so microphone, language and acting are new too. A voice's own normal: how the model "
    "usually judges this voice; its scores are shifted so that over its recordings all emotions come out equally "
    "often."
)


def show(name: str, folder: Path, card: dict[str, Any], tested: Tested) -> None:
    """Show a model's tests side by side, and if there is no test on new corpora, the command that makes it."""
    st.header(t("New people and new corpora"), help=t(HELP))
    tables, headlines = {}, {}
    for test, file in tables_of(folder).items():
        tables[test], figures = tested(file)
        headlines[test] = figures["headline"]
    if len(headlines) > 1:
        _show_tables(tables, headlines, {test: recognised(describe_test(test, card)) for test in headlines})
    if "corpora" not in headlines:
        st.caption(
            t(
                ":material/terminal: No figures for new corpora yet. This command retrains the model without "
                "each corpus in turn, tests it on that corpus, and adds the figures:"
            )
        )
        st.code(_command(name, card), language="bash", wrap_lines=True)


def _command(name: str, card: dict[str, Any]) -> str:
    """Return the command that tests a model's training recipe on new corpora."""
    emotions = next((key for key, each in EMOTION_SETS.items() if list(each) == card.get("emotions")), "core4")
    recipe = f"--network {card.get('architecture')} --emotions {emotions} --preset {card.get('preset', 'default')}"
    corpora = " ".join(f'--corpus "{corpus}=$SER_CORPORA/{corpus}"' for corpus in card.get("corpora", ()))
    options = f"--split corpus --fold all --figures-of {shlex.quote(name)}"
    # Without these weights YAMNet starts from the shipped model, which was trained on people of every corpus.
    starts_from_yamnet = card.get("architecture") in NETWORKS.keys() - FROZEN.keys()
    weights = "SER_YAMNET_WEIGHTS=FILE " if starts_from_yamnet else ""
    return f"{weights}python -m ser_core train {options} {recipe} {corpora or '--corpus NAME=FOLDER'}"


def _show_tables(tables: dict[str, Predictions], headlines: dict[str, dict[str, Any]], words: dict[str, str]) -> None:
    emotions = next(iter(tables.values())).emotions
    tested_corpora = {corpus for headline in headlines.values() for corpus in headline["by_corpus"]}
    corpora = sorted(tested_corpora, key=lambda corpus: (corpus in APART, corpus))
    listeners = _listeners(emotions, corpora)
    st.plotly_chart(
        charts.uar_chart(
            headlines,
            words,
            corpora,
            1 / len(emotions),
            {corpus: people["uar"] for corpus, people in listeners.items()},
        ),
        config=axes.config(buttons=False),
    )
    st.caption(_means_in_words(headlines, words))
    _show_figures(headlines, words, corpora)
    for test in ("people", "corpora"):
        if f"{test}_voice" in tables and test in tables:
            st.markdown(_voice_words(tables[f"{test}_voice"], tables[test], words[test]))
    for corpus, people in listeners.items():
        st.markdown(_listeners_words(corpus, people, headlines, words))
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(
            t("**Calibration**, mean over corpora"),
            help=t(
                "On the diagonal, a score of 0.7 is right seven times in ten. The error is the expected "
                "calibration error, mean over corpora. In the curve, too, the corpora of the mean have equal "
                "weight."
            ),
        )
        st.plotly_chart(charts.reliability_chart(headlines, words), config=axes.config(buttons=False))
    with right:
        measure = st.segmented_control(
            t("**Abstention**, mean over corpora"),
            list(MEASURES),
            format_func=lambda one: t(MEASURES[one]),
            default="uar",
            required=True,
            key="evaluate_abstention",
            persist_state="session",
            help=t("What the model gains if it answers only above a minimum score, which rises from right to left."),
        )
        st.plotly_chart(charts.abstention_chart(headlines, words, measure), config=axes.config(buttons=False))


def _means_in_words(headlines: dict[str, dict[str, Any]], words: dict[str, str]) -> str:
    """Name the corpora in each mean."""
    sets: dict[tuple[str, ...], list[str]] = {}
    for test, headline in headlines.items():
        sets.setdefault(tuple(headline["corpora"]), []).append(words[test])
    means = "; ".join(
        f"{', '.join(in_markdown(corpus_name(corpus)) for corpus in corpora)}"
        + (f" ({', '.join(ways)})" if len(sets) > 1 else "")
        for corpora, ways in sets.items()
    )
    apart = sorted({corpus for headline in headlines.values() for corpus in headline["apart"]})
    words = [t("Mean over {means}.", means=means)]
    if apart:
        names = ", ".join(in_markdown(corpus_name(corpus)) for corpus in apart)
        words.append(t("Not included: {names}, whose words give the emotion away.", names=names))
    return " ".join([*words, t("Intervals (95 %) resample speakers within each corpus.")])


def _show_figures(headlines: dict[str, dict[str, Any]], words: dict[str, str], corpora: list[str]) -> None:
    """List UAR and calibration error by corpus. The heads of static tables wrap, so that no column is out of sight."""
    st.html(EQUAL_COLUMNS)
    shown = st.container(key="figures_by_corpus")
    columns = {
        t("UAR (95 % interval)"): with_interval,
        t("Calibration error"): lambda f: t("{percent:.1f} %", percent=100 * f["expected_calibration_error"]),
    }
    for title, figure_in_words in columns.items():
        rows = []
        for row in ["mean", *corpora]:
            figures = {
                test: headline if row == "mean" else headline["by_corpus"].get(row)
                for test, headline in headlines.items()
            }
            name = t("mean") if row == "mean" else in_markdown(corpus_name(row))
            rows.append(
                {title: name}
                | {words[test]: figure_in_words(found) if found else "" for test, found in figures.items()}
            )
        shown.table(rows, hide_index=True)


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs={Predictions: pickle.dumps})
def _gain(with_normal: Predictions, without: Predictions) -> PairedDifference:
    """Return the gain by the voice's own normal in the corpora whose words do not give the emotion away.

    It is cached because resampling speakers takes as long as the rest of a run of the page.
    """
    return paired_difference(
        *(table.subset(np.array([corpus not in APART for corpus in table.corpora])) for table in (with_normal, without))
    )


def _voice_words(with_normal: Predictions, without: Predictions, test: str) -> str:
    """Describe the gain by the voice's own normal, mean over corpora."""
    try:
        difference = _gain(with_normal, without)
    except SerError as refusal:
        return t("The voice's own normal, {test}: {refusal}", test=test, refusal=in_markdown(recognised(str(refusal))))
    low, high = difference.interval
    return t(
        "The voice's own normal, {test}: **{gain} points** of UAR ({low} to {high}) on {recordings} recordings of "
        "{speakers} speakers."
        if side_of_zero(difference.interval) and difference.speakers > len(difference.corpora)
        else "The voice's own normal, {test}: **{gain} points** of UAR ({low} to {high}) on {recordings} recordings "
        "of {speakers} speakers; no significant difference.",
        test=test,
        gain=points(difference.gain),
        low=points(low),
        high=points(high),
        recordings=difference.recordings,
        speakers=difference.speakers,
    )


def _listeners(emotions: tuple[str, ...], corpora: list[str]) -> dict[str, dict[str, Any]]:
    """Return the recalls of human listeners for these emotions, by corpus, if they are known."""

    def listeners_of(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
        recalls = {
            corpus: restrict_recall(result["corpora"][corpus], emotions)
            for corpus in corpora
            if corpus in result["corpora"]
        }
        return {corpus: people for corpus, people in recalls.items() if people}

    result = read_drawable_result("listeners", listeners_of)
    return listeners_of(result) if result else {}


def _listeners_words(
    corpus: str, people: dict[str, Any], headlines: dict[str, dict[str, Any]], words: dict[str, str]
) -> str:
    recalls = ", ".join(
        f"{t(emotion)} {t('{percent:.0f} %', percent=100 * recall)}" for emotion, recall in people["recall"].items()
    )
    models = ", ".join(
        t("{uar:.1f} % ({test})", uar=100 * headline["by_corpus"][corpus]["uar"], test=words[test])
        for test, headline in headlines.items()
        if corpus in headline["by_corpus"]
    )
    return t(
        "**{corpus}: human listeners, from the voice alone, reach a UAR of {uar:.1f} %** ({recalls}), choosing among "
        "six emotions. The model: {models}, choosing among its own emotions.",
        corpus=in_markdown(corpus_name(corpus)),
        uar=100 * people["uar"],
        recalls=recalls,
        models=models,
    )
