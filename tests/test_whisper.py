"""The first blocks of Whisper's encoder: arithmetic by hand, published weights, and Grad-CAM."""

import math
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.explanation.grad_cam import grad_cam
from ser_core.learning.plan import TrainingPlan, own_front_end
from ser_core.model.networks.whisper import (
    BLOCKS,
    HEADS,
    POSITIONS,
    VARIANCE_FLOOR,
    WIDTH,
    Whisper,
    load_encoder_weights,
    whisper_log_mel,
)
from ser_core.settings import GradCamSettings
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import classifier_of, fresh, published_encoder, random_log_mel, target_of_log_mel


@pytest.fixture(scope="module")
def network():
    network = fresh(Whisper, seed=5)
    with torch.no_grad():  # which begins as zeros
        network.positional_embedding.copy_(torch.randn(POSITIONS, WIDTH, generator=torch.Generator().manual_seed(6)))
    return network


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def normalised(x, weight, bias):
    x = x - x.mean(axis=1, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5) * weight + bias


def convolved(x, weight, bias, stride):
    """Convolve (time, channels) with a kernel of three, zeros before and after, one output after the other."""
    padded = np.vstack([np.zeros((1, x.shape[1])), x, np.zeros((1, x.shape[1]))])
    starts = range(0, len(x), stride)
    return np.stack([np.einsum("kc,ock->o", padded[start : start + 3], weight) + bias for start in starts])


def attended(x, w, block):
    """Attend, one head after the other."""
    query = x @ w[f"{block}.query.weight"].T + w[f"{block}.query.bias"]
    key, value = x @ w[f"{block}.key.weight"].T, x @ w[f"{block}.value.weight"].T + w[f"{block}.value.bias"]
    size, heads = WIDTH // HEADS, []
    for first in range(0, WIDTH, size):
        likeness = query[:, first : first + size] @ key[:, first : first + size].T / math.sqrt(size)
        share = np.exp(likeness - likeness.max(axis=1, keepdims=True))
        heads.append(share / share.sum(axis=1, keepdims=True) @ value[:, first : first + size])
    return np.hstack(heads) @ w[f"{block}.out.weight"].T + w[f"{block}.out.bias"]


def slow_tokens(network, segment):
    """Tokens (tokens, 512) of a segment by the paper's section 2.2, in double precision."""
    w = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    x = segment.astype(np.float64) @ w["bands.weight"].T + w["bands.bias"]
    x = gelu(convolved(x, w["conv1.weight"], w["conv1.bias"], 1))
    x = gelu(convolved(x, w["conv2.weight"], w["conv2.bias"], 2))
    x = x + w["positional_embedding"][: len(x)]
    for block in (f"blocks.{number}" for number in range(BLOCKS)):
        x = x + attended(normalised(x, w[f"{block}.attn_ln.weight"], w[f"{block}.attn_ln.bias"]), w, block)
        hidden = normalised(x, w[f"{block}.mlp_ln.weight"], w[f"{block}.mlp_ln.bias"])
        hidden = gelu(hidden @ w[f"{block}.mlp.0.weight"].T + w[f"{block}.mlp.0.bias"])
        x = x + hidden @ w[f"{block}.mlp.2.weight"].T + w[f"{block}.mlp.2.bias"]
    return x


@pytest.mark.parametrize("frames", [96, 97, 192])
def test_tokens_are_those_of_a_slow_twin_written_from_the_paper(network, frames):
    segment = random_log_mel(frames, seed=frames)
    with torch.inference_mode():
        ours = network.maps(torch.tensor(segment)[None, None])["whisper"][0, :WIDTH, :, 0].T.numpy()
    slow = slow_tokens(network, segment)
    assert ours.shape == slow.shape == (-(-frames // 2), WIDTH)
    assert np.ptp(slow, axis=0).min() > 0.1
    np.testing.assert_allclose(ours, slow, atol=1e-3 * np.abs(slow).max())


def test_a_block_is_pytorchs_transformer_layer_that_normalises_first(network):
    block = network.blocks[1]
    theirs = torch.nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    attention = theirs.self_attn
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([block.query.weight, block.key.weight, block.value.weight]))
        attention.in_proj_bias.copy_(torch.cat([block.query.bias, torch.zeros(WIDTH), block.value.bias]))
    attention.out_proj.load_state_dict(block.out.state_dict())
    for ours, of_theirs in (
        (block.attn_ln, theirs.norm1),
        (block.mlp_ln, theirs.norm2),
        (block.mlp[0], theirs.linear1),
        (block.mlp[2], theirs.linear2),
    ):
        of_theirs.load_state_dict(ours.state_dict())
    tokens = torch.randn(2, 96, WIDTH, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(block(tokens), theirs(tokens), atol=1e-3, rtol=1e-3)


def test_features_are_mean_and_deviation_of_each_channel_over_time(network):
    segment = random_log_mel(192, seed=1)
    tokens = slow_tokens(network, segment)
    with torch.inference_mode():
        features = network.features(network.maps(torch.tensor(segment)[None, None]))[0].numpy()
    np.testing.assert_allclose(features[:WIDTH], tokens.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(features[WIDTH:], np.sqrt(tokens.var(axis=0) + VARIANCE_FLOOR), atol=1e-3)


@pytest.mark.parametrize("tokens", [48, 96, 144, POSITIONS])
def test_each_token_has_the_position_of_its_20_ms_and_the_same_in_longer_segments(network, tokens):
    taken = []
    hook = network.blocks.register_forward_pre_hook(lambda _, given: taken.append(given[0][0]))
    with torch.inference_mode():
        network(torch.full((1, 1, 2 * tokens, 64), -3.0))
    hook.remove()
    # In a steady sound all inner tokens are the same except for their positions.
    without = taken[0] - network.positional_embedding[:tokens]
    assert len(taken[0]) == tokens
    torch.testing.assert_close(without[1:-1], without[1:2].expand(tokens - 2, -1), atol=1e-4, rtol=0)


def test_its_own_segments_last_1_92_s_and_overlap_by_half():
    segments = TrainingPlan({}, network="whisper").front_end.segments
    assert own_front_end("whisper").segments == segments
    assert (segments.segment_frames, segments.hop_frames) == (240, 120)


def test_epochs_are_refused_because_nothing_is_learnt_in_epochs():
    with pytest.raises(SettingsRefused, match="whisper is fitted in one step, without epochs; leave the epochs out"):
        TrainingPlan({}, network="whisper", epochs=3)
    with pytest.raises(SettingsRefused, match="mfcc_svm is fitted in one step"):
        TrainingPlan({}, network="mfcc_svm", epochs=3)
    assert TrainingPlan({}, network="cnn_forest", epochs=3).settings_of("cnn_dense").epochs == 3


@pytest.mark.parametrize("network", ["whisper", "mfcc_svm", "resnet"])
def test_a_preset_without_settings_for_the_network_is_refused(network):
    with pytest.raises(SettingsRefused, match=f"preset paper has no settings for {network}, only for yamnet, vggish"):
        TrainingPlan({}, network=network, preset="paper")


def test_class_activation_adds_up_what_each_moment_gives_to_means_and_deviations(network):
    classifier, segments = classifier_of(network, front_end=Whisper.front_end), random_log_mel(192, seed=2)[None]
    (ours,) = classifier.class_activation(segments, np.array([0.0, 1.0, 0.0, -1.0]), "whisper")
    tokens = slow_tokens(network, segments[0])
    weight = (network.head.weight[1] - network.head.weight[3]).detach().double().numpy()
    mean, deviation = tokens.mean(axis=0), np.sqrt(tokens.var(axis=0) + VARIANCE_FLOOR)
    by_hand = tokens @ weight[:WIDTH] + (tokens - mean) ** 2 @ (weight[WIDTH:] / (2 * deviation))
    assert classifier.layers == ("whisper",)
    assert ours.shape == (96, 1)
    np.testing.assert_allclose(ours[:, 0], by_hand / 96, atol=1e-4 * np.abs(by_hand).max())
    # Summed over time: the means' contribution to the logits, and half of the deviations'.
    whole = weight[:WIDTH] @ mean + 0.5 * weight[WIDTH:] @ deviation
    assert ours.sum() == pytest.approx(whole, rel=1e-2)


def test_its_maps_change_over_time_and_are_the_same_in_all_bands(network):
    classifier = classifier_of(network, front_end=Whisper.front_end)
    log_mel = random_log_mel(150, seed=3)  # shorter than a segment
    target = target_of_log_mel(log_mel, front_end=Whisper.front_end)
    result = grad_cam(classifier, target, GradCamSettings(), 0, UNWATCHED)
    assert result.maps.shape == (4, 150, 64)
    assert (result.maps == result.maps[:, :, :1]).all()
    assert np.ptp(result.maps[0, :, 0]) > 0


def test_half_precision_scores_like_full_precision(network):
    full = classifier_of(network, front_end=Whisper.front_end)
    half = type(full)(
        network,
        name="half",
        sha256="2" * 64,
        emotions=full.emotions,
        front_end=full.front_end,
        precision=torch.bfloat16,
    )
    segments = np.stack([random_log_mel(192, seed) for seed in range(6)])
    exact = full.score(segments)
    assert np.ptp(exact, axis=0).max() > 0.1
    np.testing.assert_allclose(half.score(segments), exact, atol=0.05 * np.abs(exact).max())


def test_published_weights_fill_all_but_the_bands_and_the_head(network, tmp_path):
    save_file(published_encoder(network), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    filled = Whisper(6)
    before = {name: tensor.clone() for name, tensor in filled.state_dict().items()}
    load_encoder_weights(filled, tmp_path / "weights.safetensors")
    for name, tensor in filled.state_dict().items():
        own = name.startswith(("bands.", "head."))
        assert torch.equal(tensor, before[name] if own else network.state_dict()[name].half().float()), name


def damaged(network):
    complete = published_encoder(network)
    return {
        "one is missing": {name: tensor for name, tensor in complete.items() if name != "blocks.1.attn.key.weight"},
        "another shape": complete | {"conv1.weight": torch.zeros(512, 64, 3)},
        "one too many": complete | {"blocks.3.attn.key.weight": torch.zeros(WIDTH, WIDTH)},
        "no positions": {name: tensor for name, tensor in complete.items() if name != "positional_embedding"},
        "too few positions": complete | {"positional_embedding": torch.zeros(POSITIONS - 1, WIDTH)},
        "of another network": {"layer1.conv.weight": torch.zeros(3)},
    }


@pytest.mark.parametrize("kind", damaged(Whisper(4)))
def test_weights_of_another_network_or_damaged_ones_are_refused(network, tmp_path, kind):
    save_file(damaged(network)[kind], tmp_path / "weights.safetensors")
    with pytest.raises(ModelRefused, match=r"weights\.safetensors: these are not the weights of Whisper's encoder"):
        load_encoder_weights(Whisper(4), tmp_path / "weights.safetensors")


def test_a_file_cut_short_and_a_missing_one_are_refused(network, tmp_path):
    save_file(published_encoder(network), tmp_path / "weights.safetensors")
    os.truncate(tmp_path / "weights.safetensors", 1_000_000)
    with pytest.raises(ModelRefused, match=r"these are not the weights of Whisper's encoder"):
        load_encoder_weights(Whisper(4), tmp_path / "weights.safetensors")
    with pytest.raises(ModelRefused, match=r"gone\.safetensors.*SER_WHISPER_WEIGHTS"):
        load_encoder_weights(Whisper(4), tmp_path / "gone.safetensors")


def test_whispers_input_is_1_where_loudest_at_most_4_decades_above_full_scale_and_2_below_at_silence():
    times = np.arange(16_000) / 16_000
    tone = (0.5 * np.sin(2 * np.pi * 1_000 * times)).astype(np.float32)
    tone[8_000:] = 0
    values = whisper_log_mel(tone)
    assert values.shape == (100, 80)
    # A second of silence is clipped at 8 decades below the loudest, in quarters of a decade.
    assert values.max() - values.min() == pytest.approx(2.0, abs=1e-5)
    # Slaney's scale is linear up to 1 kHz at 200/3 Hz a mel; 8 kHz are 45.2 mel, so that 1 kHz = 15 mel is band 26.
    assert values[10:40].mean(axis=0).argmax() in (25, 26)


@pytest.mark.skipif(not os.environ.get("SER_WHISPER_WEIGHTS"), reason="SER_WHISPER_WEIGHTS is not set")
def test_published_weights_are_what_the_slow_twin_computes_with(tmp_path):
    path = os.environ["SER_WHISPER_WEIGHTS"]
    network = Whisper(4)
    load_encoder_weights(network, path)
    assert torch.equal(network.blocks[2].mlp[2].bias, load_file(path)["blocks.2.mlp.2.bias"].float())
    segment = random_log_mel(192, seed=4) / 10
    with torch.inference_mode():
        ours = network.eval().maps(torch.tensor(segment)[None, None])["whisper"][0, :WIDTH, :, 0].T.numpy()
    np.testing.assert_allclose(ours, slow_tokens(network, segment), atol=2e-3)
