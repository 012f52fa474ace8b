"""The state of a recording that a file without keys was written from, found in the recording's history.

It is the state with which most marks of the file agree. If several states have as many, it is the present one or, if
that is not among them, the earliest, so that the import overwrites nothing that may have been done since.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ser_core.annotations.annotation import Annotation
from ser_core.annotations.exchange.matching import NEIGHBOURS, merge_mark, same_content
from ser_core.annotations.store.marks import Change


@dataclass(frozen=True)
class ExportedState:
    """The marks of a recording when a file was written.

    Attributes
    ----------
    marks : dict of Annotation
        By their keys.
    changed, added : set of str
        Keys of marks that were changed or added between the earliest state with which as many marks of the file agree
        and this one: whether that was before or after the export is unknown.
    """

    marks: dict[str, Annotation]
    changed: set[str]
    added: set[str]


def likely_state(
    imported: Sequence[Annotation], current: Mapping[str, Annotation], history_steps: Sequence[Sequence[Change]]
) -> ExportedState:
    """Return the state that a file was probably written from.

    Parameters
    ----------
    current : mapping of str to Annotation
        The marks as they are now, by their keys.
    history_steps : sequence of sequence of Change
        The changes of each step in the recording, the oldest first.
    """
    by_label_and_time: dict[tuple[object, ...], list[Annotation]] = defaultdict(list)
    for mark in imported:
        by_label_and_time[_label(mark), round(mark.region.start_s * 100)].append(mark)

    def agrees(mark: Annotation) -> bool:
        centisecond = round(mark.region.start_s * 100)
        candidates = (
            each
            for at in (centisecond - 1, centisecond, centisecond + 1)
            for each in by_label_and_time.get((_label(mark), at), ())[:NEIGHBOURS]
        )
        return any(same_content(merge_mark(mark, each, False), mark) for each in candidates)

    steps = [*history_steps, _changes_outside_history(history_steps, current)]
    agreeing: set[str] = set()
    counts = [-1]  # without any mark nothing was exported
    for changes in steps:
        agreeing -= {change.key for change in changes}
        agreeing |= {change.key for change in changes if change.after is not None and agrees(change.after)}
        counts.append(len(agreeing))
    earliest = counts.index(max(counts))
    state_index = len(steps) if counts[-1] == counts[earliest] else earliest
    between = [change for changes in steps[earliest:state_index] for change in changes if change.after is not None]
    return ExportedState(
        _marks_after(steps[:state_index]),
        {change.key for change in between if change.before is not None},
        {change.key for change in between if change.before is None},
    )


def _label(mark: Annotation) -> tuple[object, ...]:
    return mark.annotator, mark.tier, mark.emotion, mark.note if mark.emotion is None else ""


def _marks_after(steps: Sequence[Sequence[Change]]) -> dict[str, Annotation]:
    marks: dict[str, Annotation | None] = {change.key: change.after for changes in steps for change in changes}
    return {key: mark for key, mark in marks.items() if mark is not None}


def _changes_outside_history(
    history_steps: Sequence[Sequence[Change]], current: Mapping[str, Annotation]
) -> list[Change]:
    """Return the changes that no step contains, such as those of marks that were deleted with their tier."""
    before = _marks_after(history_steps)
    keys = [*current, *(key for key in before if key not in current)]
    pairs = ((before.get(key), current.get(key)) for key in keys)
    return [Change(was, now) for was, now in pairs if was is None or now is None or was.revision != now.revision]
