"""`batch`: analyse thousands of recordings with several processes or machines into one table."""

import argparse
from pathlib import Path

from ser_core.batch.run import ENGINES, run_batch
from ser_core.commands.arguments import Commands, model_or_default, printed_progress, say, some_of, whole_number
from ser_core.explanation import FOCUS_METHODS
from ser_core.settings import AnalysisSettings


def add(commands: Commands) -> None:
    """Add the command."""
    batch = commands.add_parser(
        "batch", help="analyse thousands of recordings, each once, into a table; a stopped run can be continued"
    )
    batch.add_argument(
        "source", type=Path, metavar="DIR|MANIFEST", help="a folder of audio, or a CSV file that lists some"
    )
    batch.add_argument("--model", default=None, metavar="NAME|PATH", help="default: the first of the shipped models")
    batch.add_argument(
        "--explain",
        type=some_of(FOCUS_METHODS),
        default=(),
        metavar=",".join(FOCUS_METHODS),
        help="add focus regions; default: none",
    )
    batch.add_argument(
        "--voice",
        choices=["speaker"],
        help="judge each speaker of the manifest by their own normal; every recording is read twice",
    )
    batch.add_argument("--seed", type=whole_number, default=0, help="seed of LIME's masks")
    batch.add_argument("--engine", choices=ENGINES, default="local", help="processes on this machine, or Dask")
    batch.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, whose workers must see the same paths")
    batch.add_argument("--workers", type=int, metavar="N", help="processes on this machine; default: one per core")
    batch.add_argument("--out", type=Path, required=True, metavar="DIR")
    batch.set_defaults(run=_batch)


def _batch(args: argparse.Namespace) -> int:
    try:
        counts = run_batch(
            args.source,
            model_or_default(args.model),
            AnalysisSettings(explain=args.explain, seed=args.seed),
            args.out,
            engine=args.engine,
            scheduler=args.scheduler,
            workers=args.workers,
            by_speaker=args.voice == "speaker",
            work=printed_progress(),
        )
    except KeyboardInterrupt:
        say(f"Stopped. Results so far are saved in {args.out}; the same command continues from there.", to_stderr=True)
        return 130
    say(
        f"{counts.done} of {counts.recordings} recordings ({counts.files} files) are done, {counts.new} of them now, "
        f"in {counts.seconds:.0f} s; {counts.audio_s / 3600:.2f} h of audio: {args.out / 'results'}"
    )
    if counts.failed:
        say(f"{counts.failed} failed; {args.out / 'failures.csv'} says why.", to_stderr=True)
    return 2 if counts.failed else 0
