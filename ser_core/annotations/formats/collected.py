"""The marks of a file while it is read: moved, cut at zero, left out without a length, and each of it counted."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ser_core.annotations.annotation import RECORDING_TIER, Annotation
from ser_core.annotations.formats.format import ReadOptions, counted
from ser_core.annotations.formats.gate import annotation_of, at, number

POINT = "{} of a point in time"
BEFORE = "{} before the start of the recording"
CUT = "{} cut at the start of the recording"


class Collected:
    """The marks of one recording.

    Parameters
    ----------
    duration_s : float or None
        Length of the recording, if the file gives it.
    exact : bool
        Refuse a mark without a length or before the start, which only a damaged file of ours holds.

    Attributes
    ----------
    annotations : list of Annotation
    left_out, altered : Counter of str
        How many marks were left out and altered, by words with {} for their number.
    """

    def __init__(self, options: ReadOptions, duration_s: float | None = None, exact: bool = False) -> None:
        self.annotations: list[Annotation] = []
        self.left_out: Counter[str] = Counter()
        self.altered: Counter[str] = Counter()
        self._offset_s = options.offset_s
        self._duration_s = duration_s
        self._exact = exact and not options.offset_s

    def add(self, fields: Mapping[str, Any], place: str) -> None:
        """Add the mark that a flat dict describes, as `gate.annotation_of` takes it.

        Raises
        ------
        AnnotationsRefused
            If it is not a valid mark, after its place.
        """
        with at(place):
            fields = self._moved(fields)
            if fields:
                self.annotations.append(annotation_of(fields, self._duration_s))

    def _moved(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._exact or None in (fields.get("start_s"), fields.get("end_s")):
            return fields  # as they are, or to be refused by the gate
        offset_s = 0.0 if fields.get("tier") == RECORDING_TIER else self._offset_s
        start_s, end_s = number(fields["start_s"], "start") + offset_s, number(fields["end_s"], "end") + offset_s
        if start_s == end_s:
            self.left_out[POINT] += 1
            return {}
        if start_s < 0 and start_s < end_s:
            if end_s <= 0:
                self.left_out[BEFORE] += 1
                return {}
            self.altered[CUT] += 1
            start_s = 0.0
        return {**fields, "start_s": start_s, "end_s": end_s}


def in_words(counts: Mapping[str, int], noun: str = "mark") -> tuple[str, ...]:
    """Return counts as sentences' parts: `3 marks of a point in time`."""
    return tuple(words.format(counted(count, noun)) for words, count in counts.items() if count)
