"""Acoustic correlates of emotion in regions: pitch and its range, level, syllable rate and spectral tilt."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import scipy

from ser_core.analysis import Recording, Region
from ser_core.audio.prosody import MIN_VOICED_FRAMES, RATE_HZ, Prosody, prosody_of, semitones, times_within
from ser_core.audio.reading import resample
from ser_core.audio.voice_activity import detect_speech, speech_frames

#: Octave bands of the tilt: each contains harmonics even of high voices, and all of them pass through telephones.
TILT_BANDS_HZ = 400.0 * 2.0 ** np.arange(4)
BAND_FACTOR = 2**0.5
SPECTRUM_WINDOW_S, HOP_S = 0.032, 0.008
#: A frame is voiced if it is this near to a voiced frame of the pitch detector, whose frames are 16 ms apart.
VOICED_REACH_S = 0.016
#: After de Jong and Wempe: a syllable's nucleus is this far above the dips beside it, and at most this far below the
#: loudest.
DIP_DB, BELOW_LOUDEST_DB = 2.0, 25.0
#: Longer than a period of the lowest voice, shorter than a syllable.
INTENSITY_WINDOW_S = 0.064
#: The pitch range contains this share of the voiced frames.
RANGE_PERCENTILES = (10, 90)
#: With less speech than this, no rate is given.
MIN_SPEECH_S = 0.3


@dataclass(frozen=True)
class Correlates:
    """Acoustic correlates of part of a recording; None if too little of it is voiced.

    Attributes
    ----------
    pitch_hz : float or None
        Median.
    pitch_range_st : float or None
        Semitones between the 10th and the 90th percentile.
    level_dbfs : float or None
        Mean power of the voiced frames.
    rate_hz : float or None
        Syllables in a second of speech.
    tilt_db : float or None
        Slope of the levels of all voiced frames together in octave bands around 400 to 3200 Hz, in dB per octave. It
        differs from `acoustics.spectral_tilt`, see docs/measures.md.
    """

    pitch_hz: float | None
    pitch_range_st: float | None
    level_dbfs: float | None
    rate_hz: float | None
    tilt_db: float | None


@dataclass(frozen=True)
class Differences:
    """How one part of a recording differs from another; None if a correlate of one is unknown.

    Attributes
    ----------
    pitch_st, pitch_range_st, level_db, tilt_db : float or None
    rate_percent : float or None
        Positive if faster.
    """

    pitch_st: float | None
    pitch_range_st: float | None
    level_db: float | None
    rate_percent: float | None
    tilt_db: float | None


#: Smaller differences are not mentioned. Pitch: Rietveld and Gussenhoven 1985, Journal of Phonetics 13, find that 1.5
#: semitones sound more prominent. The others: about half of all pairs of recordings of one speaker with one sentence in
#: two emotions differ by less (`benchmarks/voice_changes.py --ranges`).
NOTABLE = Differences(pitch_st=1.5, pitch_range_st=3.0, level_db=3.0, rate_percent=20.0, tilt_db=1.5)


@dataclass(frozen=True, eq=False)
class AcousticTracks:
    """The tracks from which the correlates of any part of a recording are computed.

    Attributes
    ----------
    prosody : Prosody
    nuclei_s : ndarray of shape (syllables,), float64
        Times of the syllables' nuclei.
    frame_times_s : ndarray of shape (frames,), float64
        A frame every 8 ms.
    speech, voiced : ndarray of shape (frames,), bool
    band_powers : ndarray of shape (frames, 4), float64
        Power in each band of `TILT_BANDS_HZ`.
    """

    prosody: Prosody
    nuclei_s: np.ndarray
    frame_times_s: np.ndarray
    speech: np.ndarray
    voiced: np.ndarray
    band_powers: np.ndarray


def acoustic_tracks(recording: Recording) -> AcousticTracks:
    """Return the tracks of a recording."""
    prosody = prosody_of(recording)
    samples = resample(recording.samples, recording.sample_rate_hz, RATE_HZ)
    stft = scipy.signal.ShortTimeFFT(
        scipy.signal.windows.hann(round(SPECTRUM_WINDOW_S * RATE_HZ), sym=False), round(HOP_S * RATE_HZ), RATE_HZ
    )
    power = np.abs(stft.stft(np.pad(samples, (0, max(0, stft.m_num - len(samples)))))) ** 2
    times_s = stft.delta_t * np.arange(stft.p_min, stft.p_min + power.shape[1])
    inside = (times_s >= 0) & (times_s < recording.duration_s)
    times_s, power = times_s[inside], power[:, inside]
    edges = np.searchsorted(stft.f, TILT_BANDS_HZ[:, None] * [1 / BAND_FACTOR, BAND_FACTOR])
    bands = np.stack([power[low : max(high, low + 1)].sum(axis=0) for low, high in edges], axis=1)
    voiced = _are_near(times_s, prosody.times_s, VOICED_REACH_S)
    speech = speech_frames(detect_speech(recording), times_s)
    nuclei_s = _syllable_nuclei(samples, times_s, voiced)
    return AcousticTracks(prosody, nuclei_s, times_s, speech, voiced, bands)


def correlates_in(tracks: AcousticTracks, regions: Sequence[Region]) -> Correlates:
    """Return the correlates inside some regions."""
    return _correlates(tracks, lambda times_s: times_within(times_s, regions))


def correlates_outside(tracks: AcousticTracks, regions: Sequence[Region]) -> Correlates:
    """Return the correlates outside all given regions; without regions, of the whole recording."""
    return _correlates(tracks, lambda times_s: ~times_within(times_s, regions))


def median_correlates(recordings: Sequence[Correlates]) -> Correlates:
    """Return the median of each correlate over the recordings in which it is known."""
    medians = {}
    for field in fields(Correlates):
        values = [getattr(correlates, field.name) for correlates in recordings]
        known = [value for value in values if value is not None]
        medians[field.name] = float(np.median(known)) if known else None
    return Correlates(**medians)


def _correlates(tracks: AcousticTracks, is_inside: Callable[[np.ndarray], np.ndarray]) -> Correlates:
    prosody, frames = tracks.prosody, is_inside(tracks.frame_times_s)
    voiced = is_inside(prosody.times_s)
    enough = np.count_nonzero(voiced) >= MIN_VOICED_FRAMES
    pitch_hz = prosody.pitch_hz[voiced]
    speech_s = HOP_S * int((frames & tracks.speech).sum())
    spectrum = tracks.band_powers[frames & tracks.voiced].sum(axis=0)
    return Correlates(
        pitch_hz=float(np.median(pitch_hz)) if enough else None,
        pitch_range_st=semitones(*np.percentile(pitch_hz, RANGE_PERCENTILES)[::-1]) if enough else None,
        level_dbfs=10 * float(np.log10(np.mean(10 ** (prosody.level_dbfs[voiced] / 10)))) if enough else None,
        rate_hz=int(is_inside(tracks.nuclei_s).sum()) / speech_s if speech_s >= MIN_SPEECH_S else None,
        tilt_db=_slope_db(spectrum) if enough and spectrum.min() > 0 else None,
    )


def differences(one: Correlates, other: Correlates) -> Differences:
    """Return how one part differs from another."""

    def difference(name: str, compare: Callable[[float, float], float | None] = operator.sub) -> float | None:
        first, second = getattr(one, name), getattr(other, name)
        return None if first is None or second is None else compare(first, second)

    return Differences(
        pitch_st=difference("pitch_hz", semitones),
        pitch_range_st=difference("pitch_range_st"),
        level_db=difference("level_dbfs"),
        # Speech without a syllable has a rate of 0, and there is no percentage of 0.
        rate_percent=difference("rate_hz", lambda first, second: 100 * (first / second - 1) if second else None),
        tilt_db=difference("tilt_db"),
    )


#: A positive and a negative difference in words.
WORDS = {
    "pitch_st": ("{:.1f} semitones higher", "{:.1f} semitones lower"),
    "pitch_range_st": (
        "livelier (a pitch range {:.1f} semitones wider)",
        "flatter (a pitch range {:.1f} semitones narrower)",
    ),
    "level_db": ("{:.0f} dB louder", "{:.0f} dB softer"),
    "rate_percent": ("{:.0f} % faster", "{:.0f} % slower"),
    "tilt_db": ("{:.1f} dB per octave brighter", "{:.1f} dB per octave darker"),
}


def notable_in_words(found: Differences) -> list[str]:
    """Describe the notable differences, the most unusual first."""
    values = {field.name: getattr(found, field.name) for field in fields(Differences)}
    size = {name: abs(value) / getattr(NOTABLE, name) for name, value in values.items() if value is not None}
    notable = sorted((name for name in size if size[name] >= 1), key=size.get, reverse=True)
    return [WORDS[name][int(values[name] < 0)].format(abs(values[name])) for name in notable]


def _are_near(times_s: np.ndarray, others_s: np.ndarray, distance_s: float) -> np.ndarray:
    """Return for each time whether one of the others is within `distance_s` of it."""
    if not len(others_s):
        return np.zeros(len(times_s), bool)
    after = np.clip(np.searchsorted(others_s, times_s), 1, len(others_s) - 1) if len(others_s) > 1 else 0
    before = np.maximum(after - 1, 0)
    return np.minimum(np.abs(times_s - others_s[before]), np.abs(times_s - others_s[after])) <= distance_s


def _syllable_nuclei(samples: np.ndarray, times_s: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Return the times of voiced peaks of intensity with dips of 2 dB before and after them.

    References
    ----------
    de Jong and Wempe 2009, Behavior Research Methods 41: syllable nuclei without transcription.
    """
    window = scipy.signal.windows.hann(round(INTENSITY_WINDOW_S * RATE_HZ), sym=False)
    smooth = np.sqrt(
        np.maximum(scipy.signal.oaconvolve(samples.astype(np.float64) ** 2, window / window.sum(), "same"), 1e-12)
    )
    level_db = 20 * np.log10(smooth[np.minimum((times_s * RATE_HZ).astype(int), len(samples) - 1)])
    if not voiced.any():
        return np.empty(0)
    peaks, _ = scipy.signal.find_peaks(
        level_db, height=np.percentile(level_db, 99) - BELOW_LOUDEST_DB, prominence=DIP_DB
    )
    return times_s[peaks[voiced[peaks]]]


def _slope_db(powers: np.ndarray) -> float:
    """Return the slope of the levels of octave bands (4,), in dB per octave."""
    return float(np.polyfit(np.arange(len(powers)), 10 * np.log10(powers), 1)[0])
