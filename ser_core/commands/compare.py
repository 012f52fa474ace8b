"""`compare`: compare models in the same test."""

import argparse
from pathlib import Path
from typing import Any

from ser_core.commands.arguments import Commands, corpus_at, folders_of, printed_progress, say, write_json
from ser_core.experiments import COMPARISON, write_result
from ser_core.experiments.model_comparison import SPLITS, compare_models
from ser_core.experiments.results_page import write_results_page


def add(commands: Commands) -> None:
    """Add the command."""
    compare = commands.add_parser(
        "compare", help="compare models in the same test: figures, differences, size and cost"
    )
    compare.add_argument(
        "--models",
        nargs="+",
        required=True,
        metavar="MODEL",
        help="the others are compared with the first; all: the shipped ones, and write models/RESULTS.md",
    )
    compare.add_argument(
        "--split", choices=tuple(SPLITS), default="speaker", help="how test and training are separated"
    )
    compare.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="NAME=DIR",
        type=corpus_at,
        help="measure prediction times on some of its recordings",
    )
    compare.add_argument("--json", type=Path, metavar="FILE")
    compare.set_defaults(run=_compare)


def _compare(args: argparse.Namespace) -> int:
    names = None if args.models == ["all"] else args.models
    result = compare_models(names, args.split, folders_of(args.corpus), printed_progress())
    for name, model in result["models"].items():
        say(_line(name, model))
    say(f"{result['recordings']} recordings of {result['speakers']} speakers; split: {result['split']}.")
    for reason in result["left_out"].values():
        say(f"Left out: {reason}")
    if args.json:
        write_json(result, args.json)
    if names is None:
        say(f"Written: {write_result(COMPARISON, result)} and {write_results_page()}.")
    return 0


def _line(name: str, model: dict[str, Any]) -> str:
    low, high = model["gain_interval"]
    time = "" if model["milliseconds"] is None else f", {model['milliseconds']:.0f} ms per recording"
    return (
        f"{name:24s} UAR {100 * model['uar']:5.1f} % "
        f"({100 * model['interval'][0]:.1f} to {100 * model['interval'][1]:.1f}); the first minus it "
        f"{100 * model['gain']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}); {model['numbers']:,} parameters, "
        f"trained in {model['training_seconds'] / 60:.1f} min{time}"
    )
