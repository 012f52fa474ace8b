"""The segments that data selection drops, with a player each."""

import numpy as np
import streamlit as st

from pages.shared.cached import sounds
from pages.shared.charts.selection import segment_times_s
from pages.shared.language import t
from ser_core.analysis import Analysis, Region


def show(analysis: Analysis, selected: np.ndarray) -> None:
    """List the dropped segments with a player each."""
    starts, ends = segment_times_s(analysis)
    dropped = np.flatnonzero(~selected)
    if not len(dropped):
        st.info(t("No segment is dropped."), icon=":material/check:")
        return
    st.markdown(t("**Dropped: {n}**", n=len(dropped)))
    for index in dropped[:50]:
        label, play = st.columns([2, 5], vertical_alignment="center")
        label.markdown(
            t(
                "**{number}** · {start:.2f} to {end:.2f} s",
                number=index + 1,
                start=float(starts[index]),
                end=float(ends[index]),
            )
        )
        region = Region(float(starts[index]), float(ends[index]))
        play.audio(sounds.region_sound(analysis.recording.sha256, region, 0.005, analysis.recording))
    if len(dropped) > 50:
        st.caption(t("And {n} more.", n=len(dropped) - 50))
