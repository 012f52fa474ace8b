"""The player's data over time: addresses of audio and tiles, and the numbers needed to read them."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from pages.shared.charts import axes
from pages.shared.language import t
from pages.shared.language.names import printable
from pages.shared.player.media import served
from pages.shared.player.tiles import (
    LINE_TILE,
    Level,
    overview_levels,
    profile_levels,
    relevance_levels,
    sample_levels,
    spectrogram_levels,
    track_levels,
)
from ser_core.analysis import Analysis, Explanation, Recording, Spectrogram, frame_edge_s
from ser_core.analysis.emotions import COLOURS
from ser_core.audio.acoustics import SILENCE_DB, Tracks
from ser_core.audio.cutting import wav_bytes
from ser_core.audio.working_copy import FileBytes, WorkingCopy
from ser_core.explanation.relevance import colour_limit
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.settings import SpectrogramSettings

BYTES = "application/octet-stream"
SCALES = {
    "scale": axes.FOR_AND_AGAINST,
    "magma": [[step / (len(axes.MAGMA) - 1), _rgb] for step, _rgb in enumerate(axes.MAGMA)],
}


def recording_data(recording: Recording | WorkingCopy, key: str) -> dict[str, Any]:
    """Return the audio and its waveform, whose finest level is the samples themselves."""
    is_long = isinstance(recording, WorkingCopy)
    wav, levels, peak = (_long_sound if is_long else _sound)(recording.sha256, recording)
    rate, count = recording.sample_rate_hz, recording.samples if is_long else len(recording.samples)
    url = served(wav, "audio/wav", recording.sha256, f"{key} sound")
    samples = {"url": url, "type": "i2", "step": 1, "columns": count, "rows": 1, "tile": 4 * LINE_TILE}
    coarser = _levels(levels, f"{key} waveform")
    return {
        "recording": {
            "id": recording.sha256,
            "name": printable(recording.name),
            "url": url,
            "duration": recording.duration_s,
            "rate": rate,
            "channels": recording.channels,
            "long": is_long,
            "origin": 0.0 if is_long else recording.start_s,
        },
        "waveform": {"start": 0.0, "column": 1 / rate, "levels": [samples, *coarser], "peak": peak},
    }


def spectrogram_data(
    recording: Recording, spectrogram: Spectrogram | None, key: str, from_s: float = 0.0
) -> dict[str, Any] | None:
    """Return the spectrogram of a recording that begins `from_s` after the player does."""
    if spectrogram is None:
        return None
    levels, low, high = _spectrogram(recording.sha256, spectrogram.settings, spectrogram)
    centres = band_centres_hz(spectrogram.settings)
    ticks = axes.bands_axis(centres)
    return {
        **_frames(0, spectrogram.settings, from_s),
        "levels": _levels(levels, f"{key} spectrogram"),
        "low": low,
        "high": high,
        "hz": centres.round(1).tolist(),
        "ticks": [
            {"row": row, "label": label} for row, label in zip(ticks["tickvals"], ticks["ticktext"], strict=True)
        ],
    }


def ahead_data(ahead: tuple[Recording, Spectrogram | None] | None, key: str) -> dict[str, Any] | None:
    if ahead is None:
        return None
    return {**recording_data(ahead[0], key), "spectrogram": spectrogram_data(*ahead, key)}


def overlay_data(
    name: str, explanation: Explanation, spectrogram: Spectrogram, key: str, from_s: float = 0.0
) -> dict[str, Any]:
    """Return the covered part of a map; the rest is hatched."""
    covered, settings = explanation.covered, spectrogram.settings
    first, last = np.flatnonzero(covered)[[0, -1]] if covered.any() else (0, 0)
    relevance = explanation.relevance[first : last + 1]
    levels, largest = relevance_levels(relevance)
    errors = None
    if explanation.standard_error is not None:
        error_levels, largest_error = relevance_levels(explanation.standard_error[first : last + 1])
        errors = {
            **_frames(int(first), settings, from_s),
            "levels": _levels(error_levels, f"{key} error {name}"),
            "most": largest_error,
        }
    return {
        **_frames(int(first), settings, from_s),
        "levels": _levels(levels, f"{key} overlay {name}"),
        "name": name,
        "emotion": t(explanation.emotion),
        "against": explanation.against and t(explanation.against),
        "most": largest,
        "full": colour_limit(explanation) or largest,
        "errors": errors,
        "uncovered": [[from_s + float(frame_edge_s(edge, settings)) for edge in run] for run in _runs(~covered)],
    }


def profile_data(
    profile: np.ndarray | None,
    threshold: float | None,
    spectrogram: Spectrogram | None,
    emotion: str | None,
    key: str,
    from_s: float = 0.0,
) -> dict[str, Any] | None:
    if profile is None:
        return None
    return {
        **_frames(0, spectrogram.settings, from_s),
        "levels": _levels(profile_levels(profile), f"{key} profile"),
        "reach": 1.15 * float(np.abs(profile).max(initial=0.0)) or 1.0,
        "threshold": threshold,
        "title": t("Evidence for {emotion} over time", emotion=t(emotion)) if emotion else t("Evidence over time"),
        "note": t("mean over frequency"),
    }


def scores_data(analysis: Analysis | None, key: str, from_s: float = 0.0) -> dict[str, Any] | None:
    """Return a row per segment: its centre, whether it is selected, and its score of each emotion.

    The centre of a padded segment is that of the part inside the recording.
    """
    if analysis is None:
        return None
    segments, settings = analysis.segments, analysis.spectrogram.settings
    starts, ends = (frame_edge_s(segments.start_frames + frames, settings) for frames in (0, segments.segment_frames))
    middles = from_s + (starts + np.minimum(ends, analysis.recording.duration_s)) / 2
    rows = np.column_stack([middles, segments.selected, analysis.scores.segments]).astype("<f4")
    return {
        "url": served(rows.tobytes(), BYTES, "scores", f"{key} scores"),
        "segments": len(rows),
        "emotions": [{"name": t(emotion), "colour": COLOURS[emotion]} for emotion in analysis.emotions],
    }


def tracks_data(
    recording: Recording,
    ceiling_hz: float,
    tracks: Tracks,
    key: str,
    from_s: float = 0.0,
) -> dict[str, Any]:
    """Return the measures over time and their ranges.

    A frame has F0, intensity, HNR, tilt, the formants and, where F0 was corrected by hand, the F0 that was measured: 0
    if it was unvoiced, else NaN.
    """
    levels, ranges = _tracks(recording.sha256, ceiling_hz, _identity(tracks), tracks)
    return {"start": from_s, "column": tracks.hop_s, "levels": _levels(levels, f"{key} tracks"), "ranges": ranges}


def _lines(tracks: Tracks) -> dict[str, np.ndarray]:
    return {
        "f0": tracks.f0_hz,
        "intensity": tracks.intensity_db,
        "hnr": tracks.hnr_db,
        "tilt": tracks.tilt_db_per_octave,
    }


def _range(line: np.ndarray) -> list[float] | None:
    """Return the lowest and the highest value of a line without digital silence, or None if there is none."""
    known = line[np.isfinite(line) & (line > SILENCE_DB)]
    return [float(known.min()), float(known.max())] if len(known) else None


def other_sounds_data(sounds: Mapping[str, bytes] | None, recording: dict[str, Any], key: str) -> list[dict[str, str]]:
    """Return names and addresses of the playable versions, the recording first; empty if it is the only one."""
    if not sounds:
        return []
    others = [
        {"name": name, "url": served(wav, "audio/wav", hashlib.sha256(wav).hexdigest(), f"{key} sound {name}")}
        for name, wav in sounds.items()
    ]
    return [{"name": t("the recording"), "url": recording["recording"]["url"]}, *others]


def forget_all() -> None:
    """Forget the sounds and pictures of this visit; they are quick to make again."""
    for cache in (_sound, _long_sound, _spectrogram, _tracks):
        cache.clear()


def forget_long() -> None:
    """Release the working copy of the long recording; its disk space is freed once nothing refers to it."""
    _long_sound.clear()


def colour_of(emotion: str | None) -> str | None:
    return COLOURS.get(emotion)


def _frames(first: int, settings: SpectrogramSettings, from_s: float) -> dict[str, float]:
    return {"start": from_s + float(frame_edge_s(first, settings)), "column": settings.frame_hop_s}


def _levels(levels: list[Level], slot: str) -> list[dict[str, Any]]:
    return [
        {
            "url": served(level.content, BYTES, level.identity, f"{slot} {level.step}"),
            "type": level.type,
            "step": level.step,
            "columns": level.columns,
            "rows": level.rows,
            "tile": level.tile,
        }
        for level in levels
    ]


def _runs(flags: np.ndarray) -> np.ndarray:
    """Return start and end (exclusive) of each run of True, shape (runs, 2)."""
    return np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]))).reshape(-1, 2)


# Resources, not data: data would be copied in every rerun.
@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def _sound(sha256: str, _recording: Recording) -> tuple[bytes, list[Level], float]:
    samples = _recording.samples
    return wav_bytes(samples, _recording.sample_rate_hz), sample_levels(samples), min(1.0, float(np.abs(samples).max()))


@st.cache_resource(scope="session", max_entries=1, show_spinner=False)
def _long_sound(sha256: str, _copy: WorkingCopy) -> tuple[FileBytes, list[Level], float]:
    return _copy.wav, overview_levels(_copy.overview), min(1.0, _copy.peak)


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def _spectrogram(
    sha256: str, settings: SpectrogramSettings, _spectrogram: Spectrogram
) -> tuple[list[Level], float, float]:
    return spectrogram_levels(_spectrogram.log_mel)


def _identity(tracks: Tracks) -> str | None:
    """Return a hash of the tracks that a correction of F0 changes; None if F0 is not corrected."""
    if tracks.measured_f0_hz is None:
        return None
    return hashlib.sha256(tracks.f0_hz.tobytes() + tracks.hnr_db.tobytes()).hexdigest()


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def _tracks(
    sha256: str, ceiling_hz: float, corrected: str | None, _tracks: Tracks
) -> tuple[list[Level], dict[str, list[float] | None]]:
    measured_hz = _tracks.f0_hz if _tracks.measured_f0_hz is None else _tracks.measured_f0_hz
    measured = np.where(_tracks.f0_is_corrected, np.nan_to_num(measured_hz), np.nan)
    ranges = {name: _range(line) for name, line in _lines(_tracks).items()}
    ranges["measured"] = _range(measured_hz)
    ranges["f0"] = _range(np.concatenate([_tracks.f0_hz, measured_hz]))
    return track_levels(np.column_stack([*_lines(_tracks).values(), _tracks.formants_hz, measured])), ranges
