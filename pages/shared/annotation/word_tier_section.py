"""The words of the open recording as a tier: transcribed or given, and corrected like any mark."""

from collections.abc import Sequence

import streamlit as st

from pages.shared import cached, waiting
from pages.shared.annotation import details_section
from pages.shared.annotation.open_project import OpenProject
from pages.shared.recording import word_model
from ser_core.analysis import Recording, Region
from ser_core.annotations.annotation import Annotation, Tier
from ser_core.annotations.store.store import OpenRecording

TIER = "words"
HELP = """
Each word becomes a mark of the tier *words*, with the word as its note. They are the words that you gave or edited on
the page Listen, else Whisper transcribes on this machine. Undo takes all of them away again.
"""


def show(project: OpenProject, opened: OpenRecording, recording: Recording) -> None:
    """Offer to add the words as marks, unless this annotator has some in that tier already."""
    tier = next((one for one in opened.tiers if (one.name, one.kind, one.content) == (TIER, "intervals", "text")), None)
    if tier is not None and any((m.tier, m.annotator) == (tier.key, project.annotator) for m in opened.annotations):
        return
    asked, key = st.session_state.setdefault("word_tiers", set()), (project.id, recording.sha256)
    if key not in asked:
        if st.button("Add the words as a tier", key="add_words", icon=":material/segment:", help=HELP):
            asked.add(key)
            st.rerun()
        return
    words = cached.known_words(recording.sha256) or _transcribed(recording)
    if words:
        asked.discard(key)
        details_section.do(_add, project, tier, recording.sha256, words)
        st.rerun()


def _transcribed(recording: Recording) -> tuple[Region, ...]:
    """Return the words that Whisper finds; none while it is at work, or where it cannot."""
    folder = word_model.folder()
    if folder is None:
        word_model.offer()
        return ()
    transcript = waiting.results({"transcribe": cached.transcription_job(recording, folder, None)}).get("transcribe")
    if transcript is not None and not transcript.words:
        st.info("No word could be transcribed with confidence.", icon=":material/voice_over_off:")
    return transcript.words if transcript else ()


def _add(project: OpenProject, tier: Tier | None, sha256: str, words: Sequence[Region]) -> None:
    """Add a mark for each word, as one step of the history."""
    tier = tier or project.store.add_tier(project.id, Tier(TIER, TIER))
    marks = [Annotation(Region(word.start_s, word.end_s), tier=tier.key, note=word.label or "") for word in words]
    project.store.edit(project.id, sha256, project.annotator, add=marks)
