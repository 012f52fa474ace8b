"""Gaussian data selection: which segments are kept, which are dropped, and what a threshold costs."""

import numpy as np
import streamlit as st

from pages.shared import cached, frame, waiting
from pages.shared.charts.scores import scores_html
from pages.shared.charts.selection import segment_times_s, selection_chart
from pages.shared.names import in_markdown
from ser_core.analysis import Analysis, Region
from ser_core.annotations.formats.format import counted
from ser_core.front_end.selection import select_segments
from ser_core.model.scores import pool
from ser_core.settings import SelectionSettings

RULES = {"guarded": "Guarded: mean correlation", "minmax": "As printed: stretched from 0 to 1"}
HELP = """
Each segment's levels are described by a Gaussian; a segment whose Gaussian correlates little with the others' is unlike
the rest: silence, a click, a breath. The paper stretches the sums of the correlations from 0 to 1, so that the least
similar segment scores 0 and is dropped even where all are speech. The guarded rule takes the mean correlation itself.
"""


def show_scores(heard: Analysis, kept: np.ndarray, pooling: str, *, own: bool) -> None:
    """Show what the recording scores with this selection, beside the model's own."""
    left, right = st.columns(2, gap="large")
    left.markdown(f"**With this selection** · {int(kept.sum())} of {len(kept)} segments")
    left.html(scores_html(heard.emotions, pool(heard.scores.segments[kept], pooling)))
    right.markdown(f"**As the model's card says** · {int(heard.segments.selected.sum())} of {len(kept)} segments")
    right.html(scores_html(heard.emotions, heard.scores.recording))
    if own:
        st.caption("This is the selection of the model's card, which every other page uses.")


def show_dropped(heard: Analysis, kept: np.ndarray) -> None:
    """Let every dropped segment be heard."""
    starts, ends = segment_times_s(heard)
    dropped = np.flatnonzero(~kept)
    if not len(dropped):
        st.info("Nothing is dropped.", icon=":material/check:")
        return
    st.markdown(f"**Dropped: {len(dropped)}**")
    for place in dropped[:50]:
        what, play = st.columns([2, 5], vertical_alignment="center")
        what.markdown(f"**{place + 1}** · {starts[place]:.2f} to {ends[place]:.2f} s")
        region = Region(float(starts[place]), float(ends[place]))
        play.audio(cached.region_sound(heard.recording.sha256, region, 0.005, heard.recording))
    if len(dropped) > 50:
        st.caption(f"And {len(dropped) - 50} more.")


frame.begin("Select", "👂", "Which parts of the recording does data selection leave out?")
chosen, listening = waiting.heard_recording()
heard = listening.result

card = chosen.classifier.front_end.selection
rule = st.segmented_control(
    "Rule", list(RULES), default="guarded", format_func=RULES.get, key="select_rule", help=HELP, required=True
)
threshold = st.slider("Threshold", 0.0, 0.95, card.threshold, 0.05, key="select_threshold")
kept, scores = select_segments(heard.segments.values, SelectionSettings(rule, threshold))
if chosen.classifier.front_end.segments.segment_frames is None:
    st.info(f"{in_markdown(heard.model_name)} hears a recording as a whole: there are no segments to select from.")
    st.stop()
if scores is None:
    st.info(
        f"The recording has {counted(len(kept), 'segment')}; at least 3 are needed to compare them, so all are kept.",
        icon=":material/info:",
    )
    st.stop()
st.plotly_chart(selection_chart(heard, scores, kept, threshold), width="stretch", config={"displaylogo": False})
if not (scores > threshold).any():
    st.warning("No segment exceeds this threshold; then all are kept, because something must be heard.")
show_scores(heard, kept, chosen.classifier.pooling, own=SelectionSettings(rule, threshold) == card)
show_dropped(heard, kept)
