"""Stretches of time, and boxes of time and frequency, in a recording."""

from dataclasses import dataclass

from ser_core.errors import SettingsRefused


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
