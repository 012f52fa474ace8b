"""How exact are the bounds of words? Speech assembled from utterances whose words and edges are known.

    python benchmarks/word_bounds.py [--quick] [--clips N] [--seed N] [--characters] [--all-heads] [--json FILE]

Needs SER_CORPORA and SER_WORD_MODEL. Utterances of RAVDESS, CREMA-D and EMO-DB, whose sentences are known, are cut
where their level falls 40 dB below their peak, or to 10 dB above their noise. They are only used if their level falls
from 25 to 40 dB below the peak within 80 ms at both ends, because it is unclear when a word ends if a breath or
reverberation follows. They are joined, one speaker per clip, with gaps of 0 to 0.4 s over noise at -65 dBFS, so that
the start of each first word and the end of each last word are known. A bound counts if the transcript has that word
there; the others are counted as missed. Bounds between words within an utterance are unknown and not measured; a gap of
0 s resembles them, but without coarticulation.

Whisper's own bounds, from its attention, are compared with those moved to pauses and dips of energy. With
`--characters`, the attention is that of the text spelt letter by letter; with `--all-heads`, it is the mean over all
heads of the later half of the layers, not only over those that are known to align.
"""

import difflib
import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import corpora_and_word_model
from ser_core.analysis import Recording, Region
from ser_core.audio.reading import read_recording, resample
from ser_core.corpora import read_corpus
from ser_core.words.bounds import snap_words
from ser_core.words.transcription import transcribe
from ser_core.words.word_model import load_word_model

RATE_HZ = 16_000
EDGES_DB, CLEAR_S, ABOVE_NOISE_DB = (25.0, 40.0), 0.08, 10.0
FADE_S, NOISE_DBFS = 0.005, -65.0
GAPS_S = (0.0, 0.05, 0.1, 0.2, 0.4)
CLIP_S, QUICK_CLIPS = 24.0, 4
#: Whisper's context has 448 tokens, including those before the text.
MAX_TOKENS = 440
SENTENCES = {
    "ravdess": {"01": "kids are talking by the door", "02": "dogs are sitting by the door"},
    "crema_d": {
        "IEO": "it's eleven o'clock",
        "TIE": "that is exactly what happened",
        "IOM": "i'm on my way to the meeting",
        "IWW": "i wonder what this is about",
        "TAI": "the airplane is almost full",
        "MTI": "maybe tomorrow it will be cold",
        "IWL": "i would like a new alarm clock",
        "ITH": "i think i have a doctor's appointment",
        "DFA": "don't forget a jacket",
        "ITS": "i think i've seen this before",
        "TSI": "the surface is slick",
        "WSI": "we'll stop in a couple of minutes",
    },
    "emodb": {
        "a01": "der lappen liegt auf dem eisschrank",
        "a02": "das will sie am mittwoch abgeben",
        "a04": "heute abend könnte ich es ihm sagen",
        "a05": "das schwarze stück papier befindet sich da oben neben dem holzstück",
        "a07": "in sieben stunden wird es soweit sein",
    },
}


@dataclass(frozen=True, eq=False)
class Clip:
    """Joined utterances: the sound, every word, and the known edges as (index of the word, seconds)."""

    recording: Recording
    words: list[str]
    starts: list[tuple[int, float]]
    ends: list[tuple[int, float]]


def utterance(samples: np.ndarray) -> np.ndarray | None:
    """Return the speech between the silences, or None if it is unclear where the speech begins or ends."""
    length = RATE_HZ // 200
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    level = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12)
    noise_db = np.percentile(level, 10) + ABOVE_NOISE_DB
    edges = [np.flatnonzero(level > max(level.max() - below, noise_db))[[0, -1]] for below in EDGES_DB]
    if np.abs(edges[0] - edges[1]).max() * length > CLEAR_S * RATE_HZ:
        return None
    first, last = edges[1]
    cut = samples[first * length : (last + 1) * length].copy()
    fade = round(FADE_S * RATE_HZ)
    cut[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    cut[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return cut * np.float32(0.1 / np.sqrt(np.mean(np.square(cut, dtype=np.float64))))


def clips(folder: Path, count: int, seed: int) -> list[Clip]:
    """Return clips of random speakers, in turn from the corpora."""
    rng, by_corpus = np.random.default_rng(seed), []
    for corpus, sentences in SENTENCES.items():
        by_speaker = defaultdict(list)
        for item in read_corpus(corpus, folder / corpus).recordings:
            if item.text in sentences:
                by_speaker[item.speaker].append((item.path, sentences[item.text]))
        by_corpus.append([by_speaker[name] for name in sorted(by_speaker)])
    result = []
    for number in range(count):
        speakers = by_corpus[number % len(by_corpus)]
        utterances = speakers[rng.integers(len(speakers))]
        shuffled = [utterances[index] for index in rng.permutation(len(utterances))]
        result.append(join(shuffled, rng, f"clip {number}"))
    return result


def join(utterances: list[tuple[Path, str]], rng: np.random.Generator, name: str) -> Clip:
    """Join utterances, given as (path, sentence), with random gaps until a clip is long enough."""
    time_s, parts, words, starts, ends = 0.5, [], [], [], []
    for path, sentence in utterances:
        recording = read_recording(path)
        cut = utterance(resample(recording.samples, recording.sample_rate_hz, RATE_HZ))
        if cut is None:
            continue
        if time_s + len(cut) / RATE_HZ > CLIP_S:
            break
        starts.append((len(words), time_s))
        words += sentence.split()
        parts.append((round(time_s * RATE_HZ), cut))
        time_s += len(cut) / RATE_HZ
        ends.append((len(words) - 1, time_s))
        time_s += rng.choice(GAPS_S)
    samples = rng.normal(0, 10 ** (NOISE_DBFS / 20), round((time_s + 0.5) * RATE_HZ)).astype(np.float32)
    for first, cut in parts:
        samples[first : first + len(cut)] += cut
    return Clip(Recording(name, name, np.clip(samples, -1, 1), RATE_HZ), words, starts, ends)


def errors(clip: Clip, words: tuple[Region, ...]) -> np.ndarray:
    """Return the error of each known bound, in seconds; NaN where the transcript lacks the word."""
    transcribed = ["".join(c for c in word.label.lower() if c.isalnum() or c == "'") for word in words]
    match = difflib.SequenceMatcher(None, clip.words, transcribed, autojunk=False)
    word_of = {block.a + k: words[block.b + k] for block in match.get_matching_blocks() for k in range(block.size)}
    starts = [word_of[index].start_s - time_s if index in word_of else np.nan for index, time_s in clip.starts]
    ends = [word_of[index].end_s - time_s if index in word_of else np.nan for index, time_s in clip.ends]
    return np.array([starts, ends])


def align_characters(model: WhisperModel) -> None:
    """Make a model align the letters of its words instead of their tokens."""

    def find_alignment(tokenizer, text_tokens, encoder_output, num_frames, median_filter_width=7):  # noqa: ANN001, ANN202
        alignments = []
        for tokens in text_tokens:
            words, word_tokens = (parts[:-1] for parts in tokenizer.split_to_word_tokens([*tokens, tokenizer.eot]))
            spelt = [[token for letter in letters(word) for token in tokenizer.encode(letter)] for word in words]
            if sum(map(len, spelt)) > MAX_TOKENS:
                spelt = word_tokens
            (result,) = model.model.align(
                encoder_output,
                tokenizer.sot_sequence,
                [[token for of_word in spelt for token in of_word]],
                num_frames,
                median_filter_width=median_filter_width,
            )
            token_at, frame_at = np.array(result.alignments).T
            begins_s = frame_at[np.diff(token_at, prepend=-1) > 0] / model.tokens_per_second
            edges = np.cumsum([0, *map(len, spelt)])
            alignments.append(
                [
                    {"word": word, "tokens": own, "start": begins_s[first], "end": begins_s[end], "probability": 1.0}
                    for word, own, first, end in zip(words, word_tokens, edges, edges[1:], strict=False)
                ]
            )
        return alignments

    def letters(word: str) -> list[str]:
        bare = word.lstrip()
        return [word[: len(word) - len(bare)] + bare[:1], *bare[1:]]

    model.find_alignment = find_alignment


def with_all_heads(folder: Path, copy: Path) -> Path:
    """Return a copy of a model, by links, that aligns by all heads of the later half of its layers."""
    for file in folder.iterdir():
        if file.name != "config.json":
            (copy / file.name).symlink_to(file.resolve())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    layers = 1 + max(layer for layer, _ in config["alignment_heads"])
    heads = 1 + max(head for _, head in config["alignment_heads"])
    config["alignment_heads"] = [[layer, head] for layer in range(layers // 2, layers) for head in range(heads)]
    (copy / "config.json").write_text(json.dumps(config), "utf-8")
    return copy


def figures(errors_of_clips: list[np.ndarray]) -> dict[str, float]:
    """Return the median and the 90th percentile of the absolute errors, in ms, and shares within limits."""
    all_errors = np.concatenate(errors_of_clips, axis=1)
    known = np.abs(all_errors[~np.isnan(all_errors)])
    return {
        "median_ms": round(1000 * float(np.median(known)), 1),
        "p90_ms": round(1000 * float(np.percentile(known, 90)), 1),
        "within_40_ms": round(float(np.mean(known <= 0.040)), 3),
        "within_100_ms": round(float(np.mean(known <= 0.100)), 3),
        "median_start_ms": round(1000 * float(np.nanmedian(np.abs(all_errors[0]))), 1),
        "median_end_ms": round(1000 * float(np.nanmedian(np.abs(all_errors[1]))), 1),
    }


def main() -> None:
    parser = benchmark_parser(__doc__, "four clips instead of thirty")
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--characters", action="store_true", help="align letters instead of tokens")
    parser.add_argument("--all-heads", action="store_true", help="align by all heads of the later half of the layers")
    args = parser.parse_args()
    if not (folders := corpora_and_word_model()):
        return
    corpora, folder = folders
    with tempfile.TemporaryDirectory() as copy:
        model = load_word_model(with_all_heads(folder, Path(copy)) if args.all_heads else folder)
    if args.characters:
        align_characters(model)
    whisper_errors, snapped_errors, computed_s, processor_s, sound_s = [], [], 0.0, 0.0, 0.0
    for clip in clips(corpora, QUICK_CLIPS if args.quick else args.clips, args.seed):
        began, processor_began = time.perf_counter(), time.process_time()
        words = transcribe(clip.recording, model, bounds=None).words
        snapped = snap_words(words, clip.recording)
        computed_s += time.perf_counter() - began
        processor_s += time.process_time() - processor_began
        sound_s += clip.recording.duration_s
        whisper_errors.append(errors(clip, words))
        snapped_errors.append(errors(clip, snapped))
    bounds = np.concatenate(whisper_errors, axis=1)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "clips": len(whisper_errors),
        "bounds": int(bounds.size),
        "missed": int(np.isnan(bounds).sum()),
        "whisper": figures(whisper_errors),
        "snapped": figures(snapped_errors),
        "real_time_factor": round(computed_s / sound_s, 3),
        "processor_seconds_per_second": round(processor_s / sound_s, 3),
    }
    report(result, args.json)


if __name__ == "__main__":
    main()
