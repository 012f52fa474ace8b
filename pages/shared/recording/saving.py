"""The verdict and the button *Save*, on every page that shows an analysis; all its results are saved with it."""

import streamlit as st

from pages.shared.cached import explaining, saved_results
from pages.shared.charts.scores import verdict_html
from pages.shared.language import recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings
from pages.shared.session import Chosen
from ser_core.analysis import Analysis
from ser_core.errors import SerError
from ser_core.output.saved_analyses import data_folder, save_with_source
from ser_core.work.jobs import Job

HELP = texts("Save the recording, and the maps, focus, scores and words that are there by now, on this machine.")


def show_verdict(chosen: Chosen, classification: Job) -> None:
    """Show the verdict, and offer to save the analysis."""
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.html(verdict_html(classification.result), width="content")
        if st.button(t("Save"), icon=":material/save:", help=t(HELP)):
            _save(chosen, [explaining.computed_so_far(classification, chosen.classifier, chosen.settings)])


def offer_to_save_all(chosen: Chosen, analyses: list[Analysis]) -> None:
    """Offer to save the analyses of several models, each separately."""
    each = t("The analysis of each model is saved by itself.")
    if st.button(t("Save"), icon=":material/save:", help=f"{t(HELP)} {each}"):
        _save(chosen, analyses)


def _save(chosen: Chosen, analyses: list[Analysis]) -> None:
    """Save the recording with each analysis on this machine, or show why that failed."""
    source = open_recordings.held()[chosen.recording.sha256].source
    try:
        with st.spinner(t("Saving")):
            for analysis in analyses:
                save_with_source(source, analysis, chosen.settings, data_folder(), saved_results.results_of(analysis))
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/error:")
        return
    st.toast(t("Saved. Find it in the sidebar under *Saved analyses*."), icon=":material/save:")
    st.rerun()
