"""How do fast and exact maps differ? Their rank correlation, their overlap, and the time of both.

Fast is the format that the processor multiplies fastest and, for `whisper`, local changes; exact is float32 and whole
segments.

    python benchmarks/precision.py [--quick] [--json FILE]

The recordings are taken evenly from the corpora under SER_CORPORA; without it, the samples are used.
"""

import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import audio_files
from ser_core.corpora.samples import available_samples
from ser_core.model.checkpoint import fastest_precision, load_network
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.shipped_models import find_model, load_model
from ser_core.pipeline import analyse_recording
from ser_core.settings import AnalysisSettings, OcclusionSettings


def recordings(count: int) -> list[Path]:
    folder = os.environ.get("SER_CORPORA")
    if not folder:
        return [sample.path for sample in available_samples()]
    corpora = [audio_files(path) for path in sorted(Path(folder).iterdir()) if path.is_dir()]
    per_corpus = -(-count // len(corpora))
    paths = []
    for files in corpora:
        paths += [files[index] for index in np.linspace(0, len(files) - 1, per_corpus).astype(int)]
    return paths[:count]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over union of the highest tenth of two maps."""
    tops = [values > np.quantile(values, 0.9) for values in (a, b)]
    return float((tops[0] & tops[1]).sum() / (tops[0] | tops[1]).sum())


def main() -> None:
    parser = benchmark_parser(__doc__, "8 recordings instead of 50")
    parser.add_argument("--model", default="fusion")
    args = parser.parse_args()
    network, _, sha256 = load_network(find_model(args.model))
    fast = load_model(args.model)
    exact = NetworkClassifier(
        network,
        name="exact",
        sha256=sha256,
        emotions=fast.emotions,
        front_end=fast.front_end,
        temperature=fast.temperature,
        pooling=fast.pooling,
    )
    exact.score_local_changes = lambda segment: None
    settings = AnalysisSettings(explain=("occlusion",), focus_by=None, occlusion=OcclusionSettings(16, 8, 16, 8))
    rows, seconds = [], {"exact": 0.0, "fast": 0.0}
    for path in recordings(8 if args.quick else 50):
        recording = read_recording(path)
        maps, verdicts = [], []
        for name, classifier in (("exact", exact), ("fast", fast)):
            began = time.perf_counter()
            analysis = analyse_recording(recording, classifier, settings)
            seconds[name] += time.perf_counter() - began
            maps.append(analysis.explanations["occlusion"].relevance.ravel())
            verdicts.append(analysis.verdict)
        rows.append((spearmanr(*maps).statistic, overlap(*maps), verdicts[0] == verdicts[1]))
    correlation, shared, same = (np.array(column, float) for column in zip(*rows, strict=True))
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "fast_format": str(fastest_precision()).removeprefix("torch."),
        "recordings": len(rows),
        "rank_correlation_5th_percentile": round(float(np.percentile(correlation, 5)), 4),
        "top_tenth_overlap_mean": round(float(shared.mean()), 4),
        "top_tenth_overlap_5th_percentile": round(float(np.percentile(shared, 5)), 4),
        "same_verdict": round(float(same.mean()), 4),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "ratio": round(seconds["exact"] / seconds["fast"], 2),
    }
    report(result, args.json)


if __name__ == "__main__":
    main()
