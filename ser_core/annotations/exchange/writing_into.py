"""Write marks into an existing TextGrid or EAF; nothing else in it changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.exchange.assigning import assign_to_recordings
from ser_core.annotations.exchange.exporting import valid_recording
from ser_core.annotations.exchange.importing import ImportOptions, read_files
from ser_core.annotations.exchange.labels import LabelRules, map_labels
from ser_core.annotations.formats import READERS, elan_into, format_key, textgrid_into
from ser_core.annotations.formats.format import UpdatedFile, counted
from ser_core.annotations.formats.layers import layers_of
from ser_core.annotations.formats.values import quoted
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.errors import AnnotationsRefused

WRITERS: dict[str, Callable[..., UpdatedFile]] = {"textgrid": textgrid_into.write_into, "elan": elan_into.write_into}


@dataclass(frozen=True)
class WrittenInto:
    """A file into which tiers were written.

    Attributes
    ----------
    recording : str
        The recording whose marks they are.
    unchanged : tuple of str
        Tiers that were not written, because all of their marks are in the file.
    gone : int
        Marks that the file had in replaced tiers, and that the project does not have.
    unfit : tuple of str
        As of `Exported`.
    """

    into: UpdatedFile
    recording: str
    unchanged: tuple[str, ...]
    gone: int
    unfit: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return what was written and what was not, as sentences."""
        lines = []
        if self.into.added:
            lines.append(f"Added to it: {_names(self.into.added)}.")
        if self.into.replaced:
            lines.append(f"Replaced: {_names(self.into.replaced)}.")
        if self.unchanged:
            lines.append(f"Unchanged, because all their marks are in the file: {_names(self.unchanged)}.")
        if not lines:
            lines.append(f"Nothing was added to it: the project has no marks of {quoted(self.recording)} to write.")
        if self.gone:
            marks = counted(self.gone, "mark")
            lines.append(
                f"Removed from it: {marks} of replaced tiers that the project does not have. Import them first."
            )
        lines += [f"Not in the file: {words}." for words in self.into.dropped]
        return lines + [f"Not as it is stored: {words.rstrip('.')}." for words in self.unfit]


def write_into_file(
    content: bytes,
    name: str,
    known: Sequence[RecordingFile],
    export: Callable[[str], AnnotatedRecording],
    plain: bool = False,
) -> WrittenInto:
    """Write the tiers of a recording into a file; they replace tiers of the same name.

    Parameters
    ----------
    name : str
        Of the file; it identifies the recording if the file has no SHA-256.
    known : sequence of RecordingFile
        Those of the project.
    export : callable
        Returns the recording of a SHA-256 with its marks.

    Raises
    ------
    AnnotationsRefused
        If the file has another format, is damaged, or belongs to no recording of the project.
    """
    key = format_key(content)
    if key not in WRITERS:
        found = (
            "is empty" if not content.strip() else f"is a file of {READERS[key].name}" if key else "has no known format"
        )
        raise AnnotationsRefused(f"{name} {found}; marks are written into a TextGrid of Praat or an EAF of ELAN.")
    files, _ = map_labels(read_files([(name, content)], ImportOptions()), LabelRules())
    (file,) = assign_to_recordings(files, known, tolerance_s=ImportOptions().tolerance_s)
    (document,) = file.documents
    if document.sha256 not in {each.sha256 for each in known}:
        raise AnnotationsRefused(
            f"{name} belongs to {quoted(document.name)}, which is not in the project. Add it first."
        )
    unfit: list[str] = []
    recording = valid_recording(export(document.sha256), unfit)
    in_file = {_content(mark, mark.annotator) for mark in document.annotations}
    layers = [layer for layer in layers_of(recording) if layer.marks]
    # All layers of a tier together: another mark may have moved those that are there to other layers.
    new_tiers = {
        (layer.annotator, layer.tier.key)
        for layer in layers
        if not all(_has_mark(mark, in_file) for mark in layer.marks)
    }
    new = [layer for layer in layers if (layer.annotator, layer.tier.key) in new_tiers]
    unchanged = [layer for layer in layers if layer not in new]
    # Only a TextGrid may begin elsewhere than at 0.
    start = {"start_s": file.start_s} if file.start_s else {}
    into = WRITERS[key](content, name, recording, new, plain, **start)
    ours = {_content(mark, mark.annotator) for mark in recording.annotations}
    replaced = {(layer.annotator, layer.tier.key) for layer in layers if layer.name in into.replaced}
    removable = [mark for mark in document.annotations if (mark.annotator, mark.tier) in replaced]
    gone = sum(_content(mark, mark.annotator) not in ours for mark in removable)
    return WrittenInto(into, recording.name, tuple(layer.name for layer in unchanged), gone, tuple(unfit))


def _names(tiers: Sequence[str]) -> str:
    return ", ".join(map(quoted, tiers))


def _has_mark(mark: Annotation, in_file: set[tuple]) -> bool:
    """Whether a file has a mark, of this annotator or of nobody."""
    return _content(mark, mark.annotator) in in_file or _content(mark, "") in in_file


def _content(mark: Annotation, annotator: str) -> tuple:
    region = mark.region
    bounds = round(region.start_s, 3), round(region.end_s, 3), region.low_hz, region.high_hz
    fields = mark.emotion, mark.intensity, mark.note, mark.confidence, mark.status
    return annotator, mark.tier, mark.channel, *bounds, *fields
