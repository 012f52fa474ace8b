"""The counterfactual: the fewest of a map's strongest cells whose removal changes the predicted emotion."""

from dataclasses import dataclass

import numpy as np

from ser_core.analysis import frame_edge_s
from ser_core.explanation.faithfulness import ranked_cells
from ser_core.explanation.relevance import ExplanationTarget, Perturbed
from ser_core.front_end.spectrogram import band_edges_hz
from ser_core.settings import SpectrogramSettings
from ser_core.work.progress import Work

COUNTS_AT_ONCE = 8
#: Share of a counterfactual that the ranges in its description contain.
DESCRIBED_SHARE = 0.8


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The cells without which another emotion is predicted.

    Attributes
    ----------
    mask : ndarray of shape (frames, bands), bool
    share : float
        Their share of the covered cells, 0 to 1.
    emotion : int
        Index of the emotion that then scores best; `against`, if the target has one.
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
    """Remove the positive cells, of 8 frames and 4 bands, that a map marks most, until the emotion changes.

    It changes when the target's emotion no longer scores best or, against another emotion, when that one scores
    higher. With one cell fewer it does not change. A score may fall and rise again, so a smaller number that the search
    did not try may exist.

    Returns
    -------
    Counterfactual or None
        None if the emotion does not score best to begin with, or still scores best without all positive cells.

    Raises
    ------
    ValueError
        If no frame is covered.
    Cancelled
    """
    rank, means = ranked_cells(relevance, target)
    if _rival(perturbed.original, target) is not None:
        return None
    first, last, found = 1, int((means > 0).sum()), None
    positive = last
    while first <= last:
        work.check()
        work.report(1 - (last - first + 1) / positive, f"Between {first} and {last} cells removed")
        counts = np.unique(np.geomspace(first, last, COUNTS_AT_ONCE).round().astype(int))
        masks = ((rank >= 0) & (rank < count) for count in counts)
        remaining = perturbed.without(masks, len(counts), work.silently())
        rivals = [_rival(probabilities, target) for probabilities in remaining]
        hit = next((i for i, rival in enumerate(rivals) if rival is not None), None)
        if hit is None:
            break
        last = int(counts[hit]) - 1
        first = int(counts[hit - 1]) + 1 if hit else first
        found = Counterfactual((rank >= 0) & (rank <= last), (last + 1) / len(means), rivals[hit])
    return found


def _rival(probabilities: np.ndarray, target: ExplanationTarget) -> int | None:
    """Return the emotion that is predicted instead, or None."""
    rival = int(probabilities.argmax()) if target.against is None else target.against
    return rival if probabilities[rival] > probabilities[target.emotion] else None


def counterfactual_in_words(
    flip: Counterfactual, target: ExplanationTarget, emotions: tuple[str, ...], settings: SpectrogramSettings
) -> str:
    """Describe a counterfactual; time and frequency are the shortest ranges that each contain 80 % of it."""
    first, end = _shortest_range(flip.mask.sum(axis=1))
    low, above = _shortest_range(flip.mask.sum(axis=0))
    start_s, end_s = frame_edge_s(first, settings), frame_edge_s(end, settings)
    low_hz, high_hz = (round(hz, -1 if hz < 1_000 else -2) for hz in band_edges_hz(settings)[[low, above + 1]])
    percent = f"{100 * flip.share:.{0 if flip.share >= 0.01 else 1}f}"
    consequence = f"the model would predict {emotions[flip.emotion]}"
    if target.against is not None:
        consequence = f"{emotions[flip.emotion]} would be likelier than {emotions[target.emotion]}"
    where = f"mostly {start_s:.2f} to {end_s:.2f} s, {low_hz:.0f} to {high_hz:.0f} Hz"
    return f"Without the outlined {percent} % of the stretch ({where}) {consequence}."


def _shortest_range(counts: np.ndarray) -> tuple[int, int]:
    """Return the first index and the end (excluded) of the shortest range that contains 80 % of the counts."""
    up_to = np.concatenate([[0], np.cumsum(counts)])
    wanted = up_to[:-1] + DESCRIBED_SHARE * up_to[-1]
    starts = np.flatnonzero(wanted <= up_to[-1])
    ends = np.searchsorted(up_to, wanted[starts])
    best = int(np.argmin(ends - starts))
    return int(starts[best]), int(ends[best])
