"""Change one property of a voice and leave the others as they are: pitch, its range, tempo, level, spectral tilt.

Pitch and its range are changed by overlapping periods of the recording's own waveform at new distances (TD-PSOLA),
which leaves the formants where they are: the same person speaks higher or lower. Tempo is changed by Signalsmith
Stretch, tilt by a filter without phase.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from python_stretch.Signalsmith import Stretch

from ser_core.analysis import Recording, Region
from ser_core.audio.prosody import Prosody, prosody_of
from ser_core.errors import SettingsRefused

#: Voiced frames that follow each other within this belong together.
LONGEST_STEP_S = 0.025
#: A period lies within this share of where the pitch expects it.
PERIOD_TOLERANCE = 0.2
#: Grains of unvoiced sound are this long.
UNVOICED_STEP_S = 0.005
#: Block and step of Signalsmith Stretch: its preset of 120 ms blurs the onsets of speech.
STRETCH_BLOCK_S, STRETCH_STEP_S = 0.050, 0.0125
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

    Without any change the whole chain still runs, and returns the same samples up to a difference at least 100 dB below
    the recording. The tempo's part is left out where only something else changes.

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
    rate, samples = recording.sample_rate_hz, recording.samples
    weights, synthesised = region_weights(len(samples), rate, regions), change.tempo != 1 or change == VoiceChange()
    changed = with_pitch(samples, marks, change.pitch_st, change.pitch_range, weights > 0.5)
    changed = with_tilt(changed, rate, change.tilt_db) * np.float32(10 ** (change.level_db / 20))
    mixed = samples + weights * (changed - samples)
    if not synthesised:
        return mixed
    if not regions:
        return with_tempo(mixed, rate, change.tempo)
    return _with_tempo_in_regions(mixed, rate, change.tempo, regions)


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


def with_pitch(
    samples: np.ndarray, marks: PitchMarks, semitones: float, pitch_range: float, inside: np.ndarray
) -> np.ndarray:
    """Return samples with another pitch and the same length, formants and power.

    Parameters
    ----------
    semitones : float
    pitch_range : float
        Factor of the distance to the median pitch of the marks inside, in semitones.
    inside : ndarray of shape (n,), bool
        Where the median is taken.

    References
    ----------
    Moulines and Charpentier 1990, Speech Communication 9: pitch-synchronous overlap-add in the time domain.
    """
    positions = marks.samples
    voiced = ~np.isnan(marks.pitch_hz)
    chosen = voiced.copy()
    chosen[:-1] &= inside[positions[:-1]]
    if not chosen.any():
        return samples.copy()
    with np.errstate(invalid="ignore"):
        distance = np.log2(marks.pitch_hz / np.median(marks.pitch_hz[chosen]))
    ratios = 2 ** (semitones / 12 + (pitch_range - 1) * distance)
    reach = int(np.diff(positions).max()) + 1
    out = np.zeros(len(samples) + 2 * reach, np.float64)
    padded = np.pad(samples.astype(np.float64), reach)
    for index, at, gain in _placed_grains(marks, ratios):
        before, here, after = (
            positions[max(index - 1, 0)],
            positions[index],
            positions[min(index + 1, len(positions) - 1)],
        )
        left, right = here - before, after - here
        grain = padded[reach + before : reach + after] * _window(left, right) * gain
        out[reach + at - left : reach + at + right] += grain
    return _as_strong(out[reach:-reach], samples)


def with_tempo(samples: np.ndarray, rate: int, tempo: float) -> np.ndarray:
    """Return samples that take 1 / tempo of the time, with the same pitch; shape (round(n / tempo),), float32."""
    stretch, block = Stretch(0), round(STRETCH_BLOCK_S * rate)
    stretch.configure(1, block, round(STRETCH_STEP_S * rate))
    stretch.setTimeFactor(tempo)
    # It fades its ends, which are mirrored parts to be cut off.
    margin = min(2 * block, len(samples) - 1)
    made = stretch.process(np.pad(samples, margin, "reflect")[None].astype(np.float32))[0]
    start, wanted = round(margin / tempo), round(len(samples) / tempo)
    return made[start : start + wanted]


def with_tilt(samples: np.ndarray, rate: int, tilt_db: float) -> np.ndarray:
    """Return samples whose level rises by so many dB more with each octave; their power stays."""
    if tilt_db == 0:
        return samples.copy()
    padding = rate // 10
    padded = np.pad(samples.astype(np.float64), padding)
    hz = np.clip(np.fft.rfftfreq(len(padded), 1 / rate), TILT_LOW_HZ, TILT_HIGH_HZ)
    octaves = np.log2(hz / np.sqrt(TILT_LOW_HZ * TILT_HIGH_HZ))
    tilted = np.fft.irfft(np.fft.rfft(padded) * 10 ** (tilt_db * octaves / 20), len(padded))[padding:-padding]
    return _as_strong(tilted, samples)


def _as_strong(changed: np.ndarray, samples: np.ndarray) -> np.ndarray:
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
