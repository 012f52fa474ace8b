"""Split recordings into training, validation and test sets."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import SettingsRefused

TEST_SHARE = 0.15
VALIDATION_SHARE = 0.15  # of what is not in the test
#: Of the speakers and of the sentences outside the test, if both are separated: a sixteenth of the recordings.
VALIDATION_SHARE_OF_BOTH = 0.25


@dataclass(frozen=True)
class Split:
    """Indices of the recordings on each side; `words` describes the split wherever its figures are shown.

    A recording whose speaker and sentence belong to different sides is on none.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    words: str


def speaker_splits(recordings: Sequence[LabelledRecording], folds: int, seed: int) -> list[Split]:
    """Split by speaker, so that no speaker is on two sides.

    Every speaker is tested in exactly one fold. The speakers of each corpus are spread evenly over the folds; about
    15 % of its other speakers, at least one, validate.

    Raises
    ------
    SettingsRefused
        If there are fewer than two folds, or a corpus has too few speakers to fill all sides in every fold.
    """
    needed = _needed(folds)
    order = _shuffled_speakers(recordings, seed)
    for corpus, speakers in order.items():
        if len(speakers) < needed:
            raise SettingsRefused(
                f"{corpus} has {len(speakers)} speakers; {folds} folds need at least {needed}. "
                "Choose fewer folds, or leave the corpus out."
            )
    splits = []
    for fold in range(folds):
        side_of = {name: side for names in order.values() for name, side in _sides(names, fold, folds).items()}
        words = f"speaker-disjoint, fold {fold + 1} of {folds}"
        splits.append(_split(recordings, lambda item, of=side_of: of[item.speaker_id], words))
    return splits


def _needed(folds: int) -> int:
    """Return how many speakers, or sentences, a corpus needs to fill all sides in every fold."""
    if folds < 2:
        raise SettingsRefused(f"{folds} folds leave no training data; choose at least 2.")
    return 4 if folds == 2 else folds  # of three speakers in two folds, one would have to validate and train


def _sides(names: list[str], fold: int, folds: int, share: float = VALIDATION_SHARE) -> dict[str, str]:
    """Assign names to the sides of a fold."""
    tested = set(names[fold::folds])
    others = [name for name in names if name not in tested]
    # Begin after the fold's index, so that other names validate in other folds.
    validating = _validating(others[fold:] + others[:fold], share)
    return {name: "test" if name in tested else "validation" if name in validating else "train" for name in names}


def sentence_splits(recordings: Sequence[LabelledRecording], folds: int, seed: int) -> list[Split]:
    """Split by speaker and sentence, so that neither is on two sides.

    In each corpus every speaker and every sentence is tested in exactly one fold: the fold's speakers saying the fold's
    sentences. A quarter of the other speakers validate with a quarter of the other sentences, and the rest is training
    data. Recordings of a speaker and a sentence of different sides, or of an unknown sentence, are on no side. A corpus
    with too few speakers or sentences is training data as a whole.

    Raises
    ------
    SettingsRefused
        If there are fewer than two folds, no corpus has enough speakers and sentences, or a side stays empty.
    """
    needed = _needed(folds)
    speakers, sentences = _shuffled_speakers(recordings, seed), _shuffled_sentences(recordings, seed)
    counts = {corpus: (len(names), len(sentences.get(corpus, ()))) for corpus, names in speakers.items()}
    divided = [corpus for corpus, (people, texts) in counts.items() if min(people, texts) >= needed]
    too_few = ", ".join(
        f"{corpus} ({people} speakers, {texts} sentences)"
        for corpus, (people, texts) in counts.items()
        if corpus not in divided
    )
    if not divided:
        raise SettingsRefused(
            f"No corpus has the {needed} speakers and {needed} known sentences that {folds} folds need: "
            f"{too_few or 'there are no recordings'}. Choose fewer folds, add a corpus, or split by speaker."
        )
    parts = {corpus: (names, sentences[corpus]) for corpus, names in speakers.items() if corpus in divided}
    return [_sentence_split(recordings, fold, folds, parts, too_few) for fold in range(folds)]


def _sentence_split(
    recordings: Sequence[LabelledRecording],
    fold: int,
    folds: int,
    parts: dict[str, tuple[list[str], list[str]]],
    too_few: str,
) -> Split:
    """Return a fold of the corpora whose speakers and sentences are given; its description names those of `too_few`."""
    of_speakers, of_sentences = {}, {}
    for corpus, (speakers, sentences) in parts.items():
        of_speakers |= _sides(speakers, fold, folds, VALIDATION_SHARE_OF_BOTH)
        sides = _sides(sentences, fold, folds, VALIDATION_SHARE_OF_BOTH)
        of_sentences |= {(corpus, text): side for text, side in sides.items()}

    def side_of(item: LabelledRecording) -> str | None:
        if item.corpus not in parts:
            return "train"
        side = of_speakers[item.speaker_id]
        return side if side == of_sentences.get((item.corpus, item.text)) else None

    kind = f"sentence- and speaker-disjoint, fold {fold + 1} of {folds}"
    if too_few:
        kind = "; ".join((kind, f"only learnt from: {too_few}"))
    split = _split(recordings, side_of, kind)
    if not (split.train and split.validation and split.test):
        raise SettingsRefused(
            f"Fold {fold + 1} of {folds} leaves a side without recordings: too few of its speakers say its "
            "sentences. Choose another number of folds, add a corpus, or split by speaker."
        )
    return split


def corpus_splits(recordings: Sequence[LabelledRecording], seed: int) -> list[Split]:
    """Split by corpus: each corpus in turn is the test of a model trained on all others.

    About 15 % of the speakers of each other corpus, at least one, validate.

    Raises
    ------
    SettingsRefused
        If there are fewer than two corpora, or one has a single speaker, who could not both train and validate.
    """
    order = _shuffled_speakers(recordings, seed)
    if len(order) < 2:
        raise SettingsRefused(
            f"Leaving one corpus out needs at least 2 corpora, and there are {len(order)}; add a corpus, "
            "or split by speaker."
        )
    for corpus, speakers in order.items():
        if len(speakers) < 2:
            raise SettingsRefused(
                f"{corpus} has 1 speaker; at least 2 are needed, one for training and one for validation. "
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
    """Split 85:15 at random, as Kim and Kwak 2024 do, with all takes of a sentence on one side.

    Takes are one speaker's recordings of one sentence in one emotion; a recording of an unknown sentence is a take of
    its own. About 15 % of the recordings of every corpus and emotion are the test, and 15 % of the rest validate. The
    same speakers are on all sides, so the figures say nothing about new speakers.

    Returns
    -------
    splits : list of one Split

    Raises
    ------
    SettingsRefused
        If there are too few recordings to fill all sides.
    """
    side_of = _assign_sides(Counter(_take(item) for item in recordings), seed)
    speakers = defaultdict(set)
    for item in recordings:
        speakers[side_of[_take(item)]].add(item.speaker_id)
    if len(speakers) < 3:
        raise SettingsRefused(
            f"{len(recordings)} recordings ({len(side_of)} without repeated takes) are too few for training, "
            "validation and test; add recordings."
        )
    known = len(speakers["test"] & speakers["train"])
    overlap = f"{known} of {len(speakers['test'])} test speakers are also heard in training"
    words = "; ".join(("random 85:15", overlap))
    return [_split(recordings, lambda item: side_of[_take(item)], words)]


def _take(item: LabelledRecording) -> tuple[str, str, str, str]:
    """Return the key of recordings that must stay on one side, corpus and emotion first."""
    return item.corpus, item.emotion, item.speaker, item.text or str(item.path)


def _assign_sides(sizes: dict[tuple[str, str, str, str], int], seed: int) -> dict[tuple[str, str, str, str], str]:
    """Assign each group to the side that lacks most, one stratum after another, in random order."""
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
        for index in rng.permutation(len(groups)):
            size = sizes[groups[index]]
            seen = given.total() + size
            side = max(shares, key=lambda side: shares[side] * seen - given[side])
            given[side] += size
            side_of[groups[index]] = side
    return side_of


def _shuffled_speakers(recordings: Sequence[LabelledRecording], seed: int) -> dict[str, list[str]]:
    """Return the speakers of each corpus in random order, whatever the order of the recordings."""
    rng = np.random.default_rng(seed)
    speakers = defaultdict(set)
    for item in recordings:
        speakers[item.corpus].add(item.speaker_id)
    return {corpus: [str(name) for name in rng.permutation(sorted(speakers[corpus]))] for corpus in sorted(speakers)}


def _shuffled_sentences(recordings: Sequence[LabelledRecording], seed: int) -> dict[str, list[str]]:
    """Return the known sentences of each corpus in random order."""
    rng = np.random.default_rng([seed, 1])  # another order than the speakers'
    sentences = defaultdict(set)
    for item in recordings:
        if item.text:
            sentences[item.corpus].add(item.text)
    return {corpus: [str(text) for text in rng.permutation(sorted(sentences[corpus]))] for corpus in sorted(sentences)}


def _validating(names: list[str], share: float = VALIDATION_SHARE) -> set[str]:
    return set(names[: max(1, round(share * len(names)))])


def _split(
    recordings: Sequence[LabelledRecording], side_of: Callable[[LabelledRecording], str | None], kind: str
) -> Split:
    sides: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for index, item in enumerate(recordings):
        if (side := side_of(item)) is not None:
            sides[side].append(index)
    words = f"{kind}; {shared_texts(recordings, sides)}"
    return Split(tuple(sides["train"]), tuple(sides["validation"]), tuple(sides["test"]), words)


def shared_texts(recordings: Sequence[LabelledRecording], sides: dict[str, list[int]]) -> str:
    """Describe how many known sentences of the test are also in the training data."""

    def texts(indices: list[int]) -> set[tuple[str, str]]:
        return {(recordings[i].corpus, recordings[i].text) for i in indices if recordings[i].text}

    tested = texts(sides["test"])
    known = len(tested & texts(sides["train"]))
    words = f"{known} of {len(tested)} test sentences are also spoken in training"
    unknown = sum(not recordings[index].text for index in sides["test"])
    return "; ".join((words, f"the sentences of {unknown} test recordings are unknown")) if unknown else words


def draw_evenly(items: Sequence[LabelledRecording], count: int, seed: int) -> list[LabelledRecording]:
    """Return `count` random recordings, taken in turn from the corpora, and within each in turn from its speakers."""
    order = np.random.default_rng(seed).permutation(len(items))
    by_speaker = _in_turn([items[index] for index in order], "speaker_id")
    return _in_turn(by_speaker, "corpus")[:count]


def _in_turn(items: Iterable[LabelledRecording], attribute: str) -> list[LabelledRecording]:
    seen, turns = Counter(), []
    for item in items:
        turns.append((seen[getattr(item, attribute)], item))
        seen[getattr(item, attribute)] += 1
    return [item for _, item in sorted(turns, key=lambda turn: turn[0])]
