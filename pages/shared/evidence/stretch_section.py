"""Show which part of a recording over 30 s is explained, and choose another by drawing a box over its scores."""

import streamlit as st

from pages.shared import session
from pages.shared.cached import explaining
from pages.shared.charts import axes
from pages.shared.charts.recording import stretch_chart
from pages.shared.language import t
from pages.shared.recording import open_recordings
from ser_core.analysis import Analysis
from ser_core.settings import AnalysisSettings

CHART = "stretch_chart"
SHORTEST_S = 0.5


def show(analysis: Analysis) -> None:
    """Show the scores of a recording that is too long to be explained at once, to choose from."""
    if analysis.recording.duration_s <= AnalysisSettings().longest_stretch_s:
        return
    start_s, end_s = analysis.stretch.start_s, analysis.stretch.end_s
    st.markdown(
        t(
            "Explained: **{start:.1f} to {end:.1f} s**. Drag over the scores to explain another part.",
            start=start_s,
            end=end_s,
        ),
        help=t("At most 30 s are explained at once; a longer box is cut to its first 30 s."),
    )
    st.plotly_chart(
        stretch_chart(analysis),
        width="stretch",
        config=axes.config(buttons=False),
        key=CHART,
        on_select=_on_box,
        selection_mode="box",
    )


def _on_box() -> None:
    boxes = st.session_state[CHART].selection.box
    if boxes:
        explaining.stop_explaining()
        session.choose("stretch", stretch_of(boxes[-1]["x"], open_recordings.current().duration_s))


def stretch_of(box_s: list[float], duration_s: float) -> tuple[float, float]:
    """Return the stretch that a box selects, limited to the recording and to the longest stretch that can be explained.

    >>> stretch_of([250.0, 190.5], 300.0), stretch_of([-2.0, 0.1], 300.0)
    ((190.5, 220.5), (0.0, 0.5))
    """
    first_s, last_s = sorted(box_s)
    start_s = round(min(max(first_s, 0.0), duration_s - SHORTEST_S), 2)
    longest_s = AnalysisSettings().longest_stretch_s
    return start_s, round(min(max(last_s, start_s + SHORTEST_S), start_s + longest_s, duration_s), 2)
