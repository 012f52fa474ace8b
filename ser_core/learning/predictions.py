"""What a model said of recordings whose emotion is known: the table that every figure is read from."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.emotions import emotion_index
from ser_core.errors import ModelRefused
from ser_core.model.checkpoint import (
    CORPORA_TABLE,
    CORPORA_VOICE_TABLE,
    FOLDS_TABLE,
    FOLDS_VOICE_TABLE,
    LARGEST_TEXT_BYTES,
    TEST_TABLE,
    contents_of,
)

KNOWN = ("sha256", "corpus", "speaker", "gender", "emotion")
#: What is new in each of a model's tables (see `ser_core.learning.predictions.tables_of`).
WAYS = {
    "people": "new people",
    "people_voice": "new people, with own normal",
    "corpora": "new corpora",
    "corpora_voice": "new corpora, with own normal",
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """One row a recording.

    Attributes
    ----------
    speakers : tuple of str
        As `corpus:speaker`.
    labels : ndarray of shape (recordings,), int
    probabilities : ndarray of shape (recordings, classes), float64
        Calibrated, of the kept segments together (see `ser_core.model.scores.pool`).
    """

    emotions: tuple[str, ...]
    sha256: tuple[str, ...]
    corpora: tuple[str, ...]
    speakers: tuple[str, ...]
    genders: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Place of the best score, shape (recordings,), int."""
        return self.probabilities.argmax(axis=1)

    def of(self, wanted: np.ndarray) -> "Predictions":
        """Return some of the rows, by flags or by places."""
        places = np.arange(len(self.labels))[wanted]

        def pick(column: Sequence[str]) -> tuple[str, ...]:
            return tuple(column[place] for place in places)

        return Predictions(
            self.emotions,
            pick(self.sha256),
            pick(self.corpora),
            pick(self.speakers),
            pick(self.genders),
            self.labels[places],
            self.probabilities[places],
        )


def pooled(tables: Sequence[Predictions]) -> Predictions:
    """Return the rows of several tables, which tell the same emotions apart and share no recording."""
    first = tables[0]
    return Predictions(
        first.emotions,
        *(
            tuple(chain(*(getattr(table, name) for table in tables)))
            for name in ("sha256", "corpora", "speakers", "genders")
        ),
        np.concatenate([table.labels for table in tables]),
        np.concatenate([table.probabilities for table in tables]),
    )


def in_cell(predictions: Predictions, acted: str, heard: str) -> np.ndarray:
    """Return which recordings stand in one cell of the confusion matrix, the most confident answers first.

    Returns
    -------
    places : ndarray of shape (recordings in the cell,), int
        By falling score of the emotion that was heard; equal scores in the order of the table.

    Raises
    ------
    SettingsRefused
        If the model does not know one of the emotions.
    """
    row, column = (emotion_index(emotion, predictions.emotions) for emotion in (acted, heard))
    places = np.flatnonzero((predictions.labels == row) & (predictions.predicted == column))
    return places[np.argsort(-predictions.probabilities[places, column], kind="stable")]


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write the table as CSV, probabilities to four digits."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*KNOWN, *predictions.emotions])
    for place in np.argsort(predictions.sha256):
        rows.writerow(
            [
                predictions.sha256[place],
                predictions.corpora[place],
                predictions.speakers[place],
                predictions.genders[place],
                predictions.emotions[predictions.labels[place]],
                *(f"{p:.4f}" for p in predictions.probabilities[place]),
            ]
        )
    path.write_text(text.getvalue(), encoding="utf-8")


def read_predictions(path: Path) -> Predictions:
    """Read a table that `write_predictions` wrote.

    Raises
    ------
    ModelRefused
        If it is missing or is no such table.
    """
    try:
        text = contents_of(path, LARGEST_TEXT_BYTES).decode("utf-8")
        header, *rows = list(csv.reader(io.StringIO(text, newline="")))
        emotions = tuple(header[len(KNOWN) :])
        sha256, corpora, speakers, genders, named = zip(*(row[: len(KNOWN)] for row in rows), strict=True)
        labels = np.array([emotions.index(name) for name in named])
        probabilities = np.array([[float(p) for p in row[len(KNOWN) :]] for row in rows])
        if probabilities.shape != (len(labels), len(emotions)) or not (abs(probabilities - 0.5) <= 0.5).all():
            raise ValueError("what should be probabilities are none")
    except FileNotFoundError:
        raise ModelRefused(
            f"{path.parent.name} has no {path.name}: it was not trained here, so nobody knows how well it does. The "
            "command `evaluate` measures it on your recordings."
        ) from None
    except (OSError, ValueError, csv.Error) as reason:
        raise ModelRefused(f"{path.parent.name}: its table of tested recordings cannot be read ({reason}).") from None
    return Predictions(emotions, sha256, corpora, speakers, genders, labels, probabilities)


def tested_by(folder: Path) -> Predictions:
    """Return what a model said of the test: of all folds where they were trained, else of its own."""
    folds = folder / FOLDS_TABLE
    return read_predictions(folds if folds.is_file() else folder / TEST_TABLE)


def tables_of(folder: Path) -> dict[str, Path]:
    """Return the tables that a model's folder has, by what was new to who said it.

    `people` are speakers that were never trained on (or what else the model's own split keeps apart), `corpora` whole
    corpora; with `_voice` each voice was compared with its own normal.
    """
    people = folder / FOLDS_TABLE
    tables = {
        "people": people if people.is_file() else folder / TEST_TABLE,
        "people_voice": folder / FOLDS_VOICE_TABLE,
        "corpora": folder / CORPORA_TABLE,
        "corpora_voice": folder / CORPORA_VOICE_TABLE,
    }
    return {name: table for name, table in tables.items() if table.is_file()}


def way_words(way: str, card: dict[str, Any]) -> str:
    """Return what is new in a table; what a model's own split keeps apart need not be people."""
    split = str(card.get("cross_validation", card).get("split", ""))
    return WAYS[way] if split.startswith("speaker") else WAYS[way].replace("new people", "its own test")
