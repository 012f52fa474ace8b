"""Which maps are faithful? Every measure of every map, compared with two maps that do not depend on the model.

    python benchmarks/faithfulness.py [--quick] [--model NAME] [--recordings N] [--seed N] [--json FILE]

Needs SER_CORPORA. Recordings are of speakers outside the training data, evenly over the corpora and their speakers;
each is explained for the predicted emotion. Means with 95 % intervals from resampled speakers; differences are paired.
Removed parts are filled with the noise floor, as in LIME and occlusion; the area is also measured with each band's
mean, which neither uses. `random` has new cells for every recording; its last two figures are those of a map that
depends on neither the input nor the model.

All maps are computed once unchanged, once with random weights and once for each changed input, so a recording takes a
little more than four times the time of its explanations.
"""

import json
import os
import platform
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser
from benchmarks._recordings import mean_with_interval, unseen
from ser_core.analysis import Recording
from ser_core.audio.reading import read_recording
from ser_core.corpora.splits import draw_evenly
from ser_core.explanation import EXPLAINERS
from ser_core.explanation.agreement import consensus, with_frequencies
from ser_core.explanation.faithfulness import curves_of, infidelity, mask_metrics, reference_maps
from ser_core.explanation.relevance import ExplanationTarget, Perturbed, fill_values
from ser_core.explanation.sensitivity import max_sensitivity, weight_randomisation
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import classify_recording, target_of
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED

FILLS = ("noise_floor", "band_mean")
REFERENCES = ("energy", "random")
BOXES = 100
#: In neper: the difference between AudioSet's own front end and ours.
RADIUS = 0.1
CHANGED_INPUTS = 2

#: Names in the table, and which direction is better.
MEASURES = {
    "area_noise_floor": "area, noise floor (log-odds), high",
    "area_noise_floor_above_energy": "  above energy's, high",
    "area_noise_floor_above_random": "  above random's, high",
    "area_band_mean": "area, band mean (log-odds), high",
    "area_band_mean_above_energy": "  above energy's, high",
    "area_band_mean_above_random": "  above random's, high",
    "increase": "AI: score rises with mask, high",
    "drop": "AD: score falls by, low",
    "gain": "AG: score rises by, high",
    "faithfulness": "FF: falls without mask, high",
    "fidelity": "Fid-In: same verdict, high",
    "infidelity": "infidelity (log-odds^2), low",
    "max_sensitivity": "max-sensitivity, low",
    "weight_randomisation": "rank corr. random weights, 0",
}

Figures = dict[str, dict[str, float]]


def maps_of(classifier: Classifier, target: ExplanationTarget, settings: AnalysisSettings) -> dict[str, np.ndarray]:
    maps = {}
    for method, explain in EXPLAINERS.items():
        result = explain(classifier, target, getattr(settings, method), settings.seed, UNWATCHED)
        maps[method] = result.relevance(target)
    return {
        **maps,
        "consensus": consensus(with_frequencies(maps), target.covered),
        **reference_maps(target, settings.seed),
    }


def figures_of(
    recording: Recording, classifier: Classifier, settings: AnalysisSettings, changed_inputs: int
) -> Figures:
    """Return every measure of every map of one recording."""
    target = target_of(classify_recording(recording, classifier, settings), settings)
    maps = maps_of(classifier, target, settings)
    figures: Figures = {name: {} for name in maps}
    for fill in FILLS:
        perturbed = _perturbed(classifier, target, fill)
        for name, curves in curves_of(maps, perturbed, target, UNWATCHED).items():
            figures[name][f"area_{fill}"] = curves.area
    perturbed = _perturbed(classifier, target, "noise_floor")
    errors = infidelity(maps, perturbed, target, BOXES, settings.seed, UNWATCHED)
    for name, map_ in maps.items():
        figures[name] |= {key: float(value) for key, value in asdict(mask_metrics(map_, perturbed, target)).items()}
        figures[name]["infidelity"] = errors[name]

    def of_target(changed: ExplanationTarget) -> dict[str, np.ndarray]:
        return maps_of(classifier, changed, settings)

    def of_classifier(other: Classifier) -> dict[str, np.ndarray]:
        return maps_of(other, target, settings)

    sensitivity = max_sensitivity(maps, of_target, target, RADIUS, changed_inputs, settings.seed, UNWATCHED)
    correlations = weight_randomisation(maps, of_classifier, classifier, target.covered, settings.seed)
    for name in maps:
        figures[name]["max_sensitivity"] = sensitivity[name]
        figures[name]["weight_randomisation"] = float("nan") if correlations is None else correlations[name]
    return figures


def _perturbed(classifier: Classifier, target: ExplanationTarget, fill: str) -> Perturbed:
    values = fill_values(target.log_mel, fill, np.random.default_rng(0))
    return Perturbed.of_classifier(classifier, target, values)


def with_differences(figures: Figures) -> Figures:
    """Add how far each map's areas exceed those of the reference maps."""
    return {
        name: own
        | {
            f"area_{fill}_above_{reference}": own[f"area_{fill}"] - figures[reference][f"area_{fill}"]
            for fill in FILLS
            for reference in REFERENCES
        }
        for name, own in figures.items()
    }


def summary(measured: list[Figures], speakers: list[str], seed: int) -> dict[str, dict[str, list[float]]]:
    """Return the mean of each measure and map and its 95 % interval from resampled speakers."""
    return {
        measure: {
            name: mean_with_interval(np.array([figures[name][measure] for figures in measured]), speakers, seed)
            for name in measured[0]
        }
        for measure in MEASURES
    }


def table(result: dict[str, dict[str, list[float]]]) -> str:
    """Return the summary as lines of text, one column per map."""
    names = list(next(iter(result.values())))
    lines = ["".join([" " * 34, *(f"{name:>21}" for name in names)])]
    for measure, title in MEASURES.items():
        cells = (f"{mean:6.2f} [{low:5.2f},{high:5.2f}]" for mean, low, high in result[measure].values())
        lines.append("".join([f"{title:34}", *(f"{cell:>21}" for cell in cells)]))
    return "\n".join(lines)


def main() -> None:
    parser = benchmark_parser(__doc__, "3 recordings, drafts of the maps, one changed input")
    parser.add_argument("--model", default="fusion")
    parser.add_argument("--recordings", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    items = draw_evenly(unseen(args.model), 3 if args.quick else args.recordings, args.seed)
    if not items:
        return
    classifier, settings = load_model(args.model), AnalysisSettings()
    settings = settings.drafted() if args.quick else settings
    began, measured = time.perf_counter(), []
    for done, item in enumerate(items):
        print(f"Recording {done + 1} of {len(items)}: {item.corpus}, {item.path.name}", file=sys.stderr)
        own = replace(settings, seed=args.seed + done)
        figures = figures_of(read_recording(item.path), classifier, own, 1 if args.quick else CHANGED_INPUTS)
        measured.append(with_differences(figures))
    speakers = [item.speaker_id for item in items]
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "model": args.model,
        "seed": args.seed,
        "maps": "drafts" if args.quick else "as by default",
        "recordings": len(items),
        "speakers": len(set(speakers)),
        "corpora": dict(Counter(item.corpus for item in items)),
        "seconds_a_recording": round((time.perf_counter() - began) / len(items), 1),
    }
    for key, value in result.items():
        print(f"{key.replace('_', ' ')}: {value}")
    result["measures"] = summary(measured, speakers, args.seed)
    print(table(result["measures"]))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
