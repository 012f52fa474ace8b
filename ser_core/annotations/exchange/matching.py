"""Match the marks of a file without keys with the marks of the project, and merge both.

Marks are compared within their annotator and tier: identical ones first, then those with the same bounds, then those
with the same label nearby, then those that overlap by half.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ser_core.analysis import Region
from ser_core.annotations.annotation import Annotation, region_or_point
from ser_core.annotations.store.marks import content_of

#: ELAN and others keep whole milliseconds, and EMU edges between two samples: half of one at 8 kHz.
ROUNDING_S = 0.001 + 1e-9
HALF_SAMPLE_S = 1 / 16_000 + 1e-9
#: Only this many neighbours of a mark are compared with it.
NEIGHBOURS = 8
MIN_OVERLAP = 0.5

#: How close a mark of a file is to one here, the closest first.
IDENTICAL, SAME_LABEL, SAME_REGION, SAME_LABEL_OVERLAPS, OVERLAPS, NEARBY = range(6)


def pair_marks(
    indices: Iterable[int], imported: Sequence[Annotation], candidates: Mapping[str, Annotation]
) -> dict[int, str]:
    """Return the key of the project's mark that matches each mark of a file, by its index; the closest pairs first."""
    tiers: dict[tuple[str, str], tuple[list[int], list[Annotation]]] = defaultdict(lambda: ([], []))
    for index in indices:
        tiers[imported[index].annotator, imported[index].tier][0].append(index)
    for mark in candidates.values():
        if (mark.annotator, mark.tier) in tiers:
            tiers[mark.annotator, mark.tier][1].append(mark)
    pairs: dict[int, str] = {}
    taken: set[str] = set()
    for of_tier, existing in tiers.values():
        is_the_same_file = False
        for (level, _), index, key in sorted(_pairs(of_tier, existing, imported), key=lambda pair: pair[0]):
            if index not in pairs and key not in taken and (level < NEARBY or is_the_same_file):
                pairs[index] = key
                taken.add(key)
                is_the_same_file |= level <= SAME_LABEL
    return pairs


def _pairs(
    indices: Sequence[int], existing: Sequence[Annotation], imported: Sequence[Annotation]
) -> Iterable[tuple[tuple[float, float], int, str]]:
    """Yield pairs of a mark of the file and one of the project: their distance, the index and the key."""
    existing = sorted(existing, key=lambda mark: mark.region.start_s)
    by_content = {tuple(content_of(mark).values()): mark for mark in existing}
    longest_s = max((mark.region.duration_s for mark in existing), default=0.0)
    first_later = 0
    for index in sorted(indices, key=lambda index: imported[index].region.start_s):
        mark = imported[index]
        twin = by_content.get(tuple(content_of(mark).values()))
        if twin is not None:
            yield (IDENTICAL, 0.0), index, twin.key
            continue
        while first_later < len(existing) and existing[first_later].region.start_s < mark.region.start_s:
            first_later += 1
        last_s = mark.region.end_s + longest_s + ROUNDING_S
        for other in existing[max(first_later - NEIGHBOURS, 0) : first_later + NEIGHBOURS]:
            if other.region.start_s > last_s:  # all following ones begin even later
                break
            if (closeness := _closeness(mark, other)) is not None:
                yield closeness, index, other.key


def _closeness(mark: Annotation, other: Annotation) -> tuple[float, float] | None:
    (start_s, end_s), (from_s, to_s) = ((each.region.start_s, each.region.end_s) for each in (mark, other))
    overlap_s = min(end_s, to_s) - max(start_s, from_s)
    if -overlap_s > to_s - from_s + ROUNDING_S:  # most neighbours are this far away
        return None
    whole_s = max(end_s, to_s) - min(start_s, from_s)
    away_s = abs(start_s - from_s) + abs(end_s - to_s)
    same_label = (mark.emotion, mark.note) == (other.emotion, other.note) or (
        mark.emotion is not None and mark.emotion == other.emotion
    )
    if is_rounded(other.region, mark.region):
        return (SAME_LABEL if same_label else SAME_REGION), away_s
    if same_label and overlap_s > 0:
        return SAME_LABEL_OVERLAPS, away_s
    if overlap_s >= MIN_OVERLAP * whole_s:
        return OVERLAPS, away_s
    # Not farther away than it is long; only where other marks show that the file has those of this tier.
    if same_label and -overlap_s <= to_s - from_s:
        return NEARBY, away_s
    return None


def same_content(one: Annotation, other: Annotation) -> bool:
    """Whether two marks agree in all fields and bounds."""
    return content_of(one) == content_of(other)


def merge_mark(before: Annotation, mark: Annotation, is_exact: bool) -> Annotation:
    """Return the mark of a file as a version of a mark here; fields that the file cannot hold stay as they are here.

    A mark that is matched by its key is complete (`is_exact`); another one may have only a label.
    """
    region = before.region if is_rounded(before.region, mark.region) else mark.region
    kept_fields = {"key": before.key, "revision": before.revision, "changed_at": before.changed_at}
    has_more = (mark.intensity, mark.confidence, mark.status) != (None, None, "open") or (mark.note and mark.emotion)
    if not has_more and not is_exact:
        kept_fields["status"] = before.status
        kept_fields["channel"] = mark.channel or before.channel
        if mark.emotion == before.emotion and (mark.emotion is not None or mark.note == before.note):
            kept_fields |= {"intensity": before.intensity, "confidence": before.confidence, "note": before.note}
        elif mark.emotion is not None and before.emotion is not None:
            kept_fields["note"] = before.note
        if (region.low_hz, region.high_hz) == (None, None):
            region = region_or_point(region.start_s, region.end_s, before.region.low_hz, before.region.high_hz)
    return replace(mark, region=region, **kept_fields)


def is_rounded(exact: Region, other: Region) -> bool:
    """Whether a region is an exact one rounded to whole milliseconds or to an edge between samples."""
    if (exact.low_hz, exact.high_hz) != (other.low_hz, other.high_hz) and (other.low_hz, other.high_hz) != (None, None):
        return False
    edges = ((exact.start_s, other.start_s), (exact.end_s, other.end_s))
    return all(
        abs(one - two) <= HALF_SAMPLE_S or (abs(one - two) <= ROUNDING_S and round(two, 3) == two) for one, two in edges
    )
