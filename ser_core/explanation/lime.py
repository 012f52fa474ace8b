"""LIME: a linear model of the evidence from which cells of the spectrogram are present."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.linalg import hadamard

from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.model.classifier import Classifier
from ser_core.settings import LimeSettings
from ser_core.work.progress import Work

#: After so many masks of each window LIME looks whether its map is stable.
MASKS_OF_A_ROUND = 64
#: How much the regression shrinks the weights, as in the package `lime`.
RIDGE = 1.0


@dataclass(frozen=True, eq=False)
class Window:
    """A window of the spectrogram; each mask removes some of its cells, and everything else stays.

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
            relevance[window.frames] = self._weights(window, target)[window.cell_of]
        relevance[~target.covered] = 0
        return relevance

    def stability(self, target: ExplanationTarget) -> float | None:
        """Return the expected correlation of the weights with those of another seed, from their standard errors.

        It is the share of their variance that is not error. None if the errors are not known, or all cells have the
        same weight.
        """
        weights, errors = [], []
        for window in self.windows:
            of_window = _errors(window, target)
            if of_window is None:
                return None
            weights.append(self._weights(window, target))
            errors.append(of_window)
        variance = float(np.var(np.concatenate(weights)))
        if variance == 0:
            return None
        return max(0.0, 1 - float(np.square(np.concatenate(errors)).mean()) / variance)

    def standard_error(self, target: ExplanationTarget) -> np.ndarray | None:
        """Return how far each point's relevance (frames, bands), float32, would differ with other masks.

        None if there are too few masks.
        """
        errors = np.zeros(target.log_mel.shape, np.float32)
        for window in self.windows:
            of_window = _errors(window, target)
            if of_window is None:
                return None
            errors[window.frames] = of_window.astype(np.float32)[window.cell_of]
        errors[~target.covered] = 0
        return errors

    def _weights(self, window: Window, target: ExplanationTarget) -> np.ndarray:
        # The first row is the recording itself, as lime's surrogate expects.
        rows = np.concatenate([np.ones((1, window.present.shape[1])), window.present.astype(float)])
        evidences = target.evidence(np.concatenate([self.original[None], window.remaining]))
        return surrogate(rows, evidences, self.kernel_width)


def lime(
    classifier: Classifier,
    target: ExplanationTarget,
    settings: LimeSettings,
    seed: int,
    work: Work,
) -> LimeResult:
    """Score the recording with some of the cells of one window removed, for many masks of each window.

    Cells form a grid of time and band. A window is short, so that a mask changes few segments and few cells share the
    effect: for the same number of predicted segments, maps from windows of 0.16 s repeat better than those from windows
    of 0.48 s. Masks come in rounds over all windows, until the map is as stable as the settings require, or all masks
    are used.

    References
    ----------
    Ribeiro et al. 2016, arXiv:1602.04938; distances, kernel and ridge regression are those of the package `lime`.
    """
    rng = np.random.default_rng(seed)
    fill = fill_values(target.log_mel, settings.fill, rng)
    local = getattr(classifier, "score_local_changes", None)
    perturbed = Perturbed(classifier.score, classifier.temperature, target, fill, classifier.pooling, local)
    grids = list(_windows(target, settings))
    masks = settings.masks // 2 * 2
    rounds = np.diff([*range(0, masks, MASKS_OF_A_ROUND), masks])
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
    present = _masks(int(cell_of.max()) + 1, masks, rng)
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


def _errors(window: Window, target: ExplanationTarget) -> np.ndarray | None:
    """Return the standard errors (cells,) of a window's weights, in a regression without kernel and ridge.

    Effects of pairs of cells are no error, as the masks balance them; what they and the weights leave unexplained is.
    None if they explain everything.
    """
    masks, cells = window.present.shape
    signs = np.where(window.present, 0.5, -0.5)
    first, second = np.triu_indices(cells, 1)
    columns = np.column_stack([signs, np.ones(masks), signs[:, first] * signs[:, second]])
    inverse, rank = np.linalg.pinv(columns), np.linalg.matrix_rank(columns)
    if masks <= rank:
        return None
    evidences = target.evidence(window.remaining)
    variance = np.square(evidences - columns @ (inverse @ evidences)).sum() / (masks - rank)
    return np.sqrt(variance * np.square(inverse[:cells]).sum(axis=1))


def _masks(cells: int, masks: int, rng: np.random.Generator) -> np.ndarray:
    """Return masks (masks, cells) in which the weight of a cell is free of the effects of pairs of cells.

    If possible, of triples too: then the masks are a regular fraction of all masks in which no product of up to four
    cells is the same everywhere (resolution V; 64 masks for eight cells). Otherwise they are rows of Hadamard matrices,
    each followed by its complement. Which cell has which column, and which half of the masks has it present, is drawn.

    References
    ----------
    Box and Hunter 1961, doi:10.1080/00401706.1961.10489951, for fractions. Plackett and Burman 1946,
    doi:10.1093/biomet/33.4.305, for rows of Hadamard matrices.
    """
    columns = _clear_columns(cells, masks)
    if columns is not None:
        rows = hadamard(masks)[np.ix_(rng.permutation(masks), rng.permutation(columns))]
        return rows * rng.choice([-1, 1], size=cells) > 0
    return _balanced_masks(cells, masks, rng)


@cache
def _clear_columns(cells: int, order: int) -> list[int] | None:
    """Return columns of a Hadamard matrix of which no product of up to four, or more if possible, is constant.

    The product of the columns i and j is the column i XOR j, and column 0 is constant.
    """
    if order & (order - 1):
        return None
    for most in range(cells, 3, -1):
        chosen: list[int] = []
        products = [{0}]  # of so many chosen columns
        for column in range(1, order):
            if any(column in of_number for of_number in products[:most]):
                continue
            chosen.append(column)
            longer = [{column ^ product for product in of_number} for of_number in products]
            products = [a | b for a, b in zip([*products, set()], [set(), *longer], strict=True)]
            if len(chosen) == cells:
                return chosen
    return None


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
