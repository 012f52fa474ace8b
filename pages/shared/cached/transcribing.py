"""Jobs about the words of a recording: transcription and evidence per word."""

from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path

import streamlit as st

from pages.shared import session
from pages.shared.cached import finished, jobs
from pages.shared.language import texts
from pages.shared.recording import open_recordings
from ser_core.analysis import Analysis, Recording, Region
from ser_core.model.classifier import Classifier
from ser_core.output.saved_analyses import data_folder
from ser_core.pipeline import explain_words
from ser_core.settings import AnalysisSettings
from ser_core.words.transcription import Transcript, transcribe
from ser_core.words.word_model import WORD_MODEL, WordModel, download_word_model, find_word_model, load_word_model
from ser_core.work.jobs import Job, Jobs, Lane
from ser_core.work.progress import Work


def word_model_folder() -> Path | None:
    """Return the folder of the model that transcribes, or None if it is missing."""
    return find_word_model(data_folder() / WORD_MODEL)


def word_model_job() -> Job:
    """Return the job that downloads the model that transcribes, if it is still missing when the job begins.

    Each visit has a job of its own, so that stopping it affects nobody else.
    """
    folder = data_folder() / WORD_MODEL
    return _downloads().submit(
        session.owner(), ("word model",), "Word model", lambda work: download_word_model(folder, work)
    )


@st.cache_resource
def _downloads() -> Jobs:
    """Return the queue of downloads: waiting for the network must not hold up computing."""
    return Jobs()


# Loaded once, by a job: it takes seconds, and 150 MB.
@lru_cache(maxsize=1)
def word_model(folder: Path) -> WordModel:
    return load_word_model(folder)


def finished_transcription(sha256: str, language: str | None) -> Job | None:
    """Return the finished job that transcribed a recording in a language, or None; submit nothing."""
    return finished(_transcription_key(sha256, language))


def known_words(sha256: str) -> tuple[Region, ...]:
    """Return the words of a recording that were entered or transcribed in this visit; empty if there are none."""
    if entered := open_recordings.entered_words().get(sha256):
        return entered
    job = finished_transcription(sha256, open_recordings.requested_words().get(sha256) or None)
    return job.result.words if job else ()


def transcription_job(recording: Recording, folder: Path, language: str | None) -> Job:
    """Return the job that transcribes a recording in a language, or in the one that the model finds."""

    def run(work: Work) -> Transcript:
        work.report(0.0, texts("Loading the word model"))
        return transcribe(recording, word_model(folder), language, work)

    key = _transcription_key(recording.sha256, language)
    if jobs().find(session.owner(), key) is None:
        jobs().withdraw(session.owner(), ("transcribe", "words"))
    return jobs().submit(session.owner(), key, "Transcription", run)


def _transcription_key(sha256: str, language: str | None) -> tuple[Hashable, ...]:
    return "transcribe", sha256, language


def add_transcription(sha256: str, transcript: Transcript) -> None:
    """Add the words of a recording that was cut out of a transcribed one."""
    jobs().add_finished(session.owner(), _transcription_key(sha256, None), "Transcription", transcript)


def word_evidence_job(
    analysis: Analysis, words: tuple[Region, ...], classifier: Classifier, settings: AnalysisSettings
) -> Job:
    """Return the job that measures how much each word is evidence for the emotion."""
    about = (analysis.recording.sha256, classifier.sha256, analysis.stretch, analysis.emotion, settings.against)
    times_s = tuple((word.start_s, word.end_s) for word in words)  # spelling does not matter
    key = ("words", *about, times_s, settings.seed)
    if jobs().find(session.owner(), key) is None:
        jobs().withdraw(session.owner(), ("words",))
    return jobs().submit(
        session.owner(),
        key,
        "Evidence per word",
        lambda work: explain_words(analysis, words, classifier, settings, work=work),
        Lane.CLUSTER_FULL,
    )
