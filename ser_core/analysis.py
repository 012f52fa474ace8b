"""The data model: a recording, regions of it, and what an analysis holds from spectrogram to focus."""

import unicodedata
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ser_core.errors import SettingsRefused
from ser_core.settings import FocusSettings, SpectrogramSettings

LONGEST_NAME = 120


def display_name(name: str) -> str:
    """Return a file's name as it can be shown anywhere: nothing that a terminal obeys, and at most 120 characters.

    Spaces of other scripts, and the joiners that some scripts and emoji are written with, stay.
    """
    shown = "".join(one if _is_shown(one) else "\N{REPLACEMENT CHARACTER}" for one in name)
    if len(shown) <= LONGEST_NAME:
        return shown
    return f"{shown[: LONGEST_NAME - 21]}\N{HORIZONTAL ELLIPSIS}{shown[-20:]}"


def _is_shown(character: str) -> bool:
    joins = character in "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
    return character.isprintable() or joins or unicodedata.category(character) == "Zs"


@dataclass(frozen=True, eq=False)
class Recording:
    """Decoded mono speech.

    Attributes
    ----------
    name : str
        The file's name without its folder, as `display_name` returns it; never used as a path.
    sha256 : str
        Of the file's bytes, in hexadecimal; the recording's identity everywhere.
    samples : ndarray of shape (n,), float32, read-only
        At `sample_rate_hz`, nominally in [-1, 1].
    warnings : tuple of str
        What a person should know before they trust the result.
    """

    name: str
    sha256: str
    samples: np.ndarray
    sample_rate_hz: int
    warnings: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True)
class Region:
    """A stretch of a recording, or a box where the frequencies are given too."""

    start_s: float
    end_s: float
    low_hz: float | None = None
    high_hz: float | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < self.end_s:
            raise SettingsRefused(
                f"A region from {self.start_s:g} to {self.end_s:g} s is not one; "
                "it needs a start of at least 0 s and an end after its start."
            )

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class FocusRegion:
    """A stretch in which the evidence speaks for the emotion.

    Attributes
    ----------
    strength : float
        Mean of the relevance profile inside, in the unit of the explanation.
    share : float
        Part of all positive relevance of the recording that lies inside, 0 to 1.
    """

    region: Region
    strength: float
    share: float


def clock(seconds: float) -> str:
    """Return a time in a recording as a clock shows it, in whole seconds: 2:03, or 1:02:03 after an hour.

    >>> clock(123.9), clock(3723)
    ('2:03', '1:02:03')
    """
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


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
    selected : ndarray of shape (n,), bool
        True for the segments that Gaussian data selection keeps.
    gds_score : ndarray of shape (n,), float64, or None
        None where there are too few segments to compare.
    """

    values: np.ndarray
    start_frames: np.ndarray
    selected: np.ndarray
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
        Probabilities of each segment, selected or not.
    recording : ndarray of shape (classes,), float64
        Of the selected segments pooled (see `ser_core.model.scores.pool`).
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
        Frames that a selected segment of the stretch covers; elsewhere the relevance is 0 and says nothing.
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
