"""Show running jobs: progress, remaining time, and a button to stop each."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from time import monotonic
from typing import Any

import streamlit as st

from pages.shared import session
from pages.shared.cached import classifying, explaining
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.server import visits
from pages.shared.session import Chosen
from ser_core.analysis import Analysis, Explanation
from ser_core.explanation import METHOD_NAMES, explainers_of, focus_methods_of
from ser_core.explanation.agreement import with_consensus
from ser_core.pipeline import with_explanation, with_focus
from ser_core.work.jobs import Job
from ser_core.work.progress import SEPARATOR

LABELS = texts(
    {
        "classify": "Classifying",
        "without voice": "Without the voice's own normal",
        "voice": "Computing the voice's own normal",
        "timeline": "Emotion over time",
        "copy": "Opening the recording",
        "train": "Training",
        **METHOD_NAMES,
        "deciding": "Finding the stretches that decide",
        "judge": "Testing the maps",
        "focus": "Classifying the focus",
        "usual voice": "Measuring the voice's other recordings",
        "voice changes": "Changing the voice",
        "transcribe": "Transcribing",
        "words": "Evidence of the words",
        "timeline words": "Transcribing",
        "word model": "Fetching the word model",
        "add": "Adding recordings",
        "rate": "Rating the queue",
        "people": "Comparing annotators",
        "explainers": "Comparing explainers with annotators",
        "export": "Export",
        "into": "Writing into a file",
        "map": "Map of the recordings",
        "hits": "Sounds of the hits",
        "measure": "Measuring marks",
        "corrected": "HNR and tilt with the corrected F0",
        "f0": "Measuring F0",
        "look": "Reading annotation files",
        "import": "Import",
        "teach": "Making a corpus",
        "foreseen": "What would be taught",
        "taught": "Comparing before and after",
    }
)

#: Results that end within this time of each other are shown together.
TOGETHER_S = 1.0


def classify(chosen: Chosen) -> Job:
    """Return the finished job that classified the chosen recording; stop the page until then."""
    job = classifying.classification_job(chosen.recording, chosen.classifier, chosen.settings)
    if "classify" not in results({"classify": job}):
        st.stop()
    return job


def _has_contrast(chosen: Chosen, classification: Job) -> bool:
    """Return False, and show why, if the best-scoring emotion is also the one to contrast with."""
    emotion = classification.result.emotion
    if chosen.settings.against == emotion:
        st.info(
            t(
                "{emotion} has the best score and cannot be contrasted with itself. Choose another *Emotion* or "
                "another one under *Contrast with*.",
                emotion=t(emotion).capitalize(),
            ),
            icon=":material/compare_arrows:",
        )
        return False
    return True


def explanations(chosen: Chosen, classification: Job) -> tuple[dict[str, Analysis], set[str]]:
    """Return the analysis with each explainer's explanation, and the names of those that are still drafts.

    Drafts are computed first, so that all maps appear soon. The fine maps replace them one by one.
    """
    if not _has_contrast(chosen, classification):
        st.stop()
    settings, methods = chosen.settings, explainers_of(chosen.classifier)
    done, fine = _drafts_and_fine(methods, chosen, classification)
    analysis, explained = classification.result, {}
    for method in (m for m in methods if m in done):
        explanation = explaining.explanation_of(done[method], analysis, settings)
        explained[method] = with_focus(with_explanation(analysis, explanation), explanation, settings)
    return explained, {method for method in explained if done[method] is not fine[method]}


def focused_by(method: str, chosen: Chosen, classification: Job) -> tuple[Analysis, Explanation | None, bool]:
    """Return the analysis with the focus of a method or of the consensus, its explanation, and whether it is final.

    This never waits: over several runs there is first no explanation (None), then a draft, then the fine one with a
    focus of the default size, and last the focus that decides. If the method cannot explain the classifier, the first
    one that can is used.
    """
    analysis, settings = classification.result, chosen.settings
    if not _has_contrast(chosen, classification):
        return analysis, None, True
    possible = focus_methods_of(chosen.classifier)
    method = method if method in (*possible, "consensus") else possible[0]
    methods = explainers_of(chosen.classifier) if method == "consensus" else (method,)
    done, fine = _drafts_and_fine(methods, chosen, classification)
    if len(done) < len(methods):
        return analysis, None, False
    for m in methods:
        analysis = with_explanation(analysis, explaining.explanation_of(done[m], classification.result, settings))
    explanation = with_consensus(analysis.explanations)[method]
    preliminary = with_focus(analysis, explanation, settings)
    drafted = any(done[m] is not fine[m] for m in methods)
    if drafted or not settings.focus.is_open:
        return preliminary, explanation, not drafted
    job = explaining.deciding_focus(analysis, explanation, chosen.classifier, settings)
    found = results({"deciding": job}).get("deciding")
    return found or preliminary, explanation, found is not None


def _drafts_and_fine(
    methods: Sequence[str], chosen: Chosen, classification: Job
) -> tuple[dict[str, Job], dict[str, Job]]:
    """Return the finished job of each method, which may be a draft, and the fine job of each."""
    analysis, classifier, settings = classification.result, chosen.classifier, chosen.settings
    missing = [method for method in methods if not explaining.is_explained(analysis, method, settings)]
    drafts = {m: explaining.explainer_job(analysis, m, classifier, settings.drafted()) for m in missing}
    done = {method: job for method, job in drafts.items() if job.state == "done"}
    fine = {m: explaining.explainer_job(analysis, m, classifier, settings) for m in methods}
    return done | {m: fine[m] for m in results(fine, drafts)}, fine


def results(jobs: dict[str, Job], drafts: Mapping[str, Job] | None = None) -> dict[str, Any]:
    """Return the finished results by name, and show the progress of the other jobs.

    The page runs again when a job or one of `drafts` ends. Until a job's draft is done, its progress is shown instead.
    """
    watch(jobs, drafts)
    # Jobs about one file may fail for the same reason.
    for refusal in dict.fromkeys(job.refusal for job in jobs.values() if job.state == "failed"):
        st.error(in_markdown(recognised(refusal)), icon=":material/error:")
    for name, job in jobs.items():
        if job.state == "cancelled":
            st.info(t("{name} was stopped.", name=t(LABELS[name])), icon=":material/stop_circle:")
            if st.button(t("Start again"), key=f"again_{name}"):
                job.queue.drop(job)
                st.rerun()
    return {name: job.result for name, job in jobs.items() if job.state == "done"}


def watch(jobs: dict[str, Job], drafts: Mapping[str, Job] | None = None, titles: Mapping[str, str] = LABELS) -> None:
    """Show the progress of unfinished jobs; the page runs again when one of them or of `drafts` ends.

    The first result is shown at once; later ones that end within a second of each other are shown together, because
    each run draws the page's charts again. Jobs of this page run before those of pages that the visitor has left.
    """
    pending = {name: job for name, job in jobs.items() if job.state in ("waiting", "running")}
    if pending:
        awaited = session.awaited()
        awaited += [job for job in (*(drafts or {}).values(), *pending.values()) if job not in awaited]
        for job in reversed(awaited):
            job.queue.move_to_front(job)
        # A job far back in the queue is polled less often: polling slows down the job that is running.
        unfinished = {name: job for name, job in (drafts or {}).items() if not job.ended.is_set()}
        every_s = min(0.5 + 0.25 * min(len(job.queue.ahead(job)) for job in (pending | unfinished).values()), 3.0)
        nothing_yet = len(pending) == len(jobs) and len(unfinished) == len(drafts or {})
        together_s = 0.0 if nothing_yet else TOGETHER_S
        st.fragment(_watch, run_every=every_s)(pending, unfinished, titles, count(), together_s)


def rerun_when_ended(job: Job) -> None:
    """Run the page again when a job ends, without showing progress."""
    if not job.ended.is_set():
        st.fragment(_rerun_when_ended, run_every=0.3)(job)


def _rerun_when_ended(job: Job) -> None:
    if job.ended.is_set():
        st.rerun()


def _watch(
    pending: dict[str, Job],
    drafts: dict[str, Job],
    titles: Mapping[str, str],
    calls: Iterator[int],
    together_s: float,
) -> None:
    visits.mark_active()
    # Not in the page's own run, in which a click on a button further down would be lost.
    if next(calls) and results_are_due([*pending.values(), *drafts.values()], together_s):
        st.rerun()
    shown: list[Job] = []
    for name, fine in pending.items():
        job, title = fine, t(titles[name])
        if name in drafts:
            job, title = drafts[name], t("{map} (draft)", map=title)
        # Bar and button share a row even on a narrow screen.
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"progress_{name}"):
            st.progress(job.fraction, text=f"**{title}** · {_state_in_words(job, shown, drafts.values())}")
            if st.button(t("Stop"), key=f"stop_{name}", icon=":material/stop:", width="content"):
                for one in {fine, job}:
                    one.queue.cancel(one)
        shown.append(job)


def results_are_due(jobs: Collection[Job], together_s: float) -> bool:
    """Return whether ended jobs are to be shown: at once, or up to `together_s` later while another one runs.

    Jobs that were stopped or failed are shown at once.
    """
    ended = [job for job in jobs if job.ended.is_set()]
    if all(job.state == "done" for job in ended) and any(job.state == "running" for job in jobs):
        return any(monotonic() - job.ended_at >= together_s for job in ended)
    return bool(ended)


def _state_in_words(job: Job, above: Collection[Job], drafts: Collection[Job]) -> str:
    """Describe what a job does, or what it waits for: a number of other visitors' jobs, or the visitor's own work.

    Parameters
    ----------
    above : collection of Job
        The jobs whose progress is shown above.
    drafts : collection of Job
    """
    if job.state == "waiting":
        ahead = job.queue.ahead(job)
        others = sum(other.owner != job.owner for other in ahead)
        if others:
            return plural(others, "waiting, {n} job of others ahead", "waiting, {n} jobs of others ahead")
        if any(other in above for other in ahead):
            return t("after the one above")
        if any(other in drafts for other in ahead):
            return t("after the drafts")
        return t("after your other work" if ahead else "starting")
    left, doing = job.seconds_left, SEPARATOR.join(map(recognised, job.text.split(SEPARATOR)))
    if left is None:
        return doing or t("starting")
    if left < 1:
        return doing
    remains = t("about {s:.0f} s left", s=left) if left < 90 else t("about {min:.0f} min left", min=left / 60)
    return f"{doing}{SEPARATOR}{remains}"
