"""Comparison with the library Quantus under the same changes of the input."""

import numpy as np
import pytest

from ser_core.explanation.faithfulness import SHARES, curves_of
from ser_core.explanation.grad_cam import grad_cam
from ser_core.explanation.relevance import Perturbed
from ser_core.explanation.sensitivity import max_sensitivity
from ser_core.settings import GradCamSettings
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import TinyNetwork, classifier_of, fresh, random_log_mel, target_of_log_mel

# Its OpenCV needs libGL: without it the import fails although the module is installed.
quantus = pytest.importorskip("quantus", exc_type=ImportError)

EMOTION = 1


def network_and_target():
    network = fresh(TinyNetwork)
    return network, classifier_of(network), target_of_log_mel(random_log_mel(), EMOTION)


def as_picture(values):
    return np.asarray(values, np.float32).reshape(1, 1, 96, 64)


def test_max_sensitivity_equals_quantus_under_the_same_changes():
    network, classifier, target = network_and_target()
    seen = []

    def map_of(changed):
        seen.append(changed)
        return grad_cam(classifier, changed, GradCamSettings(), 0, UNWATCHED).relevance(changed)

    def explain(changed):
        return {"map": map_of(changed)}

    own = explain(target)
    ours = max_sensitivity(own, explain, target, 0.1, 5, 0, UNWATCHED)["map"]
    changes = iter(seen[1:])
    of_input = {changed.log_mel.tobytes(): changed for changed in seen}
    theirs = quantus.MaxSensitivity(
        nr_samples=5,
        abs=False,
        normalise=False,
        perturb_func=lambda arr, indices, **kwargs: next(changes).log_mel.reshape(arr.shape),
        disable_warnings=True,
    )(
        model=network,
        x_batch=as_picture(target.log_mel),
        y_batch=np.array([EMOTION]),
        a_batch=as_picture(own["map"]),
        explain_func=lambda model, inputs, targets, **kwargs: as_picture(map_of(of_input[inputs.tobytes()])),
    )
    assert ours > 0.01
    assert ours == pytest.approx(float(theirs[0]), rel=1e-5)


def flipped_by_quantus(network, target, map_, fill):
    """Return the evidence after each step of 32 points in the map's order."""
    steps = quantus.PixelFlipping(
        features_in_step=32,
        abs=False,
        normalise=False,
        perturb_func=lambda arr, indices, **kwargs: filled(arr, indices, fill),
        disable_warnings=True,
    )(
        model=network,
        x_batch=as_picture(target.log_mel),
        y_batch=np.array([EMOTION]),
        a_batch=as_picture(map_),
        softmax=True,
    )
    p = np.array(steps[0], np.float64)
    return np.log(p) - np.log1p(-p)


def filled(arr, indices, fill):
    changed = arr.copy()
    changed[0, indices[0]] = fill.ravel()[indices[0]]
    return changed


def test_deletion_and_insertion_equal_quantus_pixel_flipping_cell_by_cell():
    network, classifier, target = network_and_target()
    # Values within a cell differ slightly, so that its points are flipped consecutively.
    cells = np.random.default_rng(0).permutation(192).reshape(12, 16) - 96.0
    map_ = np.kron(cells, np.ones((8, 4))) + np.random.default_rng(1).random((96, 64)) * 0.01
    fill = np.full((96, 64), -6, np.float32)
    perturbed = Perturbed(classifier.score, 1.0, target, fill)
    ours = curves_of({"map": map_.astype(np.float32)}, perturbed, target, UNWATCHED)["map"]
    counts = np.array([round(share * 192) for share in SHARES])
    deleted = flipped_by_quantus(network, target, map_, fill)
    assert len(deleted) == 192
    assert np.ptp(ours.deletion) > 0.1
    np.testing.assert_allclose(ours.deletion[1:], deleted[[*(counts - 1), 191]], atol=1e-4)
    # Inserting the most marked points is removing the less marked ones in reverse order.
    from_the_end = flipped_by_quantus(network, target, -map_, fill)
    np.testing.assert_allclose(ours.insertion[1:-1], from_the_end[191 - counts], atol=1e-4)
