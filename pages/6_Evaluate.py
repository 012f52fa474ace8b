"""The results of a model on held-out people and corpora, and of the paper's experiments."""

import streamlit as st

from pages.shared import controls, frame, links, session
from pages.shared.language import recognised, t
from pages.shared.language.names import in_markdown
from pages.shared.models import comparison_section, experiments_section, generalisation_section, model_figures
from pages.shared.models.tested_table import chosen_table, current_table
from ser_core.errors import SerError
from ser_core.model.checkpoint import TEST_TABLE, read_card
from ser_core.model.shipped_models import find_model, model_names


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
