"""Does a natural change of the voice change the verdict, and do the scores change as phonetics expects?

    python benchmarks/voice_changes.py [--quick] [--model NAME] [--recordings N] [--seed N] [--ranges] [--json FILE]

Needs SER_CORPORA. Of people unseen in training, drawn in turn from corpora and speakers. `flips` is how often
some natural change of one property changes the verdict, `size` how large the smallest is, as a share of the natural
limit. `unchanged` is how often a voice that is synthesised again without a change keeps its verdict, `there_and_back`
how often one does that was changed by a quarter of the limit and back. `gained` is how much evidence (log-odds) an
emotion gains from the natural changes upwards over those downwards (of creak: over no change), and `agrees` how often
its sign is the one that phonetics expects: anger and joy are higher, wider, faster, louder and brighter, sadness is the
opposite (Banse and Scherer 1996, Juslin and Laukka 2003), and breathy and creaky (Gobl and Ni Chasaide 2003). Each with
the 95 % interval that resamples speakers.
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

#: What an emotion gains, and sadness loses, where the voice is higher, wider, faster, louder and brighter.
EXPECTED = {"angry": 1, "happy": 1, "sad": -1}
#: Of these it is the opposite.
OPPOSITE = ("breath_db", "creak_db")
#: Percentiles of the differences between two recordings of one speaker.
PERCENTILES = (50, 75, 90)
PAIRS_OF_A_CORPUS = 150


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
    """Return how much two recordings of one speaker and sentence differ, and the pitches of all, as percentiles."""
    rows, pitches = [], []
    for done, pair in enumerate(pairs_of_one_sentence(seed, count)):
        recordings = [read_recording(item.path) for item in pair]
        first, second = (correlates_outside(acoustic_tracks(recording), []) for recording in recordings)
        seconds = [speech_seconds(recording) for recording in recordings]
        found = differences(first, second)
        ranges = first.pitch_range_st, second.pitch_range_st
        rows.append(
            {
                "pitch_st": found.pitch_st,
                "pitch_range_ratio": np.log2(ranges[0] / ranges[1]) if all(ranges) else None,
                "tempo_ratio": np.log2(seconds[1] / seconds[0]) if min(seconds) > 0.3 else None,
                "level_db": found.level_db,
                "tilt_db": found.tilt_db,
                "rate_percent": found.rate_percent,
                "pitch_range_st": found.pitch_range_st,
            }
        )
        pitches += [one.pitch_hz for one in (first, second) if one.pitch_hz]
        print(f"Pair {done + 1}", file=sys.stderr)
    result: dict[str, object] = {"pairs": len(rows), "pitch_hz_1_99": np.percentile(pitches, [1, 99]).round(0).tolist()}
    for name in rows[0]:
        sizes = np.percentile([abs(row[name]) for row in rows if row[name] is not None], PERCENTILES)
        sizes = 2**sizes if name.endswith("ratio") else sizes
        result[name] = {f"p{p}": round(float(size), 2) for p, size in zip(PERCENTILES, sizes, strict=True)}
    return result


def found_in(recording: Recording, classifier: Classifier) -> dict[str, float]:
    """Return the figures of one recording: 1 and 0 for yes and no, NaN where there is nothing to measure."""
    analysis = classify_recording(recording, classifier, AnalysisSettings())
    began = time.process_time()
    found = find_voice_counterfactuals(analysis, classifier, unnatural=False)
    seconds = time.process_time() - began
    verdict, smallest = int(found.original.argmax()), found.smallest
    figures = {
        "seconds_for_a_second": seconds / recording.duration_s,
        "flips": float(smallest is not None),
        "size": smallest.size if smallest else np.nan,
    }
    for one in PROPERTIES:
        curve = next((curve for curve in found.curves if curve.property is one), None)
        flip = min(curve.flips, key=lambda flip: flip.size, default=None) if curve else None
        figures |= {
            f"flips_{one.field}": float(flip is not None),
            f"amount_{one.field}": one.value(abs(flip.amount)) if flip else np.nan,
        }
        if curve is None:
            continue
        unchanged = curve.scores[int(np.flatnonzero(curve.amounts == 0)[0])]
        figures |= {
            f"unchanged_{one.field}": float(unchanged.argmax() == verdict),
            f"there_and_back_{one.field}": float(curve.control.argmax() == verdict),
        }
        lower = curve.amounts == 0 if one.only_more else curve.amounts < 0
        more, less = (curve.scores[side] for side in (curve.amounts > 0, lower))
        sign = -1 if one.field in OPPOSITE else 1
        for emotion in EXPECTED:
            index = analysis.emotions.index(emotion)
            if len(more) and len(less):
                gained = evidence(more, index).mean() - evidence(less, index).mean()
                figures[f"gained_{emotion}_{one.field}"] = float(gained)
                figures[f"agrees_{emotion}_{one.field}"] = float((gained > 0) == (sign * EXPECTED[emotion] > 0))
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
        report(natural_differences(args.seed, 2 if args.quick else PAIRS_OF_A_CORPUS), args.json)
        return
    classifier, count = load_model(args.model), 4 if args.quick else args.recordings
    measured, speakers = [], []
    for done, item in enumerate(draw_evenly(unseen(args.model), count, args.seed)):
        measured.append(found_in(read_recording(item.path), classifier))
        speakers.append(item.speaker_id)
        print(f"Recording {done + 1} of {count}", file=sys.stderr)
    if measured:
        report({"model": args.model, **summary(measured, speakers, args.seed)}, args.json)


def summary(measured: list[dict[str, float]], speakers: list[str], seed: int) -> dict[str, object]:
    """Return means with intervals of all figures, and medians of the amounts that flip."""
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
