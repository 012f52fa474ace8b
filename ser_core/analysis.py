"""What an analysis holds: spectrogram, segments, scores, explanations, profile and focus."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ser_core.recording import Recording
from ser_core.regions import FocusRegion, Region
from ser_core.settings import FocusSettings, SpectrogramSettings


@dataclass(frozen=True, eq=False)
class Spectrogram:
    """Log-mel spectrogram of a whole recording.

    Attributes
    ----------
    log_mel : ndarray of shape (frames, bands), float32
        Natural log of (mel magnitude + offset), in neper.
    """

    log_mel: np.ndarray
    settings: SpectrogramSettings

    @property
    def frame_times_s(self) -> np.ndarray:
        """Middle of each frame, in seconds, shape (frames,)."""
        return frame_edge_s(np.arange(len(self.log_mel)) + 0.5, self.settings)


def frame_edge_s(frame: Any, settings: SpectrogramSettings) -> Any:
    """Seconds at which the time that a frame stands for begins; half a frame later is its middle."""
    return frame * settings.frame_hop_s + settings.frame_start_s


def frame_at(seconds: Any, settings: SpectrogramSettings) -> Any:
    """Frame, as a real number, whose time begins at `seconds`; the inverse of `frame_edge_s`."""
    return (seconds - settings.frame_start_s) / settings.frame_hop_s


@dataclass(frozen=True, eq=False)
class Segments:
    """Equally long, overlapping pieces of a log-mel spectrogram.

    Attributes
    ----------
    values : ndarray of shape (n, segment_frames, bands), float32
    start_frames : ndarray of shape (n,), int
    kept : ndarray of shape (n,), bool
        What Gaussian data selection kept.
    gds_score : ndarray of shape (n,), float64, or None
        None where there are too few segments to compare.
    """

    values: np.ndarray
    start_frames: np.ndarray
    kept: np.ndarray
    gds_score: np.ndarray | None

    @property
    def segment_frames(self) -> int:
        return self.values.shape[1]


@dataclass(frozen=True, eq=False)
class Scores:
    """What the model says.

    Attributes
    ----------
    segments : ndarray of shape (n, classes), float64
        Probabilities of each segment, kept or not.
    recording : ndarray of shape (classes,), float64
        Of the kept segments together (see `ser_core.scores.pool`).
    """

    segments: np.ndarray
    recording: np.ndarray


@dataclass(frozen=True)
class VoiceShare:
    """How much of a judgement is by the voice's own normal.

    Attributes
    ----------
    recordings : int
        Of the same person, that the normal is known from.
    share : float
        0 to 1; the rest is by the training's normal.
    trust : float
        0 to 1: below 1 where the recordings show mostly one emotion, and the share is less for it.
    """

    recordings: int
    share: float
    trust: float = 1.0


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where in time and frequency the evidence for an emotion lies.

    Attributes
    ----------
    relevance : ndarray of shape (frames, bands), float32
        Signed: above zero speaks for `emotion`. In the method's own unit, never scaled for display.
    covered : ndarray of shape (frames,), bool
        Frames that a kept segment of the stretch covers; elsewhere the relevance is 0 and says nothing.
    stretch : Region
        What was explained.
    seconds : float
        How long it took.
    stability : float or None
        Where chance plays a part: the rank correlation that another seed's map is expected to have with this one.
    """

    method: str
    emotion: str
    against: str | None
    relevance: np.ndarray
    covered: np.ndarray
    stretch: Region
    layer: str | None
    settings: dict[str, Any]
    seed: int
    seconds: float
    stability: float | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that is known about one recording with one model.

    Attributes
    ----------
    profile : ndarray of shape (frames,) or None
        None where nothing was explained.
    focus_settings : FocusSettings
        What `profile` and `focus` were read with.
    voice : VoiceShare or None
        None where the model judged by its training's normal alone.
    """

    recording: Recording
    model_name: str
    model_sha256: str
    emotions: tuple[str, ...]
    spectrogram: Spectrogram
    segments: Segments
    scores: Scores
    emotion: str
    verdict: str
    speech_s: float
    stretch: Region
    explanations: dict[str, Explanation] = field(default_factory=dict)
    profile: np.ndarray | None = None
    focus: tuple[FocusRegion, ...] = ()
    focus_settings: FocusSettings = field(default_factory=FocusSettings)
    warnings: tuple[str, ...] = ()
    voice: VoiceShare | None = None
