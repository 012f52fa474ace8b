"""The report of an import, in lines for people and as JSON for programs."""

from collections.abc import Iterable, Sequence
from typing import Any

from ser_core.annotations.annotation import RECORDING_TIER, Annotation
from ser_core.annotations.exchange.importing import ImportedFile
from ser_core.annotations.exchange.labels import LabelUse
from ser_core.annotations.formats.fields import fields_of
from ser_core.annotations.formats.format import counted
from ser_core.annotations.formats.values import quoted
from ser_core.annotations.store.transfer import Imported, RecordingDifference

MAX_LISTED_TIERS = 12
UNSURE = "it was changed here too; it is unknown whether before the export or after it"
COUNTS = (
    *("recordings", "added", "known", "left_out", "changed", "moved", "deleted", "restored"),
    *("f0_frames", "f0_left_out", "participants", "participants_left_out", "about", "about_left_out"),
)


def import_report(files: Iterable[ImportedFile], labels: Iterable[LabelUse], imported: Imported, mode: str) -> dict:
    """Return an import as a JSON object: files, labels, counts and differences."""
    return {
        "mode": mode,
        "files": [_file(file) for file in files],
        "labels": [
            {"tier": use.tier, "label": use.label, "count": use.count, "emotion": use.emotion, "kind": use.kind}
            for use in labels
        ],
        "counts": {name: getattr(imported, name) for name in COUNTS},
        "new_tiers": [tier.name for tier in imported.new_tiers],
        "differences": [
            {
                "recording": each.recording,
                "kind": each.difference.kind,
                "unsure": each.difference.unsure,
                "before": _fields(each.difference.before),
                "after": _fields(each.difference.after),
            }
            for each in imported.differences
        ],
    }


def _file(file: ImportedFile) -> dict[str, Any]:
    return {
        "file": file.name,
        "format": file.format_name,
        "recordings": [{"name": document.name, "sha256": document.sha256} for document in file.documents],
        "tiers": [
            {"name": tier.name, "labels": tier.labels, "empty": tier.empty, "points": tier.points}
            for tier in file.tiers
        ],
        "marks": count_marks(file),
        "changed": list(file.changed),
        "dropped": list(file.dropped),
    }


def _fields(mark: Annotation | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return fields_of(mark) | {"changed_at": mark.changed_at.isoformat() if mark.changed_at else None}


def count_marks(file: ImportedFile) -> int:
    """Return the number of marks that were read from a file."""
    return sum(len(document.annotations) for document in file.documents)


def tiers_in_words(file: ImportedFile) -> str:
    """Return the tiers of a file with their labels or points."""
    tiers = ", ".join(
        f"{quoted(tier.name)} {counted(tier.labels, 'point' if tier.points else 'label')}"
        for tier in file.tiers[:MAX_LISTED_TIERS]
    )
    return tiers + (f" and {len(file.tiers) - MAX_LISTED_TIERS} more" if len(file.tiers) > MAX_LISTED_TIERS else "")


def file_line(file: ImportedFile) -> str:
    """Return the format, tiers and number of marks of a file as a line."""
    tiers = f", {counted(len(file.tiers), 'tier')} ({tiers_in_words(file)})" if file.tiers else ""
    return f"{file.name}: {file.format_name}{tiers}, {counted(count_marks(file), 'mark')} read"


def difference_rows(differences: Sequence[RecordingDifference]) -> list[dict[str, str]]:
    """Return the differences between files and project as rows of a table, new marks last."""
    return [
        {
            "Recording": each.recording,
            "Change": each.difference.kind,
            "Tier": " -> ".join(
                dict.fromkeys(_annotator_and_tier(mark) for mark in (before, after) if mark is not None)
            ),
            "Here": _content(before),
            "In the files": _content(after),
        }
        for each in _in_order(differences)
        for before, after in [(each.difference.before, each.difference.after)]
    ]


def difference_lines(differences: Sequence[RecordingDifference]) -> list[str]:
    """Return the differences between files and project as lines, new marks last."""
    lines = []
    for each in _in_order(differences):
        kind, before, after = each.difference.kind, _mark(each.difference.before), _mark(each.difference.after)
        marks = " -> ".join(words for words in (before, after) if words)
        if kind in ("conflict", "changed here"):
            marks = f"{before or 'another one'} here, {after or 'deleted'} in the file"
        unsure = f"; {UNSURE}" if each.difference.unsure else ""
        lines.append(f"{each.recording}: {kind}: {marks}{unsure}")
    return lines


def _in_order(differences: Sequence[RecordingDifference]) -> list[RecordingDifference]:
    return sorted(differences, key=lambda each: each.difference.kind == "new")


def _mark(mark: Annotation | None) -> str:
    if mark is None:
        return ""
    return f"{_annotator_and_tier(mark)}{', ' if mark.tier == RECORDING_TIER else ' '}{_content(mark)}"


def _annotator_and_tier(mark: Annotation) -> str:
    return f"{mark.annotator}, {mark.tier}"


def _content(mark: Annotation | None) -> str:
    if mark is None:
        return ""
    what = mark.emotion or (quoted(mark.note) if mark.note else "no label")
    what = what if mark.intensity is None else f"{what} (intensity {mark.intensity})"
    if mark.tier == RECORDING_TIER:
        return what
    return f"{mark.region.start_s:.3f} to {mark.region.end_s:.3f} s, {what}"


def other_lines(imported: Imported) -> list[str]:
    """Return lines about participants, speakers, sessions and corrected F0, if the files contain any."""
    kinds = (
        ("Participants", imported.participants, "tier", imported.participants_left_out),
        ("Speakers and sessions", imported.about, "recording", imported.about_left_out),
        ("Corrected F0", imported.f0_frames, "frame", imported.f0_left_out),
    )
    return [
        f"{what} as in the files: {counted(taken, noun)}; otherwise here, and left so: {left}."
        for what, taken, noun, left in kinds
        if taken or left
    ]
