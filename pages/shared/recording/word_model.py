"""The model that transcribes words: its folder, languages and download."""

from contextlib import suppress
from pathlib import Path

import streamlit as st

from pages.shared import waiting
from pages.shared.cached import transcribing
from pages.shared.language import recognised, t, texts
from pages.shared.language.names import in_markdown
from ser_core.errors import WordModelRefused
from ser_core.words.word_model import DOWNLOAD_MB

#: Whisper's languages with the most speakers, and those of the corpora that can be read here.
LANGUAGES = texts(
    {
        "ar": "Arabic",
        "bn": "Bengali",
        "zh": "Chinese",
        "cs": "Czech",
        "nl": "Dutch",
        "en": "English",
        "fi": "Finnish",
        "fr": "French",
        "de": "German",
        "el": "Greek",
        "he": "Hebrew",
        "hi": "Hindi",
        "hu": "Hungarian",
        "id": "Indonesian",
        "it": "Italian",
        "ja": "Japanese",
        "ko": "Korean",
        "no": "Norwegian",
        "fa": "Persian",
        "pl": "Polish",
        "pt": "Portuguese",
        "ro": "Romanian",
        "ru": "Russian",
        "es": "Spanish",
        "sv": "Swedish",
        "th": "Thai",
        "tr": "Turkish",
        "uk": "Ukrainian",
        "ur": "Urdu",
        "vi": "Vietnamese",
    }
)


def folder() -> Path | None:
    """Return the folder of the model that transcribes; None if it is missing or unusable."""
    with suppress(WordModelRefused):
        return transcribing.word_model_folder()
    return None


def offer() -> None:
    """Show that the model that transcribes is missing, and offer to download it."""
    try:
        transcribing.word_model_folder()
    except WordModelRefused as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/block:")
        return
    st.info(
        t(
            "To transcribe, this app needs a model of Whisper, which is not part of it. Fetch it once, or "
            "set SER_WORD_MODEL to a folder in the format of faster-whisper."
        ),
        icon=":material/segment:",
    )
    if not st.session_state.get("word_model_requested", False):
        if st.button(
            t("Fetch Whisper base ({size} MB)", size=DOWNLOAD_MB), key="fetch_word_model", icon=":material/download:"
        ):
            st.session_state["word_model_requested"] = True
            st.rerun()
        st.caption(t("From Hugging Face. Your audio stays here."))
        return
    job = transcribing.word_model_job()
    if "word model" in waiting.results({"word model": job}):
        # Otherwise it would not be offered again after it was deleted.
        job.queue.drop(job)
        st.session_state["word_model_requested"] = False
        st.rerun()
    if job.state == "failed" and st.button(t("Try again"), key="fetch_again", icon=":material/refresh:"):
        job.queue.drop(job)
        st.rerun()
