from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import Cancelled, SettingsRefused
from ser_core.learning.augmentation import UNCHANGED, AugmentationSettings, augment, mixup
from ser_core.learning.batches import autocast, features_of, logits_of, sampling_weights
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.plan import PAPER, TrainingSettings
from ser_core.learning.training import _targets, label_loss, train_network
from ser_core.work.progress import Work
from tests.tiny_networks import TinyNetwork, never

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


def fresh_network(dropout=0.2):
    torch.manual_seed(5)
    return TinyNetwork(2, dropout)


def train(network, dataset, held_out, state, settings=SETTINGS, seed=1, stop=never, teacher=None):
    return train_network(network, dataset, held_out, EMOTIONS, settings, seed, state, OFFSET, Work(stop=stop), teacher)


class StopAt:
    """Report a cancellation from the given call on; every batch calls once."""

    def __init__(self, target):
        self.left = target

    def __call__(self):
        self.left -= 1
        return self.left <= 0


def without_seconds(history):
    """Return a history without the time that it took."""
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in history]


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


# torch does not know that a restored optimiser has already taken steps.
@pytest.mark.parametrize(
    "target", [7, 9, 13]
)  # 6 batches per epoch: at the start and in the middle of the second, and before the third
def test_a_run_that_was_stopped_and_resumed_ends_with_the_very_same_weights(dataset, held_out, tmp_path, target):
    straight, resumed = fresh_network(), fresh_network()
    history = train(straight, dataset, held_out, tmp_path / "straight.safetensors")
    state = tmp_path / "resumed.safetensors"
    with pytest.raises(Cancelled):
        train(resumed, dataset, held_out, state, stop=StopAt(target))
    torch.manual_seed(99)
    resumed = TinyNetwork(2)  # like another process: only the state is left
    assert without_seconds(train(resumed, dataset, held_out, state)) == without_seconds(history)
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
        train(fresh_network(), dataset, held_out, tmp_path / "runs" / "state.safetensors", stop=StopAt(3))
    assert list(tmp_path.rglob("*")) == []


def test_a_finished_run_is_not_trained_again(dataset, held_out, tmp_path):
    first, second = fresh_network(), TinyNetwork(2)
    history = train(first, dataset, held_out, tmp_path / "state.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.json", "state.safetensors"]
    assert train(second, dataset, held_out, tmp_path / "state.safetensors", stop=StopAt(1)) == history
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

    # It starts with swapped labels, is validated on those, and unlearns them.
    network, wrong = fresh_network(), upside_down(held_out)
    train(network, upside_down(dataset), wrong, tmp_path / "before.safetensors", replace(SETTINGS, epochs=2))
    slowly = replace(SETTINGS, epochs=6, rate=1e-3, head_rate=1e-3)
    history = train(network, dataset, wrong, tmp_path / "state.safetensors", slowly)
    assert history[0]["validation_uar"] == 1.0
    assert history[-1]["validation_uar"] < 0.5
    assert [z.mean(axis=0).argmax() for z in logits_of(network, wrong)] == [entry.label for entry in wrong]


def test_logits_and_features_of_recordings_are_those_of_their_own_segments(dataset):
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


# --- batches of an epoch, learning rates and losses ---

ALL_SEGMENTS = replace(SETTINGS, segments_per_recording=None, augmentation=UNCHANGED)


@pytest.fixture
def batches(monkeypatch):
    """The unaugmented batches of a training, as (segments, targets)."""
    seen = []

    def remember(segments, targets, settings):
        seen.append((segments.clone(), targets.clone()))
        return segments, targets

    monkeypatch.setattr("ser_core.learning.training.mixup", remember)
    return seen


def numbered(counts):
    """Recordings with given numbers of segments; band 0 has the recording's number, band 1 the frame's."""
    recordings = []
    for number, count in enumerate(counts):
        log_mel = np.zeros((96 + 48 * (count - 1), 64))
        log_mel[:, 0], log_mel[:, 1] = number, np.arange(len(log_mel))
        recordings.append(replace(labelled(number, number % 2, log_mel=log_mel), start_frames=48 * np.arange(count)))
    return recordings


def segment_origins(batches):
    """Return recording and position of the segments of some batches."""
    return [(round(s[0, 0, 0].item()), round(s[0, 0, 1].item())) for segments, _ in batches for s in segments]


def test_all_segments_are_taken_exactly_once_an_epoch_and_in_another_order_each_time(held_out, tmp_path, batches):
    counts = (1, 5, 2, 4, 3, 1)
    train(fresh_network(), numbered(counts), held_out, tmp_path / "state.safetensors", replace(ALL_SEGMENTS, epochs=2))
    assert [len(segments) for segments, _ in batches] == [8, 8] * 2
    first, second = segment_origins(batches[:2]), segment_origins(batches[2:])
    everything = [(number, 48 * place) for number, count in enumerate(counts) for place in range(count)]
    assert sorted(first) == sorted(second) == everything
    assert first != second


def test_segments_that_fill_no_batch_wait_for_another_epoch_and_none_is_taken_twice(held_out, tmp_path, batches):
    counts = (3, 5, 2, 4, 3, 2)
    train(fresh_network(), numbered(counts), held_out, tmp_path / "state.safetensors", replace(ALL_SEGMENTS, epochs=8))
    assert [len(segments) for segments, _ in batches] == [8, 8] * 8
    epochs = [segment_origins(batches[start : start + 2]) for start in range(0, 16, 2)]
    assert all(len(set(epoch)) == 16 for epoch in epochs)
    assert len(set().union(*epochs)) == sum(counts) == 19


def test_fewer_segments_than_a_batch_are_one_batch(held_out, tmp_path, batches):
    train(fresh_network(), numbered((2, 3)), held_out, tmp_path / "state.safetensors", replace(ALL_SEGMENTS, epochs=1))
    assert sorted(segment_origins(batches)) == [(0, 0), (0, 48), (1, 0), (1, 48), (1, 96)]


@pytest.fixture
def rates(monkeypatch):
    """The rates of the body and of the head at every step of a training."""
    seen = []

    class Recording(torch.optim.AdamW):
        def step(self, closure=None):
            seen.append(tuple(group["lr"] for group in self.param_groups))
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Recording)
    return seen


def test_without_warm_up_and_with_the_peak_as_its_end_the_rate_stays_as_it_is(dataset, held_out, tmp_path, rates):
    settings = replace(SETTINGS, warm_up_share=0.0, final_rate_share=1.0, augmentation=UNCHANGED)
    train(fresh_network(), dataset, held_out, tmp_path / "state.safetensors", settings)
    assert rates == [(2e-3, 5e-3)] * 18


@pytest.mark.parametrize("end", [0.0, 0.25])
def test_the_rate_warms_up_to_its_peak_and_falls_as_half_a_cosine_to_its_end(dataset, held_out, tmp_path, rates, end):
    settings = replace(SETTINGS, final_rate_share=end, warm_up_share=0.2, augmentation=UNCHANGED)
    train(fresh_network(), dataset, held_out, tmp_path / "state.safetensors", settings)
    warm_up = [1 / 3, 2 / 3, 1]  # a fifth of 18 steps
    falling = end + (1 - end) * (1 + np.cos(np.pi * np.arange(15) / 15)) / 2
    np.testing.assert_allclose(np.array(rates) / [2e-3, 5e-3], np.outer([*warm_up, *falling], [1, 1]))


def test_with_default_settings_the_rate_ends_near_zero(dataset, held_out, tmp_path, rates):
    settings = TrainingSettings(epochs=10, batch=8, augmentation=UNCHANGED)
    train(fresh_network(), dataset, held_out, tmp_path / "state.safetensors", settings)
    body, head = np.array(rates).T
    assert len(body) == 30
    assert body.max() == TrainingSettings().rate
    assert head.max() == TrainingSettings().head_rate
    assert 0 < body[-1] < 0.01 * body.max()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_thelabel_loss_is_torchs_own_where_all_segments_are_labelled(smoothing):
    torch.manual_seed(0)
    logits, labels = torch.randn(10, 4) * 3, torch.arange(10) % 4
    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(label_loss(logits, _targets(labels, 4), smoothing), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_thelabel_loss_is_that_of_the_labelled_segments_alone_and_its_gradient_too(smoothing):
    torch.manual_seed(0)
    logits, labels = (torch.randn(10, 4) * 3).requires_grad_(), torch.arange(10) % 4
    labels[[1, 4, 5]] = -1
    loss = label_loss(logits, _targets(labels, 4), smoothing)
    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing, ignore_index=-1)
    torch.testing.assert_close(loss, expected)
    (gradient,), (wanted,) = torch.autograd.grad(loss, logits), torch.autograd.grad(expected, logits)
    torch.testing.assert_close(gradient, wanted)
    assert torch.equal(gradient[[1, 4, 5]], torch.zeros(3, 4))


def test_a_batch_in_which_nothing_is_labelled_has_nolabel_loss():
    assert label_loss(torch.randn(5, 4), _targets(torch.full((5,), -1), 4), 0.1) == 0


def test_a_segment_that_is_half_mixed_with_an_unlabelled_one_counts_half():
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    targets = torch.tensor([[0.5, 0.0], [0.0, 1.0]])
    # By hand: -0.5 log softmax(2, 0)[0] - log 0.5, over one and a half segments.
    expected = (0.5 * np.log(1 + np.exp(-2)) + np.log(2)) / 1.5
    assert label_loss(logits, targets, 0.0).item() == pytest.approx(expected)


def test_with_the_papers_settings_a_network_learns_as_with_torchs_adam_alone(dataset, held_out, tmp_path, batches):
    settings = replace(PAPER, epochs=1, batch=8)
    without_seconds, twin = (fresh_network(dropout=0.0).to(memory_format=torch.channels_last) for _ in range(2))
    train(without_seconds, dataset, held_out, tmp_path / "state.safetensors", settings)
    assert len(batches) == 3
    adam = torch.optim.Adam(twin.train().parameters(), lr=0.01)
    for segments, targets in batches:
        with autocast():
            logits = twin(segments.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), targets)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert (twin.conv.weight - fresh_network().conv.weight).abs().max() > 0.01
    for name, tensor in twin.state_dict().items():
        torch.testing.assert_close(without_seconds.state_dict()[name], tensor, rtol=0, atol=1e-6, msg=name)


# --- a teacher ---


def unlabelled(entries):
    return [replace(entry, label=-1) for entry in entries]


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(11)
    return TinyNetwork(2).eval()


def imitate(network, dataset, held_out, state, imitation, teacher, **changes):
    settings = replace(SETTINGS, weight_decay=0.0, augmentation=UNCHANGED, imitation=imitation, **changes)
    return train(network, dataset, held_out, state, settings, teacher=teacher)


def distance_to(teacher, state, entries):
    """Return the cosine distance between a state's projected features and the teacher's."""
    network = TinyNetwork(2).eval()
    with safe_open(state, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    weights = {n.removeprefix("network/"): tensor for n, tensor in tensors.items() if n.startswith("network/")}
    network.load_state_dict(weights)
    segments = torch.tensor(np.concatenate([entry.segments for entry in entries]).astype(np.float32))[:, None]
    with torch.inference_mode():
        imitated = F.linear(
            network.features(network.maps(segments)), tensors["imitator/weight"], tensors["imitator/bias"]
        )
        return 1 - F.cosine_similarity(imitated, teacher.features(teacher.maps(segments))).mean().item()


def test_with_a_teacher_features_of_recordings_it_was_not_shown_come_near_the_teachers(
    dataset, held_out, tmp_path, teacher
):
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    distances = []
    for imitation, epochs in ((0.0, 1), (2.0, 1), (2.0, 5)):
        state = tmp_path / f"{imitation}-{epochs}.safetensors"
        imitate(fresh_network(), dataset, held_out, state, imitation, teacher, epochs=epochs)
        distances.append(distance_to(teacher, state, held_out))
    unheeded, once, often = distances
    assert often < once < 0.5 * unheeded
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_unlabelled_recordings_teach_nothing_without_a_teacher_and_the_body_alone_with_one(
    dataset, held_out, tmp_path, teacher
):
    alone, unheeded, taught = fresh_network(), fresh_network(), fresh_network()
    without = imitate(alone, unlabelled(dataset), held_out, tmp_path / "1.safetensors", 0.0, None)
    imitate(unheeded, unlabelled(dataset), held_out, tmp_path / "2.safetensors", 0.0, teacher)
    imitate(taught, unlabelled(dataset), held_out, tmp_path / "3.safetensors", 2.0, teacher)
    assert [epoch["loss"] for epoch in without] == [0, 0, 0]
    before = dict(fresh_network().named_parameters())
    for network in (alone, unheeded):
        assert all(torch.equal(now, before[name]) for name, now in network.named_parameters())
    changed = {name for name, now in taught.named_parameters() if not torch.equal(now, before[name])}
    assert changed == {"conv.weight", "conv.bias", "bn.weight", "bn.bias"}


def test_with_only_unlabelled_recordings_the_loss_is_the_weighed_distance(dataset, held_out, tmp_path, teacher):
    one, four = (
        imitate(fresh_network(), unlabelled(dataset), held_out, tmp_path / f"{weight}.safetensors", weight, teacher)
        for weight in (1.0, 4.0)
    )
    assert 0 < one[0]["loss"] < 2
    # Adam's steps do not depend on the scale of the loss.
    assert [epoch["loss"] for epoch in four] == pytest.approx([4 * epoch["loss"] for epoch in one], rel=0.1)


@pytest.mark.parametrize("target", [7, 9])
def test_a_run_with_a_teacher_that_was_stopped_and_resumed_ends_with_the_very_same_weights(
    dataset, held_out, tmp_path, teacher, target
):
    recordings = dataset[:8] + unlabelled(dataset[8:])
    settings = replace(SETTINGS, imitation=2.0)
    straight, state = fresh_network(), tmp_path / "resumed.safetensors"
    history = train(straight, recordings, held_out, tmp_path / "straight.safetensors", settings, teacher=teacher)
    with pytest.raises(Cancelled):
        train(fresh_network(), recordings, held_out, state, settings, stop=StopAt(target), teacher=teacher)
    torch.manual_seed(99)
    resumed = TinyNetwork(2)
    assert without_seconds(train(resumed, recordings, held_out, state, settings, teacher=teacher)) == without_seconds(
        history
    )
    assert same_weights(resumed, straight)


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
    loud = segments + 5  # far above the offset, so that the division is precise enough
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
    assert below_db.max() < 11
    assert below_db.min() > -33
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
    assert sounded[:, 0, :10].max() < 1e-3  # there is no sound before the click
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
    torch.testing.assert_close(warped[:, 0, 3], warped[:, 0, 90], rtol=0, atol=1e-4)  # time is unchanged


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
    segments = classes.float().view(-1, 1, 1, 1).expand(16, 1, 96, 64)  # each segment encodes its class
    mixed, mixed_targets = mixup(segments, targets, AugmentationSettings(mixup=1.0))
    torch.testing.assert_close(mixed_targets.sum(dim=1), torch.ones(16))
    assert (mixed_targets >= 0).all()
    assert (mixed_targets[torch.arange(16), classes] >= 0.5 - 1e-6).all()  # each remains mostly unchanged
    assert (mixed_targets.max(dim=1).values < 0.99).any()
    torch.testing.assert_close(mixed[:, 0, 0, 0], mixed_targets @ torch.arange(4.0))


def test_without_mixup_segments_and_targets_stay(segments):
    targets = torch.eye(6)
    mixed, mixed_targets = mixup(segments, targets, UNCHANGED)
    assert torch.equal(mixed, segments)
    assert torch.equal(mixed_targets, targets)
