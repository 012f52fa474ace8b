"""What is kept between reruns: models, the machine's one queue, sound ready to play, and figures of corpora.

What is made of a visit's recordings is kept for that visit, and goes when it ends.
"""

import atexit
import hashlib
import logging
import os
from collections.abc import Hashable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st

from pages.shared import session
from pages.shared.player import contents
from ser_core.analysis import Analysis, Explanation, Recording, Region
from ser_core.annotations.store.database import FILE_NAME, default_url
from ser_core.annotations.store.store import open_store
from ser_core.annotations.store.unfinished import finish_deletions
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.audio.prosody import Prosody, prosody_of
from ser_core.audio.voice_activity import speech_seconds
from ser_core.corpora import read_corpus
from ser_core.corpora.overview import CorpusOverview, overview_of
from ser_core.errors import AnnotationsRefused
from ser_core.explanation import ExplainerRun
from ser_core.explanation.focus_audio import FocusScores, focus_mask, level_matched
from ser_core.model.checkpoint import CARD, find_model, load_model
from ser_core.model.classifier import Classifier
from ser_core.model.voice import VoiceNormal
from ser_core.output.saved_analyses import clear_unfinished, data_folder
from ser_core.pipeline import classify_recording, explainer_run, judge_maps, know_voice, score_focus_audio, target_of
from ser_core.settings import AnalysisSettings, FocusSettings
from ser_core.timeline.timeline import emotion_timeline
from ser_core.work.jobs import Job, Jobs
from ser_core.work.progress import Work

log = logging.getLogger(__name__)

#: Work that answers what is asked about a recording.
ABOUT_A_RECORDING = ("listen", "explain", "judge", "hear focus", "voice")


def model(name: str) -> Classifier:
    """Return a model, loaded again after it was trained again under its name."""
    card = find_model(name) / CARD
    return _model(name, card.stat().st_mtime_ns if card.is_file() else 0)


@st.cache_resource(max_entries=8, show_spinner="Loading the model")
def _model(name: str, written_ns: int) -> Classifier:
    return load_model(name)


@st.cache_resource
def jobs() -> Jobs:
    queue = Jobs()
    atexit.register(queue.close)
    return queue


@st.cache_resource
def trainings() -> Jobs:
    """Return the queue of trainings: one at a time, beside the short work of everybody."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def broken_off() -> str | None:
    """Say what was being saved when the app ended the last time; looked for once after each start."""
    return clear_unfinished(data_folder())


def finish_deletions_daily() -> None:
    """Finish what was being deleted when the app ended, and empty the trash of annotations: at each start and daily."""
    if os.environ.get("SER_DATABASE_URL") or (data_folder() / FILE_NAME).is_file():
        _finish_deletions(default_url(data_folder()), data_folder())


@st.cache_resource(ttl=24 * 3_600, show_spinner=False)
def _finish_deletions(url: str, data: Path) -> None:
    try:
        with closing(open_store(url)) as store:
            finish_deletions(store, data)
    except AnnotationsRefused:
        log.warning("Deletions are not finished and are tried again tomorrow.", exc_info=True)


def listening(recording: Recording, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job that hears a recording; scores do not depend on what is asked about them."""
    _turn_to((recording.sha256, classifier.sha256, settings))
    return _listening(recording, classifier, AnalysisSettings(emotion=settings.emotion, stretch_s=settings.stretch_s))


def listening_with_each(
    recording: Recording, classifiers: dict[str, Classifier], method: str, settings: AnalysisSettings
) -> dict[str, Job]:
    """Return the jobs in which several models hear a recording, to be asked of one emotion by one method later."""
    models = tuple(classifier.sha256 for classifier in classifiers.values())
    _turn_to((recording.sha256, models, method, settings))
    asked = AnalysisSettings(stretch_s=settings.stretch_s)
    return {name: _listening(recording, classifier, asked) for name, classifier in classifiers.items()}


def _turn_to(target: Hashable) -> None:
    """Give up the places in the queue of what was asked before, where something else is asked now."""
    if st.session_state.setdefault("question", target) != target:
        st.session_state["question"] = target
        jobs().withdraw(session.owner(), ABOUT_A_RECORDING)


def _listening(recording: Recording, classifier: Classifier, asked: AnalysisSettings) -> Job:
    return jobs().submit(
        session.owner(),
        ("listen", recording.sha256, classifier.sha256, asked),
        "Listening",
        lambda work: classify_recording(recording, classifier, asked, work),
        quick=True,
    )


def listening_beside(recording: Recording, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job in which another model hears what is shown, beside the one that it is shown of."""
    return _listening(recording, classifier, AnalysisSettings(emotion=settings.emotion, stretch_s=settings.stretch_s))


def knowing_voice(recordings: list[Recording], classifier: Classifier, *, mixed: bool) -> Job:
    """Return the job that gets to know the voice of recordings: its normal, and how many seconds of speech they are."""

    def know(work: Work) -> tuple[VoiceNormal, float]:
        normal = know_voice(recordings, classifier, work, mixed=mixed)
        return normal, sum(map(speech_seconds, recordings))

    key = ("voice", classifier.sha256, mixed, *sorted(recording.sha256 for recording in recordings))
    if jobs().find(session.owner(), key) is None:
        jobs().withdraw(session.owner(), ("voice",))
    return jobs().submit(session.owner(), key, "Getting to know a voice", know, quick=True)


def timeline(long: session.HeldLong, classifier: Classifier, own_voice: bool = False) -> Job:
    """Return the job that hears a long recording over time; it stops when that is closed."""
    return jobs().submit(
        session.owner(),
        ("timeline", long.key, classifier.sha256, own_voice),
        "Emotion over time",
        lambda work: emotion_timeline(
            long.file(),
            classifier,
            Work(work.progress, lambda: work.stop() or long.closed.is_set()),
            long.name,
            own_voice=own_voice,
        ),
    )


def explaining(analysis: Analysis, method: str, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job in which a method hears what it needs of a recording; what is asked of it comes later."""
    return jobs().submit(
        session.owner(),
        _explaining_key(analysis, method, settings),
        method,
        lambda work: explainer_run(analysis, method, classifier, settings, work),
        quick=getattr(settings, method) == getattr(settings.drafted(), method),  # drafts, and Grad-CAM, which has none
    )


def explanation_of(explaining: Job, analysis: Analysis, settings: AnalysisSettings) -> Explanation:
    """Return what the hearing of a job that has ended says of what is asked."""
    return _explanation(explaining.key, analysis.emotion, settings.against, explaining.result, analysis)


# A resource, not data: of data every rerun would get a copy.
@st.cache_resource(scope="session", max_entries=64, show_spinner=False)
def _explanation(
    key: Hashable, emotion: str, against: str | None, _hearing: ExplainerRun, _analysis: Analysis
) -> Explanation:
    asked = AnalysisSettings(emotion=emotion, against=against)
    return _hearing.explain(target_of(_analysis, asked), _analysis.emotions)


def is_explained(analysis: Analysis, method: str, settings: AnalysisSettings) -> bool:
    """Whether the job of that has ended; none is begun."""
    job = jobs().find(session.owner(), _explaining_key(analysis, method, settings))
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
        lambda work: judge_maps(analysis, explanations, classifier, asked, work),
    )


def hearing_focus(analysis: Analysis, explanation: Explanation, share: float, classifier: Classifier) -> Job:
    """Return the job that makes sound of what an explanation marks most, and lets the model listen to it."""
    mask = focus_mask(explanation.relevance, explanation.covered, share)
    marked = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
    key = (analysis.recording.sha256, classifier.sha256, analysis.stretch, marked)
    return jobs().submit(
        session.owner(),
        ("hear focus", *key),
        "Listening to the focus",
        lambda work: score_focus_audio(analysis, mask, classifier, work),
    )


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def changed_sounds(key: Hashable, _heard: FocusScores, _recording: Recording) -> dict[str, bytes]:
    """Return the focus alone and all but it as WAV, as loud as the recording; keyed by the job that heard them."""
    sounds = {"the focus alone": _heard.alone, "all but the focus": _heard.without}
    return {
        name: wav_bytes(level_matched(changed.samples, _recording.samples), _recording.sample_rate_hz)
        for name, changed in sounds.items()
    }


@st.cache_resource(scope="session", max_entries=16, show_spinner=False)
def prosody(sha256: str, _recording: Recording) -> Prosody:
    """Return a recording's level and pitch; keyed by its SHA-256 alone."""
    return prosody_of(_recording)


@st.cache_data(scope="session", max_entries=16, show_spinner=False)
def sound(sha256: str, _recording: Recording) -> bytes:
    """Return a whole recording as WAV at its own rate; keyed by its SHA-256 alone."""
    return wav_bytes(_recording.samples, _recording.sample_rate_hz)


@st.cache_data(scope="session", max_entries=256, show_spinner=False)
def region_sound(sha256: str, region: Region, fade_s: float, _recording: Recording) -> bytes:
    """Return one region as WAV, faded."""
    return wav_bytes(region_samples(_recording, region, fade_s), _recording.sample_rate_hz)


def let_go(sha256: str) -> None:
    """Forget what this visit computed of a recording, and the sounds and pictures of all, which are quickly redone."""
    jobs().forget(session.owner(), about=sha256)
    for kept in (_explanation, changed_sounds, prosody, sound, region_sound, contents._sound, contents._spectrogram):
        kept.clear()


@st.cache_data(max_entries=16, show_spinner="Reading how long the recordings last")
def corpus_overview(name: str, folder: str) -> CorpusOverview:
    """Return a corpus in figures, as its folder was when it was first read."""
    return overview_of(read_corpus(name, folder))
