"""LIME: a linear model of which cells of the spectrogram the evidence needs."""

from collections.abc import Callable, Iterator

import numpy as np
from lime.lime_base import LimeBase

from ser_core.classifier import Classifier
from ser_core.explanation.relevance import PerturbedEvidence, Progress, Question, fill_values
from ser_core.settings import LimeSettings


def lime(
    classifier: Classifier,
    question: Question,
    settings: LimeSettings,
    seed: int,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> np.ndarray:
    """Return the relevance (frames, bands), in log-odds: the weight of the cell that each point lies in.

    Cells are a grid of time and band. Masks come in pairs, each the complement of the other, so that every cell is
    taken away as often as it is left in.

    References
    ----------
    Ribeiro et al. 2016, arXiv:1602.04938; distances, kernel and ridge regression are those of the package `lime`.
    """
    rng = np.random.default_rng(seed)
    fill = fill_values(question.log_mel, settings.fill, rng)
    perturbed = PerturbedEvidence(classifier.score, classifier.temperature, question, fill)
    cell_of, cells = _grid(question, settings)
    present = _paired_masks(cells, settings.masks, rng)

    def masks() -> Iterator[np.ndarray]:
        for row in present:
            yield np.append(~row, False)[cell_of]  # what lies outside of the stretch stays

    remaining = perturbed.without(masks(), len(present), progress, cancelled)
    # The first row is the recording itself, as lime's surrogate expects.
    rows = np.concatenate([np.ones((1, cells)), present.astype(float)])
    weights = surrogate(rows, np.append(perturbed.original, remaining), settings.kernel_width)
    relevance = np.append(weights, 0.0)[cell_of].astype(np.float32)
    relevance[~question.covered] = 0
    return relevance


def surrogate(present: np.ndarray, evidences: np.ndarray, kernel_width: float) -> np.ndarray:
    """Return the weight of each cell in a ridge regression that trusts masks near the whole recording most.

    Parameters
    ----------
    present : ndarray of shape (masks, cells), float
        1 where a cell is left in; the first row all ones.
    evidences : ndarray of shape (masks,)

    Returns
    -------
    ndarray of shape (cells,)
    """
    left_in = present.mean(axis=1)
    distances = 1 - np.sqrt(left_in)  # cosine distance between a mask and the row of ones
    explainer = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / kernel_width**2)))
    _, weights, *_ = explainer.explain_instance_with_data(
        present, evidences[:, None], distances, 0, num_features=present.shape[1], feature_selection="none"
    )
    places, values = zip(*weights, strict=True)
    ordered = np.empty(present.shape[1])
    ordered[list(places)] = values
    return ordered


def _grid(question: Question, settings: LimeSettings) -> tuple[np.ndarray, int]:
    """Return the cell of every point, shape (frames, bands), and how many cells there are; that many means outside."""
    frames, bands = question.log_mel.shape
    columns = -(-bands // settings.cell_bands)
    rows = np.arange(question.end_frame - question.first_frame) // settings.cell_frames
    cells = int(rows[-1] + 1) * columns
    cell_of = np.full((frames, bands), cells)
    inside = slice(question.first_frame, question.end_frame)
    cell_of[inside] = rows[:, None] * columns + np.arange(bands) // settings.cell_bands
    return cell_of, cells


def _paired_masks(cells: int, masks: int, rng: np.random.Generator) -> np.ndarray:
    half = rng.random((-(-masks // 2), cells)) < 0.5
    return np.stack([half, ~half], axis=1).reshape(-1, cells)[:masks]
