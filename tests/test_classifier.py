import os
import subprocess
import sys
from threading import current_thread

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional as F

from ser_core.errors import SettingsRefused
from ser_core.model.classifier import CACHED_OPERATIONS, NetworkClassifier
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.networks.local_change import thread_pool
from ser_core.model.networks.vggish import VGGish
from ser_core.model.networks.yamnet import YAMNet
from ser_core.settings import FrontEnd
from tests.running_app import ROOT
from tests.tiny_networks import EMOTIONS, TinyNetwork, classifier_of, fresh, random_log_mel

LAYERS = {
    ("vggish", "vggish"): (VGGish, lambda network: network.fuse),
    ("vggish", "vggish_pool2"): (VGGish, lambda network: network.groups[1]),
    ("vggish", "vggish_pool4"): (VGGish, lambda network: network.groups[3]),
    ("yamnet", "yamnet"): (YAMNet, lambda network: network.layers[-1]),
    ("yamnet", "yamnet_layer12"): (YAMNet, lambda network: network.layers[22]),
    ("fusion", "vggish"): (LateFusion, lambda network: network.vggish.fuse),
    ("fusion", "vggish_pool3"): (LateFusion, lambda network: network.vggish.groups[2]),
    ("fusion", "yamnet"): (LateFusion, lambda network: network.yamnet.layers[-1]),
    ("fusion", "yamnet_layer12"): (LateFusion, lambda network: network.yamnet.layers[22]),
}


class FourCells(nn.Module):
    """Mean level of four quarters of the segment, and twice that; logits from the mean of each map."""

    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(2, classes, bias=False)
        self.head.weight.data = torch.tensor([[4.0, 0.0], [0.0, -2.0]])

    def maps(self, segments):
        level = F.avg_pool2d(segments, (48, 32))
        return {"cells": torch.cat([level, 2 * level], dim=1)}

    def classify(self, maps):
        return self.head(maps["cells"].mean(dim=(2, 3)))

    def forward(self, segments):
        return self.classify(self.maps(segments))


def segments_of(count, seed=0):
    return np.stack([random_log_mel(seed=seed + place) for place in range(count)])


def one_hot(place):
    return np.eye(len(EMOTIONS))[place]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TinyNetwork, YAMNet, LateFusion])
def test_logits_do_not_depend_on_the_size_of_the_batch(kind):
    classifier, segments = classifier_of(fresh(kind)), segments_of(12)  # more than one batch
    together = classifier.score(segments)
    one_by_one = np.concatenate([classifier.score(segments[i : i + 1]) for i in range(len(segments))])
    assert np.ptp(together, axis=0).min() > 0.01  # the segments differ at all
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)
    np.testing.assert_allclose(together[:7], classifier.score(segments[:7]), atol=1e-5)


def test_logits_are_float32_with_a_row_per_segment_even_for_no_segments():
    classifier = classifier_of(fresh(TinyNetwork))
    for count in (0, 1, 33):
        logits = classifier.score(np.empty((0, 96, 64), np.float32) if count == 0 else segments_of(count))
        assert logits.shape == (count, 4)
        assert logits.dtype == np.float32


def test_dropout_and_batch_statistics_are_off():
    network = fresh(TinyNetwork).train()
    classifier, segments = classifier_of(network), segments_of(3)
    running = network.bn.running_mean.clone()
    np.testing.assert_array_equal(classifier.score(segments), classifier.score(segments))
    assert torch.equal(network.bn.running_mean, running)


@pytest.mark.slow
@pytest.mark.parametrize(("network_name", "layer"), LAYERS)
def test_class_activation_equals_captums_layer_grad_cam(network_name, layer):
    kind, layer_of = LAYERS[network_name, layer]
    classifier, segments = classifier_of(fresh(kind)), segments_of(3)
    captum = LayerGradCam(classifier.network, layer_of(classifier.network))
    inputs = torch.tensor(segments).unsqueeze(1).requires_grad_()
    for place in (0, 3):
        theirs = captum.attribute(inputs, target=place, relu_attributions=False).detach()[:, 0].numpy()
        ours = classifier.class_activation(segments, one_hot(place), layer)
        assert np.abs(theirs).max() > 1e-3
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_map_of_both_branches_adds_the_coarser_one_spread_over_the_finer_cells():
    classifier, segments = classifier_of(fresh(LateFusion)), segments_of(2)
    vggish, yamnet, both = (
        classifier.class_activation(segments, one_hot(1), name) for name in ("vggish", "yamnet", "both")
    )
    assert vggish.shape == both.shape == (2, 12, 8)
    assert yamnet.shape == (2, 3, 2)
    spread = F.interpolate(torch.tensor(yamnet)[:, None], (12, 8), mode="bilinear", align_corners=False)[:, 0].numpy()
    np.testing.assert_allclose(both, vggish + spread / 16, atol=1e-6)  # 96 cells to 6
    total = yamnet.sum(axis=(1, 2))
    assert np.abs(total).max() > 1e-3
    np.testing.assert_allclose(both.sum(axis=(1, 2)), vggish.sum(axis=(1, 2)) + total, atol=1e-5)


def test_the_branches_have_the_same_maps_alone_and_together():
    classifier = classifier_of(fresh(LateFusion))
    pools = ("vggish_pool2", "vggish_pool3", "vggish_pool4")
    assert classifier.layers == ("both", "vggish", "yamnet", *pools, "yamnet_layer12")
    assert classifier_of(fresh(YAMNet)).layers == ("yamnet", "yamnet_layer12")
    assert classifier_of(fresh(TinyNetwork)).layers == ("tiny",)


def test_map_of_four_cells_worked_by_hand():
    # Levels 1, 2 | 3, -4. z_0 = 4 mean(level): each cell's gradient is 4 / 4 = 1, so the map is the levels themselves.
    # z_1 = -2 mean(2 level): gradient -2 / 4 to a map of doubled levels, so the map is minus the levels.
    levels = np.array([[1.0, 2.0], [3.0, -4.0]])
    segment = np.kron(levels, np.ones((48, 32))).astype(np.float32)[None]
    classifier = classifier_of(FourCells(2), emotions=("angry", "sad"))
    assert classifier.score(segment).tolist() == [[2.0, -2.0]]
    np.testing.assert_allclose(classifier.class_activation(segment, np.array([1, 0]), "cells")[0], levels, atol=1e-6)
    np.testing.assert_allclose(classifier.class_activation(segment, np.array([0, 1]), "cells")[0], -levels, atol=1e-6)
    np.testing.assert_allclose(
        classifier.class_activation(segment, np.array([1, -1]), "cells")[0], 2 * levels, atol=1e-6
    )


def test_map_of_yamnet_adds_up_to_the_logit_without_its_bias():
    # Its head is linear in the mean of the last map.
    network = fresh(YAMNet)
    classifier, segments = classifier_of(network), segments_of(4)
    cams = classifier.class_activation(segments, one_hot(2), "yamnet")
    wanted = classifier.score(segments)[:, 2] - network.head.bias[2].item()
    np.testing.assert_allclose(cams.sum(axis=(1, 2)), wanted, atol=1e-4)


@pytest.mark.parametrize("layer", ["both", "vggish", "yamnet"])
def test_map_of_one_emotion_against_another_is_the_difference_of_their_maps(layer):
    classifier, segments = classifier_of(fresh(LateFusion)), segments_of(2)
    against = classifier.class_activation(segments, one_hot(0) - one_hot(3), layer)
    first, second = (classifier.class_activation(segments, one_hot(place), layer) for place in (0, 3))
    assert np.abs(against).max() > 1e-3
    np.testing.assert_allclose(against, first - second, atol=1e-5)


def test_maps_do_not_depend_on_the_size_of_the_batch():
    classifier, segments = classifier_of(fresh(YAMNet)), segments_of(34)
    together = classifier.class_activation(segments, one_hot(0), "yamnet")
    alone = np.concatenate(
        [classifier.class_activation(segments[i : i + 1], one_hot(0), "yamnet") for i in (0, 31, 32, 33)]
    )
    assert together.dtype == np.float32
    np.testing.assert_allclose(together[[0, 31, 32, 33]], alone, atol=1e-5)


def test_computing_maps_leaves_no_gradient_and_changes_neither_input_nor_weights():
    classifier, segments = classifier_of(fresh(LateFusion)), segments_of(2)
    before, weights = segments.copy(), {k: v.clone() for k, v in classifier.network.state_dict().items()}
    logits = classifier.score(segments)
    classifier.class_activation(segments, one_hot(0), "both")
    assert all(p.grad is None and not p.requires_grad for p in classifier.network.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in classifier.network.modules())
    np.testing.assert_array_equal(segments, before)
    assert all(torch.equal(v, weights[k]) for k, v in classifier.network.state_dict().items())
    np.testing.assert_array_equal(classifier.score(segments), logits)


def test_read_only_segments_are_accepted():
    classifier, segments = classifier_of(fresh(TinyNetwork)), segments_of(2)
    writable = classifier.score(segments)
    segments.setflags(write=False)
    np.testing.assert_array_equal(classifier.score(segments), writable)
    assert classifier.class_activation(segments, one_hot(0), "tiny").shape == (2, 12, 8)


def test_an_unknown_layer_is_refused_and_the_known_ones_are_named():
    classifier = classifier_of(fresh(LateFusion))
    with pytest.raises(SettingsRefused, match=r"no layer 'conv5'; choose one of both, vggish, yamnet"):
        classifier.class_activation(segments_of(1), one_hot(0), "conv5")
    with pytest.raises(SettingsRefused, match="no layer 'both'"):
        classifier_of(fresh(YAMNet)).class_activation(segments_of(1), one_hot(0), "both")


def test_random_weights_differ_from_the_trained_ones_and_repeat_with_the_seed():
    classifier, segments = classifier_of(fresh(TinyNetwork), temperature=1.7), segments_of(2)
    classifier.pooling = "logits"
    original = classifier.score(segments)
    random = classifier.randomised(3)
    assert np.abs(random.score(segments) - original).max() > 1e-3
    np.testing.assert_array_equal(random.score(segments), classifier.randomised(3).score(segments))
    assert np.abs(random.score(segments) - classifier.randomised(4).score(segments)).max() > 1e-3
    np.testing.assert_array_equal(classifier.score(segments), original)
    assert (random.emotions, random.front_end, random.temperature) == (EMOTIONS, classifier.front_end, 1.7)
    assert random.pooling == "logits"
    assert random.sha256 != classifier.sha256


def test_random_weights_do_not_disturb_anyone_elses_random_numbers():
    classifier = classifier_of(fresh(TinyNetwork))
    torch.manual_seed(11)
    undisturbed = torch.rand(3)
    torch.manual_seed(11)
    classifier.randomised(5)
    assert torch.equal(torch.rand(3), undisturbed)


@pytest.mark.parametrize("kind", [TinyNetwork, VGGish, YAMNet, LateFusion])
def test_folding_batch_norms_changes_neither_logits_nor_the_given_network(kind):
    network, segments = fresh(kind).train(), segments_of(3)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    logits = classifier_of(network).score(segments)
    assert network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    with torch.inference_mode():
        expected = network.eval()(torch.tensor(segments)[:, None]).numpy()
    np.testing.assert_allclose(logits, expected, atol=2e-5)
    left = [m for m in classifier_of(network).network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert left == []


def test_the_fast_format_changes_logits_little_and_maps_not_at_all():
    network, segments = fresh(YAMNet), segments_of(8)
    exact, fast = (
        NetworkClassifier(network, name="", sha256="", emotions=EMOTIONS, front_end=FrontEnd(), precision=precision)
        for precision in (torch.float32, torch.bfloat16)
    )
    assert fast.score(segments).dtype == np.float32
    difference = np.abs(fast.score(segments) - exact.score(segments)).max()
    assert 0 < difference < 0.02 * np.abs(exact.score(segments)).max()
    np.testing.assert_array_equal(
        fast.class_activation(segments, one_hot(0), "yamnet"), exact.class_activation(segments, one_hot(0), "yamnet")
    )


def test_parallel_threads_score_like_one_and_do_not_wait_for_each_other(monkeypatch):
    classifier, names = classifier_of(fresh(TinyNetwork)), []
    segments = np.stack([random_log_mel(seed=seed) for seed in range(19)])
    logits, before = classifier._logits, torch.get_num_threads()
    monkeypatch.setattr(classifier, "_logits", lambda batch: (names.append(current_thread().name), logits(batch))[1])
    torch.set_num_threads(1)
    alone = classifier.score(segments)
    torch.set_num_threads(2)
    try:
        with thread_pool.__wrapped__() as threads:
            monkeypatch.setattr("ser_core.model.classifier.thread_pool", lambda: threads)
            np.testing.assert_allclose(classifier.score(segments), alone, atol=1e-6)
            within = list(threads.map(classifier.score, [segments] * 4, timeout=60))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(within, [alone] * 4, atol=1e-6)
    assert [name for name in names if name == current_thread().name] == [current_thread().name] * 3
    assert len(names) == 6 * 3


SIZES = """
import numpy as np, torch
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.networks.yamnet import YAMNet
from ser_core.settings import FrontEnd
torch.manual_seed(0)
emotions = ("angry", "happy", "neutral", "sad")
yamnet = NetworkClassifier(YAMNet(4), name="", sha256="", emotions=emotions, front_end=FrontEnd())
segments = np.zeros((8, 96, 64), np.float32)
for turn in ("first", "second"):
    print(turn, flush=True)
    for size in range(2, 9):
        for frames in (96, 80, 64):
            yamnet.score(segments[:size, :frames])
            yamnet.score(segments[:size, :frames])
"""


@pytest.mark.process
def test_code_compiled_for_every_input_size_is_not_kept():
    environment = {name: value for name, value in os.environ.items() if name != "ONEDNN_PRIMITIVE_CACHE_CAPACITY"}
    environment["ONEDNN_VERBOSE"] = "profile_create"
    run = subprocess.run([sys.executable, "-c", SIZES], cwd=ROOT, env=environment, capture_output=True, text=True)
    first, _, second = run.stdout.partition("second")
    if "create:cache_hit" not in first:
        pytest.skip("torch does not compute with oneDNN on this machine, or was built without its log")
    # Torch decides which ones it keeps, but it cannot have kept them all.
    assert first.count("create:cache_miss") > CACHED_OPERATIONS
    assert "create:cache_miss" in second
