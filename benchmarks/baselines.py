"""Cost of each baseline compared with YAMNet: weights, and processor time of a training step, an epoch, a recording.

    python benchmarks/baselines.py [--quick] [--json FILE]

Recordings are random, with the lengths of the four corpora (1.5 to 6.6 s, median 2.7 s). Minutes are estimated from the
steps of all epochs for 2891 recordings, the training set of fold 1 of the speaker split, without validation and
reading. Times are processor times of one thread, on which other load on the machine has little influence. `ratio` is
the training time relative to YAMNet's.
"""

import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from ser_core.front_end.segments import split_into_segments
from ser_core.learning.batches import as_batch
from ser_core.learning.plan import settings_of
from ser_core.learning.training import SEARCH_EPOCHS_DIVISOR, Run, processes
from ser_core.model.checkpoint import ARCHITECTURES, fastest_precision
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.peers import NETWORK_BASELINES
from ser_core.settings import FrontEnd

EMOTIONS, RECORDINGS = ("angry", "happy", "neutral", "sad"), 2_891
#: Frames of recordings at the 5th, 25th, 50th, 75th, 90th and 99th percentile of the corpora, and their weights.
LENGTHS, SHARES = (153, 230, 271, 346, 403, 662), (0.05, 0.2, 0.3, 0.25, 0.17, 0.03)


class Contender:
    """A network, trained one batch at a time, and used as a classifier."""

    def __init__(self, name: str) -> None:
        self.settings = settings_of(name, "default")
        self.front_end = getattr(ARCHITECTURES[name], "front_end", FrontEnd())
        torch.manual_seed(0)
        self.run = Run(ARCHITECTURES[name](len(EMOTIONS)), None, self.settings, 1_000, processes())
        self.parameters = sum(p.numel() for p in self.run.network.parameters())
        candidates = getattr(ARCHITECTURES[name], "search", ())
        epochs = self.settings.epochs + len(candidates) * (self.settings.epochs // SEARCH_EPOCHS_DIVISOR)
        self.steps = epochs * RECORDINGS * self.settings.segments_per_recording // self.settings.batch

    def step(self, rng: np.random.Generator) -> float:
        takes_whole_recordings = self.front_end.segments.segment_frames is None
        # All segments of a batch have the same length.
        frames = [rng.choice(LENGTHS, p=SHARES) if takes_whole_recordings else 96] * self.settings.batch
        batch = as_batch([rng.normal(-3, 1.5, (length, 64)).astype(np.float32) for length in frames])
        labels = F.one_hot(torch.from_numpy(rng.integers(0, 4, self.settings.batch)), 4).float()
        began = time.process_time()
        self.run.step(batch, labels, 0.001)
        return time.process_time() - began

    def recording_ms(self, rng: np.random.Generator, times: int) -> float:
        classifier = NetworkClassifier(
            self.run.network,
            name="",
            sha256="",
            emotions=EMOTIONS,
            front_end=self.front_end,
            precision=fastest_precision(),
        )
        log_mel = rng.normal(-3, 1.5, (300, 64)).astype(np.float32)
        segments, _ = split_into_segments(log_mel, self.front_end.segments)
        seconds = []
        for _ in range(times):
            began = time.process_time()
            classifier.score(segments)
            seconds.append(time.process_time() - began)
        return 1000 * float(np.median(seconds))


def main() -> None:
    parser = benchmark_parser(__doc__, "2 steps instead of 8")
    args = parser.parse_args()
    torch.set_num_threads(1)
    turns, rng = 2 if args.quick else 8, np.random.default_rng(0)
    contenders = {name: Contender(name) for name in ("yamnet", *NETWORK_BASELINES)}
    seconds = {name: [] for name in contenders}
    for turn in range(turns + 1):  # the first warms up
        for name, contender in contenders.items():
            step_s = contender.step(rng)
            if turn > 0:
                seconds[name].append(step_s)
    median_s = {name: float(np.median(taken)) for name, taken in seconds.items()}
    result = {"machine": f"{platform.machine()}, {torch.get_num_threads()} threads", "turns": turns}
    for name, contender in contenders.items():
        epoch_s = median_s[name] * (RECORDINGS * contender.settings.segments_per_recording // contender.settings.batch)
        training_s = median_s[name] * contender.steps
        result[name] = {
            "parameters": contender.parameters,
            "step_ms": round(1000 * median_s[name], 1),
            "epoch_s": round(epoch_s, 1),
            "training_min": round(training_s / 60, 1),
            "ratio": round(training_s / (median_s["yamnet"] * contenders["yamnet"].steps), 2),
            "recording_of_3_s_ms": round(contender.recording_ms(rng, turns), 1),
        }
    report(result, args.json)


if __name__ == "__main__":
    main()
