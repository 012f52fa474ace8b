"""Scores of changes of a few frames from the unchanged segment's Whisper states, against the whole network."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from ser_core.explanation.occlusion import occlusion
from ser_core.explanation.relevance import MAX_LOCAL_FRAMES, Perturbed, fill_values
from ser_core.model.classifier import MAX_STATES
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.networks.local_change import LocalChange, thread_pool
from ser_core.model.networks.products import products_of
from ser_core.model.networks.vggish import VGGish
from ser_core.model.networks.whisper import Whisper
from ser_core.settings import FrontEnd, OcclusionSettings, SegmentSettings
from ser_core.work.progress import UNWATCHED, Work
from tests.test_relevance import random_masks
from tests.tiny_networks import TinyNetwork, classifier_of, fresh, random_log_mel, target_of_log_mel

FRAMES, TOKENS = 96, 48
SPANS = ((40, 56), (0, 16), (80, 96), (3, 4), (0, 1), (95, 96))


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = Whisper(4).eval()
        with torch.no_grad():
            network.positional_embedding.normal_(std=0.3)
            for block in network.blocks:  # as after training, tokens attend to some tokens more than to others
                block.query.weight.mul_(2)
                block.key.weight.mul_(2)
    return network


@pytest.fixture(scope="module")
def segment():
    return torch.tensor(random_log_mel(FRAMES))


def versions(segment, first, end, size=1.0):
    changed = segment.repeat(3, 1, 1)
    changed[:2, first:end] += size * torch.randn(2, end - first, 64, generator=torch.Generator().manual_seed(first))
    return changed


def by_whole_segments(network, changed):
    with torch.inference_mode():
        return compared(network(changed[:, None]))


def by_local_changes(network, segment, changed, first, end, *, eight_bits=False, **margin):
    products = products_of(network, eight_bits=eight_bits)
    return compared(LocalChange(network, products, segment, **margin).logits(changed, first, end))


def compared(logits):
    """An offset common to all logits of a version changes no score, and is not compared."""
    return logits - logits.mean(dim=1, keepdim=True)


@pytest.mark.parametrize(("first", "end"), SPANS)
def test_recomputing_all_tokens_gives_the_networks_logits(network, segment, first, end):
    changed = versions(segment, first, end)
    found = by_local_changes(network, segment, changed, first, end, margin=TOKENS)
    expected = by_whole_segments(network, changed)
    assert (expected[0] - expected[2]).abs().max() > 1e-3
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("margin", [0, 2])
def test_tokens_that_are_not_recomputed_add_a_second_order_error(network, segment, margin):
    """Half the change leaves about a quarter of the error, which is much smaller than the change."""
    errors, sizes = [], []
    for size in (0.2, 0.1):
        changed = versions(segment, 40, 44, size)
        expected = by_whole_segments(network, changed)
        found = by_local_changes(network, segment, changed, 40, 44, margin=margin)
        errors.append(float((found - expected).abs().max()))
        sizes.append(float((expected - expected[2]).abs().max()))
    assert errors[1] < 0.4 * errors[0]
    assert errors[1] < 0.1 * sizes[1]


def test_an_unchanged_segment_keeps_its_logits(network, segment):
    found = by_local_changes(network, segment, segment.repeat(2, 1, 1), 10, 20)
    torch.testing.assert_close(found, by_whole_segments(network, segment.repeat(2, 1, 1)), atol=2e-5, rtol=0)


def test_eight_bits_round_the_change_and_not_the_tokens(network, segment):
    changed = versions(segment, 40, 56, 0.02)
    exact = by_local_changes(network, segment, changed, 40, 56)
    rounded = by_local_changes(network, segment, changed, 40, 56, eight_bits=True)
    size = float((exact - exact[2]).abs().max())
    assert 0 < float((rounded - exact).abs().max()) < 0.05 * size
    torch.testing.assert_close(rounded[2], exact[2], atol=2e-6, rtol=0)


@pytest.mark.parametrize("eight_bits", [False, True])
def test_products_are_those_of_the_layers(eight_bits):
    linear, convolution = nn.Linear(192, 5), nn.Conv1d(64, 5, 3)
    products = products_of(nn.ModuleList([linear, convolution]), eight_bits=eight_bits)
    frames = torch.randn(4, 3, 64, generator=torch.Generator().manual_seed(0))
    frames[1] *= 1_000  # each row has its own scale
    frames[0] = 0
    rows, convolved = frames.flatten(1), convolution(frames.transpose(1, 2))[:, :, 0] - convolution.bias
    for layer, expected in ((linear, linear(rows) - linear.bias), (convolution, convolved)):
        errors = (products[layer](rows) - expected).norm(dim=1)
        assert (errors <= (0.02 if eight_bits else 1e-5) * rows.norm(dim=1)).all()


def test_spans_can_be_scored_in_any_order_by_several_threads(network, segment):
    local = LocalChange(network, products_of(network, eight_bits=False), segment)
    of_span = {span: versions(segment, *span) for span in SPANS}
    expected = {span: local.logits(changed, *span) for span, changed in of_span.items()}
    with ThreadPoolExecutor(3) as threads:
        order = [*SPANS, *SPANS[::2], *SPANS[::-1]]
        for span, found in zip(order, threads.map(lambda one: local.logits(of_span[one], *one), order), strict=True):
            torch.testing.assert_close(found, expected[span], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [VGGish, LateFusion])
def test_local_changes_give_the_networks_logits(kind, segment):
    classifier = classifier_of(fresh(kind))
    score = classifier.score_local_changes(segment.numpy())
    for first, end in (*SPANS, (31, 47), (0, 96)):
        changed = versions(segment, first, end).numpy()
        expected = classifier.score(changed)
        assert np.abs(expected[0] - expected[2]).max() > 1e-3
        np.testing.assert_allclose(score(changed, first, end), expected, atol=1e-4 * np.abs(expected).max())


def test_explainers_share_a_segments_state_which_is_freed_with_the_classifier(network, segment, monkeypatch):
    states = []

    def computed(*arguments):
        state = LocalChange(*arguments)
        states.append(weakref.ref(state))
        return state

    monkeypatch.setattr("ser_core.model.classifier.LocalChange", computed)
    classifier = classifier_of(network, front_end=FrontEnd(segments=SegmentSettings(FRAMES, FRAMES)))
    segments = [segment.numpy() + number for number in range(MAX_STATES + 1)]
    changed = versions(segment, 40, 56).numpy()
    first, again = (classifier.score_local_changes(segments[0].copy())(changed, 40, 56) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(states) == 1
    other = classifier.score_local_changes(segments[1])(changed + 1, 40, 56)
    assert np.abs(other - first).max() > 1e-3
    gc.disable()
    try:
        for one in segments[2:]:
            classifier.score_local_changes(one)
        assert [state() is None for state in states] == [True] + [False] * MAX_STATES
        classifier.forget_segments()
        assert all(state() is None for state in states)
        classifier.score_local_changes(segments[0])
        del classifier
        assert all(state() is None for state in states)
    finally:
        gc.enable()


class Counting:
    """Scores with the whole network, and records the spans in which versions of a segment differ."""

    def __init__(self, classifier, segments):
        self.classifier, self.segments, self.spans = classifier, segments, []

    def __call__(self, segment):
        assert any(np.array_equal(segment, one) for one in self.segments)

        def score(changed, first, end):
            if len(changed) == 1 and np.array_equal(changed[0], segment):
                return self.classifier.score(changed)  # before any change
            outside = np.r_[0:first, end : len(segment)]
            np.testing.assert_array_equal(changed[:, outside], np.broadcast_to(segment, changed.shape)[:, outside])
            self.spans.append((first, end, len(changed)))
            return self.classifier.score(changed)

        return score


def test_only_masks_of_few_frames_are_scored_as_local_changes():
    target = target_of_log_mel(random_log_mel(240), selected=[True, True, False, True])
    classifier = classifier_of(fresh(TinyNetwork))
    fill = fill_values(target.log_mel, "random", np.random.default_rng(3))
    plain = Perturbed(classifier.score, 1.0, target, fill)
    local = Counting(classifier, target.segments.values)
    perturbed = Perturbed(classifier.score, 1.0, target, fill, "probabilities", local)
    masks = random_masks(20, target.log_mel.shape)
    for first in (10, 10, 40):  # two of one span are scored together; the last lies in two segments
        box = np.zeros(target.log_mel.shape, bool)
        box[first : first + 12, :: len(masks)] = True
        masks.append(box)
    expected = plain.without(iter(masks), len(masks), UNWATCHED)
    fractions = []
    found = perturbed.without(iter(masks), len(masks), Work(lambda done, text: fractions.append(done)))
    assert fractions == sorted(fractions)
    assert len(fractions) == len(local.spans) + 1  # the larger masks together
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (10, 22, 2) in local.spans
    assert {(40, 52, 1), (0, 4, 1)} <= set(local.spans)
    assert max(end - first for first, end, _ in local.spans) <= MAX_LOCAL_FRAMES


def test_parallel_threads_each_compute_with_one_thread():
    def threads_of(number):
        return int(torch.ones(1000).sum()) // 1000 * torch.get_num_threads()  # only a computation initialises a thread

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with thread_pool.__wrapped__() as threads:
            assert list(threads.map(threads_of, range(8))) == [1] * 8
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_occlusion_of_whisper_by_local_changes_nearly_equals_that_by_whole_segments(network):
    whole = classifier_of(network, front_end=Whisper.front_end)
    local = classifier_of(network, front_end=Whisper.front_end)
    whole.score_local_changes = None
    whole.shift = local.shift = np.array([0.5, 0, 0, -0.5], np.float32)  # like a voice's own normal
    target = target_of_log_mel(random_log_mel(120))
    settings = OcclusionSettings(16, 32, 16, 32)
    maps = [occlusion(one, target, settings, 0, UNWATCHED).relevance(target) for one in (whole, local)]
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.95
    np.testing.assert_allclose(maps[0], maps[1], atol=0.2 * np.abs(maps[0]).max())
