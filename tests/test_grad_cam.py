from importlib import import_module

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import nn

from ser_core.errors import SettingsRefused
from ser_core.explanation.grad_cam import GradCamResult, grad_cam, resize
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.networks.vggish import VGGish
from ser_core.model.networks.yamnet import YAMNet
from ser_core.settings import GradCamSettings
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import (
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    random_log_mel,
    target_of_log_mel,
)

LAYERS = {
    "vggish": (VGGish, lambda network: network.fuse),
    "yamnet": (YAMNet, lambda network: network.layers[-1]),
}


def map_of(classifier, question, layer=None):
    return grad_cam(classifier, question, GradCamSettings(layer), 0, UNWATCHED).relevance(question)


@pytest.mark.parametrize("name", LAYERS)
def test_map_of_one_segment_equals_captums_interpolated_layer_grad_cam(name):
    kind, layer_of = LAYERS[name]
    classifier, log_mel = classifier_of(fresh(kind)), random_log_mel()
    inputs = torch.tensor(log_mel)[None, None].requires_grad_()
    captum = LayerGradCam(classifier.network, layer_of(classifier.network))
    cam = captum.attribute(inputs, target=2, relu_attributions=False).detach()
    theirs = LayerAttribution.interpolate(cam, (96, 64), "bilinear")[0, 0].numpy()
    result = grad_cam(classifier, target_of_log_mel(log_mel), GradCamSettings(), 0, UNWATCHED)
    assert np.abs(theirs).max() > 1e-3
    np.testing.assert_allclose(result.maps[2], theirs, atol=1e-5)


class Evidence(nn.Module):
    """The log-odds of one emotion from a network's softmax at a temperature, as in LIME and occlusion."""

    def __init__(self, network, emotion, temperature):
        super().__init__()
        self.network, self.emotion, self.temperature = network, emotion, temperature

    def forward(self, segments):
        p = torch.softmax(self.network(segments) / self.temperature, dim=1)[:, self.emotion]
        return (torch.log(p) - torch.log1p(-p))[:, None]


@pytest.mark.parametrize("name", LAYERS)
def test_the_map_equals_captums_gradient_of_the_evidence(name):
    kind, layer_of = LAYERS[name]
    classifier, log_mel = classifier_of(fresh(kind), temperature=1.7), random_log_mel()
    wrapped = Evidence(classifier.network, 1, 1.7)
    inputs = torch.tensor(log_mel)[None, None].requires_grad_()
    cam = LayerGradCam(wrapped, layer_of(classifier.network)).attribute(inputs, target=0, relu_attributions=False)
    theirs = LayerAttribution.interpolate(cam.detach(), (96, 64), "bilinear")[0, 0].numpy()
    assert np.abs(theirs).max() > 1e-3
    # In log-odds of tempered logits the map is smaller by the temperature alone.
    ours = map_of(classifier, target_of_log_mel(log_mel, emotion=1)) / 1.7
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def map_against(classifier, log_mel, **target):
    return map_of(classifier, target_of_log_mel(log_mel, against=3, **target))


def test_map_of_a_recording_is_the_mean_of_its_segments_maps_where_they_overlap():
    classifier, log_mel = classifier_of(fresh(TinyNetwork)), random_log_mel(144)
    first, second = (map_against(classifier, log_mel[start : start + 96]) for start in (0, 48))
    whole = map_against(classifier, log_mel)
    np.testing.assert_allclose(whole[:48], first[:48], atol=1e-6)
    np.testing.assert_allclose(whole[48:96], (first[48:] + second[:48]) / 2, atol=1e-6)
    np.testing.assert_allclose(whole[96:], second[48:], atol=1e-6)


def test_map_of_one_emotion_against_another_is_the_difference_of_their_maps():
    classifier, question = classifier_of(fresh(TinyNetwork)), target_of_log_mel(random_log_mel(240), against=3)
    maps = grad_cam(classifier, question, GradCamSettings(), 0, UNWATCHED).maps
    against = map_of(classifier, question)
    assert np.abs(against).max() > 1e-3
    np.testing.assert_array_equal(against, maps[0] - maps[3])


def test_evidence_for_all_emotions_alike_counts_for_none():
    maps = np.random.default_rng(0).normal(size=(4, 96, 64)).astype(np.float32)
    common = np.random.default_rng(1).normal(size=(96, 64)).astype(np.float32)
    results = [GradCamResult(m, np.array([0.6, 0.1, 0.1, 0.2])) for m in (maps, maps + common)]
    alone, with_common = (h.relevance(target_of_log_mel(random_log_mel())) for h in results)
    np.testing.assert_allclose(with_common, alone, atol=1e-5)
    # By hand: of the other 0.4, happy and neutral have a quarter each and sad a half.
    np.testing.assert_allclose(alone, maps[0] - 0.25 * maps[1] - 0.25 * maps[2] - 0.5 * maps[3], atol=1e-6)


def test_the_default_layer_is_the_models_first_and_others_can_be_chosen():
    classifier, question = classifier_of(fresh(LateFusion)), target_of_log_mel(random_log_mel())
    np.testing.assert_array_equal(map_of(classifier, question), map_of(classifier, question, "both"))
    assert np.abs(map_of(classifier, question, "vggish") - map_of(classifier, question)).max() > 1e-4
    with pytest.raises(SettingsRefused, match="no layer 'pool9'"):
        map_of(classifier, question, "pool9")


def test_maps_do_not_depend_on_how_many_segments_are_taken_at_once(monkeypatch):
    classifier, question = classifier_of(fresh(TinyNetwork)), target_of_log_mel(random_log_mel(500))
    together = map_of(classifier, question)
    monkeypatch.setattr(import_module("ser_core.explanation.grad_cam"), "SEGMENTS_AT_ONCE", 2)
    np.testing.assert_allclose(map_of(classifier, question), together, atol=1e-6)


def test_unselected_segments_do_not_contribute_to_the_map():
    classifier, log_mel = classifier_of(fresh(TinyNetwork)), random_log_mel(240)
    other = log_mel.copy()
    other[60:84] += 2  # only the segments at 0 and 48 contain these frames
    selected = [False, False, True, True]
    one, two = (map_of(classifier, target_of_log_mel(values, selected=selected)) for values in (log_mel, other))
    np.testing.assert_array_equal(one, two)
    assert (one[:96] == 0).all()


def test_a_model_without_feature_maps_is_refused_with_what_to_use_instead():
    with pytest.raises(SettingsRefused, match=r"not apply to linear: it has no feature map .* LIME and occlusion do"):
        map_of(LinearClassifier(np.zeros((4, 96, 64))), target_of_log_mel(random_log_mel()))


def test_resizing_keeps_the_middle_of_each_cell_between_its_neighbours():
    # Two cells to six points: their centres are at 1 and 4; outside them the value is constant.
    found = resize(np.array([[[0.0], [3.0]]], np.float32), (6, 1))
    np.testing.assert_allclose(found[0, :, 0], [0, 0, 1, 2, 3, 3], atol=1e-6)
