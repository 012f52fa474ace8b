"""`compare`: whether models differ, from their tables of tested recordings."""

import argparse

from ser_core.checkpoint import find_model
from ser_core.commands.arguments import Commands
from ser_core.learning.comparison import paired_difference
from ser_core.learning.predictions import all_figures, tested_by


def add(commands: Commands) -> None:
    """Add the command."""
    compare = commands.add_parser(
        "compare", help="say whether models differ, on the recordings that both were tested on"
    )
    compare.add_argument("models", nargs="+", metavar="MODEL", help="the first is what the others are compared with")
    compare.set_defaults(run=_compare)


def _compare(asked: argparse.Namespace) -> int:
    first, *others = asked.models
    tables = {name: tested_by(find_model(name)) for name in asked.models}
    for name in asked.models:
        figures = all_figures(tables[name])
        print(f"{name:22s} UAR {100 * figures['mean_over_corpora_uar']:5.1f} %, {len(tables[name].labels)} recordings")
    for name in others:
        difference = paired_difference(tables[first], tables[name])
        low, high = difference.interval
        print(
            f"{first} minus {name}: {100 * difference.gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}, "
            f"{difference.speakers} speakers resampled)"
        )
    return 0
