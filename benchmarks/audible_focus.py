"""Does the verdict survive with the focus alone, and fall without it? Asked of sound that is played, not of maps.

    python benchmarks/audible_focus.py [--quick] [--model NAME] [--recordings N] [--share S] [--seed N] [--json FILE]

Needs SER_CORPORA. Of people whom the model never heard, recordings whose emotion it names. Each map marks the same
share of the area in time and frequency, its strongest points; all else goes to the recording's noise floor, the sound
is made again, and the model scores it from the beginning. `survives` is how often the verdict is the same with what
is marked alone, `falls` how often it is another without it. `energy` marks what is loud, `random` cells by chance.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._recordings import drawn_evenly, mean_with_interval, unheard
from benchmarks.faithfulness import maps_of
from ser_core.analysis import Analysis
from ser_core.audio.reading import read_recording
from ser_core.explanation.focus_audio import focus_mask
from ser_core.model.checkpoint import load_model
from ser_core.model.classifier import Classifier
from ser_core.pipeline import classify_recording, score_focus_audio, target_of
from ser_core.settings import AnalysisSettings

REFERENCES = ("energy", "random")


def outcomes(
    analysis: Analysis, classifier: Classifier, settings: AnalysisSettings, share: float
) -> dict[str, tuple[bool, bool]]:
    """Return of each map whether the verdict survives with its focus alone, and whether it falls without it."""
    target = target_of(analysis, settings)
    found = {}
    for name, map_ in maps_of(classifier, target, settings).items():
        # Random cells have no sign, and what is loud is marked from the loudest down.
        heard = score_focus_audio(analysis, focus_mask(map_, target.covered, share), classifier)
        alone, without = (int(sound.scores.argmax()) for sound in (heard.alone, heard.without))
        found[name] = (alone == target.emotion, without != target.emotion)
    return found


def summary(measured: list[dict[str, tuple[bool, bool]]], speakers: list[str], seed: int) -> dict[str, dict]:
    """Return both rates of each map with their intervals, and by how much they exceed those of the references."""
    rates = {name: np.array([outcome[name] for outcome in measured], float) for name in measured[0]}
    result: dict[str, dict] = {}
    for name, values in rates.items():
        result[name] = {}
        for place, rate in enumerate(("survives", "falls")):
            result[name][rate] = mean_with_interval(values[:, place], speakers, seed)
            for reference in REFERENCES:
                above = values[:, place] - rates[reference][:, place]
                result[name][f"{rate}_above_{reference}"] = mean_with_interval(above, speakers, seed)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 recordings, drafts of the maps")
    parser.add_argument("--model", default="fusion")
    parser.add_argument("--recordings", type=int, default=60)
    parser.add_argument("--share", type=float, default=0.3, help="of the area that is the focus")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    classifier, wanted = load_model(asked.model), 4 if asked.quick else asked.recordings
    measured, speakers = [], []
    items = unheard(asked.model)
    for done, item in enumerate(drawn_evenly(items, len(items), asked.seed)):
        settings = AnalysisSettings(seed=asked.seed + done)
        analysis = classify_recording(read_recording(item.path), classifier, settings)
        if analysis.verdict != item.emotion:
            continue
        settings = settings.drafted() if asked.quick else settings
        measured.append(outcomes(analysis, classifier, settings, asked.share))
        speakers.append(item.speaker_id)
        if len(measured) == wanted:
            break
    if not measured:
        return
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "model": asked.model,
        "seed": asked.seed,
        "share": asked.share,
        "recordings": len(measured),
        "speakers": len(set(speakers)),
        **summary(measured, speakers, asked.seed),
    }
    print(json.dumps(result, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
