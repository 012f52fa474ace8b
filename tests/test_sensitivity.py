import captum.metrics
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from ser_core.errors import Cancelled
from ser_core.explanation import EXPLAINERS
from ser_core.explanation.faithfulness import reference_maps
from ser_core.explanation.sensitivity import max_sensitivity, weight_randomisation
from ser_core.settings import GradCamSettings, LimeSettings, OcclusionSettings
from ser_core.work.progress import UNWATCHED, Work
from tests.tiny_networks import (
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    random_log_mel,
    target_of_log_mel,
)

SETTINGS = {
    "grad_cam": GradCamSettings(),
    "lime": LimeSettings(masks=16),
    "occlusion": OcclusionSettings(stride_frames=16, stride_bands=8),
}


def map_of(method, classifier, target):
    result = EXPLAINERS[method](classifier, target, SETTINGS[method], 0, UNWATCHED)
    return result.relevance(target)


def sensitivity(explain, target, radius=0.1, samples=4, seed=0, work=UNWATCHED):
    return max_sensitivity(explain(target), explain, target, radius, samples, seed, work)


def targets_seen(target, radius=0.1, samples=4, seed=0):
    seen = []

    def explain(changed):
        seen.append(changed)
        return {"map": changed.log_mel}

    found = sensitivity(explain, target, radius, samples, seed)["map"]
    return seen[1:], found


# --- another library ---


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize(("frames", "first", "end"), [(96, 0, 96), (200, 30, 170)])
def test_max_sensitivity_equals_captums_under_the_same_changes(method, frames, first, end):
    target = target_of_log_mel(random_log_mel(frames), 1, None, first, end)
    classifier, seen = classifier_of(fresh(TinyNetwork)), []

    def explain(changed):
        seen.append(changed)
        return {method: map_of(method, classifier, changed)}

    ours = sensitivity(explain, target, samples=3)[method]
    of_input = {changed.log_mel.tobytes(): changed for changed in seen}

    def same_changes(inputs, radius):
        assert inputs.shape == (3, frames, 64)
        return torch.tensor(np.stack([changed.log_mel for changed in seen[1:]]))

    def maps(inputs):
        inputs = inputs[0] if isinstance(inputs, tuple) else inputs
        found = [map_of(method, classifier, of_input[log_mel.numpy().tobytes()]) for log_mel in inputs]
        return (torch.tensor(np.stack(found)),)

    theirs = captum.metrics.sensitivity_max(
        maps, torch.tensor(target.log_mel)[None], same_changes, perturb_radius=0.1, n_perturb_samples=3
    ).item()
    assert theirs > 0.01
    assert ours == pytest.approx(theirs, rel=1e-5)


# --- max-sensitivity ---


def test_max_sensitivity_worked_by_hand():
    target, lengths = target_of_log_mel(random_log_mel()), iter([0, 3, -5, 1])
    first = np.zeros((96, 64), np.float32)
    first[4, 2] = 4  # of length 5 together with 3 elsewhere
    first[9, 9] = 3

    def explain(changed):
        moved = first.copy()
        moved[0, 0] = next(lengths)
        return {"map": moved, "still": first, "zero": 0 * first, "from zero": moved - first}

    found = sensitivity(explain, target, samples=3)
    assert found == {"map": 1.0, "still": 0.0, "zero": 0.0, "from zero": 5.0}


def test_sensitivity_of_the_input_itself_is_the_length_of_the_longest_change():
    target = target_of_log_mel(random_log_mel(150))
    seen, found = targets_seen(target)
    lengths = [np.linalg.norm(changed.log_mel - target.log_mel) for changed in seen]
    assert len(set(lengths)) == 4
    assert found == pytest.approx(max(lengths) / np.linalg.norm(target.log_mel), rel=1e-4)


@pytest.mark.parametrize("radius", [0.01, 0.5])
def test_each_point_changes_by_itself_and_evenly_within_the_radius(radius):
    target = target_of_log_mel(random_log_mel(150))
    seen, _ = targets_seen(target, radius)
    changes = np.stack([changed.log_mel - target.log_mel for changed in seen]) / radius
    assert np.abs(changes).max() <= 1 + 1e-3
    np.testing.assert_allclose(np.percentile(changes, [1, 25, 50, 75, 99]), [-0.98, -0.5, 0, 0.5, 0.98], atol=0.03)
    for axis in (0, 1, 2):  # neighbours are independent
        one, other = (np.delete(changes, place, axis).ravel() for place in (0, -1))
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


@pytest.mark.parametrize(
    ("frames", "first", "end", "selected"),
    [(240, 0, 240, None), (230, 20, 200, [True, False, False, True]), (96, 0, 96, None), (40, 3, 37, None)],
)
def test_the_changed_recording_is_segmented_like_the_first_and_has_the_same_target(frames, first, end, selected):
    target = target_of_log_mel(random_log_mel(frames), 2, 1, first, end, selected)
    seen, _ = targets_seen(target)
    for changed in seen:
        again = target_of_log_mel(changed.log_mel, 2, 1, first, end, selected)
        inside = min(frames, 96)
        np.testing.assert_array_equal(changed.segments.values[:, :inside], again.segments.values[:, :inside])
        # The padding of a short recording is not part of it.
        np.testing.assert_array_equal(changed.segments.values[:, inside:], target.segments.values[:, inside:])
        np.testing.assert_array_equal(changed.members, target.members)
        np.testing.assert_array_equal(changed.covered, target.covered)
        assert (changed.emotion, changed.against) == (2, 1)
        assert changed.segments.values.dtype == changed.log_mel.dtype == np.float32


def test_sensitivity_is_the_same_for_the_same_seed_and_another_for_another():
    target = target_of_log_mel(random_log_mel())
    found = [targets_seen(target, seed=seed)[1] for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_a_cancelled_measure_stops_before_the_next_change_and_its_progress_rises():
    target, made, reports = target_of_log_mel(random_log_mel()), [], []

    def explain(changed):
        made.append(changed)
        return {"map": changed.log_mel}

    with pytest.raises(Cancelled):
        sensitivity(explain, target, work=Work(lambda part, text: reports.append(part), lambda: len(made) == 3))
    assert len(made) == 3
    assert reports == [0, 0.25]


# --- random weights ---


def randomisation(classifier, target, explain, seed=0):
    return weight_randomisation(explain(classifier), explain, classifier, target.covered, seed)


def test_a_map_independent_of_the_model_is_unchanged_by_random_weights():
    target = target_of_log_mel(random_log_mel(150))
    found = randomisation(classifier_of(fresh(TinyNetwork)), target, lambda classifier: reference_maps(target, 3))
    assert found == {"random": pytest.approx(1), "energy": pytest.approx(1)}


def test_randomised_maps_are_compared_by_rank_on_covered_frames():
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, True], first=20, end=230)
    classifier, covered = classifier_of(fresh(TinyNetwork)), target.covered

    def explain(randomised):
        noise = np.random.default_rng(len(randomised.name)).normal(size=covered.shape)[:, None]
        return {method: map_of(method, randomised, target) + noise * ~covered[:, None] for method in SETTINGS}

    found = randomisation(classifier, target, explain, seed=5)
    maps, others = explain(classifier), explain(classifier.randomised(5))
    for method in SETTINGS:
        expected = spearmanr(maps[method][covered].ravel(), others[method][covered].ravel()).statistic
        assert found[method] == pytest.approx(expected, abs=1e-6)
        assert abs(expected) < 0.9


@pytest.mark.parametrize("method", SETTINGS)
def test_explanations_differ_strongly_from_those_of_random_weights(method):
    target, classifier = target_of_log_mel(random_log_mel()), classifier_of(fresh(TinyNetwork))
    found = [
        randomisation(classifier, target, lambda randomised: {"map": map_of(method, randomised, target)}, seed)["map"]
        for seed in range(8)
    ]
    assert len(set(found)) == 8
    assert abs(np.mean(found)) < 0.25


def test_a_constant_map_has_no_correlation():
    target = target_of_log_mel(random_log_mel())
    found = randomisation(
        classifier_of(fresh(TinyNetwork)), target, lambda randomised: {"map": np.ones((96, 64), np.float32)}
    )
    assert np.isnan(found["map"])


def test_a_classifier_that_cannot_be_randomised_returns_none():
    target = target_of_log_mel(random_log_mel())
    found = randomisation(LinearClassifier(np.ones((4, 96, 64))), target, lambda randomised: {"map": target.log_mel})
    assert found is None
