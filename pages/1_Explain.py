"""Three explanations of one verdict, over the spectrogram, on one time axis."""

import streamlit as st

from pages.shared import cached, frame, session, waiting
from pages.shared.charts.maps import maps_chart
from pages.shared.evidence import agreement_section, downloads, faithfulness_section, stretch_section
from pages.shared.names import in_markdown
from pages.shared.player import player
from pages.shared.recording import saving
from ser_core.explanation import METHOD_NAMES, explainers_of
from ser_core.explanation.agreement import with_consensus
from ser_core.explanation.focus import map_in_words, missing_evidence_in_words
from ser_core.explanation.grad_cam import without_maps

HOW_TO_READ = """
Red is evidence **for** the emotion, blue **against** it; parts without colour hardly matter. Each map is scaled by its
own strongest point: compare where maps have colour, not how strong it is.

- **Grad-CAM** uses the network's last feature maps: where do they support the emotion?
- **LIME** masks random halves of the spectrogram many times, and fits how much each cell contributes.
- **Occlusion** masks one box after another, and measures how much evidence is lost.

The **consensus** is their mean, each map divided by its own strength. Hatched parts were not given to the model: data
selection dropped them, or they are outside the chosen time range. Click a map to hear that moment, drag over it to zoom
into all maps, and double-click to zoom out.
"""
SIGNS = {"both": "for and against", "for": "for only"}

frame.begin("Explain", "👂", "Where in time and frequency is the evidence? Click a map to hear that moment.")
chosen, classification = waiting.classified_recording()
analysis = classification.result

saving.verdict(chosen, classification)
against = f" versus **{chosen.settings.against}**" if chosen.settings.against else ""
name = in_markdown(analysis.recording.name)
st.markdown(f"Evidence for **{analysis.emotion}**{against} in **{name}**", help=HOW_TO_READ)
stretch_section.show(analysis)
# Progress stands below the maps, which stay where they are when it ends.
above, progress = st.container(), st.container()
with progress:
    explained, drafts = waiting.explanations(chosen, classification)
maps = {method: one.explanations[method] for method, one in explained.items()}
complete = len(maps) == len(explainers_of(chosen.classifier))
shown = with_consensus(maps) if complete else maps

signs, strength = above.columns([2, 3], gap="medium")
sign = signs.segmented_control(
    "Evidence", list(SIGNS), format_func=SIGNS.get, required=True, **session.widget("sign", session.choice("sign"))
)
opacity = strength.slider("Colour strength (%)", 0, 100, step=5, **session.widget("opacity", session.choice("opacity")))
drafted = drafts | ({"consensus"} if drafts else set())
test = None
if complete and not drafts and next(iter(maps.values())).covered.any():
    test = cached.faithfulness_job(classification, shown, chosen.classifier, chosen.settings)
counterfactual = test.result.flip if test and test.state == "done" else None
chart = maps_chart(
    analysis,
    shown,
    drafted,
    counterfactual,
    opacity=opacity / 100,
    only_for=sign == "for",
    dark=st.context.theme.type == "dark",
)
computed = cached.computed_so_far(classification, chosen.classifier, chosen.settings)
in_words = [
    f"{METHOD_NAMES[method]}: {map_in_words(explanation, analysis.spectrogram.settings)}."
    for method, explanation in shown.items()
]
with above:
    st.container(key="maps").plotly_chart(chart, width="stretch", config={"displaylogo": False}, alt=" ".join(in_words))
    player(
        chosen.recording,
        key="explain",
        regions=[focus.region for focus in computed.focus],
        regions_title="Focus regions",
        charts="maps",
        measure=cached.measures_job,
    )
if not chosen.classifier.layers:
    st.info(in_markdown(without_maps(chosen.classifier)), icon=":material/info:")
for method, explanation in maps.items():
    if words := missing_evidence_in_words(explained[method].profile, explanation.covered, explanation.emotion):
        st.info(f"{METHOD_NAMES[method]}: {words}", icon=":material/info:")

if complete and not drafts:
    if test:
        faithfulness_section.show(test, analysis, shown, chosen.settings)
    agreement_section.show(maps)
    st.expander("The maps in words", icon=":material/notes:").markdown("\n".join(f"- {words}" for words in in_words))
    downloads.show(chosen, classification)
if maps and not drafts:
    seconds = ", ".join(f"{METHOD_NAMES[method]} {explanation.seconds:.1f} s" for method, explanation in maps.items())
    st.caption(f"Computing time: {seconds}. Seed {chosen.settings.seed}.")
st.page_link("pages/2_Listen.py", label="Listen to the evidence", icon=":material/hearing:")
