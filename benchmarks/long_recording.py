"""Speed and memory of a two-hour recording: its emotions over time, and the working copy that the app plays.

    python benchmarks/long_recording.py [--quick] [--model NAME] [--json FILE]

Needs SER_CORPORA, whose recordings are concatenated at 44.1 kHz. The timeline is computed in a separate process.
`parts` are shares of its time: `check` is the first reading, before classification, and `decode_and_resample`
everything in the second reading except log-mel and model. `peak_above_idle_mib` is the peak memory of the process minus
its memory after it loaded the model and classified a short recording. `working_copy` is the cost of opening the
recording in another process that did nothing before: its processor time without the decoder's, and its memory above
idle, at the peak and while the copy is open.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import unseen
from ser_core.audio.reading import read_recording, resample
from ser_core.audio.working_copy import working_copy
from ser_core.corpora.splits import draw_evenly
from ser_core.model.checkpoint import fastest_precision
from ser_core.model.shipped_models import DEFAULT_MODEL, load_model
from ser_core.timeline import timeline
from ser_core.work.progress import Work

RATE = 44_100
WARM_UP_S = 5.0
RECORDINGS = 200


class Timed:
    """A function that measures the time spent in it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return self.function(*arguments)
        finally:
            self.seconds += time.perf_counter() - began


def memory_mib(field: str) -> float:
    """Return VmRSS (current memory) or VmHWM (peak memory) of this process; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def measure_timeline(path: Path, model: str) -> dict[str, Any]:
    """Return the cost of a recording's timeline in this process."""
    classifier = load_model(model)
    warm_up = path.with_name("warm_up.wav")
    soundfile.write(warm_up, soundfile.read(path, round(WARM_UP_S * RATE))[0], RATE)
    timeline.emotion_timeline(warm_up, classifier)
    idle = memory_mib("VmRSS")
    log_mel, score = Timed(timeline.log_mel), Timed(classifier.score)
    timeline.log_mel, classifier.score = log_mel, score
    checked_at = began = time.perf_counter()

    def progress(fraction: float, text: str) -> None:
        nonlocal checked_at
        if text.startswith("Checking"):
            checked_at = time.perf_counter()

    result = timeline.emotion_timeline(path, classifier, Work(progress))
    seconds = time.perf_counter() - began
    parts = {"check": checked_at - began, "log_mel": log_mel.seconds, "model": score.seconds}
    parts["decode_and_resample"] = seconds - sum(parts.values())
    return {
        "format": str(fastest_precision()).removeprefix("torch."),
        "recording_s": round(result.duration_s, 1),
        "segments": len(result.start_frames),
        "seconds": round(seconds, 2),
        "times_real_time": round(result.duration_s / seconds, 1),
        "parts": {name: round(part / seconds, 3) for name, part in parts.items()},
        "idle_mib": round(idle),
        "peak_above_idle_mib": round(memory_mib("VmHWM") - idle),
    }


def measure_working_copy(path: Path) -> dict[str, Any]:
    """Return the cost of a recording's working copy in this process."""
    idle = memory_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    began, processor_began = time.perf_counter(), time.process_time()
    copy = working_copy(path, path.name, path.parent)
    seconds, processor_s = time.perf_counter() - began, time.process_time() - processor_began
    return {
        "seconds": round(seconds, 2),
        "processor_s": round(processor_s, 2),
        "on_disk_mib": round(len(copy.wav) / 2**20),
        "peak_above_idle_mib": round(memory_mib("VmHWM") - idle, 1),
        "held_above_idle_mib": round(memory_mib("VmRSS") - idle, 1),
    }


def make_recording(path: Path, seconds: float, model: str) -> bool:
    """Write speech of the given length; return whether there is any to write."""
    items = unseen(model)
    recordings = (read_recording(item.path) for item in draw_evenly(items, RECORDINGS, seed=0))
    speech = [resample(recording.samples, recording.sample_rate_hz, RATE) for recording in recordings]
    samples_left = round(seconds * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for samples in cycle(speech):
            file.write(np.clip(samples[:samples_left], -1, 1))
            samples_left -= len(samples)
            if samples_left <= 0:
                break
    return bool(speech)


def main() -> None:
    parser = benchmark_parser(__doc__, "5 minutes instead of two hours")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.open:
        print(json.dumps(measure_working_copy(args.open)))
        return
    if args.measure:
        print(json.dumps(measure_timeline(args.measure, args.model)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        if not make_recording(path, 300.0 if args.quick else 7_200.0, args.model):
            return
        command = [sys.executable, __file__, "--model", args.model, "--measure", str(path)]
        figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        command = [sys.executable, __file__, "--open", str(path)]
        figures["working_copy"] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    result = {"machine": machine, "model": args.model, "sample_rate_hz": RATE, **figures}
    report(result, args.json)


if __name__ == "__main__":
    main()
