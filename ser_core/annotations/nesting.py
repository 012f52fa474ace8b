"""Parents and children of tiers: how an edit of a word changes its phones.

The parent of a mark is the mark of the same annotator in the parent tier that contains its middle. When a parent moves,
its children move with it. When one of its edges moves, children's edges at the same time follow, and other children are
cut there. A child whose parent is gone is deleted.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from ser_core.analysis import Region
from ser_core.annotations.annotation import Annotation, Tier, region_or_point

#: Edges closer than this are the same, because tools round times.
SAME_S = 0.0005


@dataclass(frozen=True)
class NestedEdit:
    """An edit with the changes that it causes in other marks.

    Attributes
    ----------
    change, add, delete : tuple of Annotation
        As `Store.marks.edit` takes them.
    gone : tuple of Annotation
        Those of `delete` that are deleted only because no parent contains them any longer.
    """

    change: tuple[Annotation, ...]
    add: tuple[Annotation, ...]
    delete: tuple[Annotation, ...]
    gone: tuple[Annotation, ...]


def nested_edit(
    marks: Iterable[Annotation],
    tiers: Sequence[Tier],
    change: Sequence[Annotation] = (),
    add: Sequence[Annotation] = (),
    delete: Sequence[Annotation] = (),
) -> NestedEdit:
    """Return an edit cut to the tiers above, with the changes that it causes in the tiers below.

    Parameters
    ----------
    marks : iterable of Annotation
        All marks in the recording, with their keys.
    change, add, delete : sequence of Annotation
    """
    parent_of = {tier.key: tier.parent for tier in tiers}
    before = {mark.key: mark for mark in marks}
    parents_before = _RegionsByTier(before.values)
    after = before | {mark.key: _within(mark, parent_of, parents_before) for mark in change}
    for mark in delete:
        after.pop(mark.key, None)
    new = tuple(_within(mark, parent_of, parents_before) for mark in add)
    moved_parents = [before[mark.key] for mark in (*change, *delete) if mark.key in before]
    edited_keys = {mark.key for mark in (*change, *delete)}
    children_of, parents_after = _Children(before.values(), parent_of), _RegionsByTier(lambda: (*after.values(), *new))
    while moved_parents:
        parent = moved_parents.pop()
        children = children_of(parent)
        parents = parents_after.of(parent.tier, parent) if children else None
        for child in children:
            if child.key in edited_keys or after.get(child.key) != child:
                continue
            region = _follow_parent(child.region, parent.region, after.get(parent.key), parents)
            if region is None:
                del after[child.key]
            else:
                after[child.key] = replace(child, region=region)
            if region != child.region:
                parents_after.forget(child.tier)
                moved_parents.append(child)
    deleted = {mark.key for mark in delete}
    gone = tuple(mark for key, mark in before.items() if key not in after and key not in deleted)
    changed = tuple(after[mark.key] for mark in change if mark.key in after)
    followed = tuple(mark for key, mark in after.items() if key not in edited_keys and mark != before[key])
    return NestedEdit((*changed, *followed), new, (*delete, *gone), gone)


class _Regions:
    """Sorted regions, which finds those that contain the middle of another region without checking all."""

    def __init__(self, regions: Iterable[Region]) -> None:
        self._sorted = sorted(enumerate(regions), key=lambda numbered: numbered[1].start_s)
        self._starts = [region.start_s for _, region in self._sorted]
        self._latest_ends = list(accumulate((region.end_s for _, region in self._sorted), max))

    def containing(self, region: Region) -> list[Region]:
        """Return the regions that contain the middle of this one."""
        middle_s, found = _middle_s(region), []
        index = bisect_right(self._starts, middle_s)
        while index and self._latest_ends[index - 1] >= middle_s:
            index -= 1
            if self._sorted[index][1].end_s >= middle_s:
                found.append(self._sorted[index])
        return [each for _, each in sorted(found, key=lambda numbered: numbered[0])]


class _RegionsByTier:
    """The regions of each tier and annotator, sorted when they are first needed."""

    def __init__(self, marks: Callable[[], Iterable[Annotation]]) -> None:
        self._marks = marks
        self._known: dict[tuple[str | None, str], _Regions] = {}

    def of(self, tier: str | None, mark: Annotation) -> _Regions:
        """Return the regions of a tier that are by the annotator of a mark."""
        key = tier, mark.annotator
        if key not in self._known:
            in_tier = (other for other in self._marks() if other.tier == tier)
            self._known[key] = _Regions(other.region for other in in_tier if _same_annotator(other, mark))
        return self._known[key]

    def forget(self, tier: str) -> None:
        """Forget the regions of a tier after a change in it."""
        for key in [key for key in self._known if key[0] == tier]:
            del self._known[key]


class _Children:
    """Finds the marks that a mark contains, in the tiers below its own."""

    def __init__(self, marks: Iterable[Annotation], parent_of: dict[str, str | None]) -> None:
        self._below: dict[str | None, list[tuple[float, int, Annotation]]] = defaultdict(list)
        for number, mark in enumerate(marks):
            self._below[parent_of.get(mark.tier)].append((_middle_s(mark.region), number, mark))
        for below in self._below.values():
            below.sort(key=lambda child: child[:2])

    def __call__(self, parent: Annotation) -> list[Annotation]:
        below = self._below[parent.tier]
        first = bisect_left(below, parent.region.start_s, key=lambda child: child[0])
        end = bisect_right(below, parent.region.end_s, key=lambda child: child[0])
        inside = sorted(below[first:end], key=lambda child: child[1])
        return [mark for _, _, mark in inside if _same_annotator(mark, parent)]


def _follow_parent(child: Region, before: Region, after: Annotation | None, parents: _Regions) -> Region | None:
    """Return the region of a child after a change of its parent; None if no parent contains it."""
    start_s, end_s = child.start_s, child.end_s
    # After a split another parent may contain it.
    if after is not None and all(parent == after.region for parent in parents.containing(child)):
        start_by_s, end_by_s = after.region.start_s - before.start_s, after.region.end_s - before.end_s
        if abs(start_by_s - end_by_s) < SAME_S:
            return _at(child, max(start_s + start_by_s, 0.0), end_s + start_by_s)
        start_s += start_by_s if abs(start_s - before.start_s) < SAME_S else 0.0
        end_s += end_by_s if abs(end_s - before.end_s) < SAME_S else 0.0
    if start_s > end_s or (start_s == end_s and child.start_s < child.end_s):
        return None
    return _cut(_at(child, start_s, end_s), parents)


def _cut(region: Region, parents: _Regions) -> Region | None:
    """Return a region cut to the first parent that contains its middle, or None if none does."""
    parent = next(iter(parents.containing(region)), None)
    if parent is None:
        return None
    return _at(region, max(region.start_s, parent.start_s), min(region.end_s, parent.end_s))


def _within(mark: Annotation, parent_of: dict[str, str | None], parents_before: _RegionsByTier) -> Annotation:
    """Return a mark cut to its parent; without a parent it stays as it is."""
    parents = parents_before.of(parent_of.get(mark.tier), mark)
    return replace(mark, region=_cut(mark.region, parents) or mark.region)


def _same_annotator(one: Annotation, other: Annotation) -> bool:
    """Whether two marks are by the same annotator; a mark that is not in the store yet may be by nobody."""
    return "" in (one.annotator, other.annotator) or one.annotator == other.annotator


def _middle_s(region: Region) -> float:
    return (region.start_s + region.end_s) / 2


def _at(region: Region, start_s: float, end_s: float) -> Region:
    return region_or_point(start_s, end_s, region.low_hz, region.high_hz)
