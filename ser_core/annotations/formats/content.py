"""Decode the bytes of a file as text or JSON, or refuse them with the line."""

import codecs
import json
from typing import Any

from ser_core.annotations.formats.values import error_context
from ser_core.errors import AnnotationsRefused

MAX_BYTES = 48 * 2**20
#: In memory, a mark takes half a kilobyte and a value of JSON a quarter of that.
MAX_PARTS, MAX_VALUES = 250_000, 3_000_000


#: Encodings of Python that no file has: of internet names, and of Python's own source.
NOT_OF_FILES = ("idna", "punycode", "unicode-escape", "raw-unicode-escape")


def text_of(
    content: bytes, name: str, part: str = "\n", max_parts: int = MAX_PARTS, encoding: str | None = None
) -> str:
    """Return the text of a file.

    Parameters
    ----------
    part : str
        Each mark or value has at least one of these characters; a file with more than `max_parts` of them is refused.
    encoding : str, optional
        Python's name for it; default: that of `encoding_of`.

    Raises
    ------
    AnnotationsRefused
        If it is too large, has too many parts or is not such text, with the line.
    """
    if len(content) > MAX_BYTES:
        raise AnnotationsRefused(
            f"{name} has {len(content) / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB of marks are read. Split it."
        )
    try:
        text = content.decode(encoding or encoding_of(content))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        expected_encoding = f"in the encoding {encoding}" if encoding else "in UTF-8 or UTF-16"
        raise AnnotationsRefused(
            f"{name}, line {line}: this is not text {expected_encoding}. Save it as UTF-8, or name its encoding."
        ) from None
    if (parts := sum(map(text.count, part))) > max_parts:
        raise AnnotationsRefused(f"{name} seems to have {parts} parts; at most {max_parts} are read. Split it.")
    return text


def encoding_of(content: bytes) -> str:
    """Return the encoding of a text file that begins with an ASCII character or a byte order mark."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if len(content) >= 4 and not len(content) % 2:
        odd, even = content[:64:2], content[1:64:2]
        if not any(even) and odd[0]:
            return "utf-16-le"
        if not any(odd) and even[0]:
            return "utf-16-be"
    return "utf-8-sig"


def known_encoding(encoding: str) -> str:
    """Return Python's name for an encoding of text, or refuse it."""
    try:
        found = codecs.lookup(encoding)
        "a".encode(found.name).decode(found.name)
        if found.name in NOT_OF_FILES:
            raise LookupError
    except (LookupError, UnicodeError, TypeError, ValueError):
        raise AnnotationsRefused(
            f"The encoding {encoding[:40]!r} is not known; name one such as utf-8, latin-1, cp1252 or mac_roman."
        ) from None
    return "utf-8-sig" if found.name == "utf-8" else found.name  # utf-8 would keep a byte order mark


def old_encoding_of(content: bytes) -> str:
    """Return the encoding of Western European text that is neither UTF-8 nor UTF-16."""
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def json_of(content: bytes, name: str, encoding: str | None = None) -> Any:
    """Return the value of a JSON file.

    Raises
    ------
    AnnotationsRefused
        If it is not JSON, with line and column, or nested too deeply.
    """
    source = text_of(content, name, ",[{", MAX_VALUES, encoding)
    try:
        with error_context(name):
            return json.loads(source, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        location = f"{name}, line {error.lineno}, column {error.colno}"
        raise AnnotationsRefused(f"{location}: this is not JSON ({error.msg}). Export the file again.") from None
    except RecursionError:
        raise AnnotationsRefused(f"{name}: the JSON is nested too deeply to hold marks.") from None
    except ValueError:  # Python reads no integer of more than 4300 digits
        raise AnnotationsRefused(
            f"{name}: the JSON holds a number with thousands of digits, which no mark has."
        ) from None


def _refuse_constant(constant: str) -> None:
    raise AnnotationsRefused(f"The JSON holds {constant}, which is not a number. Give a number or null.")


def json_bytes(value: Any, indent: int | None = 1, ascii_only: bool = False) -> bytes:
    """Return a value as JSON in UTF-8.

    Raises
    ------
    AnnotationsRefused
        If it contains something that JSON cannot hold.
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=ascii_only).encode()
    except (TypeError, ValueError) as error:
        raise AnnotationsRefused(f"The provenance holds something that JSON cannot ({error}). Leave it out.") from None
