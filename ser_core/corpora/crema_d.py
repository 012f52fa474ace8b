"""CREMA-D: English, 91 actors, twelve sentences (Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244)."""

import re
from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
ACTORS = range(1001, 1092)
#: By VideoDemographics.csv of the corpus; the other 48 are men.
WOMEN = {
    *(1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025, 1028, 1029, 1030),
    *(1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060, 1061, 1063, 1072, 1073, 1074, 1075),
    *(1076, 1078, 1079, 1082, 1084, 1089, 1091),
}
#: The last part is how strongly the emotion was acted; `1040_ITH_SAD_X` was published with one X.
NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(?:LO|MD|HI|XX?)")


def read(path: Path) -> LabelledRecording | str:
    """Read a name such as `1001_DFA_ANG_XX.wav`; return a reason where the file does not belong."""
    match = NAME.fullmatch(path.stem)
    if not match:
        return "name is not of the form 1001_DFA_ANG_XX"
    actor, sentence, emotion = match.groups()
    if int(actor) not in ACTORS:
        return f"unknown actor {actor}"
    if emotion not in EMOTIONS:
        return f"unknown emotion {emotion}"
    gender = "female" if int(actor) in WOMEN else "male"
    return LabelledRecording(path, "crema_d", actor, EMOTIONS[emotion], sentence, "English", gender)
