"""Fit heads on the features of frozen networks, and the map to Whisper's bands, which needs no labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ser_core.audio.reading import read_recording, resample
from ser_core.errors import CorpusRefused
from ser_core.learning.augmentation import log_mel_with_phone_band
from ser_core.learning.batches import cached_features, features_of, mean_uar, sampling_weights
from ser_core.learning.dataset import LabelledSpectrogram, require_every_emotion
from ser_core.learning.plan import DiscriminantSettings
from ser_core.model.networks.late_fusion import LateFusion
from ser_core.model.networks.whisper import RATE_HZ, Whisper, whisper_log_mel
from ser_core.model.scores import recording_probabilities
from ser_core.settings import SpectrogramSettings
from ser_core.work.progress import Work

#: Added to standard deviations, which are zero for constant features, before dividing by them.
DEVIATION_FLOOR = 1e-4
#: The same for standard deviations over few recordings, which may be far too small.
FINE_TUNING_DEVIATION_FLOOR = 1e-2
#: Steps of L-BFGS. The loss is convex; more steps change nothing.
FINE_TUNING_STEPS = 200
#: About 40 000 frames, enough for a map of 5 200 weights; more change nothing.
BANDS_RECORDINGS = 150
#: Ridge penalty per frame, because neighbouring bands are nearly the same.
RIDGE = 1e-5


@dataclass(frozen=True)
class FusionHeadSettings:
    """Hyperparameters of the fusion head. An epoch draws as many segments as the dataset has."""

    epochs: int = 12
    batch: int = 128
    rate: float = 5e-4
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    balance: float = 0.5


def train_fusion_head(
    network: LateFusion,
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: FusionHeadSettings,
    seed: int,
    work: Work,
) -> float:
    """Train `network.head` in place on the branches' features.

    Returns
    -------
    float
        Validation UAR, mean over corpora, of the best epoch; the head ends with its weights.

    Raises
    ------
    Cancelled
    """
    work.report(0.0, "Computing the branches' features")
    features = features_of(network, dataset)
    held_out = [torch.from_numpy(f) for f in features_of(network, validation)]
    counts = [len(f) for f in features]
    inputs = torch.from_numpy(np.concatenate(features))
    labels = torch.from_numpy(np.repeat([entry.label for entry in dataset], counts))
    # Divided by the number of segments, so that long recordings do not count more.
    weights = np.repeat(sampling_weights(dataset, settings.balance) / counts, counts)
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(network.head.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    best, best_uar = {k: v.clone() for k, v in network.head.state_dict().items()}, -1.0
    for epoch in range(settings.epochs):
        network.head.train()
        for indices in np.array_split(
            rng.choice(len(inputs), size=len(inputs), p=weights), max(1, len(inputs) // settings.batch)
        ):
            work.check("Training was stopped; the branches are saved and it can be resumed.")
            loss = F.cross_entropy(
                network.head(inputs[indices]), labels[indices], label_smoothing=settings.label_smoothing
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        uar = _fusion_uar(network, held_out, validation, emotions)
        if uar > best_uar:
            best, best_uar = {k: v.clone() for k, v in network.head.state_dict().items()}, uar
        work.report((epoch + 1) / settings.epochs, f"Fusion head, epoch {epoch + 1} of {settings.epochs}")
    network.head.load_state_dict(best)
    return best_uar


def _fusion_uar(
    network: LateFusion,
    held_out: list[torch.Tensor],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
) -> float:
    network.head.eval()
    with torch.inference_mode():
        probabilities = np.stack([recording_probabilities(network.head(f).numpy(), 1.0) for f in held_out])
    return mean_uar(probabilities, validation, emotions)


def fit_discriminant_head(
    network: nn.Module,
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: DiscriminantSettings,
    spectrogram: SpectrogramSettings,
    cache: Path,
    work: Work,
) -> float:
    """Fit `network.head` in place as a linear discriminant of recordings' mean features.

    Each recording counts twice, unchanged and with its speaker's mean subtracted, so that the head suits unknown
    and known voices.

    Parameters
    ----------
    network : nn.Module
        Its last `deviations_count` features, if it has this attribute, are deviations over time.
    spectrogram : SpectrogramSettings
        Settings of the recordings' spectrograms.
    cache : Path
        Folder of features, named by a hash of the network's weights and its input.

    Returns
    -------
    float
        UAR on validation, mean over corpora.

    Raises
    ------
    SettingsRefused
        If an emotion has no recording to learn from.
    Cancelled
    """
    require_every_emotion(dataset, emotions)
    phone_copies = [_with_phone_band(entry, spectrogram) for entry in dataset] if settings.phone_share else []
    training = [*dataset, *phone_copies]
    features = cached_features(network, [*training, *validation], cache, work)
    means = np.stack([recording.mean(axis=0) for recording in features[: len(training)]])
    labels = np.array([entry.label for entry in training])
    # A voice has a different mean on the phone, so it counts as another speaker.
    speakers = np.array([e.item.speaker_id for e in dataset] + [f"{e.item.speaker_id} by phone" for e in phone_copies])
    weights = sampling_weights(dataset, settings.balance)
    if phone_copies:
        weights = np.concatenate([(1 - settings.phone_share) * weights, settings.phone_share * weights])
    centred_share = settings.centred_share
    shrinkage = np.full(means.shape[1], settings.shrinkage)
    shrinkage[means.shape[1] - getattr(network, "deviations_count", 0) :] = settings.deviation_shrinkage
    weight, bias = discriminant(
        np.concatenate([means, without_speaker_means(means, speakers)]),
        np.tile(labels, 2),
        np.concatenate([(1 - centred_share) * weights, centred_share * weights]),
        shrinkage,
    )
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))
    return _linear_uar(weight, bias, features[len(training) :], validation, emotions)


def _linear_uar(
    weight: np.ndarray,
    bias: np.ndarray,
    held_out: Sequence[np.ndarray],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
) -> float:
    probabilities = np.stack([recording_probabilities(f @ weight.T + bias, 1.0, "logits") for f in held_out])
    return mean_uar(probabilities, validation, emotions)


def fine_tune_head(
    network: nn.Module,
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: DiscriminantSettings,
    cache: Path,
    work: Work,
) -> float:
    """Fit `network.head` further in place, near its present weights, on recordings' mean features.

    Emotions without recordings are allowed; the others have equal weight.

    Returns
    -------
    float
        UAR on validation, mean over corpora.

    Raises
    ------
    Cancelled
    """
    features = cached_features(network, [*dataset, *validation], cache, work)
    means = np.stack([recording.mean(axis=0) for recording in features[: len(dataset)]])
    labels = np.array([entry.label for entry in dataset])
    present_weight, present_bias = network.head.weight.detach().numpy(), network.head.bias.detach().numpy()
    weight, bias = fine_tuned_discriminant(means, labels, present_weight, present_bias, settings.loyalty)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))
    return _linear_uar(weight, bias, features[len(dataset) :], validation, emotions)


def fine_tuned_discriminant(
    features: np.ndarray, labels: np.ndarray, weight: np.ndarray, bias: np.ndarray, loyalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (classes, features) and bias (classes,) of a logistic regression that stays near the present ones.

    The penalty is `loyalty` / 2 times the sum of the squared changes of the weights, for features of mean 0 and
    standard deviation 1, so it matters less with more recordings. All classes with recordings have the same total
    weight.

    Parameters
    ----------
    features : ndarray of shape (recordings, features)
    labels : ndarray of shape (recordings,), int
    """
    centre, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    deviation += FINE_TUNING_DEVIATION_FLOOR
    x = torch.from_numpy((features - centre) / deviation)
    start_logits = torch.from_numpy(features.astype(np.float64) @ weight.T.astype(np.float64) + bias)
    counts = np.bincount(labels, minlength=len(bias))
    balance = torch.from_numpy((len(labels) / np.count_nonzero(counts) / np.maximum(counts, 1))[labels])
    target = torch.from_numpy(labels)
    # The bias changes as the weight of a constant feature, with a small penalty.
    change = torch.zeros(len(bias), x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    penalty = torch.full((x.shape[1] + 1,), loyalty, dtype=torch.float64)
    penalty[-1] /= x.shape[1]
    x = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], dim=1)
    optimiser = torch.optim.LBFGS([change], max_iter=FINE_TUNING_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        errors = F.cross_entropy(start_logits + x @ change.T, target, reduction="none")
        total = (balance * errors).sum() + (penalty * change.square()).sum() / 2
        total.backward()
        return total

    optimiser.step(loss)
    fitted = change.detach().numpy()
    weight_change = fitted[:, :-1] / deviation
    bias_change = fitted[:, -1] - weight_change @ centre
    return (weight + weight_change).astype(np.float32), (bias + bias_change).astype(np.float32)


def _with_phone_band(entry: LabelledSpectrogram, spectrogram: SpectrogramSettings) -> LabelledSpectrogram:
    log_mel = log_mel_with_phone_band(entry.log_mel.astype(np.float32), spectrogram)
    return replace(entry, log_mel=log_mel.astype(entry.log_mel.dtype))


def without_speaker_means(features: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Return features (recordings, features) with each speaker's mean moved to the mean of all recordings."""
    names, speaker_of = np.unique(speakers, return_inverse=True)
    speaker_means = np.stack([features[speaker_of == number].mean(axis=0) for number in range(len(names))])
    return features - speaker_means[speaker_of] + features.mean(axis=0)


def discriminant(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, shrinkage: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (classes, features) and bias (classes,) of Fisher's linear discriminant, with equal priors.

    Parameters
    ----------
    features : ndarray of shape (recordings, features)
    labels : ndarray of shape (recordings,), int
        From 0; every class has a recording.
    weights : ndarray of shape (recordings,)
        Weight of each recording; sums to 1.
    shrinkage : float or ndarray of shape (features,)
        Added to the within-class variance of each feature, scaled to a standard deviation of 1.

    References
    ----------
    Friedman 1989, "Regularized discriminant analysis", for the shrinkage.
    """
    features = features.astype(np.float64)
    centre, deviation = features.mean(axis=0), features.std(axis=0) + DEVIATION_FLOOR
    x = (features - centre) / deviation
    classes = range(labels.max() + 1)
    means = np.stack([np.average(x[labels == c], axis=0, weights=weights[labels == c]) for c in classes])
    within = x - means[labels]
    covariance = (within * weights[:, None]).T @ within
    covariance[np.diag_indices_from(covariance)] += shrinkage
    weight = np.linalg.solve(covariance, means.T).T
    bias = -0.5 * (weight * means).sum(axis=1)
    weight = weight / deviation
    return weight.astype(np.float32), (bias - weight @ centre).astype(np.float32)


def fit_bands(network: Whisper, dataset: Sequence[LabelledSpectrogram]) -> float:
    """Fit `network.bands`, the linear map from our 64 mel bands to Whisper's 80, in place by ridge regression.

    Labels are not used. Which recordings are used depends only on their content, so that all folds of a dataset share
    the same map and the cached features.

    Returns
    -------
    float
        Share of the variance that the map explains.

    Raises
    ------
    CorpusRefused
        If there is no frame to fit it on.
    """
    pairs = [_frame_pairs(entry) for entry in _recordings_for_bands(dataset)]
    if not any(len(ours) for ours, _ in pairs):
        raise CorpusRefused("There is no recording to fit Whisper's bands on. Give a corpus that has some.")
    ours, whispers = (np.concatenate(frames).astype(np.float64) for frames in zip(*pairs, strict=True))
    our_mean, whisper_mean = ours.mean(axis=0), whispers.mean(axis=0)
    x, y = ours - our_mean, whispers - whisper_mean
    moments = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(moments, x.T @ y)
    with torch.no_grad():
        network.bands.weight.copy_(torch.from_numpy(weights.T))
        network.bands.bias.copy_(torch.from_numpy(whisper_mean - our_mean @ weights))
    return float(1 - (y - x @ weights).var() / whispers.var())


def _recordings_for_bands(dataset: Sequence[LabelledSpectrogram]) -> list[LabelledSpectrogram]:
    """Return the same number of recordings from each corpus, the first by SHA-256, which is as good as random."""
    corpora = sorted({entry.item.corpus for entry in dataset})
    by_sha256 = sorted(dataset, key=lambda entry: entry.sha256)
    count_per_corpus = -(-BANDS_RECORDINGS // max(1, len(corpora)))
    chosen = []
    for corpus in corpora:
        chosen += [entry for entry in by_sha256 if entry.item.corpus == corpus][:count_per_corpus]
    return chosen


def _frame_pairs(entry: LabelledSpectrogram) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames of a recording in our bands, and in Whisper's at the same times."""
    recording = read_recording(entry.item.path)
    whispers = whisper_log_mel(resample(recording.samples, recording.sample_rate_hz, RATE_HZ))
    count = max(0, min(len(entry.log_mel), len(whispers) - 2))
    # Our frame i starts at 10 i ms and is centred 12.5 ms later, between Whisper's frames i + 1 and i + 2.
    return entry.log_mel[:count], 0.75 * whispers[1 : count + 1] + 0.25 * whispers[2 : count + 2]
