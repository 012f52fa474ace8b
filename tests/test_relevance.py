import gc
import weakref

import numpy as np
import pytest

from ser_core.analysis import Region
from ser_core.errors import Cancelled, SettingsRefused
from ser_core.explanation import relevance, run_explainer
from ser_core.explanation.relevance import Perturbed, fill_values, stitch
from ser_core.model.scores import evidence, softmax
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work
from tests.tiny_networks import (
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    probabilities_slowly,
    random_log_mel,
    target_of_log_mel,
)

# 240 frames: segments start at 0, 48, 96, 144; the frames of each are the middle 96 of 192 around it.


def small_weights(seed=0, classes=4):
    return np.random.default_rng(seed).normal(size=(classes, 96, 64)) * 0.005


# --- which segments are predicted ---


@pytest.mark.parametrize(
    ("first", "end", "members"),
    [
        (0, 240, [0, 1, 2, 3]),  # middles 48, 96, 144, 192
        (48, 144, [0, 1, 2]),  # the ends count
        (49, 143, [1]),
        (50, 90, [0]),  # none inside: 70 is closer to 48 than to 96
        (80, 90, [1]),
        (0, 5, [0]),
        (235, 240, [3]),
    ],
)
def test_members_are_the_segments_centred_in_the_stretch_or_the_nearest_one(first, end, members):
    target = target_of_log_mel(random_log_mel(240), first=first, end=end)
    assert target.members.tolist() == members


def test_unselected_segments_are_never_members():
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, True, False])
    assert target.members.tolist() == [0, 2]
    only_far = target_of_log_mel(random_log_mel(240), selected=[True, False, False, False], first=200, end=230)
    assert only_far.members.tolist() == [0]
    assert not only_far.covered.any()


@pytest.mark.parametrize(("first", "end"), [(0, 240), (10, 60), (100, 101), (90, 239)])
def test_members_cover_the_whole_stretch_where_all_segments_are_selected(first, end):
    target = target_of_log_mel(random_log_mel(240), first=first, end=end)
    assert np.flatnonzero(target.covered).tolist() == list(range(first, end))


def test_frames_outside_all_selected_segments_are_not_covered():
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, True], first=20, end=230)
    assert np.flatnonzero(target.covered).tolist() == [*range(20, 96), *range(144, 230)]


# --- stitching ---


def stitched_slowly(maps, target):
    """Frame by frame: the mean of the members that cover it, 0 where none does or outside of the stretch."""
    frames, bands = target.log_mel.shape
    result = np.zeros((frames, bands))
    for frame in range(target.first_frame, target.end_frame):
        rows = [
            map_[frame - target.segments.start_frames[member]]
            for member, map_ in zip(target.members, maps, strict=True)
            if 0 <= frame - target.segments.start_frames[member] < len(map_)
        ]
        if rows:
            result[frame] = np.mean(rows, axis=0)
    return result


@pytest.mark.parametrize("selected", [None, [True, False, True, False, True], [True, False, False, False, True]])
@pytest.mark.parametrize(("first", "end"), [(0, 271), (30, 200)])
def test_stitched_map_equals_the_mean_frame_by_frame(selected, first, end):
    target = target_of_log_mel(random_log_mel(271), selected=selected, first=first, end=end)
    maps = np.random.default_rng(1).normal(size=(len(target.members), 96, 64))
    np.testing.assert_allclose(stitch(maps, target), stitched_slowly(maps, target), atol=1e-6)


def test_stitching_is_additive():
    target = target_of_log_mel(random_log_mel(271), selected=[True, True, False, True, True])
    one, other = np.random.default_rng(2).normal(size=(2, 4, 96, 64))
    np.testing.assert_allclose(
        stitch(one + 2 * other, target), stitch(one, target) + 2 * stitch(other, target), atol=1e-5
    )


def test_stitching_constant_maps_gives_their_constant_on_covered_frames():
    target = target_of_log_mel(random_log_mel(271), first=20, end=250)
    found = stitch(np.full((len(target.members), 96, 64), 2.5), target)
    assert found.dtype == np.float32
    assert (found[20:250] == 2.5).all()
    assert (found[:20] == 0).all()
    assert (found[250:] == 0).all()


def test_map_of_a_short_recording_ends_with_the_recording_and_not_with_its_padding():
    target = target_of_log_mel(random_log_mel(40))
    maps = np.arange(96.0)[None, :, None] * np.ones((1, 96, 64))
    np.testing.assert_array_equal(stitch(maps, target)[:, 0], np.arange(40))


# --- fills ---


def test_fill_values_worked_by_hand():
    log_mel = np.stack([np.arange(101.0), np.full(101, -2.0)], axis=1).astype(np.float32)
    rng = np.random.default_rng(0)
    assert (fill_values(log_mel, "band_mean", rng) == [50, -2]).all()
    assert (fill_values(log_mel, "noise_floor", rng) == [5, -2]).all()
    shuffled = fill_values(log_mel, "random", rng)
    assert sorted(shuffled[:, 0]) == list(range(101))
    assert (shuffled[:, 0] != log_mel[:, 0]).mean() > 0.8
    assert (shuffled[:, 1] == -2).all()
    assert log_mel[7, 0] == 7  # the recording itself is unchanged


@pytest.mark.parametrize("fill", ["band_mean", "noise_floor", "random"])
def test_fill_values_have_the_shape_of_the_recording_and_its_type(fill):
    log_mel = random_log_mel(50)
    values = fill_values(log_mel, fill, np.random.default_rng(0))
    assert values.shape == log_mel.shape
    assert values.dtype == np.float32


def test_an_unknown_fill_is_refused():
    with pytest.raises(SettingsRefused, match="no fill 'zero'; choose one of noise_floor, band_mean, random"):
        fill_values(random_log_mel(), "zero", np.random.default_rng(0))


# --- remaining evidence ---


def evidence_slowly(classifier, target, fill, mask, pooling="probabilities"):
    """Replace in the recording, cut every member again, predict all of them."""
    log_mel = np.where(mask, fill, target.log_mel)
    starts = target.segments.start_frames[target.members]
    segments = np.stack([log_mel[start : start + 96] for start in starts])
    logits = classifier.score(segments)
    if pooling == "logits":
        logits = logits.mean(axis=0, keepdims=True)
    p = softmax(logits, classifier.temperature).mean(axis=0)
    return evidence(p, target.emotion, target.against)


def random_masks(count, shape, seed=0):
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(count):
        frame, band = rng.integers(shape[0]), rng.integers(shape[1])
        mask = np.zeros(shape, bool)
        mask[frame : frame + rng.integers(1, 60), band : band + rng.integers(1, 30)] = True
        masks.append(mask)
    return [*masks, np.zeros(shape, bool), np.ones(shape, bool)]


@pytest.mark.parametrize("against", [None, 2])
@pytest.mark.parametrize(("at_once", "pooling"), [(1, "logits"), (7, "probabilities"), (256, "logits")])
def test_remaining_evidence_equals_predicting_every_segment_again(monkeypatch, against, at_once, pooling):
    monkeypatch.setattr(relevance, "PASSES_AT_ONCE", at_once)
    target = target_of_log_mel(random_log_mel(240), against=against, selected=[True, True, False, True])
    classifier = classifier_of(fresh(TinyNetwork), temperature=1.3)
    fill = fill_values(target.log_mel, "random", np.random.default_rng(3))
    perturbed = Perturbed(classifier.score, classifier.temperature, target, fill, pooling)
    masks = random_masks(20, target.log_mel.shape)
    found = perturbed.without(iter(masks), len(masks), UNWATCHED)
    expected = [evidence_slowly(classifier, target, fill, mask, pooling) for mask in masks]
    assert np.ptp(expected) > 0.05
    assert found.shape == (len(masks), 4)
    np.testing.assert_allclose(target.evidence(found), expected, atol=1e-5)
    nothing = evidence_slowly(classifier, target, fill, np.zeros_like(masks[0]), pooling)
    assert target.evidence(perturbed.original) == pytest.approx(nothing, abs=1e-6)


def test_only_segments_touched_by_a_mask_are_predicted_again():
    target = target_of_log_mel(random_log_mel(240), selected=[True, True, False, True])  # at 0, 48 and 144
    classifier = LinearClassifier(small_weights())
    fill = fill_values(target.log_mel, "noise_floor", np.random.default_rng(0))
    perturbed = Perturbed(classifier.score, 1.0, target, fill)
    assert [len(call) for call in classifier.calls] == [3]

    def computed(first, end):
        classifier.calls.clear()
        mask = np.zeros(target.log_mel.shape, bool)
        mask[first:end, 10:20] = True
        perturbed.without([mask], 1, UNWATCHED)
        return sum(len(call) for call in classifier.calls)

    assert computed(0, 48) == 1
    assert computed(0, 49) == 2
    assert computed(143, 144) == 1
    assert computed(143, 145) == 2
    assert computed(96, 144) == 1
    assert computed(200, 240) == 1
    assert computed(0, 240) == 3
    assert computed(0, 0) == 0


def test_a_mask_with_a_gap_leaves_the_segment_in_the_gap_alone():
    target = target_of_log_mel(random_log_mel(336))
    classifier = LinearClassifier(small_weights())
    perturbed = Perturbed(classifier.score, 1.0, target, np.zeros((336, 64), np.float32))
    mask = np.zeros((336, 64), bool)
    mask[:10] = mask[-10:] = True
    classifier.calls.clear()
    perturbed.without([mask], 1, UNWATCHED)
    assert sum(len(call) for call in classifier.calls) == 2


def test_padding_of_a_short_recording_is_never_changed():
    target = target_of_log_mel(random_log_mel(40))
    classifier = LinearClassifier(small_weights())
    perturbed = Perturbed(classifier.score, 1.0, target, np.full((40, 64), 7, np.float32))
    classifier.calls.clear()
    perturbed.without([np.ones((40, 64), bool)], 1, UNWATCHED)
    (predicted,) = classifier.calls
    assert (predicted[0, :40] == 7).all()
    np.testing.assert_array_equal(predicted[0, 40:], target.segments.values[0, 40:])


def test_the_recordings_own_segments_are_not_changed():
    log_mel = random_log_mel(240)
    target, before = target_of_log_mel(log_mel), log_mel.copy()
    perturbed = Perturbed(LinearClassifier(small_weights()).score, 1.0, target, np.zeros_like(log_mel))
    perturbed.without([np.ones(log_mel.shape, bool)], 1, UNWATCHED)
    np.testing.assert_array_equal(log_mel, before)


def test_cancelled_work_stops_before_the_next_batch_is_computed(monkeypatch):
    monkeypatch.setattr(relevance, "PASSES_AT_ONCE", 4)
    target, classifier = target_of_log_mel(random_log_mel(96)), LinearClassifier(small_weights())
    perturbed = Perturbed(classifier.score, 1.0, target, np.zeros((96, 64), np.float32))
    classifier.calls.clear()
    masks = [np.ones((96, 64), bool)] * 20
    with pytest.raises(Cancelled):
        perturbed.without(masks, 20, Work(stop=lambda: len(classifier.calls) == 2))
    assert len(classifier.calls) == 2


# --- blending by a share ---


def random_fill(target):
    return fill_values(target.log_mel, "random", np.random.default_rng(3))


@pytest.mark.parametrize(
    ("frames", "selected"), [(240, None), (240, [True, False, False, True]), (40, None), (96, None)]
)
def test_blending_segments_equals_blending_the_recording_and_cutting_it_again(frames, selected):
    target, classifier = (
        target_of_log_mel(random_log_mel(frames), selected=selected),
        classifier_of(fresh(TinyNetwork), temperature=1.3),
    )
    fill, share = random_fill(target), np.random.default_rng(1).random((frames, 64))
    found = Perturbed(classifier.score, 1.3, target, fill).blend(share)
    expected = probabilities_slowly(classifier, target, fill, share)
    unchanged = probabilities_slowly(classifier, target, fill, np.zeros_like(share))
    assert np.abs(expected - unchanged).max() > 0.005
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_log_odds_of_a_linear_classifier_change_in_proportion_to_the_blended_share():
    log_mel, weights = random_log_mel(), small_weights(classes=2)
    target = target_of_log_mel(log_mel)
    perturbed = Perturbed(LinearClassifier(weights).score, 1.0, target, np.full((96, 64), -6, np.float32))
    # By hand: z_0 - z_1 is a weighted sum, here of log_mel + share * (-6 - log_mel).
    whole, moved = (((weights[0] - weights[1]) * values).sum() for values in (log_mel, -6 - log_mel))
    assert abs(moved) > 0.3
    for share in (0.0, 0.25, 0.5, 1.0):
        p = perturbed.blend(np.full((96, 64), share))
        assert np.log(p[0] / p[1]) == pytest.approx(whole + share * moved, abs=1e-5)


def test_blending_with_shares_of_zero_and_one_equals_masking():
    target, classifier = target_of_log_mel(random_log_mel(240)), classifier_of(fresh(TinyNetwork))
    perturbed = Perturbed(classifier.score, 1.0, target, random_fill(target))
    masks = random_masks(6, (240, 64))
    expected = perturbed.without(masks, len(masks), UNWATCHED)
    assert np.ptp(expected, axis=0).max() > 0.01
    for mask, p in zip(masks, expected, strict=True):
        np.testing.assert_allclose(perturbed.blend(mask), p, atol=1e-6)
        np.testing.assert_allclose(perturbed.blend(mask.astype(np.float32)), p, atol=1e-6)
    np.testing.assert_allclose(perturbed.blend(np.zeros((240, 64))), perturbed.original, atol=1e-7)


def test_blending_changes_neither_the_recording_nor_its_padding_nor_later_predictions():
    log_mel = random_log_mel(40)
    target, classifier, before = target_of_log_mel(log_mel), LinearClassifier(small_weights()), log_mel.copy()
    perturbed = Perturbed(classifier.score, 1.0, target, np.full((40, 64), 7, np.float32))
    first = perturbed.blend(np.full((40, 64), 0.5))
    (predicted,) = classifier.calls[-1]
    np.testing.assert_allclose(predicted[:40], (log_mel + 7) / 2, atol=1e-6)
    np.testing.assert_array_equal(predicted[40:], target.segments.values[0, 40:])
    np.testing.assert_array_equal(log_mel, before)
    np.testing.assert_array_equal(perturbed.blend(np.full((40, 64), 0.5)), first)


# --- running one explainer ---


@pytest.mark.parametrize("method", ["grad_cam", "lime", "occlusion"])
def test_every_explainer_gives_a_signed_float32_map_and_names_its_target(method):
    target = target_of_log_mel(
        random_log_mel(240), emotion=1, against=3, selected=[True, False, False, True], first=20, end=230
    )
    classifier, stretch = classifier_of(fresh(TinyNetwork)), Region(0.2, 2.3)
    settings = AnalysisSettings(seed=6)
    hearing = run_explainer(method, classifier, target, stretch, settings, UNWATCHED)
    explanation = hearing.explain(target, classifier.emotions)
    map_ = explanation.relevance
    assert map_.dtype == np.float32
    assert map_.shape == (240, 64)
    assert map_.min() < 0 < map_.max()
    np.testing.assert_array_equal(explanation.covered, target.covered)
    assert (map_[~target.covered] == 0).all()
    assert (map_[target.covered] != 0).mean() > 0.95
    assert (explanation.emotion, explanation.against, explanation.method) == ("happy", "sad", method)
    assert (explanation.stretch, explanation.seed) == (stretch, 6)
    assert explanation.layer == ("tiny" if method == "grad_cam" else None)


@pytest.mark.parametrize("method", ["grad_cam", "lime", "occlusion"])
def test_one_run_explains_every_emotion_without_running_the_model_again(method):
    log_mel, classifier = random_log_mel(240), classifier_of(fresh(TinyNetwork))
    first = target_of_log_mel(log_mel, emotion=1, first=20, end=230)
    hearing = run_explainer(method, classifier, first, Region(0.2, 2.3), AnalysisSettings(), UNWATCHED)
    for emotion, against in ((0, None), (3, 1), (2, 0)):
        target = target_of_log_mel(log_mel, emotion, against, first=20, end=230)
        run = run_explainer(method, classifier, target, Region(0.2, 2.3), AnalysisSettings(), UNWATCHED)
        expected = run.explain(target, classifier.emotions).relevance
        found = hearing.explain(target, classifier.emotions)
        np.testing.assert_array_equal(found.relevance, expected)
        assert np.ptp(expected) > 0
        assert found.emotion == classifier.emotions[emotion]


@pytest.mark.parametrize("method", ["grad_cam", "lime", "occlusion"])
def test_every_explainer_stops_when_cancelled(method):
    target, classifier = target_of_log_mel(random_log_mel(400)), classifier_of(fresh(TinyNetwork))
    with pytest.raises(Cancelled):
        run_explainer(method, classifier, target, Region(0, 4), AnalysisSettings(), Work(stop=lambda: True))


@pytest.mark.parametrize("method", ["grad_cam", "lime", "occlusion"])
def test_every_explainer_reports_growing_fractions_up_to_one(method):
    reports = []
    target, classifier = target_of_log_mel(random_log_mel(400)), classifier_of(fresh(TinyNetwork))
    run_explainer(method, classifier, target, Region(0, 4), AnalysisSettings(), Work(lambda f, text: reports.append(f)))
    assert reports == sorted(reports)
    assert reports
    assert 0 <= reports[0] <= reports[-1] <= 1


def test_an_unknown_explainer_is_refused():
    target = target_of_log_mel(random_log_mel())
    with pytest.raises(
        SettingsRefused,
        match="no explainer 'shap'; choose one of time_consensus, lime_time, one_pass",
    ):
        run_explainer(
            "shap",
            LinearClassifier(small_weights()),
            target,
            Region(0, 1),
            AnalysisSettings(),
            UNWATCHED,
        )


def test_the_states_of_local_changes_are_freed_with_their_recording():
    """No reference cycle keeps them: a state takes 12 MB, and the garbage collector counts objects, not bytes."""
    classifier, target = classifier_of(fresh(TinyNetwork)), target_of_log_mel(random_log_mel(240))
    states = []

    def score_local_changes(segment):
        def score(changed, first, end):
            return classifier.score(changed)

        states.append(weakref.ref(score))
        return score

    fill = fill_values(target.log_mel, "noise_floor", np.random.default_rng(0))
    perturbed = Perturbed(classifier.score, 1.0, target, fill, "probabilities", score_local_changes)
    mask = np.zeros(target.log_mel.shape, bool)
    mask[100:110] = True
    gc.disable()
    try:
        perturbed.without(iter([mask]), 1, UNWATCHED)
        assert states[0]() is not None
        del perturbed
        assert all(state() is None for state in states)
    finally:
        gc.enable()
