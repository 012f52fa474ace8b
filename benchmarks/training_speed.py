"""Training speed in segments per second: ours, with augmentation and averaged weights, and a plain float32 loop.

    python benchmarks/training_speed.py [--quick] [--json FILE]

The plain loop computes each layer as written: convolution, batch norm, ReLU. Both take turns on the same random
segments in batches of 64, so that other load on the machine affects both. `limit` is our speed relative to the
arithmetic alone: the forward and backward pass, repeated on one batch.
"""

import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from ser_core.learning.batches import autocast
from ser_core.learning.plan import PRESETS
from ser_core.learning.training import Run, processes
from ser_core.model.networks import NETWORKS
from ser_core.model.networks.yamnet import SamePadConvolution

BATCH, CLASSES = 64, 4


def plain_step(network: torch.nn.Module) -> Callable[[torch.Tensor, torch.Tensor], None]:
    for module in network.modules():
        if isinstance(module, SamePadConvolution):
            module.convolved = module.conv.forward
    optimiser = torch.optim.AdamW(network.parameters())
    network.train()

    def step(segments: torch.Tensor, labels: torch.Tensor) -> None:
        loss = F.cross_entropy(network(segments), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def our_step(name: str) -> tuple[Callable[[torch.Tensor, torch.Tensor], None], Run]:
    run = Run(NETWORKS[name](CLASSES), None, PRESETS["default"][name], 1_000, processes())
    return lambda segments, labels: run.step(segments, F.one_hot(labels, CLASSES).float(), 0.001), run


def arithmetic_alone(run: Run) -> Callable[[torch.Tensor, torch.Tensor], None]:
    def passes(segments: torch.Tensor, labels: torch.Tensor) -> None:
        with autocast():
            logits, _ = run.learner(segments.contiguous(memory_format=torch.channels_last))
        F.cross_entropy(logits.float(), labels).backward()

    return passes


def main() -> None:
    parser = benchmark_parser(__doc__, "2 turns of 4 steps instead of 5 of 10")
    args = parser.parse_args()
    turns, steps = (2, 4) if args.quick else (5, 10)
    torch.manual_seed(0)
    segments = torch.randn(BATCH, 1, 96, 64) - 3
    labels = torch.randint(0, CLASSES, (BATCH,))
    result = {"machine": f"{platform.machine()}, {torch.get_num_threads()} threads", "batch": BATCH}
    for name in ("yamnet", "vggish"):
        ours, run = our_step(name)
        contenders = {"plain": plain_step(NETWORKS[name](CLASSES)), "ours": ours, "arithmetic": arithmetic_alone(run)}
        seconds = dict.fromkeys(contenders, 0.0)
        for turn in range(turns + 1):  # the first warms up
            for contender, step in contenders.items():
                began = time.perf_counter()
                for _ in range(steps):
                    step(segments, labels)
                if turn > 0:
                    seconds[contender] += time.perf_counter() - began
        rates = {contender: BATCH * steps * turns / taken for contender, taken in seconds.items()}
        result[name] = {
            "plain_segments_per_s": round(rates["plain"], 1),
            "our_segments_per_s": round(rates["ours"], 1),
            "ratio": round(rates["ours"] / rates["plain"], 2),
            "limit": round(rates["ours"] / rates["arithmetic"], 2),
        }
    report(result, args.json)


if __name__ == "__main__":
    main()
