"""The scores over natural changes of the voice, and the smallest change after which another emotion is predicted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ser_core.analysis import Recording, Region
from ser_core.audio.voice_change import VoiceChange, change_voice, there_and_back
from ser_core.audio.voice_change.marks import PitchMarks
from ser_core.work.progress import Work

#: Scores (sounds, classes) of changed sounds (n,) at the recording's rate.
ScoreSounds = Callable[[Sequence[np.ndarray], Work], np.ndarray]

#: Amounts at which a property is tried, as shares of its natural limit.
GRID = np.arange(-6, 7) / 4
#: Bisections of a step of the grid: a flip is found to 1/32 of the natural limit.
HALVINGS = 3
#: Sounds held in memory at once.
SOUNDS_AT_ONCE = 13


@dataclass(frozen=True)
class VoiceProperty:
    """A property of the voice, changed by amounts around 0, with one natural limit for both directions or for one.

    Attributes
    ----------
    field : str
        Its field of `VoiceChange`.
    limit : float
        The largest natural amount, in the unit; for a factor, its log2.
    is_factor : bool
    less, more : str
        The change in words, for a negative (if there is one) and a positive amount.
    only_more : bool
        Whether there are no negative amounts.
    needs_voice : bool
        Whether only voiced speech changes.
    """

    field: str
    name: str
    unit: str
    limit: float
    is_factor: bool
    less: str
    more: str
    only_more: bool = False
    needs_voice: bool = False

    def value(self, amount: float) -> float:
        """Return the value of `VoiceChange`'s field for an amount."""
        return float(2**amount if self.is_factor else amount)

    def change(self, amount: float) -> VoiceChange:
        """Return the change by an amount."""
        return VoiceChange(**{self.field: self.value(amount)})

    def in_words(self, amount: float) -> str:
        """Describe a change, as in `3 semitones lower`."""
        size = 100 * abs(self.value(amount) - 1) if self.is_factor else abs(amount)
        number = f"{size:.0f}" if self.is_factor else f"{size:.1f}".removesuffix(".0")
        return (self.less if amount < 0 else self.more).format(size=number)


#: The limits: one speaker saying one sentence in two emotions differs by less in three of four pairs of recordings, of
#: 471 in five acted corpora (`benchmarks/voice_changes.py --ranges`: 7.4 semitones, a factor of 2.28, a factor of 1.27,
#: 6.4 dB and 2.5 dB per octave; rounded down). For breath and creak they are the amounts that move one of Praat's
#: measures as far as three in four of 50 such pairs differ (`benchmarks/voice_quality.py`).
PROPERTIES = (
    VoiceProperty(
        "pitch_st",
        "Pitch",
        "semitones",
        7.0,
        False,
        "{size} semitones lower",
        "{size} semitones higher",
        needs_voice=True,
    ),
    VoiceProperty(
        "pitch_range",
        "Pitch range",
        "factor",
        float(np.log2(2.25)),
        True,
        "pitch range {size} % narrower",
        "pitch range {size} % wider",
        needs_voice=True,
    ),
    VoiceProperty("tempo", "Tempo", "factor", float(np.log2(1.25)), True, "{size} % slower", "{size} % faster"),
    VoiceProperty("level_db", "Loudness", "dB", 6.0, False, "{size} dB softer", "{size} dB louder"),
    VoiceProperty(
        "tilt_db",
        "Spectral tilt",
        "dB per octave",
        2.4,
        False,
        "{size} dB per octave darker",
        "{size} dB per octave brighter",
    ),
    VoiceProperty(
        "breath_db",
        "Breathiness",
        "dB",
        4.0,
        False,
        "{size} dB less breathy",
        "{size} dB breathier",
        needs_voice=True,
    ),
    VoiceProperty(
        "creak_db",
        "Creak",
        "dB",
        7.0,
        False,
        "",
        "{size} dB creakier",
        only_more=True,
        needs_voice=True,
    ),
)
#: 98 % of those recordings have a median pitch in this range.
LOWEST_HZ, HIGHEST_HZ = 89.0, 391.0
#: Share of the natural limit by which the control is changed and changed back.
CONTROL_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class VoiceFlip:
    """The smallest change of a property, in one direction, with which another emotion is predicted.

    Attributes
    ----------
    emotion : int
        Index of the emotion that then scores best.
    scores : ndarray of shape (classes,), float64
    """

    property: VoiceProperty
    amount: float
    emotion: int
    scores: np.ndarray

    @property
    def size(self) -> float:
        """Return the amount as a share of the natural limit, 0 to 1."""
        return abs(self.amount) / self.property.limit


@dataclass(frozen=True, eq=False)
class VoiceCurve:
    """The scores over one property.

    Attributes
    ----------
    amounts : ndarray of shape (n,), float64
        Ascending; they include 0, the voice resynthesised without a change.
    scores : ndarray of shape (n, classes), float64
    control : ndarray of shape (classes,), float64
        Scores after a change by a quarter of the limit and back: the effect of the synthesis alone.
    natural : (low, high)
        Amounts outside are unnatural.
    flips : tuple of VoiceFlip
        At most one in each direction, each natural. Empty if the control alone changes the verdict: then the synthesis
        could have caused it.
    """

    property: VoiceProperty
    amounts: np.ndarray
    scores: np.ndarray
    control: np.ndarray
    natural: tuple[float, float]
    flips: tuple[VoiceFlip, ...] = ()


@dataclass(frozen=True, eq=False)
class VoiceCounterfactuals:
    """How the scores change with the voice.

    Attributes
    ----------
    recording : Recording
        The recording whose voice was changed.
    regions : tuple of Region
        Where it was changed; empty: everywhere.
    original : ndarray of shape (classes,), float64
        Scores of the unchanged recording.
    curves : tuple of VoiceCurve
        Only of properties that do not need a voice, if nothing is voiced.
    """

    recording: Recording
    marks: PitchMarks
    regions: tuple[Region, ...]
    original: np.ndarray
    curves: tuple[VoiceCurve, ...]

    @property
    def smallest(self) -> VoiceFlip | None:
        """Return the flip that is smallest relative to its natural limit, or None."""
        return min((flip for curve in self.curves for flip in curve.flips), key=lambda flip: flip.size, default=None)

    def sound(self, flip: VoiceFlip) -> np.ndarray:
        """Return the samples (n,), float32, of the voice after a flip's change."""
        return change_voice(self.recording, flip.property.change(flip.amount), self.marks, self.regions)


def voice_counterfactuals(
    recording: Recording,
    marks: PitchMarks,
    regions: Sequence[Region],
    score: ScoreSounds,
    work: Work,
    properties: Sequence[VoiceProperty] = PROPERTIES,
    *,
    unnatural: bool = True,
) -> VoiceCounterfactuals:
    """Change each property of a voice by natural and some unnatural amounts, and find where the verdict flips.

    Between the amounts that were tried, a score may rise and fall unseen.

    Parameters
    ----------
    regions : sequence of Region
        Where to change the voice, in order of time and not touching; empty: everywhere.
    score : callable
        The only access to the model.
    unnatural : bool
        Whether amounts beyond the natural limits are tried too; they never count as flips.

    Raises
    ------
    Cancelled
    """
    usable = [p for p in properties if marks.runs or not p.needs_voice]
    parts = len(usable) + 1

    def scores_of(changes: Sequence[tuple[VoiceProperty, float]], part: Work) -> np.ndarray:
        scores = []
        for start in range(0, len(changes), SOUNDS_AT_ONCE):
            part.check()
            batch = changes[start : start + SOUNDS_AT_ONCE]
            sounds = [change_voice(recording, p.change(amount), marks, regions) for p, amount in batch]
            scores.append(score(sounds, part.silently()))
            part.report(min(1.0, (start + SOUNDS_AT_ONCE) / len(changes)), "")
        return np.concatenate(scores)

    unchanged = change_voice(recording, VoiceChange(), marks, regions)
    original, synthesised = score([recording.samples, unchanged], work.silently())
    curves = []
    for done, changed in enumerate(usable):
        work.report(done / parts, changed.name)
        natural = _natural_range(changed, marks)
        amounts = np.unique([*(GRID[GRID >= 0] if changed.only_more else GRID) * changed.limit, *natural])
        if not unnatural:
            amounts = amounts[(amounts >= natural[0]) & (amounts <= natural[1])]
        changes = [(changed, amount) for amount in amounts if amount]
        scores = scores_of(changes, work.part(done, parts, changed.name))
        scores = np.insert(scores, int(np.flatnonzero(amounts == 0)[0]), synthesised, axis=0)
        control = there_and_back(recording, changed.change(CONTROL_SHARE * changed.limit), marks, regions)
        curves.append(VoiceCurve(changed, amounts, scores, score([control], work.silently())[0], natural))
    verdict = int(original.argmax())
    brackets = [bracket for curve in curves for bracket in _brackets(curve, verdict)]
    for halving in range(HALVINGS if brackets else 0):
        work.report((len(usable) + halving / HALVINGS) / parts, "The smallest changes")
        middles = [(flip.property, (unflipped + flip.amount) / 2) for unflipped, flip in brackets]
        brackets = _halved(brackets, middles, scores_of(middles, work.silently()), verdict)
    flips = [flip for _, flip in brackets]
    curves = [replace(curve, flips=tuple(f for f in flips if f.property is curve.property)) for curve in curves]
    return VoiceCounterfactuals(recording, marks, tuple(regions), original, tuple(curves))


def _natural_range(changed: VoiceProperty, marks: PitchMarks) -> tuple[float, float]:
    """Return the lowest and highest natural amount; pitch stays in the range of human speech."""
    low, high = 0.0 if changed.only_more else -changed.limit, changed.limit
    if changed.field == "pitch_st":
        median = np.nanmedian(marks.pitch_hz)
        low = min(0.0, max(low, 12 * float(np.log2(LOWEST_HZ / median))))
        high = max(0.0, min(high, 12 * float(np.log2(HIGHEST_HZ / median))))
    return low, high


def _brackets(curve: VoiceCurve, verdict: int) -> list[tuple[float, VoiceFlip]]:
    """Return, for each direction, the last natural amount that preserves the verdict, and the flip at the next one."""
    best = curve.scores.argmax(axis=1)
    middle = int(np.flatnonzero(curve.amounts == 0)[0])
    if best[middle] != verdict or curve.control.argmax() != verdict:
        return []
    brackets = []
    for outward in (np.arange(middle, -1, -1), np.arange(middle, len(best))):
        inside = outward[(curve.amounts[outward] >= curve.natural[0]) & (curve.amounts[outward] <= curve.natural[1])]
        flipped = np.flatnonzero(best[inside] != verdict)
        if len(flipped):
            before, at = inside[flipped[0] - 1], inside[flipped[0]]
            flip = VoiceFlip(curve.property, float(curve.amounts[at]), int(best[at]), curve.scores[at])
            brackets.append((float(curve.amounts[before]), flip))
    return brackets


def _halved(
    brackets: Sequence[tuple[float, VoiceFlip]],
    middles: Sequence[tuple[VoiceProperty, float]],
    scores: np.ndarray,
    verdict: int,
) -> list[tuple[float, VoiceFlip]]:
    """Return the half of each bracket that contains the flip, given the scores (brackets, classes) at its middle."""
    halves = []
    for (unflipped, flip), (changed, middle), row in zip(brackets, middles, scores, strict=True):
        if row.argmax() == verdict:
            halves.append((middle, flip))
        else:
            halves.append((unflipped, VoiceFlip(changed, middle, int(row.argmax()), row)))
    return halves


def flip_in_words(flip: VoiceFlip, emotions: tuple[str, ...]) -> str:
    """Describe the effect of a change on the verdict, as in `3 semitones lower, and it is neutral`."""
    change = flip.property.in_words(flip.amount)
    return f"{change[0].upper()}{change[1:]}, and it is {emotions[flip.emotion]}"


def counterfactuals_in_words(found: VoiceCounterfactuals, emotions: tuple[str, ...]) -> str:
    """Describe the smallest natural change that flips the verdict, or say that there is none."""
    verdict, where = emotions[int(found.original.argmax())], "in the focus" if found.regions else "of the voice"
    flip = found.smallest
    if flip is None:
        return f"No natural change {where} alone changes the verdict: it stays {verdict}."
    return f"{flip_in_words(flip, emotions)} instead of {verdict}: the smallest natural change {where} that does this."
