import csv
import hashlib
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import audio_files
from ser_core.errors import ModelRefused
from ser_core.front_end.segments import split_into_segments
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.model.networks import NETWORKS
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.networks.vggish import VGGish, load_published_weights
from ser_core.model.networks.yamnet import (
    AUDIOSET_CLASSES,
    SEPARABLE,
    SamePadConvolution,
    YAMNet,
    load_audioset_weights,
)
from ser_core.settings import SegmentSettings, SpectrogramSettings
from tests.tiny_networks import fresh

SEGMENTS = torch.zeros(2, 1, 96, 64)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_vggish_has_as_many_parameters_as_counted_by_hand():
    convolutions = 9 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 256 + 256 * 512 + 512 * 512)
    batch_norms = 2 * (64 + 128 + 256 + 256 + 512 + 512)
    fusion = (128 + 256 + 512) * 256 + 3 * 256
    dense = (256 * 64 + 64) + (12 * 8 * 64 * 256 + 256)
    assert convolutions + batch_norms + fusion + dense == 6_321_152
    assert parameters(VGGish(4)) == 6_321_152 + 256 * 4 + 4


def test_yamnet_has_the_parameters_of_mobilenet_v1_and_a_head():
    outputs = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    first = 9 * 32 + 2 * 32
    pairs = pairwise(outputs)
    separable = sum(9 * before + 2 * before + before * after + 2 * after for before, after in pairs)
    assert first + separable == 3_206_400
    assert parameters(YAMNet(AUDIOSET_CLASSES)) == 3_206_400 + 1024 * 521 + 521


def test_late_fusion_is_both_headless_branches_and_its_own_head():
    bodies = parameters(VGGish(4)) - (256 * 4 + 4) + parameters(YAMNet(4)) - (1024 * 4 + 4)
    assert parameters(LateFusion(4)) == bodies + (1280 * 256 + 256) + (256 * 4 + 4)


def test_vggish_pools_and_fused_map_have_the_sizes_of_the_paper():
    network, sizes = VGGish(4).eval(), []
    with torch.inference_mode():
        x = SEGMENTS
        for group in network.groups:
            x = group(x)
            sizes.append(tuple(x.shape[1:]))
        fused = network.maps(SEGMENTS)["vggish"]
    assert sizes[1:] == [(128, 24, 16), (256, 12, 8), (512, 6, 4)]
    assert fused.shape == (2, 256, 12, 8)


def test_yamnet_last_map_is_3_by_2_and_its_mean_is_the_features():
    network = fresh(YAMNet)
    with torch.inference_mode():
        maps = network.maps(torch.randn(2, 1, 96, 64))
        features = network.features(maps)
    assert maps["yamnet"].shape == (2, 1024, 3, 2)
    np.testing.assert_allclose(features.numpy(), maps["yamnet"].numpy().mean(axis=(2, 3)), rtol=1e-5, atol=1e-6)


def test_late_fusion_features_are_those_of_vggish_followed_by_those_of_yamnet():
    network, segments = fresh(LateFusion), torch.randn(2, 1, 96, 64)
    with torch.inference_mode():
        maps = network.maps(segments)
        features = network.features(maps)
        vggish = network.vggish.features(network.vggish.maps(segments))
        yamnet = network.yamnet.features(network.yamnet.maps(segments))
    assert list(maps) == ["vggish", "yamnet"]
    assert features.shape == (2, 1280)
    assert torch.equal(features, torch.cat([vggish, yamnet], dim=1))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("classes", [2, 6])
def test_every_network_returns_a_logit_for_each_class(name, classes):
    with torch.inference_mode():
        assert NETWORKS[name](classes).eval()(SEGMENTS).shape == (2, classes)


def pools_of_relus(network, segments):
    """The maps after the four pools, each of which comes after a ReLU, as VGG is drawn."""
    pools = []
    for group in network.groups:
        for layer in group:
            if isinstance(layer, torch.nn.Conv2d):
                segments = layer(segments)
            elif isinstance(layer, torch.nn.BatchNorm2d):
                segments = F.relu(layer(segments))
        segments = F.max_pool2d(segments, 2)
        pools.append(segments)
    return pools


def test_vggish_pooling_before_relu_gives_the_same_maps_and_gradients_as_after():
    network, results = fresh(VGGish), []
    segments = torch.randn(2, 1, 96, 64)
    for maps in (lambda: network.maps(segments)["vggish"], lambda: network.fuse(pools_of_relus(network, segments)[1:])):
        network.zero_grad()
        fused = maps()
        fused.square().mean().backward()
        gradients = {name: p.grad for name, p in network.groups.named_parameters()}
        results.append((fused, gradients))
    (found, gradients), (expected, wanted) = results
    assert torch.equal(found, expected)
    assert all(torch.equal(gradients[name], wanted[name]) for name in wanted)
    assert all(gradient.abs().max() > 0 for gradient in wanted.values())


KINDS = {
    "depthwise": {"kernel": 3, "groups": 8},
    "strided depthwise": {"kernel": 3, "stride": 2, "groups": 8},
    "1x1": {"kernel": 1},
    "first": {"kernel": 3, "stride": 2},
}


def uneven_loss(out):
    """A loss that weighs every cell differently, so that each gradient is tested."""
    return (out.float() * torch.arange(out.numel()).view(out.shape).cos()).sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(12, 8), (7, 5)])
def test_bfloat16_convolutions_match_torchs_in_single_precision_forward_and_backward(kind, size):
    torch.manual_seed(0)
    layer = SamePadConvolution(8, 8, **KINDS[kind]).train()
    x = torch.rand(4, 8, *size).bfloat16()
    lower, single = x.clone().requires_grad_(), x.float().requires_grad_()
    expected = F.conv2d(single, layer.conv.weight, None, layer.conv.stride, layer.conv.padding, 1, layer.conv.groups)
    uneven_loss(expected).backward()
    wanted, layer.conv.weight.grad = layer.conv.weight.grad, None
    with torch.autocast("cpu", torch.bfloat16):
        found = layer.convolved(lower)
    uneven_loss(found).backward()
    pairs = (found.detach(), expected.detach()), (lower.grad, single.grad), (layer.conv.weight.grad, wanted)
    for ours, theirs in pairs:
        assert theirs.abs().max() > 0.1
        torch.testing.assert_close(ours.float(), theirs, rtol=0, atol=float(0.02 * theirs.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_convolution_gives_the_same_output_with_and_without_gradients(kind):
    layer = SamePadConvolution(8, 8, **KINDS[kind])
    x = torch.randn(2, 8, 12, 8)
    with torch.inference_mode():
        learning = layer.train().convolved(x)
        answering = layer.eval().convolved(x)
    assert learning.shape == answering.shape
    assert answering.abs().max() > 0.1
    torch.testing.assert_close(learning, answering, rtol=1e-4, atol=1e-5)


def test_pool_fusion_adds_the_three_maps_after_their_1x1_convolutions():
    fuse = VGGish(2).fuse
    pools = [torch.randn(1, 128, 24, 16), torch.randn(1, 256, 12, 8), torch.randn(1, 512, 6, 4)]
    with torch.inference_mode():
        fused = fuse(pools)
        alone = []
        for place in range(3):
            others = [pool if place == number else torch.zeros_like(pool) for number, pool in enumerate(pools)]
            alone.append(fuse(others))
        nothing = fuse([torch.zeros_like(pool) for pool in pools])
        middle = F.conv2d(pools[1], fuse.to_fused[1].weight, fuse.to_fused[1].bias)
        biases = sum(layer.bias for layer in (fuse.to_fused[0], fuse.to_fused[2])).view(1, -1, 1, 1)
    torch.testing.assert_close(fused, sum(alone) - 2 * nothing, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone[1], middle + biases, rtol=1e-4, atol=1e-5)  # already 12 x 8: nothing is resized


def same_convolution_slowly(x, weight, stride):
    """TensorFlow's definition of SAME, point by point: ceil(size / stride) outputs, an odd row of padding last."""
    kernel = weight.shape[0]
    outputs = [-(-size // stride) for size in x.shape]
    before = [max((o - 1) * stride + kernel - s, 0) // 2 for o, s in zip(outputs, x.shape, strict=True)]
    result = np.zeros(outputs)
    for row, column in np.ndindex(*outputs):
        for i, j in np.ndindex(kernel, kernel):
            y, z = row * stride - before[0] + i, column * stride - before[1] + j
            if 0 <= y < x.shape[0] and 0 <= z < x.shape[1]:
                result[row, column] += weight[i, j] * x[y, z]
    return result


@pytest.mark.parametrize("size", [(6, 4), (7, 5), (6, 5), (96, 64), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_equals_its_definition_point_by_point(size, stride):
    layer = SamePadConvolution(1, 1, 3, stride).eval()
    x = torch.rand(1, 1, *size)  # with positive weights the ReLU changes nothing
    with torch.inference_mode():
        layer.conv.weight.uniform_(0, 1)
        layer.bn.eps = 0.0
        found = layer(x)[0, 0].numpy()
    expected = same_convolution_slowly(x[0, 0].numpy(), layer.conv.weight[0, 0].detach().numpy(), stride)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (4, [1 + 2 + 3, 3 + 4]),  # even: none before, one zero after
        (5, [1 + 2, 2 + 3 + 4, 4 + 5]),  # odd: a zero on both sides
    ],
)
def test_stride_2_pads_even_sizes_at_the_end_and_odd_sizes_on_both_sides(size, expected):
    layer = SamePadConvolution(1, 1, 3, stride=2).eval()
    with torch.inference_mode():
        layer.conv.weight.zero_()
        layer.conv.weight[0, 0, :, 1] = 1  # adds three neighbours along the first axis
        layer.bn.eps = 0.0
        column = torch.arange(1.0, size + 1).view(1, 1, size, 1).expand(1, 1, size, 3)
        found = layer(column)[0, 0, :, 0].tolist()
    assert found == expected


def test_published_weights_are_loaded_into_their_layers(tmp_path):
    weights = published_weights()
    save_file(weights, tmp_path / "weights.safetensors")
    network = YAMNet(AUDIOSET_CLASSES)
    load_audioset_weights(network, tmp_path / "weights.safetensors")
    assert torch.equal(network.layers[0].conv.weight, weights["layer1.conv.weight"])
    assert torch.equal(network.layers[1].conv.weight, weights["layer2.depthwise.weight"])
    assert torch.equal(network.layers[2].bn.running_var, weights["layer2.pointwise.bn.running_var"])
    assert torch.equal(network.layers[26].conv.weight, weights["layer14.pointwise.weight"])
    assert torch.equal(network.head.bias, weights["classifier.bias"])
    assert all((layer.bn.weight == 1).all() for layer in network.layers)


def test_published_weights_leave_a_head_for_other_classes_unchanged(tmp_path):
    save_file(published_weights(), tmp_path / "weights.safetensors")
    network = YAMNet(4)
    head = network.head.weight.detach().clone()
    load_audioset_weights(network, tmp_path / "weights.safetensors")
    assert torch.equal(network.head.weight, head)


def test_missing_weights_are_refused_with_the_name_of_their_variable(tmp_path):
    with pytest.raises(ModelRefused, match=r"gone\.safetensors.*SER_YAMNET_WEIGHTS"):
        load_audioset_weights(YAMNet(4), tmp_path / "gone.safetensors")


def foreign_weights():
    complete = published_weights()
    short = {name: tensor for name, tensor in complete.items() if name != "layer7.pointwise.weight"}
    wrong_shape = complete | {"layer7.pointwise.weight": torch.zeros(3, 3, 1, 1)}
    return {
        "of another network": {"features.0.weight": torch.zeros(3), "features.0.bias": torch.zeros(3)},
        "one layer missing": short,
        "one layer too many": complete | {"layer15.pointwise.weight": torch.zeros(2, 2, 1, 1)},
        "one of another shape": wrong_shape,
    }


@pytest.mark.parametrize(
    "kind", ["of another network", "one layer missing", "one layer too many", "one of another shape"]
)
def test_foreign_weights_are_refused(tmp_path, kind):
    save_file(foreign_weights()[kind], tmp_path / "weights.safetensors")
    with pytest.raises(ModelRefused, match="not YAMNet's weights"):
        load_audioset_weights(YAMNet(4), tmp_path / "weights.safetensors")


def test_a_file_that_is_not_safetensors_is_refused_as_weights(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"PK\x03\x04 not tensors at all")
    with pytest.raises(ModelRefused, match="not YAMNet's weights"):
        load_audioset_weights(YAMNet(4), tmp_path / "weights.safetensors")


def published_weights():
    """Random weights under the published names."""
    torch.manual_seed(0)
    tensors = {"layer1.conv.weight": torch.randn(32, 1, 3, 3)} | batch_norm("layer1.conv", 32)
    tensors = {name.replace("layer1.conv.bn", "layer1.bn"): tensor for name, tensor in tensors.items()}
    channels = 32
    for number, (out, _) in enumerate(SEPARABLE, start=2):
        tensors |= {f"layer{number}.depthwise.weight": torch.randn(channels, 1, 3, 3)}
        tensors |= {f"layer{number}.pointwise.weight": torch.randn(out, channels, 1, 1)}
        tensors |= batch_norm(f"layer{number}.depthwise", channels) | batch_norm(f"layer{number}.pointwise", out)
        channels = out
    return tensors | {"classifier.weight": torch.randn(521, 1024), "classifier.bias": torch.randn(521)}


def batch_norm(layer, channels):
    return {f"{layer}.bn.{name}": torch.rand(channels) for name in ("bias", "running_mean", "running_var")}


@pytest.fixture
def published_vggish(tmp_path, monkeypatch):
    """The published layers with random weights, and a file of these that passes for the published one."""
    torch.manual_seed(0)
    channels, layers = 1, []
    for out in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M"):
        if out == "M":
            layers.append(torch.nn.MaxPool2d(2))
        else:
            layers += [torch.nn.Conv2d(channels, out, 3, padding=1), torch.nn.ReLU()]
            channels = out
    published = torch.nn.Sequential(*layers)
    tensors = {f"features.{name}": tensor for name, tensor in published.state_dict().items()}
    file = tmp_path / "vggish-made-up.pth"
    torch.save(tensors | {"embeddings.0.weight": torch.randn(3, 3)}, file)
    digits = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr("ser_core.model.networks.vggish.PUBLISHED_SHA256", digits)
    return file, published


def test_published_weights_fill_every_convolution_of_vggish_and_nothing_after(published_vggish):
    file, published = published_vggish
    network = VGGish(4)
    after = {name: tensor.clone() for name, tensor in network.state_dict().items() if not name.startswith("groups.")}
    load_published_weights(network, file)
    layers = [layer for group in network.groups for layer in group]
    convolutions, theirs = (
        [layer for layer in some if isinstance(layer, torch.nn.Conv2d)] for some in (layers, published)
    )
    norms = [layer for layer in layers if isinstance(layer, torch.nn.BatchNorm2d)]
    assert len(convolutions) == len(norms) == 6
    for convolution, norm, their in zip(convolutions, norms, theirs, strict=True):
        assert torch.equal(convolution.weight, their.weight)
        assert torch.equal(norm.bias, their.bias)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in after.items())


def test_vggish_with_published_weights_gives_the_maps_of_the_published_layers(published_vggish):
    file, published = published_vggish
    network = VGGish(4).eval()
    load_published_weights(network, file)
    found = expected = torch.randn(2, 1, 96, 64)
    starts = [0, 3, 6, 11, len(published)]
    with torch.inference_mode():
        for group, (start, end) in zip(network.groups, pairwise(starts), strict=True):
            found, expected = group(found), published[start:end](expected)
            assert expected.std() > 1e-3
            # The batch norms divide by the root of 1 + 1e-5.
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 another file"])
def test_a_file_that_is_not_the_published_vggish_is_refused_naming_the_right_one(tmp_path, content):
    if content is not None:
        (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(ModelRefused, match=r"weights\.pth.*SER_VGGISH_WEIGHTS.*vggish-10086976\.pth") as refusal:
        load_published_weights(VGGish(4), tmp_path / "weights.pth")
    assert str(tmp_path) not in str(refusal.value)


def test_weights_of_another_network_are_refused_by_their_hash_even_if_they_would_fit(published_vggish, monkeypatch):
    file, _ = published_vggish
    monkeypatch.setattr("ser_core.model.networks.vggish.PUBLISHED_SHA256", "10086976")
    network = VGGish(4)
    before = network.groups[0][0].weight.detach().clone()
    with pytest.raises(ModelRefused, match=r"vggish-made-up\.pth: these are not the published weights"):
        load_published_weights(network, file)
    assert torch.equal(network.groups[0][0].weight, before)


@pytest.fixture(scope="module")
def audioset():
    """YAMNet as published, and the names of AudioSet's classes."""
    path = os.environ.get("SER_YAMNET_WEIGHTS")
    if not path:
        pytest.skip("SER_YAMNET_WEIGHTS is not set")
    network = YAMNet(AUDIOSET_CLASSES)
    load_audioset_weights(network, path)
    with Path(path).with_name("yamnet_class_map.csv").open(encoding="utf-8") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    return network.eval(), names


@pytest.mark.corpora
@pytest.mark.parametrize("corpus", ["ravdess", "emodb", "nemo", "korean_emotional_tts"])
def test_published_yamnet_ranks_speech_first_in_recordings_of_every_corpus(corpora, audioset, corpus):
    network, names = audioset
    files = audio_files(corpora / corpus)
    for path in files[:: len(files) // 4][:4]:
        log_mel = spectrogram_of(read_recording(path), SpectrogramSettings()).log_mel
        segments, _ = split_into_segments(log_mel, SegmentSettings())
        # RAVDESS begins and ends with a second of silence, which is classified as such: take the loudest second.
        loudest = np.ascontiguousarray(segments[segments.mean(axis=(1, 2)).argmax()])
        with torch.inference_mode():
            scores = torch.sigmoid(network(torch.tensor(loudest)[None, None]))[0]
        assert names[int(scores.argmax())] == "Speech", path.name
        assert scores.max() > 0.8, path.name
