"""How long work says how far it is and learns that it has to stop, and how much longer it will take."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ser_core.errors import Cancelled

MARKS, BETWEEN_S = 30, 10.0
LEAST_DONE = 0.02


def _nobody_watches(fraction: float, text: str) -> None:
    """Take a report of progress that nobody reads."""


def _nobody_stops() -> bool:
    return False


@dataclass(frozen=True)
class Work:
    """What a function that takes longer than a second reports to, and is stopped by.

    Attributes
    ----------
    progress : callable
        Takes the fraction that is done, 0 to 1, and what is being done.
    stop : callable
        True once the person has asked for the work to stop.
    """

    progress: Callable[[float, str], None] = _nobody_watches
    stop: Callable[[], bool] = _nobody_stops

    def report(self, fraction: float, text: str) -> None:
        """Say how much is done, 0 to 1, and what is being done."""
        self.progress(fraction, text)

    def check(self, stopped: str = "Stopped.") -> None:
        """End here if the person asked for it; called between pieces of work of less than a second.

        Raises
        ------
        Cancelled
            With the words in `stopped`.
        """
        if self.stop():
            raise Cancelled(stopped)

    def part(self, done: float, parts: float, text: str = "") -> "Work":
        """Return the work of one of `parts` equal parts, after `done` of them; `text` goes before what it reports."""
        return Work(lambda fraction, own: self.progress((done + fraction) / parts, text + own), self.stop)

    def silently(self) -> "Work":
        """Return the same work without its progress."""
        return Work(stop=self.stop)


UNWATCHED = Work()


class Pace:
    """Watches the fraction that is done.

    Work that was resumed begins far on, and its parts have paces of their own: only the last five minutes count.
    """

    def __init__(self) -> None:
        self._marks = deque([(time.monotonic(), 0.0)], maxlen=MARKS)

    def seconds_left(self, fraction: float) -> float | None:
        """Return how long the rest will take now that `fraction` is done, or None as long as that is a guess."""
        now = time.monotonic()
        began, before = self._marks[0]
        if now - self._marks[-1][0] >= BETWEEN_S:
            self._marks.append((now, fraction))
        if fraction < LEAST_DONE or fraction <= before:
            return None
        return (now - began) * (1 - fraction) / (fraction - before)
