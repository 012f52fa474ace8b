"""Focus: from a map's profile over time to the stretches that decide the verdict."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ser_core.analysis import Explanation, FocusRegion, Region, frame_edge_s
from ser_core.explanation.relevance import ExplanationTarget, Perturbed
from ser_core.front_end.spectrogram import band_edges_hz
from ser_core.settings import FocusSettings, SpectrogramSettings
from ser_core.work.progress import Work

#: Shares of the speech to try, the smallest first.
SHARES = (0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50)
#: Candidates that are tried together; the next ones only if none of these decides.
CANDIDATES_AT_ONCE = 3
#: The share of the focus that is shown before the model has been run on candidates.
DEFAULT_SHARE = 0.35
#: Regions with less than this share of the strongest one's evidence do not belong to a focus that decides.
WEAKEST_REGION = 0.25
#: Margins, in log-odds, by which the verdict must hold on the focus alone and change without it. Edges in sound differ
#: from those in a spectrogram, so a focus that barely passes here may fail as sound.
MIN_MARGIN_ALONE, MIN_MARGIN_WITHOUT = 0.3, 0.4
#: Larger margins count no more than this: a verdict that holds firmly is no better than one that holds.
MAX_MARGIN = 1.0
#: Cost of a larger focus: margin per unit share of the speech.
COST_OF_SPEECH = 2.0


def relevance_profile(relevance: np.ndarray, covered: np.ndarray, smoothing_frames: int) -> np.ndarray:
    """Return relevance over time: the smoothed mean over bands.

    Parameters
    ----------
    relevance : ndarray of shape (frames, bands)
    covered : ndarray of shape (frames,), bool
        Other frames do not count in the mean, and their profile is 0.
    smoothing_frames : int
        Length of the centred moving average; one frame is added to an even one, so that it has a middle.

    Returns
    -------
    ndarray of shape (frames,), float64
        0 where `covered` is False. At the edges only existing frames are averaged.
    """
    window = np.ones(smoothing_frames + 1 - smoothing_frames % 2)
    reach = len(window) // 2
    # "full", trimmed: for a recording shorter than the window, "same" would return the window's length.
    total = np.convolve(np.where(covered, relevance.mean(axis=1), 0.0), window)[reach : reach + len(relevance)]
    count = np.convolve(covered.astype(float), window)[reach : reach + len(relevance)]
    return np.where(covered, total / np.maximum(count, 1), 0.0)


def focus_regions(
    profile: np.ndarray,
    usable: np.ndarray,
    log_mel: np.ndarray,
    duration_s: float,
    settings: FocusSettings,
    frames: SpectrogramSettings,
) -> tuple[FocusRegion, ...]:
    """Return the regions in which the profile is above its level for long enough, in order of time.

    Gaps shorter than `longest_closed_gap_s` are closed, unless a frame in them is not usable; then regions shorter than
    `shortest_region_s` are dropped. With a threshold that is all, as published. Otherwise `max_regions` and
    `weakest_region` select the regions with the most evidence, and each bound moves to the quietest frame within
    `snap_s`, so that a region sounds like a piece of speech.

    Parameters
    ----------
    profile : ndarray of shape (frames,)
    usable : ndarray of shape (frames,), bool
        Frames where focus may lie (see `usable_frames`).
    log_mel : ndarray of shape (frames, bands)
        In neper; a frame's mean is its level.
    duration_s : float
        The recording's; no region ends after it.

    References
    ----------
    Kim and Kwak 2024, Figs 30 and 31.
    """
    positive = float(profile[profile > 0].sum())
    above = (profile > focus_level(profile, usable, settings)) & usable
    shortest = settings.shortest_region_s / frames.frame_hop_s - 1e-9
    runs = [
        (start, end)
        for start, end in _runs(_with_gaps_closed(above, usable, settings.longest_closed_gap_s / frames.frame_hop_s))
        if end - start >= shortest
    ]
    if settings.threshold is None:
        runs = _strongest(runs, profile, settings)
        runs = _snapped(runs, usable, log_mel.mean(axis=1), round(settings.snap_s / frames.frame_hop_s), shortest)
    found = []
    for start, end in runs:
        start_s, end_s = frame_edge_s(start, frames), min(frame_edge_s(end, frames), duration_s)
        inside = profile[start:end]
        share = float(inside[inside > 0].sum()) / positive
        found.append(FocusRegion(Region(float(start_s), float(end_s)), float(inside.mean()), share))
    return tuple(found)


def focus_level(profile: np.ndarray, usable: np.ndarray, settings: FocusSettings) -> float:
    """Return the level of a profile (frames,) above which focus lies; never below zero."""
    highest = max(float(profile.max(initial=0.0)), 0.0)
    if settings.threshold is not None:
        return settings.threshold * highest
    if not usable.any():
        return highest
    share = DEFAULT_SHARE if settings.share is None else settings.share
    return max(float(np.quantile(profile[usable], 1 - share)), 0.0)


def usable_frames(covered: np.ndarray, speech: np.ndarray, min_frames: int) -> np.ndarray:
    """Return which frames may be focus, shape (frames,), bool: those in speech that was explained.

    If fewer than `min_frames` frames are speech, there is none or the detector failed; then all explained frames count.
    """
    in_speech = covered & speech
    return in_speech if np.count_nonzero(in_speech) >= min_frames else covered


def focus_frames(regions: Sequence[FocusRegion], frame_times_s: np.ndarray) -> np.ndarray:
    """Return for each frame (frames,) whether its middle lies in a region."""
    inside = np.zeros(len(frame_times_s), bool)
    for focus in regions:
        inside |= (frame_times_s >= focus.region.start_s) & (frame_times_s < focus.region.end_s)
    return inside


def deciding_candidate(
    candidates: Sequence[np.ndarray],
    sizes: Sequence[float],
    perturbed: Perturbed,
    target: ExplanationTarget,
    work: Work,
) -> int:
    """Return the index of the first focus that decides: alone it preserves the verdict, without it the verdict changes.

    The model is run twice on each, a few at a time: with everything else replaced by the fill, and with the focus
    replaced. If none passes, return the one with the best margins for its size.

    Parameters
    ----------
    candidates : sequence of ndarray of shape (frames,), bool
        In order of size.
    sizes : sequence of float
        Each candidate's share of the speech.
    """
    grid = np.ones(target.log_mel.shape[1], bool)
    # The margin of an emotion that is not the verdict is below zero; then the focus alone must do no worse.
    boundary = min(0.0, float(target.margin(perturbed.original)))
    alone, without = np.empty(len(candidates)), np.empty(len(candidates))
    firsts = range(0, len(candidates), CANDIDATES_AT_ONCE)
    for done, first in enumerate(firsts):
        batch = slice(first, first + CANDIDATES_AT_ONCE)
        masks = [mask[:, None] & grid for inside in candidates[batch] for mask in (~inside, inside)]
        margins = target.margin(perturbed.without(masks, len(masks), work.part(done, len(firsts))))
        alone[batch], without[batch] = margins[::2] - boundary, boundary - margins[1::2]
        passing = np.flatnonzero((alone[batch] > MIN_MARGIN_ALONE) & (without[batch] > MIN_MARGIN_WITHOUT))
        if len(passing):
            return first + int(passing[0])
    quality = np.minimum(alone, MAX_MARGIN) + np.minimum(without, MAX_MARGIN) - COST_OF_SPEECH * np.asarray(sizes)
    return int(np.argmax(quality))


def at_share(settings: FocusSettings, share: float) -> FocusSettings:
    """Return the settings of a focus that may decide: the strongest regions among this share of the speech."""
    return replace(settings, threshold=None, share=share, weakest_region=WEAKEST_REGION)


def missing_evidence_in_words(profile: np.ndarray, covered: np.ndarray, emotion: str) -> str | None:
    """Say that nothing supports the emotion, or that nothing was measured; None if there is evidence for it."""
    if not covered.any():
        return "No segment here was selected, so nothing was explained. Choose another stretch."
    if not profile.any():
        return f"No masked part changed the score for {emotion} enough to be measured."
    if not (profile > 0).any():
        return f"At no moment is there more evidence for {emotion} than against it."
    return None


def focus_in_words(profile: np.ndarray, covered: np.ndarray, emotion: str) -> str | None:
    """Describe a profile that never changes sign, which its picture does not show; None if the sign changes."""
    missing = missing_evidence_in_words(profile, covered, emotion)
    if missing is not None:
        return missing
    if (profile[covered] > 0).all():
        return (
            f"At every moment more speaks for {emotion} than against it; the focus is where the evidence is strongest. "
            "A contrast with one other emotion, or another explainer, tells stretches apart."
        )
    return None


def strongest_part(relevance: np.ndarray, settings: SpectrogramSettings) -> Region | None:
    """Return the part of a map around its highest point, in time and frequency, or None if nothing is above zero.

    Parameters
    ----------
    relevance : ndarray of shape (frames, bands)

    Returns
    -------
    Region or None
        The bounds of the area around the highest point that is at least half as high, after smoothing over 0.09 s and
        three bands.
    """
    smooth = ndimage.uniform_filter(np.maximum(relevance, 0), (9, 3), mode="nearest", output=np.float64)
    if not smooth.max() > 0:
        return None
    parts, _ = ndimage.label(smooth >= smooth.max() / 2)
    frames, bands = ndimage.find_objects(parts)[parts.flat[smooth.argmax()] - 1]
    edges = band_edges_hz(settings)
    # A band's filter overlaps its neighbours'; its own range ends half way to their centres.
    low, high = edges[bands.start : bands.start + 2].mean(), edges[bands.stop : bands.stop + 2].mean()
    start, end = (float(frame_edge_s(frame, settings)) for frame in (frames.start, frames.stop))
    return Region(start, end, float(low), float(high))


def map_in_words(explanation: Explanation, settings: SpectrogramSettings) -> str:
    """Describe where a map's evidence for the emotion, and against it, is strongest."""
    supports, opposes = (strongest_part(sign * explanation.relevance, settings) for sign in (1, -1))
    supporting = supports and f"evidence for {explanation.emotion} is strongest {_part_in_words(supports)}"
    opposing = opposes and f"evidence against it is strongest {_part_in_words(opposes)}"
    if supporting and opposing:
        return f"{supporting}; {opposing}"
    return supporting or opposing or "no evidence was found"


def _part_in_words(part: Region) -> str:
    low, high = (round(hz, -1 if hz < 1_000 else -2) for hz in (part.low_hz, part.high_hz))
    return f"from {part.start_s:.1f} to {part.end_s:.1f} s, {low:.0f} to {high:.0f} Hz"


def _strongest(runs: list[tuple[int, int]], profile: np.ndarray, settings: FocusSettings) -> list[tuple[int, int]]:
    evidence = np.array([float(np.maximum(profile[start:end], 0).sum()) for start, end in runs])
    min_evidence = settings.weakest_region * evidence.max(initial=0.0)
    strongest = np.argsort(evidence)[::-1][: settings.max_regions]
    return [runs[index] for index in sorted(strongest) if evidence[index] >= min_evidence]


def _snapped(
    runs: list[tuple[int, int]], usable: np.ndarray, level: np.ndarray, reach: int, shortest: float
) -> list[tuple[int, int]]:
    """Move each bound to the quietest frame in reach, but not into another region or out of the usable frames."""
    edges = [edge for run in runs for edge in run]
    for index, edge in enumerate(edges):
        is_end = index % 2 == 1
        low = max(edge - reach, edges[index - 1] if index else 0)
        high = min(edge + reach, edges[index + 1] if index + 1 < len(edges) else len(level))
        if is_end:
            low = max(low, int(np.ceil(edges[index - 1] + shortest)))
        else:
            high = min(high, int(np.floor(edges[index + 1] - shortest)))
        # The quietest frame stays outside.
        frames = np.arange(low, high + 1)
        frames = frames[(frames == edge) | [usable[min(f, edge) : max(f, edge)].all() for f in frames]]
        if len(frames):
            quiet = np.minimum(frames, len(level) - 1) if is_end else np.maximum(frames - 1, 0)
            edges[index] = int(frames[np.lexsort((np.abs(frames - edge), level[quiet]))[0]])
    return list(zip(edges[::2], edges[1::2], strict=True))


def _with_gaps_closed(above: np.ndarray, usable: np.ndarray, shorter_than: float) -> np.ndarray:
    closed = above.copy()
    for start, end in _runs(~above):
        between = start > 0 and end < len(above)
        if between and end - start < shorter_than - 1e-9 and usable[start:end].all():
            closed[start:end] = True
    return closed


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and the end (excluded) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
