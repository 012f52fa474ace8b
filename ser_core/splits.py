"""Divide recordings into those to learn from, those to choose by, and those to be tested on once."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import SettingsRefused

TEST_SHARE = 0.15
VALIDATION_SHARE = 0.15  # of what is not tested


@dataclass(frozen=True)
class Split:
    """Places of the recordings in the list that was divided; `words` says how, for every figure that comes of it."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    words: str


def speaker_splits(recordings: Sequence[LabelledRecording], folds: int, seed: int) -> list[Split]:
    """Divide so that nobody is on two sides.

    Every speaker is tested in exactly one fold. Each corpus deals its speakers out evenly; about 15 % of the other
    speakers of each corpus, at least one, validate.

    Raises
    ------
    SettingsRefused
        If there are fewer than two folds, or a corpus has too few speakers for some to be tested, some to validate and
        some to learn from in every fold.
    """
    if folds < 2:
        raise SettingsRefused(f"{folds} folds leave nobody to learn from; ask for at least 2.")
    needed = 4 if folds == 2 else folds  # two folds of three speakers would leave one to validate and to learn from
    order = _shuffled_speakers(recordings, seed)
    for corpus, speakers in order.items():
        if len(speakers) < needed:
            raise SettingsRefused(
                f"{corpus} has {len(speakers)} speakers; {folds} folds need at least {needed}. "
                "Ask for fewer folds, or leave the corpus out."
            )
    fold_of = {name: place % folds for speakers in order.values() for place, name in enumerate(speakers)}
    return [_speaker_split(recordings, fold, folds, fold_of, order) for fold in range(folds)]


def _speaker_split(
    recordings: Sequence[LabelledRecording], fold: int, folds: int, fold_of: dict[str, int], order: dict[str, list[str]]
) -> Split:
    validating = set()
    for names in order.values():
        others = [name for name in names if fold_of[name] != fold]
        # Begin behind the fold's own place, so that other speakers validate in other folds.
        validating |= _validating(others[fold:] + others[:fold])

    def side_of(item: LabelledRecording) -> str:
        if fold_of[item.speaker_id] == fold:
            return "test"
        return "validation" if item.speaker_id in validating else "train"

    return _split(recordings, side_of, f"speaker-disjoint, fold {fold + 1} of {folds}")


def corpus_splits(recordings: Sequence[LabelledRecording], seed: int) -> list[Split]:
    """Divide so that each corpus is tested in turn by what was learnt from all others.

    About 15 % of the speakers of each other corpus, at least one, validate.

    Raises
    ------
    SettingsRefused
        If there are fewer than two corpora, or one has a single speaker, who could not both teach and validate.
    """
    order = _shuffled_speakers(recordings, seed)
    if len(order) < 2:
        raise SettingsRefused(
            f"Leaving one corpus out needs at least 2 corpora, and there are {len(order)}; add a corpus, "
            "or divide by speakers."
        )
    for corpus, speakers in order.items():
        if len(speakers) < 2:
            raise SettingsRefused(
                f"{corpus} has 1 speaker; at least 2 are needed, one to learn from and one to validate. "
                "Leave the corpus out."
            )
    validating = set().union(*(_validating(speakers) for speakers in order.values()))
    return [_corpus_split(recordings, corpus, validating) for corpus in order]


def _corpus_split(recordings: Sequence[LabelledRecording], corpus: str, validating: set[str]) -> Split:
    languages = sorted({item.language for item in recordings if item.corpus == corpus})

    def side_of(item: LabelledRecording) -> str:
        if item.corpus == corpus:
            return "test"
        return "validation" if item.speaker_id in validating else "train"

    return _split(recordings, side_of, f"corpus-disjoint, {corpus} ({', '.join(languages)}) left out of training")


def random_splits(recordings: Sequence[LabelledRecording], seed: int) -> list[Split]:
    """Divide 85:15 by chance, as Kim and Kwak 2024 do, so that takes of one sentence are not on two sides.

    Takes are one speaker's recordings of one sentence in one emotion; where the sentence is not known, each recording
    is by itself. Every corpus and emotion gives the test, and of the rest the validation, about 15 % of its recordings.
    The same people are on all sides, so that the figures say nothing of new speakers.

    Returns
    -------
    splits : list of one Split

    Raises
    ------
    SettingsRefused
        If there are too few recordings to fill all sides.
    """
    side_of = _dealt(Counter(_take(item) for item in recordings), seed)
    speakers = defaultdict(set)
    for item in recordings:
        speakers[side_of[_take(item)]].add(item.speaker_id)
    if len(speakers) < 3:
        raise SettingsRefused(
            f"{len(recordings)} recordings ({len(side_of)} without repeated takes) are too few to learn from, "
            "to validate and to test; add recordings."
        )
    known = len(speakers["test"] & speakers["train"])
    words = f"random 85:15; {known} of {len(speakers['test'])} test speakers are also heard in training"
    return [_split(recordings, lambda item: side_of[_take(item)], words)]


def _take(item: LabelledRecording) -> tuple[str, str, str, str]:
    """Return what recordings share that must stay on one side; corpus and emotion come first."""
    return item.corpus, item.emotion, item.speaker, item.text or str(item.path)


def _dealt(sizes: dict[tuple[str, str, str, str], int], seed: int) -> dict[tuple[str, str, str, str], str]:
    """Give each group to the side that lacks most, one stratum after the other, in an order of chance."""
    shares = {"test": TEST_SHARE, "validation": (1 - TEST_SHARE) * VALIDATION_SHARE}
    shares["train"] = 1 - sum(shares.values())
    rng = np.random.default_rng(seed)
    strata = defaultdict(list)
    for take in sorted(sizes):
        strata[take[:2]].append(take)
    given: Counter[str] = Counter()
    side_of = {}
    for stratum in rng.permutation(len(strata)):
        groups = list(strata.values())[stratum]
        for place in rng.permutation(len(groups)):
            size = sizes[groups[place]]
            seen = given.total() + size
            side = max(shares, key=lambda side: shares[side] * seen - given[side])
            given[side] += size
            side_of[groups[place]] = side
    return side_of


def _shuffled_speakers(recordings: Sequence[LabelledRecording], seed: int) -> dict[str, list[str]]:
    """Return the speakers of each corpus, in an order of chance that the order of the recordings does not change."""
    rng = np.random.default_rng(seed)
    speakers = defaultdict(set)
    for item in recordings:
        speakers[item.corpus].add(item.speaker_id)
    return {corpus: [str(name) for name in rng.permutation(sorted(speakers[corpus]))] for corpus in sorted(speakers)}


def _validating(speakers: list[str]) -> set[str]:
    return set(speakers[: max(1, round(VALIDATION_SHARE * len(speakers)))])


def _split(recordings: Sequence[LabelledRecording], side_of: Callable[[LabelledRecording], str], kind: str) -> Split:
    sides: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for place, item in enumerate(recordings):
        sides[side_of(item)].append(place)
    words = f"{kind}; {shared_texts(recordings, sides)}"
    return Split(tuple(sides["train"]), tuple(sides["validation"]), tuple(sides["test"]), words)


def shared_texts(recordings: Sequence[LabelledRecording], sides: dict[str, list[int]]) -> str:
    """Say whether sentences of the test are also learnt from, as far as the sentences are known."""

    def texts(places: list[int]) -> set[tuple[str, str]]:
        return {(recordings[place].corpus, recordings[place].text) for place in places if recordings[place].text}

    tested = texts(sides["test"])
    known = len(tested & texts(sides["train"]))
    words = f"{known} of {len(tested)} test sentences are also spoken in training"
    unknown = sum(not recordings[place].text for place in sides["test"])
    return f"{words}; the sentences of {unknown} test recordings are unknown" if unknown else words
