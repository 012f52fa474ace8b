"""A last layer in closed form: a linear discriminant on features that do not learn, for new and for known voices."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ser_core.errors import SettingsRefused
from ser_core.learning.augmentation import AugmentationSettings, augment
from ser_core.learning.batches import as_batch, sampling_weights
from ser_core.learning.dataset import LARGEST_CACHED_BYTES, LabelledSpectrogram
from ser_core.learning.network_outputs import features_of, mean_uar
from ser_core.model.scores import mean_probabilities
from ser_core.work.atomic_folder import atomic_file, read_regular
from ser_core.work.progress import Work

RECORDINGS_AT_ONCE = 16
#: So that a feature that never changes is not divided by nothing.
DEVIATION_FLOOR = 1e-4

#: How segments are changed, what the draw depends on beside the recording, and the offset in the logarithm.
Change = tuple[AugmentationSettings, str, float]


@dataclass(frozen=True)
class DiscriminantSettings:
    """How the head follows from the features, each of which has a standard deviation of 1.

    Attributes
    ----------
    shrinkage : float
        Variance that every direction is taken to have within a class beside its own.
    balance : float
        0 counts every recording the same, 1 every corpus and emotion.
    centred_share : float
        Weight of copies of the recordings whose voice's own mean is taken away, beside the recordings as they are: so
        one head serves voices that are known and voices that are not (see `ser_core.model.voice`).
    augmented_copies : int
        How many changed copies of each segment are learnt from beside it.
    augmentation : AugmentationSettings
        How they are changed; nothing is shifted or mixed.
    """

    shrinkage: float = 1.0
    balance: float = 1.0
    centred_share: float = 0.5
    augmented_copies: int = 0
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)


def fit_discriminant_head(
    network: nn.Module,
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: DiscriminantSettings,
    seed: int,
    log_offset: float,
    cache: Path,
    work: Work,
) -> tuple[float, np.ndarray]:
    """Set `network.head` in place; return its UAR on validation, mean over corpora, and the logits to expect.

    The latter, of shape (emotions, classes), are the mean logits of the recordings of each emotion.

    Parameters
    ----------
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
    changes = [(settings.augmentation, f"{seed}, copy {copy}", log_offset) for copy in range(settings.augmented_copies)]
    rounds = [(dataset, None), *((dataset, change) for change in changes), (validation, None)]
    features, recordings = [], sum(len(part) for part, _ in rounds)
    for part, change in rounds:
        of_part = work.part(sum(map(len, features)) / len(part), recordings / len(part))
        features.append(_cached_features(network, part, change, cache, of_part))
    *learnt_from, held_out = features
    means = np.stack([of_recording.mean(axis=0) for of_round in learnt_from for of_recording in of_round])
    labels = np.tile([entry.label for entry in dataset], len(learnt_from))
    speakers = np.tile([entry.item.speaker_id for entry in dataset], len(learnt_from))
    weights = np.tile(sampling_weights(dataset, settings.balance), len(learnt_from)) / len(learnt_from)
    share = settings.centred_share
    weight, bias = discriminant(
        np.concatenate([means, without_voices(means, speakers)]),
        np.tile(labels, 2),
        np.concatenate([(1 - share) * weights, share * weights]),
        settings.shrinkage,
    )
    expected = np.stack(
        [
            np.average((means @ weight.T + bias)[labels == c], axis=0, weights=weights[labels == c])
            for c in range(len(emotions))
        ]
    )
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))
    probabilities = np.stack([mean_probabilities(f @ weight.T + bias, 1.0) for f in held_out])
    return mean_uar(probabilities, validation, emotions), expected


def without_voices(features: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Return features (recordings, features) with the mean of each speaker moved to the mean of all."""
    names, speaker_of = np.unique(speakers, return_inverse=True)
    own = np.stack([features[speaker_of == number].mean(axis=0) for number in range(len(names))])
    return features - own[speaker_of] + features.mean(axis=0)


def discriminant(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (classes, features) and bias (classes,) of Fisher's linear discriminant, all classes as likely.

    Parameters
    ----------
    features : ndarray of shape (recordings, features)
    labels : ndarray of shape (recordings,), int
        From 0; each has a recording.
    weights : ndarray of shape (recordings,)
        How much each recording counts; sums to 1.

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
    change: Change | None,
    cache: Path,
    work: Work,
) -> list[np.ndarray]:
    """Return the features (segments, features) of each recording, changed where so told."""
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
        files = [cache / _name(body.hexdigest(), entry, change) for entry in part]
        stored = [_read(file, len(entry.start_frames)) for file, entry in zip(files, part, strict=True)]
        missing = [place for place, features in enumerate(stored) if features is None]
        if missing:
            heard = [part[place] if change is None else _changed(part[place], *change) for place in missing]
            for place, features in zip(missing, features_of(network, heard), strict=True):
                stored[place] = features.astype(np.float16)
                with atomic_file(files[place]) as half_written, half_written.open("wb") as file:
                    np.save(file, stored[place])
        found += [features.astype(np.float32) for features in stored]
    return found


def _name(body: str, entry: LabelledSpectrogram, change: Change | None) -> str:
    what = hashlib.sha256(f"{body} {change} {entry.start_frames.tolist()} {entry.segment_frames}".encode())
    what.update(entry.log_mel.tobytes())
    return f"{what.hexdigest()[:32]}.npy"


def _read(file: Path, segments: int) -> np.ndarray | None:
    with suppress(OSError, ValueError, EOFError):  # not there, or damaged
        features = np.load(BytesIO(read_regular(file, LARGEST_CACHED_BYTES)))
        return features if len(features) == segments and np.isfinite(features).all() else None
    return None


def _changed(
    entry: LabelledSpectrogram, augmentation: AugmentationSettings, drawn_by: str, log_offset: float
) -> LabelledSpectrogram:
    """Return a recording whose segments are changed, one after the other; the same whenever drawn alike."""
    drawn = hashlib.sha256(f"{entry.sha256} {drawn_by}".encode()).digest()
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(drawn[:4], "big"))
        changed = augment(as_batch(list(entry.segments)), augmentation, log_offset)[:, 0].numpy()
    starts = np.arange(len(changed)) * entry.segment_frames
    return replace(entry, log_mel=changed.reshape(-1, changed.shape[2]).astype(np.float16), start_frames=starts)
