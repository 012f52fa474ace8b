"""Differences between the marks of a recording and those of a file that is imported into it.

Marks of a file that have keys are compared with the marks of the same keys. In a file without keys, each mark gets the
key of the mark that it was when the file was written, as far as the recording's history tells.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ser_core.annotations.annotation import RECORDING_TIER, Annotation
from ser_core.annotations.exchange.exported_state import ExportedState, likely_state
from ser_core.annotations.exchange.matching import NEIGHBOURS, merged, paired, same
from ser_core.annotations.store.marks import Change, content_of

#: What a file can do to a mark. "conflict": it was changed both in the file and, since the export, here.
#: "changed here" and "deleted here": since the export; the file has the older version. "changed here" is not
#: listed where the file has its key.
KINDS = ("new", "changed", "moved", "deleted", "changed here", "deleted here", "conflict")


@dataclass(frozen=True)
class Difference:
    """A mark that is not in a file as it is here.

    Attributes
    ----------
    kind : one of KINDS
    before, after : Annotation or None
        Here, and after the import. The latter has key and revision of the former.
    unsure : bool
        Whether it was also changed here, and it is unknown whether before the export or after it.
    """

    kind: str
    before: Annotation | None
    after: Annotation | None
    unsure: bool = False


@dataclass
class Comparison:
    """Differences, and how many marks of the file are here already."""

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
    past: Callable[[], Sequence[Sequence[Change]]] = tuple,
) -> Comparison:
    """Compare the marks of a recording with those of a file.

    Parameters
    ----------
    standing, found : sequence of Annotation
        Those here, and those of the file; all with an annotator.
    exported : mapping of str to int, optional
        Keys and revisions of all marks that were written to the file, by which the deleted ones are known. Without it
        these are the marks of the likely state that are missing in a tier with other marks in the file.
    contents_at : callable
        `contents_at({key: revision})` returns what marks were at revisions, as far as that is known.
    deleted : mapping of str to Annotation, optional
        The marks that were deleted here, by their keys.
    left_out : sequence of Annotation
        Other marks of the file, which are not imported. They are in the file, so what they match is not deleted in it.
    past : callable
        `past()` returns what each step did to the marks of the recording, the first one first.
    """
    here = {mark.key: mark for mark in standing}
    labels = {mark.annotator: mark for mark in standing if mark.tier == RECORDING_TIER}
    gone = dict(deleted or {})
    unique, again = _unique(found, here.keys() | gone.keys())
    result = Comparison([], known=0)
    state = None
    if exported is None:
        state = likely_state([*unique, *left_out], here, past() if here or gone else ())
        unique, exported = _with_keys(unique, left_out, state, here.keys() | gone.keys())
        bases: Mapping[str, Annotation] = {key: mark for key, mark in state.marks.items() if key in here}
    else:
        bases = _bases(unique, here, exported, contents_at)
    kinds = _match_keys(result, unique, here, bases, labels, state)
    _find_deleted_here(result, unique, gone, kinds, labels)
    rest = [index for index in range(len(unique)) if index not in kinds]
    _match_labels(result, rest, unique, here, kinds, labels, state is not None)
    pairs = paired((index for index in rest if index not in kinds), unique, here)
    for index, key in pairs.items():  # of a likely state, only those that were added here since then are left
        kinds[index] = _add(result, here.pop(key), unique[index], is_older=state is not None)
    for index in rest:
        if index not in kinds:
            kinds[index] = "new"
            result.differences.append(Difference("new", None, unique[index]))
    for index, count in again.items():
        if kinds[index] in ("new", "known", "changed here"):
            result.known += count
        elif kinds[index] != "deleted here":
            result.differences += [Difference("conflict", None, unique[index])] * count
    for key in paired(range(len(left_out)), left_out, here).values():
        del here[key]
    _pass_over_twins(here, {index: count for index, count in again.items() if kinds[index] == "known"}, unique)
    _add_deleted(result, here, exported, bases, state.added if state else ())
    return result


def _with_keys(
    unique: Sequence[Annotation], left_out: Sequence[Annotation], state: ExportedState, known: Container[str]
) -> tuple[list[Annotation], dict[str, int]]:
    """Return the marks of a file without keys with their keys in a state, and the keys that were exported.

    Exported are the marks of tiers that the file has marks in, except those that only other marks of the file match.
    """
    were = {key: mark for key, mark in state.marks.items() if key in known}
    labels = {mark.annotator: key for key, mark in were.items() if mark.tier == RECORDING_TIER}
    pairs: dict[int, str] = {}
    for index, mark in enumerate(unique):
        if mark.tier == RECORDING_TIER and mark.annotator in labels and mark.key not in known:
            pairs[index] = labels.pop(mark.annotator)
    others = [index for index, mark in enumerate(unique) if mark.key not in known and mark.tier != RECORDING_TIER]
    pairs |= paired(others, unique, were)
    found = [merged(were[pairs[at]], mark, False) if at in pairs else mark for at, mark in enumerate(unique)]
    covered = {(mark.annotator, mark.tier) for mark in unique}
    unread = {key: mark for key, mark in were.items() if key not in set(pairs.values())}
    not_imported = set(paired(range(len(left_out)), left_out, unread).values())
    exported = {
        key: mark.revision
        for key, mark in were.items()
        if (mark.annotator, mark.tier) in covered and key not in not_imported
    }
    return found, exported


def _bases(
    unique: Sequence[Annotation],
    here: Mapping[str, Annotation],
    exported: Mapping[str, int],
    contents_at: Callable[[Mapping[str, int]], Mapping[str, Annotation]],
) -> Mapping[str, Annotation]:
    """Return, by their keys, what marks that were changed here since the export were when they were exported."""
    older = {mark.key: mark.revision for mark in unique if mark.key in here}
    older = {key: revision for key, revision in exported.items() if key in here} | older
    return contents_at({key: revision for key, revision in older.items() if revision != here[key].revision})


def _match_keys(
    result: Comparison,
    unique: Sequence[Annotation],
    here: dict[str, Annotation],
    bases: Mapping[str, Annotation],
    labels: dict[str, Annotation],
    state: ExportedState | None,
) -> dict[int, str]:
    """Match marks that have a key, or that of a likely state, and return what became of them by their index."""
    kinds: dict[int, str] = {}
    for index, mark in enumerate(unique):
        before = here.pop(mark.key, None)
        if before is None:  # a key that is not here, or that the file has twice
            continue
        if mark.tier == RECORDING_TIER and labels.setdefault(before.annotator, before) is not before:
            kinds[index] = _add_second_label(result, before, mark)
        else:
            base = bases.get(mark.key)
            is_older = mark.revision != before.revision and (base is None or not same(base, before))
            kinds[index] = _add(result, before, mark, base, is_older, state)
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
    """Return marks without repetitions, and how often each is repeated; two that exist here stay two.

    A mark that says what another says about the same place, but for rounding, repeats it, as where files of several
    formats hold the marks of one recording.
    """
    near: dict[tuple[object, ...], list[int]] = defaultdict(list)
    unique: list[Annotation] = []
    again: dict[int, int] = defaultdict(int)
    for mark in sorted(found, key=lambda mark: mark.key not in here):
        label = mark.annotator, mark.tier, mark.emotion, mark.note if mark.emotion is None else ""
        at = round(mark.region.start_s * 100)
        others = (index for each in (at - 1, at, at + 1) for index in near[*label, each][:NEIGHBOURS])
        first = next((index for index in others if _repeats(mark, unique[index], here)), None)
        if first is not None:
            again[first] += 1
        else:
            near[*label, at].append(len(unique))
            unique.append(mark)
    return unique, again


def _repeats(mark: Annotation, first: Annotation, here: Container[str | None]) -> bool:
    if mark.key in here:
        return mark.key == first.key and same(mark, first)
    return same(merged(first, mark, False), first) or same(merged(mark, first, False), mark)


def _pass_over_twins(here: dict[str, Annotation], again: Mapping[int, int], unique: Sequence[Annotation]) -> None:
    """Ignore marks here that are equal to one that a file repeats: it has them too, and they are not deleted."""
    left = Counter({tuple(content_of(unique[index]).values()): count for index, count in again.items()})
    for key, mark in list(here.items()) if left else ():
        content = tuple(content_of(mark).values())
        if left[content] > 0:
            left[content] -= 1
            del here[key]


def _add(
    result: Comparison,
    before: Annotation,
    mark: Annotation,
    base: Annotation | None = None,
    is_older: bool = False,
    state: ExportedState | None = None,
) -> str:
    """Add what a mark of the file does to one here, and return its kind."""
    is_exact = mark.key == before.key
    after = merged(before, mark, is_exact)
    is_as_it_was = base is not None and same(merged(base, mark, is_exact), base)
    if after == before or (is_as_it_was and state is None):
        result.known += 1
        return "known"
    moved = after.region != before.region and replace(after, region=before.region) == before
    kind = "changed here" if is_as_it_was else "conflict" if is_older else "moved" if moved else "changed"
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
    here: dict,
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
        elif before.key in here:
            kinds[index] = _add(result, here.pop(before.key), mark, is_older=is_older)
        else:
            kinds[index] = _add_second_label(result, before, mark)


def _add_deleted(
    result: Comparison,
    here: Mapping[str, Annotation],
    exported: Mapping[str, int],
    bases: Mapping[str, Annotation],
    unsure: Container[str],
) -> None:
    """Add what is missing in a file: conflicts are marks that were changed here, or perhaps added, since the export."""
    for key, mark in here.items():
        if key in exported:
            base = bases.get(key)
            is_same = exported[key] == mark.revision or (base is not None and same(base, mark))
            kind = "deleted" if is_same and key not in unsure else "conflict"
            result.differences.append(Difference(kind, mark, None, key in unsure))
