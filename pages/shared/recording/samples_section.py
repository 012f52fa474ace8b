"""Buttons for the samples, on the first page and on any page while there is no recording."""

import streamlit as st

from pages.shared.language import recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings
from ser_core.corpora.samples import Sample, available_samples
from ser_core.errors import SerError

MISSING = texts("The samples are not downloaded. `make samples` downloads them; everything else works without them.")


def show() -> bool:
    """Offer the downloaded samples, each by its text; return whether one was chosen."""
    samples = available_samples()
    if not samples:
        st.info(t(MISSING))
        return False
    pressed = False
    with st.container(gap="xsmall", key="samples"):
        for number, one in enumerate(samples, start=1):
            if st.button(f"“{one.words}”", key=f"sample_{one.number}", icon=":material/play_circle:", type="tertiary"):
                pressed = _open(one, number)
    st.caption(
        t(
            "Read aloud for LibriVox, in the public domain: Jane Austen, *Sense and Sensibility*, 1811. A calm "
            "reading, so mostly neutral: record a sentence of your own, happy or angry, and hear the difference."
        )
    )
    return pressed


def open_first() -> bool:
    """Open the first sample; return whether this succeeded."""
    samples = available_samples()
    if not samples:
        st.info(t(MISSING))
        return False
    return _open(samples[0], 1)


def _open(sample: Sample, number: int) -> bool:
    try:
        open_recordings.hold(sample.path.read_bytes(), f"Austen {number}.wav")
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/block:")
        return False
    return True


def instead_of_recording() -> None:
    """Show that this page needs a recording, and offer the samples."""
    if open_recordings.current() is not None or open_recordings.held_long() is not None:
        return  # the sidebar shows what is missing
    with st.container(border=True):
        st.markdown(t("**No recording yet.** Press a sample to see this page at work:"))
        if show():
            st.rerun()
        st.page_link("app.py", label=t("Record or upload your own"), icon=":material/mic:")
