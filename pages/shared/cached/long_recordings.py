"""Jobs about a long recording: its emotions and words over time, and a stretch of it to open."""

import atexit
from pathlib import Path

import streamlit as st

from pages.shared import session
from pages.shared.cached import jobs, read_ahead_jobs
from pages.shared.cached.transcribing import add_transcription, word_model
from pages.shared.language import texts
from pages.shared.player import signals
from pages.shared.recording import open_recordings
from ser_core.audio.working_copy import WorkingCopy, working_copy
from ser_core.errors import AudioRefused
from ser_core.model.classifier import Classifier
from ser_core.output.saved_analyses import data_folder
from ser_core.timeline.timeline import Timeline, emotion_timeline
from ser_core.timeline.words import TimelineWords, words_over_time
from ser_core.work.jobs import Job, Jobs
from ser_core.work.progress import Work


def timeline_job(long: open_recordings.HeldLong, classifier: Classifier, own_voice: bool = False) -> Job:
    """Return the job that classifies a long recording over time; it stops when the recording is closed."""
    return jobs().submit(
        session.owner(),
        ("timeline", long.sha256, long.key, classifier.sha256, own_voice),
        "Emotion over time",
        lambda work: emotion_timeline(
            long.file(),
            classifier,
            Work(work.progress, lambda: work.stop() or long.closed.is_set()),
            long.name,
            own_voice=own_voice,
        ),
    )


def working_copy_job(long: open_recordings.HeldLong) -> Job:
    """Return the job that decodes a long recording to disk; its result exists until the recording is closed."""

    def decode(work: Work) -> WorkingCopy:
        stopping = Work(work.progress, lambda: work.stop() or long.closed.is_set())
        copy = working_copy(long.file(), long.name, data_folder(), stopping)
        if copy.sha256 != long.sha256:
            raise AudioRefused(f"{long.name}: the file has changed since it was added. Add it again.")
        return copy

    key = ("working copy", long.sha256, long.key)
    if read_ahead_jobs().find(session.owner(), key) is None:
        _forget_working_copy()
    return read_ahead_jobs().submit(session.owner(), key, "Decoding", decode)


def open_stretch(
    long: open_recordings.HeldLong, copy: WorkingCopy, start_s: float, end_s: float, *, replace_last: bool = False
) -> None:
    """Hold a stretch of a long recording, with its words if they are known; see `open_recordings.hold_stretch`."""
    recording = open_recordings.hold_stretch(copy, start_s, end_s, replace_last=replace_last)
    words = long.words.get(session.choice("timeline_language"), TimelineWords())
    if words.until_s > min(end_s, copy.duration_s) - 0.01:  # to the end of the stretch
        add_transcription(recording.sha256, words.within(start_s, end_s))


def close_long() -> None:
    """Close the long recording, and free the space of its working copy."""
    open_recordings.close_long()
    _forget_working_copy()


def _forget_working_copy() -> None:
    read_ahead_jobs().forget(session.owner(), about="working copy")
    signals.forget_long()


@st.cache_resource
def transcriptions() -> Jobs:
    """Return the queue of transcriptions of long recordings: other work must not wait for two hours of speech."""
    queue = Jobs()
    atexit.register(queue.close)
    return queue


def timeline_words_job(long: open_recordings.HeldLong, timeline: Timeline, folder: Path, language: str) -> Job:
    """Return the job that continues to transcribe a long recording, until the recording is closed."""

    def run(work: Work) -> None:
        work.report(0.0, texts("Loading the word model"))
        model, so_far = word_model(folder), long.words.get(language)
        stopping = Work(work.progress, lambda: work.stop() or long.closed.is_set())
        for found in words_over_time(long.file(), timeline, model, language or None, stopping, so_far):
            long.words[language] = found

    key = ("timeline words", long.key, language)
    if transcriptions().find(session.owner(), key) is None:
        transcriptions().withdraw(session.owner(), ("timeline words",), running=True)
    return transcriptions().submit(session.owner(), key, "Words over time", run)
