"""Sounds that a page plays, as WAV files; encoded once per visit."""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from ser_core.analysis import Recording, Region
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.explanation.counterfactual.voice import VoiceCounterfactuals, VoiceFlip
from ser_core.explanation.focus_audio import FocusScores, level_matched


@dataclass(frozen=True, eq=False)
class ChangedVoices:
    """A recording for the player, and its other versions by name, as WAV files of the same length."""

    recording: Recording
    sounds: dict[str, bytes]


@st.cache_data(scope="session", max_entries=16, show_spinner=False)
def sound(sha256: str, _recording: Recording) -> bytes:
    """Return a whole recording as WAV at its own rate; keyed by its SHA-256 alone."""
    return wav_bytes(_recording.samples, _recording.sample_rate_hz)


@st.cache_data(scope="session", max_entries=256, show_spinner=False)
def region_sound(sha256: str, region: Region, fade_s: float, _recording: Recording) -> bytes:
    """Return one region as WAV, faded."""
    return wav_bytes(region_samples(_recording, region, fade_s), _recording.sample_rate_hz)


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def focus_sounds(key: Hashable, _scores: FocusScores, _recording: Recording) -> dict[str, bytes]:
    """Return the focus alone and everything else as WAV, as loud as the recording; keyed by their job."""
    sounds = {"the focus alone": _scores.alone, "everything else": _scores.without}
    return {
        name: wav_bytes(level_matched(changed.samples, _recording.samples), _recording.sample_rate_hz)
        for name, changed in sounds.items()
    }


@st.cache_resource(scope="session", max_entries=8, show_spinner=False)
def changed_voices(key: Hashable, _found: VoiceCounterfactuals, _names: dict[str, VoiceFlip]) -> ChangedVoices:
    """Return the recording, and the voice after each flip at the same length and loudness."""
    before = _found.recording
    sounds = {name: _found.sound(flip) for name, flip in _names.items()}
    samples = max(len(sound) for sound in (before.samples, *sounds.values()))
    padded = np.pad(before.samples, (0, samples - len(before.samples)))
    padded.setflags(write=False)
    identity = hashlib.sha256(f"{key}".encode()).hexdigest()
    wavs = {}
    for name, sound in sounds.items():
        # If loudness was changed, matching the level would undo it.
        matched = sound if _names[name].property.field == "level_db" else level_matched(sound, before.samples)
        wavs[name] = wav_bytes(np.pad(matched, (0, samples - len(matched))), before.sample_rate_hz)
    return ChangedVoices(replace(before, samples=padded, sha256=identity), wavs)
