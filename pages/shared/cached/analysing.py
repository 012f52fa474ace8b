"""A model's results for a visit's recordings, from jobs, or cached if they are quick; freed when the visit ends."""

import hashlib
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.shared import session
from pages.shared.cached import ahead, finished, jobs, measuring, sounds
from pages.shared.language import language
from pages.shared.player import contents
from pages.shared.recording import open_recordings
from ser_core.analysis import Analysis, Explanation, Recording, Region
from ser_core.annotations.saved_sounds import sounds_of
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.audio.voice_activity import speech_seconds
from ser_core.errors import SettingsRefused
from ser_core.explanation import EXPLAINERS, ExplainerRun, explainers_of, focus_methods_of
from ser_core.explanation.agreement import with_consensus
from ser_core.model.classifier import Classifier
from ser_core.model.voice import VoiceNormal
from ser_core.output.saved_analyses import data_folder
from ser_core.pipeline import (
    classify_recording,
    explainer_run,
    judge_maps,
    score_focus_audio,
    target_of,
    with_deciding_focus,
    with_focus,
    with_target,
)
from ser_core.pipeline.voice import find_voice_counterfactuals, know_voice
from ser_core.settings import AnalysisSettings, FocusSettings
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
    """Return the job in which a second model classifies the recording that is shown; withdraw nothing."""
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


def stop_explaining() -> None:
    """Stop this visit's explainers, because another stretch will be explained."""
    jobs().withdraw(session.owner(), ("explain", "judge"), running=True)


def _classification_job(recording: Recording, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job that classifies a recording; another emotion or stretch reuses its scores."""
    key = ("classify", recording.sha256, classifier.sha256, settings)
    known = finished((*key[:-1], AnalysisSettings()))
    if known is not None and jobs().find(session.owner(), key) is None:
        analysis = known.result
        emotion = settings.emotion or analysis.emotions[int(analysis.scores.recording.argmax())]
        with suppress(SettingsRefused):  # the job says why
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
    further = [file for file in files or () if file.sha256 not in held and not file.is_long]
    sound_of = sounds_of(further, data_folder())

    def know(work: Work) -> tuple[VoiceNormal, float]:
        read = [sound for file in further if (sound := sound_of(file.sha256)) is not None]
        normal = know_voice([*recordings, *read], classifier, work, mixed=mixed)
        return normal, sum(map(speech_seconds, [*recordings, *read]))

    key = ("voice", classifier.sha256, mixed, *sorted(held | {file.sha256 for file in further}))
    if jobs().find(session.owner(), key) is None:
        jobs().withdraw(session.owner(), ("voice",))
    return jobs().submit(session.owner(), key, "Voice's own normal", know, Lane.DRAFT)


def explainer_job(analysis: Analysis, method: str, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job that runs an explainer on a recording, for any emotion and contrast."""
    return jobs().submit(
        session.owner(),
        _explainer_key(analysis, method, settings),
        method,
        lambda work: explainer_run(analysis, method, classifier, settings, work),
        _lane(method, settings),
    )


def _lane(method: str, settings: AnalysisSettings) -> Lane:
    if method == "grad_cam":
        return Lane.QUICK
    is_draft = getattr(settings, method) == getattr(settings.drafted(), method)
    return Lane.CLUSTER_DRAFT if is_draft else Lane.CLUSTER_FULL


def explanation_of(job: Job, analysis: Analysis, settings: AnalysisSettings) -> Explanation:
    """Return the explanation of the chosen emotion and contrast, from an explainer job that has ended."""
    return _explanation(job.key, analysis.emotion, settings.against, job.result, analysis)


# A resource, not data: data would be copied in every rerun.
@st.cache_resource(scope="session", max_entries=64, show_spinner=False)
def _explanation(
    key: Hashable, emotion: str, against: str | None, _run: ExplainerRun, _analysis: Analysis
) -> Explanation:
    target = target_of(_analysis, AnalysisSettings(emotion=emotion, against=against))
    return _run.explain(target, _analysis.emotions)


def is_explained(analysis: Analysis, method: str, settings: AnalysisSettings) -> bool:
    """Return whether this explainer's job has ended, without submitting one."""
    job = jobs().find(session.owner(), _explainer_key(analysis, method, settings))
    return job is not None and job.ended.is_set()


def finished_explainer(analysis: Analysis, method: str, settings: AnalysisSettings) -> Job | None:
    """Return this explainer's finished job, or None; submit nothing."""
    return finished(_explainer_key(analysis, method, settings))


def _explainer_key(analysis: Analysis, method: str, settings: AnalysisSettings) -> tuple[Hashable, ...]:
    key = (method, analysis.recording.sha256, analysis.model_sha256, analysis.stretch)
    return ("explain", *key, getattr(settings, method), settings.seed)


def deciding_focus(
    analysis: Analysis, explanation: Explanation, classifier: Classifier, settings: AnalysisSettings
) -> Job:
    """Return the job that finds the focus that decides."""
    return jobs().submit(
        session.owner(),
        _focus_key(analysis, explanation, settings),
        "Deciding focus",
        lambda work: with_deciding_focus(analysis, explanation, classifier, settings, work),
        Lane.CLUSTER_DRAFT,
    )


def finished_focus(analysis: Analysis, explanation: Explanation, settings: AnalysisSettings) -> Job | None:
    """Return the finished job that found the focus that decides, or None; submit nothing."""
    return finished(_focus_key(analysis, explanation, settings))


def _focus_key(analysis: Analysis, explanation: Explanation, settings: AnalysisSettings) -> tuple[Hashable, ...]:
    relevance = hashlib.sha256(explanation.relevance.tobytes()).hexdigest()
    key = (analysis.recording.sha256, analysis.model_sha256, analysis.stretch, analysis.emotion, settings.against)
    return ("focus", *key, relevance, settings.focus, settings.seed)


def computed_so_far(classification: Job, classifier: Classifier, settings: AnalysisSettings) -> Analysis:
    """Return the analysis with the final maps and the final focus that this visit has computed; submit nothing."""
    analysis = classification.result
    if settings.against == analysis.emotion:
        return analysis
    explanations, methods = {}, focus_methods_of(classifier)
    for method in methods:
        if job := finished_explainer(analysis, method, settings):
            explanations[method] = explanation_of(job, analysis, settings)
    maps = {method: one for method, one in explanations.items() if method in EXPLAINERS}
    complete = len(maps) == len(explainers_of(classifier))
    focus_by = settings.focus_by if settings.focus_by in (*methods, "consensus") else methods[0]
    explanation = (with_consensus(explanations) if complete else explanations).get(focus_by)
    if explanation is not None and not settings.focus.is_open:
        analysis = with_focus(analysis, explanation, settings)
    elif explanation is not None and (job := finished_focus(analysis, explanation, settings)):
        analysis = job.result
    return replace(analysis, explanations=maps)


def faithfulness_job(
    classification: Job, explanations: dict[str, Explanation], classifier: Classifier, settings: AnalysisSettings
) -> Job:
    """Return the job that measures how faithful the explanations of one emotion are."""
    analysis = classification.result
    settings = replace(settings, focus=FocusSettings(), focus_by=None, explain=tuple(explanations))
    return jobs().submit(
        session.owner(),
        ("judge", analysis.recording.sha256, classifier.sha256, analysis.stretch, analysis.emotion, settings),
        "Faithfulness of the maps",
        lambda work: judge_maps(analysis, explanations, classifier, settings, work),
        Lane.CLUSTER_FULL,
    )


def focus_audio_job(analysis: Analysis, mask: np.ndarray, classifier: Classifier) -> Job:
    """Return the job that turns the points of a mask (frames, bands) into audio, and classifies it."""
    marked = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
    key = (analysis.recording.sha256, classifier.sha256, analysis.stretch, marked)
    return jobs().submit(
        session.owner(),
        ("focus audio", *key),
        "Focus audio",
        lambda work: score_focus_audio(analysis, mask, classifier, work),
        Lane.QUICK,
    )


def voice_changes_job(
    analysis: Analysis, regions: tuple[Region, ...], classifier: Classifier, *, submit: bool
) -> Job | None:
    """Return the job that changes the voice and scores the changed sounds; None if it is not submitted yet."""
    key = ("voice changes", analysis.recording.sha256, classifier.sha256, analysis.stretch, regions)
    if not submit:
        return jobs().find(session.owner(), key)
    return jobs().submit(
        session.owner(),
        key,
        "Voice changes",
        lambda work: find_voice_counterfactuals(analysis, classifier, regions, work),
        Lane.CLUSTER_FULL,
    )


def chart(key: Hashable, draw: Callable[[], go.Figure]) -> go.Figure:
    """Return a chart, drawn once for each key, which must contain everything that it depends on."""
    return _chart((key, language()), draw)


# Plotly takes 0.1 s for a chart, which every run of a page would need.
@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def _chart(key: Hashable, _draw: Callable[[], go.Figure]) -> go.Figure:
    return _draw()


def rename(recording: Recording) -> None:
    """Give this visit's results for a renamed recording its new name; unfinished jobs start again."""
    jobs().withdraw(session.owner(), RECORDING_JOBS, running=True)
    for job in jobs().finished(session.owner(), (recording.sha256,)):
        if isinstance(job.result, Analysis):
            job.result = replace(job.result, recording=recording)


def forget_recording(sha256: str) -> None:
    """Forget this visit's results for a recording and its stretches, and all cached audio and pictures.

    The latter are quick to redo.
    """
    for gone in (sha256, *_stretches_of(sha256)):
        for queue in (jobs(), ahead()):
            queue.forget(session.owner(), about=gone)
    clear_caches()


def clear_caches() -> None:
    """Forget all cached audio and pictures of this tab."""
    for cache in (
        _explanation,
        _chart,
        measuring.spectrogram,
        sounds.focus_sounds,
        sounds.changed_voices,
        measuring.focus_correlates,
        measuring.prosody,
        sounds.sound,
        sounds.region_sound,
    ):
        cache.clear()
    contents.forget_all()


def _stretches_of(sha256: str) -> set[str]:
    """Return the SHA-256 of each stretch of a recording that this visit holds, or held and has classified."""
    results = [job.result for job in jobs().finished(session.owner(), ())]
    recordings = [result.recording for result in results if isinstance(result, Analysis)]
    recordings += [one.recording for one in open_recordings.held().values()]
    return {recording.sha256 for recording in recordings if recording.part_of == sha256}
