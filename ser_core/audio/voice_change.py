"""Change one property of a voice and leave the others as they are: pitch, its range, tempo, level, spectral tilt.

Pitch and tempo are changed by Signalsmith Stretch, and formants are put back to where they were: the same person speaks
higher or lower. The pitch range is changed by overlapping periods of the recording's own waveform at new distances
(TD-PSOLA), because each period moves by another interval. Tilt is changed by a filter without phase.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from python_stretch.Signalsmith import Stretch
from scipy.signal import ShortTimeFFT, firwin, oaconvolve
from scipy.signal.windows import hann

from ser_core.analysis import Recording, Region
from ser_core.audio.prosody import Prosody, prosody_of
from ser_core.errors import SettingsRefused

#: Voiced frames that follow each other within this belong together.
LONGEST_STEP_S = 0.025
#: A period lies within this share of where the pitch expects it.
PERIOD_TOLERANCE = 0.2
#: Grains of unvoiced sound are this long.
UNVOICED_STEP_S = 0.005
#: Blocks of Signalsmith Stretch, with a step of a quarter: its preset of 120 ms blurs the onsets of speech, and the
#: harmonics of low voices need the longer one.
TEMPO_BLOCK_S, PITCH_BLOCK_S = 0.050, 0.080
#: Above this, or this share of half the rate, the sound stays: in a lower voice there would be nothing left.
HIGHEST_SHIFTED_HZ, HIGHEST_SHIFTED_SHARE = 4_000.0, 0.6
#: Spectra of which the envelope is taken, its smoothness (cepstrum below this share of a period), and how far it may be
#: corrected.
ENVELOPE_WINDOW_S, ENVELOPE_SHARE, MOST_CORRECTED_DB = 0.032, 0.6, 15.0
#: Levels below the loudest by this count as silent in an envelope.
ENVELOPE_FLOOR_DB = 80.0
#: The sound is filtered in blocks, because a spectrum takes fifty times the memory of its sound.
FILTER_BLOCK_S = 4.0
CROSSOVER_TAPS_S = 0.025
#: Tilt turns about the middle of this range, and is level beyond it.
TILT_LOW_HZ, TILT_HIGH_HZ = 62.5, 8_000.0
#: Between changed regions and the rest.
FADE_S = 0.020
MAX_SEMITONES, MAX_RATIO, MAX_DB, MAX_TILT_DB = 24.0, 4.0, 40.0, 12.0


@dataclass(frozen=True)
class VoiceChange:
    """What is to be different; by default nothing.

    Attributes
    ----------
    pitch_st : float
        Semitones by which the fundamental frequency rises.
    pitch_range : float
        Factor of the distances, in semitones, between the pitch and its median.
    tempo : float
        Factor of the speed; 2 takes half the time.
    level_db : float
    tilt_db : float
        Added to the level for each octave; the level of the whole stays.
    """

    pitch_st: float = 0.0
    pitch_range: float = 1.0
    tempo: float = 1.0
    level_db: float = 0.0
    tilt_db: float = 0.0

    def __post_init__(self) -> None:
        ratios = (self.pitch_range, self.tempo)
        if not (
            abs(self.pitch_st) <= MAX_SEMITONES
            and all(1 / MAX_RATIO <= ratio <= MAX_RATIO for ratio in ratios)
            and abs(self.level_db) <= MAX_DB
            and abs(self.tilt_db) <= MAX_TILT_DB
        ):
            raise SettingsRefused(
                f"A voice can be changed by at most {MAX_SEMITONES:g} semitones, {MAX_DB:g} dB and {MAX_TILT_DB:g} dB "
                f"per octave, and its pitch range and tempo by factors of {1 / MAX_RATIO:g} to {MAX_RATIO:g}."
            )


@dataclass(frozen=True, eq=False)
class PitchMarks:
    """The periods of a voice.

    Attributes
    ----------
    samples : ndarray of shape (marks,), int
        One mark in each period, at the same point of its waveform, and every 5 ms where nothing is voiced; the first
        is 0, the last is the recording's length.
    runs : tuple of (first, last)
        Indices of the first and last mark of each voiced stretch.
    pitch_hz : ndarray of shape (marks,), float64
        As measured; NaN outside the runs.
    """

    samples: np.ndarray
    runs: tuple[tuple[int, int], ...]
    pitch_hz: np.ndarray


def pitch_marks(recording: Recording, prosody: Prosody) -> PitchMarks:
    """Find the periods of a voice from its pitch: each where its waveform is most like that of the one before."""
    rate, count = recording.sample_rate_hz, len(recording.samples)
    marks, runs, pitches, step = [0], [], [np.nan], round(UNVOICED_STEP_S * rate)
    for times_s, pitch_hz in _voiced_runs(prosody):
        found = _marks_of_run(recording.samples, rate, times_s, pitch_hz)
        found = found[(found > marks[-1]) & (found < count)]
        if len(found) < 3:
            continue
        _fill(marks, pitches, int(found[0]), step)
        first = len(marks)
        marks += found.tolist()
        pitches += np.interp(found / rate, times_s, pitch_hz).tolist()
        runs.append((first, len(marks) - 1))
    _fill(marks, pitches, count, step)
    return PitchMarks(np.array([*marks, count]), tuple(runs), np.array([*pitches, np.nan]))


def change_voice(
    recording: Recording, change: VoiceChange, marks: PitchMarks, regions: Sequence[Region] = ()
) -> np.ndarray:
    """Return the samples of a recording whose voice is changed, in some regions or (without any) everywhere.

    Only the parts of the chain run that change something. Without any change all of them run, and return the same
    samples up to a difference at least 100 dB below the recording.

    Parameters
    ----------
    marks : PitchMarks
        Of the same recording.

    Returns
    -------
    ndarray of shape (n,), float32
        At the recording's own rate. As long as the recording unless the tempo changes. Never clipped: a higher level
        may exceed full scale.
    """
    rate, samples, nothing = recording.sample_rate_hz, recording.samples, change == VoiceChange()
    weights, changed = region_weights(len(samples), rate, regions), samples
    if nothing or change.pitch_range != 1:
        changed = with_pitch_range(changed, marks, change.pitch_range, weights > 0.5)
    if nothing or change.pitch_st != 0:
        changed = with_pitch(changed, rate, marks, change.pitch_st)
    if nothing or change.tilt_db != 0:
        changed = with_tilt(changed, rate, change.tilt_db)
    mixed = samples + weights * (changed * np.float32(10 ** (change.level_db / 20)) - samples)
    if not (nothing or change.tempo != 1):
        return mixed
    return (
        _with_tempo_in_regions(mixed, rate, change.tempo, regions) if regions else with_tempo(mixed, rate, change.tempo)
    )


def there_and_back(
    recording: Recording, change: VoiceChange, marks: PitchMarks, regions: Sequence[Region] = ()
) -> np.ndarray:
    """Return the samples (n,), float32, after a change and its inverse: what the synthesis itself does to the voice."""
    back = VoiceChange(-change.pitch_st, 1 / change.pitch_range, 1 / change.tempo, -change.level_db, -change.tilt_db)
    there = replace(recording, samples=change_voice(recording, change, marks))
    returned = change_voice(there, back, pitch_marks(there, prosody_of(there)))
    samples, missing = recording.samples, max(0, len(recording.samples) - len(returned))
    returned = np.pad(returned, (0, missing))[: len(samples)]
    return samples + region_weights(len(samples), recording.sample_rate_hz, regions) * (returned - samples)


def region_weights(count: int, rate: int, regions: Sequence[Region]) -> np.ndarray:
    """Return 1 in the regions and 0 elsewhere, with raised-cosine fades inside them; all 1 without regions."""
    if not regions:
        return np.ones(count, np.float32)
    weights = np.zeros(count, np.float32)
    for region in regions:
        first, end = round(region.start_s * rate), min(round(region.end_s * rate), count)
        weights[first:end] = np.maximum(weights[first:end], _faded(end - first, round(FADE_S * rate)))
    return weights


def with_pitch(samples: np.ndarray, rate: int, marks: PitchMarks, semitones: float) -> np.ndarray:
    """Return samples with another pitch below 4 kHz, and the same length, formants and power.

    The envelope of each spectrum is first moved the other way, so that the transposition, which moves the formants too,
    brings it back to where it was. Without a period in the marks nothing changes.
    """
    if not marks.runs:
        return samples.copy()
    ratio = 2 ** (semitones / 12)
    moved = _with_moved_envelope(samples, rate, ratio, 1 / float(np.nanmedian(marks.pitch_hz)))
    shifted = _stretched(moved, rate, PITCH_BLOCK_S, semitones=semitones)
    highest = min(HIGHEST_SHIFTED_HZ, HIGHEST_SHIFTED_SHARE * rate / 2)
    taps = firwin(2 * round(CROSSOVER_TAPS_S / 2 * rate) + 1, highest, fs=rate)
    low = oaconvolve(np.pad(shifted - samples, len(taps) // 2, "reflect"), taps, "valid")
    return as_strong(samples + low, samples)


def _with_moved_envelope(samples: np.ndarray, rate: int, ratio: float, period_s: float) -> np.ndarray:
    """Return samples in which the level at each frequency is that of the envelope at `ratio` times the frequency."""
    stft = ShortTimeFFT(hann(round(ENVELOPE_WINDOW_S * rate), sym=False), round(ENVELOPE_WINDOW_S / 4 * rate), rate)
    moved = np.empty(len(samples), np.float32)
    floor = np.abs(samples).max() * stft.m_num / 2 * 10 ** (-ENVELOPE_FLOOR_DB / 20) + 1e-12
    reach = (stft.m_num // stft.hop + 1) * stft.hop
    length = round(FILTER_BLOCK_S * rate / stft.hop) * stft.hop
    for start in range(0, len(samples), length):
        # A block is extended on both sides, so that its frames equal those of the whole.
        from_, end = max(0, start - reach), min(start + length, len(samples))
        spectrum = stft.stft(np.pad(samples[from_ : end + reach], (0, stft.m_num)).astype(np.float64))
        envelope = log_envelope(np.log(np.abs(spectrum) + floor), round(ENVELOPE_SHARE * period_s * rate))
        there = np.minimum(np.arange(len(envelope)) * ratio, len(envelope) - 1)
        lower = np.minimum(there.astype(int), len(envelope) - 2)
        part = (there - lower)[:, None]
        gain = (1 - part) * envelope[lower] + part * envelope[lower + 1] - envelope
        most = MOST_CORRECTED_DB * np.log(10) / 20
        filtered = stft.istft(spectrum * np.exp(np.clip(gain, -most, most)), k1=end - from_)
        moved[start:end] = filtered[start - from_ :]
    return moved


def log_envelope(log_magnitude: np.ndarray, quefrencies: int) -> np.ndarray:
    """Return log magnitudes (frequencies, frames) smoothed by the beginning of their cepstrum."""
    cepstrum = np.fft.irfft(log_magnitude, axis=0)
    lifter = np.zeros(len(cepstrum))
    count = max(quefrencies, 2)
    lifter[:count] = np.cos(np.pi / 2 * np.arange(count) / count)
    lifter[-count + 1 :] = lifter[count - 1 : 0 : -1]
    return np.fft.rfft(cepstrum * lifter[:, None], axis=0).real


def with_pitch_range(samples: np.ndarray, marks: PitchMarks, factor: float, inside: np.ndarray) -> np.ndarray:
    """Return samples with another pitch range and the same length, formants and power.

    Parameters
    ----------
    factor : float
        Of the distance to the median pitch of the marks inside, in semitones.
    inside : ndarray of shape (n,), bool
        Where the median is taken.

    References
    ----------
    Moulines and Charpentier 1990, Speech Communication 9: pitch-synchronous overlap-add in the time domain.
    """
    positions = marks.samples
    chosen = ~np.isnan(marks.pitch_hz)
    chosen[:-1] &= inside[positions[:-1]]
    if not chosen.any():
        return samples.copy()
    with np.errstate(invalid="ignore"):
        ratios = (marks.pitch_hz / np.median(marks.pitch_hz[chosen])) ** (factor - 1)
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
    return as_strong(out[reach:-reach], samples)


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
    # It fades its ends, which are mirrored parts to be cut off.
    margin = min(2 * block, len(samples) - 1)
    made = stretch.process(np.pad(samples, margin, "reflect")[None].astype(np.float32))[0]
    start, wanted = round(margin / tempo), round(len(samples) / tempo)
    return made[start : start + wanted]


def with_tilt(samples: np.ndarray, rate: int, tilt_db: float) -> np.ndarray:
    """Return samples whose level rises by so many dB more with each octave; their power stays."""
    padding = rate // 10
    padded = np.pad(samples.astype(np.float64), padding)
    hz = np.clip(np.fft.rfftfreq(len(padded), 1 / rate), TILT_LOW_HZ, TILT_HIGH_HZ)
    octaves = np.log2(hz / np.sqrt(TILT_LOW_HZ * TILT_HIGH_HZ))
    tilted = np.fft.irfft(np.fft.rfft(padded) * 10 ** (tilt_db * octaves / 20), len(padded))[padding:-padding]
    return as_strong(tilted, samples)


def as_strong(changed: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return a changed sound with the power that it had before, float32."""
    power, before = np.mean(changed**2), np.mean(np.square(samples, dtype=np.float64))
    return (changed * np.sqrt(before / power) if power > 0 else changed).astype(np.float32)


def _voiced_runs(prosody: Prosody) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return times (s) and pitch (Hz) of each stretch of voiced frames without a gap."""
    breaks = np.flatnonzero(np.diff(prosody.times_s) > LONGEST_STEP_S) + 1
    runs = zip(np.split(prosody.times_s, breaks), np.split(prosody.pitch_hz, breaks), strict=True)
    return [(times_s, pitch_hz) for times_s, pitch_hz in runs if len(times_s) > 1]


def _marks_of_run(samples: np.ndarray, rate: int, times_s: np.ndarray, pitch_hz: np.ndarray) -> np.ndarray:
    """Return a mark for each period of a voiced stretch, from its loudest point on in both directions."""
    first, end = round(times_s[0] * rate), min(round(times_s[-1] * rate), len(samples) - 1)
    if end - first < 2:
        return np.empty(0, int)
    seed = first + int(np.argmax(np.abs(samples[first:end])))

    def follow(direction: int) -> list[int]:
        found, at = [], seed
        while True:
            period = rate / np.interp(at / rate, times_s, pitch_hz)
            at = _next_period(samples, at, period, direction)
            if at is None or not first <= at <= end:
                return found
            found.append(at)

    return np.array([*reversed(follow(-1)), seed, *follow(1)])


def _next_period(samples: np.ndarray, at: int, period: float, direction: int) -> int | None:
    """Return the point about one period away whose surroundings are most like those of `at`; None near the ends."""
    half, reach = round(period / 2), round(PERIOD_TOLERANCE * period)
    middle = at + direction * round(period)
    low, high = middle - half - reach, middle + half + reach + 1
    if min(low, at - half) < 0 or max(high, at + half + 1) > len(samples):
        return None
    pattern = samples[at - half : at + half + 1].astype(np.float64)
    there = samples[low:high].astype(np.float64)
    likeness = np.correlate(there, pattern, "valid")
    energy = np.cumsum(np.append(0.0, there**2))
    likeness /= np.sqrt(energy[len(pattern) :] - energy[: -len(pattern)] + 1e-12)
    return middle - reach + int(np.argmax(likeness))


def _fill(marks: list[int], pitches: list[float], until: int, step: int) -> None:
    """Add evenly spaced marks without pitch between the last mark and `until`, both excluded."""
    count = max(0, -(-(until - marks[-1]) // step) - 1)
    between = np.linspace(marks[-1], until, count + 2)[1:-1].round().astype(int)
    marks += between.tolist()
    pitches += [np.nan] * count


def _placed_grains(marks: PitchMarks, ratios: np.ndarray) -> list[tuple[int, int, float]]:
    """Return mark, new position and gain of each grain; the gain keeps the power where there are more or fewer."""
    placed = [(index, int(at), 1.0) for index, at in enumerate(marks.samples) if np.isnan(marks.pitch_hz[index])]
    for first, last in marks.runs:
        periods_at = marks.samples[first : last + 1]
        at = float(periods_at[0])
        while at <= periods_at[-1]:
            period = min(int(np.searchsorted(periods_at, at, "right")) - 1, last - first - 1)
            nearest = period + int(at - periods_at[period] > periods_at[period + 1] - at)
            ratio = ratios[first + period]
            placed.append((first + nearest, round(at), float(1 / np.sqrt(ratio))))
            at += (periods_at[period + 1] - periods_at[period]) / ratio
    return placed


def _window(left: int, right: int) -> np.ndarray:
    """Return a window that rises over `left` samples and falls over `right`; neighbours add up to 1."""
    rise, fall = np.arange(left) / max(left, 1), np.arange(right) / max(right, 1)
    return np.concatenate([0.5 - 0.5 * np.cos(np.pi * rise), 0.5 + 0.5 * np.cos(np.pi * fall)])


def _faded(count: int, fade: int) -> np.ndarray:
    """Return `count` ones whose beginning and end rise from and fall to 0."""
    fade = min(fade, count // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))).astype(np.float32)
    return np.concatenate([ramp, np.ones(count - 2 * fade, np.float32), ramp[::-1]])


def _with_tempo_in_regions(samples: np.ndarray, rate: int, tempo: float, regions: Sequence[Region]) -> np.ndarray:
    """Return samples of which only some regions, in order of time and apart, are faster or slower."""
    pieces, done, fade = [], 0, round(FADE_S * rate)
    for region in sorted(regions, key=lambda region: region.start_s):
        first, end = max(done, round(region.start_s * rate)), min(round(region.end_s * rate), len(samples))
        if end - first < 2 * fade:
            continue
        inside = samples[first:end]
        changed = with_tempo(inside, rate, tempo)
        ramp = _faded(2 * fade, fade)[:fade]
        changed[:fade] += (1 - ramp) * (inside[:fade] - changed[:fade])
        changed[-fade:] += (1 - ramp[::-1]) * (inside[-fade:] - changed[-fade:])
        pieces += [samples[done:first], changed]
        done = end
    return np.concatenate([*pieces, samples[done:]])
