"""Jobs that classify a visit's recordings, and the own normal of a voice."""

from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial

import streamlit as st

from pages.shared import session
from pages.shared.cached import finished, jobs
from ser_core.analysis import Recording
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.audio.voice_activity import speech_seconds
from ser_core.errors import SettingsRefused
from ser_core.model.classifier import Classifier
from ser_core.model.voice import VoiceNormal
from ser_core.output.saved_analyses import data_folder
from ser_core.pipeline import classify_recording, with_target
from ser_core.pipeline.voice import speaker_normal
from ser_core.settings import AnalysisSettings
from ser_core.work.jobs import Job, Lane
from ser_core.work.progress import Work

#: Kinds of jobs about one recording.
RECORDING_JOBS = (
    *("classify", "explain", "focus", "judge", "focus audio", "voice changes", "voice", "usual voice", "measures"),
    *("corrected", "transcribe", "words", "timeline words", "working copy"),
)


def classification_job(recording: Recording, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job that classifies a recording, and withdraw queued jobs for other inputs."""
    _withdraw_outdated((recording.sha256, classifier.sha256, settings))
    return _classification_job(
        recording, classifier, AnalysisSettings(emotion=settings.emotion, stretch_s=settings.stretch_s)
    )


def classification_jobs(
    recording: Recording, classifiers: dict[str, Classifier], method: str, settings: AnalysisSettings
) -> dict[str, Job]:
    """Return the jobs in which several models classify a recording, and withdraw queued jobs for other inputs."""
    models = tuple(classifier.sha256 for classifier in classifiers.values())
    _withdraw_outdated((recording.sha256, models, method, settings))
    settings = AnalysisSettings(stretch_s=settings.stretch_s)
    return {name: _classification_job(recording, classifier, settings) for name, classifier in classifiers.items()}


def additional_classification_job(recording: Recording, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job in which a second model classifies the current recording; withdraw nothing."""
    return _classification_job(
        recording, classifier, AnalysisSettings(emotion=settings.emotion, stretch_s=settings.stretch_s)
    )


def classification_ahead(classifier: Classifier) -> Callable[[Recording], Job]:
    """Return a function that submits the classification that a recording needs when it is opened; a job may call it."""
    queue, owner, settings = jobs(), session.owner(), AnalysisSettings()

    def classify(recording: Recording) -> Job:
        key = ("classify", recording.sha256, classifier.sha256, settings)
        work = partial(classify_recording, recording, classifier, settings)
        return queue.submit(owner, key, "Classifying", work, Lane.QUICK)

    return classify


def _withdraw_outdated(inputs: Hashable) -> None:
    """Withdraw this visit's queued jobs if they were submitted for other inputs."""
    if st.session_state.setdefault("job_inputs", inputs) != inputs:
        st.session_state["job_inputs"] = inputs
        jobs().withdraw(session.owner(), RECORDING_JOBS)


def _classification_job(recording: Recording, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job that classifies a recording; another emotion or stretch reuses its scores."""
    key = ("classify", recording.sha256, classifier.sha256, settings)
    default = finished((*key[:-1], AnalysisSettings()))
    if default is not None and jobs().find(session.owner(), key) is None:
        analysis = default.result
        emotion = settings.emotion or analysis.emotions[int(analysis.scores.recording.argmax())]
        with suppress(SettingsRefused):  # the job shows the refusal
            jobs().add_finished(session.owner(), key, "Classifying", with_target(analysis, emotion, settings))
    return jobs().submit(
        session.owner(),
        key,
        "Classifying",
        lambda work: classify_recording(recording, classifier, settings, work),
        Lane.QUICK,
    )


def voice_job(
    recordings: list[Recording], classifier: Classifier, files: list[RecordingFile] | None = None, *, mixed: bool
) -> Job:
    """Return the job that computes a voice's own normal from recordings, and their seconds of speech.

    `files` are further recordings of a project, which the job reads; those without audio, or longer than ten minutes,
    are left out.
    """
    held = {recording.sha256 for recording in recordings}
    other_files = [file for file in files or () if file.sha256 not in held and not file.is_long]
    sound_of = sounds_of(other_files, data_folder())

    def compute_normal(work: Work) -> tuple[VoiceNormal, float]:
        sounds = [sound_of(file.sha256) for file in other_files]
        all_recordings = [*recordings, *(sound for sound in sounds if sound is not None)]
        normal = speaker_normal(all_recordings, classifier, work, mixed=mixed)
        return normal, sum(map(speech_seconds, all_recordings))

    key = ("voice", classifier.sha256, mixed, *sorted(held | {file.sha256 for file in other_files}))
    if jobs().find(session.owner(), key) is None:
        jobs().withdraw(session.owner(), ("voice",))
    return jobs().submit(session.owner(), key, "Voice's own normal", compute_normal, Lane.DRAFT)
