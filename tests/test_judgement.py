import numpy as np
import pytest

from ser_core.explanation.judgement import FAILS, HOLDS, IN_PART, RANDOM_MAPS, judge
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import LinearClassifier, random_log_mel, target_of_log_mel


def judged(maps, weights, log_mel, seed=0):
    classifier = LinearClassifier(np.stack([weights, 0 * weights, 0 * weights, 0 * weights]))
    target = target_of_log_mel(log_mel)
    return judge(maps, classifier, target, "noise_floor", seed, UNWATCHED)


def speech_like(seed=0):
    """Return a log-mel spectrogram that is quiet except for a loud patch, above a floor that no patch touches."""
    log_mel = np.full((96, 64), -6.0, np.float32)
    log_mel[16:48, 8:24] = -2
    return log_mel + 0.1 * random_log_mel(seed=seed)


def test_a_linear_models_own_weights_pass_the_test_and_their_negative_does_not():
    log_mel = speech_like()
    weights = np.zeros((96, 64))
    weights[16:48, 8:16] = 0.01  # the lower half of the loud patch is evidence for it
    weights[16:48, 16:24] = -0.01  # the upper half evidence against it
    truth = (weights * (log_mel + 6)).astype(np.float32)
    found = judged({"truth": truth, "lie": -truth, "loud": log_mel + 6}, weights, log_mel)
    assert found.of("truth") == HOLDS
    assert found.of("lie") == FAILS
    assert found.curves["truth"].area > found.energy.area > found.curves["lie"].area


def test_a_map_of_loudness_passes_in_part_if_the_model_uses_loudness():
    log_mel = speech_like()
    weights = np.full((96, 64), 1e-4)
    energy = log_mel - np.percentile(log_mel, 5, axis=0)
    found = judged({"loud": energy.astype(np.float32)}, weights, log_mel)
    # It is the energy map itself: no better than that, but much better than chance.
    assert found.curves["loud"].area == pytest.approx(found.energy.area, abs=1e-9)
    assert found.of("loud") == IN_PART


def test_a_map_is_compared_with_the_best_of_several_random_maps():
    log_mel, weights = speech_like(), np.random.default_rng(3).normal(size=(96, 64)) * 0.002
    found = judged({"nothing": np.zeros((96, 64), np.float32)}, weights, log_mel)
    assert len(found.random) == RANDOM_MAPS
    assert len({curves.area for curves in found.random}) == RANDOM_MAPS
    best = max(curves.area for curves in found.random)
    assert (found.of("nothing") == FAILS) == (found.curves["nothing"].area <= best)


def test_a_map_may_have_the_name_of_a_reference():
    log_mel, weights = speech_like(), np.full((96, 64), 1e-4)
    truth = (weights * (log_mel + 6)).astype(np.float32)
    found = judged({"energy": -truth, "random 0": truth}, weights, log_mel)
    assert found.curves["energy"].area < 0 < found.energy.area
    assert set(found.metrics) == {"energy", "random 0"}


def test_the_same_seed_gives_the_same_judgement():
    log_mel, weights = speech_like(), np.full((96, 64), 1e-4)
    maps = {"loud": log_mel}
    one, same, other = (judged(maps, weights, log_mel, seed) for seed in (0, 0, 1))
    assert [c.area for c in one.random] == [c.area for c in same.random]
    assert [c.area for c in one.random] != [c.area for c in other.random]


def test_the_counterfactual_comes_from_the_map_with_the_largest_area():
    log_mel = np.zeros((96, 64), np.float32)
    log_mel[16:48, 8:16] = 4  # 8 cells of 8 frames and 4 bands, each worth 1.25 to the first emotion
    log_mel[64:72, 40:48] = 1
    weights = np.zeros((4, 96, 64))
    weights[0, 16:48, 8:16] = 10 / 1024
    weights[1, 64:72, 40:48] = 3 / 64
    truth = (weights[0] * log_mel).astype(np.float32)
    maps = {"nothing": np.zeros_like(truth), "truth": truth}
    target = target_of_log_mel(log_mel)
    found = judge(maps, LinearClassifier(weights), target, "noise_floor", 0, UNWATCHED)
    # Logits 10 and 3: without six of the eight cells 2.5 remains, and the second emotion is predicted.
    assert found.flip.share == 6 / 192
    assert found.flip.emotion == 1
    assert not found.flip.mask[:, 16:].any()
    assert (
        judge({"nothing": maps["nothing"]}, LinearClassifier(weights), target, "noise_floor", 0, UNWATCHED).flip is None
    )
