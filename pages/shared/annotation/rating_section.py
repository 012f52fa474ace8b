"""Ratings by which a queue can be ordered, computed when somebody asks."""

import streamlit as st

from pages.shared import cached, controls, session, waiting
from pages.shared.annotation.place import ORDERS, Place
from ser_core.analysis import Recording
from ser_core.annotations.queue_rating import rate_by_marks, rate_by_model
from ser_core.annotations.store.kept_sounds import kept_sound
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.audio.reading import read_recording
from ser_core.model.checkpoint import load_model
from ser_core.output.saved_analyses import data_folder
from ser_core.work.jobs import Job
from ser_core.work.progress import Work

RATINGS = tuple(name for name in ORDERS if name not in ("added", "name"))
NEEDED = {
    "uncertainty": "A tenth of a second or so for each recording.",
    "explainers_disagreement": "Drafts of three maps: one to three seconds for each recording.",
    "annotators_disagreement": "From the marks alone; asks no model.",
}


def goes_on(place: Place) -> bool:
    """Whether recordings are being rated."""
    job = st.session_state.get(_rating(place))
    return job is not None and not job.ended.is_set()


def show(place: Place) -> None:
    """Ask what to rate by, and show how it goes."""
    rating = st.radio(
        "Measure",
        RATINGS,
        format_func=lambda name: ORDERS[name].removesuffix(" first"),
        captions=[NEEDED[name] for name in RATINGS],
    )
    name = controls.model_name()
    job = st.session_state.get(_rating(place))
    if st.button("Rate all recordings", icon=":material/sort:", disabled=goes_on(place) or name is None):
        if job is not None:
            job.queue.drop(job)
        job = st.session_state[_rating(place)] = _submit(place, rating, name)
    if job is None:
        return
    done = waiting.results({"rate": job})
    if "rate" in done:
        words = f" The sound of {done['rate']} was not at hand." if done["rate"] else ""
        st.success(f"Rated. Choose the order above.{words}", icon=":material/check:")


def _rating(place: Place) -> str:
    """Return where the visit remembers the rating of a project."""
    return f"rating {place.project}"


def _submit(place: Place, rating: str, model: str) -> Job:
    def work(work: Work) -> int:
        if rating == "annotators_disagreement":
            rate_by_marks(place.store, place.project, work)
            return 0
        return rate_by_model(place.store, place.project, rating, _sound, load_model(model), work)

    return cached.jobs().submit(session.owner(), ("rate", place.project), "Rating the queue", work)


def _sound(file: RecordingFile) -> Recording | None:
    source = kept_sound(file, data_folder())
    return None if source is None else read_recording(source, file.name)
