"""LIME: a linear model of the evidence from which cells of the spectrogram are present."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import hadamard
from scipy.stats import spearmanr

from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.model.classifier import Classifier
from ser_core.settings import LimeSettings
from ser_core.work.progress import Work

#: After so many masks of each window LIME looks whether its map is stable.
MASKS_OF_A_ROUND = 32
#: How much the regression shrinks the weights, as in the package `lime`.
RIDGE = 1.0


@dataclass(frozen=True, eq=False)
class Window:
    """A window of the spectrogram; each mask removes half of its cells, and everything else stays.

    Attributes
    ----------
    frames : slice
        The window's frames in the recording.
    cell_of : ndarray of shape (frames of the window, bands), int
        The cell of each point.
    present : ndarray of shape (masks, cells), bool
        The cells that each mask leaves in.
    remaining : ndarray of shape (masks, classes)
        The recording's probabilities under each mask.
    """

    frames: slice
    cell_of: np.ndarray
    present: np.ndarray
    remaining: np.ndarray


@dataclass(frozen=True, eq=False)
class LimeResult:
    """The recording's probabilities, (classes,), and those under the masks of each window."""

    windows: list[Window]
    original: np.ndarray
    kernel_width: float

    def relevance(self, target: ExplanationTarget) -> np.ndarray:
        """Return the relevance (frames, bands), in log-odds: the weight of each point's cell."""
        relevance = np.zeros(target.log_mel.shape, np.float32)
        for window in self.windows:
            weights = self._weights(window, target, np.arange(len(window.present)))
            relevance[window.frames] = weights[window.cell_of]
        relevance[~target.covered] = 0
        return relevance

    def stability(self, target: ExplanationTarget) -> float | None:
        """Return the expected rank correlation of the weights with those of another seed, estimated from two halves.

        The weights from the two halves of the masks are correlated, and the correlation is corrected for the full
        number of masks by the Spearman-Brown formula. None if a half gives all cells the same weight.
        """
        halves = [[], []]
        for window in self.windows:
            middle = len(window.present) // 4 * 2  # a mask and its complement stay together
            for half, masks in zip(halves, np.split(np.arange(len(window.present)), [middle]), strict=True):
                half.append(self._weights(window, target, masks))
        one, other = (np.concatenate(half) for half in halves)
        if np.ptp(one) == 0 or np.ptp(other) == 0:
            return None
        of_halves = float(spearmanr(one, other).statistic)
        return 2 * of_halves / (1 + of_halves) if of_halves > 0 else of_halves

    def standard_error(self, target: ExplanationTarget) -> np.ndarray | None:
        """Return how far each point's relevance (frames, bands), float32, would differ with other masks.

        It is the standard error of the weights in a regression without the ridge. Masks count in pairs with their
        complements, whose difference holds the effect of the cells without that of pairs of cells. None if there are
        too few masks.
        """
        errors = np.zeros(target.log_mel.shape, np.float32)
        for window in self.windows:
            pairs, cells = len(window.present) // 2, window.present.shape[1]
            if pairs <= cells:
                return None
            signs = np.where(window.present[::2], 0.5, -0.5)
            evidences = target.evidence(window.remaining)
            differences = (evidences[::2] - evidences[1::2]) / 2
            inverse = np.linalg.pinv(signs.T @ signs)
            variance = np.square(differences - signs @ (inverse @ signs.T @ differences)).sum() / (pairs - cells)
            errors[window.frames] = np.sqrt(variance * np.diag(inverse)).astype(np.float32)[window.cell_of]
        errors[~target.covered] = 0
        return errors

    def _weights(self, window: Window, target: ExplanationTarget, masks: np.ndarray) -> np.ndarray:
        present = window.present[masks].astype(float)
        # The first row is the recording itself, as lime's surrogate expects.
        rows = np.concatenate([np.ones((1, present.shape[1])), present])
        evidences = target.evidence(np.concatenate([self.original[None], window.remaining[masks]]))
        return surrogate(rows, evidences, self.kernel_width)


def lime(
    classifier: Classifier,
    target: ExplanationTarget,
    settings: LimeSettings,
    seed: int,
    work: Work,
) -> LimeResult:
    """Score the recording with half of the cells of one window removed, for many masks of each window.

    Cells form a grid of time and band. A window is short, so that a mask changes few segments and few cells share the
    effect: for the same number of predicted segments, maps from windows of 0.16 s repeat better than those from windows
    of 0.48 s. Half of a window's masks are rows of a Hadamard matrix, in which every cell, and every pair of cells, is
    present equally often; the other half are their complements, which cancel interactions of pairs. Masks come in
    rounds over all windows, until the map is as stable as the settings require, or all masks are used.

    References
    ----------
    Ribeiro et al. 2016, arXiv:1602.04938; distances, kernel and ridge regression are those of the package `lime`.
    Plackett and Burman 1946, doi:10.1093/biomet/33.4.305, for the design.
    """
    rng = np.random.default_rng(seed)
    fill = fill_values(target.log_mel, settings.fill, rng)
    local = getattr(classifier, "score_local_changes", None)
    perturbed = Perturbed(classifier.score, classifier.temperature, target, fill, classifier.pooling, local)
    grids = list(_windows(target, settings))
    pairs = settings.masks // 2
    rounds = np.diff([*range(0, pairs * 2, MASKS_OF_A_ROUND), pairs * 2])
    windows: list[Window] = []
    for done, masks in enumerate(rounds):
        of_round = work.part(done, len(rounds), f"Round {done + 1} of at most {len(rounds)}")
        windows = [
            _window(*grid, int(masks), before, perturbed, target, rng, of_round.part(number, len(grids)))
            for number, (grid, before) in enumerate(zip(grids, windows or [None] * len(grids), strict=True))
        ]
        result = LimeResult(windows, perturbed.original, settings.kernel_width)
        if (result.stability(target) or 0.0) >= settings.stable_at:
            break
    return result


def _window(
    frames: slice,
    cell_of: np.ndarray,
    masks: int,
    before: Window | None,
    perturbed: Perturbed,
    target: ExplanationTarget,
    rng: np.random.Generator,
    work: Work,
) -> Window:
    """Return a window with more masks than before; what a mask leaves is predicted only where it is not known yet.

    A window of eight cells has only 256 different masks, and a draft's window of four only 16.
    """
    present = _balanced_masks(int(cell_of.max()) + 1, masks, rng)
    earlier = 0 if before is None else len(before.present)
    if before is not None:
        present = np.concatenate([before.present, present])
    indices: dict[bytes, int] = {}
    of_mask = np.array([indices.setdefault(row.tobytes(), len(indices)) for row in present])
    different = np.array([np.frombuffer(row, bool) for row in indices])
    known = of_mask[:earlier].max(initial=-1) + 1

    def filled() -> Iterator[np.ndarray]:
        for row in different[known:]:
            mask = np.zeros(target.log_mel.shape, bool)  # everything outside the window stays
            mask[frames] = ~row[cell_of]
            yield mask

    remaining = np.empty((len(different), len(perturbed.original)))
    if before is not None:
        remaining[of_mask[:earlier]] = before.remaining
    remaining[known:] = perturbed.without(filled(), len(different) - known, work)
    return Window(frames, cell_of, present, remaining[of_mask])


def surrogate(present: np.ndarray, evidences: np.ndarray, kernel_width: float) -> np.ndarray:
    """Return the weight of each cell in a ridge regression in which masks that remove less count more.

    Parameters
    ----------
    present : ndarray of shape (masks, cells), float
        1 where a cell is present; the first row is all ones.
    evidences : ndarray of shape (masks,)

    Returns
    -------
    ndarray of shape (cells,)
    """
    left_in = present.mean(axis=1)
    distances = 1 - np.sqrt(left_in)  # cosine distance between a mask and the row of ones
    trust = np.sqrt(np.exp(-(distances**2) / kernel_width**2))
    cells = present - np.average(present, axis=0, weights=trust)
    weighted = cells * trust[:, None]
    gained = weighted.T @ (evidences - np.average(evidences, weights=trust))
    return np.linalg.solve(weighted.T @ cells + RIDGE * np.eye(present.shape[1]), gained)


def _windows(target: ExplanationTarget, settings: LimeSettings) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield, for each window, its frames and the cell of every point in it (frames of the window, bands)."""
    bands = target.log_mel.shape[1]
    columns = -(-bands // settings.cell_bands)
    rows = np.arange(target.end_frame - target.first_frame) // settings.cell_frames
    count = rows[-1] + 1
    windows = max(1, round(count * settings.cell_frames / settings.window_frames))
    for of_window in np.array_split(np.arange(count), min(windows, count)):  # at least one cell in each
        inside = np.flatnonzero(np.isin(rows, of_window))
        frames = slice(target.first_frame + inside[0], target.first_frame + inside[-1] + 1)
        yield frames, (rows[inside, None] - of_window[0]) * columns + np.arange(bands) // settings.cell_bands


def _balanced_masks(cells: int, masks: int, rng: np.random.Generator) -> np.ndarray:
    """Return masks (masks, cells), each followed by its complement.

    They are rows of Hadamard matrices, whose columns and signs are assigned to the cells at random.
    """
    order = 1 << cells.bit_length()  # the smallest power of two above the cells: the first column is constant
    half: list[np.ndarray] = []
    while len(half) < masks // 2:
        columns = 1 + rng.permutation(order - 1)[:cells]
        rows = hadamard(order)[np.ix_(rng.permutation(order), columns)] * rng.choice([-1, 1], size=cells)
        half.extend(rows > 0)
    chosen = np.array(half[: masks // 2])
    return np.stack([chosen, ~chosen], axis=1).reshape(-1, cells)
