"""One recording through several models: their verdicts, their maps, and how far these agree."""

import streamlit as st

from pages.shared import controls, frame, waiting
from pages.shared.cached import classifying
from pages.shared.charts import axes
from pages.shared.charts.compared import maps_chart, verdicts_html
from pages.shared.evidence import compared_models, maps_section, shared_evidence_section
from pages.shared.language import t, texts
from pages.shared.language.names import in_markdown
from pages.shared.recording import samples_section, saving
from ser_core.explanation.model_agreement import on_one_grid, shared_emotion, shared_map

HOW_TO_READ = texts("""
All models explain the same emotion: the one chosen in the sidebar, else the one with the best score in most models.

Red is evidence **for** the emotion, blue **against** it; parts without colour hardly matter. Each map is divided by its
own highest absolute value: compare where models have colour, not how strong it is. Hatched parts were not given to the
model. The **consensus** is the mean of the positive evidence in each map, each divided by its own strength. Click a map
to hear that moment, drag over it to zoom into all maps, and double-click to zoom out.
""")

frame.begin(t("Compare"), "👂", t("Do other models predict the same emotion, and for the same reasons?"))
chosen = controls.sidebar()
if chosen is None:
    samples_section.instead_of_recording()
    st.stop()
names = compared_models.choose(chosen)
method = compared_models.choose_method()
if not names:
    st.info(t("No model is chosen. Choose one to six."), icon=":material/compare_arrows:")
    st.stop()
classifiers, refused = compared_models.load(names, chosen)

st.header(t("Verdicts"), divider="gray")
jobs = classifying.classification_jobs(chosen.recording, classifiers, method, chosen.settings)
waiting.watch(jobs, titles={name: in_markdown(name) for name in jobs})
analyses, missing = compared_models.results_so_far(jobs)
missing |= refused
st.html(verdicts_html(names, analyses, missing))
if chosen.any_voice and chosen.model_name in names:
    st.caption(t("{model} judges this voice relative to its own normal.", model=in_markdown(chosen.model_name)))
if analyses:
    st.markdown(f"**{in_markdown(compared_models.verdicts_in_words(analyses))}**")
compared_models.offer_again(jobs)
if not analyses or compared_models.PENDING in missing.values():
    st.stop()

emotion = chosen.settings.emotion or shared_emotion(analyses)
st.header(t("Evidence for {emotion}", emotion=t(emotion)), divider="gray", help=t(HOW_TO_READ))
# Progress is below the maps, so that they do not move when it ends.
above, progress = st.container(), st.container()
with progress:
    explained, drafted, unexplained = compared_models.explained(analyses, classifiers, emotion, method, chosen.settings)
complete = compared_models.PENDING not in unexplained.values()
shared = shared_map(explained, method) if complete else None
drawn = {name: (explained | drafted)[name] for name in names if name in explained or name in drafted}
first = next(iter((on_one_grid(drawn) or analyses).values()))
dark = st.context.theme.type == "dark"
in_words = " ".join(
    f"{name}: {maps_section.in_words(one.explanations[method], one.spectrogram.settings)}."
    for name, one in drawn.items()
)
with above:
    chart = maps_chart(first, names, drawn, drafted, missing | unexplained, method, shared, dark=dark)
    st.container(key="maps").plotly_chart(chart, width="stretch", config=axes.config(), alt=in_words)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(compared_models.scaling_in_words(first, chosen.settings), width="content")
        saving.offer_to_save_all(chosen, list((analyses | explained).values()))
if explained and complete:
    st.caption(in_markdown(in_words))
    shared_evidence_section.show(explained, method, shared, chosen.settings)
