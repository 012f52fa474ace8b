"""How well a model does on people whom it never heard, and what the paper's experiments give."""

from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared import comparison_section, controls, experiments_section, frame, model_figures, session
from pages.shared.names import in_markdown
from ser_core.checkpoint import FOLDS_TABLE, TEST_TABLE, find_model, model_names, read_card
from ser_core.errors import SerError
from ser_core.learning.predictions import Predictions, all_figures, read_predictions

ALL_FOLDS, OWN_TEST = "all folds", "this model's own test"
EACH_NEW = ": each speaker was tested by the model that never heard them"


@st.cache_data(max_entries=16, show_spinner="Computing figures and intervals")
def tested(table: Path, written_ns: int) -> tuple[Predictions, dict[str, Any]]:
    """Return a table and its figures; `written_ns` tells a table from the one that stood there before."""
    predictions = read_predictions(table)
    return predictions, all_figures(predictions)


def chosen_table(folder: Path, card: dict[str, Any]) -> tuple[Path, str]:
    """Ask which test counts where the model was trained on several folds; return its table, and its split in words."""
    own, folds = folder / TEST_TABLE, folder / FOLDS_TABLE
    if "cross_validation" not in card or not folds.is_file():
        return own, str(card.get("split", ""))
    chosen = st.segmented_control(
        "Tested on",
        [ALL_FOLDS, OWN_TEST],
        default=ALL_FOLDS,
        required=True,
        key="evaluate_tested",
        persist_state="session",
        help="The same training on several folds gives several models, so that everybody is tested once. The one that "
        "you can choose in the sidebar is the first of them.",
    )
    return (own, str(card["split"])) if chosen == OWN_TEST else (folds, card["cross_validation"]["split"] + EACH_NEW)


def show_figures(name: str) -> None:
    """Show the figures of a model, from the one that counts to how it learnt."""
    folder = find_model(name)
    card = read_card(folder)
    table, split = chosen_table(folder, card)
    predictions, figures = tested(table, table.stat().st_mtime_ns if table.is_file() else 0)
    model_figures.show_headline(split, figures)
    model_figures.show_table(figures)
    comparison_section.show(name, predictions.emotions)
    model_figures.show_emotions(predictions, figures)
    model_figures.show_trust(figures, card.get("history", {}))


frame.begin("Evaluate", "👂", "How well does the model do on people whom it never heard?")
controls.sidebar()
names = model_names()
if not names:
    st.stop()
name = session.choice("model") if session.choice("model") in names else names[0]
figures, experiments = st.tabs(["Figures", "Experiments"], key="evaluate_tab", on_change="rerun")
if figures.open:
    with figures:
        try:
            show_figures(name)
        except SerError as refusal:
            st.error(in_markdown(str(refusal)), icon=":material/error:")
if experiments.open:
    with experiments:
        experiments_section.show(names)
