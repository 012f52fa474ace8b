"""nEMO: Polish, 9 actors, ninety sentences (Christop 2024, arXiv:2404.06292)."""

from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = {
    "anger": "angry",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "fear": "fear",
    "surprised": "surprise",
}


def read(path: Path) -> LabelledRecording | str:
    """Parse a name such as `SM0_anger_77.wav`, or return why the file is left out."""
    parts = path.stem.split("_")
    if len(parts) != 3:
        return "name is not of the form SPEAKER_emotion_sentence"
    speaker, emotion, sentence = parts
    if emotion not in EMOTIONS:
        return f"unknown emotion {emotion}"
    return LabelledRecording(path, "nemo", speaker, EMOTIONS[emotion], sentence, "Polish")
