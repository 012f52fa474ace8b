"""How much longer work will take, at the pace of its last minutes."""

import time
from collections import deque

MARKS, BETWEEN_S = 30, 10.0
LEAST_DONE = 0.02


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
