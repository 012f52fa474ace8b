"""LIME: a linear model of the evidence, given which cells of the spectrogram are present."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, reduce
from itertools import combinations
from operator import xor

import numpy as np
from scipy.linalg import hadamard

from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.model.classifier import Classifier
from ser_core.settings import LimeSettings
from ser_core.work.progress import Work

#: Masks per window between checks of whether the map is stable.
MASKS_PER_ROUND = 32
#: In windows of at most this many cells, the weights are those of all masks; masks not tried are interpolated.
FEW_CELLS = 8
#: Correlation of the evidence under two masks that differ in one cell; for two cells it is the square, and so on. With
#: eight cells, single cells then have 46 % of the variance, pairs 32 % and triples 13 %. With `whisper` they had 43 to
#: 65 %, 20 to 41 % and 7 to 12 % in five recordings. `benchmarks/masks.py` compares estimated with measured errors.
SIMILARITY = 2 / 3
#: How much the regression shrinks the weights, as in the package `lime`.
RIDGE = 1.0
#: The weights (cells,) of a window, and their standard errors, or None if these are not known.
_Estimate = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True, eq=False)
class Window:
    """A window of the spectrogram; each mask removes some of its cells and nothing else.

    Attributes
    ----------
    frames : slice
        The window's frames in the recording.
    cell_of : ndarray of shape (frames of the window, bands), int
        The cell of each point.
    present : ndarray of shape (masks, cells), bool
        The cells that each mask leaves unchanged.
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
            relevance[window.frames] = self._estimate(window, target)[0][window.cell_of]
        relevance[~target.covered] = 0
        return relevance

    def stability(self, target: ExplanationTarget) -> float | None:
        """Return the expected correlation of the weights with those of another seed, from their standard errors.

        None if the errors are not known, or all cells have the same weight.
        """
        return _stability([self._estimate(window, target) for window in self.windows])

    def standard_error(self, target: ExplanationTarget) -> np.ndarray | None:
        """Return the standard error of each point's relevance (frames, bands), float32.

        None if there are too few masks to estimate it.
        """
        errors = np.zeros(target.log_mel.shape, np.float32)
        for window in self.windows:
            window_errors = self._estimate(window, target)[1]
            if window_errors is None:
                return None
            errors[window.frames] = window_errors.astype(np.float32)[window.cell_of]
        errors[~target.covered] = 0
        return errors

    def _estimate(self, window: Window, target: ExplanationTarget) -> _Estimate:
        return _estimate(window, self.original, target, self.kernel_width)


def lime(
    classifier: Classifier,
    target: ExplanationTarget,
    settings: LimeSettings,
    seed: int,
    work: Work,
) -> LimeResult:
    """Score the recording with some of the cells of one window removed, for many masks of each window.

    Cells form a grid over time and bands. Windows are short, so that a mask changes few segments and few cells share
    the effect: for the same number of predicted segments, maps from windows of 0.16 s are more repeatable than those
    from windows of 0.48 s. After a first round of masks, the windows with the least certain weights get more, until the
    map is as stable as the settings require, or all masks are used.

    References
    ----------
    Ribeiro et al. 2016, arXiv:1602.04938; distances, kernel and ridge regression are those of the package `lime`.
    """
    rng = np.random.default_rng(seed)
    fill = fill_values(target.log_mel, settings.fill, rng)
    perturbed = Perturbed.of_classifier(classifier, target, fill, locally=True)
    grids = list(_windows(target, settings))
    total = settings.masks // 2 * 2
    rounds = np.diff([*range(0, total, MASKS_PER_ROUND), total])
    windows: list[Window | None] = [None] * len(grids)
    estimates: list[_Estimate] = [(np.zeros(1), None)] * len(grids)
    for done, masks in enumerate(rounds):
        round_work = work.part(done, len(rounds), f"Round {done + 1} of at most {len(rounds)}")
        least_certain_first = sorted(range(len(grids)), key=lambda number: -_uncertainty(estimates[number]))
        for rank, number in enumerate(least_certain_first):
            if done and (_stability(estimates) or 0.0) >= settings.stable_at:
                break
            part = round_work.part(rank, len(grids))
            windows[number] = _window(*grids[number], int(masks), windows[number], perturbed, target, rng, part)
            estimates[number] = _estimate(windows[number], perturbed.original, target, settings.kernel_width)
    return LimeResult(windows, perturbed.original, settings.kernel_width)


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
    """Return a window with more masks than before; masks that were predicted before are not predicted again.

    Masks do recur: a window of eight cells has only 256 different ones, and a draft's window of four only 16.
    """
    present = _masks(int(cell_of.max()) + 1, masks, rng)
    earlier = 0 if before is None else len(before.present)
    if before is not None:
        present = np.concatenate([before.present, present])
    indices: dict[bytes, int] = {}
    index_of_mask = np.array([indices.setdefault(row.tobytes(), len(indices)) for row in present])
    distinct = np.array([np.frombuffer(row, bool) for row in indices])
    known = index_of_mask[:earlier].max(initial=-1) + 1

    def new_masks() -> Iterator[np.ndarray]:
        for row in distinct[known:]:
            mask = np.zeros(target.log_mel.shape, bool)  # nothing outside the window is removed
            mask[frames] = ~row[cell_of]
            yield mask

    remaining = np.empty((len(distinct), len(perturbed.original)))
    if before is not None:
        remaining[index_of_mask[:earlier]] = before.remaining
    remaining[known:] = perturbed.without(new_masks(), len(distinct) - known, work)
    return Window(frames, cell_of, present, remaining[index_of_mask])


def _estimate(window: Window, original: np.ndarray, target: ExplanationTarget, kernel_width: float) -> _Estimate:
    # The first row is the recording itself, as lime's surrogate expects.
    present = np.concatenate([np.ones((1, window.present.shape[1]), bool), window.present])
    evidences = target.evidence(np.concatenate([original[None], window.remaining]))
    if present.shape[1] <= FEW_CELLS:
        return _interpolate(present, evidences, kernel_width)
    return surrogate(present.astype(float), evidences, kernel_width), _errors(present[1:], evidences[1:])


def _stability(estimates: list[_Estimate]) -> float | None:
    """Return the share of the variance of the weights of all windows that is not error, at least 0.

    None if the errors are not known, or all cells have the same weight.
    """
    weights, errors = zip(*estimates, strict=True)
    variance = float(np.var(np.concatenate(weights)))
    if variance == 0 or any(window_errors is None for window_errors in errors):
        return None
    return max(0.0, 1 - float(np.square(np.concatenate(errors)).mean()) / variance)


def _uncertainty(estimate: _Estimate) -> float:
    errors = estimate[1]
    return np.inf if errors is None else float(np.square(errors).mean())


def surrogate(present: np.ndarray, evidences: np.ndarray, kernel_width: float) -> np.ndarray:
    """Return the weight of each cell in a ridge regression in which masks that remove less count more.

    Parameters
    ----------
    present : ndarray of shape (masks, cells), float
        1 where a cell is present; one row is all ones.
    evidences : ndarray of shape (masks,) or (masks, n)

    Returns
    -------
    ndarray of shape (cells,) or (cells, n)
    """
    present_share = present.mean(axis=1)
    distances = 1 - np.sqrt(present_share)  # cosine distance between a mask and the row of ones
    kernel = np.sqrt(np.exp(-(distances**2) / kernel_width**2))
    cells = present - np.average(present, axis=0, weights=kernel)
    weighted = cells * kernel[:, None]
    moments = weighted.T @ (evidences - np.average(evidences, axis=0, weights=kernel))
    return np.linalg.solve(weighted.T @ cells + RIDGE * np.eye(present.shape[1]), moments)


def _interpolate(present: np.ndarray, evidences: np.ndarray, kernel_width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (cells,) that all masks would give, estimated from some, and their standard errors.

    The evidence under all masks is modelled as a Gaussian process with unknown mean and scale. Its correlation between
    two masks falls with the number of cells in which they differ (universal kriging).

    References
    ----------
    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", sections 2.2 and 2.7.
    """
    tried, first = np.unique(present, axis=0, return_index=True)
    inverse = np.linalg.inv(_similarity(tried, tried))
    total = inverse.sum()
    differences = evidences[first] - inverse.sum(axis=0) @ evidences[first] / total
    scale = differences @ inverse @ differences / max(len(tried) - 1, 1)
    masks, to_weights, prior_variance = _all_masks(present.shape[1], kernel_width)
    covariance = to_weights @ _similarity(masks, tried)
    gains = covariance @ inverse
    if len(tried) == len(masks):  # nothing is interpolated; what remains of the variance is rounding
        return gains @ differences, np.zeros(present.shape[1])
    remaining_variance = prior_variance - (gains * covariance).sum(axis=1)
    variance_of_mean = np.square(gains.sum(axis=1)) / total
    return gains @ differences, np.sqrt(scale * np.maximum(remaining_variance + variance_of_mean, 0))


@cache
def _all_masks(cells: int, kernel_width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all masks, and how the weights depend on the evidence under them.

    Returns
    -------
    masks : ndarray of shape (2**cells, cells), bool
    to_weights : ndarray of shape (cells, 2**cells)
        Multiplied by the evidence under each mask, it gives the weights.
    prior_variance : ndarray of shape (cells,)
        Variance of the weights before any mask is tried, for evidence of variance 1.
    """
    masks = np.arange(1 << cells)[:, None] >> np.arange(cells) & 1
    to_weights = surrogate(masks.astype(float), np.eye(len(masks)), kernel_width)
    return masks > 0, to_weights, (to_weights @ _similarity(masks, masks) * to_weights).sum(axis=1)


def _similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return SIMILARITY ** (a[:, None] != b).sum(axis=2)


def _windows(target: ExplanationTarget, settings: LimeSettings) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield, for each window, its frames and the cell of every point in it (frames of the window, bands)."""
    bands = target.log_mel.shape[1]
    columns = -(-bands // settings.cell_bands)
    rows = np.arange(target.end_frame - target.first_frame) // settings.cell_frames
    count = rows[-1] + 1
    windows = max(1, round(count * settings.cell_frames / settings.window_frames))
    for window_rows in np.array_split(np.arange(count), min(windows, count)):  # at least one cell in each
        inside = np.flatnonzero(np.isin(rows, window_rows))
        frames = slice(target.first_frame + inside[0], target.first_frame + inside[-1] + 1)
        yield frames, (rows[inside, None] - window_rows[0]) * columns + np.arange(bands) // settings.cell_bands


def _errors(present: np.ndarray, evidences: np.ndarray) -> np.ndarray | None:
    """Return the standard errors (cells,) of a window's weights, in a regression without kernel and ridge.

    Effects of pairs of cells do not count as error, because the masks balance them; the residual of single cells and
    pairs does. None if no degree of freedom remains.
    """
    masks, cells = present.shape
    columns, inverse, rank = _regression_on_pairs(present.tobytes(), cells)
    if masks <= rank:
        return None
    variance = np.square(evidences - columns @ (inverse @ evidences)).sum() / (masks - rank)
    return np.sqrt(variance * np.square(inverse[:cells]).sum(axis=1))


@lru_cache(maxsize=8)
def _regression_on_pairs(present: bytes, cells: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the columns for single cells and pairs, their pseudoinverse and rank; each emotion needs them again."""
    signs = np.where(np.frombuffer(present, bool).reshape(-1, cells), 0.5, -0.5)
    first, second = np.triu_indices(cells, 1)
    columns = np.column_stack([signs, np.ones(len(signs)), signs[:, first] * signs[:, second]])
    inverse = np.linalg.pinv(columns)
    return columns, inverse, round(np.vdot(inverse.T, columns))  # the trace of a projection is its rank


def _masks(cells: int, masks: int, rng: np.random.Generator) -> np.ndarray:
    """Return masks (masks, cells) that do not confound the effects of single cells with those of pairs.

    If possible they are a regular fractional factorial design of minimum aberration. Otherwise they are rows of
    Hadamard matrices, each followed by its complement. Columns and signs are assigned to the cells at random.

    References
    ----------
    Fries and Hunter 1980, doi:10.1080/00401706.1980.10486210, for minimum aberration. Plackett and Burman 1946,
    doi:10.1093/biomet/33.4.305, for rows of Hadamard matrices.
    """
    columns = _minimum_aberration_columns(cells, masks) if cells <= FEW_CELLS else None
    if columns is None:
        return _balanced_masks(cells, masks, rng)
    rows = hadamard(masks)[np.ix_(rng.permutation(masks), rng.permutation(columns))]
    return rows * rng.choice([-1, 1], size=cells) > 0


@cache
def _minimum_aberration_columns(cells: int, order: int) -> list[int] | None:
    """Return the columns of a Hadamard matrix that form a fractional factorial design of minimum aberration.

    The product of columns i and j is column i XOR j, and column 0 is constant. None if each design has a defining word,
    a constant product of columns, of fewer than four columns.
    """
    if order < 2 or order & (order - 1):
        return None
    independent = [1 << bit for bit in range(order.bit_length() - 1)]
    if cells <= len(independent):
        return independent[:cells]
    others = [column for column in range(1, order) if column.bit_count() > 2]  # two would form a word of three

    def word_counts(added: tuple[int, ...]) -> list[int]:
        """Return the number of defining words of each length if these columns are added to the independent ones."""
        counts = [0] * (cells + 1)
        for size in range(1, len(added) + 1):
            for columns in combinations(added, size):
                counts[size + reduce(xor, columns).bit_count()] += 1
        return counts

    best = min(combinations(others, cells - len(independent)), key=word_counts, default=())
    return None if not best or any(word_counts(best)[:4]) else [*independent, *best]


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
