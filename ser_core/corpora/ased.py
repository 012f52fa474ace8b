"""ASED: Amharic, 65 speakers, 27 sentences (Retta et al. 2023, doi:10.1145/3529759)."""

import re
from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = {"n": "neutral", "f": "fear", "h": "happy", "s": "sad", "a": "angry"}
#: The same sentences in all emotions; the sentences 03 to 07 differ between emotions.
COMMON_SENTENCES = {"01", "02"}
GENDERS = {"01": "female", "02": "male"}
NAME = re.compile(r"([a-z])\d-(\d\d)-(\d\d)-(\d\d)-(\d\d)", re.IGNORECASE)


def read(path: Path) -> LabelledRecording | str:
    """Parse `a5-03-01-02-50.wav`: emotion, folder, sentence, take, gender, speaker; or return why it is left out."""
    match = NAME.fullmatch(path.stem)
    if not match:
        return "name is not of the form a5-03-01-02-50"
    letter, sentence, _, gender, speaker = match[1].lower(), *match.groups()[1:]
    if letter not in EMOTIONS:
        return f"unknown emotion letter {letter}"
    if gender not in GENDERS:
        return f"unknown gender number {gender}"
    text = sentence if sentence in COMMON_SENTENCES else letter + sentence
    return LabelledRecording(path, "ased", speaker, EMOTIONS[letter], text, "Amharic", GENDERS[gender])
