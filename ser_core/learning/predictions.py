"""Predictions of a model for labelled recordings: the table from which all metrics are computed, and its files."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.analysis.emotions import emotion_index
from ser_core.errors import ModelRefused
from ser_core.model.checkpoint import (
    CORPORA_TABLE,
    CORPORA_VOICE_TABLE,
    FOLDS_TABLE,
    FOLDS_VOICE_TABLE,
    MAX_TEXT_BYTES,
    TEST_TABLE,
)
from ser_core.work.atomic_folder import read_regular

#: Columns of a table before those of the probabilities.
FIRST_COLUMNS = ("sha256", "corpus", "speaker", "gender", "emotion")
#: What is new to the model in each of its tables (see `tables_of`).
TESTS_IN_WORDS = {
    "people": "new people",
    "people_voice": "new people, with own normal",
    "corpora": "new corpora",
    "corpora_voice": "new corpora, with own normal",
}
#: The same for models whose split is not by speaker.
OWN_TEST_IN_WORDS = {"people": "its own test", "people_voice": "its own test, with own normal"}


@dataclass(frozen=True, eq=False)
class Predictions:
    """A table with one row for each recording.

    Attributes
    ----------
    speakers : tuple of str
        As `corpus:speaker`.
    labels : ndarray of shape (recordings,), int
    probabilities : ndarray of shape (recordings, classes), float64
        Calibrated, pooled over the selected segments (see `ser_core.model.scores.pool`).
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
        """Index of the best score, shape (recordings,), int."""
        return self.probabilities.argmax(axis=1)

    def subset(self, selection: np.ndarray) -> "Predictions":
        """Return some of the rows, selected by a boolean mask or by indices."""
        rows = np.arange(len(self.labels))[selection]

        def pick(column: Sequence[str]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows)

        return Predictions(
            self.emotions,
            pick(self.sha256),
            pick(self.corpora),
            pick(self.speakers),
            pick(self.genders),
            self.labels[rows],
            self.probabilities[rows],
        )


def concatenate(tables: Sequence[Predictions]) -> Predictions:
    """Return the rows of several tables with the same emotions and no recording in common."""
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


def indices_in_cell(predictions: Predictions, labelled: str, predicted: str) -> np.ndarray:
    """Return the recordings in one cell of the confusion matrix, the most confident first.

    Returns
    -------
    indices : ndarray of shape (recordings in the cell,), int
        By falling score of the predicted emotion; equal scores in the order of the table.

    Raises
    ------
    SettingsRefused
        If the model does not know one of the emotions.
    """
    row, column = (emotion_index(emotion, predictions.emotions) for emotion in (labelled, predicted))
    indices = np.flatnonzero((predictions.labels == row) & (predictions.predicted == column))
    return indices[np.argsort(-predictions.probabilities[indices, column], kind="stable")]


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write the table as CSV in the order of SHA-256, with four digits of each probability."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FIRST_COLUMNS, *predictions.emotions])
    for index in np.argsort(predictions.sha256):
        writer.writerow(
            [
                predictions.sha256[index],
                predictions.corpora[index],
                predictions.speakers[index],
                predictions.genders[index],
                predictions.emotions[predictions.labels[index]],
                *(f"{p:.4f}" for p in predictions.probabilities[index]),
            ]
        )
    path.write_text(text.getvalue(), encoding="utf-8")


def read_predictions(path: Path) -> Predictions:
    """Read a table that `write_predictions` wrote.

    Raises
    ------
    ModelRefused
        If the file is missing or is not such a table.
    """
    try:
        text = read_regular(path, MAX_TEXT_BYTES, follow_link=True).decode("utf-8")
        header, *rows = list(csv.reader(io.StringIO(text, newline="")))
        emotions = tuple(header[len(FIRST_COLUMNS) :])
        columns = zip(*(row[: len(FIRST_COLUMNS)] for row in rows), strict=True)
        sha256, corpora, speakers, genders, emotion_names = columns
        labels = np.array([emotions.index(name) for name in emotion_names])
        probabilities = np.array([[float(p) for p in row[len(FIRST_COLUMNS) :]] for row in rows])
        if probabilities.shape != (len(labels), len(emotions)) or not (abs(probabilities - 0.5) <= 0.5).all():
            raise ValueError("values outside 0 to 1, or too few")
    except FileNotFoundError:
        raise ModelRefused(
            f"{path.parent.name} has no {path.name}: it was not trained here, and its accuracy is unknown. The "
            "command `evaluate` measures it on your recordings."
        ) from None
    except (OSError, ValueError, csv.Error) as reason:
        raise ModelRefused(f"{path.parent.name}: its table of tested recordings cannot be read ({reason}).") from None
    return Predictions(emotions, sha256, corpora, speakers, genders, labels, probabilities)


def read_test_predictions(folder: Path) -> Predictions:
    """Return the predictions for the test sets of all folds, if they were trained, else for the model's own."""
    folds = folder / FOLDS_TABLE
    return read_predictions(folds if folds.is_file() else folder / TEST_TABLE)


def tables_of(folder: Path) -> dict[str, Path]:
    """Return the tables in a model's folder, by what was new to the model.

    `people`: new speakers, or whatever the model's split separates. `corpora`: new corpora. With `_voice`, each voice
    is judged by its own normal.
    """
    people = folder / FOLDS_TABLE
    tables = {
        "people": people if people.is_file() else folder / TEST_TABLE,
        "people_voice": folder / FOLDS_VOICE_TABLE,
        "corpora": folder / CORPORA_TABLE,
        "corpora_voice": folder / CORPORA_VOICE_TABLE,
    }
    return {name: table for name, table in tables.items() if table.is_file()}


def describe_test(test: str, card: dict[str, Any]) -> str:
    """Return in words what is new in a table; a model whose split is not by speaker has only its own test."""
    split = str(card.get("cross_validation", card).get("split", ""))
    if split.startswith("speaker"):
        return TESTS_IN_WORDS[test]
    return OWN_TEST_IN_WORDS.get(test, TESTS_IN_WORDS[test])
