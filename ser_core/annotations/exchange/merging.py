"""Differences between the marks of a recording and those of a file that is imported into it.

Marks of a file that have keys are compared with the marks of the same keys. In a file without keys, each mark gets the
key of the mark that it was when the file was written, if the recording's history shows which one that was.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ser_core.annotations.annotation import RECORDING_TIER, Annotation
from ser_core.annotations.exchange.exported_state import ExportedState, likely_state
from ser_core.annotations.exchange.matching import NEIGHBOURS, merge_mark, pair_marks, same_content
from ser_core.annotations.store.marks import Change, content_of

#: How a mark in a file can differ. "conflict": it was changed both in the file and, since the export, here.
#: "changed here" and "deleted here": since the export; the file has the older version. A mark that was changed here is
#: not listed if the file has its key.
KINDS = ("new", "changed", "moved", "deleted", "changed here", "deleted here", "conflict")


@dataclass(frozen=True)
class Difference:
    """A mark that differs between a file and the project.

    Attributes
    ----------
    kind : one of KINDS
    before, after : Annotation or None
        The mark here, and after the import with the same key and revision.
    unsure : bool
        Whether it was also changed here, before or after the export.
    """

    kind: str
    before: Annotation | None
    after: Annotation | None
    unsure: bool = False


@dataclass
class Comparison:
    """Differences, and the number of marks of the file that are here already."""

    differences: list[Difference]
    known: int = 0


def with_annotators(
    imported: Sequence[Annotation], existing: Sequence[Annotation], text_tiers: Container[str], annotator: str
) -> list[Annotation]:
    """Return the marks of a file, each with an annotator.

    Marks without one are the importer's. But exports omit the annotator of a tier of labels or text in which only one
    person has marks, because a transcript is no opinion: if at least half of the file's marks in such a tier are that
    person's marks here, all are theirs.

    Parameters
    ----------
    text_tiers : container of str
        Keys of the tiers that hold labels or text.
    annotator : str
        Who imports.
    """
    annotators: dict[str, set[str]] = defaultdict(set)
    for mark in existing:
        annotators[mark.tier].add(mark.annotator)
    existing_contents = {(mark.annotator, *_content(mark)) for mark in existing}
    owners: dict[str, str] = {}
    for tier, names in annotators.items():
        if tier not in text_tiers or len(names) > 1:
            continue
        (owner,) = names
        anonymous = [mark for mark in imported if mark.tier == tier and not mark.annotator]
        matching = sum((owner, *_content(mark)) in existing_contents for mark in anonymous)
        if 2 * matching >= len(anonymous):
            owners[tier] = owner
    return [mark if mark.annotator else replace(mark, annotator=owners.get(mark.tier, annotator)) for mark in imported]


def _content(mark: Annotation) -> tuple[object, ...]:
    """Return the tier, the bounds in centiseconds and the label of a mark."""
    return mark.tier, round(mark.region.start_s, 2), round(mark.region.end_s, 2), mark.emotion or mark.note


def compare_marks(
    existing: Sequence[Annotation],
    imported: Sequence[Annotation],
    exported: Mapping[str, int] | None,
    contents_at: Callable[[Mapping[str, int]], Mapping[str, Annotation]],
    deleted: Mapping[str, Annotation] | None = None,
    left_out: Sequence[Annotation] = (),
    history_steps: Callable[[], Sequence[Sequence[Change]]] = tuple,
) -> Comparison:
    """Compare the marks of a recording with those of a file.

    Parameters
    ----------
    existing, imported : sequence of Annotation
        Those here, and those of the file; all with an annotator.
    exported : mapping of str to int, optional
        Keys and revisions of all marks that were written to the file; those that the file lacks were deleted in it.
        Without this, marks of the likely state count as deleted if the file has other marks of their tier.
    contents_at : callable
        `contents_at({key: revision})` returns the marks at these revisions, where they are known.
    deleted : mapping of str to Annotation, optional
        The marks that were deleted here, by their keys.
    left_out : sequence of Annotation
        Other marks of the file, which are not imported. The marks that they match do not count as deleted.
    history_steps : callable
        `history_steps()` returns the changes of each step in the recording, the oldest first.
    """
    unmatched = {mark.key: mark for mark in existing}
    labels = {mark.annotator: mark for mark in existing if mark.tier == RECORDING_TIER}
    deleted_here = dict(deleted or {})
    unique, repeats = _unique(imported, unmatched.keys() | deleted_here.keys())
    result = Comparison([], known=0)
    state = None
    if exported is None:
        state = likely_state([*unique, *left_out], unmatched, history_steps() if unmatched or deleted_here else ())
        unique, exported = _with_keys(unique, left_out, state, unmatched.keys() | deleted_here.keys())
        bases: Mapping[str, Annotation] = {key: mark for key, mark in state.marks.items() if key in unmatched}
    else:
        bases = _exported_versions(unique, unmatched, exported, contents_at)
    kinds = _match_keys(result, unique, unmatched, bases, labels, state)
    _find_deleted_here(result, unique, deleted_here, kinds, labels)
    rest = [index for index in range(len(unique)) if index not in kinds]
    _match_labels(result, rest, unique, unmatched, kinds, labels, state is not None)
    pairs = pair_marks((index for index in rest if index not in kinds), unique, unmatched)
    for index, key in pairs.items():  # with a likely state, only marks that were added here since then remain
        kinds[index] = _add(result, unmatched.pop(key), unique[index], is_older=state is not None)
    for index in rest:
        if index not in kinds:
            kinds[index] = "new"
            result.differences.append(Difference("new", None, unique[index]))
    for index, count in repeats.items():
        if kinds[index] in ("new", "known", "changed here"):
            result.known += count
        elif kinds[index] != "deleted here":
            result.differences += [Difference("conflict", None, unique[index])] * count
    for key in pair_marks(range(len(left_out)), left_out, unmatched).values():
        del unmatched[key]
    _ignore_twins(unmatched, {index: count for index, count in repeats.items() if kinds[index] == "known"}, unique)
    _add_deleted(result, unmatched, exported, bases, state.added if state else ())
    return result


def _with_keys(
    unique: Sequence[Annotation], left_out: Sequence[Annotation], state: ExportedState, known: Container[str]
) -> tuple[list[Annotation], dict[str, int]]:
    """Return the marks of a file without keys with their keys in a state, and the keys that were exported.

    All marks of tiers that the file has marks in were exported, except those that only `left_out` marks match.
    """
    in_state = {key: mark for key, mark in state.marks.items() if key in known}
    labels = {mark.annotator: key for key, mark in in_state.items() if mark.tier == RECORDING_TIER}
    pairs: dict[int, str] = {}
    for index, mark in enumerate(unique):
        if mark.tier == RECORDING_TIER and mark.annotator in labels and mark.key not in known:
            pairs[index] = labels.pop(mark.annotator)
    others = [index for index, mark in enumerate(unique) if mark.key not in known and mark.tier != RECORDING_TIER]
    pairs |= pair_marks(others, unique, in_state)
    with_keys = [
        merge_mark(in_state[pairs[index]], mark, False) if index in pairs else mark for index, mark in enumerate(unique)
    ]
    covered = {(mark.annotator, mark.tier) for mark in unique}
    unread = {key: mark for key, mark in in_state.items() if key not in set(pairs.values())}
    not_imported = set(pair_marks(range(len(left_out)), left_out, unread).values())
    exported = {
        key: mark.revision
        for key, mark in in_state.items()
        if (mark.annotator, mark.tier) in covered and key not in not_imported
    }
    return with_keys, exported


def _exported_versions(
    unique: Sequence[Annotation],
    existing: Mapping[str, Annotation],
    exported: Mapping[str, int],
    contents_at: Callable[[Mapping[str, int]], Mapping[str, Annotation]],
) -> Mapping[str, Annotation]:
    """Return the exported versions of the marks that were changed here since the export, by key."""
    older = {mark.key: mark.revision for mark in unique if mark.key in existing}
    older = {key: revision for key, revision in exported.items() if key in existing} | older
    return contents_at({key: revision for key, revision in older.items() if revision != existing[key].revision})


def _match_keys(
    result: Comparison,
    unique: Sequence[Annotation],
    unmatched: dict[str, Annotation],
    bases: Mapping[str, Annotation],
    labels: dict[str, Annotation],
    state: ExportedState | None,
) -> dict[int, str]:
    """Match marks that have a key, their own or that of a likely state, and return their kinds by index."""
    kinds: dict[int, str] = {}
    for index, mark in enumerate(unique):
        before = unmatched.pop(mark.key, None)
        if before is None:  # a key that is not here, or that the file has twice
            continue
        if mark.tier == RECORDING_TIER and labels.setdefault(before.annotator, before) is not before:
            kinds[index] = _add_second_label(result, before, mark)
        else:
            base = bases.get(mark.key)
            is_older = mark.revision != before.revision and (base is None or not same_content(base, before))
            kinds[index] = _add(result, before, mark, base, is_older, state)
    return kinds


def _find_deleted_here(
    result: Comparison,
    unique: Sequence[Annotation],
    deleted_here: dict[str, Annotation],
    kinds: dict[int, str],
    labels: dict[str, Annotation],
) -> None:
    """Find marks of the file that were deleted here; a label of the whole recording only if there is no other."""
    for index, mark in enumerate(unique):
        is_second = mark.tier == RECORDING_TIER and mark.annotator in labels
        if index in kinds or mark.key not in deleted_here or is_second:
            continue
        kinds[index] = "deleted here"
        after = replace(mark, revision=deleted_here.pop(mark.key).revision)
        result.differences.append(Difference("deleted here", None, after))
        if mark.tier == RECORDING_TIER:
            labels[mark.annotator] = mark


def _unique(
    imported: Sequence[Annotation], known_keys: Container[str | None]
) -> tuple[list[Annotation], dict[int, int]]:
    """Return marks without repetitions, and how often each is repeated, by index; two that exist here stay two.

    A mark repeats another if both differ by no more than rounding, as in files of several formats about one recording.
    """
    by_label_and_time: dict[tuple[object, ...], list[int]] = defaultdict(list)
    unique: list[Annotation] = []
    repeats: dict[int, int] = defaultdict(int)
    for mark in sorted(imported, key=lambda mark: mark.key not in known_keys):
        label = mark.annotator, mark.tier, mark.emotion, mark.note if mark.emotion is None else ""
        centisecond = round(mark.region.start_s * 100)
        candidates: list[int] = []
        for each in (centisecond - 1, centisecond, centisecond + 1):
            candidates += by_label_and_time[*label, each][:NEIGHBOURS]
        first = next((index for index in candidates if _repeats(mark, unique[index], known_keys)), None)
        if first is not None:
            repeats[first] += 1
        else:
            by_label_and_time[*label, centisecond].append(len(unique))
            unique.append(mark)
    return unique, repeats


def _repeats(mark: Annotation, first: Annotation, known_keys: Container[str | None]) -> bool:
    if mark.key in known_keys:
        return mark.key == first.key and same_content(mark, first)
    return same_content(merge_mark(first, mark, False), first) or same_content(merge_mark(mark, first, False), mark)


def _ignore_twins(unmatched: dict[str, Annotation], repeats: Mapping[int, int], unique: Sequence[Annotation]) -> None:
    """Remove marks here that equal a mark that the file repeats: the file has them, so they are not deleted."""
    remaining = Counter({tuple(content_of(unique[index]).values()): count for index, count in repeats.items()})
    for key, mark in list(unmatched.items()) if remaining else ():
        content = tuple(content_of(mark).values())
        if remaining[content] > 0:
            remaining[content] -= 1
            del unmatched[key]


def _add(
    result: Comparison,
    before: Annotation,
    mark: Annotation,
    base: Annotation | None = None,
    is_older: bool = False,
    state: ExportedState | None = None,
) -> str:
    """Add the difference between a mark here and its version in the file, and return the kind."""
    is_exact = mark.key == before.key
    after = merge_mark(before, mark, is_exact)
    is_unchanged = base is not None and same_content(merge_mark(base, mark, is_exact), base)
    if after == before or (is_unchanged and state is None):
        result.known += 1
        return "known"
    is_moved = after.region != before.region and replace(after, region=before.region) == before
    if is_unchanged:
        kind = "changed here"
    elif is_older:
        kind = "conflict"
    else:
        kind = "moved" if is_moved else "changed"
    unsure = state is not None and kind in ("moved", "changed") and before.key in state.changed
    result.differences.append(Difference(kind, before, after, unsure))
    return kind


def _add_second_label(result: Comparison, before: Annotation, mark: Annotation) -> str:
    result.differences.append(Difference("conflict", before, mark))
    return "conflict"


def _match_labels(
    result: Comparison,
    rest: Iterable[int],
    unique: Sequence[Annotation],
    unmatched: dict,
    kinds: dict[int, str],
    labels: dict[str, Annotation],
    is_older: bool,
) -> None:
    """Match labels of the whole recording with those in `labels`, one for each annotator; new ones are added."""
    for index in rest:
        mark = unique[index]
        if mark.tier != RECORDING_TIER:
            continue
        before = labels.get(mark.annotator)
        if before is None:
            kinds[index] = "new"
            result.differences.append(Difference("new", None, mark))
            labels[mark.annotator] = mark
        elif before.key in unmatched:
            kinds[index] = _add(result, unmatched.pop(before.key), mark, is_older=is_older)
        else:
            kinds[index] = _add_second_label(result, before, mark)


def _add_deleted(
    result: Comparison,
    unmatched: Mapping[str, Annotation],
    exported: Mapping[str, int],
    bases: Mapping[str, Annotation],
    unsure: Container[str],
) -> None:
    """Add the marks that a file lacks; those that were changed, or perhaps added, here since the export conflict."""
    for key, mark in unmatched.items():
        if key in exported:
            base = bases.get(key)
            is_same = exported[key] == mark.revision or (base is not None and same_content(base, mark))
            kind = "deleted" if is_same and key not in unsure else "conflict"
            result.differences.append(Difference(kind, mark, None, key in unsure))
