"""Export of a project's marks to files of other tools."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

from ser_core.annotations.annotation import MAX_TEXT_LENGTH, AnnotatedRecording, valid_mark
from ser_core.annotations.exchange.emu_database import database_of
from ser_core.annotations.formats import FORMATS, OTHERS
from ser_core.annotations.formats.format import Format, Written, counted, lost_tier_fields, sum_losses
from ser_core.annotations.formats.layers import with_names_as_keys
from ser_core.annotations.formats.values import quoted
from ser_core.errors import AnnotationsRefused, SerError
from ser_core.work.atomic_folder import folder_name

#: The formats by the names that commands and pages use.
EXPORT_FORMATS = {"json" if key == "own" else key: file_format for key, file_format in FORMATS.items()} | {
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
    sounds : mapping of str to str
        Names of WAV files that belong to them, with the SHA-256 of the recordings.
    """

    files: dict[str, bytes]
    dropped: tuple[str, ...]
    without_marks: int
    unfit: tuple[str, ...] = ()
    sounds: Mapping[str, str] = field(default_factory=dict)


def export_recordings(
    recordings: Iterable[AnnotatedRecording],
    file_format: Format,
    choices: Mapping[str, Any] | None = None,
    name: str = STEM_OF_MANY,
) -> Exported:
    """Return the marks of recordings as files: one file if the format holds several recordings, else one for each.

    A mark that is not valid does not block the export: it is cut or left out, and reported.

    Parameters
    ----------
    name : str
        Of the database that EMU-SDMS has in place of single files.
    choices : mapping, optional
        Those of the format's `write`.
    """
    unfit: list[str] = []
    valid = [valid_recording(recording, unfit) for recording in recordings]
    corrected = sum(bool(recording.f0.frames) for recording in valid)
    lost: tuple[str, ...] = ()
    if corrected and file_format is not FORMATS["own"]:
        lost = (f"F0 that was corrected by hand, in {counted(corrected, 'recording')}",)
    if file_format not in (FORMATS["own"], OTHERS["emu"]):
        speakers, sessions = (sum(bool(getattr(one, what)) for one in valid) for what in ("speaker", "session"))
        lost += (f"the speaker of {counted(speakers, 'recording')}",) if speakers else ()
        lost += (f"the session of {counted(sessions, 'recording')}",) if sessions else ()
    if not file_format.holds_tiers and valid:
        lost += _lost_tiers(valid, file_format)
        valid = [with_names_as_keys(recording) for recording in valid]
    if file_format is OTHERS["emu"]:
        bundles = stems_of(valid, has_spaces=False)
        files, sounds, dropped = database_of(valid, bundles, name, **(choices or {}))
        return Exported(files, (*dropped, *lost), 0, tuple(unfit), sounds)
    written = _write_files(valid, file_format, choices or {})
    # A file without labels would look like any other empty file.
    files = {f"{stem}{file_format.endings[0]}": each.content for stem, each in written if each.content}
    without = len(written) - len(files)
    if file_format.companion_files is not None:
        files |= file_format.companion_files(valid)
    return Exported(files, (*sum_losses(each for _, each in written), *lost), without, tuple(unfit))


def _lost_tiers(recordings: Sequence[AnnotatedRecording], file_format: Format) -> tuple[str, ...]:
    """Return, in words, the properties of tiers that a format loses if it has only their names."""
    # If recordings share a tier, the one with a participant comes last and is used.
    tiers = sorted((tier for each in recordings for tier in each.tiers), key=lambda tier: bool(tier.participant))
    by_key = {tier.key: tier for tier in recordings[0].tiers} | {tier.key: tier for tier in tiers}
    marks = tuple(mark for each in recordings for mark in each.annotations)
    people = () if file_format is OTHERS["rttm"] else ("participant",)
    everything = replace(recordings[0], annotations=marks, tiers=tuple(by_key.values()))
    return lost_tier_fields(everything, "empty", "labels", "parent", "colour", *people)


def choices_of(file_format: Format) -> set[str]:
    """Return the names of the choices that a format offers for writing."""
    return set(list(signature(file_format.write).parameters)[1:])


def valid_recording(recording: AnnotatedRecording, unfit: list[str]) -> AnnotatedRecording:
    """Return a recording with valid marks only; add to the list, in words, which marks were cut or left out."""
    marks = []
    for number, mark in enumerate(recording.annotations, start=1):
        location = f"{quoted(recording.name)}, mark {number} of {quoted(mark.annotator)}"
        try:
            marks.append(valid_mark(mark, recording.duration_s))
            continue
        except AnnotationsRefused as refusal:
            reason = refusal
        try:
            region = replace(mark.region, end_s=min(mark.region.end_s, recording.duration_s))
            marks.append(
                valid_mark(replace(mark, region=region, note=mark.note[:MAX_TEXT_LENGTH]), recording.duration_s)
            )
            unfit.append(f"{location}: cut to what is possible. {reason}")
        except SerError:
            unfit.append(f"{location}: left out. {reason}")
    return replace(recording, annotations=tuple(marks))


def _write_files(
    recordings: Sequence[AnnotatedRecording], file_format: Format, choices: Mapping[str, Any]
) -> list[tuple[str, Written]]:
    """Return files with the stems of their names."""
    if file_format is OTHERS["rttm"]:  # which identifies recordings by their names alone
        stems = stems_of(recordings, has_spaces=False)
        recordings = [replace(each, name=stem) for each, stem in zip(recordings, stems, strict=True)]
    if file_format.holds_many:
        return [(STEM_OF_MANY, file_format.write(recordings, **choices))]
    stems = stems_of(recordings)
    return [
        (stem, file_format.write([recording], **choices)) for stem, recording in zip(stems, recordings, strict=True)
    ]


def stems_of(recordings: Sequence[AnnotatedRecording], has_spaces: bool = True) -> list[str]:
    """Return a stem for each recording; they differ even if case is ignored, as many file systems do."""
    both = [file_stems(recording.name, recording.sha256) for recording in recordings]
    if not has_spaces:
        both = [("_".join(plain.split()), "_".join(own.split())) for plain, own in both]
    count = Counter(plain.casefold() for plain, _ in both)
    taken: dict[str, str] = {}
    for recording, (plain, own) in zip(recordings, both, strict=True):
        stems = (plain, own) if count[plain.casefold()] == 1 else (own,)
        # The last is longer than any name that `folder_name` returns, and so always free.
        stems = (*stems, f"{own}-{recording.sha256}")
        stem = next(stem for stem in stems if stem.casefold() not in taken)
        taken[stem.casefold()] = stem
    return list(taken.values())


def known_stems(name: str, sha256: str) -> set[str]:
    """Return the stems by which a file without a SHA-256 names a recording; EMU and RTTM have no spaces in names."""
    return {written for stem in file_stems(name, sha256) for written in (stem, "_".join(stem.split()))}


def file_stems(name: str, sha256: str) -> tuple[str, str]:
    """Return two stems for a recording's file: one for a unique name, and one for a name that others have too."""
    stem = folder_name(name)
    # Short enough for `folder_name` to leave it unchanged when it is read again.
    return stem, f"{stem[:40]}-{sha256[:8]}"
