import tracemalloc

import numpy as np
import pytest
import torch

from ser_core.analysis import Recording
from ser_core.explanation import focus_audio as audible_focus
from ser_core.explanation.focus_audio import focus_mask, level_matched, sound_without
from ser_core.front_end.spectrogram import band_centres_hz, spectrogram_of
from ser_core.settings import SpectrogramSettings
from tests.tiny_networks import noise_recording

SETTINGS = SpectrogramSettings()


def recording_of(samples, rate):
    samples = np.asarray(samples, np.float32)
    samples.setflags(write=False)
    return Recording("x.wav", "0" * 64, samples, rate)


def without(recording, taken_out):
    """Remove the share given by a function of frame times (frames, 1) and band centres (bands,)."""
    spectrogram = spectrogram_of(recording, SETTINGS)
    mask = taken_out(spectrogram.frame_times_s[:, None], band_centres_hz(SETTINGS)[None])
    mask = np.broadcast_to(mask, spectrogram.log_mel.shape)
    return sound_without(recording, mask, spectrogram.frame_times_s, SETTINGS)


def tones(rate=16_000, seconds=2.0):
    """Return 500 Hz and 3 kHz together, with a tenth of silence at both ends and in the middle as the noise floor."""
    times = np.arange(round(rate * seconds)) / rate
    there = (times > 0.2) & (times < seconds - 0.2) & (np.abs(times - seconds / 2) > 0.1)
    return recording_of(0.2 * (np.sin(2 * np.pi * 500 * times) + np.sin(2 * np.pi * 3_000 * times)) * there, rate)


def power_at(samples, rate, hz, times=slice(None)):
    part = samples[times]
    turning = np.exp(-2j * np.pi * hz * np.arange(len(part)) / rate)
    return float(np.abs(turning @ part) / len(part))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("seconds", [0.1, 1.0, 1.2345])
def test_with_nothing_removed_the_audible_focus_is_the_recording(rate, seconds):
    recording = noise_recording(seconds, rate=rate)
    same = without(recording, lambda t, hz: 0 * t * hz)
    assert same.shape == recording.samples.shape
    assert same.dtype == np.float32
    np.testing.assert_allclose(same, recording.samples, atol=1e-6)


@pytest.mark.parametrize(("rate", "seconds"), [(8_000, 13.1), (11_025, 8.001), (44_100, 4.5)])
def test_the_audible_focus_made_in_blocks_equals_that_made_at_once(monkeypatch, rate, seconds):
    recording = noise_recording(seconds, rate=rate)

    def taken_out(t, hz):
        return (np.sin(7 * t) > 0.3) * (hz > 1_000)

    in_blocks = without(recording, taken_out)
    monkeypatch.setattr(audible_focus, "BLOCK_S", 60.0)
    np.testing.assert_array_equal(in_blocks, without(recording, taken_out))
    assert np.abs(in_blocks - recording.samples).max() > 0.01


@pytest.mark.slow
def test_memory_for_a_long_recording_is_a_few_times_its_size():
    rate, seconds = 16_000, 80
    recording = recording_of(np.random.default_rng(0).normal(0, 0.1, rate * seconds), rate)
    times = (np.arange(100 * seconds) + 0.5) / 100
    tracemalloc.start()
    sound_without(recording, np.ones((len(times), SETTINGS.bands), np.float32), times, SETTINGS)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A spectrum of the whole would take 50 times as much.
    assert most < 6 * recording.samples.nbytes


def test_one_of_two_tones_is_removed_and_the_other_stays():
    recording = tones()
    high_out = without(recording, lambda t, hz: (hz > 1_500) * np.ones_like(t))
    middle = slice(8_000, 12_000)
    assert power_at(high_out, 16_000, 500, middle) == pytest.approx(0.1, rel=0.01)
    assert power_at(high_out, 16_000, 3_000, middle) < 0.001
    assert power_at(recording.samples, 16_000, 3_000, middle) == pytest.approx(0.1, rel=0.01)


def test_a_stretch_is_removed_within_a_window_of_its_edges_and_the_rest_is_unchanged():
    recording = tones()
    late_out = without(recording, lambda t, hz: (t > 1.3) * np.ones_like(hz))
    np.testing.assert_allclose(late_out[: round(1.27 * 16_000)], recording.samples[: round(1.27 * 16_000)], atol=1e-6)
    assert np.abs(late_out[round(1.33 * 16_000) : round(1.75 * 16_000)]).max() < 0.01


def test_half_removal_goes_half_way_to_the_noise_floor():
    recording = tones()
    half = without(recording, lambda t, hz: 0.5 + 0 * t * hz)
    middle = slice(8_000, 12_000)
    assert power_at(half, 16_000, 500, middle) == pytest.approx(0.05, rel=0.02)


def test_sound_below_the_noise_floor_is_not_amplified():
    recording = noise_recording(2.0)
    out = without(recording, lambda t, hz: 1 + 0 * t * hz)
    quiet, loud = (np.sqrt(np.mean(np.square(x))) for x in (out, recording.samples))
    assert 0 < quiet < 0.3 * loud


def test_the_spectrogram_has_the_noise_floor_where_something_was_removed():
    recording = noise_recording(3.0)
    changed = without(recording, lambda t, hz: ((t > 1) & (t < 2)) * np.ones_like(hz))
    before, after = (
        spectrogram_of(recording_of(samples, 16_000), SETTINGS).log_mel for samples in (recording.samples, changed)
    )
    inside = slice(105, 190)
    floor = np.percentile(before, 5, axis=0)
    assert (before[inside].mean(axis=0) - floor).mean() > 0.8
    # A band's floor is above those of its bins, which are not low at the same time.
    assert -0.8 < (after[inside].mean(axis=0) - floor).mean() <= 0
    np.testing.assert_allclose(after[:90], before[:90], atol=0.01)


def test_the_audible_focus_equals_torchs_istft_of_the_masked_spectrum():
    recording = tones()
    ours = without(recording, lambda t, hz: (hz > 1_500) * np.ones_like(t))
    frames = {"n_fft": 400, "hop_length": 80, "window": torch.hann_window(400)}
    spectrum = torch.stft(torch.tensor(recording.samples), **frames, pad_mode="constant", return_complex=True)
    magnitude = spectrum.abs()
    floor = torch.minimum(magnitude, torch.quantile(magnitude, 0.05, dim=1, keepdim=True))
    taken_out = (torch.fft.rfftfreq(400, 1 / 16_000) > 1_500)[:, None]
    masked = spectrum * torch.where(taken_out, floor / magnitude.clamp(min=1e-12), torch.ones(()))
    theirs = torch.istft(masked, **frames).numpy()
    # Near the edge of the mask ours blends from one band to the next; there is no sound there.
    np.testing.assert_allclose(ours[3_200:28_800], theirs[3_200:28_800], atol=5e-3)


def test_the_mask_holds_the_strongest_positive_covered_points_up_to_its_area():
    relevance = np.array([[5.0, -1.0], [4.0, 3.0], [9.0, 9.0], [0.0, 2.0]])
    covered = np.array([True, True, False, True])
    # Six points are covered: half of them are three.
    np.testing.assert_array_equal(focus_mask(relevance, covered, 0.5), [[1, 0], [1, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(focus_mask(relevance, covered, 1.0), [[1, 0], [1, 1], [0, 0], [0, 1]])
    assert not focus_mask(relevance, covered, 0.1).any()
    assert focus_mask(np.ones((10, 4)), np.ones(10, bool), 0.3).sum() == 12


def test_levels_are_matched_in_rms_but_never_into_clipping():
    quiet, loud = 0.01 * np.sin(np.arange(1_000)), 0.5 * np.sin(np.arange(800))
    matched = level_matched(quiet, loud)
    assert np.sqrt(np.mean(matched**2)) == pytest.approx(np.sqrt(np.mean(loud**2)), rel=1e-5)
    click = np.zeros(1_000)
    click[3] = 0.1
    assert np.abs(level_matched(click, loud)).max() == pytest.approx(0.99)
    np.testing.assert_array_equal(level_matched(np.zeros(10), loud), np.zeros(10))
