"""What would have to go for another emotion to be heard? The strongest cells of a map, as few as will do."""

from dataclasses import dataclass

import numpy as np

from ser_core.analysis import frame_edge_s
from ser_core.explanation.faithfulness import ranked_cells
from ser_core.explanation.relevance import ExplanationTarget, Perturbed
from ser_core.front_end.spectrogram import band_edges_hz
from ser_core.settings import SpectrogramSettings
from ser_core.work.progress import Work

NUMBERS_AT_ONCE = 8
#: The part of a flip that its words place in time and frequency.
MOSTLY = 0.8


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The cells without which another emotion is heard.

    Attributes
    ----------
    mask : ndarray of shape (frames, bands), bool
    share : float
        The part of the covered cells that they are, 0 to 1.
    emotion : int
        Place of the emotion that then has the best score; of `against`, where the target sets one.
    """

    mask: np.ndarray
    share: float
    emotion: int


def find_counterfactual(
    relevance: np.ndarray,
    perturbed: Perturbed,
    target: ExplanationTarget,
    work: Work,
) -> Counterfactual | None:
    """Take away the cells of 8 frames and 4 bands that a map marks most, and only positive ones, until it flips.

    It flips where the target's emotion no longer has the best score; against another emotion, where that one has
    the better score of the two. With one cell less it does not. A score may fall and rise again as cells go, so that
    a still smaller number can exist which the search did not meet.

    Returns
    -------
    Counterfactual or None
        None where the emotion is not the best to begin with, and where nothing that was taken away flips it, all
        positive cells among it.

    Raises
    ------
    ValueError
        If no frame is covered.
    Cancelled
    """
    place, means = ranked_cells(relevance, target)
    if _rival(perturbed.original, target) is not None:
        return None
    first, last, found = 1, int((means > 0).sum()), None
    positive = last
    while first <= last:
        work.check()
        work.report(1 - (last - first + 1) / positive, f"Between {first} and {last} cells taken away")
        numbers = np.unique(np.geomspace(first, last, NUMBERS_AT_ONCE).round().astype(int))
        masks = ((place >= 0) & (place < number) for number in numbers)
        heard = perturbed.without(masks, len(numbers), work.silently())
        rivals = [_rival(probabilities, target) for probabilities in heard]
        hit = next((i for i, rival in enumerate(rivals) if rival is not None), None)
        if hit is None:
            break
        last = int(numbers[hit]) - 1
        first = int(numbers[hit - 1]) + 1 if hit else first
        found = Counterfactual((place >= 0) & (place <= last), (last + 1) / len(means), rivals[hit])
    return found


def _rival(probabilities: np.ndarray, target: ExplanationTarget) -> int | None:
    """Return the emotion that is heard instead, or None."""
    rival = int(probabilities.argmax()) if target.against is None else target.against
    return rival if probabilities[rival] > probabilities[target.emotion] else None


def counterfactual_in_words(
    flip: Counterfactual, target: ExplanationTarget, emotions: tuple[str, ...], settings: SpectrogramSettings
) -> str:
    """Say what a flip means; time and frequency are the shortest ranges that each hold 80 % of it."""
    first, end = _shortest(flip.mask.sum(axis=1))
    low, above = _shortest(flip.mask.sum(axis=0))
    start_s, end_s = frame_edge_s(first, settings), frame_edge_s(end, settings)
    low_hz, high_hz = (round(hz, -1 if hz < 1_000 else -2) for hz in band_edges_hz(settings)[[low, above + 1]])
    percent = f"{100 * flip.share:.{0 if flip.share >= 0.01 else 1}f}"
    heard = f"the model would hear {emotions[flip.emotion]}"
    if target.against is not None:
        heard = f"{emotions[flip.emotion]} would be likelier than {emotions[target.emotion]}"
    where = f"mostly {start_s:.2f} to {end_s:.2f} s, {low_hz:.0f} to {high_hz:.0f} Hz"
    return f"Without the outlined {percent} % of the stretch ({where}) {heard}."


def _shortest(counts: np.ndarray) -> tuple[int, int]:
    """Return the first and the end (excluded) of the shortest range that holds most of what is counted."""
    up_to = np.concatenate([[0], np.cumsum(counts)])
    wanted = up_to[:-1] + MOSTLY * up_to[-1]
    starts = np.flatnonzero(wanted <= up_to[-1])
    ends = np.searchsorted(up_to, wanted[starts])
    best = int(np.argmin(ends - starts))
    return int(starts[best]), int(ends[best])
