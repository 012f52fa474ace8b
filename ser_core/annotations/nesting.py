"""Parents and children of tiers: what an edit of a word does to its phones.

A mark belongs to the mark, by the same annotator in the parent tier, that holds its middle. When a parent moves, its
children move along; when one of its edges moves, the children's edges that lay there follow, and others are cut at it;
what no parent holds any more goes with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ser_core.analysis import Region
from ser_core.annotations.annotation import Annotation, Tier, place_of

#: Edges that are closer than this are the same: tools round times.
SAME_S = 0.0005


@dataclass(frozen=True)
class Nested:
    """An edit with what follows from it.

    Attributes
    ----------
    change, add, delete : tuple of Annotation
        As `Store.edit` takes them.
    gone : tuple of Annotation
        Those of `delete` that go only because no parent holds them any more.
    """

    change: tuple[Annotation, ...]
    add: tuple[Annotation, ...]
    delete: tuple[Annotation, ...]
    gone: tuple[Annotation, ...]


def nested(
    marks: Iterable[Annotation],
    tiers: Sequence[Tier],
    change: Sequence[Annotation] = (),
    add: Sequence[Annotation] = (),
    delete: Sequence[Annotation] = (),
) -> Nested:
    """Return an edit with what it does in the tiers below, kept within the tiers above.

    Parameters
    ----------
    marks : iterable of Annotation
        All in the recording, with their keys.
    change, add, delete : sequence of Annotation
    """
    parent_of = {tier.key: tier.parent for tier in tiers}
    before = {mark.key: mark for mark in marks}
    after = before | {mark.key: _within(mark, parent_of, before.values()) for mark in change}
    for mark in delete:
        after.pop(mark.key, None)
    new = tuple(_within(mark, parent_of, before.values()) for mark in add)
    waiting = [before[mark.key] for mark in (*change, *delete) if mark.key in before]
    own = {mark.key for mark in (*change, *delete)}
    while waiting:
        parent = waiting.pop()
        kept = [
            mark.region for mark in (*after.values(), *new) if _same_owner(mark, parent) and mark.tier == parent.tier
        ]
        for child in _children(parent, before.values(), parent_of):
            if child.key in own or after.get(child.key) != child:
                continue
            region = _followed(child.region, parent.region, after.get(parent.key), kept)
            if region is None:
                del after[child.key]
            else:
                after[child.key] = replace(child, region=region)
            if region != child.region:
                waiting.append(child)
    deleted = {mark.key for mark in delete}
    gone = tuple(mark for key, mark in before.items() if key not in after and key not in deleted)
    changed = tuple(after[mark.key] for mark in change if mark.key in after)
    followed = tuple(mark for key, mark in after.items() if key not in own and mark != before[key])
    return Nested((*changed, *followed), new, (*delete, *gone), gone)


def _children(parent: Annotation, marks: Iterable[Annotation], parent_of: dict[str, str | None]) -> list[Annotation]:
    return [
        mark
        for mark in marks
        if parent_of.get(mark.tier) == parent.tier and _same_owner(mark, parent) and _holds(parent.region, mark.region)
    ]


def _followed(child: Region, before: Region, after: Annotation | None, parents: Sequence[Region]) -> Region | None:
    """Return where a child is once its parent is elsewhere or gone; None if no parent holds it."""
    start_s, end_s = child.start_s, child.end_s
    # After a split another parent may hold it.
    if after is not None and not any(_holds(parent, child) for parent in parents if parent != after.region):
        start_by_s, end_by_s = after.region.start_s - before.start_s, after.region.end_s - before.end_s
        if abs(start_by_s - end_by_s) < SAME_S:
            return _at(child, max(start_s + start_by_s, 0.0), end_s + start_by_s)
        start_s += start_by_s if abs(start_s - before.start_s) < SAME_S else 0.0
        end_s += end_by_s if abs(end_s - before.end_s) < SAME_S else 0.0
    if start_s > end_s or (start_s == end_s and child.start_s < child.end_s):
        return None
    return _cut(_at(child, start_s, end_s), parents)


def _cut(region: Region, parents: Iterable[Region]) -> Region | None:
    """Return a region cut to the parent that holds its middle, or None if none does."""
    home = next((parent for parent in parents if _holds(parent, region)), None)
    if home is None:
        return None
    return _at(region, max(region.start_s, home.start_s), min(region.end_s, home.end_s))


def _within(mark: Annotation, parent_of: dict[str, str | None], marks: Iterable[Annotation]) -> Annotation:
    """Return a mark cut to its parent; where it has none it stays as it is."""
    parents = [other.region for other in marks if other.tier == parent_of.get(mark.tier) and _same_owner(other, mark)]
    return replace(mark, region=_cut(mark.region, parents) or mark.region)


def _same_owner(one: Annotation, other: Annotation) -> bool:
    """Whether two marks are by the same annotator; a mark that is not in the store yet may have none."""
    return "" in (one.annotator, other.annotator) or one.annotator == other.annotator


def _holds(parent: Region, region: Region) -> bool:
    return parent.start_s <= (region.start_s + region.end_s) / 2 <= parent.end_s


def _at(region: Region, start_s: float, end_s: float) -> Region:
    return place_of(start_s, end_s, region.low_hz, region.high_hz)
