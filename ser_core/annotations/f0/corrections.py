"""Corrections of the F0 of a recording: frames with new values, authors and times. Other frames are as measured."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ser_core.settings import F0Settings


@dataclass(frozen=True)
class Correction:
    """The F0 of a frame, corrected by hand.

    Attributes
    ----------
    hz : float
        0: unvoiced.
    by : str
        Who.
    at : datetime
        When, in UTC.
    """

    hz: float
    by: str
    at: datetime


@dataclass(frozen=True)
class CorrectedF0:
    """All corrections of the F0 of a recording.

    Attributes
    ----------
    frames : mapping of int to Correction
        By number of the frame; `F0Settings` defines the frames.
    """

    frames: Mapping[int, Correction] = field(default_factory=dict)

    @property
    def hz(self) -> dict[int, float]:
        """The corrected F0 by frame; 0: unvoiced."""
        return {frame: each.hz for frame, each in self.frames.items()}

    @property
    def people(self) -> dict[str, int]:
        """Number of frames by the person who corrected them last, the largest first."""
        return dict(Counter(each.by for each in self.frames.values()).most_common())

    def from_time(self, start_s: float) -> "CorrectedF0":
        """Return the corrections of the stretch that begins at a time, in its own frames."""
        first = round(start_s / F0Settings().hop_s)
        return CorrectedF0({frame - first: each for frame, each in self.frames.items() if frame >= first})


@dataclass(frozen=True)
class F0Change:
    """A step's corrections of F0 before and after; a frame that is in only one of them is as measured in the other."""

    before: Mapping[int, Correction]
    after: Mapping[int, Correction]

    @property
    def frames(self) -> list[int]:
        return sorted({*self.before, *self.after})

    @property
    def bounds_s(self) -> tuple[float, float]:
        """Start and end in the recording, in seconds."""
        hop_s = F0Settings().hop_s
        return self.frames[0] * hop_s, (self.frames[-1] + 1) * hop_s

    def in_words(self) -> str:
        """Return the change in words, with its times.

        >>> F0Change({}, {50: Correction(0.0, "ann", datetime.min)}).in_words()
        'corrected F0 from 0.50 to 0.51 s, frames: 1'
        """
        action = "corrected F0" if self.after else "restored the measured F0"
        start_s, end_s = self.bounds_s
        return f"{action} from {start_s:.2f} to {end_s:.2f} s, frames: {len(self.frames)}"


def runs(frames: Mapping[int, Correction]) -> Iterator[tuple[int, list[Correction]]]:
    """Yield runs of frames that one person corrected at the same time, each as its first frame and its corrections."""
    first, run = 0, []
    for frame in sorted(frames):
        each = frames[frame]
        if run and (frame, each.by, each.at) != (first + len(run), run[0].by, run[0].at):
            yield first, run
            run = []
        first = first if run else frame
        run.append(each)
    if run:
        yield first, run
