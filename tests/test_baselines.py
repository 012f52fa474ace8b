"""The peers of the paper's system: their input, their explainers, and ONNX against scikit-learn."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from scipy.fft import dct
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import SettingsRefused
from ser_core.explanation import EXPLAINERS, explainers_of
from ser_core.explanation.relevance import ExplanationTarget
from ser_core.front_end.selection import segments_of
from ser_core.learning.batches import as_batch
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.estimator import as_onnx, extract_features, feature_extractor, fit_estimator
from ser_core.model.networks.folding import folded
from ser_core.model.onnx_classifier import OnnxClassifier
from ser_core.model.peers import ESTIMATOR_BASELINES, NETWORK_BASELINES
from ser_core.model.peers.shared.cepstrum import COEFFICIENTS, cosines
from ser_core.model.peers.shared.grad_transfer import Features as GradTransfer
from ser_core.model.peers.shared.layers import OverTime
from ser_core.model.peers.shared.padding import SILENCE, mask_padding, steps_before_padding
from ser_core.model.peers.three_features_cnn_lstm import in_pairs
from ser_core.model.scores import softmax
from ser_core.settings import GradCamSettings, LimeSettings, OcclusionSettings
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import EMOTIONS, classifier_of, fresh, random_log_mel

pytestmark = pytest.mark.slow

WHOLE = [n for n, kind in NETWORK_BASELINES.items() if kind.front_end.segments.segment_frames is None]
OVER_TIME = ("mfcc_cnn1d", "mfcc_cnn2d")
FRAMES = 150


class Spectrogram:
    """The part of a spectrogram that segments are cut from."""

    def __init__(self, log_mel) -> None:
        self.log_mel = log_mel


def made_up(frames, number):
    """A recording of one of four classes, which differ in their loudest bands."""
    log_mel = np.random.default_rng(number).normal(-4, 1, (frames, 64)).astype(np.float32)
    log_mel[:, 16 * (number % 4) : 16 * (number % 4) + 16] += 1.5
    return log_mel


def dataset(front_end, count=24):
    entries = []
    for number in range(count):
        log_mel = made_up(100 + 10 * (number % 3), number)
        whole = front_end.segments.segment_frames is None
        starts, frames = (np.array([0]), len(log_mel)) if whole else (np.array([0, len(log_mel) - 96]), 96)
        item = LabelledRecording(Path(f"{number}.wav"), "made_up", f"p{number % 5}", EMOTIONS[number % 4], "", "")
        entries.append(
            LabelledSpectrogram(
                item, f"{number:064x}", log_mel.astype(np.float16), starts, len(starts), number % 4, frames
            )
        )
    return entries


@cache
def network_classifier(name):
    kind = NETWORK_BASELINES[name]
    return classifier_of(fresh(kind), front_end=kind.front_end)


@pytest.fixture(scope="module")
def estimators():
    """Every fitted estimator: name -> (ONNX, training recordings, features, scikit-learn's estimator)."""
    made = {}
    for name, baseline in ESTIMATOR_BASELINES.items():
        network = fresh(NETWORK_BASELINES[baseline.LEARNS_FROM]) if baseline.LEARNS_FROM else None
        entries = dataset(baseline.FRONT_END)
        features = feature_extractor(baseline, network)
        labels = np.repeat([entry.label for entry in entries], [len(entry.start_frames) for entry in entries])
        own = baseline.estimator(0).fit(extract_features(features, entries), labels)
        made[name] = (fit_estimator(baseline, network, entries, EMOTIONS, 0), entries, features, own)
    return made


@cache
def estimator_classifier(name, data):
    return OnnxClassifier(
        data,
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        emotions=EMOTIONS,
        front_end=ESTIMATOR_BASELINES[name].FRONT_END,
    )


@pytest.fixture
def classifier(request):
    name = request.param
    if name in NETWORK_BASELINES:
        return network_classifier(name)
    return estimator_classifier(name, request.getfixturevalue("estimators")[name][0])


every = pytest.mark.parametrize("classifier", [*NETWORK_BASELINES, *ESTIMATOR_BASELINES], indirect=True)


def target_for(classifier, log_mel):
    segments = segments_of(Spectrogram(log_mel), classifier.front_end)
    return ExplanationTarget(log_mel, segments, 1, None, 0, len(log_mel))


# --- input ---


@every
def test_a_recording_has_the_same_logits_alone_as_among_others(classifier):
    frames = classifier.front_end.segments.segment_frames or 131
    segments = np.stack([made_up(frames, 100 + number) for number in range(5)])
    together = classifier.score(segments)
    assert together.shape == (5, 4)
    assert np.ptp(together, axis=0).max() > 1e-4
    np.testing.assert_allclose(classifier.score(segments[2:3]), together[2:3], atol=2e-5 * np.abs(together).max())


@pytest.mark.parametrize("name", WHOLE)
def test_a_network_of_whole_recordings_accepts_any_number_of_frames(name):
    classifier = network_classifier(name)
    logits = [classifier.score(random_log_mel(frames)[None]) for frames in (96, 97, 263)]
    assert all(np.isfinite(one).all() and one.shape == (1, 4) for one in logits)


@pytest.mark.parametrize("name", WHOLE)
def test_a_recording_has_nearly_the_same_logits_alone_and_padded_in_a_batch(name):
    network = folded(fresh(NETWORK_BASELINES[name]))
    tilt = np.linspace(-2, 2, 64, dtype=np.float32)
    long, short, other = random_log_mel(256, 1), random_log_mel(160, 2) + tilt, random_log_mel(160, 3) - tilt
    with torch.inference_mode():
        padded = network(as_batch([long, short]))[1]
        alone, another = network(as_batch([short]))[0], network(as_batch([other]))[0]
    assert torch.dist(padded, alone) < 1e-3 * torch.dist(another, alone)


def test_a_map_is_zero_where_its_segment_is_padding_and_nowhere_else():
    segments = torch.full((2, 1, 100, 64), SILENCE)
    segments[0, :, :, 3] = -1.0
    segments[1, :, :41, 3] = -1.0
    map_ = mask_padding(torch.ones(2, 5, 41, 8), segments)
    assert map_[0].eq(1).all()
    # 41 steps for 100 frames and 64 after them: four frames each, of which 41 fill ten.
    assert map_.shape == (2, 5, 25, 8)
    assert map_[1, :, :10].eq(1).all()
    assert map_[1, :, 10:].eq(0).all()
    assert steps_before_padding(map_).tolist() == [25, 10]


def test_a_silent_recording_has_one_time_step():
    map_ = mask_padding(torch.ones(1, 2, 40, 8), torch.full((1, 1, 96, 64), SILENCE))
    assert steps_before_padding(map_).tolist() == [1]
    assert steps_before_padding(torch.zeros(1, 2, 24, 8)).tolist() == [1]


def test_the_lstm_equals_torchs_on_packed_sequences():
    torch.manual_seed(0)
    over_time = OverTime(3, 2, 7)
    map_, lengths = torch.rand(4, 3, 9, 2) + 0.1, torch.tensor([9, 4, 1, 6])
    for row, length in zip(map_, lengths, strict=True):
        row[:, length:] = 0
    packed = pack_padded_sequence(map_.permute(0, 2, 1, 3).flatten(2), lengths, batch_first=True, enforce_sorted=False)
    _, (last, _) = over_time.lstm(packed)
    torch.testing.assert_close(over_time(map_), last[0])


def test_mfcc_equal_scipys():
    log_mel = random_log_mel(7).astype(np.float64)
    expected = dct(log_mel, norm="ortho")[:, :COEFFICIENTS]
    np.testing.assert_allclose(log_mel @ cosines().double().numpy(), expected, atol=1e-5)


def test_two_bands_are_merged_by_mean_magnitude():
    levels = torch.log(torch.tensor([[1.0, 3.0, 10.0, 20.0]]))
    torch.testing.assert_close(in_pairs(levels), torch.log(torch.tensor([[2.0, 15.0]])))


# --- explainers ---


@pytest.mark.parametrize("name", NETWORK_BASELINES)
def test_grad_cam_marks_something_and_is_constant_along_a_missing_axis(name):
    classifier = network_classifier(name)
    target = target_for(classifier, random_log_mel(FRAMES))
    heard_of = EXPLAINERS["grad_cam"](classifier, target, GradCamSettings(), 0, UNWATCHED)
    map_ = heard_of.relevance(target)
    assert map_.shape == (FRAMES, 64)
    assert np.ptp(map_.mean(axis=1)) > 0
    assert (np.ptp(map_, axis=1).max() < 1e-6 * np.abs(map_).max()) == (name in OVER_TIME)


@pytest.mark.parametrize("classifier", ESTIMATOR_BASELINES, indirect=True)
def test_grad_cam_of_an_estimator_is_refused_with_the_reason(classifier):
    assert explainers_of(classifier) == ("lime", "occlusion")
    with pytest.raises(SettingsRefused, match=r"does not apply to .* no feature map whose gradient"):
        EXPLAINERS["grad_cam"](classifier, target_for(classifier, random_log_mel()), None, 0, UNWATCHED)


@every
def test_a_box_over_everything_leaves_only_the_noise_floor(classifier):
    log_mel = made_up(FRAMES, 101)
    target = target_for(classifier, log_mel)
    boxes = OcclusionSettings(FRAMES, 64, FRAMES, 64, "noise_floor")
    map_ = EXPLAINERS["occlusion"](classifier, target, boxes, 0, UNWATCHED).relevance(target)
    floor = np.broadcast_to(np.percentile(log_mel, 5, axis=0).astype(np.float32), log_mel.shape)
    evidences = []
    for spectrogram in (log_mel, floor):
        values = segments_of(Spectrogram(np.ascontiguousarray(spectrogram)), classifier.front_end).values
        p = np.clip(softmax(classifier.score(values)).mean(axis=0)[1], 1e-4, 1 - 1e-4)
        evidences.append(np.log(p / (1 - p)))
    np.testing.assert_allclose(map_, evidences[0] - evidences[1], atol=2e-3)


@every
def test_lime_repeats_with_its_seed_and_marks_no_frame_outside_the_stretch(classifier):
    whole = target_for(classifier, made_up(FRAMES, 101))
    target = ExplanationTarget(whole.log_mel, whole.segments, 2, None, 32, 96)
    settings = LimeSettings(cell_frames=32, cell_bands=32, window_frames=64, masks=16)
    one, other = (EXPLAINERS["lime"](classifier, target, settings, 3, UNWATCHED).relevance(target) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one[32:96].any()
    assert not one[:32].any()
    assert not one[96:].any()


# --- estimators ---


@pytest.mark.parametrize("name", ESTIMATOR_BASELINES)
def test_onnx_predicts_what_scikit_learn_predicts(name, estimators):
    data, entries, features, own = estimators[name]
    classifier = estimator_classifier(name, data)
    found = np.concatenate([classifier.score(entry.segments.astype(np.float32)) for entry in entries])
    inputs = extract_features(features, entries)
    if hasattr(own, "decision_function"):
        expected = own.decision_function(inputs)
    else:
        expected = np.log(np.maximum(own.predict_proba(inputs), 1e-4))
    np.testing.assert_allclose(found, expected, atol=5e-3 * np.abs(expected).max())
    assert (found.argmax(axis=1) == own.predict(inputs)).mean() > 0.95
    assert len(data) < 20_000_000


@pytest.mark.parametrize("name", [name for name, one in ESTIMATOR_BASELINES.items() if one.LEARNS_FROM])
def test_weights_are_rounded_to_half_precision_and_stored_in_it(name, estimators):
    data, _, features, _ = estimators[name]
    stored = {onnx.TensorProto.FLOAT: 0, onnx.TensorProto.FLOAT16: 0}
    for tensor in onnx.load_model_from_string(data).graph.initializer:
        stored[tensor.data_type] = stored.get(tensor.data_type, 0) + int(np.prod(tensor.dims))
    assert stored[onnx.TensorProto.FLOAT16] > 1_000_000
    assert stored[onnx.TensorProto.FLOAT] < 0.01 * stored[onnx.TensorProto.FLOAT16]
    assert all((parameter == parameter.half().float()).all() for parameter in features.parameters())


def test_the_same_seed_fits_the_same_forest(estimators):
    baseline = ESTIMATOR_BASELINES["cnn_forest"]
    entries = dataset(baseline.FRONT_END)
    again = fit_estimator(baseline, fresh(NETWORK_BASELINES["cnn_dense"]), entries, EMOTIONS, 0)
    other = fit_estimator(baseline, fresh(NETWORK_BASELINES["cnn_dense"]), entries, EMOTIONS, 1)
    segments = entries[0].segments.astype(np.float32)
    scores = [
        OnnxClassifier(
            data, name="", sha256=hashlib.sha256(data).hexdigest(), emotions=EMOTIONS, front_end=baseline.FRONT_END
        ).score(segments)
        for data in (estimators["cnn_forest"][0], again, other)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.abs(scores[0] - scores[2]).max() > 0


def test_an_emotion_without_recordings_is_refused():
    baseline = ESTIMATOR_BASELINES["mfcc_svm"]
    entries = [entry for entry in dataset(baseline.FRONT_END) if entry.label != 2]
    with pytest.raises(SettingsRefused, match="no recording of neutral"):
        fit_estimator(baseline, None, entries, EMOTIONS, 0)


def test_grad_transfer_takes_the_last_layers_weights_as_gradients():
    kind = NETWORK_BASELINES["resnet"]
    classifier, segments = network_classifier("resnet"), np.stack([random_log_mel(seed=seed) for seed in range(3)])
    network = folded(fresh(kind))
    features = GradTransfer(network).eval()
    captured = []
    original = nn.functional.relu

    def watching(x, *args, **kwargs):
        captured.append(x)
        return original(x, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr("ser_core.model.peers.shared.grad_transfer.F.relu", watching)
        features(torch.from_numpy(segments))
    cams = next(x for x in reversed(captured) if x.shape[1] == 1)[:, 0].numpy()
    best = classifier.score(segments).argmax(axis=1)
    by_gradient = np.stack(
        [classifier.class_activation(segments[i : i + 1], np.eye(4)[c], "resnet")[0] for i, c in enumerate(best)]
    )
    # The mean over 6 x 4 cells divides every gradient by their number.
    np.testing.assert_allclose(cams / 24, by_gradient, atol=1e-4 * np.abs(by_gradient).max())


def test_export_takes_any_number_of_segments_and_frames():
    baseline = ESTIMATOR_BASELINES["mfcc_svm"]
    features = baseline.Features(None).eval()
    entries = dataset(baseline.FRONT_END)
    own = baseline.estimator(0).fit(extract_features(features, entries), [entry.label for entry in entries])
    data = as_onnx(features, own, entries[0].segments[:1].astype(np.float32))
    classifier = OnnxClassifier(
        data, name="", sha256=hashlib.sha256(data).hexdigest(), emotions=EMOTIONS, front_end=baseline.FRONT_END
    )
    for count, frames in ((1, 96), (7, 400)):
        segments = np.stack([random_log_mel(frames, seed) for seed in range(count)])
        with torch.inference_mode():
            expected = own.decision_function(features(torch.from_numpy(segments)).numpy())
        np.testing.assert_allclose(classifier.score(segments), expected, atol=1e-3)
