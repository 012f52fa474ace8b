"""Parts that explainers share: the target, predictions of perturbed recordings, and stitching maps of segments."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from ser_core.analysis import Explanation, Segments
from ser_core.errors import SettingsRefused
from ser_core.front_end.segments import noise_floor
from ser_core.model.classifier import MAX_STATES, Classifier, ScoreLocalChanges
from ser_core.model.networks.local_change import thread_pool
from ser_core.model.scores import PROBABILITY_FLOOR, evidence, pooled, pooling_terms, softmax
from ser_core.work.progress import Work

Predict = Callable[[np.ndarray], np.ndarray]
#: A member, and the first and the end (excluded) of its frames that change.
_Change = tuple[int, int, int]


class _Group(NamedTuple):
    """Changed segments that are scored together, with their masks and members."""

    change: _Change | None
    masks: tuple[int, ...]
    members: tuple[int, ...]
    segments: np.ndarray


#: Segments per call of the network; few, so that progress is frequent and a stop takes effect soon.
PASSES_AT_ONCE = 32
#: Local changes per call; several calls run in parallel.
LOCAL_CHANGES_AT_ONCE = 16
#: Calls that may wait for a free thread.
MAX_WAITING_CALLS = 4
#: Maximum number of frames of changed segments that wait for a call; 100 MB.
MAX_WAITING_FRAMES = 400_000
#: Cells and boxes, even those of a draft, have at most this many frames; a longer change is scored with its segment.
MAX_LOCAL_FRAMES = 32
FILLS = ("noise_floor", "band_mean", "random")
#: The colour scale ends at this quantile of a map's absolute relevance; a few extreme points would make the rest pale.
COLOUR_LIMIT_QUANTILE = 0.995


@dataclass(frozen=True, eq=False)
class ExplanationTarget:
    """What to explain: an emotion, against another or all others, in a stretch of a recording.

    Attributes
    ----------
    log_mel : ndarray of shape (frames, bands), float32
    emotion, against : int
        Indices of the model's emotions; `against` None: all others together.
    first_frame, end_frame : int
        The stretch, its end excluded.
    """

    log_mel: np.ndarray
    segments: Segments
    emotion: int
    against: int | None
    first_frame: int
    end_frame: int

    @property
    def members(self) -> np.ndarray:
        """Indices of the selected segments whose centre lies in the stretch, or of the one nearest to it."""
        middles = self.segments.start_frames + self.segments.segment_frames / 2
        selected = np.flatnonzero(self.segments.selected)
        inside = selected[(middles[selected] >= self.first_frame) & (middles[selected] <= self.end_frame)]
        if len(inside):
            return inside
        return selected[[np.argmin(np.abs(middles[selected] - (self.first_frame + self.end_frame) / 2))]]

    @property
    def covered(self) -> np.ndarray:
        """Frames of the stretch that a member covers, shape (frames,), bool."""
        covered = np.zeros(len(self.log_mel), bool)
        for start in self.segments.start_frames[self.members]:
            covered[start : start + self.segments.segment_frames] = True
        covered[: self.first_frame] = covered[self.end_frame :] = False
        return covered

    def evidence(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the evidence (...) of probabilities (..., classes)."""
        return evidence(probabilities, self.emotion, self.against)

    def margin(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the log ratio (...) of the emotion to its contrast, or to the best of all others."""
        logs = np.log(np.clip(probabilities, PROBABILITY_FLOOR, 1))
        others = np.delete(logs, self.emotion, axis=-1) if self.against is None else logs[..., [self.against]]
        return logs[..., self.emotion] - others.max(axis=-1)


class ExplainerResult(Protocol):
    """The result of an explainer, from which the map of any emotion against any other follows."""

    def relevance(self, target: ExplanationTarget) -> np.ndarray:
        """Return the map (frames, bands), float32, of a target in the explained stretch."""

    def stability(self, target: ExplanationTarget) -> float | None:
        """Return the expected correlation with the map of another seed; None if nothing is random."""

    def standard_error(self, target: ExplanationTarget) -> np.ndarray | None:
        """Return how far each point (frames, bands), float32, differs with another seed; None if unknown."""


def contrasted(logit_maps: np.ndarray, original: np.ndarray, target: ExplanationTarget) -> np.ndarray:
    """Return a map of a target's evidence from maps of all logits.

    It is the difference of two logits, or a logit minus the mean of all others weighted by their probabilities, because
    log-odds change that way with the logits. What raises all logits equally is evidence for no emotion.

    Parameters
    ----------
    logit_maps : ndarray of shape (classes, ...)
    original : ndarray of shape (classes,)
        The recording's probabilities.
    """
    if target.against is not None:
        return logit_maps[target.emotion] - logit_maps[target.against]
    others = original.copy()
    others[target.emotion] = 0
    others /= max(others.sum(), 1e-12)
    return (logit_maps[target.emotion] - np.tensordot(others, logit_maps, 1)).astype(np.float32)


def stitch(maps: np.ndarray, target: ExplanationTarget) -> np.ndarray:
    """Stitch maps of the members into one of the recording: in each frame, the mean over the members that cover it.

    Parameters
    ----------
    maps : ndarray of shape (members, segment_frames, bands)

    Returns
    -------
    ndarray of shape (frames, bands), float32
        0 where `target.covered` is False.
    """
    frames = max(len(target.log_mel), maps.shape[1])
    total, count = np.zeros((frames, maps.shape[2])), np.zeros((frames, 1))
    for start, map_ in zip(target.segments.start_frames[target.members], maps, strict=True):
        total[start : start + len(map_)] += map_
        count[start : start + len(map_)] += 1
    relevance = (total / np.maximum(count, 1))[: len(target.log_mel)].astype(np.float32)
    relevance[~target.covered] = 0
    return relevance


def colour_limit(explanation: Explanation) -> float:
    """Return the relevance at which the colour scale of a map ends; 0 if no frame is covered, or all are 0."""
    strength = np.abs(explanation.relevance[explanation.covered])
    return float(np.quantile(strength, COLOUR_LIMIT_QUANTILE)) if strength.size else 0.0


def fill_values(log_mel: np.ndarray, fill: str, rng: np.random.Generator) -> np.ndarray:
    """Return the values that replace removed cells, shape (frames, bands), float32.

    `band_mean` is each band's mean, `noise_floor` its 5th percentile, `random` its own values in random order.
    """
    if fill == "band_mean":
        return np.broadcast_to(log_mel.mean(axis=0), log_mel.shape)
    if fill == "noise_floor":
        return np.broadcast_to(noise_floor(log_mel), log_mel.shape)
    if fill == "random":
        return rng.permuted(log_mel, axis=0)
    raise SettingsRefused(f"There is no fill '{fill}'; choose one of {', '.join(FILLS)}.")


class Perturbed:
    """A recording's probabilities when parts of its log-mel spectrogram are replaced.

    Only segments that a mask touches are predicted again. The results can be read for any emotion.

    Parameters
    ----------
    predict : callable
        Segments (n, segment_frames, bands) to logits (n, classes).
    fill : ndarray of shape (frames, bands)
    pooling : str
        The model's pooling (see `ser_core.model.scores.pool`).
    score_local_changes : callable or None
        The classifier's method of that name, which scores changes of a few frames faster and nearly as exactly.

    Attributes
    ----------
    original : ndarray of shape (classes,), float64
        Probabilities of the unchanged members.
    """

    def __init__(
        self,
        predict: Predict,
        temperature: float,
        target: ExplanationTarget,
        fill: np.ndarray,
        pooling: str = "probabilities",
        score_local_changes: Callable[[np.ndarray], ScoreLocalChanges | None] | None = None,
    ) -> None:
        self._predict, self._temperature, self._target = predict, temperature, target
        self._pooling = pooling
        self._starts = target.segments.start_frames[target.members]
        self._length = target.segments.segment_frames
        self._values = target.segments.values[target.members]
        self._fill = fill
        self._local = None
        self._unchanged_by_member: dict[int, np.ndarray] = {}
        if score_local_changes is not None:
            # No reference to this object: a cycle would keep the states until the garbage collector runs.
            values = self._values
            self._local = lru_cache(MAX_STATES)(lambda member: score_local_changes(values[member]))
        self._unchanged = self._terms(self._values)
        self.original = pooled(self._unchanged.mean(axis=0), pooling)

    @classmethod
    def of_classifier(
        cls, classifier: Classifier, target: ExplanationTarget, fill: np.ndarray, *, locally: bool = False
    ) -> "Perturbed":
        """Use the predictions of a classifier; `locally`: with its `score_local_changes`, if it has that method."""
        local = getattr(classifier, "score_local_changes", None) if locally else None
        return cls(classifier.score, classifier.temperature, target, fill, classifier.pooling, local)

    def without(self, masks: Iterable[np.ndarray], count: int, work: Work) -> np.ndarray:
        """Return the probabilities when the cells of each mask are filled.

        Parameters
        ----------
        masks : iterable of ndarray of shape (frames, bands), bool
            True where the fill replaces a point.
        count : int
            Number of masks, for the progress.

        Returns
        -------
        ndarray of shape (count, classes), float64
        """
        changed = np.tile(self._unchanged.sum(axis=0), (count, 1))
        done = 0
        for group, terms in self._scored(self._groups(masks), work):
            for mask, member, segment_terms in zip(group.masks, group.members, terms, strict=True):
                before = self._unchanged[member] if group.change is None else self._unchanged_locally(member)
                changed[mask] += segment_terms - before
            done = max(done, group.masks[-1] + 1)
            work.report(done / count, f"{done} of {count} changed versions predicted")
        return pooled(changed / len(self._unchanged), self._pooling)

    def _groups(self, masks: Iterable[np.ndarray]) -> Iterator[_Group]:
        """Yield the changed segments: those with the same local change together, and all others together."""
        max_segments = min(PASSES_AT_ONCE, max(1, MAX_WAITING_FRAMES // self._length))
        waiting: dict[_Change | None, list[tuple[int, int, np.ndarray]]] = {}
        previous_rows = range(0)

        def group(change: _Change | None) -> _Group:
            numbers, members, segments = zip(*waiting.pop(change), strict=True)
            return _Group(change, numbers, members, np.stack(segments))

        for number, mask in enumerate(masks):
            rows = _rows(mask)
            if rows != previous_rows:
                yield from [group(change) for change in list(waiting) if change is not None]
                previous_rows = rows
            for member, segment in self._changed_segments(mask, rows):
                change = self._local_change(member, rows)
                waiting.setdefault(change, []).append((number, member, segment))
                if len(waiting[change]) == (max_segments if change is None else LOCAL_CHANGES_AT_ONCE):
                    yield group(change)
        yield from [group(change) for change in list(waiting)]

    def _scored(self, groups: Iterable[_Group], work: Work) -> Iterator[tuple[_Group, np.ndarray]]:
        """Yield each group with its segments' pooling terms; local changes are scored in parallel."""
        scoring: deque[tuple[_Group, Future[np.ndarray]]] = deque()
        for group in groups:
            work.check()
            if group.change is None:
                yield group, self._terms(group.segments)
                continue
            scoring.append((group, thread_pool().submit(self._terms, group.segments, group.change)))
            if len(scoring) > MAX_WAITING_CALLS:
                first, terms = scoring.popleft()
                yield first, terms.result()
        for group, terms in scoring:
            work.check()
            yield group, terms.result()

    def blend(self, share: np.ndarray) -> np.ndarray:
        """Return the probabilities (classes,) when a share (frames, bands), 0 to 1, of each point is the fill."""
        segments = self._values.copy()
        for segment, start in zip(segments, self._starts, strict=True):
            fill_share = share[start : start + self._length]
            fill = self._fill[start : start + self._length]
            segment[: len(fill_share)] += fill_share * (fill - segment[: len(fill_share)])
        return pooled(self._terms(segments).mean(axis=0), self._pooling)

    def _terms(self, segments: np.ndarray, change: _Change | None = None) -> np.ndarray:
        logits = self._predict(segments) if change is None else self._local(change[0])(segments, *change[1:])
        return pooling_terms(softmax(logits, self._temperature), self._pooling)

    def _unchanged_locally(self, member: int) -> np.ndarray:
        """Return the terms of an unchanged member, computed as for local changes, because rounding may differ."""
        if member not in self._unchanged_by_member:
            self._unchanged_by_member[member] = self._terms(self._values[member][None], (member, 0, 1))[0]
        return self._unchanged_by_member[member]

    def _changed_segments(self, mask: np.ndarray, rows: range) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each member that a mask touches in the given frames, and its segment with the fill."""
        if not rows:
            return
        for member in np.flatnonzero((self._starts < rows.stop) & (self._starts + self._length > rows.start)):
            start = self._starts[member]
            filled = mask[start : start + self._length]
            if filled.any():
                segment = self._values[member].copy()
                # The padding of a short recording lies after its last frame and is never replaced.
                segment[: len(filled)][filled] = self._fill[start : start + self._length][filled]
                yield int(member), segment

    def _local_change(self, member: int, rows: range) -> _Change | None:
        """Return a member and its frames that change, or None if it must be scored as a whole."""
        if len(rows) > MAX_LOCAL_FRAMES or self._local is None or self._local(member) is None:
            return None
        start = int(self._starts[member])
        return member, max(rows.start - start, 0), min(rows.stop - start, self._length)


def _rows(mask: np.ndarray) -> range:
    """Return the frames from the first to the last that a mask (frames, bands) touches."""
    touched = np.flatnonzero(mask.any(axis=1))
    return range(int(touched[0]), int(touched[-1]) + 1) if len(touched) else range(0)
