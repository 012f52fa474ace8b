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
    """The words of a recording, where they come from, and the evidence of the transcript's words."""

    transcript: Transcript
    evidence: WordEvidence
    given: bool = False


def words_dict(spoken: SpokenWords) -> dict[str, Any]:
    """Return the entry `words` of analysis.json; what was not measured is null."""
    transcript, evidence = spoken.transcript, spoken.evidence
    return {
        "source": "given" if spoken.given else "transcribed",
        "language": transcript.language,
        "language_confidence": _known(transcript.language_confidence),
        "unclear_s": round(transcript.unclear_s, 3),
        "emotion": evidence.emotion,
        "against": evidence.against,
        "phrases": evidence.phrases,
        "exact": evidence.exact,
        "aopc": _known(evidence.aopc),
        "lowest_first_aopc": _known(evidence.lowest_first_aopc),
        "words": [dict(zip(COLUMNS, row, strict=True)) for row in _rows(spoken)],
        "with_next": [_known(loss) for loss in evidence.with_next],
        "maps": {
            method: {
                "sums": [_known(each) for each in read.sums],
                "aopc": _known(read.aopc),
                "agreement": _known(read.agreement),
            }
            for method, read in evidence.maps.items()
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
    figures = zip(evidence.value, evidence.low, evidence.high, evidence.alone, strict=True)
    return [
        (round(word.start_s, 3), round(word.end_s, 3), word.label, _known(sure), *map(_known, row), bool(inside))
        for word, sure, row, inside in zip(evidence.words, confidence, figures, evidence.in_focus, strict=True)
    ]


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), 6)
