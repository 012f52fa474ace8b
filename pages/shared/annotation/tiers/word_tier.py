"""The spoken words of a recording as marks of a tier."""

from collections.abc import Sequence

import streamlit as st

from pages.shared import waiting
from pages.shared.annotation.open_project import OpenProject, attempt
from pages.shared.cached import transcribing
from pages.shared.language import t, texts
from pages.shared.recording import word_model
from ser_core.analysis import Recording, Region, moved
from ser_core.annotations.annotation import Annotation, Tier
from ser_core.annotations.store.transactions.recordings import OpenRecording

WORD_TIER = "words"
WORDS_HELP = texts("""
Each word becomes a mark of the tier *words*, with the word as its note. They are the words that you gave or edited on
the page Listen, else Whisper transcribes on this machine. Undo takes all of them away again.
""")


def offer(project: OpenProject, opened: OpenRecording, recording: Recording) -> None:
    """Offer to add the words as marks, unless this annotator has marks there in that tier already.

    For a long recording these are the words of the analysed stretch.
    """
    identity = WORD_TIER, "intervals", "text"
    tier = next((tier for tier in opened.tiers if (tier.name, tier.kind, tier.content) == identity), None)
    start_s, end_s = recording.start_s, recording.start_s + recording.duration_s
    if tier is not None and any(
        (mark.tier, mark.annotator) == (tier.key, project.annotator)
        and mark.region.start_s < end_s
        and mark.region.end_s > start_s
        for mark in opened.annotations
    ):
        return
    requested, key = st.session_state.setdefault("word_tiers", set()), (project.id, recording.sha256)
    if key not in requested:
        if st.button(t("Add the words as a tier"), key="add_words", icon=":material/segment:", help=t(WORDS_HELP)):
            requested.add(key)
            st.rerun()
        return
    words = transcribing.known_words(recording.sha256) or _transcribed(recording)
    if words:
        requested.discard(key)
        words = [moved(word, start_s) for word in words]
        attempt(_add_words, project, tier, opened.recording.file.sha256, words)
        st.rerun()


def _transcribed(recording: Recording) -> tuple[Region, ...]:
    """Return the words that Whisper finds; none while it runs, and none without a word model."""
    folder = word_model.folder()
    if folder is None:
        word_model.offer()
        return ()
    job = transcribing.transcription_job(recording, folder, None)
    transcript = waiting.results({"transcribe": job}).get("transcribe")
    if transcript is not None and not transcript.words:
        st.info(t("No word could be transcribed with confidence."), icon=":material/voice_over_off:")
    return transcript.words if transcript else ()


def _add_words(project: OpenProject, tier: Tier | None, sha256: str, words: Sequence[Region]) -> None:
    """Add a mark for each word, as one step of the history."""
    tier = tier or project.store.tiers.add(project.id, Tier(WORD_TIER, WORD_TIER))
    marks = [Annotation(Region(word.start_s, word.end_s), tier=tier.key, note=word.label or "") for word in words]
    project.store.marks.edit(project.id, sha256, project.annotator, add=marks)
