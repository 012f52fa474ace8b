"""How often listeners recognise the acted emotion from the voice alone, to compare with a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ser_core.corpora.labelled import LabelledRecording


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
    of_emotions = {
        emotion: [item.perceived_as == (emotion,) for item in rated if item.emotion == emotion] for emotion in emotions
    }
    recall = {emotion: float(np.mean(named)) for emotion, named in of_emotions.items() if named}
    if not recall:
        return None
    counts = {emotion: len(of_emotions[emotion]) for emotion in recall}
    return {"recall": recall, "uar": float(np.mean(list(recall.values()))), "recordings": counts}


def listeners_of_corpora(recordings: Sequence[LabelledRecording], emotions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return `listeners_recall` of each corpus with listeners."""
    found = {
        corpus: listeners_recall([item for item in recordings if item.corpus == corpus], emotions)
        for corpus in sorted({item.corpus for item in recordings})
    }
    return {corpus: recall for corpus, recall in found.items() if recall}
