"""Do our measures of a voice agree with Praat's, and what do they cost?

    python benchmarks/measures.py [--quick] [--json FILE]

Recordings are drawn evenly from the corpora under SER_CORPORA and their speakers. Frames every 10 ms are compared if
both find a voice in them; for formants only loud frames, within 15 dB of the recording's peak, which are mostly vowels.
F0 is also compared for SwiftF0 alone, without the autocorrelation that refines it. Costs are processor seconds for a
minute of sound, ours and Praat's for the same measures, and the memory for ten minutes at 48 kHz in addition to the
samples.
"""

import os
import platform
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from ser_core.analysis import Recording
from ser_core.audio.acoustics import Tracks, tracks_of
from ser_core.audio.prosody import prosody_of
from ser_core.audio.reading import read_recording
from ser_core.corpora import READERS, read_corpus
from ser_core.corpora.splits import draw_evenly

SEED = 0
HOP_S = 0.01
LOUD_DB = 15
#: Praat analyses every millisecond, so that its nearest frame is close enough.
PRAAT_HOP_S = 0.001


def nearest(frames_s: np.ndarray, values: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Return the values of the frames nearest to some times; NaN before the first and after the last."""
    index = np.clip(np.round((times_s - frames_s[0]) / PRAAT_HOP_S).astype(int), 0, len(frames_s) - 1)
    return np.where((times_s >= frames_s[0]) & (times_s <= frames_s[-1]), values[index].T, np.nan).T


def praat_tracks(sound: object, times_s: np.ndarray) -> dict[str, np.ndarray]:
    """Return Praat's measures with its default settings at some times."""
    pitch = sound.to_pitch_ac(time_step=PRAAT_HOP_S, pitch_ceiling=800)
    intensity = sound.to_intensity(time_step=PRAAT_HOP_S)
    formant = sound.to_formant_burg(time_step=PRAAT_HOP_S)
    harmonicity = sound.to_harmonicity_ac(time_step=HOP_S, periods_per_window=4.5)
    f0 = np.where(pitch.selected_array["frequency"] > 0, pitch.selected_array["frequency"], np.nan)
    hnr = np.interp(times_s, harmonicity.xs(), harmonicity.values[0], left=np.nan, right=np.nan)
    return {
        "f0": nearest(pitch.xs(), f0, times_s),
        "intensity": nearest(intensity.xs(), intensity.values[0], times_s),
        "formants": np.array([[formant.get_value_at_time(n, t) for n in (1, 2, 3, 4)] for t in times_s]),
        "hnr": np.where(hnr > -5, hnr, np.nan),
    }


def run_praat(sound: object) -> None:
    sound.to_pitch_ac(time_step=HOP_S, pitch_ceiling=800)
    sound.to_intensity(time_step=HOP_S)
    sound.to_formant_burg(time_step=HOP_S)
    sound.to_harmonicity_ac(time_step=HOP_S, periods_per_window=4.5)


def agreement(recording: Recording, ours: Tracks, theirs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return for each compared frame whether it agrees."""
    times_s = ours.times_s
    both_voiced = ~np.isnan(ours.f0_hz) & ~np.isnan(theirs["f0"])
    loud = both_voiced & (ours.intensity_db > np.nanmax(ours.intensity_db) - LOUD_DB)
    coarse = prosody_of(recording)
    swift_f0_hz = coarse.pitch_hz[np.abs(coarse.times_s[:, None] - times_s[both_voiced]).argmin(axis=0)]
    levels = ~np.isnan(ours.intensity_db) & (theirs["intensity"] > 0)
    both_hnr = ~np.isnan(ours.hnr_db) & ~np.isnan(theirs["hnr"])
    formants = np.abs(ours.formants_hz / theirs["formants"] - 1)[loud] < 0.05
    return {
        "F0 within 1 %": np.abs(ours.f0_hz / theirs["f0"] - 1)[both_voiced] < 0.01,
        "F0 within 1 %, SwiftF0 alone": np.abs(swift_f0_hz / theirs["f0"][both_voiced] - 1) < 0.01,
        "voiced or not, as Praat": np.isnan(ours.f0_hz) == np.isnan(theirs["f0"]),
        **{f"F{n} within 5 %": formants[:, n - 1] for n in (1, 2, 3, 4)},
        "intensity within 0.5 dB": np.abs(ours.intensity_db - theirs["intensity"])[levels] < 0.5,
        "harmonics-to-noise within 1 dB": np.abs(ours.hnr_db - theirs["hnr"])[both_hnr] < 1,
    }


def memory_of_ten_minutes() -> float:
    """Return the peak memory in MiB of the measures of ten minutes at 48 kHz, in addition to the samples."""
    samples = np.tile(np.linspace(-0.5, 0.5, 320, dtype=np.float32), 600 * 150)  # a voice of 150 Hz throughout
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracks_of(Recording("ten minutes", "ten minutes", samples, 48_000))
    return round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 0)


def main() -> None:
    parser = benchmark_parser(__doc__, "8 recordings instead of 80")
    args = parser.parse_args()
    folder = os.environ.get("SER_CORPORA")
    if not folder:
        print("SER_CORPORA is not set; this benchmark needs the corpora.")
        return
    try:
        import parselmouth  # under the GPL: used beside the project, never part of it
    except ImportError:
        print("praat-parselmouth is not installed; this benchmark compares with it.")
        return
    items = []
    for name in READERS:
        if (Path(folder) / name).is_dir():
            items += read_corpus(name, Path(folder) / name).recordings
    agreed, seconds, length_s = defaultdict(list), defaultdict(float), 0.0
    for item in draw_evenly(items, 8 if args.quick else 80, SEED):
        recording = read_recording(item.path)
        sound = parselmouth.Sound(recording.samples.astype(float), recording.sample_rate_hz)
        began = time.process_time()
        ours = tracks_of(recording, HOP_S)
        praat_began = time.process_time()
        run_praat(sound)
        seconds["ours"] += praat_began - began
        seconds["praat"] += time.process_time() - praat_began
        length_s += recording.duration_s
        for name, frames in agreement(recording, ours, praat_tracks(sound, ours.times_s)).items():
            agreed[name].append(frames)
    figures = {}
    for name, frames in agreed.items():
        all_frames = np.concatenate(frames)
        figures[name] = {"percent": round(100 * float(all_frames.mean()), 1), "frames": len(all_frames)}
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "praat": parselmouth.PRAAT_VERSION,
        "minutes": round(length_s / 60, 2),
        "agreement": figures,
        "seconds_a_minute": {who: round(60 * spent / length_s, 2) for who, spent in seconds.items()},
        "ours_to_praat": round(seconds["ours"] / seconds["praat"], 2),
    }
    if not args.quick:
        result["peak_mib_of_ten_minutes"] = memory_of_ten_minutes()
    report(result, args.json)


if __name__ == "__main__":
    main()
