"""Gaussian data selection: the segments that are selected and dropped, and the effect of the threshold."""

import numpy as np
import streamlit as st

from pages.shared import controls, frame
from pages.shared.charts import axes
from pages.shared.charts.scores import scores_html
from pages.shared.charts.selection import selection_chart
from pages.shared.language import number_format, plural, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.recording import dropped_section
from ser_core.analysis import Analysis
from ser_core.front_end.selection import select_segments
from ser_core.model.scores import pool
from ser_core.settings import SelectionSettings

RULES = texts({"guarded": "Guarded: mean correlation", "minmax": "As in the paper: rescaled to 0 to 1"})
HELP = texts("""
A Gaussian describes the levels of each segment. If it correlates little with the other segments' Gaussians, the segment
is unlike the rest: silence, a click, a breath. The paper rescales the sums of the correlations to 0 to 1, so the least
similar segment scores 0 and is dropped even if all segments are speech. The guarded rule uses the mean correlation.
""")


def show_scores(analysis: Analysis, selected: np.ndarray, pooling: str, *, own: bool) -> None:
    """Show the recording's scores with this selection next to those with the model's own."""
    left, right = st.columns(2, gap="large")
    left.markdown(
        t("**With this selection** · {selected} of {n} segments", selected=int(selected.sum()), n=len(selected))
    )
    left.html(scores_html(analysis.emotions, pool(analysis.scores.segments[selected], pooling)))
    right.markdown(
        t(
            "**The model's own selection** · {selected} of {n} segments",
            selected=int(analysis.segments.selected.sum()),
            n=len(selected),
        )
    )
    right.html(scores_html(analysis.emotions, analysis.scores.recording))
    if own:
        st.caption(t("This is the model's own selection, which every other page uses."))


frame.begin(t("Select"), "👂", t("Which segments of the recording does data selection drop?"))
chosen, classification = controls.classified_recording()
analysis = classification.result

card = chosen.classifier.front_end.selection
rule = st.segmented_control(
    t("Rule"),
    list(RULES),
    default="guarded",
    format_func=lambda rule: t(RULES[rule]),
    key="select_rule",
    help=t(HELP),
    required=True,
)
threshold = st.slider(t("Threshold"), 0.0, 0.95, card.threshold, 0.05, number_format(2), key="select_threshold")
selected, scores = select_segments(analysis.segments.values, SelectionSettings(rule, threshold))
if chosen.classifier.front_end.segments.segment_frames is None:
    st.info(
        t(
            "{model_name} classifies whole recordings: there are no segments to select from.",
            model_name=in_markdown(analysis.model_name),
        )
    )
    st.stop()
if scores is None:
    st.info(
        plural(
            len(selected),
            "The recording has {n} segment; at least 3 are needed to compare them, so all are selected.",
            "The recording has {n} segments; at least 3 are needed to compare them, so all are selected.",
        ),
        icon=":material/info:",
    )
    st.stop()
st.plotly_chart(selection_chart(analysis, scores, selected, threshold), width="stretch", config=axes.config())
if not (scores > threshold).any():
    st.warning(t("No segment exceeds this threshold, so all are selected: the model needs at least one."))
show_scores(analysis, selected, chosen.classifier.pooling, own=SelectionSettings(rule, threshold) == card)
dropped_section.show(analysis, selected)
