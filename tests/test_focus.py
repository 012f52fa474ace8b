"""Profile, focus regions and their audio: worked by hand, against a slow twin, exact to the sample."""

import io
import re
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from ser_core.analysis import Explanation, Recording, Region
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.errors import SettingsRefused
from ser_core.explanation.focus import (
    deciding_candidate,
    focus_frames,
    focus_in_words,
    focus_level,
    focus_regions,
    map_in_words,
    relevance_profile,
    strongest_part,
    usable_frames,
)
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.settings import FocusSettings, SpectrogramSettings
from ser_core.work.progress import UNWATCHED, Work
from tests.tiny_networks import target_of_log_mel

FRAMES = SpectrogramSettings()


PRINTED = FocusSettings(threshold=0.0)


def regions_of(profile, usable=None, duration_s=100.0, settings=PRINTED, level=None):
    usable = np.ones(len(profile), bool) if usable is None else np.asarray(usable, bool)
    log_mel = np.zeros((len(profile), 2)) if level is None else np.repeat(np.asarray(level, float)[:, None], 2, axis=1)
    return focus_regions(np.asarray(profile, float), usable, log_mel, duration_s, settings, FRAMES)


def stretches(regions) -> list[tuple[float, float]]:
    return [(found.region.start_s, found.region.end_s) for found in regions]


def runs(*parts: tuple[int, float]) -> np.ndarray:
    """Return a profile of runs of frames, each with its level."""
    return np.concatenate([np.full(number, level) for number, level in parts])


# --- profile ---


def test_profile_is_the_mean_over_bands_smoothed_as_worked_by_hand():
    relevance = np.array([[0, 0], [2, 4], [0, 0], [0, 0], [-6, 0]], np.float32)
    found = relevance_profile(relevance, np.ones(5, bool), 3)
    # Means 0 3 0 0 -3; at the edges over the two frames that there are.
    np.testing.assert_allclose(found, [1.5, 1, 1, -1, -1.5])


def test_uncovered_frames_do_not_count_and_have_no_profile():
    relevance = np.array([[3.0], [100.0], [6.0], [6.0]], np.float32)
    found = relevance_profile(relevance, np.array([True, False, True, True]), 3)
    np.testing.assert_allclose(found, [3, 0, 6, 6])


def slow_profile(relevance, covered, window) -> list[float]:
    reach = window // 2
    values = []
    for middle in range(len(relevance)):
        around = [
            relevance[frame].mean()
            for frame in range(middle - reach, middle + reach + 1)
            if 0 <= frame < len(relevance) and covered[frame]
        ]
        values.append(sum(around) / len(around) if covered[middle] else 0.0)
    return values


@given(
    frames=st.integers(1, 60),
    window=st.integers(0, 40),
    seed=st.integers(0, 1_000),
    covered_part=st.sampled_from([1, 0.6]),
)
def test_profile_agrees_with_a_slow_twin_for_every_length_and_window(frames, window, seed, covered_part):
    rng = np.random.default_rng(seed)
    relevance = rng.normal(size=(frames, 3)).astype(np.float32)
    covered = rng.random(frames) < covered_part
    odd = window + 1 - window % 2
    np.testing.assert_allclose(
        relevance_profile(relevance, covered, window), slow_profile(relevance, covered, odd), atol=1e-6
    )


def test_smoothing_over_one_frame_changes_nothing():
    relevance = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    np.testing.assert_allclose(relevance_profile(relevance, np.ones(40, bool), 1), relevance.mean(axis=1), atol=1e-7)


# --- focus ---


def test_focus_is_where_the_profile_is_above_zero_with_its_strength_and_share():
    (first, second) = regions_of(runs((20, -1.0), (30, 2.0), (20, -1.0), (10, 4.0), (5, 0.0)))
    # Frame i stands for [0.010 i + 0.0075, + 0.010) s.
    assert (first.region.start_s, first.region.end_s) == pytest.approx((0.2075, 0.5075))
    assert (second.region.start_s, second.region.end_s) == pytest.approx((0.7075, 0.8075))
    assert (first.strength, second.strength) == (2, 4)
    assert (first.share, second.share) == (0.6, 0.4)


def test_a_region_of_exactly_the_shortest_length_stays_and_a_shorter_one_is_dropped():
    assert len(regions_of(runs((5, -1.0), (10, 1.0), (20, -1.0)))) == 1
    assert regions_of(runs((5, -1.0), (9, 1.0), (20, -1.0))) == ()
    # In floating point, 0.07 s is a little more than seven frames of 0.01 s.
    seven = FocusSettings(threshold=0.0, shortest_region_s=0.07)
    assert len(regions_of(runs((5, -1.0), (7, 1.0), (20, -1.0)), settings=seven)) == 1


def test_dropped_regions_still_count_in_the_total_of_the_shares():
    (found,) = regions_of(runs((5, 3.0), (20, -1.0), (15, 1.0)))
    assert found.share == 0.5


def test_a_gap_shorter_than_the_limit_is_closed_and_lowers_the_strength_but_not_the_share():
    (found,) = regions_of(runs((5, -1.0), (10, 2.0), (9, -1.0), (11, 2.0), (5, -1.0)))
    assert (found.region.start_s, found.region.end_s) == pytest.approx((0.0575, 0.3575))
    assert found.strength == pytest.approx((21 * 2 - 9) / 30)
    assert found.share == 1


def test_gap_of_the_limit_is_not_closed():
    assert len(regions_of(runs((10, 2.0), (10, -1.0), (10, 2.0)))) == 2


def test_two_regions_too_short_alone_are_one_once_their_gap_is_closed():
    (found,) = regions_of(runs((20, -1.0), (6, 1.0), (3, -1.0), (6, 1.0), (20, -1.0)))
    assert found.region.duration_s == pytest.approx(0.15)


def test_stretch_below_zero_at_an_end_of_the_recording_is_no_gap():
    (found,) = regions_of(runs((4, -1.0), (20, 1.0), (4, -1.0)))
    assert (found.region.start_s, found.region.end_s) == pytest.approx((0.0475, 0.2475))


def test_gap_that_no_segment_covers_is_not_closed():
    profile = runs((15, 1.0), (4, 0.0), (15, 1.0))
    covered = runs((15, True), (4, False), (15, True))
    assert len(regions_of(profile, covered)) == 2
    assert len(regions_of(profile)) == 1


def test_end_is_clipped_to_the_end_of_the_recording():
    (found,) = regions_of(runs((20, 1.0)), duration_s=0.2)
    assert found.region.end_s == 0.2


def test_a_threshold_is_a_share_of_the_peak_and_shares_are_of_all_positive_evidence():
    profile = runs((20, 1.0), (20, 2.0), (20, 4.0), (20, -9.0))
    half = regions_of(profile, settings=FocusSettings(threshold=0.5))
    assert stretches(half) == [(pytest.approx(0.4075), pytest.approx(0.6075))], "what is just as high does not count"
    assert half[0].share == pytest.approx(4 / 7)
    (lower,) = regions_of(profile, settings=FocusSettings(threshold=0.49))
    assert lower.region.start_s == pytest.approx(0.2075)
    assert regions_of(-profile, settings=FocusSettings(threshold=0.5))[0].strength == pytest.approx(9.0)
    assert focus_level(np.array([-1.0, -3.0]), np.ones(2, bool), FocusSettings(threshold=0.5)) == 0
    assert regions_of(runs((20, -1.0)), settings=FocusSettings(threshold=0.5)) == ()


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_an_impossible_threshold_is_refused(threshold):
    with pytest.raises(SettingsRefused, match="share of the profile's highest value"):
        FocusSettings(threshold=threshold)


def test_limits_are_settings():
    profile = runs((3, 1.0), (20, -1.0), (3, 1.0))
    settings = FocusSettings(threshold=0.0, shortest_region_s=0.03, longest_closed_gap_s=0.0)
    assert len(regions_of(profile, settings=settings)) == 2
    assert len(regions_of(profile, settings=FocusSettings(threshold=0.0, longest_closed_gap_s=0.21))) == 1


@given(
    parts=st.lists(st.tuples(st.integers(1, 25), st.floats(-2, 2), st.booleans()), min_size=1, max_size=14),
    cut_s=st.floats(0, 0.004),
)
def test_regions_are_disjoint_sorted_long_enough_covered_and_share_at_most_everything(parts, cut_s):
    covered = np.concatenate([np.full(number, heard) for number, _, heard in parts])
    profile = np.where(covered, runs(*[(number, level) for number, level, _ in parts]), 0.0)
    duration_s = 0.010 * len(profile) + 0.0075 - cut_s
    found = regions_of(profile, covered, duration_s)
    edges = [edge for stretch in stretches(found) for edge in stretch]
    assert edges == sorted(edges)
    assert sum(one.share for one in found) <= 1 + 1e-9
    for one in found:
        assert one.share > 0
        assert one.region.duration_s >= 0.10 - cut_s - 1e-9
        assert one.region.end_s <= duration_s
        first, end = round((one.region.start_s - 0.0075) * 100), round((one.region.end_s - 0.0075 + cut_s) * 100)
        assert covered[first:end].all()
    # What is above zero and in no region lies in a run that is too short.
    outside = profile > 0
    for start_s, end_s in stretches(found):
        outside[round((start_s - 0.0075) * 100) : round((end_s - 0.0075 + cut_s) * 100)] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], outside, [False]])))
    assert (edges[1::2] - edges[::2] < 10).all()


# --- a share of the speech ---


def at(share, **others):
    return FocusSettings(share=share, **{"snap_s": 0.0} | others)


def test_a_share_of_the_speech_is_its_strongest_frames():
    profile = runs((20, 1.0), (20, 3.0), (40, 2.0), (20, 9.0))
    usable = runs((80, True), (20, False))
    (found,) = regions_of(profile, usable, settings=at(0.25))
    assert stretches([found]) == [(pytest.approx(0.2075), pytest.approx(0.4075))], "what is no speech does not count"
    (found,) = regions_of(profile, usable, settings=at(0.8))
    assert stretches([found]) == [(pytest.approx(0.2075), pytest.approx(0.8075))]


def test_evidence_against_the_emotion_is_never_focus_however_large_the_share():
    (found,) = regions_of(runs((30, -2.0), (20, 1.0), (30, -1.0)), settings=at(0.9))
    assert stretches([found]) == [(pytest.approx(0.3075), pytest.approx(0.5075))]


def test_of_too_many_regions_the_strongest_stay_in_order_of_time():
    profile = runs(*[part for level in (2.0, 5.0, 3.0, 4.0) for part in ((12, level), (12, 0.5))])
    found = regions_of(profile, settings=at(0.5, max_regions=2))
    assert [region.strength for region in found] == [5, 4]
    assert len(regions_of(profile, settings=at(0.5))) == 4
    assert len(regions_of(profile, settings=FocusSettings(threshold=0.2, max_regions=2))) == 4


def test_regions_far_weaker_than_the_strongest_are_left_out():
    profile = runs(*[part for level in (2.0, 5.0, 3.0, 4.0) for part in ((12, level), (12, 0.5))])
    found = regions_of(profile, settings=at(0.5, weakest_region=0.6))
    assert [region.strength for region in found] == [5, 3, 4]
    assert [region.strength for region in regions_of(profile, settings=at(0.5, weakest_region=0.61))] == [5, 4]
    assert len(regions_of(profile, settings=FocusSettings(threshold=0.2, weakest_region=1.0))) == 4
    assert regions_of(np.zeros(40), settings=at(0.5, weakest_region=0.6)) == ()


def test_bounds_move_to_the_quietest_frame_within_reach_which_stays_outside():
    profile, level = runs((30, 0.0), (20, 1.0), (30, 0.0)), np.zeros(80)
    level[[26, 53]] = -2  # 4 frames before the start, 3 after the end
    level[[20, 60]] = -9  # out of reach
    (found,) = regions_of(profile, settings=at(0.25, snap_s=0.06), level=level)
    first, end = (round((edge - 0.0075) * 100) for edge in stretches([found])[0])
    assert (first, end) == (27, 53)


def test_bounds_stay_within_speech_and_do_not_move_without_a_quieter_frame():
    profile, level = runs((30, 0.0), (20, 1.0), (30, 0.0)), np.zeros(80)
    level[[26, 53]] = -2
    usable = runs((28, False), (52, True))
    (found,) = regions_of(profile, usable, settings=at(20 / 52, snap_s=0.06), level=level)
    first, end = (round((edge - 0.0075) * 100) for edge in stretches([found])[0])
    assert (first, end) == (30, 53)


@given(
    parts=st.lists(st.tuples(st.integers(1, 25), st.floats(-2, 2), st.booleans()), min_size=1, max_size=14),
    share=st.floats(0.05, 1),
    seed=st.integers(0, 99),
)
def test_regions_of_a_share_are_few_disjoint_sorted_long_enough_and_within_speech(parts, share, seed):
    usable = np.concatenate([np.full(number, speech) for number, _, speech in parts])
    profile = runs(*[(number, level) for number, level, _ in parts])
    level = np.random.default_rng(seed).normal(size=len(profile))
    found = regions_of(profile, usable, settings=FocusSettings(share=share), level=level)
    assert len(found) <= 4
    edges = [edge for stretch in stretches(found) for edge in stretch]
    assert edges == sorted(edges)
    for one in found:
        assert one.region.duration_s >= 0.10 - 1e-9
        first, end = (round((edge - 0.0075) * 100) for edge in (one.region.start_s, one.region.end_s))
        assert usable[first:end].all()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(SettingsRefused, match="not a share of the speech"):
        FocusSettings(share=share)


def test_the_focus_is_within_speech_or_anywhere_explained_if_there_is_hardly_any():
    covered, speech = runs((10, True), (10, False)), runs((4, True), (6, False), (10, True))
    assert usable_frames(covered, speech, 4).sum() == 4
    assert usable_frames(covered, speech, 5).sum() == 10


def test_focus_frames_have_their_middle_in_any_of_the_regions():
    found = regions_of(runs((10, 1.0), (15, -1.0), (12, 1.0), (3, -1.0)))
    inside = focus_frames(found, 0.0125 + 0.010 * np.arange(40))
    np.testing.assert_array_equal(inside, runs((10, True), (15, False), (12, True), (3, False)))


# --- the focus that decides ---


class Needs:
    """Perturbed speech whose angry score is high where enough of the frames that matter are there."""

    def __init__(self, frames, matter, whole=(0.9, 0.1)):
        self.matter, self.original, self.frames = np.asarray(matter), np.array(whole), frames
        self.tried = []

    def without(self, masks, count, work):
        masks = [mask[:, 0] for mask in masks]
        assert len(masks) == count
        self.tried += masks
        work.report(1.0, "")
        there = np.array([(~mask)[self.matter].mean() for mask in masks])
        return np.stack([there, 1 - there], axis=1)


def decides(perturbed, ends, target, work=UNWATCHED):
    candidates = [np.arange(perturbed.frames) < end for end in ends]
    sizes = [end / perturbed.frames for end in ends]
    return deciding_candidate(candidates, sizes, perturbed, target, work)


def test_the_first_focus_that_alone_keeps_the_verdict_and_without_which_it_changes_decides():
    target = target_of_log_mel(np.zeros((100, 2), np.float32))
    needs = Needs(100, range(20, 40))
    # Up to frame 30 there is as much inside as outside: the verdict is neither kept nor lost.
    assert decides(needs, [25, 30, 35, 50], target) == 2
    masks = needs.tried
    np.testing.assert_array_equal(masks[::2], [~mask for mask in masks[1::2]])


@pytest.mark.parametrize(
    ("ends", "decided", "tried"),
    [([35, 50, 60, 70, 80], 0, 3), ([22, 25, 28, 35, 50, 60, 70], 3, 6), ([22, 24, 26, 28], 3, 4)],
)
def test_three_candidates_are_tried_at_a_time_until_one_decides(ends, decided, tried):
    target, fractions = target_of_log_mel(np.zeros((100, 2), np.float32)), []
    needs, work = Needs(100, range(20, 40)), Work(lambda done, text: fractions.append(done))
    assert decides(needs, ends, target, work) == decided
    assert len(needs.tried) == 2 * tried
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1


def test_if_no_focus_decides_the_best_for_its_size_is_taken():
    target = target_of_log_mel(np.zeros((100, 2), np.float32))
    # Everything matters alike, and half of it is never more than the other half: as good as can be is the largest.
    assert decides(Needs(100, range(100)), [10, 30, 50], target) == 2
    # Nothing in reach matters: the smallest costs least.
    assert decides(Needs(100, range(90, 100)), [10, 30, 50], target) == 0


class Margins:
    """Perturbed speech in which the verdict has these margins with each focus alone and, reversed, without it."""

    original, frames = np.array([0.9, 0.1]), 100

    def __init__(self, *pairs):
        self.margins = np.array([margin for alone, without in pairs for margin in (alone, -without)])

    def without(self, masks, count, work):
        return np.stack([expit(self.margins), expit(-self.margins)], axis=1)


@pytest.mark.parametrize("weak", [(0.29, 0.9), (0.9, 0.39)])
def test_the_verdict_must_hold_by_a_smaller_margin_than_it_must_change(weak):
    target = target_of_log_mel(np.zeros((100, 2), np.float32))
    assert decides(Margins(weak, (0.31, 0.41)), [10, 20], target) == 1


@pytest.mark.parametrize(("firm", "balanced"), [((0.0, 3.0), (0.29, 1.0)), ((3.0, 0.0), (1.0, 0.39))])
def test_if_no_focus_decides_margins_above_one_count_as_one(firm, balanced):
    target = target_of_log_mel(np.zeros((100, 2), np.float32))
    # By hand: 1 - 0.2 against at least 1.29 - 0.4.
    assert decides(Margins(firm, balanced), [10, 20], target) == 1


def test_an_emotion_other_than_the_verdict_must_stay_as_likely():
    target = target_of_log_mel(np.zeros((100, 2), np.float32))
    needs = Needs(100, range(100), whole=(0.2, 0.8))
    assert decides(needs, [10, 25, 30, 50], target) == 3, (
        "without a focus of half the speech it falls as far as it rises"
    )


def test_a_profile_without_positive_values_has_no_focus_and_says_so():
    profile, covered = runs((50, -1.0)), np.ones(50, bool)
    assert regions_of(profile) == ()
    words = focus_in_words(profile, covered, "sad")
    assert "for sad" in words
    assert "At no moment" in words


def test_a_profile_that_is_all_positive_is_one_region_and_says_so():
    profile, covered = runs((50, 1.0)), np.ones(50, bool)
    (found,) = regions_of(profile)
    assert found.region.duration_s == pytest.approx(0.5)
    words = focus_in_words(profile, covered, "sad")
    assert "for sad" in words
    assert "more speaks for" in words


def test_uncovered_frames_do_not_count_in_words():
    profile, covered = runs((30, 1.0), (20, 0.0)), runs((30, True), (20, False))
    assert "more speaks for" in focus_in_words(profile, covered, "sad")
    nothing_selected = focus_in_words(0 * profile, np.zeros(50, bool), "sad")
    assert nothing_selected == "No segment here was selected, so nothing was explained. Choose another stretch."


def test_a_map_in_words_has_the_bounds_of_its_strongest_evidence_in_seconds_and_hz():
    relevance = np.zeros((200, 64), np.float32)
    relevance[100:140, 10:20] = 1.0  # from 1.0075 to 1.4075 s
    relevance[20:60, 50:60] = -0.3
    relevance[160:190, 30:40] = 0.4  # less than half
    whole = Region(0.0, 2.0)
    said = map_in_words(
        Explanation("lime", "angry", None, relevance, np.ones(200, bool), whole, None, {}, 0, 0.0), FRAMES
    )
    centres = band_centres_hz(FRAMES)
    for_it, against = said.split(";")
    assert "for angry" in for_it
    assert "1.0 to 1.4 s" in for_it
    low, high = map(int, re.search(r"(\d+) to (\d+) Hz", for_it).groups())
    assert centres[9] - 6 < low < centres[10] + 5
    assert centres[19] - 5 < high < centres[20] + 6
    assert "against" in against
    assert "0.2 to 0.6 s" in against


def test_the_strongest_part_is_found_over_nine_frames_and_three_bands():
    relevance = np.zeros((100, 64), np.float32)
    relevance[50:80, 20] = 1.0
    relevance[20, 30:60] = 1.0  # one frame is a ninth of the window, one band a third
    part = strongest_part(relevance, FRAMES)
    # Half as high, where at least five of the nine frames around hold it.
    assert (part.start_s, part.end_s) == pytest.approx((0.5075, 0.8075))
    centres = band_centres_hz(FRAMES)
    assert centres[18] < part.low_hz < centres[19] < centres[21] < part.high_hz < centres[22]


def test_a_map_of_zeros_is_described_as_such():
    nothing = np.zeros((5, 64), np.float32)
    said = map_in_words(Explanation("lime", "sad", None, nothing, nothing[:, 0] == 0, None, None, {}, 0, 0.0), FRAMES)
    assert "no evidence" in said


def test_change_of_sign_needs_no_words():
    assert focus_in_words(runs((30, 1.0), (20, -1.0)), np.ones(50, bool), "sad") is None


# --- audio of a region ---


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 1.0), (0.20755, 0.50755), (0.33333, 0.777)])
def test_a_region_has_the_recordings_samples_between_fades_of_five_milliseconds(rate, start_s, end_s):
    samples = np.random.default_rng(0).uniform(-1, 1, rate).astype(np.float32)
    found = region_samples(Recording("noise", "0", samples, rate), Region(start_s, end_s), fade_s=0.005)
    own = samples[round(start_s * rate) : round(end_s * rate)]
    assert len(found) == len(own)
    fade = round(0.005 * rate)
    np.testing.assert_array_equal(found[fade:-fade], own[fade:-fade])
    gain = found / own
    assert (np.diff(gain[:fade]) > 0).all()
    assert (np.diff(gain[-fade:]) < 0).all()
    np.testing.assert_allclose(gain[:fade], gain[-fade:][::-1], atol=1e-5)
    assert gain[0] < 0.01
    assert gain[fade - 1] > 0.99


def test_cutting_leaves_the_recording_as_it_was(recording):
    before = recording.samples.copy()
    region_samples(recording, Region(0.0, 0.5), fade_s=0.005)
    np.testing.assert_array_equal(recording.samples, before)


def test_a_region_shorter_than_two_fades_is_faded_over_its_halves(recording):
    found = region_samples(recording, Region(1.0, 1.004), fade_s=0.005)
    assert len(found) == 64
    assert (np.abs(found) < np.abs(recording.samples[16_000:16_064])).all()


def test_without_a_fade_the_samples_are_the_recordings_own(recording):
    found = region_samples(recording, Region(0.25, 0.75), fade_s=0.0)
    np.testing.assert_array_equal(found, recording.samples[4_000:12_000])


def test_region_that_ends_after_the_recording_ends_with_it(recording):
    assert len(region_samples(recording, Region(2.0, 9.0), fade_s=0.005)) == 8_000


def test_adjacent_regions_contain_every_sample_once(recording):
    edges = [0, 0.1001, 0.77777, 1.5, 2.5]
    parts = [region_samples(recording, Region(start, end), fade_s=0.0) for start, end in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), recording.samples)


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_wav_of_a_recording_of_sixteen_bits_gives_back_every_sample_exactly(rate):
    samples = np.arange(-32_768, 32_768, dtype=np.float32) / 32_768
    found, found_rate = soundfile.read(io.BytesIO(wav_bytes(samples, rate)), dtype="float32")
    assert found_rate == rate
    np.testing.assert_array_equal(found, samples)


def test_wav_of_other_samples_is_within_one_step_of_sixteen_bits(voice):
    found, _ = soundfile.read(io.BytesIO(wav_bytes(voice, 16_000)), dtype="float32")
    np.testing.assert_allclose(found, voice, rtol=0, atol=2**-15)


def test_a_wav_clips_above_full_scale_instead_of_wrapping_round():
    samples, _ = soundfile.read(io.BytesIO(wav_bytes(np.array([2.0, -2.0, 0.5], np.float32), 8_000)))
    np.testing.assert_allclose(samples, [1, -1, 0.5], atol=1e-4)


def test_a_profile_of_zeros_is_described_as_too_small_to_measure():
    profile, covered = np.zeros(50), np.ones(50, bool)
    assert "enough to be measured" in focus_in_words(profile, covered, "sad")
