"""The commands of `python -m ser_core`, one module each; `main` parses the arguments and prints refusals."""

import argparse
import io
import os
import sys
from importlib import import_module
from typing import NoReturn

from ser_core.commands.arguments import printable, say
from ser_core.errors import SerError

COMMANDS = ("analyse", "timeline", "batch", "train", "evaluate", "compare", "experiment", "map", "annotations")


class Parser(argparse.ArgumentParser):
    """A parser that never prints control characters from its arguments."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the arguments, and exit with 2."""
        super().error(printable(message))


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 2 if something was refused."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape characters that the encoding lacks
            stream.reconfigure(errors="backslashreplace")
    parser = Parser(
        prog="python -m ser_core", description="Recognise emotions in speech, and show where the evidence lies."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    arguments = sys.argv[1:] if arguments is None else arguments
    # Only the given command is imported: importing the training takes longer than classifying speech.
    names = arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS
    for name in names:
        import_module(f"{__name__}.{name}").add(commands)
    args = parser.parse_args(arguments)
    try:
        status = args.run(args)
        if sys.stdout is not None:  # it may have been closed
            sys.stdout.flush()
        return status
    except SerError as refusal:
        say(str(refusal), to_stderr=True)
        return 2
    except BrokenPipeError:  # the reader of the output is gone; discard the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        say("Stopped.", to_stderr=True)
        return 130
    except OSError as reason:  # a path in the arguments, or a full disk
        say(f"{reason.filename or 'The output'} cannot be used ({reason.strerror}). Check its path and disk.", True)
        return 2
