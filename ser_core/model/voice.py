"""A voice's own normal: how a model's logits for one person usually lie, beside where they lie for everybody.

What sounds angry in one voice is another's usual tone. Where several recordings of a person are known, their mean
logits, less what the emotions in them explain, are how this voice differs, and are taken away from every judgement of
it. Nobody needs to label the recordings. Whether they show different emotions or one alone cannot be known for sure:
unless a person says that they do, only what the model's own verdicts leave unexplained counts, and less of it, the more
these agree.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ser_core.analysis import VoiceShare
from ser_core.model.scores import softmax
from ser_core.settings import VoiceSettings

#: Of a recording that is longer each piece of so many segments counts as a recording.
PIECE_SEGMENTS = 4


@dataclass(frozen=True, eq=False)
class VoiceNormal:
    """What is known of a voice.

    Attributes
    ----------
    recordings : int
    logits : ndarray of shape (pieces, classes), float64
        Means of the model's logits, a row for each recording, or piece of a long one.
    spread : float
        How evenly the model's verdicts on them are spread over the emotions, 0 to 1.
    mixed : bool
        Whether a person said that they show different emotions.
    """

    recordings: int
    logits: np.ndarray
    spread: float
    mixed: bool = False

    @property
    def sha256(self) -> str:
        """Hash of all that a judgement depends on."""
        digest = hashlib.sha256(f"{self.recordings} {self.spread} {self.mixed}".encode())
        digest.update(np.ascontiguousarray(self.logits, np.float64).tobytes())
        return digest.hexdigest()


def logits_of_pieces(logits: np.ndarray) -> np.ndarray:
    """Return the mean logits (pieces, classes), float64, of a recording's segments (segments, classes)."""
    pieces = -(-len(logits) // PIECE_SEGMENTS)
    return np.stack([piece.mean(axis=0) for piece in np.array_split(np.asarray(logits, np.float64), pieces)])


def voice_normal(recordings: Iterable[np.ndarray], temperature: float, *, mixed: bool = False) -> VoiceNormal:
    """Return what recordings of one person tell of the voice, in whatever order they come.

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
    # Sorted, so that sums and hash are the same to the last bit in any order.
    pieces = pieces[np.lexsort(pieces.T)]
    return VoiceNormal(len(recordings), pieces, emotion_spread(softmax(pieces, temperature)), mixed)


def emotion_spread(probabilities: np.ndarray) -> float:
    """Return the entropy of the mean of probabilities (pieces, classes), as a part of the highest possible."""
    mean = probabilities.mean(axis=0)
    present = mean[mean > 0]
    return float(-(present * np.log(present)).sum() / np.log(len(mean)))


def trust(normal: VoiceNormal, settings: VoiceSettings) -> float:
    """Return how far a normal may be trusted: 0 where the recordings seem to show one emotion, 1 where mixed ones."""
    if normal.mixed:
        return 1.0
    span = settings.mixed_spread - settings.one_emotion_spread
    return float(np.clip((normal.spread - settings.one_emotion_spread) / span, 0, 1))


def voice_share(normal: VoiceNormal, settings: VoiceSettings) -> float:
    """Return how much of what is peculiar to the voice is taken away, 0 to 1."""
    known = len(normal.logits) / (len(normal.logits) + settings.shrinkage_recordings)
    return known * trust(normal, settings)


def voice_shift(normal: VoiceNormal, settings: VoiceSettings) -> np.ndarray:
    """Return what to take away from the logits of a voice, shape (classes,), float64.

    Where the recordings show different emotions it is how far the mean of their logits lies from the middle of what is
    to be expected of all emotions; else how far they lie, in the mean, from what is to be expected of the emotions that
    the model finds in each.
    """
    expected = np.array(settings.expected_logits, np.float64)
    explained = expected.mean(axis=0) if normal.mixed else softmax(normal.logits) @ expected
    return voice_share(normal, settings) * (normal.logits - explained).mean(axis=0)


def share_in_words(share: float) -> str:
    """Say how far a voice is judged by its own normal."""
    return f"{100 * share:.0f} % of the judgement is by this voice's own normal."


def voice_in_words(voice: VoiceShare) -> str:
    """Say all that is known of how far a voice is judged by its own normal."""
    known = f"Known from {voice.recordings} {'recording' if voice.recordings == 1 else 'recordings'}."
    return " ".join([known, share_in_words(voice.share), caution_in_words(voice.trust)]).strip()


def caution_in_words(trusted: float) -> str:
    """Say why a normal counts less than it would by the number of its recordings; nothing where it does not."""
    if trusted == 1:
        return ""
    if trusted == 0:
        return "These recordings seem to show one emotion only, so the normal is not used."
    return f"These recordings may show mostly one emotion, so the normal is used with caution ({100 * trusted:.0f} %)."
