"""Import of marks from files of other tools: how they are read, and to which recordings they belong."""

import io
import posixpath
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ser_core.analysis import Point
from ser_core.annotations.annotation import END_SLACK_S, RECORDING_TIER, AnnotatedRecording, Annotation
from ser_core.annotations.exchange.emu_database import CONFIGURATION as EMU_CONFIGURATION
from ser_core.annotations.exchange.emu_database import Metadata, is_metadata
from ser_core.annotations.exchange.exporting import file_stems, known_stems
from ser_core.annotations.formats import READERS, ReadOptions, format_key, read_annotations, with_audio
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import known_encoding
from ser_core.annotations.formats.emu_write import bundle_of
from ser_core.annotations.formats.fields import fields_of
from ser_core.annotations.formats.format import FileTier, counted
from ser_core.annotations.formats.label_studio import CONFIGURATION, SOUND_NAME
from ser_core.annotations.formats.values import error_context, shown
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.errors import AnnotationsRefused, RecordingUnclear
from ser_core.work.atomic_folder import folder_name

ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error)
#: Limits of a ZIP that is given instead of its files.
MOST_PACKED, MOST_PACKED_BYTES = 10_000, 200 * 2**20
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
                if len(members) > MOST_PACKED or size > MOST_PACKED_BYTES:
                    raise AnnotationsRefused(
                        f"{name}: the ZIP has {len(members)} files of {size / 2**20:.0f} MiB in all; at most "
                        f"{MOST_PACKED} of {MOST_PACKED_BYTES // 2**20} MiB are read. Give its files."
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


def assign_to_recordings(
    files: Iterable[ImportedFile],
    known: Sequence[RecordingFile],
    audio_files: Sequence[RecordingFile] = (),
    only: RecordingFile | None = None,
    tolerance_s: float = END_SLACK_S,
) -> list[ImportedFile]:
    """Assign the documents of files to recordings, found by SHA-256 or name.

    A document whose recording is not in the project yet stays as it is. If a file does not begin at 0, its times count
    from the start of the recording, unless both have the same length: then the file begins with the recording, like
    that of a part that Praat extracts with its times preserved.

    Parameters
    ----------
    known, audio_files : sequence of RecordingFile
        Recordings of the project, and recordings that were given with the marks.
    only : RecordingFile, optional
        The recording that all documents belong to.

    Raises
    ------
    AnnotationsRefused
        If marks do not fit their recording, or it is not clear which one it is.
    """
    by_sha256 = {file.sha256: file for file in audio_files}
    # Only if the lengths agree: if a format rounds times, labels of the whole recording get its exact length below.
    by_sha256_and_length = {(file.sha256, file.duration_s): file for file in known}
    by_stem: dict[str, dict[str, RecordingFile]] = defaultdict(dict)
    for file in (*known, *audio_files):
        for stem in known_stems(file.name, file.sha256):
            by_stem[stem][file.sha256] = file
    found = []
    found_by_name: dict[tuple[str, str], str] = {}
    for read in files:
        documents, changed, dropped = [], list(read.changed), list(read.dropped)
        start_s = read.start_s
        for document in read.documents:
            file = only or by_sha256.get(document.sha256)
            file = file or by_sha256_and_length.get((document.sha256, document.duration_s))
            if file is None and document.sha256 is None:
                candidates = _in_session(list(by_stem[folder_name(document.name)].values()), document.session)
                by_file_name = list(by_stem[folder_name(posixpath.basename(read.name))].values())
                if len(candidates) != 1 and len(by_file_name) == len(read.documents) == 1:
                    candidates = by_file_name
                    changed += [f"marks of {shown(document.name)} as those of the recording that the file is named for"]
                file = _only_recording(document, candidates, read)
                first = found_by_name.setdefault((file.sha256, posixpath.basename(read.name)), read.name)
                if first != read.name:
                    raise AnnotationsRefused(
                        f"{first} and {read.name} have the same name, and neither says by SHA-256 which recording it "
                        "belongs to. Import one folder at a time, or name the files for their recordings."
                    )
            if file is not None:
                document, start_s, now_changed, now_dropped = _fit_to_recording(document, file, read, tolerance_s)
                changed += now_changed
                dropped += now_dropped
            documents.append(document)
        assigned = replace(
            read, start_s=start_s, documents=tuple(documents), changed=tuple(changed), dropped=tuple(dropped)
        )
        found.append(assigned)
    return found


def _in_session(named: Sequence[RecordingFile], session: str) -> Sequence[RecordingFile]:
    """Return the recordings of a session; without any, those of no known session; without these, all."""
    if not session:
        return named
    # As written in a database of EMU, in which names of sessions have no spaces.
    in_session = [file for file in named if file.session and bundle_of(file.session) == bundle_of(session)]
    return in_session or [file for file in named if not file.session] or named


def _only_recording(document: AnnotatedRecording, named: Sequence[RecordingFile], read: ImportedFile) -> RecordingFile:
    """Return the only recording of a name, or refuse."""
    if len(named) == 1:
        return named[0]
    place, name = read.name, shown(document.name)
    if named:
        names = " or ".join(shown(file_stems(file.name, file.sha256)[1]) for file in named)
        raise RecordingUnclear(
            f"{place}: the project has {len(named)} recordings called {name}, and the file does not say by SHA-256 "
            f"which one it is. Name the file as an export does: {names}."
        )
    if len(read.documents) > 1:
        raise RecordingUnclear(
            f"{place}: the project has no recording called {name}, and the file does not say by SHA-256 which one it "
            "is. Add the recording first."
        )
    raise RecordingUnclear(
        f"{place}: the project has no recording called {name}, and the file does not say by SHA-256 which one it is. "
        "Add the recording first, or name the file for it."
    )


def _fit_to_recording(
    document: AnnotatedRecording, file: RecordingFile, read: ImportedFile, tolerance_s: float
) -> tuple[AnnotatedRecording, float, tuple[str, ...], tuple[str, ...]]:
    """Return a document with the times of a recording, its start in the file, and what was changed and dropped."""
    changed, dropped, start_s = (), (), read.start_s
    if start_s and abs(document.duration_s - file.duration_s) <= max(tolerance_s, END_SLACK_S):
        changed += (f"its times, which begin at {start_s:g} s, as times from the start of the recording",)
    elif start_s:
        document, marks = shift_times(document, start_s)
        changed, dropped, start_s = in_words(marks.altered), in_words(marks.left_out), 0.0
    document, late, lost = cut_to_length(document, file.duration_s, tolerance_s)
    with error_context(read.name):
        document = _as_marks_of(document, file, read.start_s - start_s)
    if late:
        changed += (f"{counted(late, 'mark')} cut at the end of the recording, at {file.duration_s:g} s",)
    if lost:
        dropped += (f"{counted(lost, 'mark')} after the end of the recording, at {file.duration_s:g} s",)
    return document, start_s, changed, dropped


def _as_marks_of(document: AnnotatedRecording, file: RecordingFile, start_s: float) -> AnnotatedRecording:
    try:
        return with_audio(document, file.name, file.sha256, file.duration_s, file.sample_rate_hz)
    except AnnotationsRefused as refusal:
        if "after its recording" not in str(refusal):
            raise
        raise AnnotationsRefused(
            f"{refusal} Or add {-start_s:g} s to all times, as those of this file begin at {start_s:g} s."
            if start_s > 0
            else f"{refusal} Or choose a larger tolerance at the end."
        ) from None


def shift_times(document: AnnotatedRecording, by_s: float) -> tuple[AnnotatedRecording, Collected]:
    """Return a document with all times moved, and its marks, with counts of those cut at 0 s or left out before it."""
    moved, left_out = Collected(ReadOptions(by_s)), Collected(ReadOptions(by_s))
    for collected, marks_in in ((moved, document.annotations), (left_out, document.left_out)):
        for mark in marks_in:
            fields = fields_of(mark) | {"key": mark.key, "revision": mark.revision}
            collected.add(fields, shown(document.name), isinstance(mark.region, Point))
    return (
        replace(
            document,
            annotations=tuple(moved.annotations),
            left_out=tuple(left_out.annotations),
            duration_s=document.duration_s + by_s,
            f0=document.f0.from_time(-by_s),
        ),
        moved,
    )


def cut_to_length(
    document: AnnotatedRecording, duration_s: float, tolerance_s: float
) -> tuple[AnnotatedRecording, int, int]:
    """Return a document whose marks end with the recording, if they end no more than a tolerance after it.

    Returns
    -------
    document : AnnotatedRecording
    late, lost : int
        Number of marks that were cut by more than `END_SLACK_S`, and of those dropped because they began after the end.
    """
    late, marks, lost = 0, [], []
    for mark in document.annotations:
        over_s = mark.region.end_s - duration_s
        if mark.tier == RECORDING_TIER or not END_SLACK_S < over_s <= tolerance_s:
            marks.append(mark)
        elif mark.region.start_s < duration_s or isinstance(mark.region, Point):
            late += 1
            marks.append(_ending_at(mark, duration_s))
        else:
            lost.append(mark)
    return with_marks(document, marks, lost), late, len(lost)


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


def _ending_at(mark: Annotation, end_s: float) -> Annotation:
    start_s = end_s if isinstance(mark.region, Point) else mark.region.start_s
    return replace(mark, region=replace(mark.region, start_s=start_s, end_s=end_s))
