import numpy as np
import pytest
import torch
from captum.attr import Occlusion

from ser_core.errors import SettingsRefused
from ser_core.explanation import relevance
from ser_core.explanation.occlusion import occlusion
from ser_core.explanation.relevance import fill_values
from ser_core.model.scores import evidence, softmax
from ser_core.settings import OcclusionSettings
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import (
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    random_log_mel,
    target_of_log_mel,
)

TILES = OcclusionSettings(16, 8, 16, 8, "band_mean")


def map_of(classifier, target, settings=None, seed=0):
    return occlusion(classifier, target, settings or OcclusionSettings(), seed, UNWATCHED).relevance(target)


def two_cells():
    """Weights of a classifier that wants cell (frames 16-32, bands 8-16) loud and (frames 64-80, bands 40-48) quiet."""
    weights = np.zeros((2, 96, 64))
    weights[0, 16:32, 8:16] = 0.01
    weights[0, 64:80, 40:48] = -0.02
    return LinearClassifier(weights, emotions=("angry", "sad"))


@pytest.mark.parametrize(
    ("window", "strides"),
    [((16, 8), (8, 4)), ((16, 8), (16, 8)), ((20, 10), (7, 9)), ((96, 64), (96, 64)), ((10, 64), (10, 64))],
)
@pytest.mark.parametrize("against", [None, 1])
def test_map_of_one_segment_equals_captums_occlusion(window, strides, against):
    classifier, log_mel = classifier_of(fresh(TinyNetwork), temperature=1.4), random_log_mel()
    baseline = np.ascontiguousarray(fill_values(log_mel, "noise_floor", np.random.default_rng(0)))

    def remaining(segments):
        p = softmax(classifier.score(segments.numpy()), classifier.temperature)
        return torch.tensor(evidence(p, 3, against))

    theirs = (
        Occlusion(remaining)
        .attribute(
            torch.tensor(log_mel, dtype=torch.float64)[None],
            sliding_window_shapes=window,
            strides=strides,
            baselines=torch.tensor(baseline, dtype=torch.float64)[None],
            perturbations_per_eval=16,
        )[0]
        .numpy()
    )
    settings = OcclusionSettings(*window, *strides, "noise_floor")
    ours = map_of(classifier, target_of_log_mel(log_mel, emotion=3, against=against), settings)
    assert np.abs(theirs).max() > 1e-3
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_additive_evidence_is_found_in_exactly_its_cells_with_its_sign():
    # Two emotions: the evidence is the logit itself, and covering a cell removes weight times difference.
    log_mel = random_log_mel()
    log_mel[16:32, 8:16] += 1
    log_mel[64:80, 40:48] += 1
    found = map_of(two_cells(), target_of_log_mel(log_mel), TILES)
    missing = log_mel - log_mel.mean(axis=0)
    expected = np.zeros((96, 64))
    expected[16:32, 8:16] = 0.01 * missing[16:32, 8:16].sum()
    expected[64:80, 40:48] = -0.02 * missing[64:80, 40:48].sum()
    assert expected[20, 10] > 0.5
    assert expected[70, 44] < -0.5
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_point_has_the_mean_loss_over_the_boxes_that_cover_it():
    found = map_of(two_cells(), target_of_log_mel(random_log_mel()), OcclusionSettings(16, 64, 8, 64, "band_mean"))
    whole = map_of(two_cells(), target_of_log_mel(random_log_mel()), OcclusionSettings(8, 64, 8, 64, "band_mean"))
    # With additive evidence a box of 16 is two of 8; every inner point is in two boxes.
    eighths = whole[::8, 0].astype(np.float64)
    boxes = eighths[:-1] + eighths[1:]
    expected = np.concatenate([boxes[:1], (boxes[:-1] + boxes[1:]) / 2, boxes[-1:]])
    np.testing.assert_allclose(found[::8, 0], expected, atol=1e-5)


def test_map_of_one_emotion_against_another_reads_the_difference_of_their_logits():
    weights, log_mel = np.random.default_rng(1).normal(size=(3, 96, 64)) * 0.003, random_log_mel()
    three = LinearClassifier(weights, emotions=("angry", "happy", "sad"))
    # log p_0 - log p_2 is z_0 - z_2: the same as two emotions, of which one has that difference as its logit.
    two = LinearClassifier(np.stack([weights[0] - weights[2], 0 * weights[0]]), emotions=("angry", "sad"))
    against = map_of(three, target_of_log_mel(log_mel, emotion=0, against=2))
    assert np.abs(against).max() > 0.01
    np.testing.assert_allclose(against, map_of(two, target_of_log_mel(log_mel)), atol=1e-5)
    reverse = map_of(three, target_of_log_mel(log_mel, emotion=2, against=0))
    np.testing.assert_allclose(reverse, -against, atol=1e-6)


def test_nothing_outside_the_stretch_is_occluded_or_has_relevance():
    log_mel, classifier = (
        random_log_mel(240),
        LinearClassifier(np.random.default_rng(1).normal(size=(4, 96, 64)) * 0.003),
    )
    target = target_of_log_mel(log_mel, first=60, end=131)
    found = map_of(classifier, target)
    assert (found[:60] == 0).all()
    assert (found[131:] == 0).all()
    assert (found[60:131] != 0).mean() > 0.99
    starts = target.segments.start_frames[target.members]
    for call in classifier.calls[1:]:
        for heard in call:
            same = [np.array_equal(heard[: max(0, 60 - s)], log_mel[s : max(s, 60)]) for s in starts]
            behind = [np.array_equal(heard[131 - s :], log_mel[131 : s + 96]) for s in starts]
            assert any(a and b for a, b in zip(same, behind, strict=True))


def test_map_does_not_depend_on_the_batch_size(monkeypatch):
    classifier, target = classifier_of(fresh(TinyNetwork)), target_of_log_mel(random_log_mel(150))
    together = map_of(classifier, target)
    monkeypatch.setattr(relevance, "PASSES_AT_ONCE", 7)
    np.testing.assert_allclose(map_of(classifier, target), together, atol=1e-5)


def test_map_is_the_same_for_the_same_seed_and_only_random_fill_depends_on_it():
    classifier, target = classifier_of(fresh(TinyNetwork)), target_of_log_mel(random_log_mel())
    random = OcclusionSettings(fill="random")
    np.testing.assert_array_equal(map_of(classifier, target, random, 1), map_of(classifier, target, random, 1))
    assert np.abs(map_of(classifier, target, random, 1) - map_of(classifier, target, random, 2)).max() > 1e-3
    np.testing.assert_array_equal(map_of(classifier, target, seed=1), map_of(classifier, target, seed=2))


@pytest.mark.parametrize("frames", [1, 5, 15, 40, 97])
def test_every_covered_point_of_a_recording_of_any_length_has_relevance(frames):
    classifier = LinearClassifier(np.random.default_rng(1).normal(size=(4, 96, 64)) * 0.003)
    log_mel = random_log_mel(frames)
    found = map_of(
        classifier, target_of_log_mel(log_mel), OcclusionSettings(fill="random" if frames > 1 else "band_mean")
    )
    assert found.shape == (frames, 64)
    if frames > 1:
        assert (found != 0).mean() > 0.9
    else:
        assert (found == 0).all()  # its mean equals itself: nothing can be removed


def test_an_unknown_fill_is_refused():
    with pytest.raises(SettingsRefused, match="no fill 'silence'"):
        map_of(two_cells(), target_of_log_mel(random_log_mel()), OcclusionSettings(fill="silence"))
