"""Whether the models look at the same: a matrix, a sentence, and the stretches of their consensus, to be heard."""

from dataclasses import replace

import numpy as np
import streamlit as st

from pages.shared.charts.compared import CONSENSUS, matrix_chart
from pages.shared.names import in_markdown
from pages.shared.player import player
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation.focus import focus_level
from ser_core.explanation.model_agreement import agreement_in_words, map_agreement, on_one_grid
from ser_core.pipeline import with_focus
from ser_core.settings import AnalysisSettings

HELP = """
Above: **rank correlation**, which compares the order of all points of two maps: 1 is the same order, 0 none in
common, below 0 the reverse. In brackets: **overlap** of the tenth of the points that each map marks most: of all that
either of them marks, the part that both do. It is 1 where that is the same tenth, and 0.05 on average by chance. Each
pair is compared where both models have heard.
"""
#: The consensus of models is nowhere below zero: only what is above half of its peak is a stretch of its own.
LEAST_SHARE_OF_PEAK = 0.5


def show(explained: dict[str, Analysis], method: str, shared: Explanation | None, settings: AnalysisSettings) -> None:
    """Compare the maps that are there, and let what is common to them be heard."""
    st.subheader("Do they look at the same?", divider="gray", help=HELP)
    if len(explained) < 2:
        st.markdown("At least two maps are needed to compare them.")
    else:
        _matrix(explained, method)
    st.subheader("Hear it", divider="gray")
    _player(explained, method, shared, settings)


def _matrix(explained: dict[str, Analysis], method: str) -> None:
    compared = map_agreement(explained, method)
    matrix, words = st.columns([3, 2], gap="large", vertical_alignment="center")
    dark = st.context.theme.type == "dark"
    matrix.plotly_chart(matrix_chart(compared, dark), width="stretch", config={"displayModeBar": False})
    words.markdown(in_markdown(agreement_in_words(compared)))
    if others := sorted(set(explained) - set(on_one_grid(explained))):
        words.caption(
            f"Not compared with the rest: {in_markdown(', '.join(others))}, whose front end has other frames or bands."
        )
    elif np.isnan(compared.rank_correlation).any():
        words.caption("No figure stands where a map is the same everywhere, or where two heard no frame in common.")


def _player(
    explained: dict[str, Analysis], method: str, shared: Explanation | None, settings: AnalysisSettings
) -> None:
    here = on_one_grid(explained)
    analysis = next(iter(here.values()))
    overlays = {name: one.explanations[method] for name, one in here.items()}
    profile, level, regions = None, None, []
    if shared is not None:
        overlays = {CONSENSUS: shared, **overlays}
        focus = replace(settings.focus, threshold=LEAST_SHARE_OF_PEAK)
        analysis = with_focus(analysis, shared, replace(settings, focus=focus))
        profile, level = analysis.profile, focus_level(analysis.profile, focus)
        regions = [one.region for one in analysis.focus]
    player(
        analysis.recording,
        key="compare",
        spectrogram=analysis.spectrogram,
        overlays=overlays,
        profile=profile,
        threshold=level,
        regions=regions,
        regions_title="Where the consensus is above half of its peak",
    )
