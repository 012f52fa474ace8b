"""TESS: English, 2 actresses, "Say the word" and 200 words (Pichora-Fuller and Dupuis 2020, doi:10.5683/SP2/E8H2MF)."""

from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprise",  # "pleasant surprise"
    "sad": "sad",
}
#: The older and the younger actress; one file was published as `OA_bite_neutral.wav`.
SPEAKERS = {"OAF": "OAF", "YAF": "YAF", "OA": "OAF"}


def read(path: Path) -> LabelledRecording | str:
    """Parse a name such as `OAF_back_angry.wav`, or return why the file is left out.

    The folders (`OAF_angry`, `YAF_pleasant_surprised`) have other spellings in every release and add no information.
    """
    parts = path.stem.split("_")
    if len(parts) != 3:
        return "name is not of the form OAF_word_emotion"
    speaker, word, emotion = parts[0].upper(), parts[1].lower(), parts[2].lower()
    if speaker not in SPEAKERS:
        return f"unknown speaker {parts[0]}"
    if emotion not in EMOTIONS:
        return f"unknown emotion {parts[2]}"
    return LabelledRecording(path, "tess", SPEAKERS[speaker], EMOTIONS[emotion], word, "English", "female")
