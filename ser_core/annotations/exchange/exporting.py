"""Export of a project's marks to files of other tools."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

from ser_core.annotations.annotation import LONGEST_TEXT, AnnotatedRecording, valid_mark
from ser_core.annotations.formats import FORMATS, OTHERS
from ser_core.annotations.formats.format import Format, Written, summed, tiers_without
from ser_core.annotations.formats.gate import shown
from ser_core.annotations.formats.layers import unique_names
from ser_core.errors import AnnotationsRefused, SerError
from ser_core.work.atomic_folder import folder_name

#: The formats by the names that commands and pages use.
EXPORTED = {"json" if key == "own" else key: file_format for key, file_format in FORMATS.items()} | {
    key: file_format for key, file_format in OTHERS.items() if file_format.write is not None
}
STEM_OF_MANY = "annotations"


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


def exported(
    recordings: Iterable[AnnotatedRecording], file_format: Format, choices: Mapping[str, Any] | None = None
) -> Exported:
    """Return the marks of recordings as files: one file if the format holds several recordings, else one for each.

    A mark that is not valid does not block the export: it is cut or left out, and reported.

    Parameters
    ----------
    choices : mapping, optional
        Those of the format's `write`.
    """
    unfit: list[str] = []
    valid = [_valid(recording, unfit) for recording in recordings]
    lost: tuple[str, ...] = ()
    if not file_format.holds_tiers and valid:
        everything = replace(valid[0], annotations=tuple(mark for each in valid for mark in each.annotations))
        lost = tiers_without(everything, "empty", "labels", "parent", "colour")
        valid = [_with_names(recording) for recording in valid]
    written = _written(valid, file_format, choices or {})
    # A file without labels could not be told from any other empty file.
    files = {f"{stem}{file_format.endings[0]}": each.content for stem, each in written if each.content}
    without = len(written) - len(files)
    if file_format.beside is not None:
        files |= file_format.beside(valid)
    return Exported(files, (*summed(each for _, each in written), *lost), without, tuple(unfit))


def choices_of(file_format: Format) -> set[str]:
    """Return the names of what can be chosen about files of a format."""
    return set(list(signature(file_format.write).parameters)[1:])


def _with_names(recording: AnnotatedRecording) -> AnnotatedRecording:
    """Return a recording whose marks name their tiers as people do; of an equal name, the second has a number."""
    names = unique_names(recording.all_tiers)
    named = (replace(mark, tier=names.get(mark.tier, mark.tier)) for mark in recording.annotations)
    return replace(recording, annotations=tuple(named))


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


def _written(
    recordings: Sequence[AnnotatedRecording], file_format: Format, choices: Mapping[str, Any]
) -> list[tuple[str, Written]]:
    """Return files with the stems of their names."""
    if file_format.holds_many:
        return [(STEM_OF_MANY, file_format.write(recordings, **choices))]
    # File systems that ignore case are common.
    count = Counter(folder_name(recording.name).casefold() for recording in recordings)
    written: dict[str, tuple[str, Written]] = {}
    for recording in recordings:
        plain, own = file_stems(recording.name, recording.sha256)
        stems = (plain, own) if count[plain.casefold()] == 1 else (own,)
        # The last is longer than any name that `folder_name` returns, and so always free.
        stems = (*stems, f"{own}-{recording.sha256}")
        stem = next(stem for stem in stems if stem.casefold() not in written)
        written[stem.casefold()] = stem, file_format.write([recording], **choices)
    return list(written.values())


def file_stems(name: str, sha256: str) -> tuple[str, str]:
    """Return the stem of a recording's file if its name is unique, and the stem if it is not."""
    stem = folder_name(name)
    # Short enough for `folder_name` to leave it unchanged when it is read again.
    return stem, f"{stem[:40]}-{sha256[:8]}"
