"""Focus regions: the stretches in which the evidence speaks for the emotion."""

import numpy as np

from ser_core.analysis import FocusRegion, Region, frame_edge_s
from ser_core.settings import FocusSettings, SpectrogramSettings


def focus_regions(
    profile: np.ndarray, covered: np.ndarray, duration_s: float, settings: FocusSettings, frames: SpectrogramSettings
) -> tuple[FocusRegion, ...]:
    """Return where the profile is above the threshold for long enough, in order of time.

    Gaps shorter than `longest_closed_gap_s` are closed first, unless a frame in them is not covered; then what is
    shorter than `shortest_region_s` is dropped.

    Parameters
    ----------
    profile : ndarray of shape (frames,)
    covered : ndarray of shape (frames,), bool
    duration_s : float
        The recording's; no region ends after it.

    References
    ----------
    Kim and Kwak 2024, Figs 30 and 31.
    """
    positive = float(profile[profile > 0].sum())
    above = profile > focus_level(profile, settings)
    found = []
    for start, end in _runs(_gaps_closed(above, covered, settings.longest_closed_gap_s / frames.frame_hop_s)):
        if (end - start) * frames.frame_hop_s < settings.shortest_region_s - 1e-9:
            continue
        start_s, end_s = frame_edge_s(start, frames), min(frame_edge_s(end, frames), duration_s)
        inside = profile[start:end]
        share = float(inside[inside > 0].sum()) / positive
        found.append(FocusRegion(Region(float(start_s), float(end_s)), float(inside.mean()), share))
    return tuple(found)


def focus_level(profile: np.ndarray, settings: FocusSettings) -> float:
    """Return the level of a profile (frames,) above which focus lies; never below zero."""
    return settings.threshold * max(float(profile.max(initial=0.0)), 0.0)


def focus_in_words(profile: np.ndarray, covered: np.ndarray, emotion: str) -> str | None:
    """Say in words what a picture of a profile without a change of sign would hide, or None."""
    if covered.any() and not profile.any():
        return f"Nothing that was taken away changed the score for {emotion} enough to be measured."
    if not (profile > 0).any():
        return f"No stretch of this recording speaks for {emotion}: the evidence is nowhere above zero."
    if (profile[covered] > 0).all():
        return (
            f"All that was heard speaks for {emotion}: the evidence is above zero throughout. A higher threshold, "
            "a question against one other emotion, or another explainer tells stretches apart."
        )
    return None


def _gaps_closed(above: np.ndarray, covered: np.ndarray, shorter_than: float) -> np.ndarray:
    closed = above.copy()
    for start, end in _runs(~above):
        between = start > 0 and end < len(above)
        if between and end - start < shorter_than - 1e-9 and covered[start:end].all():
            closed[start:end] = True
    return closed


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and the end (excluded) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
