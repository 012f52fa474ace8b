"""Emotional TTS part of the emotiontts open database: Korean, 15 speakers (Selvas AI and KAIST)."""

import re
from pathlib import Path

from ser_core.corpora.labelled import LabelledRecording

EMOTIONS = ("neutral", "happy", "angry", "sad")
RECORDINGS_PER_EMOTION = 100
NAME = re.compile(r"([a-z]{3})(\d{5})")


def read(path: Path) -> LabelledRecording | str:
    """Parse a name such as `ema00203.wav`: 1-100 neutral, then a hundred each happy, angry, sad."""
    match = NAME.fullmatch(path.stem)
    if not match:
        return "name is not of the form ema00203"
    speaker, number = match[1], int(match[2])
    emotion, sentence = divmod(number - 1, RECORDINGS_PER_EMOTION)
    if not 0 <= emotion < len(EMOTIONS):
        return f"number {number} is outside 1 to {len(EMOTIONS) * RECORDINGS_PER_EMOTION}"
    # The scripts differ between emotions, so a sentence is identified by script and number.
    script = "neutral" if speaker.startswith("em") else EMOTIONS[emotion]
    return LabelledRecording(path, "korean_emotional_tts", speaker, EMOTIONS[emotion], f"{script}-{sentence}", "Korean")
