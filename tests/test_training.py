from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import Cancelled, SettingsRefused
from ser_core.learning.augmentation import UNCHANGED, AugmentationSettings, augment, mixup
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.training import TrainingSettings, features_of, logits_of, sampling_weights, train_network
from tests.tiny_networks import TinyNetwork, never, silent_progress

EMOTIONS = ("angry", "sad")
OFFSET = 0.001
SETTINGS = TrainingSettings(epochs=3, batch=8, rate=2e-3, head_rate=5e-3, segments_per_recording=4, averaging=0.9)


def labelled(number, label, corpus="toy", log_mel=None):
    """A recording of two segments; angry ones are strong in the high bands, sad ones in the low ones."""
    if log_mel is None:
        rng = np.random.default_rng(number)
        log_mel = rng.normal(size=(144, 64)) * 0.7 - 5
        log_mel[:, 32:] += 3 * (label == 0)
        log_mel[:, :32] += 3 * (label == 1)
    item = LabelledRecording(Path(f"{number}.wav"), corpus, f"s{number % 3}", EMOTIONS[label], "text", "en")
    return LabelledSpectrogram(item, f"{number:064x}", log_mel.astype(np.float16), np.array([0, 48]), 2, label)


@pytest.fixture(scope="module")
def dataset():
    return [labelled(number, number % 2) for number in range(12)]


@pytest.fixture(scope="module")
def held_out():
    return [labelled(100 + number, number % 2) for number in range(6)]


def fresh_network():
    torch.manual_seed(5)
    return TinyNetwork(2)


def train(network, dataset, held_out, state, settings=SETTINGS, seed=1, cancelled=never):
    return train_network(
        network, dataset, held_out, EMOTIONS, settings, seed, state, OFFSET, silent_progress, cancelled
    )


class StopAt:
    """Say that the person cancelled from the given question on: every batch asks once."""

    def __init__(self, question):
        self.left = question

    def __call__(self):
        self.left -= 1
        return self.left <= 0


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_training_tells_two_separable_classes_apart_and_its_loss_falls(dataset, held_out, tmp_path):
    network = fresh_network()
    before = [z.mean(axis=0).argmax() for z in logits_of(network, held_out)]
    history = train(network, dataset, held_out, tmp_path / "state.safetensors", replace(SETTINGS, epochs=5))
    after = [z.mean(axis=0).argmax() for z in logits_of(network, held_out)]
    labels = [entry.label for entry in held_out]
    assert before != labels
    assert after == labels
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4, 5]
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert history[-1]["validation_uar"] == 1.0


# torch cannot know that a restored optimiser has taken its steps before.
@pytest.mark.parametrize(
    "question", [7, 9, 13]
)  # 6 batches an epoch: at the start and amid the second, before the third
def test_a_run_that_was_stopped_and_resumed_ends_with_the_very_same_weights(dataset, held_out, tmp_path, question):
    straight, resumed = fresh_network(), fresh_network()
    history = train(straight, dataset, held_out, tmp_path / "straight.safetensors")
    state = tmp_path / "resumed.safetensors"
    with pytest.raises(Cancelled):
        train(resumed, dataset, held_out, state, cancelled=StopAt(question))
    torch.manual_seed(99)
    resumed = TinyNetwork(2)  # another process: nothing is left but the state
    assert train(resumed, dataset, held_out, state) == history
    assert same_weights(resumed, straight)


def test_another_seed_ends_with_other_weights(dataset, held_out, tmp_path):
    one, other, again = fresh_network(), fresh_network(), fresh_network()
    settings = replace(SETTINGS, epochs=1)
    train(one, dataset, held_out, tmp_path / "1.safetensors", settings)
    train(other, dataset, held_out, tmp_path / "2.safetensors", settings, seed=2)
    train(again, dataset, held_out, tmp_path / "3.safetensors", settings)
    assert not same_weights(one, other)
    assert same_weights(one, again)


def test_a_run_stopped_in_its_first_epoch_leaves_no_state(dataset, held_out, tmp_path):
    with pytest.raises(Cancelled, match="resumed"):
        train(fresh_network(), dataset, held_out, tmp_path / "runs" / "state.safetensors", cancelled=StopAt(3))
    assert list(tmp_path.rglob("*")) == []


def test_a_finished_run_is_not_trained_again(dataset, held_out, tmp_path):
    first, second = fresh_network(), TinyNetwork(2)
    history = train(first, dataset, held_out, tmp_path / "state.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.json", "state.safetensors"]
    assert train(second, dataset, held_out, tmp_path / "state.safetensors", cancelled=StopAt(1)) == history
    assert same_weights(first, second)


@pytest.mark.parametrize("change", ["settings", "seed", "recordings"])
def test_a_state_of_another_training_is_refused(dataset, held_out, tmp_path, change):
    settings, state = replace(SETTINGS, epochs=1), tmp_path / "state.safetensors"
    train(fresh_network(), dataset, held_out, state, settings)
    other = {
        "settings": (dataset, replace(settings, augmentation=UNCHANGED), 1),
        "seed": (dataset, settings, 2),
        "recordings": (dataset[:10], settings, 1),
    }
    wanted, settings, seed = other[change]
    with pytest.raises(SettingsRefused, match=r"state\.safetensors belongs to a training with other settings"):
        train(fresh_network(), wanted, held_out, state, settings, seed)


def test_the_network_ends_with_the_weights_of_its_best_validated_epoch_and_not_of_its_last(dataset, held_out, tmp_path):
    def upside_down(entries):
        return [replace(entry, label=1 - entry.label) for entry in entries]

    # It begins knowing the labels upside down, is validated on those, and unlearns them.
    network, wrong = fresh_network(), upside_down(held_out)
    train(network, upside_down(dataset), wrong, tmp_path / "before.safetensors", replace(SETTINGS, epochs=2))
    slowly = replace(SETTINGS, epochs=6, rate=1e-3, head_rate=1e-3)
    history = train(network, dataset, wrong, tmp_path / "state.safetensors", slowly)
    assert history[0]["validation_uar"] == 1.0
    assert history[-1]["validation_uar"] < 0.5
    assert [z.mean(axis=0).argmax() for z in logits_of(network, wrong)] == [entry.label for entry in wrong]


def test_logits_and_features_of_recordings_are_those_of_their_own_kept_segments(dataset):
    network = fresh_network().eval()
    few = [dataset[0], replace(dataset[1], start_frames=np.array([20])), dataset[2]]
    logits, features = logits_of(network, few), features_of(network, few)
    assert [z.shape for z in logits] == [(2, 2), (1, 2), (2, 2)]
    assert [f.shape for f in features] == [(2, 384), (1, 384), (2, 384)]
    segment = torch.tensor(few[1].log_mel[20:116].astype(np.float32))[None, None]
    with torch.inference_mode():
        np.testing.assert_allclose(logits[1], network(segment).numpy(), atol=0.05)  # computed in bfloat16


def test_sampling_weights_are_what_is_worked_out_by_hand():
    groups = [("a", 0), ("a", 0), ("a", 0), ("a", 1), ("b", 0), ("b", 0)]
    entries = [labelled(number, label, corpus) for number, (corpus, label) in enumerate(groups)]
    np.testing.assert_allclose(sampling_weights(entries, 0), [1 / 6] * 6)
    np.testing.assert_allclose(sampling_weights(entries, 1), [1 / 9, 1 / 9, 1 / 9, 1 / 3, 1 / 6, 1 / 6])
    half = np.array([3, 3, 3, 1, 2, 2]) ** -0.5
    np.testing.assert_allclose(sampling_weights(entries, 0.5), half / half.sum())


# --- augmentation ---


@pytest.fixture
def segments():
    torch.manual_seed(0)
    return (torch.randn(6, 1, 96, 64) * 1.5 - 3).clamp_min(float(np.log(OFFSET)))


def augmented(segments, **on):
    torch.manual_seed(7)
    return augment(segments, replace(UNCHANGED, **on), OFFSET)


def test_augmentation_with_everything_off_changes_nothing(segments):
    torch.testing.assert_close(augmented(segments), segments, rtol=0, atol=1e-5)


def test_augmentation_is_the_same_for_the_same_seed_and_leaves_its_input_alone(segments):
    before = segments.clone()
    one = augment_all(segments, 3)
    assert torch.equal(one, augment_all(segments, 3))
    assert not torch.equal(one, augment_all(segments, 4))
    assert one.shape == segments.shape
    assert torch.equal(segments, before)
    assert torch.isfinite(one).all()


def augment_all(segments, seed):
    torch.manual_seed(seed)
    return augment(segments, AugmentationSettings(), OFFSET)


def test_gain_multiplies_each_segments_magnitude_by_one_number_of_at_most_so_many_decibels(segments):
    loud = segments + 5  # far above the offset, so that dividing is exact enough
    ratio = (augmented(loud, gain_db=10.0).exp() - OFFSET) / (loud.exp() - OFFSET)
    gains_db = 20 * torch.log10(ratio).flatten(1)
    torch.testing.assert_close(gains_db, gains_db[:, :1].expand_as(gains_db), rtol=0, atol=1e-2)
    assert gains_db.abs().max() <= 10.01
    assert gains_db[:, 0].min() < -1
    assert gains_db[:, 0].max() > 1


def test_gain_leaves_digital_silence_silent():
    silence = torch.full((4, 1, 96, 64), OFFSET).log()
    torch.testing.assert_close(augmented(silence, gain_db=10.0), silence, rtol=0, atol=1e-4)


def test_another_microphone_colours_all_frames_of_a_segment_alike_and_smoothly_over_the_bands(segments):
    loud = segments + 5
    change_db = 20 * torch.log10((augmented(loud, equaliser_db=6.0).exp() - OFFSET) / (loud.exp() - OFFSET))
    torch.testing.assert_close(change_db, change_db[:, :, :1].expand_as(change_db), rtol=0, atol=1e-2)
    curves = change_db[:, 0, 0]
    assert curves.abs().max() <= 6 * (1 + 1 / 2 + 1 / 3) + 0.01
    assert (curves.max(dim=1).values - curves.min(dim=1).values).min() > 0.5
    assert curves.diff(dim=1).abs().max() < 1  # three slow cosines: no jump between neighbours
    assert (curves - curves[:1])[1:].abs().max() > 1  # each segment has its own


def test_noise_is_added_to_some_segments_and_never_takes_away():
    torch.manual_seed(1)
    many = torch.randn(200, 1, 96, 64) - 1
    noisy = augmented(many, noise=0.5)
    louder = noisy.exp() - many.exp()
    assert louder.min() > -1e-4
    changed = louder.flatten(1).max(dim=1).values > 1e-3
    assert 0.35 < changed.float().mean() < 0.65
    torch.testing.assert_close(noisy[~changed], many[~changed], rtol=0, atol=1e-3)
    below_db = 20 * torch.log10(louder[changed].mean(dim=(1, 2, 3)) / (many[changed].exp()).mean(dim=(1, 2, 3)))
    assert below_db.max() < 0
    assert below_db.min() > -38
    assert below_db.max() - below_db.min() > 20


def test_in_a_room_a_click_dies_away_exponentially_within_its_own_band():
    torch.manual_seed(1)
    clicks = torch.full((200, 1, 96, 64), 1e-6)
    clicks[:, :, 10, 20] = 100.0
    sounded = augmented((clicks + OFFSET).log(), reverberation=0.5).exp() - OFFSET
    in_a_room = sounded[:, 0, 20, 20] > 0.01
    assert 0.35 < in_a_room.float().mean() < 0.65
    torch.testing.assert_close(sounded[~in_a_room], clicks[~in_a_room], rtol=1e-3, atol=1e-3)
    decay_db = 20 * sounded[in_a_room, 0, 11:31, 20].log10().diff(dim=1)
    torch.testing.assert_close(decay_db, decay_db[:, :1].expand_as(decay_db), rtol=0, atol=0.05)
    reverberation_s = 0.010 * 60 / -decay_db[:, 0]
    assert reverberation_s.min() > 0.19
    assert reverberation_s.max() < 1.01
    power = sounded[in_a_room, 0, :, 20] ** 2
    direct, whole = 100.0**2, power.sum(dim=1)
    assert (whole > 1.03 * direct).all()
    assert (whole < 2.01 * direct).all()
    assert sounded[:, 0, :10].max() < 1e-3  # nothing is heard before the click
    assert sounded[:, 0, :, 21].max() < 1e-3


def test_a_phone_line_takes_the_edges_of_the_spectrum_and_leaves_its_middle():
    loud = torch.zeros(200, 1, 96, 64)
    passed = augmented(loud, band_limit=0.5)[:, 0, 0]
    torch.testing.assert_close(passed[:, 13:37], torch.zeros(200, 24), rtol=0, atol=1e-3)
    narrowed = passed.abs().max(dim=1).values > 0.01
    assert 0.35 < narrowed.float().mean() < 0.65
    lost = (passed < -3).sum(dim=1)
    assert lost[~narrowed].max() == 0
    assert lost.max() <= 10 + 24 + 2
    assert lost.max() - lost[narrowed].min() > 15


def test_a_longer_or_shorter_vocal_tract_stretches_the_bands_from_the_lowest_on():
    bands = torch.arange(64.0).expand(20, 1, 96, 64)
    warped = augmented(bands, vocal_tract=0.1)
    scale = warped[:, 0, 0, 21] - warped[:, 0, 0, 20]
    assert (scale - 1).abs().max() <= 0.1 + 1e-4
    assert scale.min() < 0.97
    assert scale.max() > 1.03
    # The lower edge of band 0 stands still, so its middle moves by half of the stretch and band 40 by 40.5 times it.
    assert warped[:, 0, :, 0].abs().max() <= 0.05 + 1e-4
    expected = 40.5 * scale - 0.5
    torch.testing.assert_close(warped[:, 0, 50, 40], expected, rtol=0, atol=1e-3)
    torch.testing.assert_close(warped[:, 0, 3], warped[:, 0, 90], rtol=0, atol=1e-4)  # time is left alone


def test_another_tempo_stretches_time_about_the_middle_and_leaves_the_bands():
    frames = torch.arange(96.0).view(1, 1, 96, 1).expand(20, 1, 96, 64)
    warped = augmented(frames, tempo=0.12)
    scale = warped[:, 0, 61, 0] - warped[:, 0, 60, 0]
    assert (scale - 1).abs().max() <= 0.12 + 1e-4
    assert scale.max() - scale.min() > 0.1
    torch.testing.assert_close(warped[:, 0, 47:49, 5].mean(dim=1), torch.full((20,), 47.5), rtol=0, atol=1e-3)
    torch.testing.assert_close(warped[..., 0], warped[..., 63], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "axis", "longest"), [("time_mask_frames", 0, 20), ("band_mask", 1, 10)])
def test_masks_hide_whole_frames_or_bands_behind_the_segments_mean(segments, name, axis, longest):
    masked = augmented(segments, **{name: longest})
    hidden_somewhere = 0
    for before, after in zip(segments[:, 0], masked[:, 0], strict=True):
        hidden = (after - before.mean()).abs() < 1e-5
        lines = hidden.all(dim=1 - axis)
        assert lines.sum() <= 2 * longest
        kept = ~lines[:, None] if axis == 0 else ~lines[None, :]
        kept = kept.expand_as(before)
        torch.testing.assert_close(after[kept], before[kept], rtol=0, atol=1e-5)
        hidden_somewhere += int(lines.sum() > 0)
    assert hidden_somewhere >= 4


def test_mixed_targets_stay_distributions_and_go_with_the_mixed_segments():
    torch.manual_seed(2)
    classes = torch.arange(16) % 4
    targets = torch.nn.functional.one_hot(classes, 4).float()
    segments = classes.float().view(-1, 1, 1, 1).expand(16, 1, 96, 64)  # each segment says which class it is
    mixed, mixed_targets = mixup(segments, targets, AugmentationSettings(mixup=1.0))
    torch.testing.assert_close(mixed_targets.sum(dim=1), torch.ones(16))
    assert (mixed_targets >= 0).all()
    assert (mixed_targets[torch.arange(16), classes] >= 0.5 - 1e-6).all()  # each stays mostly itself
    assert (mixed_targets.max(dim=1).values < 0.99).any()
    torch.testing.assert_close(mixed[:, 0, 0, 0], mixed_targets @ torch.arange(4.0))


def test_without_mixup_segments_and_targets_stay(segments):
    targets = torch.eye(6)
    mixed, mixed_targets = mixup(segments, targets, UNCHANGED)
    assert torch.equal(mixed, segments)
    assert torch.equal(mixed_targets, targets)
