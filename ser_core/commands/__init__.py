"""The commands of `python -m ser_core`, a file each; `main` reads the arguments and prints refusals in one sentence."""

import argparse
import io
import os
import sys
from typing import NoReturn

from ser_core.commands import analyse, annotations, batch, compare, evaluate, experiment, timeline, train
from ser_core.commands.arguments import printable, say
from ser_core.errors import SerError


class Parser(argparse.ArgumentParser):
    """A parser that prints what it was given only as text."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and end with 2."""
        super().error(printable(message))


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 2 where something was refused."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever its encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    parser = Parser(
        prog="python -m ser_core", description="Which emotion is heard in speech, and where the evidence lies."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (analyse, timeline, batch, train, evaluate, compare, experiment, annotations):
        command.add(commands)
    args = parser.parse_args(arguments)
    try:
        ended = args.run(args)
        if sys.stdout is not None:  # it may have been closed
            sys.stdout.flush()
        return ended
    except SerError as refusal:
        say(str(refusal), to_stderr=True)
        return 2
    except BrokenPipeError:  # who reads the output has seen enough; what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        say("Stopped.", to_stderr=True)
        return 130
    except OSError as reason:  # of a path that was given, or of a disk
        say(f"{reason.filename or 'The output'} cannot be used ({reason.strerror}). Check its path and disk.", True)
        return 2
