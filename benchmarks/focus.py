"""Does the audible focus decide the verdict? Its size, and the model's verdicts on its sound alone and on the rest.

    python benchmarks/focus.py [--quick] [--model NAME] [--by METHOD] [--side SIDE] [--recordings N] [--seed N]
                               [--json FILE]

Needs SER_CORPORA. Recordings are of people unseen in training (or, to choose settings, of those who validated it),
drawn in turn from corpora and speakers. There are two kinds of sound: *in place*, where everything else is set to the
recording's noise floor, and *cut*, where everything else is removed, so that the regions follow each other. `stands` is
how often the model gives the same verdict for the regions alone, `falls` how often it gives another one without them.
The focus is compared with three stretches of speech of the same length: the loudest, a random one and the first. No
recording is left out because of its verdict.
"""

import argparse
import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import mean_with_interval, unseen, validating
from ser_core.analysis import Analysis
from ser_core.audio.reading import read_recording
from ser_core.corpora.splits import draw_evenly
from ser_core.explanation import FOCUS_METHODS
from ser_core.explanation.focus import focus_frames
from ser_core.explanation.focus_audio import sound_without
from ser_core.front_end.selection import segments_of
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import classify_recording, find_focus, score
from ser_core.settings import AnalysisSettings, FocusSettings
from ser_core.work.progress import UNWATCHED

STRETCHES = ("loudest", "random", "first")
SOUNDS = ("in_place", "cut")
SHORTEST_S = 0.1


def stretches(analysis: Analysis, inside: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the frames of the focus, and of stretches of speech of the same length that do not depend on the model."""
    speech = np.flatnonzero(analysis.speech) if analysis.speech.any() else np.arange(len(inside))
    count = min(int(inside.sum()), len(speech))
    level = np.cumsum(np.append(0.0, analysis.spectrogram.log_mel.mean(axis=1)[speech]))
    last = len(speech) - count
    starts = {
        "loudest": int(np.argmax(level[count:] - level[: last + 1])),
        "random": int(np.random.default_rng(seed).integers(last + 1)),
        "first": 0,
    }
    frames = {"focus": inside}
    for name, start in starts.items():
        frames[name] = np.zeros(len(inside), bool)
        frames[name][speech[start : start + count]] = True
    return frames


def verdict_of_sound(analysis: Analysis, samples: np.ndarray, classifier: Classifier) -> int | None:
    """Return the emotion with the best score for other samples; None if they are too short."""
    if len(samples) < SHORTEST_S * analysis.recording.sample_rate_hz:
        return None
    changed = spectrogram_of(replace(analysis.recording, samples=samples), analysis.spectrogram.settings)
    return int(score(segments_of(changed, classifier.front_end), classifier, UNWATCHED).recording.argmax())


def reclassified(analysis: Analysis, inside: np.ndarray, classifier: Classifier) -> dict[str, float]:
    """Return for each kind of sound whether the verdict stands with these frames alone and falls without them."""
    recording, spectrogram = analysis.recording, analysis.spectrogram
    best = int(analysis.scores.recording.argmax())
    bands = np.ones(spectrogram.log_mel.shape[1], np.float32)
    times_s = np.arange(len(recording.samples)) / recording.sample_rate_hz
    frame_of_sample = np.clip(np.searchsorted(spectrogram.frame_times_s, times_s), 0, len(inside) - 1)
    figures = {}
    for kind in SOUNDS:
        for name, audible in (("stands", inside), ("falls", ~inside)):
            if kind == "cut":
                samples = recording.samples[audible[frame_of_sample]]
            else:
                removed = (~audible)[:, None] * bands
                samples = sound_without(recording, removed, spectrogram.frame_times_s, spectrogram.settings)
            verdict = verdict_of_sound(analysis, samples, classifier)
            figures[f"{name}_{kind}"] = float((verdict == best) == (name == "stands"))
    return figures


def measure(analysis: Analysis, classifier: Classifier, seed: int) -> dict[str, dict[str, float]]:
    """Return the figures of the focus and of each stretch that it is compared with."""
    inside = focus_frames(analysis.focus, analysis.spectrogram.frame_times_s)
    figures = {
        name: reclassified(analysis, frames, classifier) for name, frames in stretches(analysis, inside, seed).items()
    }
    for stretch in STRETCHES:
        for key in list(figures[stretch]):
            figures["focus"][f"{key}_above_{stretch}"] = figures["focus"][key] - figures[stretch][key]
    return figures


def main() -> None:
    parser = benchmark_parser(__doc__, "4 recordings")
    parser.add_argument("--model", default="whisper")
    parser.add_argument("--by", choices=FOCUS_METHODS, default=AnalysisSettings().focus_by)
    parser.add_argument(
        "--threshold", type=float, help="share of the profile's highest value; default: the least that decides"
    )
    parser.add_argument("--side", choices=["unseen", "validation"], default="unseen")
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    result = measure_all(args, 4 if args.quick else args.recordings)
    if result is not None:
        report(result, args.json)


def measure_all(args: argparse.Namespace, count: int) -> dict[str, Any] | None:
    """Return the figures of a number of recordings, with intervals; None if there are no recordings."""
    classifier = load_model(args.model)
    items = unseen(args.model) if args.side == "unseen" else validating(args.model)
    measured, sizes, speakers, seconds = [], [], [], []
    for done, item in enumerate(draw_evenly(items, count, args.seed)):
        settings = AnalysisSettings(seed=args.seed + done, focus=FocusSettings(threshold=args.threshold))
        analysis = classify_recording(read_recording(item.path), classifier, settings)
        began = time.perf_counter()
        analysis = find_focus(analysis, args.by, classifier, settings)
        seconds.append((time.perf_counter() - began) / analysis.recording.duration_s)
        covered = focus_frames(analysis.focus, analysis.spectrogram.frame_times_s)
        sizes.append((covered.sum() / max(analysis.speech.sum(), 1), len(analysis.focus)))
        measured.append(measure(analysis, classifier, args.seed + done))
        speakers.append(f"{item.corpus}:{item.speaker_id}")
        print(f"Recording {done + 1} of {count}", file=sys.stderr)
    if not measured:
        return None
    shares, regions = np.array(sizes).T
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        **{name: getattr(args, name) for name in ("model", "by", "threshold", "side", "seed")},
        "recordings": len(measured),
        "speakers": len(set(speakers)),
        "share_of_the_speech": {
            "median": round(float(np.median(shares)), 3),
            "above_60_percent": round(float((shares > 0.6).mean()), 3),
        },
        "regions": {f"{number:.0f}": int((regions == number).sum()) for number in np.unique(regions)},
        "seconds_for_a_second": round(float(np.median(seconds)), 3),
        **{name: _with_intervals([figures[name] for figures in measured], speakers, args.seed) for name in measured[0]},
    }


def _with_intervals(figures: list[dict[str, float]], speakers: list[str], seed: int) -> dict[str, Any]:
    return {key: mean_with_interval(np.array([row[key] for row in figures]), speakers, seed) for key in figures[0]}


if __name__ == "__main__":
    main()
