"""Ratings that the queue can be ordered by, computed on request."""

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.open_project import OpenProject
from pages.shared.language import plural, t, texts
from pages.shared.language.names import in_markdown
from ser_core.analysis import Recording
from ser_core.annotations.agreement.matching import POINT_TOLERANCE_S
from ser_core.annotations.annotation import Tier
from ser_core.annotations.queue_rating import rate_by_marks, rate_by_model
from ser_core.annotations.saved_sounds import saved_sound
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.audio.reading import read_recording
from ser_core.model.shipped_models import load_model
from ser_core.output.saved_analyses import data_folder
from ser_core.work.jobs import Job
from ser_core.work.progress import Work

#: Title of each rating, and its cost.
RATINGS = texts(
    {
        "uncertainty": ("model uncertainty", "About a tenth of a second per recording."),
        "explainers_disagreement": (
            "explainer disagreement",
            "Computes draft maps: one to three seconds per recording.",
        ),
        "annotators_disagreement": ("annotator disagreement", "Computed from the marks, without a model."),
    }
)


def is_running(project: OpenProject) -> bool:
    """Return whether recordings are being rated."""
    job = st.session_state.get(_job_key(project))
    return job is not None and not job.ended.is_set()


def show(project: OpenProject, tier: Tier | None) -> None:
    """Show the choice of the measure, and the progress.

    Parameters
    ----------
    tier : Tier or None
        The tier of labels on which annotators disagree; None: the marks of emotions.
    """
    captions = {name: t(cost) for name, (_, cost) in RATINGS.items()}
    if tier is not None:
        words = t("Computed from the labels in {tier}, without a model.", tier=in_markdown(tier.name))
        if tier.kind == "points":
            words += " " + t("Points match up to {ms:.0f} ms apart.", ms=1000 * POINT_TOLERANCE_S)
        captions["annotators_disagreement"] = words
    rating = st.radio(
        t("Measure"),
        list(RATINGS),
        format_func=lambda name: t(RATINGS[name][0]),
        captions=list(captions.values()),
    )
    model = controls.model_name()
    job = st.session_state.get(_job_key(project))
    if st.button(t("Rate all recordings"), icon=":material/sort:", disabled=is_running(project) or model is None):
        if job is not None:
            job.queue.drop(job)
        job = st.session_state[_job_key(project)] = _submit(project, rating, model, tier)
    if job is None:
        return
    done = waiting.results({"rate": job})
    if "rate" in done:
        unrated, words = done["rate"], t("Done. Choose the order above.")
        if unrated:
            words += " " + plural(
                unrated,
                "Not rated: {n} recording without audio here or over ten minutes.",
                "Not rated: {n} recordings without audio here or over ten minutes.",
            )
        st.success(words, icon=":material/check:")


def _job_key(project: OpenProject) -> str:
    """Return the session key of a project's rating job."""
    return f"rating {project.id}"


def _submit(project: OpenProject, rating: str, model: str, tier: Tier | None) -> Job:
    def work(work: Work) -> int:
        if rating == "annotators_disagreement":
            rate_by_marks(project.store, project.id, tier, work)
            return 0
        return rate_by_model(project.store, project.id, rating, _sound, load_model(model), work)

    return cached.jobs().submit(session.owner(), ("rate", project.id), "Rating the queue", work)


def _sound(file: RecordingFile) -> Recording | None:
    source = saved_sound(file, data_folder())
    return None if source is None else read_recording(source, file.name)
