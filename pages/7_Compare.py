"""One recording through several models: what each hears, where each looks, and what they have in common."""

import streamlit as st

from pages.shared import cached, controls, frame, waiting
from pages.shared.charts.compared import heard_html, maps_chart
from pages.shared.evidence import compared_models, shared_evidence_section
from pages.shared.names import in_markdown
from ser_core.explanation.model_agreement import heard_in_words, on_one_grid, shared_emotion, shared_map

HOW_TO_READ = """
All models are asked for the same emotion: the one that the sidebar names, else the one that most of them hear best.

Red speaks **for** it, blue **against** it, and what is not coloured hardly matters. Each map is divided by its own
highest absolute value: compare where models are coloured, not how strongly. Hatched stretches a model has not heard.
The **consensus** is the mean of what speaks for the emotion in each map, each divided by its own strength. Drag over
one picture to look closer in all of them, and double-click to see all again.
"""

frame.begin("Compare", "👂", "Do other models hear the same, and for the same reasons?")
chosen = controls.sidebar()
if chosen is None:
    st.stop()
names = compared_models.choose(chosen)
method = compared_models.choose_method()
if not names:
    st.info("No model is chosen. Choose one to six.", icon=":material/compare_arrows:")
    st.stop()
classifiers, refused = compared_models.load(names, chosen)

st.subheader("What each hears", divider="gray")
listening = cached.listening_with_each(chosen.recording, classifiers, method, chosen.settings)
waiting.watch(listening, titles={name: f"Listening, {in_markdown(name)}" for name in listening})
heard, unheard = compared_models.so_far(listening)
st.html(heard_html(names, heard, refused | unheard))
if chosen.any_voice and chosen.model_name in names:
    st.caption(f"{in_markdown(chosen.model_name)} judges this voice by its own normal.")
if heard:
    st.markdown(f"**{in_markdown(heard_in_words(heard))}**")
compared_models.offer_again(listening)
if not heard or compared_models.PENDING in unheard.values():
    st.stop()

emotion = chosen.settings.emotion or shared_emotion(heard)
st.subheader(f"Where they look for {emotion}", divider="gray", help=HOW_TO_READ)
explained, unexplained = compared_models.explained(heard, classifiers, emotion, method, chosen.settings)
complete = compared_models.PENDING not in unexplained.values()
shared = shared_map(explained, method) if complete else None
first = next(iter((on_one_grid(explained) or heard).values()))
chart = maps_chart(first, names, explained, refused | unheard | unexplained, method, shared)
st.plotly_chart(chart, width="stretch", config={"displaylogo": False})
st.caption(compared_models.how_scaled(first, chosen.settings))
if explained and complete:
    shared_evidence_section.show(explained, method, shared, chosen.settings)
