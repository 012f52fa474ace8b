"""A voice's own normal: how a model's logits for one person differ from those for other people.

What sounds angry in one voice is another's usual tone. If several recordings of a person are known, the logits are
shifted so that all emotions are predicted about equally often for these recordings. They need no labels. If they all
show one emotion, the shift would mistake the emotion for the voice. Unless a person states that they show different
emotions, the shift therefore counts only as far as the shifted recordings fall into different emotions.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ser_core.analysis import VoiceShare
from ser_core.model.scores import softmax
from ser_core.settings import VoiceSettings

#: In a long recording, each piece of this many segments counts as a recording.
PIECE_SEGMENTS = 4
#: Maximum number of steps of Newton's method, which mostly needs five, and the change of the logits at which it ends.
BALANCE_STEPS, BALANCE_TOLERANCE = 100, 1e-9
#: Longest step, in units of the softening: farther away the softmax is too flat for a reliable Newton step.
MAX_STEP = 2.0
#: Keeps the equations solvable when every verdict is certain.
BALANCE_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class VoiceNormal:
    """What is known about a voice.

    Attributes
    ----------
    recordings : int
    logits : ndarray of shape (pieces, classes), float64
        Means of the model's logits, a row for each recording or piece of a long one.
    mixed : bool
        Whether a person states that the recordings show different emotions.
    """

    recordings: int
    logits: np.ndarray
    mixed: bool = False

    @property
    def sha256(self) -> str:
        """Hash of everything that affects predictions."""
        digest = hashlib.sha256(f"{self.recordings} {self.mixed}".encode())
        digest.update(np.ascontiguousarray(self.logits, np.float64).tobytes())
        return digest.hexdigest()


def logits_of_pieces(logits: np.ndarray) -> np.ndarray:
    """Return the mean logits (pieces, classes), float64, of a recording's segments (segments, classes)."""
    pieces = -(-len(logits) // PIECE_SEGMENTS)
    return np.stack([piece.mean(axis=0) for piece in np.array_split(np.asarray(logits, np.float64), pieces)])


def voice_normal(recordings: Iterable[np.ndarray], *, mixed: bool = False) -> VoiceNormal:
    """Return the normal of a voice from recordings of one person, in any order.

    Parameters
    ----------
    recordings : iterable of ndarray of shape (pieces, classes)
        As `logits_of_pieces` returns them.
    """
    recordings = list(recordings)
    if not recordings:
        return VoiceNormal(0, np.empty((0, 0)), mixed)
    pieces = np.concatenate(recordings)
    # Sorted, so that sums and hash do not depend on the order.
    return VoiceNormal(len(recordings), pieces[np.lexsort(pieces.T)], mixed)


def balancing_shift(logits: np.ndarray, softening: float) -> np.ndarray:
    """Return the shift to subtract from logits so that all classes have the same mean probability.

    Probabilities are those of logits divided by `softening`. At 1 they nearly count verdicts; the larger it is, the
    more each recording counts by its distance from a verdict, and in the limit only the mean logits matter.

    Parameters
    ----------
    logits : ndarray of shape (n, classes), float64

    Returns
    -------
    ndarray of shape (classes,), float64
        Its sum is 0.
    """
    count, classes = logits.shape
    shift = logits.mean(axis=0)
    for _ in range(BALANCE_STEPS):
        p = softmax(logits - shift, softening)
        mean = p.mean(axis=0)
        # The shift is the minimum of a convex function, of which these are the gradient and the second derivatives.
        curvature = (np.diag(mean) - p.T @ p / count) / softening + BALANCE_RIDGE * np.eye(classes)
        step = np.linalg.solve(curvature, mean - 1 / classes)
        shift = shift + step * min(1.0, MAX_STEP * softening / max(np.abs(step).max(), BALANCE_RIDGE))
        if np.abs(step).max() < BALANCE_TOLERANCE:
            break
    return shift - shift.mean()


def emotion_spread(probabilities: np.ndarray) -> float:
    """Return how clearly recordings (recordings, classes) fall into different emotions, 0 to 1.

    It is the mutual information of recording and emotion, as a fraction of its maximum: 0 if all recordings have the
    same probabilities, 1 if each is certain and all emotions occur equally often.
    """
    return (_entropy(probabilities.mean(axis=0)) - _entropy(probabilities).mean()) / np.log(probabilities.shape[1])


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    return -(probabilities * np.log(np.maximum(probabilities, np.finfo(float).tiny))).sum(axis=-1)


def trust(normal: VoiceNormal, settings: VoiceSettings) -> float:
    """Return how far a normal can be trusted: 0 if the recordings seem to show too few emotions, 1 if enough."""
    if normal.mixed:
        return 1.0
    spread = emotion_spread(softmax(normal.logits - balancing_shift(normal.logits, settings.softening)))
    span = settings.mixed_spread - settings.one_emotion_spread
    return float(np.clip((spread - settings.one_emotion_spread) / span, 0, 1))


def voice_share(normal: VoiceNormal, settings: VoiceSettings) -> float:
    """Return how much of the voice's difference is subtracted, 0 to 1."""
    if normal.recordings == 0:
        return 0.0
    known = len(normal.logits) / (len(normal.logits) + settings.shrinkage_recordings)
    return known * trust(normal, settings)


def voice_shift(normal: VoiceNormal, settings: VoiceSettings) -> np.ndarray:
    """Return the shift to subtract from a voice's logits, shape (classes,), float64: its share of `balancing_shift`."""
    return voice_share(normal, settings) * balancing_shift(normal.logits, settings.softening)


def voice_temperature(normal: VoiceNormal, settings: VoiceSettings) -> float:
    """Return the factor of the temperature for unknown voices; 1 if the voice's normal does not count."""
    return settings.known_temperature ** voice_share(normal, settings)


def share_in_words(share: float) -> str:
    """Describe how far a voice is judged by its own normal."""
    return f"This voice is judged {100 * share:.0f} % by its own normal, and otherwise like any other."


def voice_in_words(voice: VoiceShare) -> str:
    """Describe how far a voice is judged by its own normal, from how many recordings, and why not further."""
    return " ".join(voice_sentences(voice))


def voice_sentences(voice: VoiceShare) -> list[str]:
    """Return the sentences of `voice_in_words`."""
    n = voice.recordings
    known = f"Known from {n} recording." if n == 1 else f"Known from {n} recordings."
    sentences = (known, share_in_words(voice.share), caution_in_words(voice.trust))
    return [sentence for sentence in sentences if sentence]


def caution_in_words(trusted: float) -> str:
    """Say why a normal counts less than its number of recordings allows; "" if it does not."""
    if trusted == 1:
        return ""
    if trusted == 0:
        return "These recordings seem to show too few emotions, so the normal is not used."
    return f"These recordings may show too few emotions, so the normal is used with caution ({100 * trusted:.0f} %)."
