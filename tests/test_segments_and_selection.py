"""Segments cover the recording; Gaussian data selection against a slow twin, and what it must never do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import Spectrogram
from ser_core.errors import AudioRefused, SettingsRefused
from ser_core.front_end.segments import noise_floor, split_into_segments
from ser_core.front_end.selection import GRID_POINTS, segments_of, select_segments, selection_scores
from ser_core.settings import FrontEnd, SegmentSettings, SelectionSettings, SpectrogramSettings

SILENCE = np.log(0.001)


def numbered(frames: int, bands: int = 2) -> np.ndarray:
    """Return a spectrogram whose frame i has the value i, so that segments show where they were cut."""
    return np.repeat(np.arange(frames, dtype=np.float32)[:, None], bands, axis=1)


def speech_and_odd_one(seed: int = 0, segments: int = 6) -> np.ndarray:
    """Return segments that all have one distribution except the last."""
    rng = np.random.default_rng(seed)
    values = rng.normal(-3, 1.5, (segments, 96, 64))
    values[-1] = rng.normal(-6.5, 0.1, (96, 64))
    return values.astype(np.float32)


# --- segments ---


@given(frames=st.integers(1, 700), length=st.integers(1, 120), hop_part=st.floats(0.01, 1))
def test_segments_cover_the_recording_at_an_even_hop_and_the_last_ends_with_it(frames, length, hop_part):
    hop = max(1, int(hop_part * length))
    log_mel = numbered(frames)
    values, starts = split_into_segments(log_mel, SegmentSettings(length, hop))
    assert values.shape == (len(starts), length, 2)
    whole = max(frames, length)
    assert set().union(*(range(start, start + length) for start in starts)) == set(range(whole))
    assert starts[-1] == whole - length
    assert (starts[:-1] == hop * np.arange(len(starts) - 1)).all()
    assert (np.diff(starts) > 0).all()
    for value, start in zip(values, starts, strict=True):
        held = min(length, frames)
        np.testing.assert_array_equal(value[:held], log_mel[start : start + held])


def test_starts_are_as_worked_by_hand():
    for frames, expected in [(96, [0]), (97, [0, 1]), (144, [0, 48]), (145, [0, 48, 49]), (240, [0, 48, 96, 144])]:
        _, starts = split_into_segments(numbered(frames), SegmentSettings())
        assert starts.tolist() == expected


def test_recording_shorter_than_one_segment_is_padded_at_the_end_with_its_noise_floor():
    log_mel = np.random.default_rng(0).normal(-4, 2, (30, 64)).astype(np.float32)
    values, starts = split_into_segments(log_mel, SegmentSettings())
    assert (values.shape, starts.tolist()) == ((1, 96, 64), [0])
    np.testing.assert_array_equal(values[0, :30], log_mel)
    floor = [np.percentile(log_mel[:, band], 5) for band in range(64)]
    np.testing.assert_allclose(values[0, 30:], np.tile(floor, (66, 1)), rtol=1e-6)


def test_noise_floor_is_the_fifth_percentile_of_each_band_worked_by_hand():
    log_mel = np.stack([np.arange(101.0), -np.arange(101.0)[::-1]], axis=1).astype(np.float32)
    assert noise_floor(log_mel).tolist() == [5, -95]
    assert noise_floor(log_mel).dtype == np.float32


@pytest.mark.parametrize("frames", [96, 97, 500, 6_000])
def test_without_a_length_the_whole_recording_is_one_segment(frames):
    values, starts = split_into_segments(numbered(frames), SegmentSettings(segment_frames=None))
    np.testing.assert_array_equal(values, numbered(frames)[None])
    assert starts.tolist() == [0]


def test_a_whole_recording_shorter_than_a_segment_is_padded_like_a_segment():
    log_mel = np.random.default_rng(0).normal(-4, 2, (30, 64)).astype(np.float32)
    padded, _ = split_into_segments(log_mel, SegmentSettings(segment_frames=None))
    np.testing.assert_array_equal(padded, split_into_segments(log_mel, SegmentSettings())[0])


def test_a_whole_recording_of_more_than_a_minute_is_refused():
    with pytest.raises(AudioRefused, match=r"6001 frames; .* at most 6000"):
        split_into_segments(numbered(6_001), SegmentSettings(segment_frames=None))


# --- selection: slow twin, written from Algorithm 1 ---


def slow_scores(segments: np.ndarray, rule: str) -> list[float]:
    values = [segment.astype(np.float64).ravel().tolist() for segment in segments]
    low, high = min(map(min, values)), max(map(max, values))
    grid = [low + (high - low) * k / (GRID_POINTS - 1) for k in range(GRID_POINTS)]
    curves = []
    for segment in values:
        mu = sum(segment) / len(segment)
        sigma = (sum((x - mu) ** 2 for x in segment) / len(segment)) ** 0.5
        sigma = max(sigma, grid[1] - grid[0])
        curves.append([np.exp(-((x - mu) ** 2) / (2 * sigma**2)) / (sigma * (2 * np.pi) ** 0.5) for x in grid])

    def pearson(a: list[float], b: list[float]) -> float:
        mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
        covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
        spread_a, spread_b = sum((x - mean_a) ** 2 for x in a), sum((y - mean_b) ** 2 for y in b)
        return covariance / (spread_a * spread_b) ** 0.5

    rows = [[pearson(a, b) for b in curves] for a in curves]
    if rule == "guarded":
        return [(sum(row) - row[i]) / (len(rows) - 1) for i, row in enumerate(rows)]
    sums = [sum(row) for row in rows]
    return [(c - min(sums)) / (max(sums) - min(sums)) for c in sums]


@pytest.mark.parametrize("rule", ["minmax", "guarded"])
@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_a_slow_twin(rule, seed):
    rng = np.random.default_rng(seed)
    levels = rng.normal(-3, 1.5, (5, 1, 1)) + rng.normal(0, rng.uniform(0.2, 2, (5, 1, 1)), (5, 12, 8))
    segments = levels.astype(np.float32)
    np.testing.assert_allclose(selection_scores(segments, rule), slow_scores(segments, rule), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_minmax_scores_the_worst_segment_zero_and_the_best_one_even_if_all_are_alike(seed):
    alike = np.random.default_rng(seed).normal(-3, 1.5, (6, 96, 64)).astype(np.float32)
    scores = selection_scores(alike, "minmax")
    assert (scores.min(), scores.max()) == (0, 1)
    selected, _ = select_segments(alike, SelectionSettings("minmax", 0.1))
    assert not selected.all()
    selected, _ = select_segments(alike, SelectionSettings("minmax", 0.0))  # a score must exceed the threshold
    assert np.flatnonzero(~selected).tolist() == [scores.argmin()]


@pytest.mark.parametrize("seed", range(5))
def test_guarded_keeps_everything_if_all_segments_are_alike(seed):
    alike = np.random.default_rng(seed).normal(-3, 1.5, (6, 96, 64)).astype(np.float32)
    selected, scores = select_segments(alike, SelectionSettings("guarded", 0.1))
    assert selected.all()
    assert (scores > 0.9).all()


@pytest.mark.parametrize("rule", ["minmax", "guarded"])
def test_a_segment_unlike_the_others_is_dropped(rule):
    selected, scores = select_segments(speech_and_odd_one(), SelectionSettings(rule, 0.1))
    assert selected.tolist() == 5 * [True] + [False]
    assert scores.argmin() == 5


@given(
    levels=st.lists(st.tuples(st.floats(-7, 2), st.floats(0, 3)), min_size=3, max_size=9),
    rule=st.sampled_from(["minmax", "guarded"]),
    threshold=st.floats(-1, 2),
)
def test_scores_are_finite_and_bounded_and_something_is_always_selected(levels, rule, threshold):
    rng = np.random.default_rng(0)
    segments = np.stack([rng.normal(mean, deviation, (12, 8)) for mean, deviation in levels]).astype(np.float32)
    selected, scores = select_segments(segments, SelectionSettings(rule, threshold))
    assert np.isfinite(scores).all()
    lowest = 0 if rule == "minmax" else -1
    assert (lowest - 1e-9 <= scores).all()
    assert (scores <= 1 + 1e-9).all()
    assert selected.any()
    assert (selected == (scores > threshold)).all() or (selected.all() and (scores <= threshold).all())


@pytest.mark.parametrize("rule", ["minmax", "guarded"])
def test_digital_silence_beside_speech_is_scored_lowest_and_dropped(rule):
    segments = speech_and_odd_one()
    segments[-1] = SILENCE
    selected, scores = select_segments(segments, SelectionSettings(rule, 0.1))
    assert np.isfinite(scores).all()
    assert selected.tolist() == 5 * [True] + [False]


@pytest.mark.parametrize("rule", ["minmax", "guarded"])
def test_segments_of_digital_silence_are_all_alike_and_selected(rule):
    selected, scores = select_segments(np.full((4, 96, 64), SILENCE, np.float32), SelectionSettings(rule, 0.1))
    np.testing.assert_allclose(scores, 1)
    assert selected.all()


@pytest.mark.parametrize("rule", ["minmax", "guarded"])
def test_order_of_the_segments_does_not_matter(rule):
    segments = speech_and_odd_one(3)
    order = [5, 2, 0, 4, 1, 3]
    np.testing.assert_allclose(selection_scores(segments[order], rule), selection_scores(segments, rule)[order])


@pytest.mark.parametrize("rule", ["minmax", "guarded"])
@pytest.mark.parametrize("number", [1, 2])
def test_fewer_than_three_segments_have_no_score_and_are_selected(rule, number):
    selected, scores = select_segments(speech_and_odd_one()[-number:], SelectionSettings(rule, 0.99))
    assert scores is None
    assert selected.tolist() == number * [True]


def test_without_a_rule_nothing_is_scored_and_all_segments_are_selected():
    selected, scores = select_segments(speech_and_odd_one(), SelectionSettings("none"))
    assert scores is None
    assert selected.all()


def test_segments_are_selected_as_the_front_end_says():
    spectrogram = Spectrogram(np.concatenate(speech_and_odd_one()), SpectrogramSettings())
    for selection in (SelectionSettings("none"), SelectionSettings("guarded", 0.99)):
        found = segments_of(spectrogram, FrontEnd(selection=selection))
        selected, scores = select_segments(found.values, selection)
        np.testing.assert_array_equal(found.selected, selected)
        np.testing.assert_array_equal(found.gds_score, scores)


def test_unknown_rule_is_refused():
    with pytest.raises(SettingsRefused, match="rule 'median'; choose minmax, guarded or none"):
        SelectionSettings("median")
