"""The door of `python -m ser_core`: reads the command and says in one sentence what was refused."""

import argparse
import os
import sys

from ser_core.commands import analyse, annotations, batch, compare, evaluate, experiment, timeline, train
from ser_core.errors import SerError


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 2 where something was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m ser_core", description="Which emotion is heard in speech, and where the evidence lies."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (analyse, timeline, batch, train, evaluate, compare, experiment, annotations):
        command.add(commands)
    asked = parser.parse_args(arguments)
    try:
        ended = asked.run(asked)
        sys.stdout.flush()
        return ended
    except SerError as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads the output has seen enough; what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
