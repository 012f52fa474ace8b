"""Forget or rename a recording in the results of a visit, and clear its caches."""

from dataclasses import replace

from pages.shared import session
from pages.shared.cached import explaining, forget_segments, jobs, measuring, read_ahead_jobs, sounds
from pages.shared.cached.classifying import RECORDING_JOBS
from pages.shared.player import signals
from pages.shared.recording import open_recordings
from ser_core.analysis import Analysis, Recording


def rename(recording: Recording) -> None:
    """Update the name of a renamed recording in this visit's results; unfinished jobs start again."""
    jobs().withdraw(session.owner(), RECORDING_JOBS, running=True)
    for job in jobs().finished(session.owner(), (recording.sha256,)):
        if isinstance(job.result, Analysis):
            job.result = replace(job.result, recording=recording)


def forget_recording(sha256: str) -> None:
    """Forget this visit's results for a recording and its stretches, and all cached audio and pictures."""
    for forgotten in (sha256, *_stretches_of(sha256)):
        for queue in (jobs(), read_ahead_jobs()):
            queue.forget(session.owner(), about=forgotten)
    forget_segments()
    clear_caches()


def clear_caches() -> None:
    """Forget all cached audio and pictures of this tab, which are quick to make again."""
    for cache in (
        explaining.cached_explanation,
        explaining.cached_chart,
        measuring.spectrogram,
        sounds.focus_sounds,
        sounds.changed_voices,
        measuring.focus_correlates,
        measuring.prosody,
        sounds.sound,
        sounds.region_sound,
    ):
        cache.clear()
    signals.forget_all()


def _stretches_of(sha256: str) -> set[str]:
    """Return the SHA-256 of each stretch of a recording that this visit holds, or held and has classified."""
    results = [job.result for job in jobs().finished(session.owner(), ())]
    recordings = [result.recording for result in results if isinstance(result, Analysis)]
    recordings += [one.recording for one in open_recordings.held().values()]
    return {recording.sha256 for recording in recordings if recording.part_of == sha256}
