"""Assignment of the marks of imported files to recordings, whose times and lengths they get."""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ser_core.analysis import Point
from ser_core.annotations.annotation import END_SLACK_S, RECORDING_TIER, AnnotatedRecording, Annotation
from ser_core.annotations.exchange.exporting import file_stems, known_stems
from ser_core.annotations.exchange.importing import ImportedFile, with_marks
from ser_core.annotations.formats import ReadOptions, with_audio
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.emu_write import bundle_of
from ser_core.annotations.formats.fields import fields_of
from ser_core.annotations.formats.format import counted
from ser_core.annotations.formats.values import error_context, quoted
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.errors import AnnotationsRefused, RecordingUnclear
from ser_core.work.atomic_folder import folder_name


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
                    changed += [
                        f"marks of {quoted(document.name)} as those of the recording that the file is named for"
                    ]
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
    location, name = read.name, quoted(document.name)
    if named:
        names = " or ".join(quoted(file_stems(file.name, file.sha256)[1]) for file in named)
        raise RecordingUnclear(
            f"{location}: the project has {len(named)} recordings called {name}, and the file does not say by SHA-256 "
            f"which one it is. Name the file as an export does: {names}."
        )
    if len(read.documents) > 1:
        raise RecordingUnclear(
            f"{location}: the project has no recording called {name}, and the file does not say by SHA-256 which one "
            "it is. Add the recording first."
        )
    raise RecordingUnclear(
        f"{location}: the project has no recording called {name}, and the file does not say by SHA-256 which one it "
        "is. Add the recording first, or name the file for it."
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
    document, late, lost, empty = cut_to_length(document, file.duration_s, tolerance_s)
    with error_context(read.name):
        document = _as_marks_of(document, file, read.start_s - start_s)
    if late:
        changed += (f"{counted(late, 'mark')} cut at the end of the recording, at {file.duration_s:g} s",)
    if lost:
        dropped += (f"{counted(lost, 'mark')} after the end of the recording, at {file.duration_s:g} s",)
    if empty:
        dropped += (
            f"{counted(empty, 'interval')} without a text after the end of the recording, at {file.duration_s:g} s",
        )
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
            collected.add(fields, quoted(document.name), isinstance(mark.region, Point))
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
) -> tuple[AnnotatedRecording, int, int, int]:
    """Return a document whose marks end with the recording, if they end no more than a tolerance after it.

    Intervals that are empty and wholly after the recording are dropped, whatever the tolerance.

    Returns
    -------
    document : AnnotatedRecording
    late, lost : int
        Number of marks that were cut by more than `END_SLACK_S`, and of those dropped because they began after the end.
    empty : int
        Number of empty intervals that were dropped.
    """
    late, marks, lost, empty = 0, [], [], []
    for mark in document.annotations:
        over_s, is_point = mark.region.end_s - duration_s, isinstance(mark.region, Point)
        is_after = mark.region.start_s >= duration_s and not is_point
        if mark.tier == RECORDING_TIER or over_s <= END_SLACK_S:
            marks.append(mark)
        elif is_after and is_empty(mark):
            empty.append(mark)
        elif over_s > tolerance_s:
            marks.append(mark)
        elif is_after:
            lost.append(mark)
        else:
            late += 1
            marks.append(_ending_at(mark, duration_s))
    return with_marks(document, marks, (*lost, *empty)), late, len(lost), len(empty)


def is_empty(mark: Annotation) -> bool:
    """Return whether a mark has neither a label nor a note, a rating or frequencies."""
    content = mark.emotion, mark.note or None, mark.intensity, mark.confidence, mark.region.low_hz, mark.region.high_hz
    return not any(value is not None for value in content)


def _ending_at(mark: Annotation, end_s: float) -> Annotation:
    start_s = end_s if isinstance(mark.region, Point) else mark.region.start_s
    return replace(mark, region=replace(mark.region, start_s=start_s, end_s=end_s))
