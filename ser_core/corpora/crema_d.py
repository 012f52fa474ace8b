"""CREMA-D: English, 91 actors, twelve sentences (Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244)."""

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording, files_under
from ser_core.errors import CorpusRefused

EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
ACTORS = range(1001, 1092)
#: According to VideoDemographics.csv of the corpus; the other 48 are men.
WOMEN = {
    *(1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025, 1028, 1029, 1030),
    *(1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060, 1061, 1063, 1072, 1073, 1074, 1075),
    *(1076, 1078, 1079, 1082, 1084, 1089, 1091),
}
#: The last part is the intensity; `1040_ITH_SAD_X` was published with a single X.
NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(?:LO|MD|HI|XX?)")
#: The emotions that listeners chose, from the voice alone, the face alone, and both.
VOTES = "summaryTable.csv"
LETTERS = {"A": "angry", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}


def read(path: Path) -> LabelledRecording | str:
    """Parse a name such as `1001_DFA_ANG_XX.wav`, or return why the file is left out."""
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


def with_votes(recordings: Sequence[LabelledRecording], folder: Path) -> tuple[LabelledRecording, ...]:
    """Add the emotions that listeners perceived, if the corpus's table of votes is anywhere under the folder.

    Raises
    ------
    CorpusRefused
        If that table cannot be read.
    """
    file = next((file for file in files_under(folder) if file.name == VOTES), None)
    if file is None:
        return tuple(recordings)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            votes = {row["FileName"]: _emotions_of(row["VoiceVote"]) for row in csv.DictReader(lines)}
    except (OSError, KeyError, AttributeError, ValueError, csv.Error) as reason:
        raise CorpusRefused(
            f"{file} is not the table of CREMA-D's listeners ({reason!r}), with the columns FileName and VoiceVote. "
            "Correct it, or take it out of the folder."
        ) from None
    # In the table `1040_ITH_SAD_X` has two X, as all others do.
    names = [item.path.stem if item.path.stem in votes else f"{item.path.stem}X" for item in recordings]
    return tuple(replace(item, perceived_as=votes.get(name)) for item, name in zip(recordings, names, strict=True))


def _emotions_of(vote: str) -> tuple[str, ...]:
    """Parse `A`, or `A:D` if two emotions have the same number of votes."""
    return tuple(LETTERS[letter] for letter in vote.split(":"))
