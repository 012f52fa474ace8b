from importlib import import_module

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam

from ser_core.errors import SettingsRefused
from ser_core.explanation.grad_cam import grad_cam, resize
from ser_core.networks.late_fusion import LateFusion
from ser_core.networks.vggish import VGGish
from ser_core.networks.yamnet import YAMNet
from ser_core.settings import GradCamSettings
from tests.tiny_networks import (
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    never,
    question_of_log_mel,
    random_log_mel,
    silent_progress,
)

LAYERS = {
    "vggish": (VGGish, lambda network: network.fuse),
    "yamnet": (YAMNet, lambda network: network.layers),
}


def map_of(classifier, question, layer=None):
    return grad_cam(classifier, question, GradCamSettings(layer), 0, silent_progress, never).relevance(question)


@pytest.mark.parametrize("name", LAYERS)
def test_map_of_one_segment_equals_captums_interpolated_layer_grad_cam(name):
    kind, layer_of = LAYERS[name]
    classifier, log_mel = classifier_of(fresh(kind)), random_log_mel()
    inputs = torch.tensor(log_mel)[None, None].requires_grad_()
    captum = LayerGradCam(classifier.network, layer_of(classifier.network))
    cam = captum.attribute(inputs, target=2, relu_attributions=False).detach()
    theirs = LayerAttribution.interpolate(cam, (96, 64), "bilinear")[0, 0].numpy()
    ours = map_of(classifier, question_of_log_mel(log_mel, emotion=2))
    assert np.abs(theirs).max() > 1e-3
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_map_of_a_recording_is_the_mean_of_its_segments_maps_where_they_overlap():
    classifier, log_mel = classifier_of(fresh(TinyNetwork)), random_log_mel(144)
    first, second = (map_of(classifier, question_of_log_mel(log_mel[start : start + 96])) for start in (0, 48))
    whole = map_of(classifier, question_of_log_mel(log_mel))
    np.testing.assert_allclose(whole[:48], first[:48], atol=1e-6)
    np.testing.assert_allclose(whole[48:96], (first[48:] + second[:48]) / 2, atol=1e-6)
    np.testing.assert_allclose(whole[96:], second[48:], atol=1e-6)


def test_map_of_one_emotion_against_another_is_the_difference_of_their_maps():
    classifier, log_mel = classifier_of(fresh(TinyNetwork)), random_log_mel(240)
    one, other = (map_of(classifier, question_of_log_mel(log_mel, emotion=place)) for place in (0, 3))
    against = map_of(classifier, question_of_log_mel(log_mel, emotion=0, against=3))
    assert np.abs(against).max() > 1e-3
    np.testing.assert_allclose(against, one - other, atol=1e-6)


def test_the_default_layer_is_the_models_first_and_any_other_can_be_asked_for():
    classifier, question = classifier_of(fresh(LateFusion)), question_of_log_mel(random_log_mel())
    np.testing.assert_array_equal(map_of(classifier, question), map_of(classifier, question, "both"))
    assert np.abs(map_of(classifier, question, "vggish") - map_of(classifier, question)).max() > 1e-4
    with pytest.raises(SettingsRefused, match="no layer 'pool9'"):
        map_of(classifier, question, "pool9")


def test_maps_do_not_depend_on_how_many_segments_are_taken_at_once(monkeypatch):
    classifier, question = classifier_of(fresh(TinyNetwork)), question_of_log_mel(random_log_mel(500))
    together = map_of(classifier, question)
    monkeypatch.setattr(import_module("ser_core.explanation.grad_cam"), "SEGMENTS_AT_ONCE", 2)
    np.testing.assert_allclose(map_of(classifier, question), together, atol=1e-6)


def test_segments_that_were_not_kept_have_no_part_in_the_map():
    classifier, log_mel = classifier_of(fresh(TinyNetwork)), random_log_mel(240)
    other = log_mel.copy()
    other[60:84] += 2  # only the segment at 0 and that at 48 hear these frames
    kept = [False, False, True, True]
    one, two = (map_of(classifier, question_of_log_mel(values, kept=kept)) for values in (log_mel, other))
    np.testing.assert_array_equal(one, two)
    assert (one[:96] == 0).all()


def test_a_model_without_feature_maps_is_refused_with_what_to_use_instead():
    with pytest.raises(SettingsRefused, match=r"linear has no feature map for Grad-CAM\. Use LIME or occlusion"):
        map_of(LinearClassifier(np.zeros((4, 96, 64))), question_of_log_mel(random_log_mel()))


def test_resizing_keeps_the_middle_of_each_cell_between_its_neighbours():
    # Two cells to six points: their middles lie at 1 and 4; before and behind them the value stays.
    found = resize(np.array([[[0.0], [3.0]]], np.float32), (6, 1))
    np.testing.assert_allclose(found[0, :, 0], [0, 0, 1, 2, 3, 3], atol=1e-6)
