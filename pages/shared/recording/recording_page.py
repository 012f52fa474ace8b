"""First page: choose a recording, and see which emotion a model predicts for it."""

import hashlib

import numpy as np
import streamlit as st

from pages.shared import cached, controls, frame, session, waiting
from pages.shared.cached import classifying, forgetting, measuring
from pages.shared.charts.scores import scores_html
from pages.shared.language import recognised, t
from pages.shared.language.names import in_markdown
from pages.shared.player import player
from pages.shared.recording import open_recordings, samples_section, saving, timeline_section
from ser_core.analysis import MAX_NAME_LENGTH, Analysis, Recording
from ser_core.audio.decoding.containers import READABLE
from ser_core.audio.reading import FULL_SCALE
from ser_core.errors import RecordingTooLong, SerError
from ser_core.work.jobs import Job

#: Streamlit requests WebM, which some versions of Safari cannot record; it can read any other format of a browser.
RECORD_ANY_TYPE = """
<script>
  if (window.MediaRecorder && !MediaRecorder.ofAnyType && !MediaRecorder.isTypeSupported("audio/webm")) {
    window.MediaRecorder = class extends MediaRecorder {
      static ofAnyType = true;
      constructor(stream, { mimeType, ...options } = {}) {
        super(stream, options);
      }
    };
  }
</script>
"""


def choose_recording() -> None:
    """Offer to record, upload or pick a sample; show why a file is refused."""
    record, upload, sample = st.tabs(
        [t(":material/mic: Record"), t(":material/upload_file: Upload"), t(":material/album: Samples")]
    )
    with record:
        recorded = st.audio_input(
            t("Speak for at least one second, ideally three to fifteen"),
            sample_rate=48_000,
            key=f"record_{open_recordings.upload_turn()}",
        )
        st.html(RECORD_ANY_TYPE, unsafe_allow_javascript=True)
        if recorded is not None:
            name = t("Recording {n}.wav", n=open_recordings.recordings_made() + 1)
            open_once(recorded.getvalue(), name, f"record-{recorded.file_id}")
    with upload:
        files = st.file_uploader(
            t("Recordings of speech, at most two hours each"),
            accept_multiple_files=True,
            help=t(
                "Recordings over ten minutes are shown as a timeline; you can open any part of it. Several of "
                "one person can be judged by their *Voice*, in the sidebar. Formats: {formats}, recognised by "
                "content, not by name.",
                formats=READABLE,
            ),
            key=f"upload_{open_recordings.upload_turn()}",
        )
        for file in files:
            open_once(file.getvalue(), file.name, f"upload-{file.file_id}")
    with sample:
        samples_section.show()


def open_once(source: bytes, name: str, token: str) -> None:
    """Open a widget's file when it arrives, but not again in each rerun while the widget still holds it."""
    taken = st.session_state.setdefault("taken", {})
    if token not in taken:
        taken[token] = open_file(source, name)
        if token.startswith("record-") and taken[token] is None:
            st.session_state["made"] = open_recordings.recordings_made() + 1
    elif taken[token]:
        st.error(in_markdown(recognised(taken[token])), icon=":material/block:")


def open_file(source: bytes, name: str) -> str | None:
    """Open a recording or, if it is long, its timeline; if it is refused, show and return why."""
    try:
        open_recordings.hold(source, name)
    except RecordingTooLong:
        open_recordings.hold_long(source, name, hashlib.sha256(source).hexdigest())
    except SerError as refusal:
        st.error(in_markdown(recognised(str(refusal))), icon=":material/block:")
        return str(refusal)
    return None


def show_name(recording: Recording) -> None:
    """Show the name as a header, and offer to change it."""
    key = f"name_{recording.sha256}"
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.header(in_markdown(recording.name), width="content")
        # A new key closes the popover once the name has changed.
        with st.popover(t("Rename"), icon=":material/edit:", width="content", key=f"rename_{recording.name}"):
            st.text_input(
                t("Name"), recording.name, max_chars=MAX_NAME_LENGTH, key=key, on_change=_rename, args=(recording, key)
            )


def _rename(recording: Recording, key: str) -> None:
    if name := st.session_state[key].strip():
        forgetting.rename(open_recordings.rename(recording.sha256, name))


def show_level(recording: Recording) -> None:
    """Show length, level and warnings, before any analysis."""
    peak = float(np.abs(recording.samples).max())
    rms = float(np.sqrt(np.mean(np.square(recording.samples, dtype=np.float64))))
    clipped = float(np.mean(np.abs(recording.samples) >= FULL_SCALE))
    st.caption(
        t(
            "{seconds:.2f} s · {rate:g} kHz · peak {peak:z.1f} dBFS · RMS {rms:z.1f} dBFS · {clipped:.2f} % clipped",
            seconds=recording.duration_s,
            rate=recording.sample_rate_hz / 1000,
            peak=20 * np.log10(peak),
            rms=20 * np.log10(rms),
            clipped=100 * clipped,
        )
    )
    for warning in recording.warnings:
        st.warning(recognised(warning), icon=":material/warning:")


def show_result(chosen: session.Chosen, classification: Job, any_voice: Analysis | None) -> None:
    """Show verdict and scores, with links to the evidence.

    `any_voice` is the analysis without the voice's own normal, if the model is adapted to a voice.
    """
    analysis = classification.result
    saving.show_verdict(chosen, classification)
    st.html(scores_html(analysis.emotions, analysis.scores.recording, any_voice and any_voice.scores.recording))
    if any_voice is not None:
        best = float(any_voice.scores.recording.max())
        st.caption(
            t(
                "Thick bars: relative to this voice's own normal ({share:.0f} %). Thin bars: without it, "
                "**{verdict}** (best score {best:.2f}).",
                share=100 * analysis.voice.share,
                verdict=t(any_voice.verdict),
                best=best,
            )
        )
    for remark in analysis.warnings[len(chosen.recording.warnings) :]:  # on the classification; no cause for alarm
        st.caption(recognised(remark))
    explain, listen = st.columns(2)
    explain.page_link(
        "pages/1_Explain.py", label=t("Why? See the evidence"), icon=":material/visibility:", width="stretch"
    )
    listen.page_link("pages/2_Listen.py", label=t("Hear the evidence"), icon=":material/hearing:", width="stretch")


def show() -> None:
    """Show the page."""
    frame.begin(
        t("Hear Why"), "👂", t("Which emotion does a model recognise in speech, and which sounds led it there?")
    )
    if words := cached.clear_unfinished_saves():
        st.info(recognised(words), icon=":material/power_off:")
    choose_recording()
    frame.show_closed_recordings()
    chosen = controls.sidebar()
    if (long := open_recordings.held_long()) is not None:
        timeline_section.show(long)
    if chosen is not None:
        show_name(chosen.recording)
        show_level(chosen.recording)
        result = st.container(key="result")
        front_end = chosen.classifier.front_end.spectrogram
        jobs = {"classify": classifying.classification_job(chosen.recording, chosen.classifier, chosen.settings)}
        if chosen.any_voice is not None:
            jobs["without voice"] = classifying.additional_classification_job(
                chosen.recording, chosen.any_voice, chosen.settings
            )
        with result:
            results = waiting.results(jobs)
            if "classify" in results:
                show_result(chosen, jobs["classify"], results.get("without voice"))
        player(
            chosen.recording,
            key="recording",
            spectrogram=measuring.spectrogram(chosen.recording.sha256, front_end, chosen.recording),
            analysis=results.get("classify"),
            measure=measuring.measures_job,
            awaited=() if jobs["classify"].state in ("failed", "cancelled") else ("scores",),
        )
