"""RAVDESS: English, 24 actors, two sentences (Livingstone and Russo 2018, doi:10.1371/journal.pone.0196391)."""

from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
SPEECH = "01"


def read(path: Path) -> LabelledRecording | str:
    """Parse a name such as `03-01-05-02-01-02-24.wav`, or return why the file is left out."""
    parts = path.stem.split("-")
    if len(parts) != 7 or not all(len(part) == 2 and part.isdigit() for part in parts):
        return "name is not of the form 03-01-EE-II-SS-RR-AA"
    _, channel, emotion, _, statement, _, actor = parts
    if channel != SPEECH:
        return "song, not speech"
    if not 1 <= int(emotion) <= len(EMOTIONS):
        return f"unknown emotion number {emotion}"
    gender = "male" if int(actor) % 2 else "female"
    return LabelledRecording(path, "ravdess", actor, EMOTIONS[int(emotion) - 1], statement, "English", gender)
