"""A last layer in closed form: a linear discriminant on features that do not learn, for new and for known voices."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ser_core.errors import SettingsRefused
from ser_core.learning.batches import sampling_weights
from ser_core.learning.dataset import LARGEST_CACHED_BYTES, LabelledSpectrogram
from ser_core.learning.degradation import log_mel_by_phone
from ser_core.learning.network_outputs import features_of, mean_uar
from ser_core.model.scores import recording_probabilities
from ser_core.settings import SpectrogramSettings
from ser_core.work.atomic_folder import atomic_file, read_regular
from ser_core.work.progress import Work

RECORDINGS_AT_ONCE = 16
#: So that a feature that never changes is not divided by nothing.
DEVIATION_FLOOR = 1e-4


@dataclass(frozen=True)
class DiscriminantSettings:
    """How the head follows from the features, each of which has a standard deviation of 1.

    Attributes
    ----------
    shrinkage : float
        Variance that every direction is taken to have within a class beside its own.
    deviation_shrinkage : float
        The same for features that are deviations over time: these differ more between rooms, microphones and ways to
        cut a recording than means do.
    balance : float
        0 counts every recording the same, 1 every corpus and emotion.
    centred_share : float
        Weight of copies of the recordings whose voice's own mean is taken away, beside the recordings as they are: so
        one head serves voices that are known and voices that are not (see `ser_core.model.voice`).
    phone_share : float
        Weight of copies of the recordings as a phone line carries them, beside the recordings as they are.
    """

    shrinkage: float = 0.7
    deviation_shrinkage: float = 5.0
    balance: float = 1.0
    centred_share: float = 0.5
    phone_share: float = 0.1


def fit_discriminant_head(
    network: nn.Module,
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: DiscriminantSettings,
    spectrogram: SpectrogramSettings,
    cache: Path,
    work: Work,
) -> tuple[float, np.ndarray]:
    """Set `network.head` in place; return its UAR on validation, mean over corpora, and the logits to expect.

    The latter, of shape (emotions, classes), are the mean logits of the recordings of each emotion.

    Parameters
    ----------
    network : nn.Module
        Whose last `deviations_count` features (none where it does not say) are deviations over time.
    spectrogram : SpectrogramSettings
        Of the recordings.
    cache : Path
        Holds features of recordings, by the network's weights and what it heard; they are computed once.

    Raises
    ------
    SettingsRefused
        If an emotion has no recording to learn from.
    Cancelled
    """
    if missing := sorted(set(range(len(emotions))) - {entry.label for entry in dataset}):
        raise SettingsRefused(
            f"No recording of {emotions[missing[0]]} is there to learn from. Give a corpus that has some, "
            "or tell fewer emotions apart."
        )
    by_phone = [_by_phone(entry, spectrogram) for entry in dataset] if settings.phone_share else []
    everything = [*dataset, *by_phone, *validation]
    features = _cached_features(network, everything, cache, work)
    means = np.stack([of_recording.mean(axis=0) for of_recording in features[: len(dataset) + len(by_phone)]])
    labels = np.array([entry.label for entry in (*dataset, *by_phone)])
    # By phone a voice has another mean, so that it counts as another voice.
    speakers = np.array([e.item.speaker_id for e in dataset] + [f"{e.item.speaker_id} by phone" for e in by_phone])
    weights, phone = sampling_weights(dataset, settings.balance), settings.phone_share
    weights = np.concatenate([(1 - phone) * weights, phone * weights]) if by_phone else weights
    share = settings.centred_share
    shrinkage = np.full(means.shape[1], settings.shrinkage)
    shrinkage[means.shape[1] - getattr(network, "deviations_count", 0) :] = settings.deviation_shrinkage
    weight, bias = discriminant(
        np.concatenate([means, without_voices(means, speakers)]),
        np.tile(labels, 2),
        np.concatenate([(1 - share) * weights, share * weights]),
        shrinkage,
    )
    logits = means[: len(dataset)] @ weight.T + bias
    expected = np.stack(
        [
            np.average(logits[of_class], axis=0, weights=weights[: len(dataset)][of_class])
            for of_class in (labels[: len(dataset)] == c for c in range(len(emotions)))
        ]
    )
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))
    held_out = features[len(everything) - len(validation) :]
    probabilities = np.stack([recording_probabilities(f @ weight.T + bias, 1.0, "logits") for f in held_out])
    return mean_uar(probabilities, validation, emotions), expected


def _by_phone(entry: LabelledSpectrogram, spectrogram: SpectrogramSettings) -> LabelledSpectrogram:
    log_mel = log_mel_by_phone(entry.log_mel.astype(np.float32), spectrogram)
    return replace(entry, log_mel=log_mel.astype(entry.log_mel.dtype))


def without_voices(features: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Return features (recordings, features) with the mean of each speaker moved to the mean of all."""
    names, speaker_of = np.unique(speakers, return_inverse=True)
    own = np.stack([features[speaker_of == number].mean(axis=0) for number in range(len(names))])
    return features - own[speaker_of] + features.mean(axis=0)


def discriminant(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, shrinkage: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (classes, features) and bias (classes,) of Fisher's linear discriminant, all classes as likely.

    Parameters
    ----------
    features : ndarray of shape (recordings, features)
    labels : ndarray of shape (recordings,), int
        From 0; each has a recording.
    weights : ndarray of shape (recordings,)
        How much each recording counts; sums to 1.
    shrinkage : float or ndarray of shape (features,)
        Added to the variance that a feature, scaled to a standard deviation of 1, has within a class.

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


def _cached_features(
    network: nn.Module,
    dataset: Sequence[LabelledSpectrogram],
    cache: Path,
    work: Work,
) -> list[np.ndarray]:
    """Return the features (segments, features) of each recording."""
    cache.mkdir(parents=True, exist_ok=True)
    body = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        if not name.startswith("head."):
            body.update(name.encode() + tensor.numpy().tobytes())
    found = []
    for start in range(0, len(dataset), RECORDINGS_AT_ONCE):
        work.check("Training was stopped; the features so far are saved and it can be resumed.")
        work.report(start / len(dataset), f"Computing features of recording {start} of {len(dataset)}")
        part = dataset[start : start + RECORDINGS_AT_ONCE]
        files = [cache / _name(body.hexdigest(), entry) for entry in part]
        stored = [_read(file, len(entry.start_frames)) for file, entry in zip(files, part, strict=True)]
        missing = [place for place, features in enumerate(stored) if features is None]
        if missing:
            computed = features_of(network, [part[place] for place in missing])
            for place, features in zip(missing, computed, strict=True):
                stored[place] = features.astype(np.float16)
                with atomic_file(files[place]) as half_written, half_written.open("wb") as file:
                    np.save(file, stored[place])
        found += [features.astype(np.float32) for features in stored]
    return found


def _name(body: str, entry: LabelledSpectrogram) -> str:
    what = hashlib.sha256(f"{body} {entry.start_frames.tolist()} {entry.segment_frames}".encode())
    what.update(entry.log_mel.tobytes())
    return f"{what.hexdigest()[:32]}.npy"


def _read(file: Path, segments: int) -> np.ndarray | None:
    with suppress(OSError, ValueError, EOFError):  # not there, or damaged
        features = np.load(BytesIO(read_regular(file, LARGEST_CACHED_BYTES)))
        return features if len(features) == segments and np.isfinite(features).all() else None
    return None
