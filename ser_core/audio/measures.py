"""Measures of a stretch of a recording: F0, intensity, formants and voice quality."""

from dataclasses import dataclass

import numpy as np

from ser_core.analysis import Region
from ser_core.audio.acoustics import FORMANTS, Tracks

#: A slope through fewer voiced frames means nothing.
MIN_SLOPE_FRAMES = 3


@dataclass(frozen=True)
class Measures:
    """Measures of a stretch, over the frames whose middle lies in it; None if there is nothing to measure.

    The page docs/measures.md describes each one.

    Attributes
    ----------
    duration_s : float
    voiced_percent : float or None
        Share of frames with an F0.
    f0_mean_hz, f0_lowest_hz, f0_highest_hz : float or None
    f0_range_st : float or None
        From the lowest to the highest, in semitones.
    f0_slope_st_per_s : float or None
        Slope of the least-squares line through F0 in semitones over time.
    intensity_db : float or None
        Level of the mean power, re 20 micropascal.
    f1_hz, f2_hz, f3_hz, f4_hz : float or None
        At the midpoint.
    hnr_db, tilt_db_per_octave : float or None
        Means over the voiced frames.
    f0_corrected_frames : int
        How many frames have an F0 that was corrected by hand.
    """

    duration_s: float
    voiced_percent: float | None
    f0_mean_hz: float | None
    f0_lowest_hz: float | None
    f0_highest_hz: float | None
    f0_range_st: float | None
    f0_slope_st_per_s: float | None
    intensity_db: float | None
    f1_hz: float | None
    f2_hz: float | None
    f3_hz: float | None
    f4_hz: float | None
    hnr_db: float | None
    tilt_db_per_octave: float | None
    f0_corrected_frames: int


def measures_of(tracks: Tracks, region: Region) -> Measures:
    """Return the measures of a stretch of the recording with these tracks."""
    times_s = tracks.times_s
    within = (times_s >= region.start_s) & (times_s < region.end_s)
    f0_hz = tracks.f0_hz[within]
    voiced = ~np.isnan(f0_hz)
    semitones = 12 * np.log2(f0_hz[voiced])
    has_slope = len(semitones) >= MIN_SLOPE_FRAMES
    formants = _at_midpoint(tracks, region)
    return Measures(
        duration_s=region.duration_s,
        voiced_percent=_or_none(100 * voiced.mean()) if len(voiced) else None,
        f0_mean_hz=_mean(f0_hz),
        f0_lowest_hz=_or_none(f0_hz[voiced].min(initial=np.inf)),
        f0_highest_hz=_or_none(f0_hz[voiced].max(initial=-np.inf)),
        f0_range_st=_or_none(np.ptp(semitones)) if len(semitones) else None,
        f0_slope_st_per_s=_or_none(np.polyfit(times_s[within][voiced], semitones, 1)[0]) if has_slope else None,
        intensity_db=_mean_of_power(tracks.intensity_db[within]),
        **{f"f{number + 1}_hz": _or_none(formants[number]) for number in range(FORMANTS)},
        hnr_db=_mean(tracks.hnr_db[within]),
        tilt_db_per_octave=_mean(tracks.tilt_db_per_octave[within]),
        f0_corrected_frames=int(tracks.f0_is_corrected[within].sum()),
    )


def _at_midpoint(tracks: Tracks, region: Region) -> np.ndarray:
    """Return the formants at the midpoint, on the line between the two frames around it."""
    position = (region.start_s + region.end_s) / 2 / tracks.hop_s - 0.5
    before = int(np.floor(position))
    if before < 0 or before + 1 >= len(tracks.formants_hz):
        return np.full(FORMANTS, np.nan)
    share = position - before
    return (1 - share) * tracks.formants_hz[before] + share * tracks.formants_hz[before + 1]


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _mean_of_power(levels_db: np.ndarray) -> float | None:
    power = _mean(10 ** (levels_db / 10))
    return None if power is None else float(10 * np.log10(power))


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
