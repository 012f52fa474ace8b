"""The file formats of marks, each recognised by its content.

>>> format_key(b"0.5\\t1.25\\tangry")
'audacity'
"""

from ser_core.annotations.formats import (
    audacity,
    chat,
    elan,
    emu,
    label_studio,
    own,
    raven,
    rttm,
    subtitles,
    table,
    textgrid,
    transcriber,
)
from ser_core.annotations.formats.content import encoding_of
from ser_core.annotations.formats.fields import with_audio
from ser_core.annotations.formats.format import DEFAULT_OPTIONS, Format, ReadOptions, ReadResult, Written
from ser_core.errors import AnnotationsRefused

__all__ = [
    "FORMATS",
    "READERS",
    "Format",
    "ReadIn",
    "ReadOptions",
    "Written",
    "read_annotations",
    "recognised",
    "with_audio",
]

#: Formats that hold whole marks. If two recognise a file, the first is used.
FORMATS: dict[str, Format] = {
    "own": own.FORMAT,
    "textgrid": textgrid.FORMAT,
    "elan": elan.FORMAT,
    "audacity": audacity.FORMAT,
    "csv": table.FORMAT,
    "label_studio": label_studio.FORMAT,
}

#: Formats that hold only a part of a mark; some are only read. They are tried first.
OTHERS: dict[str, Format] = {
    "emu": emu.FORMAT,
    "raven": raven.FORMAT,
    "rttm": rttm.FORMAT,
    "srt": subtitles.SRT,
    "vtt": subtitles.VTT,
    "transcriber": transcriber.FORMAT,
    "chat": chat.FORMAT,
}
READERS = OTHERS | FORMATS

#: How much of a file is read to recognise its format.
HEAD_BYTES = 2**16


def format_key(content: bytes, encoding: str | None = None) -> str | None:
    """Return the key in `READERS` of a file's format, or None; only reading shows whether the file is intact."""
    head = content[:HEAD_BYTES].decode(encoding or encoding_of(content[:HEAD_BYTES]), errors="replace")
    return next((key for key, file_format in READERS.items() if file_format.recognises(head)), None)


def read_annotations(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read a file of any of the formats.

    Parameters
    ----------
    name : str
        What to call the file if it is refused, and the recording if the file does not name it.

    Raises
    ------
    AnnotationsRefused
        If it has none of the formats, or is damaged, with the place and the reason.
    """
    key = format_key(content, options.encoding)
    if key is None:
        found = "is empty" if not content.strip() else "has no known format of marks"
        names = ", ".join(file_format.name for file_format in (FORMATS | OTHERS).values())
        raise AnnotationsRefused(f"{name} {found}. Give one of these: {names}.")
    return READERS[key].read(content, name, options)
