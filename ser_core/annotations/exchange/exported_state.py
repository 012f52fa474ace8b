"""The state of a recording that a file without keys was written from, found in the recording's history.

A file without keys says what its marks are, and not what they were when it was written. It is taken to be of that state
with which most of its marks agree. Of several this is the present one or, if the file is older, the first of them, so
that it overwrites nothing that may have been done since.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ser_core.annotations.annotation import Annotation
from ser_core.annotations.exchange.matching import NEIGHBOURS, merged, same
from ser_core.annotations.store.marks import Change


@dataclass(frozen=True)
class ExportedState:
    """The marks of a recording when a file was written.

    Attributes
    ----------
    marks : dict of Annotation
        By their keys.
    changed, added : set of str
        Keys of marks that were changed or added between the first state with which as many marks of the file agree and
        this one: it cannot be known whether that was before the export or after it.
    """

    marks: dict[str, Annotation]
    changed: set[str]
    added: set[str]


def likely_state(
    found: Sequence[Annotation], standing: Mapping[str, Annotation], past: Sequence[Sequence[Change]]
) -> ExportedState:
    """Return the state that a file was probably written from.

    Parameters
    ----------
    standing : mapping of str to Annotation
        The marks as they are now, by their keys.
    past : sequence of sequence of Change
        What each step did to the marks of the recording, the first one first.
    """
    near: dict[tuple[object, ...], list[Annotation]] = defaultdict(list)
    for mark in found:
        near[_label(mark), round(mark.region.start_s * 100)].append(mark)

    def agrees(mark: Annotation) -> bool:
        centisecond = round(mark.region.start_s * 100)
        files = (
            each
            for at in (centisecond - 1, centisecond, centisecond + 1)
            for each in near.get((_label(mark), at), ())[:NEIGHBOURS]
        )
        return any(same(merged(mark, each, False), mark) for each in files)

    steps = [*past, _closing(past, standing)]
    agreeing: set[str] = set()
    counts = [-1]  # without any mark nothing was exported
    for changes in steps:
        agreeing -= {change.key for change in changes}
        agreeing |= {change.key for change in changes if change.after is not None and agrees(change.after)}
        counts.append(len(agreeing))
    first = counts.index(max(counts))
    number = len(steps) if counts[-1] == counts[first] else first
    between = [change for changes in steps[first:number] for change in changes if change.after is not None]
    return ExportedState(
        _after(steps[:number]),
        {change.key for change in between if change.before is not None},
        {change.key for change in between if change.before is None},
    )


def _label(mark: Annotation) -> tuple[object, ...]:
    return mark.annotator, mark.tier, mark.emotion, mark.note if mark.emotion is None else ""


def _after(steps: Sequence[Sequence[Change]]) -> dict[str, Annotation]:
    marks: dict[str, Annotation | None] = {change.key: change.after for changes in steps for change in changes}
    return {key: mark for key, mark in marks.items() if mark is not None}


def _closing(past: Sequence[Sequence[Change]], standing: Mapping[str, Annotation]) -> list[Change]:
    """Return what no step contains, as when a tier was deleted with its marks."""
    before = _after(past)
    keys = [*standing, *(key for key in before if key not in standing)]
    pairs = ((before.get(key), standing.get(key)) for key in keys)
    return [Change(was, now) for was, now in pairs if was is None or now is None or was.revision != now.revision]
