"""Show work that is going on: how far it is, how long it will take, and a button that stops it."""

from typing import Any

import streamlit as st

from pages.shared import cached, controls
from pages.shared.controls import Chosen
from pages.shared.names import in_markdown
from ser_core.jobs import Job

LABELS = {
    "listen": "Listening",
    "train": "Training",
    "grad_cam": "Grad-CAM",
    "lime": "LIME",
    "occlusion": "Occlusion",
}


def heard_recording() -> tuple[Chosen, Job]:
    """Draw the sidebar, hear what it chose, and return both; a page without a recording or its scores ends here."""
    chosen = controls.sidebar()
    if chosen is None:
        st.stop()
    listening = cached.listening(chosen.recording, chosen.classifier, chosen.settings)
    if "listen" not in results({"listen": listening}):
        st.stop()
    return chosen, listening


def results(jobs: dict[str, Job]) -> dict[str, Any]:
    """Return the results that are there, by name, and watch the rest; the page runs again when one more ends."""
    pending = {name: job for name, job in jobs.items() if job.state in ("waiting", "running")}
    if pending:
        _watch(pending)
    for name, job in jobs.items():
        if job.state == "failed":
            st.error(in_markdown(job.refusal), icon=":material/error:")
        if job.state == "cancelled":
            st.info(f"{LABELS[name]} was stopped.", icon=":material/stop_circle:")
            if st.button("Start again", key=f"again_{name}"):
                job.queue.drop(job)
                st.rerun()
    return {name: job.result for name, job in jobs.items() if job.state == "done"}


@st.fragment(run_every=0.5)
def _watch(pending: dict[str, Job]) -> None:
    if any(job.ended.is_set() for job in pending.values()):
        st.rerun()
    for name, job in pending.items():
        words, button = st.columns([6, 1], vertical_alignment="center")
        words.progress(job.fraction, text=f"**{LABELS[name]}** · {_state_in_words(job)}")
        if button.button("Stop", key=f"stop_{name}", icon=":material/stop:", width="stretch"):
            job.queue.cancel(job)


def _state_in_words(job: Job) -> str:
    if job.state == "waiting":
        before = job.queue.place(job)
        return "begins next" if before <= 1 else f"waiting, {before} jobs before it"
    left = job.seconds_left
    if left is None:
        return job.text or "beginning"
    if left < 1:
        return job.text
    return f"{job.text} · about {left:.0f} s left" if left < 90 else f"{job.text} · about {left / 60:.0f} min left"
