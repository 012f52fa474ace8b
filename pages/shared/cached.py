"""What is kept between reruns: models, the machine's one queue, sound ready to play, and figures of corpora."""

from collections.abc import Hashable
from dataclasses import replace

import streamlit as st

from pages.shared import session
from ser_core.analysis import Analysis, Explanation
from ser_core.audible_focus import focus_mask
from ser_core.checkpoint import load_model
from ser_core.classifier import Classifier
from ser_core.corpora import read_corpus
from ser_core.corpora.overview import CorpusOverview, overview_of
from ser_core.jobs import Job, Jobs
from ser_core.pipeline import hear_with, judge_maps, listen, listen_to_focus
from ser_core.recording import Recording
from ser_core.region_audio import region_samples, wav_bytes
from ser_core.regions import Region
from ser_core.settings import AnalysisSettings, FocusSettings


@st.cache_resource(max_entries=4, show_spinner="Loading the model")
def model(name: str) -> Classifier:
    return load_model(name)


@st.cache_resource
def jobs() -> Jobs:
    return Jobs()


@st.cache_resource
def trainings() -> Jobs:
    """Return the queue of trainings: one at a time, beside the short work of everybody."""
    return Jobs()


def listening(recording: Recording, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job that hears a recording; scores do not depend on what is asked about them."""
    asked = AnalysisSettings(emotion=settings.emotion, stretch_s=settings.stretch_s)
    return jobs().submit(
        session.owner(),
        ("listen", recording.sha256, classifier.sha256, asked),
        "Listening",
        lambda progress, cancelled: listen(recording, classifier, asked, progress, cancelled),
    )


def explaining(heard: Job, method: str, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job in which a method hears what it needs of a recording; what is asked of it comes later."""
    analysis = heard.result
    return jobs().submit(
        session.owner(),
        _explaining_key(analysis, method, settings),
        method,
        lambda progress, cancelled: hear_with(analysis, method, classifier, settings, progress, cancelled),
    )


def is_explained(heard: Job, method: str, settings: AnalysisSettings) -> bool:
    """Whether the job of that has ended; none is begun."""
    job = jobs().find(session.owner(), _explaining_key(heard.result, method, settings))
    return job is not None and job.ended.is_set()


def _explaining_key(analysis: Analysis, method: str, settings: AnalysisSettings) -> tuple[Hashable, ...]:
    key = (method, analysis.recording.sha256, analysis.model_sha256, analysis.stretch)
    return ("explain", *key, getattr(settings, method), settings.seed)


def judging(
    heard: Job, explanations: dict[str, Explanation], classifier: Classifier, settings: AnalysisSettings
) -> Job:
    """Return the job that finds out which of the explanations to believe; all are of one question."""
    analysis = heard.result
    asked = replace(settings, focus=FocusSettings(), explain=tuple(explanations))
    return jobs().submit(
        session.owner(),
        ("judge", analysis.recording.sha256, classifier.sha256, analysis.stretch, analysis.emotion, asked),
        "Which map to believe",
        lambda progress, cancelled: judge_maps(analysis, explanations, classifier, asked, progress, cancelled),
    )


def hearing_focus(analysis: Analysis, explanation: Explanation, share: float, classifier: Classifier) -> Job:
    """Return the job that makes sound of what an explanation marks most, and lets the model listen to it."""
    asked = (explanation.method, explanation.emotion, explanation.against, explanation.seed, explanation.layer)
    key = (analysis.recording.sha256, classifier.sha256, analysis.stretch, *asked, repr(explanation.settings), share)
    mask = focus_mask(explanation.relevance, explanation.covered, share)
    return jobs().submit(
        session.owner(),
        ("hear focus", *key),
        "Listening to the focus",
        lambda progress, cancelled: listen_to_focus(analysis, mask, classifier, progress, cancelled),
    )


@st.cache_data(max_entries=16, show_spinner=False)
def sound(sha256: str, _recording: Recording) -> bytes:
    """Return a whole recording as WAV at its own rate; keyed by its SHA-256 alone."""
    return wav_bytes(_recording.samples, _recording.sample_rate_hz)


@st.cache_data(max_entries=256, show_spinner=False)
def region_sound(sha256: str, region: Region, fade_s: float, _recording: Recording) -> bytes:
    """Return one region as WAV, faded."""
    return wav_bytes(region_samples(_recording, region, fade_s), _recording.sample_rate_hz)


@st.cache_data(max_entries=16, show_spinner="Reading how long the recordings last")
def corpus_overview(name: str, folder: str) -> CorpusOverview:
    """Return a corpus in figures, as its folder was when it was first read."""
    return overview_of(read_corpus(name, folder))
