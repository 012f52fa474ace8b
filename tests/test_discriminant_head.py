"""A linear discriminant in closed form: by hand, against scikit-learn's, with several corpora, and its features."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import Cancelled, SettingsRefused
from ser_core.learning import batches
from ser_core.learning.augmentation import log_mel_with_phone_band
from ser_core.learning.batches import features_of
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.heads import (
    FINE_TUNING_DEVIATION_FLOOR,
    discriminant,
    fine_tuned_discriminant,
    fit_discriminant_head,
    without_speaker_means,
)
from ser_core.learning.plan import DiscriminantSettings
from ser_core.settings import SpectrogramSettings
from ser_core.work.progress import Work
from tests.tiny_networks import EMOTIONS, TinyNetwork, fresh, never, random_log_mel

SPECTROGRAM = SpectrogramSettings()
AS_RECORDED = DiscriminantSettings(phone_share=0.0)


def clouds(classes=3, size=60, features=5, seed=0):
    """Features (recordings, features) and labels: a cloud per class, of similar sizes."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, features))
    shape = rng.normal(size=(features, features))
    labels = np.repeat(np.arange(classes), size)
    return centres[labels] + rng.normal(size=(len(labels), features)) @ shape, labels


def evenly(labels):
    return np.full(len(labels), 1 / len(labels))


def two_squares():
    """Two classes that spread 1 along x and 2 along y, about (-2, 0) and (2, 2)."""
    spread = np.array([[-1, -2], [-1, 2], [1, -2], [1, 2]], float)
    labels = np.repeat([0, 1], 4)
    return np.tile(spread, (2, 1)) + np.array([[-2, 0], [2, 2]])[labels], labels


def test_two_classes_are_separated_by_fishers_line_worked_by_hand():
    x, labels = two_squares()
    weight, bias = discriminant(x, labels, evenly(labels), 0.0)
    # Of raw numbers: the inverse covariance diag(1, 1/4) times the difference (4, 2) of the means.
    np.testing.assert_allclose(weight[1] - weight[0], [4, 0.5], rtol=1e-3)
    half_way = np.array([0.0, 1.0])
    assert (weight[1] - weight[0]) @ half_way + bias[1] - bias[0] == pytest.approx(0, abs=1e-4)


def test_shrinkage_adds_variance_in_units_of_each_features_variance_worked_by_hand():
    x, labels = two_squares()
    weight, _ = discriminant(x, labels, evenly(labels), 0.5)
    # The total variance is 1 + 4 along x and 4 + 1 along y: half of that is added.
    np.testing.assert_allclose(weight[1] - weight[0], [4 / (1 + 2.5), 2 / (4 + 2.5)], rtol=1e-3)


def test_each_feature_may_have_its_own_shrinkage():
    x, labels = two_squares()
    weight, _ = discriminant(x, labels, evenly(labels), np.array([0.5, 2.0]))
    np.testing.assert_allclose(weight[1] - weight[0], [4 / (1 + 2.5), 2 / (4 + 10)], rtol=1e-3)


def test_the_discriminant_equals_scikit_learns_without_shrinkage():
    x, labels = clouds()
    weight, bias = discriminant(x, labels, evenly(labels), 0.0)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(x, labels)
    ours, expected = x @ weight.T + bias, x @ theirs.coef_.T + theirs.intercept_
    # An offset common to all classes changes no decision.
    centred, expected = (z - z.mean(axis=1, keepdims=True) for z in (ours, expected))
    assert np.ptp(expected) > 5
    np.testing.assert_allclose(centred, expected, atol=1e-2)


def test_shrinkage_equals_scikit_learns_on_standardised_features():
    x, labels = clouds(seed=2)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    within = sum(np.cov(x[labels == c].T, bias=True) for c in range(3)) / 3
    part = 0.3  # theirs: (1 - part) covariance + part mean variance; ours: covariance + shrinkage
    ours = part / (1 - part) * np.trace(within) / len(within)
    weight, bias = discriminant(x, labels, evenly(labels), ours)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=part, priors=[1 / 3] * 3).fit(x, labels)
    logits, expected = (x @ weight.T + bias) / (1 - part), x @ theirs.coef_.T + theirs.intercept_
    centred, expected = (z - z.mean(axis=1, keepdims=True) for z in (logits, expected))
    # scikit-learn shrinks each class' covariance of its own standardised features.
    assert np.corrcoef(centred.ravel(), expected.ravel())[0, 1] > 0.999
    assert (centred.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.98


def test_a_recording_of_weight_two_counts_as_two():
    x, labels = clouds(seed=3)
    twice = np.arange(len(x)) % 3 == 0
    weights = np.where(twice, 2.0, 1.0)
    one, _ = discriminant(x, labels, weights / weights.sum(), 0.0)
    again = np.concatenate([np.arange(len(x)), np.flatnonzero(twice)])
    other, _ = discriminant(x[again], labels[again], evenly(again), 0.0)
    unweighted, _ = discriminant(x, labels, evenly(labels), 0.0)
    # An offset common to all classes depends on the origin, and changes no decision.
    one, other, unweighted = (weight - weight[0] for weight in (one, other, unweighted))
    np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)
    assert np.abs(one - unweighted).max() > 0.1


def test_the_offset_of_a_voice_is_removed():
    x, _ = clouds(seed=5)
    speakers = np.arange(len(x)) % 4
    far = x + 10 * (speakers == 2)[:, None]
    moved, there = without_speaker_means(far, speakers), without_speaker_means(x, speakers)
    np.testing.assert_allclose(moved - moved.mean(axis=0), there - there.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(moved.mean(axis=0), far.mean(axis=0), atol=1e-9)
    for speaker in range(4):
        np.testing.assert_allclose(moved[speakers == speaker].mean(axis=0), far.mean(axis=0), atol=1e-9)


# ------------------------------------------------------------------ training a head further


def test_a_head_trained_from_zero_equals_scikit_learns_logistic_regression():
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (60, 9))
    labels = np.argmax(features[:, :3] + rng.normal(size=(60, 3)), axis=1)
    weight, bias = fine_tuned_discriminant(features, labels, np.zeros((3, 9)), np.zeros(3), loyalty=4.0)
    x = (features - features.mean(axis=0)) / (features.std(axis=0) + FINE_TUNING_DEVIATION_FLOOR)
    x = np.column_stack([x, np.full(60, 3.0)])  # a bias with a ninth of the penalty
    theirs = LogisticRegression(C=1 / 4, fit_intercept=False, class_weight="balanced", tol=1e-8).fit(x, labels)
    ours = features @ weight.T + bias
    np.testing.assert_allclose(ours - ours.mean(axis=1, keepdims=True), x @ theirs.coef_.T, atol=1e-3)


def test_a_head_trained_further_learns_its_recordings_and_changes_less_with_more_regularisation():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(40, 60)), np.arange(40) % 4
    weight, bias = rng.normal(size=(4, 60)), rng.normal(size=4)
    changes, right = [], []
    for loyalty in (0.1, 10.0, 1e9):
        new, new_bias = fine_tuned_discriminant(features, labels, weight, bias, loyalty)
        changes.append(np.abs(new - weight).max())
        right.append(np.mean(np.argmax(features @ new.T + new_bias, axis=1) == labels))
    assert right[0] == 1 > right[2]
    assert changes[0] > changes[1] > 1e-3
    assert changes[2] < 1e-6


# ------------------------------------------------------------------ from spectrograms to a network's head


def recordings(count=24, seed=0):
    """Recordings of four emotions, each louder in a quarter of the bands."""
    found = []
    for number in range(count):
        label = number % 4
        log_mel = random_log_mel(96 + 48 * (number % 3), seed=1000 * seed + number)
        log_mel[:, 16 * label : 16 * label + 16] += 3
        item = LabelledRecording(Path(f"{number}.wav"), "toy", f"{number % 5}", EMOTIONS[label], "", "none")
        starts = np.arange(0, len(log_mel) - 95, 48)
        found.append(
            LabelledSpectrogram(
                item, f"{seed:032x}{number:032x}", log_mel.astype(np.float16), starts, len(starts), label
            )
        )
    return found


@pytest.fixture
def fit(tmp_path):
    def fitting(network, dataset=None, settings=AS_RECORDED, stop=never):
        given = (network, dataset or recordings(), recordings(12, seed=7), EMOTIONS)
        cache = tmp_path / "features"
        return fit_discriminant_head(*given, settings, SPECTROGRAM, cache, Work(stop=stop))

    return fitting


@pytest.fixture
def computed(monkeypatch):
    """How many recordings the network was run on."""
    counts = []

    def counting(network, dataset):
        counts.append(len(dataset))
        return features_of(network, dataset)

    monkeypatch.setattr(batches, "features_of", counting)
    return counts


def test_fitting_the_head_of_a_frozen_network_separates_emotions_and_changes_nothing_else(fit):
    network = fresh(TinyNetwork)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert fit(network) == 1.0
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]) != name.startswith("head."), name
    with torch.inference_mode():
        predictions = [
            network(torch.tensor(e.segments).float()[:, None]).mean(dim=0).argmax() for e in recordings(seed=3)
        ]
    assert [int(place) for place in predictions] == [entry.label for entry in recordings(seed=3)]


def test_features_are_computed_once_for_the_same_network_and_recordings(fit, computed):
    network = fresh(TinyNetwork)
    uar, head = fit(network), network.head.weight.clone()
    assert sum(computed) == 24 + 12
    assert fit(network) == uar  # its head has changed, but its features do not depend on it
    assert torch.equal(network.head.weight, head)
    assert sum(computed) == 24 + 12
    fit(fresh(TinyNetwork, seed=1))
    assert sum(computed) == 2 * (24 + 12)


def test_damaged_features_are_computed_again(fit, computed, tmp_path):
    network = fresh(TinyNetwork)
    uar = fit(network)
    first, second, *_ = sorted((tmp_path / "features").iterdir())
    first.write_bytes(first.read_bytes()[:90])
    np.save(second, np.zeros((99, 3)))
    assert fit(network) == uar
    assert sum(computed) == 24 + 12 + 2


def test_phone_band_copies_count_as_recordings_of_another_voice(fit, computed):
    network = fresh(TinyNetwork)
    fit(network, settings=DiscriminantSettings(phone_share=0.5))
    assert sum(computed) == 24 + 24 + 12
    found = network.head.weight.clone()
    by_phone = [
        replace(
            entry,
            item=replace(entry.item, speaker=f"{entry.item.speaker} by phone"),
            log_mel=log_mel_with_phone_band(entry.log_mel.astype(np.float32), SPECTROGRAM).astype(np.float16),
        )
        for entry in recordings()
    ]
    fit(network, dataset=recordings() + by_phone, settings=AS_RECORDED)
    torch.testing.assert_close(network.head.weight, found)
    fit(network, settings=AS_RECORDED)
    assert not torch.allclose(network.head.weight, found, atol=1e-3)


def test_deviation_features_have_their_own_shrinkage(fit):
    network = fresh(TinyNetwork)
    network.deviations_count = network.head.in_features // 2
    alike = replace(AS_RECORDED, shrinkage=2.0, deviation_shrinkage=2.0)
    fit(network, settings=alike)
    found = network.head.weight.clone()
    fit(network, settings=replace(alike, deviation_shrinkage=1e9))
    means, deviations = network.head.weight.chunk(2, dim=1)
    assert deviations.abs().max() < 1e-6 < found.chunk(2, dim=1)[1].abs().max()
    assert means.abs().max() > 1e-3
    del network.deviations_count  # a network without this attribute has none
    fit(network, settings=replace(alike, deviation_shrinkage=1e9))
    torch.testing.assert_close(network.head.weight, found)


def test_an_emotion_without_recordings_is_refused_by_name(fit):
    with pytest.raises(SettingsRefused, match="no recording of neutral to learn from"):
        fit(fresh(TinyNetwork), dataset=[entry for entry in recordings() if entry.label != 2])


def test_fitting_stops_when_cancelled_and_resumes_with_the_features_computed_so_far(fit, computed):
    network, calls = fresh(TinyNetwork), []
    head = network.head.weight.clone()

    def cancelled():
        calls.append("once")
        return len(calls) > 1

    with pytest.raises(Cancelled):
        fit(network, stop=cancelled)
    assert torch.equal(network.head.weight, head)
    assert sum(computed) == 16
    fit(network)
    assert sum(computed) == 24 + 12


def test_progress_never_goes_back_and_counts_recordings(tmp_path):
    reports = []
    fit_discriminant_head(
        fresh(TinyNetwork),
        recordings(40),
        recordings(12, seed=7),
        EMOTIONS,
        DiscriminantSettings(),
        SPECTROGRAM,
        tmp_path,
        Work(lambda fraction, text: reports.append(fraction)),
    )
    # 16 recordings at a time: 40, the same 40 through the phone band, and 12.
    np.testing.assert_allclose(reports, np.arange(0, 92, 16) / 92)
