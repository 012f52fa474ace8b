"""Three explanations of one verdict, over the spectrogram, on one time axis."""

import streamlit as st

from pages.shared import controls, frame, waiting
from pages.shared.cached import explaining
from pages.shared.evidence import agreement_section, downloads, faithfulness_section, maps_section, stretch_section
from pages.shared.language import t
from pages.shared.recording import saving
from ser_core.explanation import METHOD_NAMES, explainers_of
from ser_core.explanation.agreement import with_consensus

frame.begin(t("Explain"), "👂", t("Where in time and frequency is the evidence? Click a map to hear that moment."))
chosen, classification = controls.classified_recording()
analysis = classification.result

saving.show_verdict(chosen, classification)
maps_section.heading(chosen, analysis)
stretch_section.show(analysis)
# Progress is below the maps, so that they do not move when it ends.
above, progress = st.container(), st.container()
with progress:
    explained, drafts = waiting.explanations(chosen, classification)
maps = {method: one.explanations[method] for method, one in explained.items()}
complete = len(maps) == len(explainers_of(chosen.classifier))
shown = with_consensus(maps) if complete else maps
test = None
if complete and not drafts and next(iter(maps.values())).covered.any():
    test = explaining.faithfulness_job(classification, shown, chosen.classifier, chosen.settings)
with above:
    in_words = maps_section.show(chosen, classification, shown, drafts, test)
maps_section.missing(chosen, explained)

if complete and not drafts:
    if test:
        faithfulness_section.show(test, analysis, shown, chosen.settings)
    agreement_section.show(maps)
    st.expander(t("The maps in words"), icon=":material/notes:").markdown("\n".join(f"- {words}" for words in in_words))
    downloads.show(chosen, classification)
if maps and not drafts:
    seconds = ", ".join(
        t("{explainer} {seconds:.1f} s", explainer=t(METHOD_NAMES[method]), seconds=explanation.seconds)
        for method, explanation in maps.items()
    )
    st.caption(t("Computing time: {seconds}. Seed {seed}.", seconds=seconds, seed=chosen.settings.seed))
st.page_link("pages/2_Listen.py", label=t("Listen to the evidence"), icon=":material/hearing:")
