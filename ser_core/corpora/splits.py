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
    """Indices of the recordings on each side; `description` stands beside the figures of the split.

    A recording whose speaker and sentence belong to different sides is on none.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    description: str


def speaker_splits(recordings: Sequence[LabelledRecording], folds: int, seed: int) -> list[Split]:
    """Split by speaker, so that no speaker is on two sides.

    Every speaker is tested in exactly one fold. The speakers of each corpus are spread evenly over the folds; about
    15 % of its other speakers, at least one, validate.

    Raises
    ------
    SettingsRefused
        If there are fewer than two folds, or a corpus has too few speakers to fill all sides in every fold.
    """
    needed = _min_names(folds)
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
        kind = f"speaker-disjoint, fold {fold + 1} of {folds}"
        splits.append(_split(recordings, lambda item, side_of=side_of: side_of[item.speaker_id], kind))
    return splits


def _min_names(folds: int) -> int:
    """Return how many speakers, or sentences, a corpus needs to fill all sides in every fold."""
    if folds < 2:
        raise SettingsRefused(f"{folds} folds leave no training data; choose at least 2.")
    return 4 if folds == 2 else folds  # with three speakers in two folds, one would have to validate and train


def _sides(names: list[str], fold: int, folds: int, share: float = VALIDATION_SHARE) -> dict[str, str]:
    """Assign names to the sides of a fold."""
    tested = set(names[fold::folds])
    others = [name for name in names if name not in tested]
    # Begin after the fold's index, so that other names validate in other folds.
    validating = _validation_names(others[fold:] + others[:fold], share)
    sides = dict.fromkeys(names, "train")
    sides |= dict.fromkeys(tested, "test")
    return sides | dict.fromkeys(validating, "validation")


def sentence_splits(recordings: Sequence[LabelledRecording], folds: int, seed: int) -> list[Split]:
    """Split by speaker and sentence, so that neither is on two sides.

    In each corpus every speaker and every sentence is tested in exactly one fold: the fold's speakers saying the fold's
    sentences. A quarter of the other speakers validate with a quarter of the other sentences, and the rest is training
    data. Recordings whose speaker and sentence are on different sides, or whose sentence is unknown, are on no side. A
    corpus with too few speakers or sentences is training data as a whole.

    Raises
    ------
    SettingsRefused
        If there are fewer than two folds, no corpus has enough speakers and sentences, or a side stays empty.
    """
    needed = _min_names(folds)
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
    """Return one fold. `parts` are the speakers and sentences of the corpora to split; `too_few` names the others."""
    speaker_sides, sentence_sides = {}, {}
    for corpus, (speakers, sentences) in parts.items():
        speaker_sides |= _sides(speakers, fold, folds, VALIDATION_SHARE_OF_BOTH)
        sides = _sides(sentences, fold, folds, VALIDATION_SHARE_OF_BOTH)
        sentence_sides |= {(corpus, text): side for text, side in sides.items()}

    def side_of(item: LabelledRecording) -> str | None:
        if item.corpus not in parts:
            return "train"
        side = speaker_sides[item.speaker_id]
        return side if side == sentence_sides.get((item.corpus, item.text)) else None

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
    validating = set().union(*(_validation_names(speakers) for speakers in order.values()))
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
    seen = len(speakers["test"] & speakers["train"])
    overlap = f"{seen} of {len(speakers['test'])} test speakers are also heard in training"
    return [_split(recordings, lambda item: side_of[_take(item)], "; ".join(("random 85:15", overlap)))]


def _take(item: LabelledRecording) -> tuple[str, str, str, str]:
    """Return the key of recordings that must stay on one side, corpus and emotion first."""
    return item.corpus, item.emotion, item.speaker, item.text or str(item.path)


def _assign_sides(sizes: dict[tuple[str, str, str, str], int], seed: int) -> dict[tuple[str, str, str, str], str]:
    """Assign each take to the side that lacks most recordings, one corpus and emotion after another, at random."""
    shares = {"test": TEST_SHARE, "validation": (1 - TEST_SHARE) * VALIDATION_SHARE}
    shares["train"] = 1 - sum(shares.values())
    rng = np.random.default_rng(seed)
    strata = defaultdict(list)
    for take in sorted(sizes):
        strata[take[:2]].append(take)
    assigned: Counter[str] = Counter()
    side_of = {}
    for stratum in rng.permutation(len(strata)):
        takes = list(strata.values())[stratum]
        for index in rng.permutation(len(takes)):
            size = sizes[takes[index]]
            total = assigned.total() + size
            side = max(shares, key=lambda side: shares[side] * total - assigned[side])
            assigned[side] += size
            side_of[takes[index]] = side
    return side_of


def _shuffled_speakers(recordings: Sequence[LabelledRecording], seed: int) -> dict[str, list[str]]:
    """Return the speakers of each corpus in random order, which does not depend on the order of the recordings."""
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


def _validation_names(names: list[str], share: float = VALIDATION_SHARE) -> set[str]:
    return set(names[: max(1, round(share * len(names)))])


def _split(
    recordings: Sequence[LabelledRecording], side_of: Callable[[LabelledRecording], str | None], kind: str
) -> Split:
    sides: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for index, item in enumerate(recordings):
        if (side := side_of(item)) is not None:
            sides[side].append(index)
    description = f"{kind}; {shared_texts(recordings, sides)}"
    return Split(tuple(sides["train"]), tuple(sides["validation"]), tuple(sides["test"]), description)


def shared_texts(recordings: Sequence[LabelledRecording], sides: dict[str, list[int]]) -> str:
    """Describe how many known sentences of the test are also in the training data."""

    def texts(indices: list[int]) -> set[tuple[str, str]]:
        return {(recordings[i].corpus, recordings[i].text) for i in indices if recordings[i].text}

    tested = texts(sides["test"])
    seen = len(tested & texts(sides["train"]))
    shared = f"{seen} of {len(tested)} test sentences are also spoken in training"
    unknown = sum(not recordings[index].text for index in sides["test"])
    return "; ".join((shared, f"the sentences of {unknown} test recordings are unknown")) if unknown else shared


def draw_evenly(items: Sequence[LabelledRecording], count: int, seed: int) -> list[LabelledRecording]:
    """Return `count` random recordings, taken in turn from the corpora, and within each in turn from its speakers."""
    order = np.random.default_rng(seed).permutation(len(items))
    by_speaker = _in_turn([items[index] for index in order], "speaker_id")
    return _in_turn(by_speaker, "corpus")[:count]


def _in_turn(items: Iterable[LabelledRecording], attribute: str) -> list[LabelledRecording]:
    """Return the items reordered: the first of each value of the attribute, then the second of each, and so on."""
    counts, turns = Counter(), []
    for item in items:
        value = getattr(item, attribute)
        turns.append((counts[value], item))
        counts[value] += 1
    return [item for _, item in sorted(turns, key=lambda turn: turn[0])]
