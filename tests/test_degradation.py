"""Degraded recordings are degraded as stated, and no more."""

import numpy as np
import pytest

from ser_core.analysis import Recording
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.learning.augmentation import CONDITIONS, degrade, log_mel_with_phone_band
from ser_core.settings import SpectrogramSettings


def level_db(samples) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


def band_db(samples, rate, low, high) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(10 * np.log10(spectrum[(hz >= low) & (hz < high)].sum() + 1e-20))


def white(rate=16_000) -> Recording:
    samples = (0.1 * np.random.default_rng(1).standard_normal(2 * rate)).astype(np.float32)
    return Recording("white", "0", samples, rate)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_keeps_length_rate_and_identity_and_repeats_with_its_seed(recording, condition):
    once, again, other = (degrade(recording, condition, seed) for seed in (3, 3, 4))
    assert len(once.samples) == len(recording.samples)
    assert (once.sample_rate_hz, once.sha256, once.samples.dtype) == (16_000, recording.sha256, np.float32)
    assert np.array_equal(once.samples, again.samples)
    assert not np.array_equal(once.samples, recording.samples)
    random = condition.startswith(("noise", "reverberation"))
    assert np.array_equal(once.samples, other.samples) != random


@pytest.mark.parametrize("snr_db", [20, 10, 0])
def test_noise_has_the_stated_level_below_the_recording(recording, snr_db):
    noise = degrade(recording, f"noise, {snr_db} dB", 0).samples - recording.samples
    assert level_db(recording.samples) - level_db(noise) == pytest.approx(snr_db, abs=0.2)


def test_twenty_decibels_quieter_is_a_tenth(recording):
    assert np.allclose(degrade(recording, "20 dB quieter", 0).samples, 0.1 * recording.samples)


def test_a_phone_keeps_its_band_and_nothing_else():
    before, after = white(), degrade(white(), "phone band", 0)
    for low, high, loss in ((500, 3_000, 0), (4_200, 8_000, 40), (20, 120, 25)):
        lost = band_db(before.samples, 16_000, low, high) - band_db(after.samples, 16_000, low, high)
        assert abs(lost) < 1 if loss == 0 else lost > loss


def test_phone_band_on_log_mel_is_close_to_phone_band_on_samples(recording):
    settings = SpectrogramSettings()
    log_mel = spectrogram_of(recording, settings).log_mel
    expected = spectrogram_of(degrade(recording, "phone band", 0), settings).log_mel
    found = log_mel_with_phone_band(log_mel, settings)
    assert (found.shape, found.dtype) == (log_mel.shape, log_mel.dtype)
    assert np.abs(found - expected).mean() < 0.15 < 0.5 < np.abs(log_mel - expected).mean()


def test_silence_through_the_phone_band_is_silence():
    settings = SpectrogramSettings()
    silence = np.full((5, settings.bands), np.log(settings.log_offset), np.float32)
    np.testing.assert_allclose(log_mel_with_phone_band(silence, settings), silence, rtol=1e-5)


def test_opus_at_a_low_bit_rate_changes_the_voice_but_keeps_its_envelope(recording):
    after = degrade(recording, "Opus, 12 kbit/s", 0).samples

    def course(samples):
        return np.array([level_db(block) for block in np.array_split(samples, 50)])

    assert np.corrcoef(course(recording.samples), course(after))[0, 1] > 0.95


def test_reverberation_of_a_click_falls_by_60_decibels_in_the_reverberation_time():
    click = np.zeros(32_000, np.float32)
    click[0] = 1
    after = degrade(Recording("click", "0", click, 16_000), "reverberation, 0.6 s", 0).samples
    early, late = after[160:1_760], after[8_000:9_600]  # 0.01 to 0.11 s and 0.5 to 0.6 s
    assert level_db(early) - level_db(late) == pytest.approx(60 / 0.6 * 0.49, abs=2)
    assert not after[10_000:].any() or level_db(after[10_000:]) < -120
