"""Limits on the cost of a card's front end: ten minutes fit into the promised memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.errors import SettingsRefused
from ser_core.front_end.segments import split_into_segments
from ser_core.front_end.selection import select_segments
from ser_core.front_end.spectrogram import frame_count, log_mel
from ser_core.model.peers.shared.network import SEGMENTS, WHOLE_RECORDING
from ser_core.settings import (
    MAX_ARRAY_BYTES,
    AudioLimits,
    FrontEnd,
    SegmentSettings,
    SelectionSettings,
    SpectrogramSettings,
)


@pytest.mark.parametrize(
    "spectrogram",
    [
        {"hop_samples": 1},
        {"hop_samples": 95},
        {"window_samples": 2_048, "fft_samples": 2**15},
        {"hop_samples": 480, "fft_samples": 2**14},
        {"bands": 257},
        {"sample_rate_hz": 192_000, "hop_samples": 480},
        {"window_samples": 10**15, "fft_samples": 10**15},
        {"bands": 10**400},
    ],
)
def test_a_spectrogram_that_costs_too_much_is_refused(spectrogram):
    with pytest.raises(SettingsRefused):
        SpectrogramSettings(**spectrogram)


@pytest.mark.parametrize(
    ("spectrogram", "segments", "said"),
    [
        (
            {"hop_samples": 96, "bands": 128},
            {"segment_frames": 480, "hop_frames": 480},
            "spectrogram .* 146 MiB; at most 128 MiB",
        ),
        ({}, {"segment_frames": 6_000, "hop_frames": 48}, "segments .* at most 128 MiB"),
        ({"bands": 1}, {"segment_frames": 1, "hop_frames": 14}, "correlations .* 140 MiB; at most 128 MiB"),
        ({}, {"segment_frames": 96, "hop_frames": 1}, "correlations .* at most 128 MiB"),
    ],
)
def test_a_front_end_whose_arrays_of_ten_minutes_would_be_too_large_is_refused(spectrogram, segments, said):
    with pytest.raises(SettingsRefused, match=said):
        FrontEnd(SpectrogramSettings(**spectrogram), SegmentSettings(**segments))


@pytest.mark.parametrize("frames", [0, -1, 6_001, 10**400, 1.5, "96"])
def test_impossible_segments_and_hops_are_refused(frames):
    for segments in ({"segment_frames": frames}, {"segment_frames": None, "hop_frames": frames}):
        with pytest.raises(SettingsRefused, match="whole numbers of frames, 1 to 6000"):
            SegmentSettings(**segments)


@pytest.mark.parametrize(
    "front_end",
    [
        FrontEnd(),
        SEGMENTS,
        WHOLE_RECORDING,
        # Front ends that others use: 128 bands every 10 ms of 16 kHz, 80 bands of 25 ms windows, 64 bands every 5 ms.
        FrontEnd(SpectrogramSettings(16_000, 400, 160, 512, 128, 20.0, 8_000.0), SegmentSettings(300, 100)),
        FrontEnd(SpectrogramSettings(16_000, 400, 160, 400, 80, 0.0, 8_000.0), SegmentSettings(None)),
        FrontEnd(SpectrogramSettings(hop_samples=240), SegmentSettings(192, 48)),
        FrontEnd(SpectrogramSettings(44_100, 2_048, 512, 2_048, 128, 0.0, 22_050.0), SegmentSettings(128, 64)),
    ],
)
def test_front_ends_in_use_are_accepted(front_end):
    assert front_end.spectrogram.bands >= 64


@given(
    rate=st.sampled_from([4_000, 16_000, 48_000, 96_000]),
    hop=st.integers(8, 3_000),
    bands=st.integers(1, 256),
    segment=st.integers(1, 6_000),
    hop_frames=st.integers(1, 600),
)
def test_any_accepted_front_end_keeps_arrays_of_ten_minutes_within_the_limit(rate, hop, bands, segment, hop_frames):
    size = max(hop, bands, 256)
    try:
        spectrogram = SpectrogramSettings(rate, size, hop, size, bands, 0.0, rate / 2)
        front_end = FrontEnd(spectrogram, SegmentSettings(segment, hop_frames))
    except SettingsRefused:
        return
    frames = frame_count(int(AudioLimits.longest_s * rate), spectrogram)
    # A view of nothing in that shape: no memory is needed to count it.
    empty = np.broadcast_to(np.float32(0), (frames, bands))
    values, starts = split_into_segments(empty, front_end.segments) if frames >= segment else (empty, [0])
    for size_bytes in (empty.nbytes, values.nbytes, 8 * len(starts) ** 2):
        assert size_bytes <= MAX_ARRAY_BYTES * 1.01  # the last segment, which is aligned to the end


def test_a_large_fft_is_computed_in_blocks_as_small_as_for_a_small_one(monkeypatch):
    settings = SpectrogramSettings(48_000, 2**14, 1_600, 2**14, 64, 125.0, 7_500.0)
    samples = np.random.default_rng(0).normal(scale=0.1, size=96_000).astype(np.float32)
    whole = log_mel(samples, settings)
    monkeypatch.setattr("ser_core.front_end.spectrogram.FFT_SAMPLES_PER_BLOCK", 1)
    np.testing.assert_allclose(log_mel(samples, settings), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("threshold", [np.nan, np.inf, 101, -101, 10**400, "0.1", None, [0.1]])
def test_an_impossible_selection_threshold_is_refused(threshold):
    with pytest.raises(SettingsRefused, match="threshold"):
        SelectionSettings("guarded", threshold)


def test_a_threshold_beyond_all_scores_selects_everything_on_either_side():
    values = np.random.default_rng(0).normal(size=(5, 96, 64)).astype(np.float32)
    for threshold in (-100, 100):
        assert select_segments(values, SelectionSettings("guarded", threshold))[0].all()
