"""The file formats of marks, each found by its content.

>>> recognised(b"0.5\\t1.25\\tangry")
'audacity'
"""

from ser_core.annotations.formats import audacity, elan, label_studio, own, table, textgrid
from ser_core.annotations.formats.content import is_wide
from ser_core.annotations.formats.format import Format, ReadIn, Written
from ser_core.annotations.formats.gate import belonging_to
from ser_core.errors import AnnotationsRefused

__all__ = ["FORMATS", "Format", "ReadIn", "Written", "belonging_to", "read_annotations", "recognised"]

#: Of two that recognise a file, the first is meant.
FORMATS: dict[str, Format] = {
    "own": own.FORMAT,
    "textgrid": textgrid.FORMAT,
    "elan": elan.FORMAT,
    "audacity": audacity.FORMAT,
    "csv": table.FORMAT,
    "label_studio": label_studio.FORMAT,
}

#: How much of a file is looked at to find its format.
HEAD_BYTES = 2**16


def recognised(content: bytes) -> str | None:
    """Return the key in `FORMATS` of what a file means to be, or None; whether it is intact, only reading tells."""
    head = content[:HEAD_BYTES].decode("utf-16" if is_wide(content) else "utf-8-sig", errors="replace")
    return next((key for key, file_format in FORMATS.items() if file_format.recognises(head)), None)


def read_annotations(content: bytes, name: str) -> ReadIn:
    """Read a file in whichever of the formats it is.

    Parameters
    ----------
    name : str
        What to call the file where it is refused, and the recording where the file does not name it.

    Raises
    ------
    AnnotationsRefused
        If it is in none of them, or damaged, with the place and the reason.
    """
    key = recognised(content)
    if key is None:
        found = "is empty" if not content.strip() else "is in no format of marks that is known here"
        names = ", ".join(file_format.name for file_format in FORMATS.values())
        raise AnnotationsRefused(f"{name} {found}. Give one of these: {names}.")
    return FORMATS[key].read(content, name)
