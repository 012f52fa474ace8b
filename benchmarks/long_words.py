"""The words of a two-hour recording: time, memory and word error rate of `timeline --words`.

    python benchmarks/long_words.py [--quick] [--hours N] [--seed N] [--json FILE]

Needs SER_CORPORA and SER_WORD_MODEL. Recordings of RAVDESS and CREMA-D, whose sentences are known, are joined in random
order, up to ten of a speaker in a row, with pauses of 0.3 to 1.5 s. The command runs in a separate process. A word is
compared with the sentence of the recording in which its middle lies; `11` counts as the word eleven, and no other
spelling is accepted. `seconds` is the wall time of the whole command, including the emotions over time, and
`processor_s` its time on all processors together.
"""

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import corpora_and_word_model
from benchmarks.word_bounds import RATE_HZ, SENTENCES
from ser_core.analysis import Region
from ser_core.annotations.words import read_words
from ser_core.audio.reading import read_recording, resample
from ser_core.corpora import read_corpus
from ser_core.words.text import spelling, word_errors

CORPORA = ("ravdess", "crema_d")
PAUSES_S = (0.3, 1.5)
#: Maximum number of recordings of one speaker in a row.
TURN_LENGTH = 10
QUICK_S = 120.0
SPELLED_OUT = {"11": "eleven"}


@dataclass(frozen=True)
class Utterance:
    """One of the joined recordings: its start in the long recording, and its words."""

    start_s: float
    corpus: str
    words: list[str]


def write_speech(path: Path, corpora: Path, seconds: float, seed: int) -> list[Utterance]:
    """Write speech of about that length, and return its utterances."""
    rng, turns = np.random.default_rng(seed), []
    for corpus in CORPORA:
        by_speaker = defaultdict(list)
        for item in read_corpus(corpus, corpora / corpus).recordings:
            if item.text in SENTENCES[corpus]:
                by_speaker[item.speaker].append((corpus, item.path, SENTENCES[corpus][item.text].split()))
        for name in sorted(by_speaker):
            items = by_speaker[name]
            items = [items[index] for index in rng.permutation(len(items))]
            turns += [items[first : first + TURN_LENGTH] for first in range(0, len(items), TURN_LENGTH)]
    utterances, length = [], 0
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as file:
        for turn in rng.permutation(len(turns)):
            for corpus, source, words in turns[turn]:
                if length >= seconds * RATE_HZ:
                    return utterances
                recording = read_recording(source)
                samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
                pause = np.zeros(round(rng.uniform(*PAUSES_S) * RATE_HZ), np.float32)
                utterances.append(Utterance(length / RATE_HZ, corpus, words))
                file.write(np.clip(np.concatenate([samples, pause]), -1, 1))
                length += len(samples) + len(pause)
    return utterances


def error_rates(utterances: list[Utterance], words: tuple[Region, ...]) -> dict[str, float]:
    """Return the word error rate of each corpus and of all."""
    starts, transcribed = [utterance.start_s for utterance in utterances], defaultdict(list)
    for word in words:
        spelled = spelling(word.label)
        index = max(0, bisect(starts, (word.start_s + word.end_s) / 2) - 1)
        if spelled:
            transcribed[index].append(SPELLED_OUT.get(spelled, spelled))
    wrong, total = defaultdict(int), defaultdict(int)
    for index, utterance in enumerate(utterances):
        for name in (utterance.corpus, "all"):
            wrong[name] += word_errors([spelling(word) for word in utterance.words], transcribed[index])
            total[name] += len(utterance.words)
    return {name: round(wrong[name] / total[name], 4) for name in total}


def main() -> None:
    parser = benchmark_parser(__doc__, "two minutes instead of two hours")
    parser.add_argument("--hours", type=float, default=1.98, help="the default leaves room for the last pause")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not (folders := corpora_and_word_model()):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        utterances = write_speech(path, folders[0], QUICK_S if args.quick else 3600 * args.hours, args.seed)
        command = [sys.executable, "-m", "ser_core", "timeline", "--words", "--out", folder, str(path)]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, stdout=sys.stderr, cwd=Path(__file__).parent.parent)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        file = Path(folder) / path.stem / "words.csv"
        words, duration_s = read_words(file.read_bytes(), file.name), soundfile.info(path).duration
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "recording_s": round(duration_s, 1),
        "recordings": len(utterances),
        "words_said": sum(len(utterance.words) for utterance in utterances),
        "words_found": len(words),
        "word_error_rate": error_rates(utterances, words),
        "seconds": round(seconds, 1),
        "real_time_factor": round(seconds / duration_s, 3),
        "processor_s": round(processor_s, 1),
        "processor_seconds_per_second": round(processor_s / duration_s, 3),
        "peak_mib": round(after.ru_maxrss / 1024),
    }
    report(result, args.json)


if __name__ == "__main__":
    main()
