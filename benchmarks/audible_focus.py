"""Does the verdict survive with the focus alone, and change without it? Measured on the audio, not on maps.

    python benchmarks/audible_focus.py [--quick] [--model NAME] [--recordings N] [--share S] [--seed N] [--json FILE]

Needs SER_CORPORA. Recordings of speakers outside the training data whose emotion the model predicts correctly. Each map
marks the same share of the time-frequency area, its strongest points; everything else is set to the recording's noise
floor, the audio is resynthesised, and the model scores it. `survives` is how often the verdict stays with the marked
part alone, `falls` how often it changes without it. `energy` marks loud points, `random` random cells.
"""

import os
import platform
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import mean_with_interval, unseen
from benchmarks.faithfulness import maps_of
from ser_core.analysis import Analysis
from ser_core.audio.reading import read_recording
from ser_core.corpora.splits import draw_evenly
from ser_core.explanation.focus_audio import focus_mask
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import classify_recording, score_focus_audio, target_of
from ser_core.settings import AnalysisSettings

REFERENCES = ("energy", "random")


def outcomes(
    analysis: Analysis, classifier: Classifier, settings: AnalysisSettings, share: float
) -> dict[str, tuple[bool, bool]]:
    """Return for each map whether the verdict survives with its focus alone, and whether it falls without it."""
    target = target_of(analysis, settings)
    result = {}
    for name, map_ in maps_of(classifier, target, settings).items():
        # Random cells have no sign; for energy the loudest points are marked.
        scores = score_focus_audio(analysis, focus_mask(map_, target.covered, share), classifier)
        alone, without = (int(sound.scores.argmax()) for sound in (scores.alone, scores.without))
        result[name] = (alone == target.emotion, without != target.emotion)
    return result


def summary(measured: list[dict[str, tuple[bool, bool]]], speakers: list[str], seed: int) -> dict[str, dict]:
    """Return both rates of each map with intervals, and how far they exceed those of the references."""
    rates = {name: np.array([outcome[name] for outcome in measured], float) for name in measured[0]}
    result: dict[str, dict] = {}
    for name, values in rates.items():
        result[name] = {}
        for column, rate in enumerate(("survives", "falls")):
            result[name][rate] = mean_with_interval(values[:, column], speakers, seed)
            for reference in REFERENCES:
                difference = values[:, column] - rates[reference][:, column]
                result[name][f"{rate}_above_{reference}"] = mean_with_interval(difference, speakers, seed)
    return result


def main() -> None:
    parser = benchmark_parser(__doc__, "4 recordings, drafts of the maps")
    parser.add_argument("--model", default="fusion")
    parser.add_argument("--recordings", type=int, default=60)
    parser.add_argument("--share", type=float, default=0.3, help="of the area that is the focus")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    classifier, count = load_model(args.model), 4 if args.quick else args.recordings
    measured, speakers = [], []
    items = unseen(args.model)
    for done, item in enumerate(draw_evenly(items, len(items), args.seed)):
        settings = AnalysisSettings(seed=args.seed + done)
        analysis = classify_recording(read_recording(item.path), classifier, settings)
        if analysis.verdict != item.emotion:
            continue
        settings = settings.drafted() if args.quick else settings
        measured.append(outcomes(analysis, classifier, settings, args.share))
        speakers.append(item.speaker_id)
        if len(measured) == count:
            break
    if not measured:
        return
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "model": args.model,
        "seed": args.seed,
        "share": args.share,
        "recordings": len(measured),
        "speakers": len(set(speakers)),
        **summary(measured, speakers, args.seed),
    }
    report(result, args.json)


if __name__ == "__main__":
    main()
