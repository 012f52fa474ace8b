"""The command line that all benchmarks share."""

import argparse
import json
from pathlib import Path
from typing import Any


def benchmark_parser(description: str, quick: str) -> argparse.ArgumentParser:
    """Return a parser with the options `--quick` and `--json`.

    Parameters
    ----------
    description : str
        Only its first line is shown.
    quick : str
        The help of `--quick`.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to this file")
    return parser


def report(result: dict[str, Any], file: Path | None) -> None:
    """Print a result as JSON, and write it to a file if one is given."""
    text = json.dumps(result, indent=2)
    print(text)
    if file:
        file.write_text(f"{text}\n")
