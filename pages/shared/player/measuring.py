"""Measures over time for the player's lanes, computed by a job once a lane needs them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import streamlit as st

from pages.shared.language import recognised, t, texts
from pages.shared.player import signals
from ser_core.analysis import Recording
from ser_core.annotations.f0.operations import with_corrected_f0
from ser_core.audio.acoustics import DEFAULT_CEILING_HZ, Tracks
from ser_core.audio.working_copy import WorkingCopy
from ser_core.work.jobs import Job

#: Ceilings of formants to choose from, in Hz, with the voices they suit.
CEILINGS = texts({5_500.0: "most women", 5_000.0: "most men", 8_000.0: "small children"})

#: From a recording and the ceiling of formants in Hz to the job of `tracks_of`.
Measure = Callable[[Recording, float], Job]

#: From a recording, the ceiling, its tracks and the corrected F0 of frames to the job of `corrected_tracks`.
Correct = Callable[[Recording, float, Tracks, Mapping[int, float]], Job]

#: Text in the lanes of a long recording until a stretch of it is analysed.
NEEDS_STRETCH = texts("Analyse what is in view (H) to measure it")

#: Most recordings take less time to measure, so their lanes appear together with the page.
MAX_WAIT_S = 0.3


def measures_data(
    measure: Measure | None,
    recording: Recording | WorkingCopy,
    key: str,
    from_s: float = 0.0,
    corrected_hz: Mapping[int, float] | None = None,
    correct: Correct | None = None,
) -> dict[str, Any] | None:
    """Return the player's data of the measures computed so far; None if this player has no measures.

    The recording begins `from_s` after the player does. A long one is never measured as a whole. `corrected_hz` is the
    F0 of its frames that were corrected by hand; it is shown at once, and the measures that depend on it follow once
    `correct` has computed them.

    The player's state contains the ceiling of formants if its lanes need measures. While the job is running, the player
    sends it again and again, which runs the page. A fragment that watched the job would move everything below it.
    """
    if measure is None:
        return None
    ceilings = {"ceilings": [[hz, t(voices)] for hz, voices in CEILINGS.items()]}
    ceiling_hz = _requested_ceiling_hz(st.session_state.get(key) or {})
    if ceiling_hz is None:
        return {"state": "idle", **ceilings}
    if isinstance(recording, WorkingCopy):
        return {"state": "failed", "ceiling": ceiling_hz, **ceilings, "refusal": t(NEEDS_STRETCH)}
    job = _submitted_again(lambda: measure(recording, ceiling_hz))
    if not job.ended.wait(MAX_WAIT_S):
        return {"state": "running", "fraction": job.fraction, "ceiling": ceiling_hz, **ceilings}
    if job.state != "done":
        return {
            "state": "failed",
            "ceiling": ceiling_hz,
            **ceilings,
            "refusal": job.refusal and recognised(job.refusal),
        }
    tracks, more = job.result, False
    if corrected_hz:
        job = correct(recording, ceiling_hz, tracks, corrected_hz)
        is_measured = job.ended.wait(MAX_WAIT_S) and job.state == "done"
        tracks = job.result if is_measured else with_corrected_f0(tracks, corrected_hz)
        more = not job.ended.is_set()
    shown = signals.tracks_data(recording, ceiling_hz, tracks, key, from_s)
    return {"state": "done", "more": more, "ceiling": ceiling_hz, **ceilings, **shown}


def _submitted_again(submit: Callable[[], Job]) -> Job:
    """Return a job, submitted again if it was withdrawn while another recording was shown."""
    job = submit()
    if job.state != "cancelled":
        return job
    job.queue.drop(job)
    return submit()


def measured_f0(measure: Measure, recording: Recording, key: str) -> np.ndarray | None:
    """Return the measured F0, before corrections, of the player with this key, in Hz; None if not computed yet."""
    job = measure(recording, _requested_ceiling_hz(st.session_state.get(key) or {}) or DEFAULT_CEILING_HZ)
    return job.result.f0_hz if job.state == "done" else None


def _requested_ceiling_hz(state: Mapping[str, Any]) -> float | None:
    """Return the requested ceiling in Hz; a browser can send anything."""
    lanes = state.get("lanes")
    ceiling_hz = lanes.get("ceiling") if isinstance(lanes, Mapping) else None
    if ceiling_hz is None:
        return None
    return next((hz for hz in CEILINGS if hz == ceiling_hz), DEFAULT_CEILING_HZ)
