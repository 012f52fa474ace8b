"""Values in files, as JSON has them or as text: each is read or refused, and refusals begin with the location."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from numbers import Integral, Real

from ser_core.annotations.annotation import require_text
from ser_core.errors import AnnotationsRefused, SerError

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
CHANNEL = re.compile("[1-9][0-9]{0,2}")


@contextmanager
def error_context(location: str) -> Iterator[None]:
    """Put the location in front of the reason of any refusal in the block."""
    try:
        yield
    except SerError as refusal:
        raise AnnotationsRefused(f"{location}: {refusal}") from None


def number(value: object, what: str) -> float:
    """Return a finite number, or refuse the value."""
    found = math.nan
    if (isinstance(value, str) and NUMBER.fullmatch(value.strip())) or (
        isinstance(value, Real) and not isinstance(value, bool)
    ):
        try:
            found = float(value.strip() if isinstance(value, str) else value)  # float strips less than str.strip
        except OverflowError:  # a JSON integer may be larger than any float
            found = math.inf
    if not math.isfinite(found):
        raise AnnotationsRefused(f"The {what} {quoted(value)} is not a number, with a point for decimals.")
    return found


def whole_number(value: object, what: str) -> int:
    """Return a whole number, or refuse the value."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    found = number(value, what)
    if not found.is_integer():
        raise AnnotationsRefused(f"The {what} {quoted(value)} is not a whole number.")
    return int(found)


def text(value: object, what: str) -> str:
    """Return a text that every encoding of Unicode can write, or refuse the value."""
    if not isinstance(value, str):
        raise AnnotationsRefused(f"The {what} {quoted(value)} is not a text.")
    require_text(value, what)
    return value


def utc_time(value: object, what: str) -> datetime:
    """Return a time in UTC; a time without a zone is taken to be in UTC."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, AttributeError):
        raise AnnotationsRefused(f"The {what} {quoted(value)} is not a time such as 2024-05-01T12:30:00Z.") from None


def quoted(value: object) -> str:
    """Return a value as a refusal quotes it, short and printable."""
    words = f"'{value}'" if isinstance(value, str) and value.isprintable() else ascii(value)[:70]
    return words if len(words) <= 60 else f"{words[:57]}…"


def channel_number(value: object, what: str) -> int | None:
    """Return a channel as marks store it, None for the first one, or refuse the value."""
    found = whole_number(value, what)
    return None if found == 1 else found
