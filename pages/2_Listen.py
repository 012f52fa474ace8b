"""The evidence over time, and the very stretches that decided, to be heard."""

import streamlit as st

from pages.shared import audible_section, cached, frame, session, waiting
from pages.shared.charts.scores import verdict_html
from pages.shared.player import player
from ser_core.analysis import Analysis
from ser_core.explanation import EXPLAINERS
from ser_core.focus import focus_in_words
from ser_core.overview_picture import METHOD_NAMES


def show_regions(analysis: Analysis, fade_s: float) -> None:
    """List the focus regions, each with what it is worth, its sound and a file to take away."""
    for number, focus in enumerate(analysis.focus, start=1):
        region = focus.region
        sound = cached.region_sound(analysis.recording.sha256, region, fade_s, analysis.recording)
        what, play, download = st.columns([3, 4, 1], vertical_alignment="center")
        what.markdown(
            f"**{number}** · {region.start_s:.2f} to {region.end_s:.2f} s  \n"
            f"{region.duration_s:.2f} s long, {100 * focus.share:.0f} % of the evidence"
        )
        play.audio(sound)
        download.download_button(
            "WAV",
            sound,
            f"focus-{number}.wav",
            "audio/wav",
            key=f"wav_{number}",
            icon=":material/download:",
            on_click="ignore",
        )


frame.begin("Listen", "👂", "Hear the very stretches that decided.")
chosen, listening = waiting.heard_recording()

method = st.segmented_control(
    "Evidence by",
    [*EXPLAINERS, "consensus"],
    format_func=METHOD_NAMES.get,
    required=True,
    **session.widget("explainer", session.choice("explainer")),
)
analysis, explanation = waiting.explained_by(method, chosen, listening)
st.html(verdict_html(analysis))
player(
    analysis.recording,
    key="player",
    spectrogram=analysis.spectrogram,
    overlays={METHOD_NAMES[method]: explanation},
    profile=analysis.profile,
    threshold=0.0,
    analysis=analysis,
    regions=[focus.region for focus in analysis.focus],
    regions_title="Focus regions",
)
if words := focus_in_words(analysis.profile, explanation.covered, explanation.emotion):
    st.info(words, icon=":material/info:")
if analysis.focus:
    found = "one focus region" if len(analysis.focus) == 1 else f"{len(analysis.focus)} focus regions"
    st.markdown(
        f"**{found.capitalize()} for {analysis.emotion}**",
        help="Stretches of at least 0.1 s in which the smoothed evidence is above zero.",
    )
    show_regions(analysis, chosen.settings.focus.fade_s)
if explanation.covered.any():
    audible_section.show(analysis, explanation, chosen.classifier)
