"""The data model: recordings, regions, and an analysis with its parts from spectrogram to focus."""

import unicodedata
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ser_core.errors import SettingsRefused
from ser_core.settings import FocusSettings, SpectrogramSettings

MAX_NAME_LENGTH = 120


def display_name(name: str) -> str:
    """Return a file name that is safe to show anywhere: no control characters and at most 120 characters.

    Spaces of any script, and the joiners that some scripts and emoji need, are preserved.
    """
    safe = "".join(character if _is_safe(character) else "\N{REPLACEMENT CHARACTER}" for character in name)
    if len(safe) <= MAX_NAME_LENGTH:
        return safe
    return f"{safe[: MAX_NAME_LENGTH - 21]}\N{HORIZONTAL ELLIPSIS}{safe[-20:]}"


def _is_safe(character: str) -> bool:
    is_joiner = character in "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
    return character.isprintable() or is_joiner or unicodedata.category(character) == "Zs"


@dataclass(frozen=True, eq=False)
class Recording:
    """Decoded mono speech.

    Attributes
    ----------
    name : str
        The file name without its folder, as `display_name` returns it; never used as a path.
    sha256 : str
        Of the file's bytes, in hexadecimal; identifies the recording everywhere.
    samples : ndarray of shape (n,), float32, read-only
        At `sample_rate_hz`, nominally in [-1, 1].
    warnings : tuple of str
        What a person should know before trusting the result.
    part_of : str or None
        SHA-256 of the long recording that this is a stretch of.
    start_s : float
        Where this stretch begins in the long recording; times are shown relative to that recording.
    channels : int
        Number of channels of the file; the samples are their mean.
    """

    name: str
    sha256: str
    samples: np.ndarray
    sample_rate_hz: int
    warnings: tuple[str, ...] = ()
    part_of: str | None = None
    start_s: float = 0.0
    channels: int = 1

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True)
class Region:
    """A stretch of a recording, or a time-frequency box if the frequencies are given."""

    start_s: float
    end_s: float
    low_hz: float | None = None
    high_hz: float | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < self.end_s:
            raise SettingsRefused(
                f"A region from {self.start_s:g} to {self.end_s:g} s is impossible; "
                "it needs a start of at least 0 s and an end after its start."
            )

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Point(Region):
    """A point in time: a region without a length."""

    def __post_init__(self) -> None:
        if not 0 <= self.start_s == self.end_s:
            raise SettingsRefused(
                f"A point from {self.start_s:g} to {self.end_s:g} s is impossible; it needs one time of at least 0 s."
            )


def moved(region: Region, seconds: float) -> Region:
    """Return a region that begins and ends some seconds later."""
    return replace(region, start_s=region.start_s + seconds, end_s=region.end_s + seconds)


@dataclass(frozen=True)
class FocusRegion:
    """A stretch whose evidence supports the emotion.

    Attributes
    ----------
    strength : float
        Mean of the relevance profile inside, in the unit of the explanation.
    share : float
        Share of the recording's positive relevance that lies inside, 0 to 1.
    """

    region: Region
    strength: float
    share: float


def clock(seconds: float) -> str:
    """Format a time in whole seconds like a clock: 2:03, or 1:02:03 after an hour.

    >>> clock(123.9), clock(3723)
    ('2:03', '1:02:03')
    """
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


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
        """Middle of each frame in seconds, shape (frames,)."""
        return frame_edge_s(np.arange(len(self.log_mel)) + 0.5, self.settings)


def frame_edge_s(frame: Any, settings: SpectrogramSettings) -> Any:
    """Return the time in seconds at which a frame begins on the axis; its middle is half a frame later."""
    return frame * settings.frame_hop_s + settings.frame_start_s


def frame_at(seconds: Any, settings: SpectrogramSettings) -> Any:
    """Return the frame, as a real number, that begins at `seconds`; the inverse of `frame_edge_s`."""
    return (seconds - settings.frame_start_s) / settings.frame_hop_s


@dataclass(frozen=True, eq=False)
class Segments:
    """Overlapping pieces of a log-mel spectrogram, all equally long.

    Attributes
    ----------
    values : ndarray of shape (n, segment_frames, bands), float32
    start_frames : ndarray of shape (n,), int
    selected : ndarray of shape (n,), bool
        True for the segments that Gaussian data selection keeps.
    gds_score : ndarray of shape (n,), float64, or None
        None if there are too few segments to compare.
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
    """The model's probabilities.

    Attributes
    ----------
    segments : ndarray of shape (n, classes), float64
        Of each segment, selected or not.
    recording : ndarray of shape (classes,), float64
        Of the recording: selected segments pooled by `ser_core.model.scores.pool`.
    """

    segments: np.ndarray
    recording: np.ndarray


@dataclass(frozen=True)
class VoiceShare:
    """How much a speaker's own normal counts in a result.

    Attributes
    ----------
    recordings : int
        Number of recordings of the same speaker that give the normal.
    share : float
        Weight of that normal, 0 to 1; the rest is that of the training data.
    trust : float
        0 to 1; a factor of `share`, below 1 if the recordings show mostly one emotion.
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
        Signed: positive values support `emotion`. In the method's own unit, never scaled for display.
    covered : ndarray of shape (frames,), bool
        Frames covered by a selected segment of the stretch; elsewhere the relevance is 0 and means nothing.
    stretch : Region
        The part of the recording that was explained.
    seconds : float
        Computing time.
    stability : float or None
        For random methods, the expected correlation with the map of another seed.
    standard_error : ndarray of shape (frames, bands), float32, or None
        For random methods, the standard error of `relevance` over seeds; None if unknown.
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
    standard_error: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """The result of one model for one recording.

    Attributes
    ----------
    profile : ndarray of shape (frames,) or None
        None if nothing was explained.
    speech : ndarray of shape (frames,), bool
        Frames in speech, short pauses within it included.
    focus_by : Explanation or None
        The explanation from which `profile` and `focus` were computed.
    focus_settings : FocusSettings
        The settings of that computation. If they left `share` open, it is the share that was found.
    voice : VoiceShare or None
        None if the model used only the normal of its training data.
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
    speech: np.ndarray
    stretch: Region
    explanations: dict[str, Explanation] = field(default_factory=dict)
    profile: np.ndarray | None = None
    focus: tuple[FocusRegion, ...] = ()
    focus_by: Explanation | None = None
    focus_settings: FocusSettings = field(default_factory=FocusSettings)
    warnings: tuple[str, ...] = ()
    voice: VoiceShare | None = None

    @property
    def explains_whole_recording(self) -> bool:
        """Whether the stretch is the whole recording, to within a sample."""
        within_s = 1.0 / self.recording.sample_rate_hz
        return self.stretch.start_s < within_s and self.stretch.end_s > self.recording.duration_s - within_s
