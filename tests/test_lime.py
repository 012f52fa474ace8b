from itertools import combinations, product

import numpy as np
import pytest
from lime.lime_base import LimeBase
from lime.lime_image import LimeImageExplainer
from scipy.special import expit
from scipy.stats import spearmanr

from ser_core.errors import SettingsRefused
from ser_core.explanation import relevance
from ser_core.explanation.lime import (
    SIMILARITY,
    LimeResult,
    Window,
    _balanced_masks,
    _masks,
    _stability,
    lime,
    surrogate,
)
from ser_core.explanation.relevance import fill_values
from ser_core.model.scores import evidence, softmax
from ser_core.settings import LimeSettings
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import (
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    random_log_mel,
    target_of_log_mel,
)

FEW = LimeSettings(cell_frames=24, cell_bands=16, window_frames=96, masks=100, stable_at=1.0)


def map_of(classifier, target, settings=FEW, seed=0):
    return lime(classifier, target, settings, seed, UNWATCHED).relevance(target)


def masks_predicted(classifier, log_mel, cell_frames, cell_bands):
    """Return which cells each predicted version still contained, (versions, rows, columns)."""
    intact = np.concatenate(classifier.calls[1:])[:, : len(log_mel)] == log_mel
    return intact[:, ::cell_frames, ::cell_bands]


def ridge_slowly(present, evidences, kernel_width):
    """Weighted ridge regression in closed form, its intercept free: (X'WX + I) w = X'Wy about the weighted means."""
    cosine = present.sum(axis=1) / np.sqrt(np.maximum(present.sum(axis=1), 1e-12) * present.shape[1])
    distance = 1 - cosine
    trust = np.sqrt(np.exp(-(distance**2) / kernel_width**2))
    x = present - np.average(present, axis=0, weights=trust)
    y = evidences - np.average(evidences, weights=trust)
    return np.linalg.solve(x.T @ (trust[:, None] * x) + np.eye(present.shape[1]), x.T @ (trust * y))


@pytest.mark.parametrize("kernel_width", [0.1, 0.25, 2.0])
def test_surrogate_equals_a_weighted_ridge_regression_in_closed_form(kernel_width):
    rng = np.random.default_rng(0)
    present = np.vstack([np.ones(12), rng.random((60, 12)) < 0.5, np.zeros(12)]).astype(float)
    evidences = present @ rng.normal(size=12) + rng.normal(size=62)
    expected = ridge_slowly(present, evidences, kernel_width)
    np.testing.assert_allclose(surrogate(present, evidences, kernel_width), expected, atol=1e-8)


@pytest.mark.parametrize("masks", [2, 31, 90])
def test_surrogate_equals_limes_own_regression(masks):
    rng = np.random.default_rng(masks)
    present = np.vstack([np.ones(20), rng.random((masks, 20)) < rng.random((masks, 1))]).astype(float)
    evidences = 5 + present @ rng.normal(size=20) + rng.normal(size=masks + 1)
    distances = 1 - present.sum(axis=1) / np.sqrt(np.maximum(present.sum(axis=1), 1e-12) * 20)
    theirs = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2))).explain_instance_with_data(
        present, evidences[:, None], distances, 0, num_features=20, feature_selection="none"
    )
    expected = np.array([weight for _, weight in sorted(theirs[1])])
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(surrogate(present, evidences, 0.25), expected, atol=1e-9)


def test_surrogate_equals_limes_own_image_explainer_on_the_same_masks(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    classifier, log_mel = classifier_of(fresh(TinyNetwork), temperature=0.2), random_log_mel().astype(np.float64)
    cells = (np.arange(96)[:, None] // 24) * 4 + np.arange(64) // 16
    present, evidences = [], []

    def remaining(images):
        values = images[..., 0]
        p = softmax(classifier.score(values.astype(np.float32)), classifier.temperature)
        present.extend((values == log_mel)[:, ::24, ::16].reshape(len(values), -1))
        evidences.extend(evidence(p, 1))
        return evidence(p, 1)[:, None]

    theirs = LimeImageExplainer(kernel_width=0.25, random_state=0).explain_instance(
        np.repeat(log_mel[..., None], 3, axis=2),
        remaining,
        labels=(0,),
        top_labels=None,
        hide_color=-9.0,
        num_samples=150,
        segmentation_fn=lambda image: cells,
    )
    expected = np.zeros(16)
    for cell, weight in theirs.local_exp[0]:
        expected[cell] = weight
    present = np.array(present, float)
    assert present[0].all()
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(surrogate(present, np.array(evidences), 0.25), expected, atol=1e-8)


def test_map_is_the_surrogate_of_the_predicted_versions():
    weights, log_mel = np.random.default_rng(1).normal(size=(2, 96, 64)) * 0.003, random_log_mel()
    classifier = LinearClassifier(weights, emotions=("angry", "sad"))
    found = map_of(classifier, target_of_log_mel(log_mel))
    masks = masks_predicted(classifier, log_mel, 24, 16).reshape(-1, 16)
    assert masks.shape == (100, 16)
    versions = np.concatenate([log_mel[None], np.concatenate(classifier.calls[1:])])
    logits = np.einsum("nfb,cfb->nc", versions, weights)
    rows = np.vstack([np.ones(16), masks]).astype(float)
    expected = ridge_slowly(rows, logits[:, 0] - logits[:, 1], 0.25).reshape(4, 4)
    np.testing.assert_allclose(found, np.kron(expected, np.ones((24, 16))), atol=1e-4)


def test_additive_evidence_is_found_in_exactly_its_cells_with_its_sign():
    log_mel, weights = random_log_mel(), np.zeros((2, 96, 64))
    weights[0, 24:48, 16:32] = 0.01
    weights[0, 72:96, 48:64] = -0.01
    log_mel[24:48, 16:32] += 2
    log_mel[72:96, 48:64] += 2
    classifier = LinearClassifier(weights, emotions=("angry", "sad"))
    target = target_of_log_mel(log_mel)
    found = map_of(
        classifier, target, LimeSettings(24, 16, 96, 2_000, stable_at=1.1, kernel_width=1.0, fill="band_mean")
    )
    missing = log_mel - log_mel.mean(axis=0)
    expected = np.zeros((96, 64))
    expected[24:48, 16:32] = 0.01 * missing[24:48, 16:32].sum()
    expected[72:96, 48:64] = -0.01 * missing[72:96, 48:64].sum()
    assert expected.max() > 3
    assert expected.min() < -3
    np.testing.assert_allclose(found, expected, atol=0.03)  # the ridge shrinks a little
    assert np.abs(found[expected == 0]).max() < 0.01


def test_each_version_is_followed_by_its_complement():
    log_mel = random_log_mel()
    classifier = LinearClassifier(np.zeros((2, 96, 64)), emotions=("angry", "sad"))
    map_of(classifier, target_of_log_mel(log_mel))
    masks = masks_predicted(classifier, log_mel, 24, 16).reshape(50, 2, 16)
    assert (masks[:, 0] != masks[:, 1]).all()
    assert (masks.mean(axis=(0, 1)) == 0.5).all()  # every cell is kept as often as it is removed
    assert len(np.unique(masks[:, 0], axis=0)) > 45


def test_a_repeated_mask_is_not_predicted_again():
    log_mel = random_log_mel()
    classifier = LinearClassifier(np.random.default_rng(1).normal(size=(2, 96, 64)) * 0.003, emotions=("angry", "sad"))
    settings = LimeSettings(24, 64, 96, masks=96, stable_at=1.1)  # 4 cells, so 16 different masks
    (window,) = lime(classifier, target_of_log_mel(log_mel), settings, 0, UNWATCHED).windows
    different = np.unique(window.present, axis=0)
    assert len(window.present) == 96
    assert len(different) <= 16
    predicted = np.concatenate(classifier.calls[1:])
    assert (
        len(predicted) == len(different) - different.all(axis=1).sum()
    )  # the one that removes nothing is the recording
    floor = fill_values(log_mel, "noise_floor", np.random.default_rng(0))
    for row, remaining in zip(window.present, window.remaining, strict=True):
        version = np.where(np.repeat(row, 24)[:, None], log_mel, floor)
        np.testing.assert_allclose(remaining, softmax(classifier.score(version[None])[0]), atol=1e-6)


def test_an_odd_number_of_masks_is_rounded_down():
    log_mel = random_log_mel()
    classifier = LinearClassifier(np.zeros((2, 96, 64)), emotions=("angry", "sad"))
    map_of(classifier, target_of_log_mel(log_mel), LimeSettings(24, 16, 96, masks=33))
    assert sum(len(call) for call in classifier.calls[1:]) == 32


def test_the_last_cell_ends_with_the_recording():
    log_mel = random_log_mel(70)
    classifier = LinearClassifier(np.random.default_rng(1).normal(size=(4, 96, 64)) * 0.01)
    found = map_of(classifier, target_of_log_mel(log_mel), LimeSettings(cell_frames=30, cell_bands=24, masks=200))
    assert found.shape == (70, 64)
    assert len(np.unique(found)) == 9
    for frames in (slice(0, 30), slice(30, 60), slice(60, 70)):
        for bands in (slice(0, 24), slice(24, 48), slice(48, 64)):
            assert np.ptp(found[frames, bands]) == 0


def test_cells_begin_with_the_stretch_and_nothing_outside_it_is_masked():
    log_mel = random_log_mel(240)
    classifier = LinearClassifier(np.random.default_rng(1).normal(size=(4, 96, 64)) * 0.01)
    found = map_of(classifier, target_of_log_mel(log_mel, first=60, end=120))
    assert (found[:60] == 0).all()
    assert (found[120:] == 0).all()
    assert np.ptp(found[60:84, :16]) == 0
    assert found[83, 0] != found[84, 0]
    for call in classifier.calls[1:]:
        for segment in call:  # members: the segments at 48 (its last 24 frames lie outside) and at 24 .. none
            np.testing.assert_array_equal(segment[:12], log_mel[48:60])
            np.testing.assert_array_equal(segment[72:], log_mel[120:144])


def test_map_repeats_with_the_seed_and_differs_between_seeds():
    classifier, target = classifier_of(fresh(TinyNetwork)), target_of_log_mel(random_log_mel(150))
    once = map_of(classifier, target, seed=4)
    np.testing.assert_array_equal(once, map_of(classifier, target, seed=4))
    assert np.abs(once - map_of(classifier, target, seed=5)).max() > 1e-3


def test_map_does_not_depend_on_the_batch_size(monkeypatch):
    classifier, target = classifier_of(fresh(TinyNetwork)), target_of_log_mel(random_log_mel(150))
    together = map_of(classifier, target)
    monkeypatch.setattr(relevance, "PASSES_AT_ONCE", 7)
    np.testing.assert_allclose(map_of(classifier, target), together, atol=1e-5)


def test_map_of_one_emotion_against_another_reads_the_difference_of_their_logits():
    weights, log_mel = np.random.default_rng(1).normal(size=(3, 96, 64)) * 0.003, random_log_mel()
    three = LinearClassifier(weights, emotions=("angry", "happy", "sad"))
    two = LinearClassifier(np.stack([weights[0] - weights[2], 0 * weights[0]]), emotions=("angry", "sad"))
    against = map_of(three, target_of_log_mel(log_mel, emotion=0, against=2))
    assert np.abs(against).max() > 0.01
    np.testing.assert_allclose(against, map_of(two, target_of_log_mel(log_mel)), atol=1e-5)
    np.testing.assert_allclose(map_of(three, target_of_log_mel(log_mel, emotion=2, against=0)), -against, atol=1e-5)


def test_frames_that_no_selected_segment_covers_have_no_relevance_and_no_error():
    target = target_of_log_mel(random_log_mel(240), selected=[True, False, False, True])
    # The second window is of the frames 64 to 127.
    run = run_of(classifier_of(fresh(TinyNetwork)), target, LimeSettings(16, 32, 64, masks=32))
    for found in (run.relevance(target), run.standard_error(target)):
        assert (found[96:144] == 0).all()
        assert (found[:96] != 0).all()


@pytest.mark.parametrize("fill", ["zeros", ""])
def test_an_unknown_fill_is_refused(fill):
    with pytest.raises(SettingsRefused, match=f"no fill '{fill}'"):
        map_of(classifier_of(fresh(TinyNetwork)), target_of_log_mel(random_log_mel()), LimeSettings(fill=fill))


# --- windows, the design of the masks, and how well a map repeats ---


def run_of(classifier, target, settings, seed=0):
    return lime(classifier, target, settings, seed, UNWATCHED)


def test_windows_divide_the_stretch_and_a_mask_changes_only_its_own_window():
    log_mel = random_log_mel(240)
    classifier = LinearClassifier(np.zeros((2, 96, 64)), emotions=("angry", "sad"))
    target = target_of_log_mel(log_mel, first=20, end=220)
    run = run_of(classifier, target, LimeSettings(16, 8, 48, masks=16))
    inside = [np.arange(240)[w.frames] for w in run.windows]
    assert np.concatenate(inside).tolist() == list(range(20, 220))
    assert [len(frames) for frames in inside] == [64, 48, 48, 40]  # 13 rows of cells: 4, 3, 3 and 3, the last cut
    for window, frames in zip(run.windows, inside, strict=True):
        assert window.cell_of.shape == (len(frames), 64)
        assert np.unique(window.cell_of).tolist() == list(range(window.present.shape[1]))
    assert [w.present.shape for w in run.windows] == [(16, 32), (16, 24), (16, 24), (16, 24)]


@pytest.mark.parametrize("cells", [1, 5, 24, 31, 32])
def test_a_full_block_of_masks_contains_every_cell_and_pair_of_cells_equally_often(cells):
    order = 1 << cells.bit_length()
    masks = _balanced_masks(cells, 2 * order, np.random.default_rng(3))
    assert masks.shape == (2 * order, cells)
    assert (masks[::2] != masks[1::2]).all()
    signs = np.where(masks, 1, -1)
    np.testing.assert_array_equal(signs.sum(axis=0), 0)
    np.testing.assert_array_equal(signs.T @ signs, 2 * order * np.eye(cells))
    if cells > 1:
        assert (masks != _balanced_masks(cells, 2 * order, np.random.default_rng(4))).any()


def test_one_block_of_masks_finds_additive_evidence_exactly_despite_pair_interactions():
    rng = np.random.default_rng(0)
    masks = _balanced_masks(24, 64, rng)
    wanted, together = rng.normal(size=24), np.triu(rng.normal(size=(24, 24)), 1)
    signs = np.where(masks, 1.0, -1.0)
    evidences = signs @ wanted / 2 + np.einsum("mi,ij,mj->m", signs, together, signs)
    # By hand: over all masks a product of two cells' signs is as often +1 as -1 whatever a third cell's sign is.
    np.testing.assert_allclose(2 * signs.T @ evidences / len(signs), wanted, atol=1e-12)


@pytest.mark.parametrize(("cells", "masks"), [(4, 16), (5, 16), (6, 32), (8, 64), (8, 128)])
def test_with_enough_masks_interactions_of_pairs_and_triples_do_not_bias_weights(cells, masks):
    rng = np.random.default_rng(cells)
    present = _masks(cells, masks, rng)
    assert len(np.unique(present, axis=0)) == masks
    signs = np.where(present, 1.0, -1.0)
    wanted = rng.normal(size=cells)
    evidences = signs @ wanted / 2
    for size in (2, 3):
        for together in combinations(range(cells), size):
            evidences += rng.normal() * signs[:, together].prod(axis=1)
    np.testing.assert_allclose(2 * signs.T @ evidences / masks, wanted, atol=1e-12)
    assert (present != _masks(cells, masks, rng)).any()


def test_masks_of_eight_cells_are_the_minimum_aberration_design_of_32():
    """In the table of Fries and Hunter 1980 three products of four cells are constant, four of five, none of fewer."""
    signs = np.where(_masks(8, 32, np.random.default_rng(0)), 1, -1)
    constant = [
        sum(abs(signs[:, together].prod(axis=1).sum()) == 32 for together in combinations(range(8), size))
        for size in range(1, 9)
    ]
    assert constant == [0, 0, 0, 3, 4, 0, 0, 0]


@pytest.mark.parametrize(("cells", "masks"), [(9, 64), (8, 60), (20, 64)])
def test_without_a_fractional_design_each_mask_is_followed_by_its_complement(cells, masks):
    present = _masks(cells, masks, np.random.default_rng(0))
    assert present.shape == (masks, cells)
    np.testing.assert_array_equal(present[::2], ~present[1::2])


# --- windows of few cells: masks that were not tried are interpolated ---

CELLS = 6
ALL = np.arange(1 << CELLS)[:, None] >> np.arange(CELLS) & 1 > 0
#: The covariance of a Gaussian process over all masks, by its definition.
COVARIANCE = np.array([[SIMILARITY ** (a != b).sum() for b in ALL] for a in ALL])


def estimated(evidences, tried):
    """Return weights and standard errors of one window, from the log-odds under some of all masks."""
    remaining = np.stack([expit(evidences), 1 - expit(evidences)], axis=1)
    target = target_of_log_mel(random_log_mel(), emotion=0)
    cell_of = np.arange(96)[:, None] // 16 + 0 * np.arange(64)
    result = LimeResult([Window(slice(0, 96), cell_of, ALL[tried], remaining[tried])], remaining[-1], 0.25)
    return (map_[::16, 0] for map_ in (result.relevance(target), result.standard_error(target)))


def test_with_all_masks_the_weights_equal_limes_regression_with_no_standard_error():
    evidences = np.random.default_rng(0).normal(size=len(ALL))
    weights, errors = estimated(evidences, np.arange(len(ALL)))
    np.testing.assert_allclose(weights, ridge_slowly(ALL.astype(float), evidences, 0.25), atol=1e-5)
    np.testing.assert_allclose(errors, 0, atol=1e-4)


def test_untried_masks_are_interpolated_by_kriging():
    """The slow twin solves the kriging system, with its Lagrange multiplier, for one mask after the other."""
    rng = np.random.default_rng(1)
    evidences = np.linalg.cholesky(COVARIANCE) @ rng.normal(size=len(ALL))
    tried = np.append(rng.permutation(len(ALL) - 1)[:20], len(ALL) - 1)  # and the recording itself
    system = np.ones((22, 22))
    system[:21, :21], system[21, 21] = COVARIANCE[np.ix_(tried, tried)], 0
    everywhere = [
        np.linalg.solve(system, np.append(COVARIANCE[tried, mask], 1))[:21] @ evidences[tried] for mask in range(64)
    ]
    weights, errors = estimated(evidences, tried)
    np.testing.assert_allclose(weights, ridge_slowly(ALL.astype(float), np.array(everywhere), 0.25), atol=1e-5)
    # The covariance that remains, of all masks and so of the weights, which are linear in the evidence under them.
    known = np.vstack([COVARIANCE[tried], np.ones(64)])
    remaining = COVARIANCE - known.T @ np.linalg.solve(system, known)
    values = np.append(evidences[tried], 0)
    scale = values @ np.linalg.solve(system, values) / 20
    to_weights = np.array([ridge_slowly(ALL.astype(float), one, 0.25) for one in np.eye(64)]).T
    np.testing.assert_allclose(errors**2, scale * np.diag(to_weights @ remaining @ to_weights.T), rtol=1e-4)


def test_predicted_errors_match_actual_ones_under_the_assumed_covariance():
    rng, root = np.random.default_rng(2), np.linalg.cholesky(COVARIANCE)
    found, foretold = [], []
    for _ in range(200):
        evidences = 0.7 * root @ rng.normal(size=len(ALL)) + 2
        tried = _masks(CELLS, 16, rng) @ (1 << np.arange(CELLS))
        weights, errors = estimated(evidences, tried)
        found.append(np.square(weights - ridge_slowly(ALL.astype(float), evidences, 0.25)))
        foretold.append(np.square(errors))
    assert np.mean(found) == pytest.approx(np.mean(foretold), rel=0.1)


class Jumpy:
    """Evidence that is new noise for every version, so that nothing repeats."""

    layers, name, sha256, temperature, emotions = (), "jumpy", "0" * 64, 1.0, ("angry", "sad")
    pooling = "probabilities"

    def __init__(self):
        self.rng = np.random.default_rng(1)

    def score(self, segments):
        return self.rng.normal(size=(len(segments), 2)).astype(np.float32)


def test_stability_is_near_one_for_additive_evidence_and_near_zero_for_noise():
    target = target_of_log_mel(random_log_mel(240))
    weights = np.random.default_rng(1).normal(size=(2, 96, 64)) * 0.003
    adds_up = run_of(LinearClassifier(weights, emotions=("angry", "sad")), target, LimeSettings())
    assert adds_up.stability(target) > 0.97
    regressed = LimeSettings(cell_frames=8)  # 16 cells in a window: nothing is interpolated
    assert abs(run_of(Jumpy(), target, regressed).stability(target)) < 0.5


@pytest.mark.parametrize(("error", "stability"), [(0.5, 0.75), (1.0, 0.0), (2.0, 0.0)])
def test_stability_is_the_share_of_the_variance_that_is_not_error_and_never_negative(error, stability):
    windows = [(np.array([3.0, 1.0]), np.full(2, error)), (np.array([1.0, 3.0]), np.full(2, error))]
    assert _stability(windows) == stability


def test_no_more_masks_are_tried_once_the_map_is_stable():
    weights, target = np.random.default_rng(3).normal(size=(2, 96, 64)) * 0.003, target_of_log_mel(random_log_mel())
    adds_up = LinearClassifier(weights, emotions=("angry", "sad"))
    for classifier, settings, masks in (
        (adds_up, LimeSettings(), 32),
        (adds_up, LimeSettings(masks=16), 16),
        (Jumpy(), LimeSettings(), 96),
        (Jumpy(), LimeSettings(stable_at=-1.0), 32),
    ):
        found = lime(classifier, target, settings, 0, UNWATCHED)
        assert {len(window.present) for window in found.windows} == {masks}
        assert {len(window.remaining) for window in found.windows} == {masks}


def test_the_least_certain_windows_get_more_masks_first():
    """Evidence is additive except in the third of six windows, where two groups of three cells interact."""
    log_mel = random_log_mel()

    class Together(LinearClassifier):
        def score(self, segments):
            logits = super().score(segments)
            signs = np.where(segments[:, 32, ::8] == log_mel[32, ::8], 1, -1)
            logits[:, 0] += signs[:, :3].prod(axis=1) + signs[:, 3:6].prod(axis=1)
            return logits

    weights = np.random.default_rng(3).normal(size=(2, 96, 64)) * 0.01
    target = target_of_log_mel(log_mel)
    found = lime(Together(weights, emotions=("angry", "sad")), target, LimeSettings(stable_at=0.9), 0, UNWATCHED)
    assert [len(window.present) for window in found.windows] == [32, 32, 64, 32, 32, 32]
    assert found.stability(target) >= 0.9


def test_a_constant_map_has_no_stability():
    target = target_of_log_mel(random_log_mel(240))
    run = run_of(LinearClassifier(np.zeros((2, 96, 64)), emotions=("angry", "sad")), target, LimeSettings())
    assert run.stability(target) is None


def test_stability_predicts_the_correlation_of_maps_between_seeds():
    target, classifier = target_of_log_mel(random_log_mel(336)), classifier_of(fresh(TinyNetwork))
    settings = LimeSettings(masks=128)
    run = [run_of(classifier, target, settings, seed) for seed in range(4)]
    cells = [h.relevance(target)[8::16, 4::8].ravel() for h in run]
    between = np.mean([spearmanr(cells[i], cells[j]).statistic for i in range(4) for j in range(i)])
    assert np.mean([h.stability(target) for h in run]) == pytest.approx(between, abs=0.05)


def test_standard_error_is_the_spread_of_weights_over_masks_with_noisy_scores():
    rng = np.random.default_rng(0)
    target = target_of_log_mel(random_log_mel())
    cell_of = np.arange(96)[:, None] // 8 + 0 * np.arange(64)  # too many cells to interpolate
    maps, errors = [], []
    for _ in range(150):
        present = _balanced_masks(12, 80, rng)
        log_odds = present @ ([1.0, -0.5, 0.0, 0.2] * 3) + rng.normal(0, 0.3, len(present))
        remaining = np.stack([1 - expit(log_odds), expit(log_odds), *2 * [0 * log_odds]], axis=1)
        original = np.array([1 - expit(2.1), expit(2.1), 0, 0])
        result = LimeResult([Window(slice(0, 96), cell_of, present, remaining)], original, 0.25)
        maps.append(result.relevance(target)[::8, 0])
        errors.append(result.standard_error(target)[::8, 0])
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(maps, axis=0), rtol=0.2)
    few = LimeResult([Window(slice(0, 96), cell_of, present[:8], remaining[:8])], original, 0.25)
    assert few.standard_error(target) is None


def test_the_score_of_the_unmasked_recording_adds_no_standard_error():
    target = target_of_log_mel(random_log_mel())
    present = _balanced_masks(9, 256, np.random.default_rng(0))
    probability = expit(present @ np.linspace(-1, 1, 9))
    remaining = np.stack([1 - probability, probability, *2 * [0 * probability]], axis=1)
    cell_of = np.minimum(np.arange(96)[:, None] // 10, 8) + 0 * np.arange(64)
    result = LimeResult([Window(slice(0, 96), cell_of, present, remaining)], np.array([0.01, 0.99, 0, 0]), 0.25)
    np.testing.assert_allclose(result.standard_error(target), 0, atol=1e-6)


def test_a_window_whose_masks_were_all_tried_has_no_standard_error():
    target = target_of_log_mel(random_log_mel())
    cell_of = np.arange(96)[:, None] // 24 + 0 * np.arange(64)
    present = np.array(list(product((False, True), repeat=4)))
    probability = expit(present @ [1.0, -0.5, 0.3, 0.2] + present[:, 0] * present[:, 1])
    remaining = np.stack([1 - probability, probability, *2 * [0 * probability]], axis=1)

    def result(masks):
        return LimeResult([Window(slice(0, 96), cell_of, present[masks], remaining[masks])], remaining[-1], 0.25)

    assert (result(slice(None)).standard_error(target) == 0).all()
    assert (result(slice(0, 16, 2)).standard_error(target) > 0).all()
