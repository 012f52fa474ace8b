"""The evidence over time, and a player for the focus regions."""

import streamlit as st

from pages.shared import controls, frame, session, waiting
from pages.shared.cached import measuring
from pages.shared.evidence import (
    focus_audio_section,
    focus_section,
    maps_section,
    voice_changes_section,
    words_section,
)
from pages.shared.evidence.spoken_words import spoken_words
from pages.shared.language import recognised, t
from pages.shared.language.names import in_markdown
from pages.shared.player import player
from pages.shared.recording import saving
from ser_core.explanation import METHOD_NAMES, focus_methods_of
from ser_core.explanation.focus import focus_in_words
from ser_core.explanation.grad_cam import grad_cam_refusal
from ser_core.pipeline import level_of_focus

frame.begin(t("Listen"), "👂", t("Listen to the parts of the recording that decide the verdict."))
chosen, classification = controls.classified_recording()
saving.show_verdict(chosen, classification)

methods = [*focus_methods_of(chosen.classifier), "consensus"]
method = st.segmented_control(
    maps_section.target_in_words(chosen, classification.result),
    methods,
    format_func=lambda method: t(METHOD_NAMES[method]),
    required=True,
    **session.widget("focus_by", session.choice_among("focus_by", methods)),
)
if not chosen.classifier.layers:
    st.caption(in_markdown(recognised(grad_cam_refusal(chosen.classifier))))
focus_section.rule()
# Progress and then the result, in a container of fixed height, so that the player below does not move.
status = st.container(key="status", vertical_alignment="bottom")
with status:
    analysis, explanation, final = waiting.focused_by(method, chosen, classification)
spoken = spoken_words(analysis, chosen)
rows = focus_section.rows(analysis, spoken.words)
audio = focus_audio_section.audio_job(analysis, explanation, chosen.classifier) if explanation and final else None
scores = audio.result if audio and audio.state == "done" else None
if explanation and final:
    summary = f"**{focus_section.in_words(analysis)}.**"
    if scores:
        summary = f"{summary} {focus_audio_section.in_words(analysis, scores)}"
    status.markdown(f"{spoken.in_words} {summary}".strip())
player(
    analysis.recording,
    key="player",
    spectrogram=analysis.spectrogram,
    overlays={t(METHOD_NAMES[method]): explanation} if explanation else {},
    profile=analysis.profile,
    threshold=level_of_focus(analysis) if explanation else None,
    analysis=analysis,
    regions=[focus.region for focus in analysis.focus],
    regions_title=t("Focus regions"),
    region_table=focus_section.table(analysis, rows),
    words=spoken.words,
    word_evidence=spoken.evidence,
    other_sounds=scores and focus_audio_section.sounds_of(audio.key, scores, analysis.recording),
    measure=measuring.measures_job,
)
if explanation:
    if in_words := focus_in_words(analysis.profile, explanation.covered, t(explanation.emotion)):
        st.info(recognised(in_words), icon=":material/info:")
    focus_section.downloads(analysis, rows)
if explanation and final:
    focus_audio_section.show(analysis, audio)
words_section.show(analysis, spoken, explanation)
if explanation and final:
    voice_changes_section.show(analysis, chosen.classifier, spoken)
