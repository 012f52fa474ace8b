"""A model's features of whole recordings, computed once for each recording and model."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ser_core.analysis import Recording
from ser_core.annotations.corpus_map.saved_features import FeatureFolder, RecordingFeatures
from ser_core.audio.voice_activity import detect_speech, speech_seconds
from ser_core.errors import AudioRefused, ModelRefused
from ser_core.front_end.selection import segments_of_recording
from ser_core.model.checkpoint import ARCHITECTURES, read_card
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.scores import recording_probabilities
from ser_core.model.shipped_models import find_model
from ser_core.pipeline import SEGMENTS_AT_ONCE
from ser_core.work.progress import UNWATCHED, Work


def require_features(model: str) -> None:
    """Refuse a model without features.

    Raises
    ------
    ModelRefused
        If it is no network of this project, or is not there.
    """
    if read_card(find_model(model)).get("architecture") not in ARCHITECTURES:
        raise ModelRefused(
            f"{Path(model).name} has no features to lay recordings out by. Choose a network, such as whisper or fusion."
        )


def features_of(recording: Recording, classifier: NetworkClassifier, work: Work = UNWATCHED) -> RecordingFeatures:
    """Return a model's features and probabilities of a recording; the latter are those of `classify_recording`."""
    segments = segments_of_recording(recording, classifier.front_end)
    values = segments.values[segments.selected]
    parts = []
    for start in range(0, len(values), SEGMENTS_AT_ONCE):
        work.check()
        parts.append(classifier.score_with_features(values[start : start + SEGMENTS_AT_ONCE]))
    logits, features = (np.concatenate(part) for part in zip(*parts, strict=True))
    probabilities = recording_probabilities(logits, classifier.temperature, classifier.pooling)
    speech_s = speech_seconds(recording, detect_speech(recording))
    return RecordingFeatures(features.mean(axis=0), probabilities.astype(np.float32), speech_s)


def features_of_all(
    sha256: Sequence[str],
    sound_of: Callable[[str], Recording | None],
    classifier: NetworkClassifier,
    data: Path,
    work: Work = UNWATCHED,
) -> dict[str, RecordingFeatures]:
    """Return the features of recordings by SHA-256, without those whose sound is missing or cannot be read.

    Parameters
    ----------
    sound_of : callable
        From a SHA-256 to a recording, or None; called only for features that are not saved yet.
    data : Path
        The data folder.

    Raises
    ------
    Cancelled
        Features that were computed before stay saved.
    """
    folder, found = FeatureFolder(data, classifier.sha256, len(classifier.emotions)), {}
    for number, recording_sha256 in enumerate(sha256):
        work.check("Stopped; what was computed until then is kept.")
        features = folder.load(recording_sha256)
        if features is None:
            work.report(number / len(sha256), f"Recording {number + 1} of {len(sha256)}")
            with suppress(AudioRefused):
                recording = sound_of(recording_sha256)
                features = None if recording is None else features_of(recording, classifier, work)
            if features is None:
                continue
            folder.save(recording_sha256, features)
        found[recording_sha256] = features
    return found
