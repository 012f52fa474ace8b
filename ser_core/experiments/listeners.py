"""How often people who listen to the voice alone name the emotion, beside which a model's figure is shown."""

from collections.abc import Sequence
from typing import Any

from ser_core.corpora import read_corpus
from ser_core.corpora.listeners import listeners_of_corpora
from ser_core.emotions import COLOURS
from ser_core.errors import SettingsRefused


def listeners(corpora: dict[str, str]) -> dict[str, Any]:
    """Return `listeners_recall` of every corpus to whose voices people listened, as `corpora`, over all its emotions.

    Raises
    ------
    SettingsRefused
        If nobody listened to any of them.
    """
    recordings = [item for name, folder in corpora.items() for item in read_corpus(name, folder).recordings]
    found = listeners_of_corpora(recordings, tuple(COLOURS))
    if not found:
        raise SettingsRefused(
            f"Nothing says what listeners heard in {', '.join(corpora)}; give crema_d with its summaryTable.csv."
        )
    return {"corpora": found}


def among(heard: dict[str, Any], emotions: Sequence[str]) -> dict[str, Any] | None:
    """Return the recall of those of a model's emotions that a corpus has, and their mean; None where it has none."""
    recall = {emotion: heard["recall"][emotion] for emotion in emotions if emotion in heard["recall"]}
    return {"recall": recall, "uar": sum(recall.values()) / len(recall)} if recall else None
