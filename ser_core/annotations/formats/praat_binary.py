"""Binary TextGrids, as Praat writes them with *Save as binary file*; numbers are big-endian.

A text is its length in two bytes and its characters, one byte each. If the length is 65535, the real length follows,
and the characters have two bytes each.
"""

import struct
from typing import NoReturn

from ser_core.annotations.formats.content import MAX_PARTS
from ser_core.annotations.formats.praat_grid import Grid, PointTier, Tier, interval_of, point_of, required_class
from ser_core.errors import AnnotationsRefused

HEAD = b"ooBinaryFile"
WIDE = 0xFFFF


def read_binary_grid(content: bytes, name: str) -> Grid:
    """Read a binary TextGrid.

    Raises
    ------
    AnnotationsRefused
        If it is not a TextGrid, or damaged, with the number of the byte.
    """
    data = _Bytes(content, name)
    required_class(data.class_name("the class"), data.refuse)
    start_s, end_s = data.number("the start"), data.number("the end")
    tiers: dict[int, Tier] = {}
    points: dict[int, PointTier] = {}
    spans: dict[int, tuple[int, int]] = {}
    count_span = None
    if data.count("whether there are tiers", 1):
        tier_count = data.count("the number of tiers")
        count_span = data.position - 4, data.position
        for index in range(1, tier_count + 1):
            first = data.position
            kind = data.class_name(f"the class of tier {index}")
            tier_name = data.text(f"the name of tier {index}")
            data.number(f"the start of tier {index}")
            tier_end_s = data.number(f"the end of tier {index}")
            count = data.count(f"the number of intervals in tier {index}")
            if kind == "TextTier":
                points[index] = PointTier(tier_name, tuple(point_of(data, index, one) for one in range(1, count + 1)))
            elif kind == "IntervalTier":
                intervals = tuple(interval_of(data, index, one) for one in range(1, count + 1))
                tiers[index] = Tier(tier_name, intervals, tier_end_s)
            else:
                data.refuse(f"{kind!r} is not a class of tier")
            spans[index] = first, data.position
    return Grid(start_s, end_s, tiers, points, 0, spans, count_span)


def binary_tier(tier: Tier | PointTier, start_s: float, end_s: float) -> bytes:
    """Return the bytes of a tier in a binary file, from its class to its last value.

    Raises
    ------
    AnnotationsRefused
        If a text is too long for the format.
    """
    is_points = isinstance(tier, PointTier)
    kind = b"TextTier" if is_points else b"IntervalTier"
    items = tier.points if is_points else tier.intervals
    parts = [bytes([len(kind)]), kind, binary_text(tier.name), struct.pack(">ddi", start_s, end_s, len(items))]
    for *times, label in items:
        parts += [struct.pack(f">{len(times)}d", *times), binary_text(label)]
    return b"".join(parts)


def binary_text(text: str) -> bytes:
    """Return the bytes of a text in a binary file."""
    if len(text) >= WIDE:
        raise AnnotationsRefused(f"A label has {len(text)} characters; a binary TextGrid holds at most {WIDE - 1}.")
    try:
        return struct.pack(">H", len(text)) + text.encode("latin-1")
    except UnicodeEncodeError:
        return struct.pack(">HH", WIDE, len(text)) + text.encode("utf-16-be")


class _Bytes:
    """The values of a binary file, in order."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name
        self.position = len(HEAD)
        self._parts = 0

    def refuse(self, reason: str) -> NoReturn:
        raise AnnotationsRefused(
            f"{self._name}, byte {self.position}: {reason}. Open the file in Praat and save it again."
        )

    def _next(self, size: int, what: str) -> bytes:
        found = self._content[self.position : self.position + size]
        if len(found) < size:
            self.refuse(f"the file ends where {what} should be")
        self.position += size
        return found

    def _value(self, code: str, what: str) -> float:
        return struct.unpack(f">{code}", self._next(struct.calcsize(code), what))[0]

    def number(self, what: str) -> float:
        value = self._value("d", what)
        if not abs(value) < float("inf"):
            self.refuse(f"{what} is {value}")
        return value

    def count(self, what: str, size: int = 4) -> int:
        count = int(self._value("i" if size == 4 else "b", what))
        if count < 0:
            self.refuse(f"{what} is {count}")
        self._parts += count
        if self._parts > MAX_PARTS:
            raise AnnotationsRefused(
                f"{self._name} has {self._parts} tiers and intervals or more; at most {MAX_PARTS} are read. Split it."
            )
        return count

    def class_name(self, what: str) -> str:
        return self._decode(int(self._value("B", what)), 1, what)

    def text(self, what: str) -> str:
        length = int(self._value("H", what))
        if length == WIDE:
            return self._decode(int(self._value("H", what)), 2, what)
        return self._decode(length, 1, what)

    def _decode(self, length: int, width: int, what: str) -> str:
        found = self._next(length * width, what)
        # The length counts characters, and a character beyond the first plane is a pair of two bytes each.
        pairs = _count_pairs(found) if width == 2 else 0
        while pairs:
            more = self._next(2 * pairs, what)
            found += more
            pairs = _count_pairs(more)
        try:
            return found.decode("latin-1" if width == 1 else "utf-16-be")
        except UnicodeDecodeError:
            self.refuse(f"{what} contains half a character")


def _count_pairs(utf16: bytes) -> int:
    """Return how many pairs of surrogates begin in big-endian UTF-16."""
    return sum(0xD8 <= byte <= 0xDB for byte in utf16[::2])
