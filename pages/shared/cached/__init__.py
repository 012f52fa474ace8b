"""What outlives a rerun: models, the machine's job queue, audio ready to play, and figures of corpora.

What is computed from a visit's recordings is cached for that visit and freed when it ends.
"""

import atexit
import hashlib
import logging
import os
from collections.abc import Callable, Hashable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.shared import session
from pages.shared.player import contents
from ser_core.analysis import Analysis, Explanation, Recording, Region, Spectrogram
from ser_core.annotations.saved_sounds import finish_deletions, sounds_of
from ser_core.annotations.store.database import FILE_NAME, default_url
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.store import Store, open_store
from ser_core.audio.acoustic_correlates import Correlates, acoustic_tracks, correlates_outside, usual_correlates
from ser_core.audio.acoustics import tracks_of
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.audio.long_recording import WorkingCopy, working_copy
from ser_core.audio.prosody import Prosody, prosody_of
from ser_core.audio.voice_activity import speech_seconds
from ser_core.corpora import read_corpus
from ser_core.corpora.overview import CorpusOverview, overview_of
from ser_core.errors import AnnotationsRefused, AudioRefused, SettingsRefused
from ser_core.explanation import EXPLAINERS, ExplainerRun, explainers_of, focus_methods_of
from ser_core.explanation.agreement import with_consensus
from ser_core.explanation.counterfactual.voice import VoiceCounterfactuals, VoiceFlip
from ser_core.explanation.focus_audio import FocusScores, level_matched
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.model.checkpoint import CARD, find_model, load_model
from ser_core.model.classifier import Classifier
from ser_core.model.voice import VoiceNormal
from ser_core.output.saved_analyses import clear_unfinished, data_folder
from ser_core.output.stored_results import Result
from ser_core.pipeline import (
    classify_recording,
    correlates_of_focus,
    explain_words,
    explainer_run,
    find_voice_counterfactuals,
    judge_maps,
    know_voice,
    score_focus_audio,
    target_of,
    with_deciding_focus,
    with_focus,
    with_target,
)
from ser_core.settings import AnalysisSettings, FocusSettings, SpectrogramSettings
from ser_core.timeline.timeline import Timeline, emotion_timeline
from ser_core.timeline.words import TimelineWords, words_over_time
from ser_core.words.transcription import (
    WORD_MODEL,
    Transcript,
    WordModel,
    download_word_model,
    find_word_model,
    load_word_model,
    transcribe,
)
from ser_core.work.jobs import Job, Jobs, Lane
from ser_core.work.progress import Work

log = logging.getLogger(__name__)

#: Kinds of jobs about one recording.
RECORDING_JOBS = (
    *("classify", "explain", "focus", "judge", "focus audio", "voice changes", "voice", "usual voice", "measures"),
    *("transcribe", "words", "timeline words", "working copy"),
)
#: Those that *Save* keeps.
SAVED_JOBS = ("classify", "explain", "focus", "judge", "focus audio", "words")
#: What a visitor gave or asked for about the words of a recording, as *Save* keeps it.
ABOUT_WORDS = "about words"


@dataclass(frozen=True, eq=False)
class ChangedVoices:
    """A recording for the player, and its other versions by name, as WAV files of the same length."""

    recording: Recording
    sounds: dict[str, bytes]


def model(name: str) -> Classifier:
    """Return a model; it is loaded again once it was retrained under the same name."""
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
def ahead() -> Jobs:
    """Return the queue of recordings that are read before they are opened; decoding is another process's work."""
    return Jobs()


@st.cache_resource
def trainings() -> Jobs:
    """Return the queue of trainings: one at a time, in parallel to the queue of short jobs."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def broken_off() -> str | None:
    """Clean up saves that the last shutdown interrupted, once per start; return what to tell the visitor."""
    return clear_unfinished(data_folder())


@st.cache_resource(show_spinner="Opening the annotations")
def annotations(url: str) -> Store:
    return open_store(url)


def has_annotations() -> bool:
    """Return whether there are annotations; nothing is created."""
    return bool(os.environ.get("SER_DATABASE_URL")) or (data_folder() / FILE_NAME).is_file()


def finish_deletions_daily() -> None:
    """Finish interrupted deletions and empty the trash of annotations, at each start and daily."""
    if has_annotations():
        _finish_deletions(default_url(data_folder()), data_folder())


@st.cache_resource(ttl=24 * 3_600, show_spinner=False)
def _finish_deletions(url: str, data: Path) -> None:
    try:
        with closing(open_store(url)) as store:
            finish_deletions(store, data)
    except AnnotationsRefused:
        log.warning("Deletions are not finished and are tried again tomorrow.", exc_info=True)


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
    """Return a function that classifies a recording as it will be when it is opened; a job may call it."""
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
    """Stop this visit's explainers, because another stretch is to be explained."""
    jobs().withdraw(session.owner(), ("explain", "judge"), running=True)


def _classification_job(recording: Recording, classifier: Classifier, settings: AnalysisSettings) -> Job:
    """Return the job that classifies a recording; for another emotion or stretch its scores are not computed again."""
    key = ("classify", recording.sha256, classifier.sha256, settings)
    known = _finished((*key[:-1], AnalysisSettings()))
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

    `files` are further recordings, of a project, which the job reads; one whose audio is missing, or that is
    longer than ten minutes, is left out.
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


def timeline_job(long: session.HeldLong, classifier: Classifier, own_voice: bool = False) -> Job:
    """Return the job that classifies a long recording over time; it stops when the recording is closed."""
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


def working_copy_job(long: session.HeldLong) -> Job:
    """Return the job that decodes a long recording on disk; until it is closed its result is kept."""

    def decode(work: Work) -> WorkingCopy:
        stopping = Work(work.progress, lambda: work.stop() or long.closed.is_set())
        copy = working_copy(long.file(), long.name, data_folder(), stopping)
        if copy.sha256 != long.sha256:
            raise AudioRefused(f"{long.name}: the file has changed since it was added. Add it again.")
        return copy

    key = ("working copy", long.key)
    if ahead().find(session.owner(), key) is None:
        ahead().forget(session.owner(), about="working copy")
    return ahead().submit(session.owner(), key, "Decoding", decode)


def open_stretch(
    long: session.HeldLong, copy: WorkingCopy, start_s: float, end_s: float, instead: bool = False
) -> None:
    """Hold a stretch of a long recording, with the words that are known of it; see `session.hold_stretch`."""
    recording = session.hold_stretch(copy, start_s, end_s, instead)
    words = long.words.get(session.choice("timeline_language"), TimelineWords())
    if words.until_s > min(end_s, copy.duration_s) - 0.01:  # to the end of the stretch
        add_transcription(recording.sha256, words.within(start_s, end_s))


def close_long() -> None:
    """Close the long recording, and free the space of its working copy."""
    session.close_long()
    ahead().forget(session.owner(), about="working copy")


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
    return Lane.DRAFT if getattr(settings, method) == getattr(settings.drafted(), method) else Lane.FULL


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
    return _finished(_explainer_key(analysis, method, settings))


def _finished(key: tuple[Hashable, ...]) -> Job | None:
    job = jobs().find(session.owner(), key)
    return job if job is not None and job.state == "done" else None


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
        Lane.DRAFT,
    )


def finished_focus(analysis: Analysis, explanation: Explanation, settings: AnalysisSettings) -> Job | None:
    """Return the finished job that found the focus that decides, or None; submit nothing."""
    return _finished(_focus_key(analysis, explanation, settings))


def _focus_key(analysis: Analysis, explanation: Explanation, settings: AnalysisSettings) -> tuple[Hashable, ...]:
    relevance = hashlib.sha256(explanation.relevance.tobytes()).hexdigest()
    key = (analysis.recording.sha256, analysis.model_sha256, analysis.stretch, analysis.emotion, settings.against)
    return ("focus", *key, relevance, settings.focus, settings.seed)


def computed_so_far(classification: Job, classifier: Classifier, settings: AnalysisSettings) -> Analysis:
    """Return the analysis with the final maps and the final focus that this visit has computed; submit nothing."""
    analysis = classification.result
    if settings.against == analysis.emotion:
        return analysis
    explanations = {}
    for method in focus_methods_of(classifier):
        if job := finished_explainer(analysis, method, settings):
            explanations[method] = explanation_of(job, analysis, settings)
    maps = {method: one for method, one in explanations.items() if method in EXPLAINERS}
    complete = len(maps) == len(explainers_of(classifier))
    explanation = (with_consensus(explanations) if complete else explanations).get(settings.focus_by)
    if explanation is not None and not settings.focus.is_open:
        analysis = with_focus(analysis, explanation, settings)
    elif explanation is not None and (job := finished_focus(analysis, explanation, settings)):
        analysis = job.result
    return replace(analysis, explanations=maps)


def results_of(analysis: Analysis) -> list[Result]:
    """Return everything that this visit has computed of a recording with a model, to be saved.

    Of what was judged by a voice's own normal, only the words.
    """
    sha256 = analysis.recording.sha256
    finished = jobs().finished(session.owner(), (sha256, analysis.model_sha256)) if analysis.voice is None else []
    of_words = _results_of_words(sha256)
    return [(job.key, job.title, job.result) for job in finished if job.kind in SAVED_JOBS] + of_words


def _results_of_words(sha256: str) -> list[Result]:
    """Return the words that were given, else transcribed, and in which language they were asked for."""
    given, language = session.given_words().get(sha256), session.words_asked().get(sha256)
    found: list[Result] = []
    if given or language is not None:
        found.append(((ABOUT_WORDS, sha256), "Words", {"given": given, "language": language}))
    if language is not None and (job := finished_transcription(sha256, language or None)):
        found.append((job.key, job.title, job.result))
    return found


def restore_results(results: list[Result], sha256: str) -> None:
    """Let this visit have results of a recording that were saved, so that they are not computed again."""
    for key, title, result in results:
        if not isinstance(key, tuple) or sha256 not in key:
            continue
        if key[0] == ABOUT_WORDS:
            for of_words, saved in ((session.given_words(), "given"), (session.words_asked(), "language")):
                of_words.pop(sha256, None)
                if result[saved] is not None:
                    of_words[sha256] = result[saved]
        elif key[0] in (*SAVED_JOBS, "transcribe"):
            jobs().add_finished(session.owner(), key, title, result)


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


def word_model_folder() -> Path | None:
    """Return the folder of the model that transcribes, or None if it is missing."""
    return find_word_model(data_folder() / WORD_MODEL)


def word_model_job() -> Job:
    """Return this visit's job that fetches the model that transcribes, unless another visit's has when it begins.

    So who stops it stops it for nobody else.
    """
    folder = data_folder() / WORD_MODEL
    return _downloads().submit(
        session.owner(), ("word model",), "Word model", lambda work: download_word_model(folder, work)
    )


@st.cache_resource
def _downloads() -> Jobs:
    """Return a queue of its own: what waits for the network holds up no computing."""
    return Jobs()


# Loaded once, by a job: it takes seconds, and 150 MB.
@lru_cache(maxsize=1)
def _word_model(folder: Path) -> WordModel:
    return load_word_model(folder)


def finished_transcription(sha256: str, language: str | None) -> Job | None:
    """Return the finished job that transcribed a recording in a language, or None; submit nothing."""
    return _finished(_transcription_key(sha256, language))


def known_words(sha256: str) -> tuple[Region, ...]:
    """Return the words of a recording that were given in this visit, else transcribed; none if neither was."""
    if given := session.given_words().get(sha256):
        return given
    job = finished_transcription(sha256, session.words_asked().get(sha256) or None)
    return job.result.words if job else ()


def transcription_job(recording: Recording, folder: Path, language: str | None) -> Job:
    """Return the job that transcribes a recording in a language, or in the one that the model finds."""

    def run(work: Work) -> Transcript:
        work.report(0.0, "Loading the word model")
        return transcribe(recording, _word_model(folder), language, work)

    key = _transcription_key(recording.sha256, language)
    if jobs().find(session.owner(), key) is None:
        jobs().withdraw(session.owner(), ("transcribe", "words"))
    return jobs().submit(session.owner(), key, "Transcription", run)


def _transcription_key(sha256: str, language: str | None) -> tuple[Hashable, ...]:
    return "transcribe", sha256, language


@st.cache_resource
def transcriptions() -> Jobs:
    """Return a queue of its own for long recordings: nobody else's work waits until two hours are transcribed."""
    queue = Jobs()
    atexit.register(queue.close)
    return queue


def timeline_words_job(long: session.HeldLong, timeline: Timeline, folder: Path, language: str) -> Job:
    """Return the job that transcribes a long recording, from where an earlier one stopped, until it is closed."""

    def run(work: Work) -> None:
        work.report(0.0, "Loading the word model")
        model, so_far = _word_model(folder), long.words.get(language)
        stopping = Work(work.progress, lambda: work.stop() or long.closed.is_set())
        for found in words_over_time(long.file(), timeline, model, language or None, stopping, so_far):
            long.words[language] = found

    key = ("timeline words", long.key, language)
    if transcriptions().find(session.owner(), key) is None:
        transcriptions().withdraw(session.owner(), ("timeline words",), running=True)
    return transcriptions().submit(session.owner(), key, "Words over time", run)


def add_transcription(sha256: str, transcript: Transcript) -> None:
    """Let this visit have the words of a recording that was cut out of a transcribed one."""
    jobs().add_finished(session.owner(), _transcription_key(sha256, None), "Transcription", transcript)


def word_evidence_job(
    analysis: Analysis, words: tuple[Region, ...], classifier: Classifier, settings: AnalysisSettings
) -> Job:
    """Return the job that measures how much each word speaks for the emotion."""
    about = (analysis.recording.sha256, classifier.sha256, analysis.stretch, analysis.emotion, settings.against)
    times_s = tuple((word.start_s, word.end_s) for word in words)  # a word that is only spelt otherwise changes nothing
    key = ("words", *about, times_s, settings.seed)
    if jobs().find(session.owner(), key) is None:
        jobs().withdraw(session.owner(), ("words",))
    return jobs().submit(
        session.owner(),
        key,
        "Evidence per word",
        lambda work: explain_words(analysis, words, classifier, settings, work=work),
    )


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def focus_sounds(key: Hashable, _scores: FocusScores, _recording: Recording) -> dict[str, bytes]:
    """Return the focus alone and everything else as WAV, as loud as the recording; keyed by their job."""
    sounds = {"the focus alone": _scores.alone, "everything else": _scores.without}
    return {
        name: wav_bytes(level_matched(changed.samples, _recording.samples), _recording.sample_rate_hz)
        for name, changed in sounds.items()
    }


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
    )


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def changed_voices(key: Hashable, _found: VoiceCounterfactuals, _names: dict[str, VoiceFlip]) -> ChangedVoices:
    """Return the recording and the voice after each flip, equally long and loud, as the player offers them."""
    before = _found.recording
    sounds = {name: _found.sound(flip) for name, flip in _names.items()}
    longest = max(len(sound) for sound in (before.samples, *sounds.values()))
    padded = np.pad(before.samples, (0, longest - len(before.samples)))
    padded.setflags(write=False)
    identity = hashlib.sha256(f"{key}".encode()).hexdigest()
    wavs = {}
    for name, sound in sounds.items():
        # The change of a louder or softer voice is the level itself.
        matched = sound if _names[name].property.field == "level_db" else level_matched(sound, before.samples)
        wavs[name] = wav_bytes(np.pad(matched, (0, longest - len(matched))), before.sample_rate_hz)
    return ChangedVoices(replace(before, samples=padded, sha256=identity), wavs)


@st.cache_resource(scope="session", max_entries=16, show_spinner=False)
def focus_correlates(
    sha256: str, stretch: Region, regions: tuple[Region, ...], _analysis: Analysis
) -> tuple[Correlates, Correlates]:
    """Return the acoustic correlates of the focus and of the rest of the stretch."""
    return correlates_of_focus(_analysis)


def usual_correlates_job(recordings: list[Recording]) -> Job:
    """Return the job that measures what is usual of a voice, from recordings of it."""

    def measure(work: Work) -> Correlates:
        found = []
        for done, recording in enumerate(recordings):
            work.check()
            work.report(done / len(recordings), f"Recording {done + 1} of {len(recordings)}")
            found.append(correlates_outside(acoustic_tracks(recording), []))
        return usual_correlates(found)

    key = ("usual voice", *(recording.sha256 for recording in recordings))
    return jobs().submit(session.owner(), key, "Usual voice", measure, Lane.DRAFT)


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def spectrogram(sha256: str, settings: SpectrogramSettings, _recording: Recording) -> Spectrogram:
    """Return a recording's spectrogram, which takes no model; keyed by its SHA-256 and the settings."""
    return spectrogram_of(_recording, settings)


def measures_job(recording: Recording, ceiling_hz: float, made_from: str | None = None) -> Job:
    """Return the job that measures a recording over time, for the lanes of the player.

    `made_from` is the SHA-256 of the recording with which the measures are forgotten, if this is another version of it.
    """
    return jobs().submit(
        session.owner(),
        ("measures", recording.sha256, made_from, ceiling_hz),
        "Measuring the voice",
        lambda work: tracks_of(recording, ceiling_hz=ceiling_hz, work=work),
        Lane.QUICK,
    )


# Plotly computes for 0.1 s to build what a page shows in each of its runs.
@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def chart(key: Hashable, _draw: Callable[[], go.Figure]) -> go.Figure:
    """Return a chart, which is drawn once for everything that it depends on."""
    return _draw()


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


def rename(recording: Recording) -> None:
    """Let this visit's results for a recording that was renamed have its new name; what still runs begins again."""
    jobs().withdraw(session.owner(), RECORDING_JOBS, running=True)
    for job in jobs().finished(session.owner(), (recording.sha256,)):
        if isinstance(job.result, Analysis):
            job.result = replace(job.result, recording=recording)


def forget_recording(sha256: str) -> None:
    """Forget this visit's results for a recording, and all cached audio and pictures, which are quick to redo."""
    for queue in (jobs(), ahead()):
        queue.forget(session.owner(), about=sha256)
    if session.held_long() is None:
        ahead().forget(session.owner(), about="working copy")
    for cache in (
        _explanation,
        chart,
        spectrogram,
        focus_sounds,
        changed_voices,
        focus_correlates,
        prosody,
        sound,
        region_sound,
    ):
        cache.clear()
    contents.forget_all()


@st.cache_data(max_entries=16, show_spinner="Reading the corpus")
def corpus_overview(name: str, folder: str) -> CorpusOverview:
    """Return figures of a corpus, as of the first time its folder was read."""
    return overview_of(read_corpus(name, folder))
