"""Show work that is going on: how far it is, how long it will take, and a button that stops it."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.shared import cached, controls
from pages.shared.controls import Chosen
from pages.shared.names import in_markdown
from pages.shared.server import visits
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation import explainers_of
from ser_core.explanation.agreement import with_consensus
from ser_core.pipeline import with_explanation, with_focus
from ser_core.work.jobs import Job

LABELS = {
    "listen": "Listening",
    "without voice": "Without the voice's own normal",
    "voice": "Getting to know the voice",
    "timeline": "Emotion over time",
    "train": "Training",
    "grad_cam": "Grad-CAM",
    "lime": "LIME",
    "occlusion": "Occlusion",
    "judge": "Which map to believe",
    "focus": "Listening to the focus",
    "add": "Adding recordings",
    "rate": "Rating the queue",
    "people": "Comparing people",
    "explainers": "Comparing explainers with people",
    "export": "Export",
    "import": "Import",
    "teach": "A corpus of the labels",
    "taught": "Before and after",
}


def heard_recording() -> tuple[Chosen, Job]:
    """Draw the sidebar, hear what it chose, and return both; a page without a recording or its scores ends here."""
    chosen = controls.sidebar()
    if chosen is None:
        st.stop()
    return chosen, heard(chosen)


def heard(chosen: Chosen) -> Job:
    """Hear what the sidebar chose; a page ends here as long as its scores are not there."""
    listening = cached.listening(chosen.recording, chosen.classifier, chosen.settings)
    if "listen" not in results({"listen": listening}):
        st.stop()
    return listening


def _require_rival(chosen: Chosen, listening: Job) -> None:
    """End the page where the best score, known only now, is that of the emotion that it is to be held against."""
    emotion = listening.result.emotion
    if chosen.settings.against == emotion:
        st.info(
            f"The best score is {emotion}, which cannot be held against itself. "
            "Choose another emotion to explain, or another under *Rather than*.",
            icon=":material/compare_arrows:",
        )
        st.stop()


def explanations(chosen: Chosen, listening: Job) -> tuple[dict[str, Analysis], set[str]]:
    """Return the analysis as each explainer explains it, and the names of those that are drafts so far.

    Drafts are heard first, so that all maps are there soon; the fine ones take their places as they come.
    """
    _require_rival(chosen, listening)
    settings, coarse = chosen.settings, chosen.settings.drafted()
    methods = explainers_of(chosen.classifier)
    still = [method for method in methods if not cached.is_explained(listening.result, method, settings)]
    drafts = {method: cached.explaining(listening.result, method, chosen.classifier, coarse) for method in still}
    heard = {method: job for method, job in drafts.items() if job.state == "done"}
    fine = {m: cached.explaining(listening.result, m, chosen.classifier, settings) for m in methods}
    heard |= {method: fine[method] for method in results(fine, list(drafts.values()))}
    analysis, explained = listening.result, {}
    for method in (m for m in methods if m in heard):
        explanation = cached.explanation_of(heard[method], analysis, settings)
        explained[method] = with_explanation(analysis, explanation, settings)
    return explained, {method for method in explained if heard[method] is not fine[method]}


def explained_by(method: str, chosen: Chosen, listening: Job) -> tuple[Analysis, Explanation]:
    """Return the analysis with the profile and focus of one explainer or of the consensus, and that explanation.

    Where that explainer cannot explain the classifier, the first that can takes its place. A page ends here as long as
    it is not computed.
    """
    _require_rival(chosen, listening)
    possible = explainers_of(chosen.classifier)
    method = method if method in (*possible, "consensus") else possible[0]
    methods = possible if method == "consensus" else (method,)
    jobs = {m: cached.explaining(listening.result, m, chosen.classifier, chosen.settings) for m in methods}
    if len(results(jobs)) < len(methods):
        st.stop()
    analysis = listening.result
    for job in jobs.values():
        explanation = cached.explanation_of(job, listening.result, chosen.settings)
        analysis = with_explanation(analysis, explanation, chosen.settings)
    explanation = with_consensus(analysis.explanations)[method]
    return with_focus(analysis, explanation, chosen.settings), explanation


def results(jobs: dict[str, Job], drafts: Sequence[Job] = ()) -> dict[str, Any]:
    """Return the results that are there, by name, and watch the rest; the page runs again when one more ends.

    It does so too when one of `drafts` ends, of which nothing else is shown.
    """
    watch(jobs, drafts)
    for name, job in jobs.items():
        if job.state == "failed":
            st.error(in_markdown(job.refusal), icon=":material/error:")
        if job.state == "cancelled":
            st.info(f"{LABELS[name]} was stopped.", icon=":material/stop_circle:")
            if st.button("Start again", key=f"again_{name}"):
                job.queue.drop(job)
                st.rerun()
    return {name: job.result for name, job in jobs.items() if job.state == "done"}


def watch(jobs: dict[str, Job], drafts: Sequence[Job] = (), titles: Mapping[str, str] = LABELS) -> None:
    """Watch the jobs that have not ended; the page runs again when one of them, or one of `drafts`, does."""
    pending = {name: job for name, job in jobs.items() if job.state in ("waiting", "running")}
    if pending:
        # Who stands far behind need not look twice a second: looking costs the one whose turn it is.
        every_s = min(0.5 + 0.25 * min(job.queue.place(job) for job in pending.values()), 3.0)
        st.fragment(_watch, run_every=every_s)(pending, [job for job in drafts if not job.ended.is_set()], titles)


def _watch(pending: dict[str, Job], drafts: list[Job], titles: Mapping[str, str]) -> None:
    visits.here()
    if any(job.ended.is_set() for job in (*pending.values(), *drafts)):
        st.rerun()
    for name, job in pending.items():
        words, button = st.columns([6, 1], vertical_alignment="center")
        words.progress(job.fraction, text=f"**{titles[name]}** · {_state_in_words(job)}")
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
