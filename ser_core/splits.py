"""Divide recordings into those to learn from, those to choose by, and those to be tested on once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import SettingsRefused

VALIDATION_SHARE = 0.15


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
    rng = np.random.default_rng(seed)
    speakers = defaultdict(set)
    for item in recordings:
        speakers[item.corpus].add(item.speaker_id)
    fold_of: dict[str, int] = {}
    order: dict[str, list[str]] = {}
    for corpus in sorted(speakers):
        if len(speakers[corpus]) < needed:
            raise SettingsRefused(
                f"{corpus} has {len(speakers[corpus])} speakers; {folds} folds need at least {needed}. "
                "Ask for fewer folds, or leave the corpus out."
            )
        order[corpus] = [str(s) for s in rng.permutation(sorted(speakers[corpus]))]
        fold_of |= {speaker: place % folds for place, speaker in enumerate(order[corpus])}
    return [_speaker_split(recordings, fold, folds, fold_of, order) for fold in range(folds)]


def _speaker_split(
    recordings: Sequence[LabelledRecording], fold: int, folds: int, fold_of: dict[str, int], order: dict[str, list[str]]
) -> Split:
    validating = set()
    for names in order.values():
        others = [name for name in names if fold_of[name] != fold]
        # Begin behind the fold's own place, so that other speakers validate in other folds.
        turned = others[fold:] + others[:fold]
        validating |= set(turned[: max(1, round(VALIDATION_SHARE * len(others)))])
    sides: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for place, item in enumerate(recordings):
        name = item.speaker_id
        side = "test" if fold_of[name] == fold else "validation" if name in validating else "train"
        sides[side].append(place)
    words = f"speaker-disjoint, fold {fold + 1} of {folds}; {shared_texts(recordings, sides)}"
    return Split(tuple(sides["train"]), tuple(sides["validation"]), tuple(sides["test"]), words)


def shared_texts(recordings: Sequence[LabelledRecording], sides: dict[str, list[int]]) -> str:
    """Say whether sentences of the test are also learnt from."""

    def texts(places: list[int]) -> set[tuple[str, str]]:
        return {(recordings[place].corpus, recordings[place].text) for place in places}

    tested = texts(sides["test"])
    known = len(tested & texts(sides["train"]))
    return f"{known} of {len(tested)} test sentences are also spoken in training"
