"""How often people who listen to the voice alone name the emotion that was acted, to hold beside a model's figure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ser_core.corpora.labelled import LabelledRecording


def listeners_recall(recordings: Sequence[LabelledRecording], emotions: Sequence[str]) -> dict[str, Any] | None:
    """Return how many recordings of each emotion most listeners took for it, in the voice alone.

    A recording counts as recognised where more listeners chose the acted emotion than any other; a tie does not.

    Returns
    -------
    dict or None
        `recall` by emotion, as far as there are recordings; `uar`, their mean; `recordings` by emotion. None where
        nobody listened.
    """
    asked = [item for item in recordings if item.perceived_as is not None]
    of_emotions = {
        emotion: [item.perceived_as == (emotion,) for item in asked if item.emotion == emotion] for emotion in emotions
    }
    recall = {emotion: float(np.mean(named)) for emotion, named in of_emotions.items() if named}
    if not recall:
        return None
    counts = {emotion: len(of_emotions[emotion]) for emotion in recall}
    return {"recall": recall, "uar": float(np.mean(list(recall.values()))), "recordings": counts}


def listeners_of_corpora(recordings: Sequence[LabelledRecording], emotions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return `listeners_recall` of each corpus to whose voices people listened."""
    found = {
        corpus: listeners_recall([item for item in recordings if item.corpus == corpus], emotions)
        for corpus in sorted({item.corpus for item in recordings})
    }
    return {corpus: recall for corpus, recall in found.items() if recall}
