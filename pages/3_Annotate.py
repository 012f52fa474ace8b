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

VIEWS = {
    "Queue": queue_section.show,
    "Mark": marking_section.show,
    "Agreement": people_section.show,
    "Teach": teaching_section.show,
    "Files": files_section.show,
}

frame.begin("Annotate", "👂", "Mark where you hear it. The model's evidence lies beside your marks, or not at all.")
here = place.choose()
view = st.segmented_control(
    "View",
    list(VIEWS),
    required=True,
    label_visibility="collapsed",
    **session.widget("annotate_view", session.choice("annotate_view")),
)
if view != "Mark":
    controls.sidebar()
VIEWS[view](here)
