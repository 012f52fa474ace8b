"""Does a natural change of the voice change the verdict, and does the model hear emotions as phonetics describes them?

    python benchmarks/voice_changes.py [--quick] [--model NAME] [--recordings N] [--seed N] [--ranges] [--json FILE]

Needs SER_CORPORA. Of people whom the model never heard, drawn in turn from corpora and speakers.
"""

import os
import platform
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from ser_core.audio.acoustic_correlates import acoustic_tracks, correlates_outside, differences
from ser_core.audio.reading import read_recording
from ser_core.audio.voice_activity import speech_seconds
from ser_core.corpora import READERS, read_corpus
from ser_core.corpora.labelled import LabelledRecording

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


def main() -> None:
    parser = benchmark_parser(__doc__, "4 recordings")
    parser.add_argument("--model", default="whisper")
    parser.add_argument("--recordings", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ranges", action="store_true", help="only how much voices differ from one emotion to another")
    args = parser.parse_args()
    if args.ranges:
        count = 2 if args.quick else PAIRS_OF_A_CORPUS
        report(natural_differences(args.seed, count), args.json)


if __name__ == "__main__":
    main()
