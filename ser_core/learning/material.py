"""The recordings that a training learns from, chooses by and is tested on."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import Split, corpus_splits, random_splits, sentence_splits, speaker_splits
from ser_core.errors import SettingsRefused
from ser_core.learning.dataset import LabelledSpectrogram, load_dataset
from ser_core.learning.plan import TrainingPlan, heard_before
from ser_core.learning.training import processes
from ser_core.work.progress import Work


@dataclass(frozen=True, eq=False)
class Material:
    """Recordings on their sides.

    Attributes
    ----------
    other_emotions : list of LabelledSpectrogram
        By people of the training side alone (saying its sentences, where these are kept apart): a teacher can show them
        to its pupil.
    heard : dict of str to str
        What training, validation and the starting weights have heard: sha256 to corpus:speaker.
    left_out : list of (file name, reason)
        Files that were refused.
    others_count : int
        Recordings of emotions that are not told apart.
    unrecognised_count : int
        Recordings that are not learnt from because listeners did not find their emotion in the voice.
    words : str
        How they were divided.
    """

    train: list[LabelledSpectrogram]
    validation: list[LabelledSpectrogram]
    test: list[LabelledSpectrogram]
    other_emotions: list[LabelledSpectrogram]
    heard: dict[str, str]
    left_out: list[tuple[str, str]]
    others_count: int
    unrecognised_count: int
    words: str


def read_material(plan: TrainingPlan, cache: Path, work: Work) -> Material:
    """Read the corpora of a plan and divide them.

    Raises
    ------
    SettingsRefused
        If the starting weights have heard everybody who was to be the test.
    """
    items = [item for name, folder in plan.corpora.items() for item in read_corpus(name, folder).recordings]
    wanted = [item for item in items if item.emotion in plan.emotions]
    others = [item for item in items if item.emotion not in plan.emotions]
    with processes().rank_zero_first():
        dataset, left_out = load_dataset(wanted, plan.emotions, plan.front_end, cache, work)
    dataset, again = _first_of_each(dataset, set())
    left_out += again
    split = _split(plan, [entry.item for entry in dataset])
    train, validation, test = ([dataset[i] for i in side] for side in (split.train, split.validation, split.test))
    taught = {_sentence(entry.item) for entry in train}
    if plan.drop_unrecognised:
        train = [entry for entry in train if not entry.item.unrecognised]
    speakers, held_out = ({entry.item.speaker_id for entry in side} for side in (train, validation + test))
    shown: list[LabelledSpectrogram] = []
    if plan.teaches:
        of_train = [item for item in others if item.speaker_id in speakers - held_out]
        if plan.split == "sentence":
            of_train = [item for item in of_train if _sentence(item) in taught]
        with processes().rank_zero_first():
            shown, refused = load_dataset(of_train, plan.emotions, plan.front_end, cache, work)
        shown, again = _first_of_each(shown, {entry.sha256 for entry in dataset})
        left_out += refused + again
    before = heard_before(plan)
    said = {_sentence(entry.item) for entry in dataset if entry.sha256 in before} if plan.split == "sentence" else set()
    words, test = _unheard(test, before, said, by_speaker=plan.split != "random", words=split.words)
    heard = before | {entry.sha256: entry.item.speaker_id for entry in train + validation + shown}
    return Material(train, validation, test, shown, heard, left_out, len(others), len(split.train) - len(train), words)


def _sentence(item: LabelledRecording) -> tuple[str, str]:
    return item.corpus, item.text


def _first_of_each(
    dataset: Sequence[LabelledSpectrogram], known: Set[str]
) -> tuple[list[LabelledSpectrogram], list[tuple[str, str]]]:
    """Return each sound once, and what was left out: copies of a file must not stand on both sides of a split."""
    first: dict[str, LabelledSpectrogram] = {}
    again = []
    for entry in dataset:
        if entry.sha256 in known or entry.sha256 in first:
            again.append((entry.item.path.name, "the same sound as another recording"))
        else:
            first[entry.sha256] = entry
    return list(first.values()), again


def _split(plan: TrainingPlan, items: Sequence[LabelledRecording]) -> Split:
    if plan.split == "speaker":
        return speaker_splits(items, plan.folds, plan.seed)[plan.fold - 1]
    if plan.split == "sentence":
        return sentence_splits(items, plan.folds, plan.seed)[plan.fold - 1]
    splits = (random_splits if plan.split == "random" else corpus_splits)(items, plan.seed)
    if plan.fold > len(splits):
        raise SettingsRefused(f"Fold {plan.fold} is outside 1 to {len(splits)}, the corpora that were found.")
    return splits[plan.fold - 1]


def _unheard(
    test: list[LabelledSpectrogram],
    before: dict[str, str],
    said: Set[tuple[str, str]],
    *,
    by_speaker: bool,
    words: str,
) -> tuple[str, list[LabelledSpectrogram]]:
    """Leave out of the test what the starting weights have heard: recordings, speakers and, where given, sentences."""
    speakers = set(before.values()) if by_speaker else set()
    left = [
        entry
        for entry in test
        if entry.sha256 not in before and entry.item.speaker_id not in speakers and _sentence(entry.item) not in said
    ]
    if not left:
        raise SettingsRefused(
            f"The weights to begin with have heard all {len(test)} recordings of the test, or their speakers or "
            "sentences. Choose another fold, other recordings, or other weights to begin with."
        )
    if len(left) < len(test):
        words += f"; {len(test) - len(left)} test recordings left out, which the starting weights know"
    return words, left
