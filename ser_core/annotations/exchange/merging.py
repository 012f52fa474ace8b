"""What differs between the marks of a recording and those of a file that is imported into it.

Marks of a file that kept their keys are compared with the marks of these keys. Others are compared within their
annotator and tier: first what is the same, then what is at the same place, then what says the same nearby, then what
overlaps by half.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ser_core.analysis import Region
from ser_core.annotations.annotation import RECORDING_TIER, Annotation, place_of
from ser_core.annotations.store.marks import content_of

#: What a file can do to a mark. "conflict": it was changed both in the file and, since the export, here.
#: "deleted here": the file knows it by its key, and it was deleted here since the export.
KINDS = ("new", "changed", "moved", "deleted", "deleted here", "conflict")

#: ELAN and others keep whole milliseconds, and EMU edges between two samples: half of one at 8 kHz.
ROUNDING_S = 0.001 + 1e-9
HALF_SAMPLE_S = 1 / 16_000 + 1e-9
#: Only so many neighbours of a mark, in order of time, are compared with it.
NEIGHBOURS = 8
LEAST_OVERLAP = 0.5

#: How close a mark of a file is to one here, the closest first.
IDENTICAL, SAME_LABEL, SAME_PLACE, SAME_LABEL_OVERLAPS, OVERLAPS, NEARBY = range(6)


@dataclass(frozen=True)
class Difference:
    """A mark that is not in a file as it is here.

    Attributes
    ----------
    kind : one of KINDS
    before, after : Annotation or None
        Here, and after the import. The latter has key and revision of the former.
    """

    kind: str
    before: Annotation | None
    after: Annotation | None


@dataclass
class Comparison:
    """What differs, and how many marks of the file are here already."""

    differences: list[Difference]
    known: int = 0


def signed(
    found: Sequence[Annotation], standing: Sequence[Annotation], of_text: Container[str], annotator: str
) -> list[Annotation]:
    """Return the marks of a file, each with an annotator.

    Marks without one are the importer's. Where one person only has marks in a tier of labels or text, files do not say
    whose they are, as a transcript is no opinion: if at least half of the marks are here as theirs, so are all.

    Parameters
    ----------
    of_text : container of str
        Keys of the tiers that hold labels or text.
    annotator : str
        Who imports.
    """
    people: dict[str, set[str]] = defaultdict(set)
    here = {(mark.annotator, *_said(mark)) for mark in standing}
    for mark in standing:
        people[mark.tier].add(mark.annotator)
    owners: dict[str, str] = {}
    for tier, names in people.items():
        unsigned = [mark for mark in found if mark.tier == tier and not mark.annotator]
        owner = min(names)
        if (
            tier in of_text
            and len(names) == 1
            and 2 * sum((owner, *_said(m)) in here for m in unsigned) >= len(unsigned)
        ):
            owners[tier] = owner
    return [mark if mark.annotator else replace(mark, annotator=owners.get(mark.tier, annotator)) for mark in found]


def _said(mark: Annotation) -> tuple[object, ...]:
    return mark.tier, round(mark.region.start_s, 2), round(mark.region.end_s, 2), mark.emotion or mark.note


def compared(
    standing: Sequence[Annotation],
    found: Sequence[Annotation],
    exported: Mapping[str, int] | None,
    contents_at: Callable[[Mapping[str, int]], Mapping[str, Annotation]],
    deleted: Mapping[str, Annotation] | None = None,
    left_out: Sequence[Annotation] = (),
) -> Comparison:
    """Compare the marks of a recording with those of a file.

    Parameters
    ----------
    standing, found : sequence of Annotation
        Those here, and those of the file; all with an annotator.
    exported : mapping of str to int, optional
        Keys and revisions of all marks that were written to the file, by which the deleted ones are known. Without it
        these are the marks that are missing in a tier of which the file has others.
    contents_at : callable
        `contents_at({key: revision})` returns what marks were at revisions, as far as that is known.
    deleted : mapping of str to Annotation, optional
        The marks that were deleted here, by their keys.
    left_out : sequence of Annotation
        Other marks of the file, which are not imported. They are in the file, so what they match is not deleted in it.
    """
    here = {mark.key: mark for mark in standing}
    labels = {mark.annotator: mark for mark in standing if mark.tier == RECORDING_TIER}
    gone = dict(deleted or {})
    unique, again = _unique(found, here.keys() | gone.keys())
    result = Comparison([], known=0)
    bases = _bases(unique, here, exported, contents_at)
    kinds = _match_keys(result, unique, here, bases, labels)
    _find_deleted_here(result, unique, gone, kinds, labels)
    rest = [index for index in range(len(unique)) if index not in kinds]
    _match_labels(result, rest, unique, here, kinds, labels)
    _match_tiers(result, rest, unique, here, kinds)
    for index in rest:
        if index not in kinds:
            kinds[index] = "new"
            result.differences.append(Difference("new", None, unique[index]))
    for index, count in again.items():
        if kinds[index] in ("new", "known"):
            result.known += count
        elif kinds[index] != "deleted here":
            result.differences += [Difference("conflict", None, unique[index])] * count
    _match_tiers(Comparison([]), range(len(left_out)), left_out, here, {})
    _pass_over_twins(here, {index: count for index, count in again.items() if kinds[index] == "known"}, unique)
    _add_deleted(result, here, unique, exported, bases)
    return result


def _bases(
    unique: Sequence[Annotation],
    here: Mapping[str, Annotation],
    exported: Mapping[str, int] | None,
    contents_at: Callable[[Mapping[str, int]], Mapping[str, Annotation]],
) -> Mapping[str, Annotation]:
    """Return, by their keys, what marks that were changed here since the export were when they were exported."""
    older = {mark.key: mark.revision for mark in unique if mark.key in here}
    older = {key: revision for key, revision in (exported or {}).items() if key in here} | older
    return contents_at({key: revision for key, revision in older.items() if revision != here[key].revision})


def _match_keys(
    result: Comparison,
    unique: Sequence[Annotation],
    here: dict[str, Annotation],
    bases: Mapping[str, Annotation],
    labels: dict[str, Annotation],
) -> dict[int, str]:
    """Match marks that kept their keys, and return what became of them by their index."""
    kinds: dict[int, str] = {}
    for index, mark in enumerate(unique):
        before = here.pop(mark.key, None)
        if before is None:  # a key that is not here, or that the file has twice
            continue
        if mark.tier == RECORDING_TIER and labels.setdefault(before.annotator, before) is not before:
            kinds[index] = _add_second_label(result, before, mark)
        else:
            kinds[index] = _add(result, before, mark, bases.get(mark.key), mark.revision != before.revision)
    return kinds


def _find_deleted_here(
    result: Comparison,
    unique: Sequence[Annotation],
    gone: dict[str, Annotation],
    kinds: dict[int, str],
    labels: dict[str, Annotation],
) -> None:
    """Find marks of the file that were deleted here; a label of the whole recording only where there is no other."""
    for index, mark in enumerate(unique):
        is_second = mark.tier == RECORDING_TIER and mark.annotator in labels
        if index in kinds or mark.key not in gone or is_second:
            continue
        kinds[index] = "deleted here"
        after = replace(mark, revision=gone.pop(mark.key).revision)
        result.differences.append(Difference("deleted here", None, after))
        if mark.tier == RECORDING_TIER:
            labels[mark.annotator] = mark


def _unique(found: Sequence[Annotation], here: Container[str | None]) -> tuple[list[Annotation], dict[int, int]]:
    """Return marks without repetitions, and how often which is repeated; two that are here are not one."""
    first: dict[tuple[object, ...], int] = {}
    unique: list[Annotation] = []
    again: dict[int, int] = defaultdict(int)
    for mark in found:
        content = (mark.key if mark.key in here else None, *content_of(mark).values())
        if content in first:
            again[first[content]] += 1
        else:
            first[content] = len(unique)
            unique.append(mark)
    return unique, again


def _pass_over_twins(here: dict[str, Annotation], again: Mapping[int, int], unique: Sequence[Annotation]) -> None:
    """Take away marks here that are equal to one that a file repeats: it has them too, and they are not deleted."""
    left = Counter({tuple(content_of(unique[index]).values()): count for index, count in again.items()})
    for key, mark in list(here.items()) if left else ():
        content = tuple(content_of(mark).values())
        if left[content] > 0:
            left[content] -= 1
            del here[key]


def _add(
    result: Comparison, before: Annotation, mark: Annotation, base: Annotation | None = None, is_older: bool = False
) -> str:
    """Add what a mark of the file does to one here, and return its kind."""
    is_exact = mark.key == before.key
    after = _merged(before, mark, is_exact)
    if after == before or (base is not None and _same(_merged(base, mark, is_exact), base)):
        result.known += 1
        return "known"
    moved = after.region != before.region and replace(after, region=before.region) == before
    kind = "conflict" if is_older else "moved" if moved else "changed"
    result.differences.append(Difference(kind, before, after))
    return kind


def _same(one: Annotation, other: Annotation) -> bool:
    return content_of(one) == content_of(other)


def _merged(before: Annotation, mark: Annotation, is_exact: bool) -> Annotation:
    """Return a mark as a file has it, with what the file cannot hold as it was.

    A mark that kept its key says all that it has to say; another one may be a plain label.
    """
    region = before.region if _is_rounded(before.region, mark.region) else mark.region
    said = {"key": before.key, "revision": before.revision, "changed_at": before.changed_at}
    has_more = (mark.intensity, mark.confidence, mark.status) != (None, None, "open") or (mark.note and mark.emotion)
    if not has_more and not is_exact:
        said["status"] = before.status
        if mark.emotion == before.emotion and (mark.emotion is not None or mark.note == before.note):
            said |= {"intensity": before.intensity, "confidence": before.confidence, "note": before.note}
        elif mark.emotion is not None and before.emotion is not None:
            said["note"] = before.note
        if (region.low_hz, region.high_hz) == (None, None):
            region = place_of(region.start_s, region.end_s, before.region.low_hz, before.region.high_hz)
    return replace(mark, region=region, **said)


def _is_rounded(exact: Region, other: Region) -> bool:
    """Whether a stretch is another one in whole milliseconds or between samples."""
    if (exact.low_hz, exact.high_hz) != (other.low_hz, other.high_hz) and (other.low_hz, other.high_hz) != (None, None):
        return False
    edges = ((exact.start_s, other.start_s), (exact.end_s, other.end_s))
    return all(
        abs(one - two) <= HALF_SAMPLE_S or (abs(one - two) <= ROUNDING_S and round(two, 3) == two) for one, two in edges
    )


def _add_second_label(result: Comparison, before: Annotation, mark: Annotation) -> str:
    result.differences.append(Difference("conflict", before, mark))
    return "conflict"


def _match_labels(
    result: Comparison,
    rest: Iterable[int],
    unique: Sequence[Annotation],
    here: dict,
    kinds: dict[int, str],
    labels: dict[str, Annotation],
) -> None:
    """Match labels of the whole recording, of which an annotator has one: those in `labels`, to which new ones come."""
    for index in rest:
        mark = unique[index]
        if mark.tier != RECORDING_TIER:
            continue
        before = labels.get(mark.annotator)
        if before is None:
            kinds[index] = "new"
            result.differences.append(Difference("new", None, mark))
            labels[mark.annotator] = mark
        elif before.key in here:
            kinds[index] = _add(result, here.pop(before.key), mark)
        else:
            kinds[index] = _add_second_label(result, before, mark)


def _match_tiers(
    result: Comparison, rest: Iterable[int], unique: Sequence[Annotation], here: dict, kinds: dict[int, str]
) -> None:
    """Match the marks of each annotator and tier, the closest first."""
    tiers: dict[tuple[str, str], tuple[list[int], list[Annotation]]] = defaultdict(lambda: ([], []))
    for index in rest:
        if index not in kinds:
            tiers[unique[index].annotator, unique[index].tier][0].append(index)
    for mark in here.values():
        if (mark.annotator, mark.tier) in tiers:
            tiers[mark.annotator, mark.tier][1].append(mark)
    for indices, standing in tiers.values():
        is_the_same_file = False
        for (level, _), index, key in sorted(_pairs(indices, standing, unique), key=lambda pair: pair[0]):
            if index not in kinds and key in here and (level < NEARBY or is_the_same_file):
                kinds[index] = _add(result, here.pop(key), unique[index])
                is_the_same_file |= level <= SAME_LABEL


def _pairs(
    indices: Sequence[int], standing: Sequence[Annotation], unique: Sequence[Annotation]
) -> Iterable[tuple[tuple[float, float], int, str]]:
    """Yield how close which mark of the file is to which one here, the closest with the least value."""
    standing = sorted(standing, key=lambda mark: mark.region.start_s)
    by_content = {tuple(content_of(mark).values()): mark for mark in standing}
    longest_s = max((mark.region.duration_s for mark in standing), default=0.0)
    place = 0
    for index in sorted(indices, key=lambda index: unique[index].region.start_s):
        mark = unique[index]
        same = by_content.get(tuple(content_of(mark).values()))
        if same is not None:
            yield (IDENTICAL, 0.0), index, same.key
            continue
        while place < len(standing) and standing[place].region.start_s < mark.region.start_s:
            place += 1
        last_s = mark.region.end_s + longest_s + ROUNDING_S
        for other in standing[max(place - NEIGHBOURS, 0) : place + NEIGHBOURS]:
            if other.region.start_s > last_s:  # like all that follow, as they begin later
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
    if _is_rounded(other.region, mark.region):
        return (SAME_LABEL if same_label else SAME_PLACE), away_s
    if same_label and overlap_s > 0:
        return SAME_LABEL_OVERLAPS, away_s
    if overlap_s >= LEAST_OVERLAP * whole_s:
        return OVERLAPS, away_s
    # Not farther away than it is long; only where other marks show that the file has those of this tier.
    if same_label and -overlap_s <= to_s - from_s:
        return NEARBY, away_s
    return None


def _add_deleted(
    result: Comparison,
    here: Mapping[str, Annotation],
    unique: Sequence[Annotation],
    exported: Mapping[str, int] | None,
    bases: Mapping[str, Annotation],
) -> None:
    covered = {(mark.annotator, mark.tier) for mark in unique}
    for key, mark in here.items():
        if exported is not None and key in exported:
            base = bases.get(key)
            same = exported[key] == mark.revision or (base is not None and content_of(base) == content_of(mark))
            result.differences.append(Difference("deleted" if same else "conflict", mark, None))
        elif exported is None and (mark.annotator, mark.tier) in covered:
            result.differences.append(Difference("deleted", mark, None))
