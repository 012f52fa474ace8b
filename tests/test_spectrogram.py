"""The log-mel spectrogram against a slow twin, other libraries and AudioSet's front end; laws of frames and bands."""

from functools import cache

import librosa
import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import Recording
from ser_core.audio.reading import read_recording, resample
from ser_core.corpora import read_corpus
from ser_core.front_end.spectrogram import band_centres_hz, band_edges_hz, log_mel, spectrogram_of
from ser_core.settings import SpectrogramSettings

SETTINGS = SpectrogramSettings()
RATE = 48_000


# --- slow twin: from the tables of the paper, one frame, bin and band at a time ---


def htk_mel_weight(hz: float, band: int, bands: int, low_hz: float, high_hz: float) -> float:
    """Return the height of a triangle whose corners are even in HTK mel and whose sides are straight in Hz."""

    def mel(frequency: float) -> float:
        return 2595 * np.log10(1 + frequency / 700)

    step = (mel(high_hz) - mel(low_hz)) / (bands + 1)
    left, middle, right = (700 * (10 ** ((mel(low_hz) + (band + k) * step) / 2595) - 1) for k in range(3))
    if left < hz <= middle:
        return (hz - left) / (middle - left)
    if middle < hz < right:
        return (right - hz) / (right - middle)
    return 0.0


@cache
def htk_mel_weights(rate: int, fft: int) -> np.ndarray:
    """Return the weight of every bin in each of 64 bands from 125 to 7500 Hz, of shape (bands, bins)."""
    bins = range(fft // 2 + 1)
    return np.array([[htk_mel_weight(k * rate / fft, band, 64, 125, 7_500) for k in bins] for band in range(64)])


def slow_log_mel(samples: np.ndarray, rate: int, window: int, hop: int, fft: int, scale: float) -> np.ndarray:
    """Return log(scaled mel magnitude + 0.001) of every frame that lies completely in the samples."""
    hann = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / window) for n in range(window)])
    weights = htk_mel_weights(rate, fft)
    rows = []
    for start in range(0, len(samples) - window + 1, hop):
        magnitude = np.abs(np.fft.rfft(hann * samples[start : start + window].astype(np.float64), fft))
        rows.append(np.log(scale * weights @ magnitude + 0.001))
    return np.array(rows)


def padded(samples: np.ndarray) -> np.ndarray:
    """Append zeros until the last sample is in a frame."""
    end = 1_200
    while end < len(samples):
        end += 480
    return np.concatenate([samples, np.zeros(end - len(samples))])


@pytest.mark.parametrize("seconds", [0.101, 0.5, 1.2345])
def test_log_mel_agrees_with_a_slow_twin(make_voice, seconds):
    samples = make_voice(seconds, RATE)
    expected = slow_log_mel(padded(samples), RATE, 1_200, 480, 1_200, scale=(400 / 1_200) * (40 / 31.25))
    np.testing.assert_allclose(log_mel(samples, SETTINGS), expected, atol=2e-4)


def test_slow_twin_and_settings_have_the_same_scale():
    assert SETTINGS.audioset_scale == pytest.approx(0.4267, abs=5e-5)


def test_log_mel_agrees_with_scipys_spectrum_and_librosas_filters(make_voice):
    samples = padded(make_voice(1.0, RATE))
    _, _, spectrum = scipy.signal.stft(samples, window="hann", nperseg=1_200, noverlap=720, boundary=None, padded=False)
    spectrum = np.abs(spectrum) * scipy.signal.get_window("hann", 1_200).sum()
    filters = librosa.filters.mel(sr=RATE, n_fft=1_200, n_mels=64, fmin=125, fmax=7_500, htk=True, norm=None)
    expected = np.log(filters @ spectrum * 0.4266667 + 0.001).T
    np.testing.assert_allclose(log_mel(samples, SETTINGS), expected, atol=1e-3)


@pytest.mark.corpora
def test_real_speech_has_the_log_mel_of_audiosets_front_end(corpora):
    squares = []
    for corpus in ("ravdess", "emodb"):
        recordings = read_corpus(corpus, corpora / corpus).recordings
        differences = []
        for item in recordings[:: len(recordings) // 24]:
            recording = read_recording(item.path)
            assert recording.sample_rate_hz == 16_000
            expected = slow_log_mel(recording.samples, 16_000, 400, 160, 512, scale=1.0)
            differences.append(spectrogram_of(recording, SETTINGS).log_mel[: len(expected)] - expected)
        differences = np.concatenate(differences)
        assert abs(differences.mean()) < 0.01
        # Above 1 kHz, where a band holds several bins, the two are nearly the same.
        assert np.sqrt(np.mean(differences[:, 24:] ** 2)) < 0.03
        squares.append(np.mean(differences**2))
    assert np.sqrt(np.mean(squares)) < 0.12


# --- golden ---


@pytest.mark.parametrize(
    ("length", "frames"),
    [(1, 1), (1_200, 1), (1_201, 2), (1_680, 2), (1_681, 3), (4_800, 9), (46_800, 96), (48_000, 99), (480_000, 999)],
)
def test_number_of_frames_is_as_worked_by_hand(length, frames):
    found = log_mel(np.zeros(length, np.float32), SETTINGS)
    assert found.shape == (frames, 64)
    assert found.dtype == np.float32


def test_zeros_give_the_log_of_the_offset():
    np.testing.assert_allclose(log_mel(np.zeros(9_600, np.float32), SETTINGS), np.log(0.001), atol=1e-6)


def test_full_scale_tone_on_a_bin_has_the_level_worked_by_hand():
    # A Hann window turns a full-scale tone on a bin into window / 4 there and window / 8 on both neighbours.
    hz = 3_000.0
    samples = np.cos(2 * np.pi * hz * np.arange(RATE // 2) / RATE).astype(np.float32)
    found = log_mel(samples, SETTINGS)[5]
    for band in np.argsort(found)[-2:]:
        near = [htk_mel_weight(hz + 40 * beside, band, 64, 125, 7_500) for beside in (-1, 0, 1)]
        by_hand = np.log(SETTINGS.audioset_scale * (150 * near[0] + 300 * near[1] + 150 * near[2]) + 0.001)
        assert found[band] == pytest.approx(by_hand, abs=1e-3)


# --- laws ---


@given(length=st.integers(1, 20_000))
def test_the_last_frame_contains_the_last_sample(length):
    frames = len(log_mel(np.zeros(length, np.float32), SETTINGS))
    last_start = 480 * (frames - 1)
    assert length <= last_start + 1_200
    assert frames == 1 or length > last_start + 1_200 - 480


@given(place=st.integers(0, 11_999))
def test_a_click_is_only_in_the_frames_that_cover_it(place):
    samples = np.zeros(12_000, np.float32)
    samples[place] = 1.0
    loud = (log_mel(samples, SETTINGS) > np.log(0.001) + 1e-3).any(axis=1)
    for frame, heard in enumerate(loud):
        inside = place - 480 * frame
        # The first samples of a Hann window are all but zero.
        if heard:
            assert 0 <= inside < 1_200
        elif 60 <= inside < 1_140:
            pytest.fail(f"frame {frame} covers sample {place} and does not show it")


@given(hz=st.floats(250, 7_300))
def test_tone_lands_in_the_band_whose_range_holds_it(hz):
    samples = np.sin(2 * np.pi * hz * np.arange(9_600) / RATE).astype(np.float32)
    edges = band_edges_hz(SETTINGS)
    for band in log_mel(samples, SETTINGS)[:-3].argmax(axis=1):
        assert edges[band] < hz < edges[band + 2]


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000])
def test_tone_lands_in_the_same_band_and_frames_have_the_same_times_at_every_rate(rate):
    samples = np.sin(2 * np.pi * 1_000 * np.arange(rate) / rate).astype(np.float32)
    found = spectrogram_of(Recording("tone", "0", samples, rate), SETTINGS)
    assert found.log_mel.shape == (99, 64)
    band = np.argmin(np.abs(band_centres_hz(SETTINGS) - 1_000))
    assert set(found.log_mel[5:-5].argmax(axis=1)) == {band}
    # Frame i stands for [0.010 i + 0.0075, + 0.010) s.
    np.testing.assert_allclose(found.frame_times_s, 0.010 * np.arange(99) + 0.0125)


def test_bands_lie_between_the_limits_evenly_in_mel():
    edges = band_edges_hz(SETTINGS)
    assert len(edges) == 66
    assert edges[[0, -1]] == pytest.approx([125, 7_500])
    np.testing.assert_allclose(np.diff(2595 * np.log10(1 + edges / 700), 2), 0, atol=1e-9)
    np.testing.assert_array_equal(band_centres_hz(SETTINGS), edges[1:-1])


def test_ten_times_the_magnitude_is_the_log_of_ten_above_the_offset(voice):
    once, ten_times = (np.exp(log_mel(k * voice, SETTINGS)) - 0.001 for k in (np.float32(1), np.float32(10)))
    np.testing.assert_allclose(ten_times, 10 * once, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_a_long_recording_computed_in_blocks_is_the_same(voice, monkeypatch, at_once):
    samples = resample(voice, 16_000, 48_000)[:60_000]
    whole = log_mel(samples, SpectrogramSettings())
    monkeypatch.setattr("ser_core.front_end.spectrogram.FFT_SAMPLES_PER_BLOCK", at_once * 1_200)
    np.testing.assert_allclose(log_mel(samples, SpectrogramSettings()), whole, rtol=0, atol=1e-5)
