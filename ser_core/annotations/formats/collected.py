"""The marks of a file while it is read: moved, cut at zero, left out before it, points put apart, and each counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ser_core.analysis import Point
from ser_core.annotations.annotation import RECORDING_TIER, REGION_TIER, Annotation
from ser_core.annotations.formats.format import ReadOptions, counted
from ser_core.annotations.formats.gate import annotation_of, at, number

POINT = "{} without a length, as points in a tier beside the others"
POINTS_OF = "{} points"
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
        Points that are beside intervals in a tier have one of their own.
    left_out, altered : Counter of str
        How many marks were left out and altered, by words with {} for their number.
    """

    def __init__(self, options: ReadOptions, duration_s: float | None = None, exact: bool = False) -> None:
        self._marks: list[Annotation] = []
        self._of_points: set[str] = set()
        self._apart = 0
        self.left_out: Counter[str] = Counter()
        self.altered: Counter[str] = Counter()
        self._offset_s = options.offset_s
        self._duration_s = duration_s
        self._exact = exact and not options.offset_s

    @property
    def annotations(self) -> list[Annotation]:
        of_intervals = {mark.tier for mark in self._marks if not isinstance(mark.region, Point)} - self._of_points
        found = [
            replace(mark, tier=POINTS_OF.format(mark.tier))
            if isinstance(mark.region, Point) and mark.tier in of_intervals
            else mark
            for mark in self._marks
        ]
        apart = self._apart + sum(one.tier != other.tier for one, other in zip(found, self._marks, strict=True))
        self.altered[POINT] = apart
        return found

    def take(self, mark: Annotation) -> None:
        """Add a mark as it is."""
        self._marks.append(mark)

    def add(self, fields: Mapping[str, Any], place: str, is_point: bool = False) -> None:
        """Add the mark that a flat dict describes, as `gate.annotation_of` takes it.

        Parameters
        ----------
        is_point : bool
            Whether its tier is one of points.

        Raises
        ------
        AnnotationsRefused
            If it is not a valid mark, after its place.
        """
        with at(place):
            fields = self._moved(fields, is_point)
            if fields:
                self.take(annotation_of(fields, self._duration_s))

    def _moved(self, fields: Mapping[str, Any], is_point: bool) -> Mapping[str, Any]:
        if self._exact or None in (fields.get("start_s"), fields.get("end_s")):
            return fields  # as they are, or to be refused by the gate
        offset_s = 0.0 if fields.get("tier") == RECORDING_TIER else self._offset_s
        start_s, end_s = number(fields["start_s"], "start") + offset_s, number(fields["end_s"], "end") + offset_s
        if start_s == end_s:
            if start_s < 0:
                self.left_out[BEFORE] += 1
                return {}
            tier = fields.get("tier") or REGION_TIER
            if is_point:
                self._of_points.add(tier)
            elif tier in (REGION_TIER, RECORDING_TIER):
                fields = {**fields, "tier": POINTS_OF.format(tier)}
                self._apart += 1
        if start_s < 0 and start_s < end_s:
            if end_s <= 0:
                self.left_out[BEFORE] += 1
                return {}
            self.altered[CUT] += 1
            start_s = 0.0
        return {**fields, "start_s": start_s, "end_s": end_s}


def in_all(collected: Iterable[Collected]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return, in words, how many marks of several recordings were left out and altered."""
    left_out: Counter[str] = Counter()
    altered: Counter[str] = Counter()
    for marks in collected:
        left_out += marks.left_out
        altered += marks.altered
    return in_words(left_out), in_words(altered)


def in_words(counts: Mapping[str, int], noun: str = "mark") -> tuple[str, ...]:
    """Return counts as sentences' parts: `3 marks cut at the start of the recording`."""
    return tuple(words.format(counted(count, noun)) for words, count in counts.items() if count)
