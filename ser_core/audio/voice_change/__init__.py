"""Change one property of a voice and preserve the others: pitch, its range, tempo, level, tilt, breath, creak.

All changes process the recording's own waveform: no voice is synthesised from parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ser_core.analysis import Recording, Region
from ser_core.audio.prosody import prosody_of
from ser_core.audio.voice_change.marks import PitchMarks, pitch_marks
from ser_core.audio.voice_change.pitch import with_pitch, with_pitch_range, with_tempo
from ser_core.audio.voice_change.quality import with_breath, with_creak
from ser_core.audio.voice_change.spectrum import with_tilt
from ser_core.errors import SettingsRefused

#: Fade between changed regions and the rest.
FADE_S = 0.020
MAX_SEMITONES, MAX_RATIO, MAX_DB, MAX_TILT_DB = 24.0, 4.0, 40.0, 12.0


@dataclass(frozen=True)
class VoiceChange:
    """A change of a voice; by default none.

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
        Added to the level for each octave; the overall level does not change.
    breath_db : float
        Added to the level of the noise in voiced sound, relative to the harmonics.
    creak_db : float
        How much weaker the periods between the pulses of a creaky voice are, 0 or more.
    """

    pitch_st: float = 0.0
    pitch_range: float = 1.0
    tempo: float = 1.0
    level_db: float = 0.0
    tilt_db: float = 0.0
    breath_db: float = 0.0
    creak_db: float = 0.0

    def __post_init__(self) -> None:
        ratios = (self.pitch_range, self.tempo)
        if not (
            abs(self.pitch_st) <= MAX_SEMITONES
            and all(1 / MAX_RATIO <= ratio <= MAX_RATIO for ratio in ratios)
            and max(abs(self.level_db), abs(self.breath_db)) <= MAX_DB
            and 0 <= self.creak_db <= MAX_DB
            and abs(self.tilt_db) <= MAX_TILT_DB
        ):
            raise SettingsRefused(
                f"A voice can be changed by at most {MAX_SEMITONES:g} semitones, {MAX_DB:g} dB and {MAX_TILT_DB:g} dB "
                f"per octave, its pitch range and tempo by factors of {1 / MAX_RATIO:g} to {MAX_RATIO:g}, and its "
                "creak by 0 dB or more."
            )


def change_voice(
    recording: Recording, change: VoiceChange, marks: PitchMarks, regions: Sequence[Region] = ()
) -> np.ndarray:
    """Return the samples of a recording whose voice is changed, in some regions or (without any) everywhere.

    Only the steps that change something are run. If there are none, all are run, and the difference from the samples is
    at least 100 dB below the recording.

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
    rate, samples, unchanged = recording.sample_rate_hz, recording.samples, change == VoiceChange()
    weights, changed = region_weights(len(samples), rate, regions), samples
    if unchanged or change.pitch_range != 1:
        changed = with_pitch_range(changed, marks, change.pitch_range, weights > 0.5)
    if unchanged or change.pitch_st != 0:
        changed = with_pitch(changed, rate, marks, change.pitch_st)
    if unchanged or change.breath_db != 0:
        changed = with_breath(changed, rate, marks, change.breath_db)
    if unchanged or change.creak_db != 0:
        changed = with_creak(changed, marks, change.creak_db)
    if unchanged or change.tilt_db != 0:
        changed = with_tilt(changed, rate, change.tilt_db)
    mixed = samples + weights * (changed * np.float32(10 ** (change.level_db / 20)) - samples)
    if change.tempo == 1 and not unchanged:
        return mixed
    if regions:
        return _with_tempo_in_regions(mixed, rate, change.tempo, regions)
    return with_tempo(mixed, rate, change.tempo)


def there_and_back(
    recording: Recording, change: VoiceChange, marks: PitchMarks, regions: Sequence[Region] = ()
) -> np.ndarray:
    """Return the samples (n,), float32, after a change and its inverse: the effect of the synthesis alone."""
    pitch_st, level_db, tilt_db, breath_db = -change.pitch_st, -change.level_db, -change.tilt_db, -change.breath_db
    back = VoiceChange(pitch_st, 1 / change.pitch_range, 1 / change.tempo, level_db, tilt_db, breath_db)
    # Creak is a gain over time, which its inverse cancels exactly.
    there = replace(recording, samples=change_voice(recording, replace(change, creak_db=0.0), marks))
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


def _faded(count: int, fade: int) -> np.ndarray:
    """Return `count` ones that rise from 0 at the beginning and fall to 0 at the end."""
    fade = min(fade, count // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))).astype(np.float32)
    return np.concatenate([ramp, np.ones(count - 2 * fade, np.float32), ramp[::-1]])


def _with_tempo_in_regions(samples: np.ndarray, rate: int, tempo: float, regions: Sequence[Region]) -> np.ndarray:
    """Return samples that are faster or slower only in some regions, in order of time and not touching."""
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
