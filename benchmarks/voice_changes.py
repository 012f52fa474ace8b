"""Does a natural change of the voice change the verdict, and do the scores change as phonetics expects?

    python benchmarks/voice_changes.py [--quick] [--model NAME] [--recordings N] [--seed N] [--ranges] [--json FILE]

Needs SER_CORPORA. Recordings are of people unseen in training, drawn in turn from corpora and speakers. `flips` is how
often a natural change of one property changes the verdict, `size` is the smallest such change as a share of the natural
limit. `unchanged` is how often the verdict stays after resynthesis without a change, `there_and_back` how often it
stays after a change by a quarter of the limit and back. `gained` is how much more evidence (log-odds) for an emotion
there is with natural changes upwards than with those downwards (for creak: without change), and `agrees` how often its
sign is as phonetics expects: anger and joy are higher, wider, faster, louder and brighter; sadness is the opposite
(Banse and Scherer 1996, Juslin and Laukka 2003), and breathy and creaky (Gobl and Ni Chasaide 2003). All figures have
95 % intervals from resampled speakers.
"""

import os
import platform
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import mean_with_interval, unseen
from ser_core.analysis import Recording
from ser_core.audio.acoustic_correlates import acoustic_tracks, correlates_outside, differences
from ser_core.audio.reading import read_recording
from ser_core.audio.voice_activity import speech_seconds
from ser_core.corpora import READERS, read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import draw_evenly
from ser_core.explanation.counterfactual.voice import PROPERTIES
from ser_core.model.classifier import Classifier
from ser_core.model.scores import evidence
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import classify_recording
from ser_core.pipeline.voice import find_voice_counterfactuals
from ser_core.settings import AnalysisSettings

#: Expected sign of the change in evidence if the voice is higher, wider, faster, louder or brighter.
EXPECTED = {"angry": 1, "happy": 1, "sad": -1}
#: Properties with the opposite sign.
OPPOSITE = ("breath_db", "creak_db")
#: Percentiles of the differences between two recordings of one speaker.
PERCENTILES = (50, 75, 90)
PAIRS_PER_CORPUS = 150


def pairs_of_one_sentence(seed: int, count: int) -> list[tuple[LabelledRecording, LabelledRecording]]:
    """Return pairs in which one speaker says one sentence in two emotions, at most `count` from each corpus."""
    folder, rng, pairs = Path(os.environ["SER_CORPORA"]), np.random.default_rng(seed), []
    for corpus in sorted(name for name in READERS if (folder / name).is_dir()):
        groups = defaultdict(list)
        for item in read_corpus(corpus, folder / corpus).recordings:
            if item.text:
                groups[item.speaker, item.text].append(item)
        mixed = [group for group in groups.values() if len({item.emotion for item in group}) > 1]
        for index in rng.permutation(len(mixed))[:count]:
            first = mixed[index][rng.integers(len(mixed[index]))]
            others = [item for item in mixed[index] if item.emotion != first.emotion]
            pairs.append((first, others[rng.integers(len(others))]))
    return pairs


def natural_differences(seed: int, count: int) -> dict[str, object]:
    """Return percentiles of the differences between two recordings of one speaker and sentence, and of all pitches."""
    rows, pitches = [], []
    for done, pair in enumerate(pairs_of_one_sentence(seed, count)):
        recordings = [read_recording(item.path) for item in pair]
        first, second = (correlates_outside(acoustic_tracks(recording), []) for recording in recordings)
        seconds = [speech_seconds(recording) for recording in recordings]
        difference = differences(first, second)
        ranges = first.pitch_range_st, second.pitch_range_st
        rows.append(
            {
                "pitch_st": difference.pitch_st,
                "pitch_range_ratio": np.log2(ranges[0] / ranges[1]) if all(ranges) else None,
                "tempo_ratio": np.log2(seconds[1] / seconds[0]) if min(seconds) > 0.3 else None,
                "level_db": difference.level_db,
                "tilt_db": difference.tilt_db,
                "rate_percent": difference.rate_percent,
                "pitch_range_st": difference.pitch_range_st,
            }
        )
        pitches += [correlates.pitch_hz for correlates in (first, second) if correlates.pitch_hz]
        print(f"Pair {done + 1}", file=sys.stderr)
    result: dict[str, object] = {"pairs": len(rows), "pitch_hz_1_99": np.percentile(pitches, [1, 99]).round(0).tolist()}
    for name in rows[0]:
        sizes = np.percentile([abs(row[name]) for row in rows if row[name] is not None], PERCENTILES)
        sizes = 2**sizes if name.endswith("ratio") else sizes
        result[name] = {f"p{p}": round(float(size), 2) for p, size in zip(PERCENTILES, sizes, strict=True)}
    return result


def measure(recording: Recording, classifier: Classifier) -> dict[str, float]:
    """Return the figures of one recording: 1 and 0 for yes and no, NaN if there is nothing to measure."""
    analysis = classify_recording(recording, classifier, AnalysisSettings())
    began = time.process_time()
    counterfactuals = find_voice_counterfactuals(analysis, classifier, unnatural=False)
    seconds = time.process_time() - began
    verdict, smallest = int(counterfactuals.original.argmax()), counterfactuals.smallest
    figures = {
        "seconds_for_a_second": seconds / recording.duration_s,
        "flips": float(smallest is not None),
        "size": smallest.size if smallest else np.nan,
    }
    curve_of = {curve.property: curve for curve in counterfactuals.curves}
    for voice_property in PROPERTIES:
        curve = curve_of.get(voice_property)
        flip = min(curve.flips, key=lambda flip: flip.size, default=None) if curve else None
        figures |= {
            f"flips_{voice_property.field}": float(flip is not None),
            f"amount_{voice_property.field}": voice_property.value(abs(flip.amount)) if flip else np.nan,
        }
        if curve is None:
            continue
        unchanged = curve.scores[int(np.flatnonzero(curve.amounts == 0)[0])]
        figures |= {
            f"unchanged_{voice_property.field}": float(unchanged.argmax() == verdict),
            f"there_and_back_{voice_property.field}": float(curve.control.argmax() == verdict),
        }
        more = curve.scores[curve.amounts > 0]
        less = curve.scores[curve.amounts == 0 if voice_property.only_more else curve.amounts < 0]
        sign = -1 if voice_property.field in OPPOSITE else 1
        for emotion in EXPECTED:
            index = analysis.emotions.index(emotion)
            if len(more) and len(less):
                gained = evidence(more, index).mean() - evidence(less, index).mean()
                is_expected = (gained > 0) == (sign * EXPECTED[emotion] > 0)
                figures[f"gained_{emotion}_{voice_property.field}"] = float(gained)
                figures[f"agrees_{emotion}_{voice_property.field}"] = float(is_expected)
    figures["unchanged"] = min(value for key, value in figures.items() if key.startswith("unchanged_"))
    return figures


def main() -> None:
    parser = benchmark_parser(__doc__, "4 recordings")
    parser.add_argument("--model", default="whisper")
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ranges", action="store_true", help="only how much voices differ from one emotion to another")
    args = parser.parse_args()
    if args.ranges:
        report(natural_differences(args.seed, 2 if args.quick else PAIRS_PER_CORPUS), args.json)
        return
    classifier, count = load_model(args.model), 4 if args.quick else args.recordings
    measured, speakers = [], []
    for done, item in enumerate(draw_evenly(unseen(args.model), count, args.seed)):
        measured.append(measure(read_recording(item.path), classifier))
        speakers.append(item.speaker_id)
        print(f"Recording {done + 1} of {count}", file=sys.stderr)
    if measured:
        report({"model": args.model, **summary(measured, speakers, args.seed)}, args.json)


def summary(measured: list[dict[str, float]], speakers: list[str], seed: int) -> dict[str, object]:
    """Return means with intervals of all figures, and medians of the amounts that flip the verdict."""
    keys = dict.fromkeys(key for figures in measured for key in figures)
    columns = {key: np.array([figures.get(key, np.nan) for figures in measured]) for key in keys}
    result: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "seed": seed,
        "recordings": len(measured),
        "speakers": len(set(speakers)),
    }
    for key, values in columns.items():
        if not key.startswith("amount_"):
            result[key] = mean_with_interval(values, speakers, seed)
        elif np.isfinite(values).any():
            result[key] = round(float(np.nanmedian(values)), 2)
    return result


if __name__ == "__main__":
    main()
