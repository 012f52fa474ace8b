"""URDU: talk shows, 38 speakers, 400 utterances (Latif et al. 2018, arXiv:1812.10411)."""

import re
from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}
NAME = re.compile(r"(S([MF])\d+)_F\d+_([A-Z])(\d+)")


def read(path: Path) -> LabelledRecording | str:
    """Parse `SM1_F1_A01.wav` (male speaker 1, file 1, angry utterance 1), or return why the file is left out.

    The speech is spontaneous, so every utterance counts as a different sentence.
    """
    match = NAME.fullmatch(path.stem)
    if not match:
        return "name is not of the form SM1_F1_A01"
    speaker, gender, letter, number = match.groups()
    if letter not in EMOTIONS:
        return f"unknown emotion letter {letter}"
    gender = "male" if gender == "M" else "female"
    return LabelledRecording(path, "urdu", speaker, EMOTIONS[letter], letter + number, "Urdu", gender)
