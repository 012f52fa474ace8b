"""Tables and figures in Markdown."""

from collections.abc import Sequence
from typing import Any


def markdown_table(header: list[str], rows: list[list[Any]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def percent(share: float | None) -> str:
    """Return a share in per cent with one digit, or a dash for None."""
    return "-" if share is None else f"{100 * share:.1f} %"


def difference_with_interval(gain: float, interval: Sequence[float]) -> str:
    """Return a difference of shares and its interval in percentage points."""
    return f"{100 * gain:+.1f} points ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"
