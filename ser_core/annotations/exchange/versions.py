"""Files that hold different versions of the same marks, such as a corrected file and the file it was made from.

Imported together, they would give a stretch two labels. So each file is compared with the project by itself. A file
without changes is an older version if another file changes the same marks. If both have changes, it is unknown which
one counts.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ser_core.annotations.annotation import AnnotatedRecording, Annotation
from ser_core.annotations.exchange.importing import ImportedFile
from ser_core.annotations.exchange.matching import is_rounded, merge_mark, same_content
from ser_core.annotations.exchange.merging import Difference
from ser_core.annotations.formats.format import counted
from ser_core.annotations.formats.values import quoted
from ser_core.annotations.store.transfer import Imported
from ser_core.errors import AnnotationsRefused

#: Kinds of differences that were made in the project, not in the file.
MADE_HERE = ("changed here", "deleted here")
#: Two files without keys hold the same marks if this share of the smaller one is in both.
MIN_SHARED = 0.5

Preview = Callable[[Sequence[AnnotatedRecording]], Imported]


@dataclass(frozen=True)
class Version:
    """The marks of a recording in one file.

    Attributes
    ----------
    index : int
        The index of the file.
    differences : tuple of Difference
        Between the file alone and the project.
    """

    index: int
    format_name: str
    documents: tuple[AnnotatedRecording, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def marks(self) -> list[Annotation]:
        return [mark for one in self.documents for mark in (*one.annotations, *one.left_out)]

    @property
    def marks_by_key(self) -> dict[str, Annotation]:
        """The marks by their keys; empty if the file has no keys."""
        return {mark.key: mark for mark in self.marks if mark.key} if self.has_keys else {}

    @property
    def has_keys(self) -> bool:
        return all(one.exported_keys is not None for one in self.documents)

    @property
    def has_changes(self) -> bool:
        """Whether the file differs from the project in anything that was not changed in the project."""
        return any(difference.kind not in MADE_HERE for difference in self.differences)


def without_older_versions(files: Sequence[ImportedFile], preview: Preview) -> list[ImportedFile]:
    """Return the files without older versions of marks that another file has; `dropped` names them.

    Parameters
    ----------
    files : sequence of ImportedFile
        Assigned to their recordings (`assigning.assign_to_recordings`).
    preview : callable
        `preview(documents)` returns the result that importing them would have.

    Raises
    ------
    AnnotationsRefused
        If two files have different versions of the same marks, and neither is known to be the older one.
    """
    newer_file: dict[tuple[int, str], int] = {}
    for sha256, versions in _versions_by_recording(files, preview).items():
        for one, other in combinations(versions, 2):
            is_replaced = (one.index, sha256) in newer_file or (other.index, sha256) in newer_file
            if is_replaced or not _hold_different_versions(one, other):
                continue
            old, new = _in_order_of_age(one, other, files)
            newer_file[old.index, sha256] = new.index
    return [_without_replaced(file, index, files, newer_file) for index, file in enumerate(files)]


def _versions_by_recording(files: Sequence[ImportedFile], preview: Preview) -> dict[str, list[Version]]:
    """Return the versions of each recording that is in several files, by SHA-256 of the recording."""
    documents_by_file: dict[str, dict[int, list[AnnotatedRecording]]] = defaultdict(lambda: defaultdict(list))
    for index, file in enumerate(files):
        for document in file.documents:
            if document.sha256 is not None and (document.annotations or document.exported_keys):
                documents_by_file[document.sha256][index].append(document)
    versions = {
        sha256: [Version(index, files[index].format_name, tuple(documents)) for index, documents in by_file.items()]
        for sha256, by_file in documents_by_file.items()
        if len(by_file) > 1
    }
    # A preview compares one file of each recording at a time.
    for rank in range(max(map(len, versions.values()), default=0)):
        previewed = {sha256: ranked[rank] for sha256, ranked in versions.items() if rank < len(ranked)}
        documents = [document for version in previewed.values() for document in version.documents]
        differences: dict[str, list[Difference]] = defaultdict(list)
        for found in preview(documents).differences:
            differences[found.sha256].append(found.difference)
        for sha256, version in previewed.items():
            versions[sha256][rank] = replace(version, differences=tuple(differences[sha256]))
    return versions


def _hold_different_versions(one: Version, other: Version) -> bool:
    """Return whether two files hold different versions of the same mark."""
    return any(_differing_keys(one, other)) or _changes_mark_of(one, other) or _changes_mark_of(other, one)


def _differing_keys(one: Version, other: Version) -> Iterator[str]:
    other_marks = other.marks_by_key
    for key, mark in one.marks_by_key.items():
        if key in other_marks and not _agree(mark, other_marks[key], one.format_name == other.format_name):
            yield key


def _agree(mark: Annotation, other: Annotation, is_exact: bool) -> bool:
    """Return whether two marks are equal except for rounding and, if not exact, for what a format cannot hold."""
    return same_content(merge_mark(mark, other, is_exact), mark) or same_content(
        merge_mark(other, mark, is_exact), other
    )


def _changes_mark_of(one: Version, other: Version) -> bool:
    """Return whether one file changes or lacks a mark of which the other one has another version."""
    changed_by_other = {each.before.key: each.after for each in other.differences if each.before is not None}
    holds = _membership_test(other)
    is_mostly_shared = one.format_name == other.format_name and _have_most_marks_in_common(one, other)
    for each in one.differences:
        # A file without keys lacks marks if it is one part of several, or if its format cannot hold them.
        lacks_mark = each.kind == "deleted" and not (one.has_keys or is_mostly_shared)
        if each.before is None or lacks_mark:
            continue
        key = each.before.key
        is_in_other = key in changed_by_other or holds(each.before)
        if is_in_other and not _is_same(each.after, changed_by_other.get(key, each.before)):
            return True
    return is_mostly_shared and _relabels(one, other)


def _is_same(one: Annotation | None, other: Annotation | None) -> bool:
    if one is None or other is None:
        return one is other
    return same_content(one, other)


def _have_most_marks_in_common(one: Version, other: Version) -> bool:
    """Return whether most marks of the smaller file are in both."""
    contents = [{(*_stretch(mark), *_label(mark)) for mark in version.marks} for version in (one, other)]
    smaller, larger = sorted(contents, key=len)
    return len(smaller & larger) >= MIN_SHARED * len(smaller)


def _relabels(one: Version, other: Version) -> bool:
    """Return whether two files have new marks of the same stretch with different labels."""
    label_sets = defaultdict(set)
    for version in (one, other):
        labels_of_stretch = defaultdict(set)
        for each in version.differences:
            if each.kind == "new":
                labels_of_stretch[_stretch(each.after)].add(_label(each.after))
        for stretch, labels in labels_of_stretch.items():
            label_sets[stretch].add(frozenset(labels))
    return any(len(sets) > 1 for sets in label_sets.values())


def _stretch(mark: Annotation) -> tuple[object, ...]:
    return mark.annotator, mark.tier, round(mark.region.start_s, 2), round(mark.region.end_s, 2)


def _label(mark: Annotation) -> tuple[object, ...]:
    return mark.emotion, mark.note


def _membership_test(version: Version) -> Callable[[Annotation], bool]:
    """Return a function that tells whether a file has a mark of the project, by its key or by its content."""
    keys, by_start = version.marks_by_key, defaultdict(list)
    for mark in version.marks:
        by_start[round(mark.region.start_s * 100)].append(mark)

    def holds(mark: Annotation) -> bool:
        if mark.key in keys:
            return True
        centisecond = round(mark.region.start_s * 100)
        candidates = [each for start in range(centisecond - 1, centisecond + 2) for each in by_start[start]]
        return any(_is_rounded_copy(each, mark) for each in candidates)

    return holds


def _is_rounded_copy(in_file: Annotation, mark: Annotation) -> bool:
    """Return whether a mark of a file equals one of the project except for rounding."""
    if in_file.annotator not in ("", mark.annotator) or not is_rounded(mark.region, in_file.region):
        return False
    # The tiers of a file may have other keys than those of the project.
    copy = replace(in_file, annotator=mark.annotator, tier=mark.tier)
    return same_content(merge_mark(mark, copy, False), mark)


def _in_order_of_age(one: Version, other: Version, files: Sequence[ImportedFile]) -> tuple[Version, Version]:
    """Return the older version and the newer one, or refuse both."""
    if one.has_changes != other.has_changes:
        return (other, one) if one.has_changes else (one, other)
    for old, new in ((one, other), (other, one)):
        old_marks, new_marks = old.marks_by_key, new.marks_by_key
        differing = list(_differing_keys(old, new))
        if differing and all((old_marks[key].revision or 0) < (new_marks[key].revision or 0) for key in differing):
            return old, new
        if not one.has_changes and len(old.differences) > len(new.differences):
            return old, new
    first, second, name = files[one.index].name, files[other.index].name, one.documents[0].name
    raise AnnotationsRefused(
        f"{first} and {second} have different versions of the same marks of {quoted(name)}, and neither is known to be "
        "the older one. Import the one that counts, or one after the other."
    )


def _without_replaced(
    file: ImportedFile, index: int, files: Sequence[ImportedFile], newer_file: dict[tuple[int, str], int]
) -> ImportedFile:
    """Return a file without its marks of recordings for which another file has a newer version."""
    used, dropped = [], []
    for document in file.documents:
        newer = newer_file.get((index, document.sha256))
        if newer is None:
            used.append(document)
        else:
            name, marks = files[newer].name, counted(len(document.annotations), "mark")
            dropped.append(f"{marks} of {quoted(document.name)}, an older version of those in {name}")
    if not dropped:
        return file
    return replace(file, documents=tuple(used), dropped=(*file.dropped, *dropped))
