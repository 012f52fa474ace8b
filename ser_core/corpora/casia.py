"""CASIA Chinese emotional corpus: Mandarin, 4 speakers, the same sentences in six emotions (Institute of Automation,
Chinese Academy of Sciences; distributed by the Chinese Linguistic Data Consortium).
"""

import re
from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = {"angry", "fear", "happy", "neutral", "sad", "surprise"}
#: As their folders are spelt. The part with different sentences per emotion names the same people differently.
SPEAKERS = {"liuchanhg", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang"}
NUMBER = re.compile(r"[0-9]+")


def read(path: Path) -> LabelledRecording | str:
    """Parse `liuchanhg/angry/201.wav` (speaker, emotion, sentence), or return why the file is left out."""
    speaker, emotion, sentence = path.parent.parent.name, path.parent.name, path.stem
    if not (speaker and NUMBER.fullmatch(sentence)):
        return "path is not of the form speaker/emotion/201"
    if speaker not in SPEAKERS:
        return f"unknown speaker {speaker}"
    if emotion not in EMOTIONS:
        return f"unknown emotion {emotion}"
    return LabelledRecording(path, "casia", speaker, emotion, sentence, "Chinese")
