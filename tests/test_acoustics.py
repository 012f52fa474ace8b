"""Measures of voices: of synthetic sounds with known values, and compared with real Praat."""

import re

import numpy as np
import pytest
from scipy.signal import lfilter

from ser_core.analysis import Recording
from ser_core.audio.acoustics import (
    formants,
    fundamental_frequency,
    harmonics_to_noise,
    intensity,
    spectral_tilt,
    tracks_of,
)

RATE = 16_000
#: F1 to F5 and their bandwidths of three vowels, in Hz: as many as are searched below the ceiling.
VOWELS = {
    "a": ((730, 90), (1090, 110), (2440, 170), (3500, 250), (4500, 300)),
    "i": ((270, 60), (2290, 100), (3010, 150), (3700, 250), (4500, 300)),
    "u": ((300, 65), (870, 110), (2240, 140), (3400, 250), (4500, 300)),
}


def recording(samples: np.ndarray, rate: int = RATE) -> Recording:
    return Recording("made", "made", samples.astype(np.float32), rate)


def pulses(f0_hz: np.ndarray, rate: int = RATE) -> np.ndarray:
    """A pulse per period, split between two samples so that periods can be fractions of samples."""
    phase = np.cumsum(f0_hz / rate)
    at = np.interp(np.arange(1, int(phase[-1])), phase, np.arange(len(phase)))
    train = np.zeros(len(phase) + 1)
    whole = at.astype(int)
    np.add.at(train, whole, 1 - at + whole)
    np.add.at(train, whole + 1, at - whole)
    return train[:-1]


def vowel(name: str, f0_hz: np.ndarray, rate: int = RATE) -> np.ndarray:
    """Pulses, falling 6 dB an octave as at the lips of a speaker, through a resonator for each formant."""
    sound = lfilter([1], [1, -0.97], pulses(f0_hz, rate))
    for hz, bandwidth in VOWELS[name]:
        radius = np.exp(-np.pi * bandwidth / rate)
        sound = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hz / rate), radius**2], sound)
    return 0.3 * sound / np.abs(sound).max()


def gliding(seconds: float = 0.6, low_hz: float = 110, high_hz: float = 170, rate: int = RATE) -> np.ndarray:
    return np.geomspace(low_hz, high_hz, round(seconds * rate))


TIMES = np.arange(0.1, 0.5, 0.01)


# --- synthetic sounds with known values ---


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_gliding_voice_has_its_synthesised_f0_at_each_moment(rate):
    f0 = gliding(rate=rate)
    found = fundamental_frequency(recording(vowel("a", f0, rate), rate), TIMES)
    assert np.abs(found / np.interp(TIMES, np.arange(len(f0)) / rate, f0) - 1).max() < 0.01


def test_a_sine_has_the_intensity_of_its_effective_pressure_whatever_its_offset():
    # An amplitude of 0.1 Pa is effectively 0.0707 Pa: 20 lg(0.0707 / 0.00002).
    sine = 0.1 * np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE)
    for offset in (0, 0.2):
        assert intensity(recording(sine + offset), TIMES) == pytest.approx(70.97, abs=0.01)
    assert intensity(recording(np.zeros(RATE)), TIMES) == pytest.approx(-300)


@pytest.mark.parametrize("name", VOWELS)
def test_a_vowel_has_its_synthesised_formants(name):
    rate = 11_000  # twice the ceiling, so that there are exactly ten poles
    found = formants(recording(vowel(name, gliding(rate=rate), rate), rate), TIMES)
    expected = np.array([hz for hz, _ in VOWELS[name][:4]])
    assert np.abs(np.median(found, axis=0) / expected - 1).max() < 0.05


def test_a_sound_that_swells_at_once_does_not_repeat_better_than_perfectly():
    seconds = np.arange(RATE) / RATE
    swelling = (0.001 + np.exp(-150 * np.abs(seconds - 0.5))) * np.sin(2 * np.pi * 80 * seconds)
    found = harmonics_to_noise(recording(0.5 * swelling), np.arange(0.4, 0.6, 0.01), np.full(20, 80.0))
    assert found.max() < 40  # its autocorrelation divided by that of the window reaches 1.05


def test_a_sound_that_does_not_repeat_has_no_harmonics_to_noise_ratio():
    tone = 0.5 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    times = np.arange(0.1, 0.9, 0.1)
    # After half a period the tone is upside down.
    assert np.isnan(harmonics_to_noise(recording(tone), times, np.full(len(times), 200.0))).all()


@pytest.mark.parametrize("decibels", [0, 10, 20])
def test_noise_in_a_voice_is_its_harmonics_to_noise_ratio(decibels):
    voice = vowel("a", np.full(RATE, 140.0))
    noise = np.random.default_rng(0).normal(0, np.std(voice) * 10 ** (-decibels / 20), RATE)
    times = np.arange(0.1, 0.9, 0.01)
    found = harmonics_to_noise(recording(voice + noise), times, np.full(len(times), 140.0))
    assert np.median(found) == pytest.approx(decibels, abs=0.7)


def test_pulses_have_no_tilt_and_their_sum_falls_by_six_decibels_an_octave():
    train = pulses(np.full(RATE, 125.0))
    assert np.abs(spectral_tilt(recording(train), TIMES)).max() < 0.3
    # A sum is an integral over time: 1 / f. Near half of the sample rate it falls less, so a high rate.
    train = pulses(np.full(48_000, 125.0), 48_000)
    assert np.median(spectral_tilt(recording(lfilter([1], [1, -0.999], train), 48_000), TIMES)) == pytest.approx(
        -6.02, abs=0.3
    )


def test_noise_is_unvoiced_and_frames_near_the_ends_have_no_value():
    noise = recording(np.random.default_rng(0).normal(0, 0.05, RATE))
    tracks = tracks_of(noise)
    assert len(tracks.times_s) == 100
    assert tracks.times_s[0] == pytest.approx(0.005)
    for voiced in (tracks.f0_hz, tracks.hnr_db, tracks.tilt_db_per_octave):
        assert np.isnan(voiced).all()
    # Half of 64 ms at either end.
    assert np.isnan(tracks.intensity_db[[0, 1, 2, -3, -2, -1]]).all()
    assert not np.isnan(tracks.intensity_db[3:-3]).any()
    assert np.isnan(formants(noise, np.array([0.01, 0.99]))).all()


def test_a_recording_shorter_than_every_window_has_no_measures():
    tracks = tracks_of(recording(np.full(160, 0.1)))
    assert len(tracks.times_s) == 1
    assert np.isnan([tracks.f0_hz[0], tracks.intensity_db[0], *tracks.formants_hz[0]]).all()


def test_a_moment_has_the_same_measures_alone_and_among_others_and_at_block_edges():
    samples = np.random.default_rng(1).normal(0, 0.1, 22 * RATE)
    times = np.arange(19.8, 20.2, 0.01)
    whole = formants(recording(samples), times)
    apart = formants(recording(samples[18 * RATE : 22 * RATE]), times - 18)
    assert whole == pytest.approx(apart, rel=0.02)
    alone = np.concatenate([intensity(recording(samples[: 3 * RATE]), TIMES[[index]]) for index in range(5)])
    assert alone == pytest.approx(intensity(recording(samples[: 3 * RATE]), TIMES)[:5])


# --- compared with Praat ---


@pytest.fixture(scope="module")
def praat():
    return pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")


@pytest.fixture(scope="module", params=VOWELS)
def spoken(request, praat):
    """A vowel with a little noise, as our recording and as Praat's."""
    samples = vowel(request.param, gliding()) + np.random.default_rng(0).normal(0, 1e-3, round(0.6 * RATE))
    made = recording(samples)
    return made, praat.Sound(made.samples.astype(float), RATE)


def test_f0_is_praats_within_a_hundredth(spoken):
    made, sound = spoken
    pitch = sound.to_pitch_ac(time_step=0.001)
    theirs = np.array([pitch.get_value_at_time(time) for time in TIMES])
    assert np.mean(np.abs(fundamental_frequency(made, TIMES) / theirs - 1) < 0.01) > 0.95


def test_intensity_is_praats_within_half_a_decibel(spoken):
    made, sound = spoken
    theirs = sound.to_intensity(minimum_pitch=100, time_step=0.001)
    theirs = np.array([theirs.get_value(time) for time in TIMES])
    assert np.abs(intensity(made, TIMES) - theirs).max() < 0.5


def test_formants_are_praats_within_a_twentieth(spoken):
    made, sound = spoken
    theirs = sound.to_formant_burg(time_step=0.001)
    theirs = np.array([[theirs.get_value_at_time(number, time) for number in (1, 2, 3, 4)] for time in TIMES])
    near = np.abs(formants(made, TIMES) / theirs - 1) < 0.05
    assert near.mean(axis=0).min() > 0.9


def test_harmonics_to_noise_is_praats_within_a_decibel(spoken):
    made, sound = spoken
    pitch = sound.to_pitch_ac(time_step=0.001)
    f0 = np.array([pitch.get_value_at_time(time) for time in TIMES])
    theirs = sound.to_harmonicity_ac(time_step=0.001, periods_per_window=4.5)
    theirs = np.array([theirs.get_value(time) for time in TIMES])
    assert np.median(np.abs(harmonics_to_noise(made, TIMES, f0) - theirs)) < 1


def test_tilt_is_that_of_praats_average_spectrum(spoken, praat):
    made, sound = spoken
    differences = []
    for time in TIMES[::8]:
        part = sound.extract_part(time - 0.02, time + 0.02, praat.WindowShape.HANNING)
        average = praat.praat.call(part, "To Ltas", 100)
        report = praat.praat.call(average, "Report spectral tilt", 100, 5000, "Logarithmic", "Least squares")
        per_decade = float(re.search(r"Slope: (\S+) dB/decade", report)[1])
        differences.append(per_decade * np.log10(2) - spectral_tilt(made, np.array([time]))[0])
    assert np.abs(differences).max() < 0.5
