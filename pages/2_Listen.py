"""The evidence over time, and the very stretches that decided, to be heard."""

import streamlit as st

from pages.shared import cached, frame, session, waiting
from pages.shared.charts.scores import verdict_html
from pages.shared.evidence import audible_section, focus_section
from pages.shared.names import in_markdown
from pages.shared.player import player
from ser_core.explanation import METHOD_NAMES, explainers_of
from ser_core.explanation.focus import focus_in_words, focus_level
from ser_core.explanation.grad_cam import without_maps

frame.begin("Listen", "👂", "Hear the very stretches that decided.")
chosen, listening = waiting.heard_recording()

methods = [*explainers_of(chosen.classifier), "consensus"]
if session.choice("explainer") not in methods:
    session.choose("explainer", methods[0])
method = st.segmented_control(
    "Evidence by",
    methods,
    format_func=METHOD_NAMES.get,
    required=True,
    **session.widget("explainer", session.choice("explainer")),
)
if not chosen.classifier.layers:
    st.caption(in_markdown(without_maps(chosen.classifier)))
analysis, explanation = waiting.explained_by(method, chosen, listening)
st.html(verdict_html(analysis))
focus_section.sliders()
words = focus_section.words_of(analysis.recording)
rows = focus_section.rows(analysis, words)
hearing = audible_section.hearing(analysis, explanation, chosen.classifier)
heard = hearing.result if hearing and hearing.state == "done" else None
player(
    analysis.recording,
    key="player",
    spectrogram=analysis.spectrogram,
    overlays={METHOD_NAMES[method]: explanation},
    profile=analysis.profile,
    threshold=focus_level(analysis.profile, chosen.settings.focus),
    analysis=analysis,
    regions=[focus.region for focus in analysis.focus],
    regions_title="Focus regions",
    region_table=focus_section.table(analysis, rows),
    words=words,
    other_sounds=heard and cached.changed_sounds(hearing.key, heard, analysis.recording),
)
if in_words := focus_in_words(analysis.profile, explanation.covered, explanation.emotion):
    st.info(in_words, icon=":material/info:")
focus_section.show_words(analysis, words)
focus_section.downloads(analysis, rows)
if hearing:
    audible_section.show(analysis, hearing)
