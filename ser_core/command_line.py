"""The door of `python -m ser_core`: reads the command and says in one sentence what was refused."""

import argparse
import sys

from ser_core.commands import analyse, compare, evaluate, experiment, timeline, train
from ser_core.errors import SerError


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 2 where something was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m ser_core", description="Which emotion is heard in speech, and where the evidence lies."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (analyse, timeline, train, evaluate, compare, experiment):
        command.add(commands)
    asked = parser.parse_args(arguments)
    try:
        return asked.run(asked)
    except SerError as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
