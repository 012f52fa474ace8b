"""Mark, label and correct, with the model's evidence beside one's own marks."""

import streamlit as st

from pages.shared import controls, frame, session
from pages.shared.annotation import (
    files_section,
    marking_section,
    people_section,
    place,
    queue_section,
    teaching_section,
)

MARK = "Mark"
OTHERS = {
    "Queue": queue_section.show,
    "Agreement": people_section.show,
    "Teach": teaching_section.show,
    "Files": files_section.show,
}

VIEWS = ("Queue", MARK, "Agreement", "Teach", "Files")

frame.begin("Annotate", "👂", "Mark where you hear it. The model's evidence lies beside your marks, or not at all.")
chosen = controls.sidebar()
here = place.choose()
marking_section.take_edits(here)
view = st.segmented_control(
    "View",
    VIEWS,
    required=True,
    label_visibility="collapsed",
    **session.widget("annotate_view", session.choice("annotate_view")),
)
if view == MARK:
    marking_section.show(here, chosen)
else:
    OTHERS[view](here)
