"""Mark and label recordings, with the model's evidence as an optional aid."""

import streamlit as st

from pages.shared import controls, frame, session
from pages.shared.annotation import open_project
from pages.shared.annotation.corpus_map import map_section
from pages.shared.annotation.exchange import files_section
from pages.shared.annotation.marking import marking_section, player_edits
from pages.shared.annotation.people import agreement_section
from pages.shared.annotation.queue import queue_section
from pages.shared.annotation.teaching import teaching_section
from pages.shared.annotation.tiers import find_section
from pages.shared.language import t, texts

MARK = texts("Mark")
OTHERS = {
    "Queue": queue_section.show,
    "Find": find_section.show,
    "Map": map_section.show,
    "Agreement": agreement_section.show,
    "Teach": teaching_section.show,
    "Files": files_section.show,
}

frame.begin(t("Annotate"), "👂", t("Mark and label the emotions you hear, with or without the model's evidence."))
chosen = controls.sidebar()
marking = session.choice("annotate_view") == MARK
project, bar = open_project.choose_in_bar() if marking else (open_project.choose(), st.container())
player_edits.store_pending_edits(project)
view = bar.segmented_control(
    t("View"),
    open_project.VIEWS,
    format_func=t,
    required=True,
    label_visibility="collapsed",
    **session.widget("annotate_view", session.choice("annotate_view")),
)
if view == MARK:
    marking_section.show(project, chosen, bar)
else:
    OTHERS[view](project)
