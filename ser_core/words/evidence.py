"""How much each word supports an emotion: Shapley values over which words are present and which are replaced.

A segment of the spectrogram is predicted once for each set of its own words that occurs. The prediction for the
recording with any set of words is then a sum over segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import scipy

from ser_core.analysis import Explanation, Region
from ser_core.explanation.relevance import PASSES_AT_ONCE, ExplanationTarget, Predict, fill_values
from ser_core.model.classifier import Classifier
from ser_core.model.scores import pooled, pooling_terms, softmax
from ser_core.words.shapley import shapley_values, word_sets
from ser_core.work.progress import UNWATCHED, Work

#: What replaces a word: silence, or the recording's mean in each band. If both agree, the fill does not matter.
FILLS = ("noise_floor", "band_mean")
#: More words than this are explained in groups of neighbours.
WORDS_TOGETHER = 10
#: A rank correlation needs this many words: of eight, chance alone gives one beyond ±0.71 in 6 % of cases; of three, it
#: gives ±1 in a third of them.
MIN_RANKED_WORDS = 8
#: The focus is the fewest words with this share of all evidence for the emotion.
FOCUS_SHARE = 0.5
PUNCTUATION = ' .,;:!?…"“”„«»‹›()[]¿¡、。，！？'


@dataclass(frozen=True, eq=False)
class MapOnWords:
    """A map of an explainer, read by words.

    Attributes
    ----------
    sums : ndarray of shape (words,)
        Sum over each word's frames of the map's mean over frequency, in the map's own unit.
    aopc : float
        Mean loss of evidence while words are silenced one by one, those with the highest sums first.
    agreement : float or None
        Rank correlation of the sums with the words' values; None for fewer than `MIN_RANKED_WORDS`.
    """

    sums: np.ndarray
    aopc: float
    agreement: float | None


@dataclass(frozen=True, eq=False)
class WordEvidence:
    """The evidence of each word for an emotion, in log-odds.

    Attributes
    ----------
    words : tuple of Region
        In order of time, each labelled with the word.
    value : ndarray of shape (words,)
        Shapley value, the mean over the fills; NaN for a word outside the explained stretch or in no selected segment.
        The values of up to ten words add up to the evidence with all of them minus that with none; with more words,
        this holds for each group of neighbours.
    low, high : ndarray of shape (words,)
        The range over the fills, widened by the 95 % sampling error if sets of words were drawn.
    alone : ndarray of shape (words,)
        Evidence lost when only this word is replaced, the mean over the fills.
    with_next : ndarray of shape (words - 1,)
        Evidence lost when a word and the next one are silenced.
    aopc : float
        Mean loss of evidence while words are silenced one by one, those with the highest values first.
    lowest_first_aopc : float
        The same, with the lowest values first.
    exact : bool
        Whether all sets of words were tried.
    maps : dict of str to MapOnWords
        By the name of the explainer.
    """

    words: tuple[Region, ...]
    emotion: str
    against: str | None
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    alone: np.ndarray
    with_next: np.ndarray
    aopc: float
    lowest_first_aopc: float
    exact: bool
    maps: dict[str, MapOnWords] = field(default_factory=dict)

    @property
    def in_focus(self) -> np.ndarray:
        """Which words are in focus, shape (words,), bool."""
        return focus_words(self.value)

    @property
    def phrases(self) -> list[str]:
        """The words in focus, in order of time and without surrounding punctuation; neighbours form one phrase."""
        runs = groupby(zip(self.in_focus, self.words, strict=True), key=lambda pair: pair[0])
        phrases = [" ".join(word.label for _, word in run) for inside, run in runs if inside]
        return [phrase.strip(PUNCTUATION) or phrase for phrase in phrases]


class WordGame:
    """A recording's probabilities when only some of its words are present.

    Parameters
    ----------
    classifier : Classifier
        Only its `score` is called: segments to logits.
    word_of_frame : ndarray of shape (frames,), int
        The word at each frame of the recording, -1 where there is none.
    words : int
    fill : ndarray of shape (frames, bands)
    """

    def __init__(
        self,
        classifier: Classifier,
        target: ExplanationTarget,
        word_of_frame: np.ndarray,
        words: int,
        fill: np.ndarray,
    ) -> None:
        self._predict: Predict = classifier.score
        self._temperature, self._pooling, self._words = classifier.temperature, classifier.pooling, words
        segments, members = target.segments, target.members
        self._values, length = segments.values[members], segments.segment_frames
        frames = segments.start_frames[members, None] + np.arange(length)
        # The padding of a short recording lies after its last frame and is never replaced.
        inside = frames < len(word_of_frame)
        frames = np.minimum(frames, len(word_of_frame) - 1)
        self._word_of = np.where(inside, word_of_frame[frames], -1)
        self._fill = np.broadcast_to(fill, (len(word_of_frame), fill.shape[1]))
        self._frames = frames
        self._own_words = [np.unique(row[row >= 0]) for row in self._word_of]
        self._known: list[dict[bytes, np.ndarray]] = [{} for _ in members]

    def probabilities(self, sets: np.ndarray, work: Work = UNWATCHED) -> np.ndarray:
        """Return the probabilities (sets, classes) with the words of each set; sets are (sets, words), bool."""
        sets = np.asarray(sets, bool)
        keys_of_sets, needed = [], []
        for member, words in enumerate(self._own_words):
            own_sets, inverse = np.unique(sets[:, words], axis=0, return_inverse=True)
            keys = [row.tobytes() for row in own_sets]
            keys_of_sets.append((keys, inverse.reshape(-1)))
            known = self._known[member]
            needed += [(member, key, row) for key, row in zip(keys, own_sets, strict=True) if key not in known]
        for first in range(0, len(needed), PASSES_AT_ONCE):
            work.check()
            self._predict_some(needed[first : first + PASSES_AT_ONCE])
            work.report(
                min(1.0, (first + PASSES_AT_ONCE) / len(needed)), f"{first} of {len(needed)} segments predicted"
            )
        total = 0.0
        for known, (keys, inverse) in zip(self._known, keys_of_sets, strict=True):
            total = total + np.stack([known[key] for key in keys])[inverse]
        return pooled(total / len(self._known), self._pooling)

    def _predict_some(self, needed: list[tuple[int, bytes, np.ndarray]]) -> None:
        members = np.array([member for member, _, _ in needed])
        present = np.ones((len(needed), self._words + 1), bool)  # the last column is for frames without a word
        for row, (member, _, own) in zip(present, needed, strict=True):
            row[self._own_words[member]] = own
        replaced = ~np.take_along_axis(present, self._word_of[members], axis=1)
        segments = np.where(replaced[:, :, None], self._fill[self._frames[members]], self._values[members])
        terms = pooling_terms(softmax(self._predict(segments), self._temperature), self._pooling)
        for (member, key, _), term in zip(needed, terms, strict=True):
            self._known[member][key] = term


def evidence_of_words(
    words: Sequence[Region],
    classifier: Classifier,
    target: ExplanationTarget,
    frame_times_s: np.ndarray,
    maps: Sequence[Explanation] = (),
    seed: int = 0,
    work: Work = UNWATCHED,
) -> WordEvidence:
    """Return the evidence of each word for the emotion of a target.

    Parameters
    ----------
    words : sequence of Region
        In order of time; where two overlap, a frame belongs to the later one.
    frame_times_s : ndarray of shape (frames,)
        Middle of each frame of the target.
    maps : sequence of Explanation
        Maps of the same target, to compare with.

    References
    ----------
    Pastor et al. 2024, arXiv:2309.07733, silence words.
    """
    words, rng = tuple(words), np.random.default_rng(seed)
    word_of_frame = frames_of_words(words, frame_times_s)
    measured = np.unique(word_of_frame[target.covered & (word_of_frame >= 0)])
    count = len(measured)
    number = np.full(len(words) + 1, -1)  # the last is for frames without a word
    number[measured] = np.arange(count)
    fills = [fill_values(target.log_mel, name, rng) for name in FILLS]
    games = [WordGame(classifier, target, number[word_of_frame], count, fill) for fill in fills]
    values, errors, exact = _values_in_groups(games, count, target, rng, work)
    value, silently = values.mean(axis=0), work.silently()

    def aopc(importance: np.ndarray) -> float:
        order = np.argsort(-importance, kind="stable")
        removed = np.argsort(order) < np.arange(1, count + 1)[:, None]
        return float(_lost_evidence(removed, games[:1], target, silently).mean()) if count else 0.0

    def for_all_words(figures: np.ndarray) -> np.ndarray:
        of_words = np.full(len(words), np.nan)
        of_words[measured] = figures
        return of_words

    sums = {map_.method: sums_over_words(map_.relevance, words, frame_times_s) for map_ in maps}
    return WordEvidence(
        words,
        classifier.emotions[target.emotion],
        None if target.against is None else classifier.emotions[target.against],
        value=for_all_words(value),
        low=for_all_words((values - 1.96 * errors).min(axis=0, initial=np.inf)),
        high=for_all_words((values + 1.96 * errors).max(axis=0, initial=-np.inf)),
        alone=for_all_words(_lost_evidence(np.eye(count, dtype=bool), games, target, silently)),
        with_next=for_all_words(_lost_with_next(measured, games[:1], target, silently))[:-1],
        aopc=aopc(value),
        lowest_first_aopc=aopc(-value),
        exact=exact,
        maps={
            method: MapOnWords(of_map, aopc(of_map[measured]), rank_agreement(value, of_map[measured]))
            for method, of_map in sums.items()
        },
    )


def _values_in_groups(
    games: Sequence[WordGame], count: int, target: ExplanationTarget, rng: np.random.Generator, work: Work
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return values and standard errors (games, count), computed in groups of words, and whether they are exact."""
    groups = np.array_split(np.arange(count), -(-count // WORDS_TOGETHER)) if count else []
    values, errors = np.zeros((len(games), count)), np.zeros((len(games), count))
    exact = len(groups) < 2
    for done, group in enumerate(groups):
        for index, game in enumerate(games):
            # Each fill draws its own sets, so that their errors average out.
            sets, weights, drawn = word_sets(len(group), rng)
            exact = exact and not drawn
            rows = np.ones((len(sets), count), bool)
            rows[:, group] = sets
            part = work.part(len(games) * done + index, len(games) * len(groups))
            evidences = target.evidence(game.probabilities(rows, part))
            values[index, group], errors[index, group] = shapley_values(sets, evidences, weights, drawn)
    return values, errors, exact


def _lost_evidence(removed: np.ndarray, games: Sequence[WordGame], target: ExplanationTarget, work: Work) -> np.ndarray:
    """Return the mean evidence lost over games, shape (sets,), without some words (sets, words), bool."""
    sets = np.concatenate([np.ones((1, removed.shape[1]), bool), ~removed])
    evidences = [target.evidence(game.probabilities(sets, work)) for game in games]
    return np.mean([of_game[0] - of_game[1:] for of_game in evidences], axis=0)


def _lost_with_next(
    measured: np.ndarray, games: Sequence[WordGame], target: ExplanationTarget, work: Work
) -> np.ndarray:
    """Return the evidence lost without each measured word and the next one; NaN if the next one is not measured."""
    count = len(measured)
    pairs = np.eye(count, dtype=bool) | np.eye(count, k=1, dtype=bool)
    lost = np.append(_lost_evidence(pairs[:-1], games, target, work), np.nan) if count else np.empty(0)
    lost[:-1][np.diff(measured) > 1] = np.nan
    return lost


def frames_of_words(words: Sequence[Region], frame_times_s: np.ndarray) -> np.ndarray:
    """Return the word at the middle of each frame, shape (frames,), int; -1 if there is none."""
    word_of_frame = np.full(len(frame_times_s), -1)
    for index, word in enumerate(words):
        first, end = np.searchsorted(frame_times_s, [word.start_s, word.end_s])
        word_of_frame[first:end] = index
    return word_of_frame


def focus_words(value: np.ndarray) -> np.ndarray:
    """Return which words are in focus, shape (words,), bool: the fewest with half of all evidence for the emotion."""
    positive = np.where(value > 0, value, 0.0)  # NaN is not above 0
    order = np.argsort(-positive, kind="stable")
    cumulative = np.cumsum(positive[order])
    inside = np.zeros(len(value), bool)
    if cumulative.size and cumulative[-1] > 0:
        inside[order[: np.searchsorted(cumulative, FOCUS_SHARE * cumulative[-1] - 1e-12) + 1]] = True
    return inside


def sums_over_words(relevance: np.ndarray, words: Sequence[Region], frame_times_s: np.ndarray) -> np.ndarray:
    """Return the sum over the frames of each word of a map's (frames, bands) mean over frequency, shape (words,)."""
    word_of_frame = frames_of_words(words, frame_times_s)
    inside = word_of_frame >= 0
    return np.bincount(word_of_frame[inside], relevance[inside].mean(axis=1), minlength=len(words))


def rank_agreement(value: np.ndarray, sums: np.ndarray) -> float | None:
    """Return the rank correlation of values and sums over the measured words; None for too few of them, or a tie."""
    known = np.isfinite(value)
    if np.count_nonzero(known) < MIN_RANKED_WORDS or np.ptp(value[known]) == 0 or np.ptp(sums[known]) == 0:
        return None
    return float(scipy.stats.spearmanr(value[known], sums[known]).statistic)
