"""The log: a line of JSON for each event, which names no file and no person.

Texts are written as the code has them, with their places for values left open, and errors by their kind and by the
lines of code they passed: what an error says may hold the name of somebody's file.
"""

import json
import logging
import secrets
import traceback
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIGURES = "figures"

#: Those whose texts are known to be without values; of others only the place in their code is written.
KNOWN = {"ser_core", "pages", "streamlit"}


class JsonLines(logging.Formatter):
    """A record as a line of JSON: time, level, logger, event, the figures given with it, and where an error arose."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
            **getattr(record, FIGURES, {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= _about(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def failed(log: logging.Logger, event: str, error: BaseException) -> str:
    """Log an error that nobody expected, and return the number by which a person who met it can speak of it."""
    reference = secrets.token_hex(4)
    log.error(event, exc_info=error, extra={FIGURES: {"reference": reference}})
    return reference


def write_to_stderr() -> None:
    """Let all that the libraries log as warnings or worse, and all that we log, be written as lines of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("ser_core").setLevel(logging.INFO)


def _event(record: logging.LogRecord) -> str:
    if record.name.split(".")[0] in KNOWN:
        return str(record.msg)
    return f"{_code_file(record.pathname)}:{record.lineno}"


def _about(error: BaseException) -> dict[str, object]:
    """Return the kinds of an error and of what caused it, and the lines of code of the first, outermost first."""
    kinds, cause = [], error
    while cause is not None and len(kinds) < 5:
        kinds.append(type(cause).__qualname__)
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": kinds, "where": [f"{_code_file(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]}


def _code_file(path: str) -> str:
    """Return where code lies below the project, or the end of a library's path: homes are named after people."""
    inside = Path(path).is_relative_to(ROOT) and ".venv" not in Path(path).parts
    return Path(path).relative_to(ROOT).as_posix() if inside else "/".join(Path(path).parts[-2:])
