"""Mark, label and correct, with the model's evidence beside one's own marks."""

import streamlit as st

from pages.shared import controls, frame, session
from pages.shared.annotation import marking_section, place, queue_section

VIEWS = {"Queue": queue_section.show, "Mark": marking_section.show}

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
