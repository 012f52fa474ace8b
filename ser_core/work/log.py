"""The log: a line of JSON for each event, which names no file and no person.

Messages are written without their values. Of errors only the types and the lines of code are written, because their
text may contain the name of somebody's file.
"""

import json
import logging
import secrets
import traceback
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIGURES = "figures"

#: Loggers whose messages are known to contain no values. For all others only the line of code is written.
SAFE_LOGGERS = {"ser_core", "pages", "streamlit"}


class JsonLines(logging.Formatter):
    """A record as a line of JSON: time, level, logger, event, its figures, and where an error was raised."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
            **getattr(record, FIGURES, {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= _error_dict(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def log_error(log: logging.Logger, event: str, error: BaseException) -> str:
    """Log an unexpected error, and return the number by which a person can report it."""
    reference = secrets.token_hex(4)
    log.error(event, exc_info=error, extra={FIGURES: {"reference": reference}})
    return reference


def write_to_stderr() -> None:
    """Write our log, and the libraries' warnings and errors, to stderr as lines of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("ser_core").setLevel(logging.INFO)


def _event(record: logging.LogRecord) -> str:
    if record.name.split(".")[0] in SAFE_LOGGERS:
        return str(record.msg)
    return f"{_code_file(record.pathname)}:{record.lineno}"


def _error_dict(error: BaseException) -> dict[str, object]:
    """Return the types of an error and its causes, and the error's traceback as lines of code, outermost first."""
    types, cause = [], error
    while cause is not None and len(types) < 5:
        types.append(type(cause).__qualname__)
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": types, "where": [f"{_code_file(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]}


def _code_file(path: str) -> str:
    """Return a path relative to the project, or the end of a library's path: home folders are named after people."""
    in_project = Path(path).is_relative_to(ROOT) and ".venv" not in Path(path).parts
    return Path(path).relative_to(ROOT).as_posix() if in_project else "/".join(Path(path).parts[-2:])
