"""Export of a project's marks to files of other tools, and import from such files."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ser_core.annotations.annotation import LONGEST_TEXT, AnnotatedRecording, valid_mark
from ser_core.annotations.formats import FORMATS, belonging_to, read_annotations
from ser_core.annotations.formats.format import Format, Written, summed
from ser_core.annotations.formats.gate import at, shown
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.errors import AnnotationsRefused, SerError
from ser_core.work.atomic_folder import folder_name

#: The formats by the names that commands and pages use.
EXPORTED = {"json" if key == "own" else key: file_format for key, file_format in FORMATS.items()}
STEM_OF_MANY = "annotations"

#: Name of a file, and a document that was read from it.
FromFile = tuple[str, AnnotatedRecording]


@dataclass(frozen=True)
class Exported:
    """Files of one format.

    Attributes
    ----------
    files : dict of bytes
        By name; names differ even if case is ignored.
    dropped : tuple of str
        What the format cannot hold, in words with counts.
    without_marks : int
        Number of recordings without a file, because it would be empty.
    unfit : tuple of str
        Marks that are not valid, as older versions could store them, and that were cut or left out.
    """

    files: dict[str, bytes]
    dropped: tuple[str, ...]
    without_marks: int
    unfit: tuple[str, ...] = ()


def exported(recordings: Iterable[AnnotatedRecording], file_format: Format) -> Exported:
    """Return the marks of recordings as files: one file if the format holds several recordings, else one for each.

    A mark that is not valid does not block the export: it is cut or left out, and reported.
    """
    unfit: list[str] = []
    written = _written([_valid(recording, unfit) for recording in recordings], file_format)
    # A file without labels could not be told from any other empty file.
    files = {f"{stem}{file_format.endings[0]}": each.content for stem, each in written if each.content}
    return Exported(files, tuple(summed(each for _, each in written)), len(written) - len(files), tuple(unfit))


def _valid(recording: AnnotatedRecording, unfit: list[str]) -> AnnotatedRecording:
    """Return a recording with valid marks only; what was cut or left out is added to the list in words."""
    marks = []
    for number, mark in enumerate(recording.annotations, start=1):
        place = f"{shown(recording.name)}, mark {number} of {shown(mark.annotator)}"
        try:
            marks.append(valid_mark(mark, recording.duration_s))
            continue
        except AnnotationsRefused as refusal:
            reason = refusal
        try:
            region = replace(mark.region, end_s=min(mark.region.end_s, recording.duration_s))
            marks.append(valid_mark(replace(mark, region=region, note=mark.note[:LONGEST_TEXT]), recording.duration_s))
            unfit.append(f"{place}: cut to what is possible. {reason}")
        except SerError:
            unfit.append(f"{place}: left out. {reason}")
    return replace(recording, annotations=tuple(marks))


def _written(recordings: Sequence[AnnotatedRecording], file_format: Format) -> list[tuple[str, Written]]:
    """Return files with the stems of their names."""
    if file_format.holds_many:
        return [(STEM_OF_MANY, file_format.write(recordings))]
    # File systems that ignore case are common.
    count = Counter(folder_name(recording.name).casefold() for recording in recordings)
    written: dict[str, tuple[str, Written]] = {}
    for recording in recordings:
        plain, own = file_stems(recording.name, recording.sha256)
        stems = (plain, own) if count[plain.casefold()] == 1 else (own,)
        # The last is longer than any name that `folder_name` returns, and so always free.
        stems = (*stems, f"{own}-{recording.sha256}")
        stem = next(stem for stem in stems if stem.casefold() not in written)
        written[stem.casefold()] = stem, file_format.write([recording])
    return list(written.values())


def file_stems(name: str, sha256: str) -> tuple[str, str]:
    """Return the stem of a recording's file if its name is unique, and the stem if it is not."""
    stem = folder_name(name)
    # Short enough for `folder_name` to leave it unchanged when it is read again.
    return stem, f"{stem[:40]}-{sha256[:8]}"


def read_files(files: Iterable[tuple[str, bytes]]) -> tuple[list[FromFile], list[str]]:
    """Read files of any format; return their documents, and in words what cannot become a mark.

    Raises
    ------
    AnnotationsRefused
        If one of them is refused.
    """
    found, dropped = [], []
    for name, content in files:
        read = read_annotations(content, name)
        found += [(name, document) for document in read.recordings]
        dropped += [f"{name}: {words}" for words in read.dropped]
    return found, dropped


def as_of_recordings(
    found: Sequence[FromFile],
    known: Sequence[RecordingFile],
    given: Sequence[RecordingFile] = (),
    only: RecordingFile | None = None,
) -> list[AnnotatedRecording]:
    """Return documents as those of their recordings, found by SHA-256 or name; others stay as they are.

    Parameters
    ----------
    known, given : sequence of RecordingFile
        Recordings of the project, and recordings that were given with the marks.
    only : RecordingFile, optional
        The recording that all documents belong to.

    Raises
    ------
    AnnotationsRefused
        If marks do not fit their recording.
    """
    by_sha256 = {file.sha256: file for file in given}
    # Only if the lengths agree: if a format rounds times, labels of the whole recording keep its exact length.
    as_long = {(file.sha256, file.duration_s): file for file in known}
    by_stem: dict[str, dict[str, RecordingFile]] = defaultdict(dict)
    for file in (*known, *given):
        for stem in file_stems(file.name, file.sha256):
            by_stem[stem][file.sha256] = file
    documents = []
    for name, document in found:
        named = list(by_stem[folder_name(document.name)].values())
        file = only or by_sha256.get(document.sha256) or as_long.get((document.sha256, document.duration_s))
        if file is None and document.sha256 is None and len(named) == 1:
            file = named[0]
        if file is not None:
            with at(name):
                document = belonging_to(document, file.name, file.sha256, file.duration_s, file.sample_rate_hz)
        documents.append(document)
    return documents
