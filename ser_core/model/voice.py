"""A voice's own normal: how a model's logits for one person differ from those for everybody.

What sounds angry in one voice is another's usual tone. If there are several recordings of a person, the mean of their
logits, minus what their emotions explain, is how this voice differs; it is subtracted from every prediction for it. The
recordings need no labels, so they may show different emotions or only one. Unless a person says that they differ, only
what the model's own verdicts do not explain is subtracted, and less of it the more these verdicts agree.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ser_core.analysis import VoiceShare
from ser_core.model.scores import softmax
from ser_core.settings import VoiceSettings

#: In a longer recording, each piece of this many segments counts as a recording.
PIECE_SEGMENTS = 4


@dataclass(frozen=True, eq=False)
class VoiceNormal:
    """What is known about a voice.

    Attributes
    ----------
    recordings : int
    logits : ndarray of shape (pieces, classes), float64
        Means of the model's logits, a row for each recording or piece of a long one.
    spread : float
        How evenly the model's verdicts on them are spread over the emotions, 0 to 1.
    mixed : bool
        Whether a person says that they show different emotions.
    """

    recordings: int
    logits: np.ndarray
    spread: float
    mixed: bool = False

    @property
    def sha256(self) -> str:
        """Hash of everything that affects predictions."""
        digest = hashlib.sha256(f"{self.recordings} {self.spread} {self.mixed}".encode())
        digest.update(np.ascontiguousarray(self.logits, np.float64).tobytes())
        return digest.hexdigest()


def logits_of_pieces(logits: np.ndarray) -> np.ndarray:
    """Return the mean logits (pieces, classes), float64, of a recording's segments (segments, classes)."""
    pieces = -(-len(logits) // PIECE_SEGMENTS)
    return np.stack([piece.mean(axis=0) for piece in np.array_split(np.asarray(logits, np.float64), pieces)])


def voice_normal(recordings: Iterable[np.ndarray], temperature: float, *, mixed: bool = False) -> VoiceNormal:
    """Return the normal of a voice from recordings of one person, in any order.

    Parameters
    ----------
    recordings : iterable of ndarray of shape (pieces, classes)
        As `logits_of_pieces` returns them.
    temperature : float
        The model's.
    """
    recordings = list(recordings)
    if not recordings:
        return VoiceNormal(0, np.empty((0, 0)), 0.0, mixed)
    pieces = np.concatenate(recordings)
    # Sorted, so that sums and hash do not depend on the order.
    pieces = pieces[np.lexsort(pieces.T)]
    return VoiceNormal(len(recordings), pieces, emotion_spread(softmax(pieces, temperature)), mixed)


def emotion_spread(probabilities: np.ndarray) -> float:
    """Return the entropy of the mean of probabilities (pieces, classes), as a fraction of the maximum."""
    mean = probabilities.mean(axis=0)
    present = mean[mean > 0]
    return float(-(present * np.log(present)).sum() / np.log(len(mean)))


def trust(normal: VoiceNormal, settings: VoiceSettings) -> float:
    """Return how far a normal can be trusted: 0 if the recordings seem to show one emotion, 1 if different ones."""
    if normal.mixed:
        return 1.0
    span = settings.mixed_spread - settings.one_emotion_spread
    return float(np.clip((normal.spread - settings.one_emotion_spread) / span, 0, 1))


def voice_share(normal: VoiceNormal, settings: VoiceSettings) -> float:
    """Return how much of the voice's difference is subtracted, 0 to 1."""
    known = len(normal.logits) / (len(normal.logits) + settings.shrinkage_recordings)
    return known * trust(normal, settings)


def voice_shift(normal: VoiceNormal, settings: VoiceSettings) -> np.ndarray:
    """Return what to subtract from the logits of a voice, shape (classes,), float64.

    If the recordings show different emotions, it is their mean logits minus the mean logits expected for all emotions;
    otherwise their mean difference from the logits expected for the emotions that the model predicts in each.
    """
    expected = np.array(settings.expected_logits, np.float64)
    explained = expected.mean(axis=0) if normal.mixed else softmax(normal.logits) @ expected
    return voice_share(normal, settings) * (normal.logits - explained).mean(axis=0)


def share_in_words(share: float) -> str:
    """Say how far a voice is judged by its own normal."""
    return f"{100 * share:.0f} % of the judgement is by this voice's own normal."


def voice_in_words(voice: VoiceShare) -> str:
    """Say how far a voice is judged by its own normal, from how many recordings, and why not further."""
    return " ".join(voice_sentences(voice))


def voice_sentences(voice: VoiceShare) -> list[str]:
    """Return the sentences of `voice_in_words`."""
    one, n = voice.recordings == 1, voice.recordings
    known = f"Known from {n} recording." if one else f"Known from {n} recordings."
    return [said for said in (known, share_in_words(voice.share), caution_in_words(voice.trust)) if said]


def caution_in_words(trusted: float) -> str:
    """Say why a normal counts less than its number of recordings allows; "" if it does not."""
    if trusted == 1:
        return ""
    if trusted == 0:
        return "These recordings seem to show one emotion only, so the normal is not used."
    return f"These recordings may show mostly one emotion, so the normal is used with caution ({100 * trusted:.0f} %)."
