"""Progress, stopping and the time left of long-running work."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ser_core.errors import Cancelled

#: `Pace` stores this many points, this far apart: the last five minutes.
POINTS, POINT_INTERVAL_S = 30, 10.0
#: Below this fraction the time left would be a guess.
MIN_FRACTION = 0.02

#: Between the text of the work and that of its current part.
SEPARATOR = " · "


def _ignore_progress(fraction: float, text: str) -> None:
    pass


def _never_stop() -> bool:
    return False


@dataclass(frozen=True)
class Work:
    """What long-running work reports its progress to, and is stopped by.

    Attributes
    ----------
    progress : callable
        Called with the fraction that is done, 0 to 1, and what is being done.
    stop : callable
        Returns True once the work should stop.
    cluster : callable or None
        Called with a function, its arguments and this work, to compute a heavy step elsewhere. None computes it here.
    """

    progress: Callable[[float, str], None] = _ignore_progress
    stop: Callable[[], bool] = _never_stop
    cluster: Callable[[Callable[..., Any], tuple[Any, ...], "Work"], Any] | None = None

    def report(self, fraction: float, text: str) -> None:
        """Report how much is done, 0 to 1, and what is being done."""
        self.progress(fraction, text)

    def check(self, stopped: str = "Stopped.") -> None:
        """Raise `Cancelled` if the work should stop; called between pieces of work of less than a second.

        Raises
        ------
        Cancelled
            With the message `stopped`.
        """
        if self.stop():
            raise Cancelled(stopped)

    def compute(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return `function(*arguments, work)`, a heavy step, which a cluster may compute."""
        return function(*arguments, self) if self.cluster is None else self.cluster(function, arguments, self)

    def part(self, done: float, parts: float, text: str = "") -> "Work":
        """Return the work for one of `parts` equal parts, after `done` of them; `text` goes before its own texts."""

        def progress(fraction: float, part_text: str) -> None:
            self.progress((done + fraction) / parts, SEPARATOR.join(filter(None, (text, part_text))))

        return replace(self, progress=progress)

    def silently(self) -> "Work":
        """Return the same work without progress."""
        return replace(self, progress=_ignore_progress)


UNWATCHED = Work()


class Pace:
    """Estimates the time left from the fractions done so far.

    Only the last five minutes count: resumed work does not begin at 0, and its parts differ in speed.
    """

    def __init__(self) -> None:
        self._points = deque([(time.monotonic(), 0.0)], maxlen=POINTS)

    def seconds_left(self, fraction: float) -> float | None:
        """Return the seconds left now that `fraction` is done, or None while that would be a guess."""
        now = time.monotonic()
        first_time, first_fraction = self._points[0]
        if now - self._points[-1][0] >= POINT_INTERVAL_S:
            self._points.append((now, fraction))
        if fraction < MIN_FRACTION or fraction <= first_fraction:
            return None
        return (now - first_time) * (1 - fraction) / (fraction - first_fraction)
