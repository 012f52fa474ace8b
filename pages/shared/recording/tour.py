"""A guided first minute, in three steps: choose a recording, read the verdict, hear what decided."""

import streamlit as st

from pages.shared.language import t, texts
from pages.shared.recording import open_recordings, samples_section

#: Titles of the pages that have a step.
RECORDING, LISTEN = texts(("Hear Why", "Listen"))


def begin() -> None:
    """Start the tour on the first page, at the first step that is not done yet."""
    st.session_state["tour"] = True
    st.switch_page("app.py")


def show(page: str) -> None:
    """Show the next step, if the tour is on.

    Parameters
    ----------
    page : str
        Title of the page that is shown, in the visit's language.
    """
    if not st.session_state.get("tour") or page not in (t(RECORDING), t(LISTEN)):
        return
    with st.container(border=True, key="tour"):
        if open_recordings.current() is None:
            _choose_recording()
        elif page == t(RECORDING):
            _read_verdict()
        else:
            _hear_evidence()


def _choose_recording() -> None:
    st.markdown(t("**Step 1 of 3: choose a recording.** Take a sample, or record or upload a sentence of your own."))
    with st.container(horizontal=True, gap="small"):
        pressed = st.button(t("Take a sample"), key="tour_sample", type="primary", icon=":material/play_circle:")
        if pressed and samples_section.open_first():
            st.rerun()
        _end(t("Skip the tour"))


def _read_verdict() -> None:
    st.markdown(
        t(
            "**Step 2 of 3: read the verdict.** Each emotion has a score from 0 to 1, and the highest is the "
            "verdict. The model judges how a voice sounds; it may be wrong, and it does not know what "
            "anybody feels."
        )
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.page_link("pages/2_Listen.py", label=t("Next: hear what decided"), icon=":material/hearing:")
        _end(t("Skip the tour"))


def _hear_evidence() -> None:
    st.markdown(
        t(
            "**Step 3 of 3: hear what decided.** The shaded stretches are the focus: from them alone the "
            "model says the same, without them something else. Play one from the list below the player. Then "
            "choose *the focus alone* above the player, and compare. *Words*, further down, tells which "
            "words they are."
        )
    )
    _end(t("End the tour"))


def _end(label: str) -> None:
    if st.button(label, key="tour_end", type="tertiary", help=t("Start it again from *Help* in the sidebar.")):
        st.session_state["tour"] = False
        st.rerun()
