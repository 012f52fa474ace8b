"""The commands of `python -m ser_core`."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ser_core.errors import SerError

RUNS = Path("runs")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 2 where something was refused."""
    parser = argparse.ArgumentParser(prog="python -m ser_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_train(commands)
    asked = parser.parse_args(arguments)
    try:
        return asked.run(asked)
    except SerError as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = commands.add_parser("train", help="train a classifier on corpora and write its folder")
    train.add_argument("--corpus", action="append", required=True, metavar="NAME=DIR", type=_corpus)
    train.add_argument("--network", choices=("fusion", "vggish", "yamnet"), default="fusion")
    train.add_argument("--folds", type=int, default=5)
    train.add_argument("--fold", type=int, default=1, help="the fold whose speakers are the test")
    train.add_argument("--epochs", type=int, help="of each branch")
    train.add_argument("--select", choices=("minmax", "guarded", "none"), default="guarded")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--resume", action="store_true", help=f"go on from the states under {RUNS}/")
    train.add_argument("--out", type=Path, required=True, metavar="DIR")
    train.set_defaults(run=_train)


def _train(asked: argparse.Namespace) -> int:
    from ser_core.learning.classifier_training import TrainingPlan, train_classifier
    from ser_core.settings import FrontEnd, SelectionSettings

    plan = TrainingPlan(
        corpora=dict(asked.corpus),
        network=asked.network,
        folds=asked.folds,
        fold=asked.fold,
        seed=asked.seed,
        epochs=asked.epochs,
        front_end=FrontEnd(selection=SelectionSettings(asked.select)),
    )
    card = train_classifier(plan, asked.out, RUNS, resume=asked.resume, progress=_progress())
    for name, f in card["test_figures"]["corpora"].items():
        low, high = f["interval"]
        print(f"{name:22s} UAR {100 * f['uar']:5.1f} %  ({100 * low:.1f} to {100 * high:.1f}, speakers resampled)")
    print(f"{'mean over corpora':22s} UAR {100 * card['test_figures']['mean_over_corpora_uar']:5.1f} %")
    print(f"Split: {card['split']}. Written to {asked.out}.")
    return 0


def _corpus(text: str) -> tuple[str, str]:
    name, separator, folder = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form NAME=DIR")
    return name, folder


def _progress() -> Callable[[float, str], None]:
    """Print what is being done and about how long it will take, at most every ten seconds."""
    started = printed = time.monotonic()

    def show(fraction: float, text: str) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed < 10:
            return
        printed = now
        left = (now - started) * (1 - fraction) / max(fraction, 1e-3)
        print(f"{100 * fraction:3.0f} %  {text}, about {left / 60:.0f} min left", file=sys.stderr, flush=True)

    return show
