"""The test of a model whose figures are shown: its table of predictions, and the split in words."""

from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared.language import t, texts
from pages.shared.models.model_figures import split_in_words
from ser_core.learning.metrics import all_figures, headline
from ser_core.learning.predictions import Predictions, read_predictions
from ser_core.model.checkpoint import CORPORA_TABLE, FOLDS_TABLE, TEST_TABLE

ALL_FOLDS, NEW_CORPORA, OWN_TEST = texts(("all folds", "new corpora", "this model's own test"))
#: The split of a model whose card does not describe its test on new corpora.
DEFAULT_SPLIT = texts("each corpus left out of training in turn")


@st.cache_data(max_entries=16, show_spinner=False)
def _read(table: Path, written_ns: int) -> tuple[Predictions, dict[str, Any]]:
    """Return a table and its figures; `written_ns` makes the cache compute them again for a rewritten table."""
    predictions = read_predictions(table)
    return predictions, all_figures(predictions) | {"headline": headline(predictions)}


def current_table(table: Path) -> tuple[Predictions, dict[str, Any]]:
    """Return the current table and its figures."""
    with st.spinner(t("Computing figures and intervals")):
        return _read(table, table.stat().st_mtime_ns if table.is_file() else 0)


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
            "trained on them; the sidebar offers the model of the first fold. New corpora: nothing of the corpus was "
            "in training."
        ),
    )
    return offered.get(chosen, offered[OWN_TEST])
