"""EMO-DB: German, 10 actors, ten sentences (Burkhardt et al. 2005, doi:10.21437/Interspeech.2005-446)."""

import re
from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = {"W": "angry", "E": "disgust", "A": "fear", "F": "happy", "T": "sad", "N": "neutral"}
MEN = {"03", "10", "11", "12", "15"}
NAME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])[a-z]")


def read(path: Path) -> LabelledRecording | str:
    """Parse a name such as `03a01Fa.wav`, or return why the file is left out."""
    match = NAME.fullmatch(path.stem)
    if not match:
        return "name is not of the form 03a01Fa"
    speaker, text, letter = match.groups()
    if letter == "L":
        return "boredom, which no emotion set holds"
    if letter not in EMOTIONS:
        return f"unknown emotion letter {letter}"
    gender = "male" if speaker in MEN else "female"
    return LabelledRecording(path, "emodb", speaker, EMOTIONS[letter], text, "German", gender)
