"""Change the pitch of a voice, its range, and the tempo of speech.

Signalsmith Stretch changes pitch and tempo; formants are moved back, so that the same person speaks higher or lower.
The pitch range is changed by overlapping periods of the recording's own waveform at new distances (TD-PSOLA), because
each period moves by a different interval.
"""

import numpy as np
import scipy
from python_stretch.Signalsmith import Stretch

from ser_core.audio.voice_change.marks import PitchMarks
from ser_core.audio.voice_change.spectrum import filtered_in_blocks, log_envelope, with_power_of

#: Blocks of Signalsmith Stretch, with steps of a quarter. Its preset of 120 ms blurs the onsets of speech; pitch needs
#: the longer one for the harmonics of low voices.
TEMPO_BLOCK_S, PITCH_BLOCK_S = 0.050, 0.080
#: Above this frequency, or this share of half the rate, the sound is not changed: lowering it would leave a gap.
HIGHEST_SHIFTED_HZ, HIGHEST_SHIFTED_SHARE = 4_000.0, 0.6
#: Window of the spectra, smoothness of their envelope (cepstrum below this share of a period), and the largest
#: correction of the envelope.
ENVELOPE_WINDOW_S, ENVELOPE_SHARE, MAX_CORRECTION_DB = 0.032, 0.6, 15.0
#: Levels this far below the loudest count as silence in an envelope.
ENVELOPE_FLOOR_DB = 80.0
CROSSOVER_TAPS_S = 0.025


def with_pitch(samples: np.ndarray, rate: int, marks: PitchMarks, semitones: float) -> np.ndarray:
    """Return samples with another pitch below 4 kHz, and the same length, formants and power.

    The envelope of each spectrum is first moved the other way; the transposition, which moves the formants too, then
    brings it back. If nothing is voiced, nothing changes.
    """
    if not marks.runs:
        return samples.copy()
    ratio = 2 ** (semitones / 12)
    moved = _with_moved_envelope(samples, rate, ratio, 1 / float(np.nanmedian(marks.pitch_hz)))
    shifted = _stretched(moved, rate, PITCH_BLOCK_S, semitones=semitones)
    highest = min(HIGHEST_SHIFTED_HZ, HIGHEST_SHIFTED_SHARE * rate / 2)
    taps = scipy.signal.firwin(2 * round(CROSSOVER_TAPS_S / 2 * rate) + 1, highest, fs=rate)
    low = scipy.signal.oaconvolve(np.pad(shifted - samples, len(taps) // 2, "reflect"), taps, "valid")
    return with_power_of(samples + low, samples)


def _with_moved_envelope(samples: np.ndarray, rate: int, ratio: float, period_s: float) -> np.ndarray:
    """Return samples whose envelope at each frequency is the original one at `ratio` times that frequency."""
    stft = scipy.signal.ShortTimeFFT(
        scipy.signal.windows.hann(round(ENVELOPE_WINDOW_S * rate), sym=False), round(ENVELOPE_WINDOW_S / 4 * rate), rate
    )
    floor = np.abs(samples).max() * stft.m_num / 2 * 10 ** (-ENVELOPE_FLOOR_DB / 20) + 1e-12

    def moved(first: int, end: int) -> np.ndarray:
        spectrum = stft.stft(np.pad(samples[first:end], (0, stft.m_num)).astype(np.float64))
        envelope = log_envelope(np.log(np.abs(spectrum) + floor), round(ENVELOPE_SHARE * period_s * rate))
        positions = np.minimum(np.arange(len(envelope)) * ratio, len(envelope) - 1)
        lower = np.minimum(positions.astype(int), len(envelope) - 2)
        part = (positions - lower)[:, None]
        gain = (1 - part) * envelope[lower] + part * envelope[lower + 1] - envelope
        max_gain = MAX_CORRECTION_DB * np.log(10) / 20
        return spectrum * np.exp(np.clip(gain, -max_gain, max_gain))

    return filtered_in_blocks(stft, len(samples), moved)


def with_pitch_range(samples: np.ndarray, marks: PitchMarks, factor: float, inside: np.ndarray) -> np.ndarray:
    """Return samples with another pitch range and the same length, formants and power.

    Parameters
    ----------
    factor : float
        Factor of the distances to the median pitch of the marks inside, in semitones.
    inside : ndarray of shape (n,), bool
        Where the median is computed.

    References
    ----------
    Moulines and Charpentier 1990, Speech Communication 9: pitch-synchronous overlap-add in the time domain.
    """
    positions = marks.samples
    voiced_inside = ~np.isnan(marks.pitch_hz)
    voiced_inside[:-1] &= inside[positions[:-1]]
    if not voiced_inside.any():
        return samples.copy()
    with np.errstate(invalid="ignore"):
        ratios = (marks.pitch_hz / np.median(marks.pitch_hz[voiced_inside])) ** (factor - 1)
    reach = int(np.diff(positions).max()) + 1
    out = np.zeros(len(samples) + 2 * reach, np.float64)
    padded = np.pad(samples.astype(np.float64), reach)
    last = len(positions) - 1
    for index, at, gain in _placed_grains(marks, ratios):
        before, here, after = positions[max(index - 1, 0)], positions[index], positions[min(index + 1, last)]
        left, right = here - before, after - here
        out[reach + at - left : reach + at + right] += (
            padded[reach + before : reach + after] * _window(left, right) * gain
        )
    return with_power_of(out[reach:-reach], samples)


def _placed_grains(marks: PitchMarks, ratios: np.ndarray) -> list[tuple[int, int, float]]:
    """Return mark, new position and gain of each grain; the gains preserve the power although the number changes."""
    placed = [(index, int(at), 1.0) for index, at in enumerate(marks.samples) if np.isnan(marks.pitch_hz[index])]
    for first, last in marks.runs:
        positions = marks.samples[first : last + 1]
        at = float(positions[0])
        while at <= positions[-1]:
            period = min(int(np.searchsorted(positions, at, "right")) - 1, last - first - 1)
            nearest = period + int(at - positions[period] > positions[period + 1] - at)
            ratio = ratios[first + period]
            placed.append((first + nearest, round(at), float(1 / np.sqrt(ratio))))
            at += (positions[period + 1] - positions[period]) / ratio
    return placed


def _window(left: int, right: int) -> np.ndarray:
    """Return a window that rises over `left` samples and falls over `right`; neighbours add up to 1."""
    rise, fall = np.arange(left) / max(left, 1), np.arange(right) / max(right, 1)
    return np.concatenate([0.5 - 0.5 * np.cos(np.pi * rise), 0.5 + 0.5 * np.cos(np.pi * fall)])


def with_tempo(samples: np.ndarray, rate: int, tempo: float) -> np.ndarray:
    """Return samples that take 1 / tempo of the time, with the same pitch; shape (round(n / tempo),), float32."""
    return _stretched(samples, rate, TEMPO_BLOCK_S, tempo=tempo)


def _stretched(
    samples: np.ndarray, rate: int, block_s: float, *, tempo: float = 1.0, semitones: float = 0.0
) -> np.ndarray:
    stretch, block = Stretch(0), round(block_s * rate)
    stretch.configure(1, block, round(block_s / 4 * rate))
    stretch.setTimeFactor(tempo)
    stretch.setTransposeSemitones(semitones)
    # Signalsmith Stretch fades both ends, so mirrored margins are added, and cut off again.
    margin = min(2 * block, len(samples) - 1)
    stretched = stretch.process(np.pad(samples, margin, "reflect")[None].astype(np.float32))[0]
    start, length = round(margin / tempo), round(len(samples) / tempo)
    return stretched[start : start + length]
