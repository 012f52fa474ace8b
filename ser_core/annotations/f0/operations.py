"""Corrections of F0 by hand: operations on a stretch, and the measures that depend on F0.

A correction gives a frame another F0 in Hz, or 0 to make it unvoiced, as in Praat. Other frames have their measured F0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ser_core.analysis import Recording, Region
from ser_core.audio.acoustics import Tracks, harmonics_to_noise, spectral_tilt
from ser_core.errors import SettingsRefused
from ser_core.settings import F0Settings
from ser_core.work.progress import Work

UNVOICED = 0.0

#: Operations, each with the reason if it changes nothing.
OPERATIONS = {
    "halve": "no frame there has an F0",
    "double": "no frame there has an F0",
    "unvoice": "no frame there has an F0",
    "voice": "no frame there was made unvoiced by hand",
    "reset": "no frame there was corrected",
    "draw": "it is as it was drawn already",
}


def f0_changes(
    operation: str,
    measured_hz: np.ndarray,
    corrected_hz: Mapping[int, float],
    region: Region,
    drawn_hz: Sequence[float] = (),
) -> dict[int, float | None]:
    """Return the changes by an operation on the frames whose middle lies in a region.

    Parameters
    ----------
    operation : {"halve", "double", "unvoice", "voice", "reset", "draw"}
        "voice" undoes "unvoice", "reset" undoes every correction, "draw" uses `drawn_hz`.
    measured_hz : ndarray of shape (frames,)
        NaN: unvoiced.
    corrected_hz : mapping of int to float
        Earlier corrections by frame; 0: unvoiced.
    drawn_hz : sequence of float
        One value for each frame in the region.

    Returns
    -------
    changes : dict of int to float or None
        By frame; None: as measured.

    Raises
    ------
    SettingsRefused
        If nothing would change, or an F0 would be out of range.
    """
    times_s = F0Settings().hop_s * (np.arange(len(measured_hz)) + 0.5)
    frames = np.flatnonzero((times_s >= region.start_s) & (times_s < region.end_s))
    measured = np.nan_to_num(measured_hz[frames], nan=UNVOICED)
    known = [corrected_hz.get(int(frame)) for frame in frames]
    is_corrected = np.array([hz is not None for hz in known], bool)
    before = np.array([hz if hz is not None else own for hz, own in zip(known, measured, strict=True)], float)
    if operation == "draw" and len(drawn_hz) != len(frames):
        raise SettingsRefused(f"F0 was drawn for {len(drawn_hz)} frames instead of {len(frames)}. Draw it again.")
    after = {
        "halve": lambda: before / 2,
        "double": lambda: before * 2,
        "unvoice": lambda: np.zeros_like(before),
        "voice": lambda: np.where(before == UNVOICED, measured, before),
        "reset": lambda: measured,
        "draw": lambda: np.array(drawn_hz, float),
    }[operation]()
    low_hz, high_hz = F0Settings().corrected_hz
    outside = after[(after != UNVOICED) & ~((after >= low_hz) & (after <= high_hz))]
    if len(outside):
        raise SettingsRefused(
            f"F0 would be {outside[0]:.4g} Hz; it can be {low_hz:g} to {high_hz:g} Hz. Choose other frames, or draw it."
        )
    changed = (after != before) | (is_corrected & (operation == "reset"))
    if not changed.any():
        raise SettingsRefused(
            f"F0 from {region.start_s:.2f} to {region.end_s:.2f} s stays as it is: {OPERATIONS[operation]}."
        )
    return {
        int(frame): None if value == own else float(value)
        for frame, value, own in zip(frames[changed], after[changed], measured[changed], strict=True)
    }


def with_corrected_f0(tracks: Tracks, corrected_hz: Mapping[int, float], known: Tracks | None = None) -> Tracks:
    """Return tracks with the corrected F0.

    The harmonics-to-noise ratio and the spectral tilt depend on F0. They come from the known tracks, and are NaN where
    these have another F0.

    Parameters
    ----------
    corrected_hz : mapping of int to float
        By frame; 0: unvoiced. Frames outside of the tracks are ignored.
    known : Tracks, optional
        Of the same frames, with earlier corrections; by default the tracks themselves.
    """
    known = known or tracks
    frames = np.array([frame for frame in sorted(corrected_hz) if 0 <= frame < len(tracks.f0_hz)], int)
    if not len(frames):
        return tracks
    f0_hz = tracks.f0_hz.copy()
    f0_hz[frames] = [corrected_hz[int(frame)] for frame in frames]
    f0_hz[f0_hz == UNVOICED] = np.nan
    is_known = f0_hz == known.f0_hz
    return replace(
        tracks,
        f0_hz=f0_hz,
        hnr_db=np.where(is_known, known.hnr_db, np.nan),
        tilt_db_per_octave=np.where(is_known, known.tilt_db_per_octave, np.nan),
        measured_f0_hz=tracks.f0_hz,
    )


def corrected_tracks(
    tracks: Tracks,
    recording: Recording,
    corrected_hz: Mapping[int, float],
    known: Tracks | None = None,
    work: Work | None = None,
) -> Tracks:
    """Return tracks with the corrected F0, and the harmonics-to-noise ratio and spectral tilt for it.

    Parameters as of `with_corrected_f0`; only frames whose F0 differs from the known tracks are measured.

    Raises
    ------
    Cancelled
    """
    work, known = work or Work(), known or tracks
    corrected = with_corrected_f0(tracks, corrected_hz, known)
    new = np.flatnonzero((corrected.f0_hz != known.f0_hz) & ~np.isnan(corrected.f0_hz))
    if corrected is tracks or not len(new):
        return corrected
    times_s, f0_hz = tracks.times_s[new], corrected.f0_hz[new]
    corrected.hnr_db[new] = harmonics_to_noise(recording, times_s, f0_hz, work.part(0, 2))
    corrected.tilt_db_per_octave[new] = spectral_tilt(recording, times_s, work.part(1, 2))
    return corrected
