"""Time the explainers of one version of ser_core, in a process of its own; `explainers.py --before` compares two.

PYTHONPATH selects the version. Writes a JSON file and the maps beside it.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from ser_core.analysis import Recording
from ser_core.audio.reading import read_recording
from ser_core.explanation import run_explainer
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import classify_recording, target_of
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED

RATE = 16_000


def syllables(seconds: float) -> Recording:
    """Return three bursts of noise per second; the time that explainers take does not depend on the content."""
    times = np.arange(round(seconds * RATE)) / RATE
    samples = np.random.default_rng(0).normal(size=len(times)) * 0.1 * (0.2 + np.sin(3 * np.pi * times) ** 2)
    samples = np.clip(samples, -0.9, 0.9).astype(np.float32)
    samples.setflags(write=False)
    return Recording("bursts.wav", "0" * 64, samples, RATE)


class CountingClassifier:
    """A classifier that counts the segments it scores."""

    def __init__(self, classifier: NetworkClassifier) -> None:
        self.classifier, self.passes = classifier, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.classifier, name)

    def score(self, segments: np.ndarray) -> np.ndarray:
        self.passes += len(segments)
        return self.classifier.score(segments)


def main() -> None:
    model, recording, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    classifier, settings = load_model(model), AnalysisSettings()
    is_length = recording.replace(".", "").isdigit()
    sound = syllables(float(recording)) if is_length else read_recording(recording)
    analysis = classify_recording(sound, classifier, settings)
    target, costs, maps = target_of(analysis, settings), {}, {}
    classifier.score(analysis.segments.values)
    for method in ("grad_cam", "lime_time", "occlusion", "lime"):
        counting = CountingClassifier(classifier)
        began, cpu_began = time.perf_counter(), time.process_time()
        result = run_explainer(method, counting, target, analysis.stretch, settings, UNWATCHED).result
        maps[method] = result.relevance(target)
        stability = result.stability(target)
        costs[method] = {
            "passes": counting.passes,
            "seconds": round(time.perf_counter() - began, 2),
            "cpu_seconds": round(time.process_time() - cpu_began, 2),
            "stability": None if stability is None else round(float(stability), 3),
        }
    out.write_text(json.dumps(costs))
    np.savez(out.with_suffix(".npz"), **maps)


if __name__ == "__main__":
    main()
