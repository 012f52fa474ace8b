"""Reading the files of other tools, also in a ZIP, with the options of an import."""

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.exchange.emu_database import CONFIGURATION as EMU_CONFIGURATION
from ser_core.annotations.exchange.emu_database import Metadata, is_metadata
from ser_core.annotations.formats import READERS, ReadOptions, format_key, read_annotations
from ser_core.annotations.formats.content import known_encoding
from ser_core.annotations.formats.format import FileTier
from ser_core.annotations.formats.label_studio import CONFIGURATION, SOUND_NAME
from ser_core.errors import AnnotationsRefused

ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error)
#: Limits of a ZIP that is given instead of its files.
MAX_FILES, MAX_UNPACKED_BYTES = 10_000, 200 * 2**20
ZIP_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

LONGEST_OFFSET_S, LONGEST_TOLERANCE_S = 86_400.0, 60.0


@dataclass(frozen=True)
class ImportOptions:
    """How files are imported.

    Attributes
    ----------
    offset_s : float
        Added to all times.
    tolerance_s : float
        Marks may end this much after their recording, and are cut there: tools round the lengths of files.
    encoding : str or None
        Of text files; None: detected.
    """

    offset_s: float = 0.0
    tolerance_s: float = 0.1
    encoding: str | None = None

    def __post_init__(self) -> None:
        if not abs(self.offset_s) <= LONGEST_OFFSET_S:
            raise AnnotationsRefused(f"An offset of {self.offset_s:g} s is not possible; give one of less than a day.")
        if not 0 <= self.tolerance_s <= LONGEST_TOLERANCE_S:
            raise AnnotationsRefused(
                f"A tolerance of {self.tolerance_s:g} s is not possible; choose 0 to {LONGEST_TOLERANCE_S:g} s."
            )
        if self.encoding is not None:
            object.__setattr__(self, "encoding", known_encoding(self.encoding))


@dataclass(frozen=True)
class ImportedFile:
    """A file that was read.

    Attributes
    ----------
    format_name : str
        As people know it.
    documents : tuple of AnnotatedRecording
        The recordings in it with their marks.
    dropped, changed : tuple of str
        What cannot become a mark, and what is not read as it is written, in words with counts.
    tiers : tuple of FileTier
        Those of the file or, if its format has none, of its marks.
    start_s : float
        The time in the file that is 0 in the documents.
    """

    name: str
    format_name: str
    documents: tuple[AnnotatedRecording, ...]
    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    tiers: tuple[FileTier, ...] = ()
    start_s: float = 0.0


def read_files(files: Iterable[tuple[str, bytes]], options: ImportOptions) -> list[ImportedFile]:
    """Read files of any format, given by name and content.

    Raises
    ------
    AnnotationsRefused
        If one of them is refused.
    """
    found, metadata = [], Metadata()
    read_options = ReadOptions(options.offset_s, options.encoding, from_start=not options.offset_s)
    for name, content in unpack_zips(files):
        if posixpath.basename(name) == CONFIGURATION and b"<View" in content[:200]:
            found.append(ImportedFile(name, "Label Studio configuration", ()))
            continue
        if is_metadata(name, content):
            what = "configuration" if name.endswith(EMU_CONFIGURATION) else "metadata"
            found.append(ImportedFile(name, f"EMU-SDMS {what}", (), metadata.add(name, content)))
            continue
        read = read_annotations(content, posixpath.basename(name) or name, read_options)
        key = format_key(content, options.encoding)
        tiers = read.tiers or _tiers_of(read.recordings)
        found.append(
            ImportedFile(
                name,
                READERS[key].name,
                read.recordings,
                read.dropped,
                read.changed,
                tiers,
                read.start_s if read_options.from_start else 0.0,
            )
        )
    # At the end, because metadata may come after the files that they describe.
    return [
        replace(file, documents=metadata.of(file.name, file.documents))
        if file.format_name == READERS["emu"].name
        else file
        for file in found
    ]


def unpack_zips(files: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, bytes]]:
    """Yield files, and the files in a ZIP instead of it.

    Raises
    ------
    AnnotationsRefused
        If a ZIP is damaged, locked or too large.
    """
    for name, content in files:
        if not content.startswith((b"PK\x03\x04", b"PK\x05\x06")):  # the latter is an empty ZIP
            yield name, content
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [
                    member for member in archive.infolist() if not member.is_dir() and not is_ignored(member.filename)
                ]
                if not members:
                    raise AnnotationsRefused(f"{name}: there are no files of marks in the ZIP; give files of marks.")
                size = sum(member.file_size for member in members)
                if len(members) > MAX_FILES or size > MAX_UNPACKED_BYTES:
                    raise AnnotationsRefused(
                        f"{name}: the ZIP has {len(members)} files of {size / 2**20:.0f} MiB in all; at most "
                        f"{MAX_FILES} of {MAX_UNPACKED_BYTES // 2**20} MiB are read. Give its files."
                    )
                if any(member.compress_type not in ZIP_COMPRESSIONS for member in members):
                    raise NotImplementedError("only the usual compression is read")  # others may take any memory
                for member in members:
                    with archive.open(member) as file:
                        yield member.filename.lstrip("/"), file.read(member.file_size)
        except ZIP_ERRORS as error:
            raise AnnotationsRefused(f"{name}: the ZIP cannot be read ({error}). Give its files.") from None


def is_ignored(path: str) -> bool:
    """Whether a file of a folder or ZIP is audio, or hidden like those that macOS adds to archives."""
    name = posixpath.basename(path)
    return name.startswith(".") or bool(SOUND_NAME.fullmatch(name))


def _tiers_of(recordings: Iterable[AnnotatedRecording]) -> tuple[FileTier, ...]:
    labels: dict[str, list[bool]] = {}
    for mark in (mark for recording in recordings for mark in recording.annotations):
        labels.setdefault(mark.tier, []).append(bool(mark.emotion or mark.note))
    return tuple(FileTier(name, sum(has_label), len(has_label) - sum(has_label)) for name, has_label in labels.items())


def with_marks(
    document: AnnotatedRecording, marks: Iterable[Annotation], left_out: Iterable[Annotation]
) -> AnnotatedRecording:
    """Return a document with some of its marks; the others are not imported, and do not count as deleted."""
    left_out = tuple(left_out)
    keys = document.exported_keys
    if keys is not None:
        without = {mark.key for mark in left_out}
        keys = {key: revision for key, revision in keys.items() if key not in without}
    return replace(document, annotations=tuple(marks), exported_keys=keys, left_out=(*document.left_out, *left_out))
