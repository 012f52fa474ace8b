"""How many masks does a map need? LIME's designs, independent masks and shapiq's estimators, at equal accuracy.

    python benchmarks/masks.py [--quick] [--model NAME] [--recordings N] [--seed N] [--json FILE]

Needs SER_CORPORA; `pip install shapiq` adds its estimators. Recordings are of speakers outside the training data. In
every window of LIME (8 cells) the evidence under all 256 masks is computed. Each estimator gets some of these values,
and its map is compared (rank correlation over all cells of a recording, mean over recordings) with the map from all of
them: the weights of LIME, or the Shapley values. `ours` is from a planned fraction of the masks, with the others
interpolated; `fractions` is LIME's regression on the same masks; `complements` are random rows of Hadamard matrices
with their complements, which ours uses for more cells; in `independent` masks, as in the packages `lime` and captum,
each cell is present with a probability of one half. `errors` are the mean squared errors of ours, divided by those that
it estimates.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import unseen
from ser_core.audio.reading import read_recording
from ser_core.corpora.splits import draw_evenly
from ser_core.explanation.lime import _balanced_masks, _interpolate, _masks, _windows, surrogate
from ser_core.explanation.relevance import Perturbed, fill_values
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import classify_recording, target_of
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED

CELLS = 8
#: Bit c of a mask's number is set if cell c is present.
BITS = 1 << np.arange(CELLS)
ALL = np.arange(1 << CELLS)[:, None] & BITS > 0
BUDGETS = (32, 64, 96, 128)
#: Estimators of Shapley values.
SHAPIQ_ESTIMATORS = ("KernelSHAP", "kADDSHAP", "SVARM", "UnbiasedKernelSHAP")

Estimator = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def evidences(path: Path, classifier: Classifier) -> np.ndarray:
    """Return the evidence (windows, 256) under all masks of every window."""
    settings = AnalysisSettings()
    analysis = classify_recording(read_recording(path), classifier, settings)
    target = target_of(analysis, settings)
    fill = fill_values(target.log_mel, settings.lime.fill, np.random.default_rng(0))
    perturbed = Perturbed.of_classifier(classifier, target, fill, locally=True)

    def masks(frames: slice, cell_of: np.ndarray) -> Iterator[np.ndarray]:
        for row in ALL:
            mask = np.zeros(target.log_mel.shape, bool)
            mask[frames] = ~row[cell_of]
            yield mask

    windows = _windows(target, settings.lime)
    return np.stack([target.evidence(perturbed.without(masks(*window), len(ALL), UNWATCHED)) for window in windows])


def lime_with(draw: Callable[[int, np.random.Generator], np.ndarray]) -> Estimator:
    """Return an estimator of LIME's weights from the masks that `draw` returns."""

    def weights(evidence: np.ndarray, budget: int, rng: np.random.Generator) -> np.ndarray:
        present = draw(budget, rng)
        rows = np.concatenate([np.ones((1, CELLS)), present.astype(float)])
        mask_numbers = np.append(len(ALL) - 1, present @ BITS)
        return surrogate(rows, evidence[mask_numbers], AnalysisSettings().lime.kernel_width)

    return weights


def interpolated(evidence: np.ndarray, budget: int, rng: np.random.Generator) -> np.ndarray:
    return ours(evidence, budget, rng)[0]


def ours(evidence: np.ndarray, budget: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (cells,) and standard errors of a window."""
    present = np.concatenate([ALL[-1:], _masks(CELLS, budget, rng)])
    return _interpolate(present, evidence[present @ BITS], AnalysisSettings().lime.kernel_width)


def shapley(evidence: np.ndarray) -> np.ndarray:
    """Return the Shapley values (cells,) by definition."""
    values = np.zeros(CELLS)
    for cell in range(CELLS):
        others = [other for other in range(CELLS) if other != cell]
        for size in range(CELLS):
            for present in combinations(others, size):
                without = sum(1 << other for other in present)
                gain = evidence[without | 1 << cell] - evidence[without]
                values[cell] += gain / (CELLS * comb(CELLS - 1, size))
    return values


def shapiq_estimator(name: str) -> Estimator:
    import shapiq

    estimator_class = getattr(shapiq, name)
    options = {"SVARM": {}, "kADDSHAP": {"max_order": 2}}.get(name, {"pairing_trick": True})

    def values(evidence: np.ndarray, budget: int, rng: np.random.Generator) -> np.ndarray:
        estimator = estimator_class(CELLS, random_state=int(rng.integers(1 << 31)), **options)
        estimate = estimator.approximate(budget, lambda present: evidence[np.asarray(present, bool) @ BITS])
        return np.array([estimate[(cell,)] for cell in range(CELLS)])

    return values


def estimators() -> dict[str, Estimator]:
    result = {
        "ours": interpolated,
        "fractions": lime_with(lambda masks, rng: _masks(CELLS, masks, rng)),
        "complements": lime_with(lambda masks, rng: _balanced_masks(CELLS, masks, rng)),
        "independent": lime_with(lambda masks, rng: rng.random((masks, CELLS)) < 0.5),
    }
    try:
        result |= {f"shapiq {name}": shapiq_estimator(name) for name in SHAPIQ_ESTIMATORS}
    except ImportError:
        print("shapiq is not installed; its estimators are left out.")
    return result


def main() -> None:
    parser = benchmark_parser(__doc__, "1 recording instead of 12")
    parser.add_argument("--model", default="whisper")
    parser.add_argument("--recordings", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)  # of shapiq, about repeated masks
    items = unseen(args.model)
    if not items:
        return
    classifier, rng = load_model(args.model), np.random.default_rng(args.seed)
    items = draw_evenly(items, 1 if args.quick else args.recordings, args.seed)
    recordings = [evidences(item.path, classifier) for item in items]
    weights = [[ours(evidence, len(ALL), rng)[0] for evidence in windows] for windows in recordings]
    maps_from_all = {
        "lime": [np.concatenate(of_windows) for of_windows in weights],
        "shapiq": [np.concatenate([shapley(evidence) for evidence in windows]) for windows in recordings],
    }
    result = {"model": args.model, "recordings": len(items), "masks": list(BUDGETS)}
    result["errors"] = []
    for masks in BUDGETS:
        ratios = [error_ratio(*pair, masks, rng) for pair in zip(recordings, weights, strict=True)]
        result["errors"].append(round(float(np.mean(ratios)), 2))
    for name, estimate in estimators().items():
        from_all = maps_from_all["shapiq" if name.startswith("shapiq") else "lime"]
        result[name] = []
        for masks in BUDGETS:
            correlations = [agreement(estimate, masks, *pair, rng) for pair in zip(recordings, from_all, strict=True)]
            result[name].append(round(float(np.mean(correlations)), 3))
    report(result, args.json)


def error_ratio(windows: np.ndarray, from_all: list[np.ndarray], masks: int, rng: np.random.Generator) -> float:
    """Return the mean squared error of our weights from a few masks, divided by the estimated one."""
    weights, errors = zip(*(ours(evidence, masks, rng) for evidence in windows), strict=True)
    return float(np.square(np.array(weights) - from_all).mean() / np.square(errors).mean())


def agreement(
    estimate: Estimator, masks: int, windows: np.ndarray, from_all: np.ndarray, rng: np.random.Generator
) -> float:
    """Return the rank correlation of a map from a few masks with that from all."""
    return spearmanr(np.concatenate([estimate(evidence, masks, rng) for evidence in windows]), from_all).statistic


if __name__ == "__main__":
    main()
