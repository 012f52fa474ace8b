"""The words of a recording with their times and evidence, for analysis.json and as words.csv."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from ser_core.annotations.formats.table import in_cell
from ser_core.words.evidence import WordEvidence
from ser_core.words.transcription import Transcript

COLUMNS = ("start_s", "end_s", "word", "confidence", "value", "low", "high", "alone", "in_focus")


@dataclass(frozen=True, eq=False)
class SpokenWords:
    """The words of a recording and their evidence.

    Attributes
    ----------
    given : bool
        Whether a person gave the words; otherwise they were transcribed.
    """

    transcript: Transcript
    evidence: WordEvidence
    given: bool = False


def words_dict(spoken: SpokenWords) -> dict[str, Any]:
    """Return the entry `words` of analysis.json; unknown values are null."""
    transcript, evidence = spoken.transcript, spoken.evidence
    return {
        "source": "given" if spoken.given else "transcribed",
        "language": transcript.language,
        "language_confidence": _rounded(transcript.language_confidence),
        "unclear_s": round(transcript.unclear_s, 3),
        "emotion": evidence.emotion,
        "against": evidence.against,
        "phrases": evidence.phrases,
        "exact": evidence.exact,
        "aopc": _rounded(evidence.aopc),
        "lowest_first_aopc": _rounded(evidence.lowest_first_aopc),
        "words": [dict(zip(COLUMNS, row, strict=True)) for row in _rows(spoken)],
        "with_next": [_rounded(loss) for loss in evidence.with_next],
        "maps": {
            method: {
                "sums": [_rounded(value) for value in summed.sums],
                "aopc": _rounded(summed.aopc),
                "agreement": _rounded(summed.agreement),
            }
            for method, summed in evidence.maps.items()
        },
    }


def words_csv(spoken: SpokenWords) -> str:
    """Return the words as CSV, which `ser_core.annotations.words.read_words` reads; unknown values are empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((start_s, end_s, in_cell(word), *rest) for start_s, end_s, word, *rest in _rows(spoken))
    return file.getvalue()


def _rows(spoken: SpokenWords) -> list[tuple[Any, ...]]:
    transcript, evidence = spoken.transcript, spoken.evidence
    confidence = transcript.confidence or (None,) * len(evidence.words)
    figures = zip(confidence, evidence.value, evidence.low, evidence.high, evidence.alone, strict=True)
    return [
        (round(word.start_s, 3), round(word.end_s, 3), word.label, *map(_rounded, row), bool(in_focus))
        for word, row, in_focus in zip(evidence.words, figures, evidence.in_focus, strict=True)
    ]


def _rounded(value: float | None) -> float | None:
    """Return a value with six digits; None for an unknown value (None or NaN)."""
    return None if value is None or np.isnan(value) else round(float(value), 6)
