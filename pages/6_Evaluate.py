"""The results of a model on held-out people and corpora, and of the paper's experiments."""

from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared import controls, frame, links, session
from pages.shared.language import recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.models import comparison_section, experiments_section, generalisation_section, model_figures
from pages.shared.models.model_figures import split_in_words
from ser_core.errors import SerError
from ser_core.learning.metrics import all_figures, headline
from ser_core.learning.predictions import Predictions, read_predictions
from ser_core.model.checkpoint import CORPORA_TABLE, FOLDS_TABLE, TEST_TABLE, read_card
from ser_core.model.shipped_models import find_model, model_names

ALL_FOLDS, NEW_CORPORA, OWN_TEST = texts(("all folds", "new corpora", "this model's own test"))
#: The split of a model whose card does not describe its test on new corpora.
DEFAULT_SPLIT = texts("each corpus left out of training in turn")


@st.cache_data(max_entries=16, show_spinner=False)
def tested(table: Path, written_ns: int) -> tuple[Predictions, dict[str, Any]]:
    """Return a table and its figures; `written_ns` makes the cache compute them again for a rewritten table."""
    predictions = read_predictions(table)
    return predictions, all_figures(predictions) | {"headline": headline(predictions)}


def current_table(table: Path) -> tuple[Predictions, dict[str, Any]]:
    """Return the current table and its figures."""
    with st.spinner(t("Computing figures and intervals")):
        return tested(table, table.stat().st_mtime_ns if table.is_file() else 0)


def chosen_table(folder: Path, card: dict[str, Any]) -> tuple[Path, str]:
    """Ask for one of the model's tests, if there are several; return its table and its split in words."""
    offered = {OWN_TEST: (folder / TEST_TABLE, split_in_words(str(card.get("split", ""))))}
    if (folder / CORPORA_TABLE).is_file():
        split = card.get("leave_one_corpus_out", {}).get("split", DEFAULT_SPLIT)
        offered = {NEW_CORPORA: (folder / CORPORA_TABLE, split_in_words(split))} | offered
    if "cross_validation" in card and (folder / FOLDS_TABLE).is_file():
        split = t(
            "{split}: each speaker was held out from the model that was tested on them",
            split=split_in_words(card["cross_validation"]["split"]),
        )
        offered = {ALL_FOLDS: (folder / FOLDS_TABLE, split)} | offered
    if len(offered) == 1:
        return offered[OWN_TEST]
    chosen = st.segmented_control(
        t("Tested on"),
        list(offered),
        format_func=t,
        default=next(iter(offered)),
        required=True,
        key="evaluate_tested",
        persist_state="session",
        help=t(
            "All folds: one model per fold, so that every speaker is tested once, by a model that was not "
            "trained on them; the sidebar offers the model of the first fold. New corpora: each corpus was "
            "held out from training in turn."
        ),
    )
    return offered.get(chosen, offered[OWN_TEST])


def show_figures(name: str) -> None:
    """Show the figures of a model, from the headline to its learning curves."""
    folder = find_model(name)
    card = read_card(folder)
    table, split = chosen_table(folder, card)
    predictions, figures = current_table(table)
    model_figures.show_headline(split, figures)
    model_figures.show_table(figures)
    generalisation_section.show(name, folder, card, current_table)
    comparison_section.show(name, predictions.emotions)
    model_figures.show_emotions(predictions, figures, by_others=table.name != TEST_TABLE)
    model_figures.show_calibration(figures, card.get("history", {}))


frame.begin(t("Evaluate"), "👂", t("How well does the model do on people it was not trained on?"))
controls.sidebar()
names = model_names()
if not names:
    st.stop()
name = session.choice("model") if session.choice("model") in names else names[0]
figures, experiments = links.tabs("evaluate_tab")
if figures.open:
    with figures:
        try:
            show_figures(name)
        except SerError as refusal:
            st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
if experiments.open:
    with experiments:
        experiments_section.show(names)
