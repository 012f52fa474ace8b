"""Batches with local processes and with Dask: recordings per second, hours of audio per hour, cost of ten thousand.

    python benchmarks/batch.py [--quick] [--model NAME] [--price PER_CORE_HOUR] [--json FILE]

Needs SER_CORPORA. All engines analyse the same recordings in two turns. The faster turn counts, because other load on
the machine only slows them down. `first_s` is the time until the first chunk of every worker is written: start, imports
and loading the model. The rate is that of all later chunks; `ten_thousand_h` is `first_s` plus the rest at that rate. A
process computes with one thread and is charged as one core; the default price per core hour is an example.
"""

import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from joblib import cpu_count

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import unseen
from ser_core.batch.run import run_batch
from ser_core.corpora.splits import draw_evenly
from ser_core.model.shipped_models import DEFAULT_MODEL
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import Work

ENGINES = {"local, 1 process": ("local", 1), "local, 2 processes": ("local", 2), "dask, 2 processes": ("dask", 2)}
TURNS = 2
CHUNK_SIZE = 8
MANY = 10_000


def measure(folder: Path, model: str, engine: str, workers: int) -> dict[str, float]:
    """Return the figures of one engine in one turn."""
    reports: list[tuple[float, float]] = []
    began = time.perf_counter()

    def progress(fraction: float, text: str) -> None:
        if fraction:
            reports.append((time.perf_counter() - began, fraction))

    with tempfile.TemporaryDirectory() as out:
        counts = run_batch(
            folder,
            model,
            AnalysisSettings(explain=()),
            Path(out) / "out",
            engine=engine,
            workers=workers,
            chunk_size=CHUNK_SIZE,
            work=Work(progress),
        )
    # The first chunk of every worker includes imports and loading the model.
    (first_s, first_fraction), (last_s, _) = reports[workers - 1], reports[-1]
    return {
        "recordings": counts.done,
        "audio_s": counts.audio_s,
        "first_s": first_s,
        "recordings_per_s": counts.done * (1 - first_fraction) / (last_s - first_s),
    }


def summary(turns: list[dict[str, float]], workers: int, price: float) -> dict[str, Any]:
    """Return the figures of the faster turn."""
    best = max(turns, key=lambda turn: turn["recordings_per_s"])
    mean_recording_s = best["audio_s"] / best["recordings"]
    rate = best["recordings_per_s"]
    audio_hours_per_hour = rate * mean_recording_s
    return {
        "recordings_per_s": round(rate, 2),
        "other_turns": [round(turn["recordings_per_s"], 2) for turn in turns if turn is not best],
        "audio_hours_per_hour": round(audio_hours_per_hour, 1),
        "first_s": round(best["first_s"], 1),
        "ten_thousand_h": round((best["first_s"] + MANY / rate) / 3600, 3),
        "price_per_audio_hour": round(price * workers / audio_hours_per_hour, 5),
        "price_of_ten_thousand": round(price * workers * (best["first_s"] + MANY / rate) / 3600, 4),
    }


def main() -> None:
    parser = benchmark_parser(__doc__, "48 recordings instead of 200, one turn")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour; an example, in any currency")
    args = parser.parse_args()
    items = draw_evenly(unseen(args.model), 48 if args.quick else 200, seed=0)
    if not items:
        return
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        for number, item in enumerate(items):
            shutil.copy(item.path, Path(folder) / f"{number:04d}{item.path.suffix}")
        for _ in range(1 if args.quick else TURNS):
            for name, (engine, workers) in ENGINES.items():
                turns[name].append(measure(Path(folder), args.model, engine, workers))
    figures = {name: summary(turns[name], workers, args.price) for name, (_, workers) in ENGINES.items()}
    single_process_rate = figures["local, 1 process"]["recordings_per_s"]
    first_turn = turns["local, 1 process"][0]
    result = {
        "machine": f"{platform.machine()}, {cpu_count()} cores",
        "model": args.model,
        "torch": torch.__version__,
        "recordings": first_turn["recordings"],
        "mean_recording_s": round(first_turn["audio_s"] / first_turn["recordings"], 2),
        "price_per_core_hour": args.price,
        "ways": figures,
        "ratio_to_local_1": {
            name: round(own["recordings_per_s"] / single_process_rate, 2) for name, own in figures.items()
        },
    }
    report(result, args.json)


if __name__ == "__main__":
    main()
