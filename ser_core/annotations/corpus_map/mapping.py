"""A map of recordings, computed from their sounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser_core.analysis import Recording
from ser_core.annotations.corpus_map.features import features_of_all
from ser_core.annotations.corpus_map.layout import Layout, by_neighbours, principal_components, without_speaker_means
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.scores import verdict_of
from ser_core.settings import VerdictSettings
from ser_core.work.progress import UNWATCHED, Work

COMPONENTS, NEIGHBOURS = "components", "neighbours"
LAYOUTS = (COMPONENTS, NEIGHBOURS)
#: The layout is one part in eleven of the progress.
LAYOUT_PARTS = 10


@dataclass(frozen=True, eq=False)
class CorpusMap:
    """Recordings laid out by a model's features.

    Attributes
    ----------
    sha256 : tuple of str
        Of the recordings on the map.
    layout : Layout
    probabilities : ndarray of shape (n, classes), float32
    verdicts : tuple of str
    left_out : int
        Number of recordings whose sound is missing or cannot be read.
    unadjusted : int
        Number of recordings whose speaker's mean could not be removed; 0 if it was not requested.
    """

    sha256: tuple[str, ...]
    layout: Layout
    probabilities: np.ndarray
    verdicts: tuple[str, ...]
    left_out: int
    unadjusted: int = 0


def corpus_map(
    sha256: Sequence[str],
    sound_of: Callable[[str], Recording | None],
    classifier: NetworkClassifier,
    kind: str,
    data: Path,
    work: Work = UNWATCHED,
    speakers: Mapping[str, str] | None = None,
) -> CorpusMap:
    """Return the map of recordings; arguments as for `features_of_all`.

    Parameters
    ----------
    kind : {"components", "neighbours"}
    speakers : mapping of str to str, optional
        From SHA-256 to the speaker, to remove each speaker's mean from the features.

    Raises
    ------
    Cancelled
        Features that were computed before stay saved.
    """
    found = features_of_all(sha256, sound_of, classifier, data, work.part(0, 1 + 1 / LAYOUT_PARTS))
    emotions, settings = classifier.emotions, VerdictSettings()
    layout_work = work.part(LAYOUT_PARTS, LAYOUT_PARTS + 1)
    features = np.stack([one.features for one in found.values()]) if found else np.zeros((0, 1))
    unadjusted = 0
    if speakers is not None and found:
        features, unadjusted = without_speaker_means(features, [speakers.get(one) for one in found])
    probabilities = [one.probabilities for one in found.values()]
    return CorpusMap(
        tuple(found),
        by_neighbours(features, layout_work) if kind == NEIGHBOURS else principal_components(features),
        np.stack(probabilities) if found else np.zeros((0, len(emotions)), np.float32),
        tuple(verdict_of(one.probabilities, emotions, one.speech_s, settings) for one in found.values()),
        len(sha256) - len(found),
        unadjusted,
    )
