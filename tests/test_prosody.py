"""Level and pitch: of synthetic tones, and of speech compared with Praat."""

import numpy as np
import parselmouth
import pytest

from ser_core.analysis import Recording, Region
from ser_core.audio.prosody import Prosody, prosody_of, semitones, voice_in, voice_outside
from ser_core.audio.reading import read_recording


def harmonic(pitch_hz: float, seconds: float, rms: float, rate: int) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * k * pitch_hz * time) / k for k in range(1, 8))
    return (tone * rms / np.sqrt(np.mean(tone**2))).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_tone_has_its_synthesised_pitch_and_level(rate):
    low, high = harmonic(110, 1.0, 0.05, rate), harmonic(220, 1.0, 0.1, rate)
    found = prosody_of(Recording("a", "a", np.concatenate([low, high]), rate))
    first, second = Region(0.1, 0.9), Region(1.1, 1.9)
    here, there = voice_in(found, [first]), voice_in(found, [second])
    assert semitones(here.pitch_hz, 110) == pytest.approx(0, abs=0.2)
    assert semitones(there.pitch_hz, here.pitch_hz) == pytest.approx(12, abs=0.3)
    assert here.level_dbfs == pytest.approx(20 * np.log10(0.05), abs=0.3)
    assert there.level_dbfs - here.level_dbfs == pytest.approx(20 * np.log10(2), abs=0.3)


def test_noise_and_silence_are_not_voiced():
    noise = np.random.default_rng(0).normal(0, 0.05, 32_000).astype(np.float32)
    assert voice_in(prosody_of(Recording("n", "n", noise, 16_000)), [Region(0, 2)]) is None
    assert voice_in(prosody_of(Recording("s", "s", np.zeros(32_000, np.float32), 16_000)), [Region(0, 2)]) is None


def test_inside_and_outside_by_hand():
    prosody = Prosody(
        np.arange(8) * 0.1, np.array([0, 0, 0, -10, -10, -10, -20, -20.0]), np.array([1, 2, 3, 4, 5, 9, 7, 8.0])
    )
    inside = [Region(0.0, 0.25), Region(0.55, 0.65)]
    voice = voice_in(prosody, inside)
    # Four frames: powers 1, 1, 1 and 0.01; pitches 1, 2, 3 and 7.
    assert voice.level_dbfs == pytest.approx(10 * np.log10(3.01 / 4))
    assert voice.pitch_hz == 2.5
    outside = voice_outside(prosody, inside)
    assert outside.level_dbfs == pytest.approx(10 * np.log10((3 * 0.1 + 0.01) / 4))
    assert outside.pitch_hz == 6.5
    assert voice_in(prosody, [Region(0.0, 0.15)]) is None, "two frames are no sample of a voice"
    assert voice_outside(prosody, [Region(0.0, 1.0)]) is None


@pytest.mark.corpora
def test_pitch_of_speech_equals_praats(corpora):
    folder = corpora / "emodb"
    differences = []
    for file in sorted(f for f in folder.rglob("*") if f.suffix in (".wav", ".flac"))[::60]:
        recording = read_recording(file)
        praat = parselmouth.Sound(recording.samples.astype(float), recording.sample_rate_hz).to_pitch_ac(
            pitch_floor=60, pitch_ceiling=800
        )
        voiced = praat.selected_array["frequency"]
        ours = voice_in(prosody_of(recording), [Region(0, recording.duration_s)])
        differences.append(semitones(ours.pitch_hz, float(np.median(voiced[voiced > 0]))))
    assert len(differences) >= 5
    assert np.median(np.abs(differences)) < 0.5
    assert np.abs(differences).max() < 2
