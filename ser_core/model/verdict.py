"""The verdict on a recording: an emotion, or why none is named."""

import numpy as np

from ser_core.settings import VerdictSettings

NOT_SURE = "not sure"
NO_SPEECH = "no speech heard"


def verdict_of(scores: np.ndarray, emotions: tuple[str, ...], speech_s: float, settings: VerdictSettings) -> str:
    """Return an emotion's name, `NOT_SURE` or `NO_SPEECH`.

    Parameters
    ----------
    scores : ndarray of shape (classes,)
        The recording's calibrated probabilities.
    speech_s : float
        Seconds of detected speech.
    """
    if speech_s < settings.least_speech_s:
        return NO_SPEECH
    if scores.max() < settings.least_score:
        return NOT_SURE
    return emotions[int(scores.argmax())]
