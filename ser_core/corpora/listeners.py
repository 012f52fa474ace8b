"""How often listeners recognise the acted emotion from the voice alone, to compare with models."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ser_core.analysis.emotions import COLOURS
from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import SettingsRefused


def listeners_recall(recordings: Sequence[LabelledRecording], emotions: Sequence[str]) -> dict[str, Any] | None:
    """Return the listeners' recall of each emotion from the voice alone.

    A recording counts as recognised if more listeners chose the acted emotion than any other; a tie does not count.

    Returns
    -------
    dict or None
        `recall` by emotion, for emotions with recordings; `uar`, their mean; `recordings` by emotion. None without
        listeners.
    """
    rated = [item for item in recordings if item.perceived_as is not None]
    recall, counts = {}, {}
    for emotion in emotions:
        recognised = [item.perceived_as == (emotion,) for item in rated if item.emotion == emotion]
        if recognised:
            recall[emotion], counts[emotion] = float(np.mean(recognised)), len(recognised)
    if not recall:
        return None
    return {"recall": recall, "uar": float(np.mean(list(recall.values()))), "recordings": counts}


def listeners_of_corpora(recordings: Sequence[LabelledRecording], emotions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return `listeners_recall` of each corpus with listeners."""
    recalls = {
        corpus: listeners_recall([item for item in recordings if item.corpus == corpus], emotions)
        for corpus in sorted({item.corpus for item in recordings})
    }
    return {corpus: recall for corpus, recall in recalls.items() if recall}


def measure_listeners(corpora: dict[str, str]) -> dict[str, Any]:
    """Return `listeners_recall` of every corpus with listeners, over all its emotions, as `corpora`.

    Raises
    ------
    SettingsRefused
        If none of the corpora has listeners.
    """
    recordings = [item for name, folder in corpora.items() for item in read_corpus(name, folder).recordings]
    recalls = listeners_of_corpora(recordings, tuple(COLOURS))
    if not recalls:
        raise SettingsRefused(
            f"There are no listeners' votes for {', '.join(corpora)}; give crema_d with its summaryTable.csv."
        )
    return {"corpora": recalls}


def restrict_recall(listeners: dict[str, Any], emotions: Sequence[str]) -> dict[str, Any] | None:
    """Return the listeners' recall of those emotions that the corpus has, and its mean; None if it has none of them."""
    recall = {emotion: listeners["recall"][emotion] for emotion in emotions if emotion in listeners["recall"]}
    return {"recall": recall, "uar": sum(recall.values()) / len(recall)} if recall else None
