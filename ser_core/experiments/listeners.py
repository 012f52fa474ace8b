"""How often listeners recognise the emotion from the voice alone, to compare with models."""

from collections.abc import Sequence
from typing import Any

from ser_core.analysis.emotions import COLOURS
from ser_core.corpora import read_corpus
from ser_core.corpora.listeners import listeners_of_corpora
from ser_core.errors import SettingsRefused


def listeners(corpora: dict[str, str]) -> dict[str, Any]:
    """Return `listeners_recall` of every corpus with listeners, over all its emotions, as `corpora`.

    Raises
    ------
    SettingsRefused
        If none of the corpora has listeners.
    """
    recordings = [item for name, folder in corpora.items() for item in read_corpus(name, folder).recordings]
    found = listeners_of_corpora(recordings, tuple(COLOURS))
    if not found:
        raise SettingsRefused(
            f"There are no listeners' votes for {', '.join(corpora)}; give crema_d with its summaryTable.csv."
        )
    return {"corpora": found}


def restrict(listeners: dict[str, Any], emotions: Sequence[str]) -> dict[str, Any] | None:
    """Return the listeners' recall of a model's emotions, as far as the corpus has them, and its mean; None if none."""
    recall = {emotion: listeners["recall"][emotion] for emotion in emotions if emotion in listeners["recall"]}
    return {"recall": recall, "uar": sum(recall.values()) / len(recall)} if recall else None
