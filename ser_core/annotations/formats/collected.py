"""The marks of a file while it is read: shifted, cut at 0 s or left out before it, and points moved to their own tiers.

Each of these changes is counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ser_core.analysis import Point
from ser_core.annotations.annotation import RECORDING_TIER, REGION_TIER, Annotation
from ser_core.annotations.formats.fields import annotation_of
from ser_core.annotations.formats.format import ReadOptions, counted
from ser_core.annotations.formats.values import error_context, number

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
        Refuse a mark without a length or before the start: in our own format it is a sign of damage.

    Attributes
    ----------
    annotations : list of Annotation
        Points in a tier of intervals are moved to a tier of their own.
    left_out, altered : Counter of str
        Numbers of marks that were left out and altered, by a text with {} for the number.
    """

    def __init__(self, options: ReadOptions, duration_s: float | None = None, exact: bool = False) -> None:
        self._marks: list[Annotation] = []
        self._point_tiers: set[str] = set()
        self._moved_apart = 0
        self.left_out: Counter[str] = Counter()
        self.altered: Counter[str] = Counter()
        self._offset_s = options.offset_s
        self._duration_s = duration_s
        self._exact = exact and not options.offset_s

    @property
    def annotations(self) -> list[Annotation]:
        interval_tiers = {mark.tier for mark in self._marks if not isinstance(mark.region, Point)} - self._point_tiers
        found = [
            replace(mark, tier=POINTS_OF.format(mark.tier))
            if isinstance(mark.region, Point) and mark.tier in interval_tiers
            else mark
            for mark in self._marks
        ]
        moved_now = sum(mark.tier != before.tier for mark, before in zip(found, self._marks, strict=True))
        self.altered[POINT] = self._moved_apart + moved_now
        return found

    def append(self, mark: Annotation) -> None:
        """Add a mark as it is."""
        self._marks.append(mark)

    def add(self, fields: Mapping[str, Any], location: str, is_point: bool = False) -> None:
        """Add the mark that a flat dict describes, as `fields.annotation_of` takes it.

        Parameters
        ----------
        is_point : bool
            Whether its tier is one of points.

        Raises
        ------
        AnnotationsRefused
            If it is not a valid mark, after its location.
        """
        with error_context(location):
            fields = self._shifted(fields, is_point)
            if fields:
                self.append(annotation_of(fields, self._duration_s))

    def _shifted(self, fields: Mapping[str, Any], is_point: bool) -> Mapping[str, Any]:
        if self._exact or None in (fields.get("start_s"), fields.get("end_s")):
            return fields  # `annotation_of` refuses missing times
        offset_s = 0.0 if fields.get("tier") == RECORDING_TIER else self._offset_s
        start_s, end_s = number(fields["start_s"], "start") + offset_s, number(fields["end_s"], "end") + offset_s
        if start_s == end_s:
            if start_s < 0:
                self.left_out[BEFORE] += 1
                return {}
            tier = fields.get("tier") or REGION_TIER
            if is_point:
                self._point_tiers.add(tier)
            elif tier in (REGION_TIER, RECORDING_TIER):
                fields = {**fields, "tier": POINTS_OF.format(tier)}
                self._moved_apart += 1
        if start_s < 0 and start_s < end_s:
            if end_s <= 0:
                self.left_out[BEFORE] += 1
                return {}
            self.altered[CUT] += 1
            start_s = 0.0
        return {**fields, "start_s": start_s, "end_s": end_s}


def totals_in_words(collected: Iterable[Collected]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return, in words, the numbers of marks of several recordings that were left out and altered."""
    left_out: Counter[str] = Counter()
    altered: Counter[str] = Counter()
    for marks in collected:
        left_out += marks.left_out
        altered += marks.altered
    return in_words(left_out), in_words(altered)


def in_words(counts: Mapping[str, int], noun: str = "mark") -> tuple[str, ...]:
    """Return counts as parts of sentences: `3 marks cut at the start of the recording`."""
    return tuple(words.format(counted(count, noun)) for words, count in counts.items() if count)
