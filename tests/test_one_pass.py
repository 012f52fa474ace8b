"""One pass: its decoder by hand, its position in a recording, its file, and its fit."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import decoder as fitting
from benchmarks.decoder import Pair, replaced
from ser_core.analysis import Recording, Region
from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.explanation import FOCUS_METHODS, explainers_of, focus_methods_of, run_explainer
from ser_core.explanation.one_pass import one_pass
from ser_core.model.checkpoint import CARD, DECODER, _decoder, read_card
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.networks.decoder import Decoder, decoder_of
from ser_core.model.networks.whisper import WIDTH
from ser_core.model.shipped_models import MODELS, load_model, model_names, models_left_out
from ser_core.output.stored_results import read_results, results_bytes
from ser_core.settings import AnalysisSettings, FrontEnd, LimeSettings, OnePassSettings, SpectrogramSettings
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import EMOTIONS, LinearClassifier, random_log_mel, target_of_log_mel

CHANNELS = 6


class TokenNetwork(nn.Module):
    """Tokens of two frames each, whose means are classified; a second half of the channels is not tokens."""

    token_channels = CHANNELS

    def __init__(self, classes=4):
        super().__init__()
        torch.manual_seed(0)
        self.bands = nn.Linear(128, CHANNELS)
        self.head = nn.Linear(CHANNELS, classes)

    def maps(self, segments):
        tokens = self.bands(segments[:, 0].unflatten(1, (-1, 2)).flatten(2)).transpose(1, 2)
        return {"tokens": torch.cat([tokens, tokens.square()], dim=1).unsqueeze(3)}

    def classify(self, maps):
        return self.head(maps["tokens"][:, :CHANNELS].mean(dim=(2, 3)))


def random_decoder(channels=CHANNELS, seed=0):
    weight = np.random.default_rng(seed).normal(size=(4, channels))
    bias = np.random.default_rng(seed + 1).normal(size=4)
    centred = (torch.tensor(values - values.mean(axis=0), dtype=torch.float32) for values in (weight, bias))
    return Decoder(*centred)


def classifier_with(decoder, temperature=1.0):
    return NetworkClassifier(
        TokenNetwork(),
        name="tokens",
        sha256="1" * 64,
        emotions=EMOTIONS,
        front_end=FrontEnd(),
        temperature=temperature,
        pooling="logits",
        decoder=decoder,
    )


def test_evidence_is_a_linear_map_of_tokens_scaled_over_their_channels():
    decoder, tokens = random_decoder(), np.random.default_rng(2).normal(3, 2, size=(2, CHANNELS, 5)).astype(np.float32)
    expected = np.empty((2, 4, 5))
    for segment in range(2):
        for position in range(5):
            token = tokens[segment, :, position]
            scaled = (token - token.mean()) / np.sqrt(token.var() + 1e-5)
            expected[segment, :, position] = decoder.weight.numpy() @ scaled + decoder.bias.numpy()
    np.testing.assert_allclose(decoder.evidence(torch.tensor(tokens)).numpy(), expected, atol=1e-5)


def test_a_frame_has_the_evidence_of_every_segment_that_covers_it():
    log_mel, decoder = random_log_mel(170), random_decoder()
    classifier = classifier_with(decoder, temperature=2.0)
    target = target_of_log_mel(log_mel, first=10, end=160)
    found = one_pass(classifier, target, OnePassSettings(), 0, UNWATCHED)
    expected = np.zeros((4, 170))
    members = target.members
    for member in members:
        with torch.no_grad():
            tokens = TokenNetwork().maps(torch.tensor(target.segments.values[member])[None, None])["tokens"]
        start = target.segments.start_frames[member]
        of_tokens = decoder.evidence(tokens[:, :CHANNELS, :, 0])[0].numpy()
        expected[:, start : start + 96] += np.repeat(of_tokens / 2, 2, axis=1) / (2.0 * len(members))
    expected[:, :10] = expected[:, 160:] = 0
    assert len(members) > 1
    np.testing.assert_allclose(found.evidence, expected, atol=1e-5)
    np.testing.assert_allclose(found.evidence.sum(axis=0), 0, atol=1e-5)


def test_relevance_is_the_same_in_all_bands_and_a_reversed_contrast_changes_its_sign():
    log_mel = random_log_mel(150)
    found = one_pass(classifier_with(random_decoder()), target_of_log_mel(log_mel), OnePassSettings(), 0, UNWATCHED)
    one = found.relevance(target_of_log_mel(log_mel, 0, 2))
    np.testing.assert_array_equal(one, -found.relevance(target_of_log_mel(log_mel, 2, 0)))
    assert (np.ptp(one, axis=1) == 0).all()
    assert np.ptp(one) > 0
    rest = found.original / (1 - found.original[1])
    by_hand = found.evidence[1] - sum(rest[c] * found.evidence[c] for c in (0, 2, 3))
    np.testing.assert_allclose(found.relevance(target_of_log_mel(log_mel, 1))[:, 0], by_hand, atol=1e-5)


def test_only_a_model_with_a_decoder_offers_one_pass():
    target = target_of_log_mel(random_log_mel())
    for classifier in (classifier_with(None), LinearClassifier(np.zeros((4, 96, 64)))):
        assert not {"one_pass", "time_consensus"} & set(focus_methods_of(classifier))
        with pytest.raises(SettingsRefused, match=classifier.name):
            run_explainer("one_pass", classifier, target, Region(0, 1), AnalysisSettings(), UNWATCHED)
    able = classifier_with(random_decoder())
    assert focus_methods_of(able) == ("time_consensus", "lime_time", "one_pass", *explainers_of(able))
    explained = run_explainer("one_pass", able, target, Region(0, 1), AnalysisSettings(), UNWATCHED)
    assert explained.explain(target, EMOTIONS).stability is None


@pytest.mark.parametrize("method", [method for method in FOCUS_METHODS if method != "grad_cam"])
def test_a_saved_run_of_an_explainer_gives_the_same_relevance_when_it_is_read(method):
    classifier, target = classifier_with(random_decoder()), target_of_log_mel(random_log_mel(), 1)
    settings = AnalysisSettings().drafted()
    run = run_explainer(method, classifier, target, Region(0, 1), settings, UNWATCHED)
    recording = Recording("a.wav", "a" * 64, np.zeros(16_000, np.float32), 16_000)
    ((_, _, again),) = read_results(results_bytes([("explain", method, run)]), recording)
    assert again.method == method
    np.testing.assert_array_equal(again.result.relevance(target), run.result.relevance(target))


def test_in_the_consensus_over_time_one_pass_counts_as_much_as_lime():
    classifier, target = classifier_with(random_decoder()), target_of_log_mel(random_log_mel(), 1)
    settings = AnalysisSettings(lime_time=LimeSettings(8, 256, 48, masks=24))

    def run(method):
        return run_explainer(method, classifier, target, Region(0, 1), settings, UNWATCHED).result

    both, lime, one = run("time_consensus"), run("lime_time"), run("one_pass")
    ours, theirs = lime.relevance(target), one.relevance(target)
    scaled = theirs * ours[target.covered].std() / theirs[target.covered].std()
    np.testing.assert_allclose(both.relevance(target), (ours + scaled) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(both.standard_error(target), lime.standard_error(target) / 2)
    variance = both.relevance(target)[target.covered].var()
    unexplained = np.square(lime.standard_error(target)[target.covered] / 2).mean() / variance
    assert both.stability(target) == pytest.approx(max(0, 1 - unexplained), abs=1e-6)


def test_the_consensus_over_time_of_a_stretch_without_a_selected_segment_is_zero_and_has_no_stability():
    classifier, target = classifier_with(random_decoder()), target_of_log_mel(random_log_mel(), 1)
    settings = AnalysisSettings().drafted()
    both = run_explainer("time_consensus", classifier, target, Region(0, 1), settings, UNWATCHED).result
    assert both.relevance(target).any()
    unselected = replace(target, segments=replace(target.segments, start_frames=target.segments.start_frames + 1_000))
    assert not unselected.covered.any()
    assert not both.relevance(unselected).any()
    assert both.stability(unselected) is None


def test_without_a_decoder_lime_over_time_replaces_the_consensus():
    classifier, target = classifier_with(None), target_of_log_mel(random_log_mel(), 1)
    runs = [
        run_explainer(method, classifier, target, Region(0, 1), AnalysisSettings(), UNWATCHED)
        for method in ("time_consensus", "lime_time")
    ]
    assert [run.method for run in runs] == ["lime_time", "lime_time"]
    np.testing.assert_array_equal(*(run.result.relevance(target) for run in runs))


def test_a_decoder_is_stored_in_half_precision():
    decoder = random_decoder()
    again = decoder_of(decoder.to_bytes(), 4, CHANNELS)
    assert torch.equal(again.weight, decoder.weight.half().float())
    assert torch.equal(again.bias, decoder.bias.half().float())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no tensors",
        random_decoder(CHANNELS + 1).to_bytes(),
        Decoder(torch.zeros(3, CHANNELS), torch.zeros(3)).to_bytes(),
        Decoder(torch.zeros(4, CHANNELS), torch.zeros(3)).to_bytes(),
        Decoder(torch.full((4, CHANNELS), torch.nan), torch.zeros(4)).to_bytes(),
    ],
)
def test_a_file_without_a_decoder_for_these_emotions_and_channels_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        decoder_of(data, 4, CHANNELS)


def test_a_model_without_its_decoder_is_not_listed_until_it_has_one(tmp_path):
    folder = tmp_path / "whisper"
    shutil.copytree(MODELS / "whisper", folder)
    decoder = (folder / DECODER).rename(tmp_path / "elsewhere")
    assert "decoder.safetensors cannot be read" in models_left_out(tmp_path)["whisper"]
    decoder.rename(folder / DECODER)
    assert model_names(tmp_path) == ["whisper"]


def test_a_model_whose_card_names_a_decoder_is_refused_without_it_and_others_need_none(tmp_path):
    card = {"architecture": "whisper", "emotions": list(EMOTIONS), "decoder": {}}
    with pytest.raises(ModelRefused, match="cannot be read"):
        _decoder(tmp_path, card)
    (tmp_path / DECODER).write_bytes(b"damaged")
    with pytest.raises(ModelRefused, match="damaged"):
        _decoder(tmp_path, card)
    (tmp_path / DECODER).write_bytes(random_decoder(WIDTH).to_bytes())
    assert _decoder(tmp_path, card).weight.shape == (4, WIDTH)
    assert _decoder(tmp_path, {key: value for key, value in card.items() if key != "decoder"}) is None


def test_evidence_of_the_shipped_decoder_sums_to_zero_over_emotions():
    decoder = load_model("whisper").decoder
    np.testing.assert_allclose(decoder.weight.sum(dim=0), 0, atol=1e-3)
    assert json.loads((MODELS / "whisper" / CARD).read_text())["decoder"]["explained_variance"] > 0.5
    assert "decoder" not in read_card(MODELS / "yamnet")


def test_a_linear_rule_of_tokens_is_recovered_from_pairs(monkeypatch):
    monkeypatch.setattr(fitting, "RIDGE", 1e-6)
    rng, rule = np.random.default_rng(0), random_decoder().weight.numpy()
    inside, pairs = np.array([0, 0.5, 1, 1, 0]), []
    for number in range(60):
        before, after = rng.normal(size=(2, 5, CHANNELS)) @ rng.normal(size=(CHANNELS, CHANNELS)) + 1
        # Each position is four tokens, of which the stretch covers none, half or all.
        change = rule @ (4 * inside @ (after - before))
        pairs.append(Pair(before, after, inside, change, f"speaker {number % 10}", number % 2 == 0, number % 4))
    found = fitting.fit(pairs)
    np.testing.assert_allclose(found.weight.numpy(), rule, atol=1e-4)
    tokens = np.concatenate([tokens for pair in pairs for tokens in (pair.before, pair.after)])
    np.testing.assert_allclose((tokens @ rule.T).mean(axis=0) + found.bias.numpy(), 0, atol=1e-4)
    assert fitting.measure(pairs, 0)["explained_variance"] > 0.999


def test_a_replaced_stretch_keeps_its_level_and_the_rest_is_unchanged():
    frames = SpectrogramSettings()
    segment, stretch = random_log_mel(96), random_log_mel(20, seed=1) + 3
    found = replaced(segment, stretch, 30, frames)
    np.testing.assert_array_equal(np.delete(found, np.s_[30:50], axis=0), np.delete(segment, np.s_[30:50], axis=0))
    old, new = (np.exp(2 * values[30:50].astype(float)).sum() for values in (segment, found))
    assert new == pytest.approx(old, rel=0.05)
    assert np.corrcoef(found[30:50].ravel(), stretch.ravel())[0, 1] > 0.99
