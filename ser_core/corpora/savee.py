"""SAVEE: English, 4 men, 15 TIMIT sentences an emotion, 30 neutral (Haq and Jackson 2010, "Multimodal Emotion
Recognition", in Machine Audition, IGI Global, pp. 398-423).
"""

import re
from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fear",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprise",
}
SPEAKERS = {"DC", "JE", "JK", "KL"}
NAME = re.compile(r"(?:([A-Z]{2})_)?([a-z]{1,2})(\d\d)")


def read(path: Path) -> LabelledRecording | str:
    """Parse `DC/a01.wav`, as first published, or `DC_a01.wav`; or return why the file is left out.

    Three sentences are common to all emotions, but file names do not say which, so a sentence is identified by its
    emotion and number.
    """
    match = NAME.fullmatch(path.stem)
    if not match:
        return "name is not of the form a01 or DC_a01"
    speaker, letters, number = match[1] or path.parent.name, match[2], match[3]
    if speaker not in SPEAKERS:
        return f"unknown speaker {speaker}"
    if letters not in EMOTIONS:
        return f"unknown emotion letter {letters}"
    return LabelledRecording(path, "savee", speaker, EMOTIONS[letters], letters + number, "English", "male")
