"""Whether explainers' maps match people's marks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import jaccard_score, roc_auc_score

from pages.shared.charts.annotators import people_against_maps_chart
from ser_core.analysis import Explanation, Region, Spectrogram, frame_edge_s
from ser_core.annotations.agreement.human_agreement import (
    ENERGY,
    MEASURES,
    RecordingAgainstMaps,
    ScoreWithChance,
    marks_against_maps,
    overlap,
    people_against_maps,
    pointing,
    roc_area,
    strongest,
)
from ser_core.annotations.annotation import RECORDING_TIER, AnnotatedRecording, Annotation
from ser_core.explanation.focus import relevance_profile
from ser_core.front_end.spectrogram import band_centres_hz
from ser_core.settings import FocusSettings, SpectrogramSettings

FRAMES, BANDS = 100, 64
SETTINGS = SpectrogramSettings()
BAND_HZ = band_centres_hz(SETTINGS)
#: The profile is the map's mean, and the focus everything above zero.
SHARP = FocusSettings(smoothing_s=0.0, threshold=0.0, shortest_region_s=0.0, longest_closed_gap_s=0.0)
QUIET = Spectrogram(np.full((FRAMES, BANDS), -5.0, np.float32), SETTINGS)


def mark(first, end, annotator="ann", emotion="angry", bands=None, **said):
    """Mark frames first to end (excluded), in all bands or in bands (first, end)."""
    low_hz, high_hz = (None, None) if bands is None else (BAND_HZ[bands[0]] - 1, BAND_HZ[bands[1] - 1] + 1)
    region = Region(frame_edge_s(first, SETTINGS), frame_edge_s(end, SETTINGS), low_hz, high_hz)
    return Annotation(region, annotator=annotator, emotion=emotion, **said)


def marked(*marks):
    return AnnotatedRecording("a.wav", None, 1.02, 16_000, marks)


def explained(map_, covered=None, emotion="angry"):
    covered = np.ones(len(map_), bool) if covered is None else covered
    map_ = np.where(covered[:, None], map_, 0).astype(np.float32)
    return Explanation("lime", emotion, None, map_, covered, Region(0.0, 1.0), None, {}, 0, 1.0)


def compare(recording, map_, settings=SHARP, spectrogram=QUIET, **said):
    """Return the measures of one map, and those of the energy."""
    found = marks_against_maps(recording, spectrogram, {"lime": explained(map_, **said)}, settings)
    assert not found.reason
    assert list(found.compared) == ["lime", ENERGY]
    return found.compared["lime"], found.compared[ENERGY]


def values(compared):
    return {measure: found.value for measure, found in compared.items()}


def inside(*stretches, bands=(0, BANDS)):
    map_ = np.zeros((FRAMES, BANDS), np.float32)
    for first, end in stretches:
        map_[first:end, slice(*bands)] = 1
    return map_


TWO = marked(mark(10, 30), mark(60, 70))
WITHIN = inside((10, 30), (60, 70))
BOX = marked(mark(10, 30, bands=(5, 20)))


# --- laws ---


def test_a_map_that_is_one_exactly_in_the_marks_matches_them_fully():
    found, _ = compare(TWO, WITHIN)
    assert values(found) == {"focus_iou": 1.0, "pointing": 1.0, "roc_area": 1.0}
    found, _ = compare(BOX, inside((10, 30), bands=(5, 20)))
    assert values(found) == {"focus_iou": 1.0, "pointing": 1.0, "roc_area": 1.0, "box_iou": 1.0}


def test_a_negated_map_matches_nowhere():
    found, _ = compare(TWO, -WITHIN)
    assert values(found) == {"focus_iou": 0.0, "pointing": 0.0, "roc_area": 0.0}
    found, _ = compare(BOX, -inside((10, 30), bands=(5, 20)))
    assert values(found) == {"focus_iou": 0.0, "pointing": 0.0, "roc_area": 0.0, "box_iou": 0.0}


@pytest.mark.parametrize("level", [0.7, 1e-6])
def test_a_constant_map_is_as_good_as_chance(level):
    found, _ = compare(TWO, np.full((FRAMES, BANDS), level))
    assert found["roc_area"] == ScoreWithChance(0.5, 0.5)
    assert found["pointing"] == ScoreWithChance(0.3, 0.3)
    assert found["focus_iou"].value == found["focus_iou"].by_chance == pytest.approx(0.3)
    found, _ = compare(BOX, np.full((FRAMES, BANDS), level))
    share = 20 * 15 / (FRAMES * BANDS)
    assert found["box_iou"].value == pytest.approx(found["box_iou"].by_chance) == pytest.approx(share / (2 - share))


def test_unit_and_scale_of_a_map_change_nothing():
    map_ = np.random.default_rng(0).normal(size=(FRAMES, BANDS)) + 0.2 * WITHIN
    one, _ = compare(TWO, map_, FocusSettings())
    other, _ = compare(TWO, 1e4 * map_, FocusSettings())
    assert values(other) == pytest.approx(values(one))
    assert 0.5 < one["roc_area"].value < 1


steps = st.integers(2, 40).flatmap(
    lambda count: st.tuples(
        arrays(float, count, elements=st.integers(-3, 3).map(float)),
        arrays(bool, count).filter(lambda flags: 0 < flags.sum() < len(flags)),
    )
)


@given(steps)
def test_roc_area_equals_scikit_learns_with_ties_too(case):
    profile, flags = case
    assert roc_area(profile, flags) == pytest.approx(roc_auc_score(flags, profile))


@given(steps)
def test_roc_area_of_the_negated_map_or_of_the_other_frames_is_one_minus_it(case):
    profile, flags = case
    assert roc_area(-profile, flags) == pytest.approx(1 - roc_area(profile, flags))
    assert roc_area(profile, ~flags) == pytest.approx(1 - roc_area(profile, flags))


@given(steps)
def test_chance_is_the_mean_over_all_circular_shifts_of_the_profile(case):
    profile, flags = case
    moved = [np.roll(profile, step) for step in range(len(profile))]
    assert np.mean([roc_area(each, flags) for each in moved]) == pytest.approx(0.5)
    assert np.mean([pointing(each, flags) for each in moved]) == pytest.approx(flags.mean())
    focus = profile > 0
    found = overlap(focus[:, None], flags[:, None])
    each = [jaccard_score(flags, np.roll(focus, step), zero_division=0) for step in range(len(focus))]
    assert found.value == pytest.approx(each[0], abs=1e-12)
    assert found.by_chance == pytest.approx(np.mean(each), abs=1e-12)


def test_chance_for_boxes_is_the_mean_over_all_circular_shifts_of_the_map():
    rng = np.random.default_rng(1)
    points, boxes = rng.random((30, 8)) * (rng.random((30, 8)) < 0.3), rng.random((30, 8)) < 0.2
    each = []
    for step in range(30):
        shared = (np.roll(points, step, axis=0) * boxes).sum()
        each.append(shared / (points.sum() + boxes.sum() - shared))
    found = overlap(points, boxes)
    assert found.value == pytest.approx(each[0])
    assert found.by_chance == pytest.approx(np.mean(each))


# --- by hand ---


def test_the_pointing_game_uses_the_highest_frame_and_splits_ties():
    flags = np.array([True, True, False, False, False])
    assert pointing(np.array([1.0, 5, 3, 0, 4]), flags) == 1
    assert pointing(np.array([1.0, 2, 3, 0, 2]), flags) == 0
    assert pointing(np.array([3.0, 0, 3, 0, 3]), flags) == pytest.approx(1 / 3)
    assert pointing(np.array([-3.0, -1, -2, -4, -5]), flags) == 1


def test_only_the_strongest_points_count_and_ties_are_split():
    found = strongest(np.array([[9.0, 1, 4], [4, 4, 0]]), 3)
    np.testing.assert_allclose(found, [[1, 0, 2 / 3], [2 / 3, 2 / 3, 0]])
    assert strongest(np.array([[-1.0, -2]]), 1).tolist() == [[1, 0]]
    assert strongest(np.array([[-1.0, -2]]), 2).tolist() == [[1, 1]]


def test_roc_area_is_worked_by_hand():
    # Of 2 x 3 pairs 4 are correctly ordered and one is tied.
    assert roc_area(np.array([2.0, 4, 1, 2, 3]), np.array([True, True, False, False, False])) == 4.5 / 6


def test_the_focus_is_computed_with_the_focus_settings():
    map_ = inside((10, 30), (32, 34), (50, 53))
    recording = marked(mark(10, 34))
    # The gap of 2 frames is closed, and the 3 frames are too short.
    found, _ = compare(recording, map_, FocusSettings(smoothing_s=0.0, threshold=0.0))
    assert found["focus_iou"].value == 1
    found, _ = compare(recording, map_, SHARP)
    assert found["focus_iou"].value == pytest.approx(22 / 27)
    found, _ = compare(recording, 0.2 * map_ + inside((10, 30)), replace(SHARP, threshold=0.5))
    assert found["focus_iou"].value == pytest.approx(20 / 24)


def test_marks_in_time_are_compared_with_the_smoothed_profile():
    map_ = np.random.default_rng(2).normal(size=(FRAMES, BANDS))
    profile = relevance_profile(map_.astype(np.float32), np.ones(FRAMES, bool), 20)
    found, _ = compare(TWO, map_, FocusSettings())
    truth = WITHIN[:, 0] > 0
    assert found["roc_area"].value == pytest.approx(roc_auc_score(truth, profile))
    assert found["pointing"].value == truth[profile.argmax()]
    sharp, _ = compare(TWO, map_, SHARP)
    assert sharp["roc_area"].value == pytest.approx(roc_auc_score(truth, map_.mean(axis=1)))
    assert abs(sharp["roc_area"].value - found["roc_area"].value) > 1e-3


def test_boxes_are_compared_in_time_and_frequency():
    # Right in time, but only half the bands: 15 of 30.
    found, _ = compare(BOX, inside((10, 30), bands=(5, 20)) + 2 * inside((10, 30), bands=(20, 35)))
    assert found["box_iou"].value == 0
    assert found["focus_iou"].value == found["roc_area"].value == 1
    half = inside((10, 20), bands=(5, 20)) + inside((70, 80), bands=(5, 20))
    found, _ = compare(BOX, half)
    assert found["box_iou"].value == pytest.approx(1 / 3)


def test_a_region_with_one_bound_is_open_at_the_other_and_one_without_is_no_box():
    low, high = (replace(mark(10, 30).region, **{bound: BAND_HZ[32] + 1}) for bound in ("low_hz", "high_hz"))
    for region, bands in ((low, (33, BANDS)), (high, (0, 33))):
        found, _ = compare(marked(replace(mark(10, 30), region=region)), inside((10, 30), bands=bands))
        assert found["box_iou"].value == 1
    assert "box_iou" not in compare(TWO, WITHIN)[0]
    both, _ = compare(marked(mark(60, 70), *BOX.annotations), inside((60, 70)) + inside((10, 30), bands=(5, 20)))
    assert both["box_iou"].value == 1


def test_a_box_between_two_bands_counts_in_time_alone():
    region = replace(mark(10, 30).region, low_hz=BAND_HZ[9] + 1, high_hz=BAND_HZ[9] + 2)
    found, _ = compare(marked(replace(mark(10, 30), region=region)), inside((10, 30)))
    assert values(found) == {"focus_iou": 1.0, "pointing": 1.0, "roc_area": 1.0}


def test_the_energy_map_depends_on_loudness_only():
    loud = Spectrogram(QUIET.log_mel + 3 * inside((10, 30)), SETTINGS)
    map_ = np.random.default_rng(0).normal(size=(FRAMES, BANDS))
    _, energy = compare(BOX, map_, spectrogram=loud)
    assert values(energy) == pytest.approx(
        {"focus_iou": 1, "pointing": 1, "roc_area": 1, "box_iou": overlap_of_share(15 / 64)}
    )
    _, energy = compare(marked(mark(50, 60)), map_, spectrogram=loud)
    assert values(energy) == {"focus_iou": 0, "pointing": 0, "roc_area": 0.5 * 70 / 90}


def overlap_of_share(share):
    return share / (2 - share)


# --- which marks, and which frames ---


def test_frames_that_the_explanation_does_not_cover_do_not_count():
    covered = np.arange(FRAMES) < 50
    beside = WITHIN.copy()
    beside[50:] = 7  # zero there, as in explanations
    found, energy = compare(TWO, beside, covered=covered)
    assert values(found) == {"focus_iou": 1.0, "pointing": 1.0, "roc_area": 1.0}
    assert found["pointing"].by_chance == 20 / 50
    assert energy["focus_iou"].value == 0
    for beyond in (0, 9):
        loud = Spectrogram(QUIET.log_mel + inside((10, 30)) + beyond * inside((50, 100)), SETTINGS)
        _, energy = compare(TWO, beside, covered=covered, spectrogram=loud)
        assert values(energy) == {"focus_iou": 1.0, "pointing": 1.0, "roc_area": 1.0}


def test_marks_of_other_emotions_or_tiers_do_not_count_but_those_without_an_emotion_do():
    others = (
        mark(0, 5, emotion="sad"),
        mark(80, 90, tier="words"),
        mark(0, 100, tier=RECORDING_TIER),
        mark(60, 70, emotion=None),
        mark(10, 30),
    )
    found, _ = compare(marked(*others), WITHIN)
    assert values(found) == {"focus_iou": 1.0, "pointing": 1.0, "roc_area": 1.0}


def test_each_annotator_is_compared_separately_and_the_mean_is_taken():
    both = marked(mark(10, 30), mark(20, 40, "ben"), mark(0, 3, "cleo", "sad"))
    map_ = inside((10, 30))
    found, _ = compare(both, map_)
    ann, _ = compare(marked(mark(10, 30)), map_)
    ben, _ = compare(marked(mark(20, 40, "ben")), map_)
    for measure, of_both in found.items():
        assert of_both.value == pytest.approx((ann[measure].value + ben[measure].value) / 2)
        assert of_both.by_chance == pytest.approx((ann[measure].by_chance + ben[measure].by_chance) / 2)
    assert ben["focus_iou"].value == pytest.approx(10 / 30)


def test_boxes_of_one_of_two_annotators_are_compared_for_that_one():
    found, _ = compare(marked(*BOX.annotations, mark(50, 60, "ben")), inside((10, 30), bands=(5, 20)))
    assert found["box_iou"].value == 1
    assert found["focus_iou"].value == 0.5


@pytest.mark.parametrize(
    ("recording", "explanations", "reason"),
    [
        (TWO, {}, "Nothing was explained."),
        (TWO, {"lime": explained(WITHIN, np.zeros(FRAMES, bool))}, "The explanations cover no frame."),
        (marked(), {"lime": explained(WITHIN)}, "Nobody marked where it sounds angry."),
        (TWO, {"lime": explained(WITHIN, emotion="sad")}, "Nobody marked where it sounds sad."),
        (marked(mark(0, 100)), {"lime": explained(WITHIN)}, "The marks cover all, or nothing, of what was explained."),
        (TWO, {"lime": explained(WITHIN, np.arange(FRAMES) < 5)}, "The marks cover all, or nothing"),
    ],
)
def test_what_cannot_be_compared_says_why(recording, explanations, reason):
    found = marks_against_maps(recording, QUIET, explanations, SHARP)
    assert found.compared == {}
    assert found.reason.startswith(reason)


# --- over a project ---


def with_values(**by_method):
    return RecordingAgainstMaps(
        {
            name: {"roc_area": ScoreWithChance(value, 0.5), "pointing": ScoreWithChance(value, 0.1)}
            for name, value in by_method.items()
        }
    )


def test_a_project_has_the_mean_over_recordings_with_its_interval():
    found = people_against_maps(
        [
            with_values(lime=1.0, energy=0.4),
            with_values(lime=0.0, grad_cam=0.9, energy=0.6),
            RecordingAgainstMaps({}, "x"),
        ]
    )
    assert list(found) == ["lime", "grad_cam", "energy"]
    lime = found["lime"]["roc_area"]
    assert (lime.value.value, lime.value.interval, lime.value.recordings) == (0.5, (0.0, 1.0), 2)
    assert (lime.by_chance.value, lime.by_chance.interval) == (0.5, (0.5, 0.5))
    assert found["lime"]["pointing"].by_chance.value == pytest.approx(0.1)
    grad_cam = found["grad_cam"]["roc_area"].value
    assert (grad_cam.value, grad_cam.interval, grad_cam.recordings) == (0.9, None, 1)
    assert found["energy"]["roc_area"].value.value == pytest.approx(0.5)


def test_a_measure_that_no_recording_has_is_missing_with_a_reason():
    found = people_against_maps([with_values(lime=1.0, energy=0.4)])
    assert tuple(found["lime"]) == MEASURES
    boxes = found["lime"]["box_iou"].value
    assert (boxes.value, boxes.interval, boxes.recordings) == (None, None, 0)
    assert "marks with frequencies" in boxes.reason
    for recordings in ([], [RecordingAgainstMaps({}, "x")]):
        (energy,) = people_against_maps(recordings).values()
        assert all(each.value.reason.startswith("No recording has both") for each in energy.values())


def test_explainers_that_match_peoples_marks_are_distinguished_from_those_that_do_not():
    rng = np.random.default_rng(5)
    found = []
    for _ in range(12):
        first = int(rng.integers(0, 60))
        recording = marked(mark(first, first + 30))
        maps = {
            "lime": explained(inside((first, first + 30)) + rng.normal(size=(FRAMES, BANDS))),
            "occlusion": explained(rng.normal(size=(FRAMES, BANDS))),
        }
        found.append(marks_against_maps(recording, QUIET, maps, FocusSettings()))
    pooled = people_against_maps(found)
    assert pooled["lime"]["roc_area"].value.interval[0] > 0.9
    low, high = pooled["occlusion"]["roc_area"].value.interval
    assert low < 0.5 < high
    for measure in ("focus_iou", "pointing"):
        assert pooled["lime"][measure].value.interval[0] > pooled["lime"][measure].by_chance.value + 0.1


# --- pictures ---


def test_the_picture_shows_each_explainer_with_its_interval_beside_loudness_and_chance():
    recordings = [with_values(lime=value, grad_cam=0.9, energy=0.6) for value in (0.2, 0.4, 0.9)]
    pooled = people_against_maps([*recordings, with_values(consensus=0.3, energy=0.6)])
    figure = people_against_maps_chart(pooled)
    pointing_dots, pointing_chance, dots, chance = figure.data
    names = ["LIME", "Grad-CAM", "Consensus", "loudness"]
    assert all(list(trace.y) == names for trace in figure.data)
    np.testing.assert_allclose(dots.x, [0.5, 0.9, 0.3, 0.6])
    low, high = pooled["lime"]["roc_area"].value.interval
    assert (dots.x[0] - dots.error_x.arrayminus[0], dots.x[0] + dots.error_x.array[0]) == pytest.approx((low, high))
    assert high - low > 0.3
    assert (dots.error_x.array[2], dots.error_x.arrayminus[2]) == (0, 0)
    assert dots.customdata[0] == f"0.50 ({low:.2f} to {high:.2f}), 3 recordings"
    assert dots.customdata[2] == "0.30, 1 recording"
    np.testing.assert_allclose(chance.x, [0.5] * 4)
    np.testing.assert_allclose(pointing_chance.x, [0.1] * 4)
    assert (chance.name, chance.showlegend, pointing_chance.showlegend) == ("chance", False, True)
    assert len(set(dots.marker.color)) == 4
    titles = figure.layout.xaxis.title.text, figure.layout.xaxis2.title.text
    assert titles == ("Pointing game (hits)", "ROC area over time")
    assert list(figure.layout.xaxis.range) == [-0.03, 1.03]
    assert pointing_dots.xaxis == "x"
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_the_picture_of_nothing_is_empty():
    figure = people_against_maps_chart(people_against_maps([]))
    assert all(trace.x[0] is None for trace in figure.data)
    assert len(figure.data) == 2 * len(MEASURES)
