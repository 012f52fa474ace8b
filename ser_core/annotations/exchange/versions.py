"""Several files with the same marks of one recording, as a corrected file beside the one that it was made from.

Read together they would give a stretch two labels. Each file is compared with the project by itself: one that brings
nothing, beside another that changes what it has, is an older version. Where both bring something nobody can know which
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
from ser_core.annotations.formats.values import shown
from ser_core.annotations.store.transfer import Imported
from ser_core.errors import AnnotationsRefused

#: Differences that say of a file that it is old, and not that somebody changed it.
DONE_HERE = ("changed here", "deleted here")
#: Two files without keys have the same marks if this share of the shorter one is in both.
LEAST_SHARED = 0.5

Shows = Callable[[Sequence[AnnotatedRecording]], Imported]


@dataclass(frozen=True)
class Version:
    """What a file says of a recording.

    Attributes
    ----------
    index : int
        Of the file.
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
    def keyed(self) -> dict[str, Annotation]:
        """The marks by the keys that the file has, empty if it has none."""
        return {mark.key: mark for mark in self.marks if mark.key} if self.knows_keys else {}

    @property
    def knows_keys(self) -> bool:
        return all(one.exported_keys is not None for one in self.documents)

    @property
    def brings(self) -> bool:
        """Return whether it has anything that nobody did here."""
        return any(each.kind not in DONE_HERE for each in self.differences)


def without_older_versions(files: Sequence[ImportedFile], shows: Shows) -> list[ImportedFile]:
    """Return files without what is an older version of the marks of another one; they say so among what they drop.

    Parameters
    ----------
    files : sequence of ImportedFile
        As of their recordings (`assigning.assign_to_recordings`).
    shows : callable
        `shows(documents)` returns what an import of them would do.

    Raises
    ------
    AnnotationsRefused
        If two files have different versions of the same marks, and neither is known to be the older one.
    """
    older: dict[tuple[int, str], int] = {}
    for sha256, versions in _compared(files, shows).items():
        for one, other in combinations(versions, 2):
            if {(one.index, sha256), (other.index, sha256)} & older.keys() or not _differ(one, other):
                continue
            old, new = _in_order_of_age(one, other, files)
            older[old.index, sha256] = new.index
    return [_without(file, index, files, older) for index, file in enumerate(files)]


def _compared(files: Sequence[ImportedFile], shows: Shows) -> dict[str, list[Version]]:
    """Return, by their recording, what each file says of it, for recordings of which several files say something."""
    said: dict[str, dict[int, list[AnnotatedRecording]]] = defaultdict(lambda: defaultdict(list))
    for index, file in enumerate(files):
        for document in file.documents:
            if document.sha256 is not None and (document.annotations or document.exported_keys):
                said[document.sha256][index].append(document)
    several = {
        sha256: [Version(index, files[index].format_name, tuple(some)) for index, some in by_file.items()]
        for sha256, by_file in said.items()
        if len(by_file) > 1
    }
    for turn in range(max(map(len, several.values()), default=0)):  # one file of each recording at a time
        these = {sha256: versions[turn] for sha256, versions in several.items() if turn < len(versions)}
        found: dict[str, list[Difference]] = defaultdict(list)
        for each in shows([document for version in these.values() for document in version.documents]).differences:
            found[each.sha256].append(each.difference)
        for sha256, version in these.items():
            several[sha256][turn] = replace(version, differences=tuple(found[sha256]))
    return several


def _differ(one: Version, other: Version) -> bool:
    """Return whether two files have the same mark in different versions."""
    return any(_differing_keys(one, other)) or any(_has_another(*pair) for pair in ((one, other), (other, one)))


def _differing_keys(one: Version, other: Version) -> Iterator[str]:
    theirs = other.keyed
    for key, mark in one.keyed.items():
        if key in theirs and not _agree(mark, theirs[key], one.format_name == other.format_name):
            yield key


def _agree(mark: Annotation, other: Annotation, is_exact: bool) -> bool:
    """Return whether two marks are equal except for rounding and, if not exact, for what a format cannot hold."""
    return same_content(merge_mark(mark, other, is_exact), mark) or same_content(
        merge_mark(other, mark, is_exact), other
    )


def _has_another(one: Version, other: Version) -> bool:
    """Return whether one file changes or lacks a mark that the other one has in another version."""
    theirs = {each.before.key: each.after for each in other.differences if each.before is not None}
    holds, share_most = _holder(other), one.format_name == other.format_name and _share_most(one, other)
    for each in one.differences:
        # Of files without keys, parts of one lack what the others have, and other formats what they cannot hold.
        if each.before is None or (each.kind == "deleted" and not (one.knows_keys or share_most)):
            continue
        key = each.before.key
        if (key in theirs or holds(each.before)) and not _is_same(each.after, theirs.get(key, each.before)):
            return True
    return share_most and _relabels(one, other)


def _is_same(one: Annotation | None, other: Annotation | None) -> bool:
    return one is other if one is None or other is None else same_content(one, other)


def _share_most(one: Version, other: Version) -> bool:
    (less, more) = sorted(({(*_stretch(mark), *_label(mark)) for mark in each.marks} for each in (one, other)), key=len)
    return len(less & more) >= LEAST_SHARED * len(less)


def _relabels(one: Version, other: Version) -> bool:
    """Return whether some marks that are new in two files say something else of the same stretch."""
    labels = defaultdict(set)
    for version in (one, other):
        found = defaultdict(set)
        for each in version.differences:
            if each.kind == "new":
                found[_stretch(each.after)].add(_label(each.after))
        for stretch, said in found.items():
            labels[stretch].add(frozenset(said))
    return any(len(several) > 1 for several in labels.values())


def _stretch(mark: Annotation) -> tuple[object, ...]:
    return mark.annotator, mark.tier, round(mark.region.start_s, 2), round(mark.region.end_s, 2)


def _label(mark: Annotation) -> tuple[object, ...]:
    return mark.emotion, mark.note


def _holder(version: Version) -> Callable[[Annotation], bool]:
    """Return what says whether a file has a mark as it is here, by its key or by what it says."""
    keys, near = version.keyed, defaultdict(list)
    for mark in version.marks:
        near[round(mark.region.start_s * 100)].append(mark)

    def holds(mark: Annotation) -> bool:
        at = round(mark.region.start_s * 100)
        return mark.key in keys or any(
            is_rounded(mark.region, each.region)
            and each.annotator in ("", mark.annotator)
            # The tiers of a file may have other keys than those of the project.
            and same_content(merge_mark(mark, replace(each, annotator=mark.annotator, tier=mark.tier), False), mark)
            for here in (at - 1, at, at + 1)
            for each in near[here]
        )

    return holds


def _in_order_of_age(one: Version, other: Version, files: Sequence[ImportedFile]) -> tuple[Version, Version]:
    """Return the older version and the newer one, or refuse both."""
    if one.brings != other.brings:
        return (other, one) if one.brings else (one, other)
    for old, new in ((one, other), (other, one)):
        keys, theirs = old.keyed, new.keyed
        differing = list(_differing_keys(old, new))
        if differing and all((keys[key].revision or 0) < (theirs[key].revision or 0) for key in differing):
            return old, new
        if not one.brings and len(old.differences) > len(new.differences):
            return old, new
    first, second, name = files[one.index].name, files[other.index].name, one.documents[0].name
    raise AnnotationsRefused(
        f"{first} and {second} have different versions of the same marks of {shown(name)}, and neither is known to be "
        "the older one. Import the one that counts, or one after the other."
    )


def _without(
    file: ImportedFile, index: int, files: Sequence[ImportedFile], older: dict[tuple[int, str], int]
) -> ImportedFile:
    used, dropped = [], []
    for document in file.documents:
        newer = older.get((index, document.sha256))
        if newer is None:
            used.append(document)
        else:
            name, marks = files[newer].name, counted(len(document.annotations), "mark")
            dropped.append(f"{marks} of {shown(document.name)}, an older version of those in {name}")
    return replace(file, documents=tuple(used), dropped=(*file.dropped, *dropped)) if dropped else file
