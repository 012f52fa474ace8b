"""Three explanations of the same verdict, over the spectrogram, on one axis of time."""

import streamlit as st

from pages.shared import agreement_section, cached, frame, waiting
from pages.shared.charts.maps import maps_chart
from pages.shared.charts.scores import verdict_html
from ser_core.explanation import EXPLAINERS
from ser_core.explanation.agreement import with_consensus
from ser_core.focus import focus_in_words
from ser_core.overview_picture import METHOD_NAMES
from ser_core.pipeline import with_hearing

HOW_TO_READ = """
Red speaks **for** the emotion, blue **against** it, and what is not coloured hardly matters. Each map is scaled by its
own strongest point: compare where they are coloured, not how strongly.

- **Grad-CAM** looks into the network: where do its last maps speak for the emotion?
- **LIME** hides random halves of the spectrogram many times and fits which cells the evidence needs.
- **Occlusion** covers one box after the other and measures how much evidence is lost.

The **consensus** is their mean, each map divided by its own strength. Where all three agree, believe them more. Hatched
stretches were not heard: data selection left them out, or they lie outside the stretch that is explained.
"""

frame.begin("Explain", "👂", "Where in time and frequency does the evidence lie?")
chosen, listening = waiting.heard_recording()
heard = listening.result

st.html(verdict_html(heard))
against = f" rather than **{chosen.settings.against}**" if chosen.settings.against else ""
st.markdown(f"What speaks for **{heard.emotion}**{against} in **{heard.recording.name}**", help=HOW_TO_READ)
hearings = waiting.results(
    {method: cached.explaining(listening, method, chosen.classifier, chosen.settings) for method in EXPLAINERS}
)
explained = {method: with_hearing(heard, hearing, chosen.settings) for method, hearing in hearings.items()}
maps = {method: analysis.explanations[method] for method, analysis in explained.items()}
shown = with_consensus(maps) if len(maps) == len(EXPLAINERS) else maps
st.plotly_chart(maps_chart(heard, shown), width="stretch", config={"displaylogo": False})
agreement_section.show(maps)
for method, explanation in maps.items():
    if words := focus_in_words(explained[method].profile, explanation.covered, explanation.emotion):
        st.info(f"{METHOD_NAMES[method]}: {words}", icon=":material/info:")
st.audio(cached.sound(chosen.recording.sha256, chosen.recording))
if maps:
    seconds = ", ".join(f"{METHOD_NAMES[method]} {explanation.seconds:.1f} s" for method, explanation in maps.items())
    st.caption(f"Computed on this machine in: {seconds}. Seed {chosen.settings.seed}.")
for method, explanation in maps.items():
    if explanation.stability is not None:
        st.caption(
            f"With another seed {METHOD_NAMES[method]}'s map would have a rank correlation of about "
            f"{explanation.stability:.2f} with this one, as its two halves tell."
        )
st.page_link("pages/2_Listen.py", label="Hear the evidence", icon=":material/hearing:")
