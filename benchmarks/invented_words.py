"""Does transcription invent words where nobody speaks, or for speech that nobody could understand?

    python benchmarks/invented_words.py [--quick] [--clips N] [--seed N] [--json FILE]

Needs SER_CORPORA and SER_WORD_MODEL. Laughter is synthesised as series of short voiced and breathy calls that fall in
pitch and level; humming, beeps, a melody with chords and noise are synthesised too. Speech played backwards represents
a language that the model does not know. For each kind, `with_words` is the share of clips with transcribed words, and
`words_per_s` their number. The control is the same utterances played forwards, where words are expected.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import corpora_and_word_model
from ser_core.analysis import Recording
from ser_core.audio.reading import read_recording, resample
from ser_core.corpora import read_corpus
from ser_core.words.transcription import transcribe
from ser_core.words.word_model import load_word_model

RATE_HZ = 16_000
CLIP_S, QUICK_CLIPS = 10.0, 1
CORPORA = ("ravdess", "crema_d", "emodb", "nemo", "korean_emotional_tts")
#: Frequency and bandwidth, in Hz, of the formants of an open vowel and of a nasal hum.
OPEN, NASAL = ((700, 110), (1220, 120), (2600, 160)), ((250, 60), (1000, 300), (2200, 300))


def filter_by_formants(source: np.ndarray, formants: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Return a source filtered by formants, with a mean power of 1."""
    for hz, width_hz in formants:
        radius = np.exp(-np.pi * width_hz / RATE_HZ)
        poles = [1, -2 * radius * np.cos(2 * np.pi * hz / RATE_HZ), radius**2]
        source = lfilter([sum(poles)], poles, source)
    return source / np.sqrt(np.mean(source**2))


def pulses(pitch_hz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the pulses of a voice, given its pitch at each sample, with levels that vary a little at random."""
    pulse = np.diff(np.floor(np.cumsum(pitch_hz) / RATE_HZ), prepend=0)
    return lfilter([1, -0.97], [1, -1.8, 0.81], pulse * (1 + 0.1 * rng.normal(size=len(pulse))))


def laughter(rng: np.random.Generator) -> np.ndarray:
    out = 1e-4 * rng.normal(size=round(CLIP_S * RATE_HZ))
    position, speech_pitch_hz = round(0.3 * RATE_HZ), rng.choice([170.0, 300.0])
    while position < len(out) - 4 * RATE_HZ:
        pitch_hz = speech_pitch_hz * rng.uniform(1.2, 1.9)
        for call in range(rng.integers(4, 9)):
            voiced, breath = round(rng.uniform(0.07, 0.12) * RATE_HZ), round(rng.uniform(0.09, 0.14) * RATE_HZ)
            vowel = filter_by_formants(pulses(np.linspace(pitch_hz, 0.85 * pitch_hz, voiced), rng), OPEN) * np.hanning(
                voiced
            )
            noise = filter_by_formants(rng.normal(size=breath), OPEN) * np.hanning(breath)
            out[position : position + breath] += 0.9**call * 0.12 * noise
            out[position + breath : position + breath + voiced] += 0.9**call * vowel
            position, pitch_hz = position + voiced + breath, 0.94 * pitch_hz
        position += round(rng.uniform(0.3, 0.8) * RATE_HZ)
    return out


def humming(rng: np.random.Generator) -> np.ndarray:
    notes = np.repeat(rng.choice([0, 2, 4, 5, 7, 9], size=round(CLIP_S / 0.5)), RATE_HZ // 2)
    vibrato = np.sin(2 * np.pi * 5 * np.arange(len(notes)) / RATE_HZ)
    return filter_by_formants(pulses(rng.choice([110.0, 196.0]) * 2 ** (notes / 12 + 0.01 * vibrato), rng), NASAL)


def beeps(rng: np.random.Generator) -> np.ndarray:
    times_s = np.arange(round(CLIP_S * RATE_HZ)) / RATE_HZ
    return np.sin(2 * np.pi * rng.choice([440, 1000, 2000]) * times_s) * (times_s % 1 < 0.5)


def melody(rng: np.random.Generator) -> np.ndarray:
    out, times_s = np.zeros(round(CLIP_S * RATE_HZ)), np.arange(2 * RATE_HZ) / RATE_HZ
    for beat in range(round((CLIP_S - 2) / 0.25)):
        for note in [0, 4, 7] if beat % 4 == 0 else [12 + rng.choice([0, 2, 4, 7, 9])]:
            hz = 220 * 2 ** (note / 12)
            tone = sum(np.sin(2 * np.pi * hz * harmonic * times_s) / harmonic for harmonic in range(1, 8))
            out[beat * RATE_HZ // 4 :][: len(tone)] += tone * np.exp(-4 * times_s)
    return out


def noise(rng: np.random.Generator) -> np.ndarray:
    return lfilter([1], [1, -rng.choice([0, 0.9, 0.98])], rng.normal(size=round(CLIP_S * RATE_HZ)))


SYNTHETIC: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "laughter": laughter,
    "humming": humming,
    "beeps": beeps,
    "melody": melody,
    "noise": noise,
}


def sounds(folder: Path, clips: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the kind and the samples of all clips."""
    rng = np.random.default_rng(seed)
    for kind, make in SYNTHETIC.items():
        for _ in range(clips):
            yield kind, make(rng)
    for corpus in CORPORA:
        items = read_corpus(corpus, folder / corpus).recordings
        for index in rng.choice(len(items), clips, replace=False):
            recording = read_recording(items[index].path)
            samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
            yield f"{corpus}, forwards", samples
            yield f"{corpus}, backwards", samples[::-1]


def main() -> None:
    parser = benchmark_parser(__doc__, "one clip of each kind")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not (folders := corpora_and_word_model()):
        return
    corpora, model = folders[0], load_word_model(folders[1])
    figures: dict[str, list[tuple[int, float, float]]] = {}
    for kind, samples in sounds(corpora, QUICK_CLIPS if args.quick else args.clips, args.seed):
        level = np.float32(0.1 / np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
        recording = Recording(kind, kind, np.clip(samples.astype(np.float32) * level, -1, 1), RATE_HZ)
        transcript = transcribe(recording, model)
        figures.setdefault(kind, []).append((len(transcript.words), transcript.speech_s, recording.duration_s))
        print(kind, " ".join(word.label for word in transcript.words), file=sys.stderr)
    result = {"clips_of_each": len(next(iter(figures.values())))}
    for kind, rows in figures.items():
        words, speech_s, seconds = np.array(rows).T
        result[kind] = {
            "with_words": round(float(np.mean(words > 0)), 3),
            "words_per_s": round(float(words.sum() / seconds.sum()), 3),
            "speech_share": round(float(speech_s.sum() / seconds.sum()), 3),
        }
    report(result, args.json)


if __name__ == "__main__":
    main()
