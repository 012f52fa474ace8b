"""Measures of a visit's recordings, without a model: spectrogram, pitch and level, and acoustic correlates."""

from collections.abc import Mapping

import streamlit as st

from pages.shared import session
from pages.shared.cached import jobs
from ser_core.analysis import Analysis, Recording, Region, Spectrogram
from ser_core.annotations.f0.operations import corrected_tracks
from ser_core.audio.acoustic_correlates import Correlates, acoustic_tracks, correlates_outside, median_correlates
from ser_core.audio.acoustics import Tracks, tracks_of
from ser_core.audio.prosody import Prosody, prosody_of
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.pipeline.voice import correlates_of_focus
from ser_core.settings import SpectrogramSettings
from ser_core.work.jobs import Job, Lane
from ser_core.work.progress import Work


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def spectrogram(sha256: str, settings: SpectrogramSettings, _recording: Recording) -> Spectrogram:
    """Return a recording's spectrogram; keyed by its SHA-256 and the settings."""
    return spectrogram_of(_recording, settings)


@st.cache_resource(scope="session", max_entries=16, show_spinner=False)
def prosody(sha256: str, _recording: Recording) -> Prosody:
    """Return a recording's level and pitch; keyed by its SHA-256 alone."""
    return prosody_of(_recording)


def measures_job(recording: Recording, ceiling_hz: float, made_from: str | None = None) -> Job:
    """Return the job that measures a recording over time, for the lanes of the player.

    `made_from` is the SHA-256 of the original if this is a changed version; they are forgotten together.
    """
    return jobs().submit(
        session.owner(),
        ("measures", recording.sha256, made_from, ceiling_hz),
        "Measuring the voice",
        lambda work: tracks_of(recording, ceiling_hz=ceiling_hz, work=work),
        Lane.QUICK,
    )


def correction_job(recording: Recording, ceiling_hz: float, tracks: Tracks, corrected_hz: Mapping[int, float]) -> Job:
    """Return the job that measures a recording with corrected F0; it reuses the frames of earlier jobs."""
    owner, about = session.owner(), ("corrected", recording.sha256, ceiling_hz)
    key = (*about, frozenset(corrected_hz.items()))
    job = jobs().find(owner, key)
    if job is not None:
        return job
    jobs().withdraw(owner, ("corrected",), running=True)
    earlier = jobs().finished(owner, about)
    last = earlier[-1].result if earlier else tracks
    for one in earlier:
        jobs().drop(one)
    return jobs().submit(
        owner,
        key,
        "Measuring with the corrected F0",
        lambda work: corrected_tracks(tracks, recording, corrected_hz, last, work),
        Lane.QUICK,
    )


@st.cache_resource(scope="session", max_entries=16, show_spinner=False)
def focus_correlates(
    sha256: str, stretch: Region, regions: tuple[Region, ...], _analysis: Analysis
) -> tuple[Correlates, Correlates]:
    """Return the acoustic correlates of the focus and of the rest of the stretch."""
    return correlates_of_focus(_analysis)


def median_correlates_job(recordings: list[Recording]) -> Job:
    """Return the job that measures the median correlates of recordings of one voice."""

    def measure(work: Work) -> Correlates:
        correlates = []
        for done, recording in enumerate(recordings):
            work.check()
            work.report(done / len(recordings), f"Recording {done + 1} of {len(recordings)}")
            correlates.append(correlates_outside(acoustic_tracks(recording), []))
        return median_correlates(correlates)

    key = ("usual voice", *(recording.sha256 for recording in recordings))
    return jobs().submit(session.owner(), key, "Usual voice", measure, Lane.DRAFT)
