"""How breathy and creaky is a changed voice by the measures of phoneticians, and how much do natural voices differ?

    python benchmarks/voice_quality.py [--quick] [--recordings N] [--pairs N] [--seed N] [--json FILE]

Needs SER_CORPORA and Praat (praat-parselmouth in requirements-dev.txt). `changes` are the medians, over recordings, of
the effect of each change on: `hnr_db` and `cpps_db`, harmonics-to-noise ratio and smoothed cepstral peak prominence;
`h1_h2_db`, the level of the first harmonic above the second, corrected for formants (Iseli and Alwan 2004), at the
pitch of the unchanged voice; `jitter_percent` and `shimmer_percent`, local; `pitch_st`, median F0 from 40 Hz on.
`differ` are the medians and 75th percentiles of the difference between two recordings in which one speaker says one
sentence in two emotions.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks.voice_changes import pairs_of_one_sentence
from ser_core.analysis import Recording
from ser_core.audio.acoustics import Tracks, tracks_of
from ser_core.audio.prosody import RATE_HZ, prosody_of
from ser_core.audio.reading import read_recording, resample
from ser_core.audio.voice_change import VoiceChange, change_voice
from ser_core.audio.voice_change.marks import pitch_marks

BREATHS_DB = (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0)
CREAKS_DB = (3.0, 6.0, 12.0, 24.0)
LOWEST_HZ, HIGHEST_HZ = 40.0, 500.0
WINDOW_S, NEAR = 0.060, 0.1
#: Praat's harmonics-to-noise ratio of silence is far below this.
SILENT_DB = -100.0
#: Praat leaves out periods that are longer than a neighbour by a larger factor; in creak, periods alternate.
MAX_PERIOD_RATIO = 2.0
#: Bandwidth of every formant in the correction.
BANDWIDTH_HZ = 80.0
CORRECTED_FORMANTS = 2


def at_16_khz(path: Path) -> Recording:
    """Read a recording at 16 kHz."""
    recording = read_recording(path)
    samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
    return Recording(recording.name, recording.sha256, samples, RATE_HZ)


def quality(samples: np.ndarray, tracks: Tracks) -> dict[str, float]:
    """Return phoneticians' measures of samples at 16 kHz; the tracks are those of the unchanged recording."""
    import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(samples.astype(np.float64), RATE_HZ)
    pulses = call(sound, "To PointProcess (periodic, cc)", LOWEST_HZ, HIGHEST_HZ)
    cepstrum = call(sound, "To PowerCepstrogram", 60, 0.01, 5_000, 50)
    periods = (0, 0, 0.0001, 1 / LOWEST_HZ, MAX_PERIOD_RATIO)
    smoothing = ("no", 0.02, 0.0005, 60, 330, 0.05, "parabolic", 0.001, 0.05, "Straight", "Robust")
    pitch_hz = sound.to_pitch(0.01, LOWEST_HZ, HIGHEST_HZ).selected_array["frequency"]
    harmonicity = sound.to_harmonicity_ac(0.01, LOWEST_HZ, 0.1, 4.5).values[0]
    return {
        "hnr_db": float(np.median(harmonicity[harmonicity > SILENT_DB])),
        "cpps_db": call(cepstrum, "Get CPPS", *smoothing),
        "h1_h2_db": first_harmonics_db(samples, tracks),
        "jitter_percent": 100 * call(pulses, "Get jitter (local)", *periods),
        "shimmer_percent": 100 * call([sound, pulses], "Get shimmer (local)", *periods, 1.6),
        "pitch_st": 12 * float(np.log2(np.median(pitch_hz[pitch_hz > 0]))),
    }


def first_harmonics_db(samples: np.ndarray, tracks: Tracks) -> float:
    """Return the median level of the first harmonic above the second, each corrected for two formants."""
    length, differences_db = round(WINDOW_S * RATE_HZ), []
    size, window = 8 * length, np.hanning(length)
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    for time_s, f0_hz, formants_hz in zip(tracks.times_s, tracks.f0_hz, tracks.formants_hz, strict=True):
        first = round(time_s * RATE_HZ) - length // 2
        if not np.isfinite(f0_hz) or first < 0 or first + length > len(samples):
            continue
        level_db = 20 * np.log10(np.abs(np.fft.rfft(samples[first : first + length] * window, size)) + 1e-12)
        peaks = [
            level_db[np.abs(hz - n * f0_hz) < NEAR * f0_hz].max() - resonance_db(n * f0_hz, formants_hz) for n in (1, 2)
        ]
        differences_db.append(peaks[0] - peaks[1])
    return float(np.nanmedian(differences_db))


def resonance_db(hz: float, formants_hz: np.ndarray) -> float:
    """Return how much the lowest formants raise the level at a frequency, in dB."""
    radius = np.exp(-np.pi * BANDWIDTH_HZ / RATE_HZ)
    angle_of_hz, poles = 2 * np.pi * hz / RATE_HZ, 2 * np.pi * formants_hz[:CORRECTED_FORMANTS] / RATE_HZ

    def distance(angle: np.ndarray) -> np.ndarray:
        return 1 - 2 * radius * np.cos(angle) + radius**2

    return float(
        np.sum(
            20 * np.log10(distance(poles))
            - 10 * np.log10(distance(angle_of_hz - poles) * distance(angle_of_hz + poles))
        )
    )


def changes_of(recording: Recording) -> dict[str, dict[str, float]] | None:
    """Return the effect of each change of a voice on its measures; None if nothing is voiced."""
    marks, tracks = pitch_marks(recording, prosody_of(recording)), tracks_of(recording)
    if not marks.runs:
        return None
    before = quality(recording.samples, tracks)
    changes = {f"breath {db:+g} dB": VoiceChange(breath_db=db) for db in BREATHS_DB}
    changes |= {f"creak {db:g} dB": VoiceChange(creak_db=db) for db in CREAKS_DB}
    return {
        name: {
            key: value - before[key] for key, value in quality(change_voice(recording, change, marks), tracks).items()
        }
        for name, change in changes.items()
    }


def main() -> None:
    parser = benchmark_parser(__doc__, "2 recordings, 1 pair from each corpus")
    parser.add_argument("--recordings", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=20, help="from each corpus")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    recordings, pairs = (2, 1) if args.quick else (args.recordings, args.pairs)
    natural_differences, changes = [], []
    drawn = pairs_of_one_sentence(args.seed, pairs)
    for done, pair in enumerate(drawn):
        both = [at_16_khz(item.path) for item in pair]
        first, second = (quality(recording.samples, tracks_of(recording)) for recording in both)
        natural_differences.append({key: abs(first[key] - second[key]) for key in first})
        print(f"Pair {done + 1} of {len(drawn)}", file=sys.stderr)
    order = np.random.default_rng(args.seed).permutation(len(drawn))[:recordings]
    for done, index in enumerate(order):
        of_recording = changes_of(at_16_khz(drawn[index][0].path))
        if of_recording is not None:
            changes.append(of_recording)
        print(f"Recording {done + 1} of {len(order)}", file=sys.stderr)
    result = {
        "pairs": len(natural_differences),
        "differ": {
            key: [round(float(np.nanpercentile([row[key] for row in natural_differences], p)), 2) for p in (50, 75)]
            for key in natural_differences[0]
        },
        "recordings": len(changes),
        "changes": {
            name: {key: round(float(np.nanmedian([row[name][key] for row in changes])), 2) for key in changes[0][name]}
            for name in changes[0]
        },
    }
    report(result, args.json)


if __name__ == "__main__":
    main()
