"""The recordings of a training: read the corpora, split them, and exclude known speakers and copies from the test."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import Split, corpus_splits, random_splits, sentence_splits, speaker_splits
from ser_core.errors import SettingsRefused
from ser_core.learning.dataset import LabelledSpectrogram, load_dataset
from ser_core.learning.plan import TrainingPlan, seen_by_starting_weights
from ser_core.learning.training import processes
from ser_core.work.progress import Work


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Recordings of a training, by side of the split.

    Attributes
    ----------
    other_emotions : list of LabelledSpectrogram
        Recordings of other emotions for the distillation loss, only by speakers of the training side (and, in a split
        by sentence, with its sentences).
    seen : dict of str to str
        Recordings of training, validation and the starting weights: sha256 to corpus:speaker.
    left_out : list of (file name, reason)
        Files that were refused.
    others_count : int
        Recordings of emotions that the model does not have.
    unrecognised_count : int
        Recordings left out of training because listeners did not recognise their emotion.
    description : str
        The split in words.
    """

    train: list[LabelledSpectrogram]
    validation: list[LabelledSpectrogram]
    test: list[LabelledSpectrogram]
    other_emotions: list[LabelledSpectrogram]
    seen: dict[str, str]
    left_out: list[tuple[str, str]]
    others_count: int
    unrecognised_count: int
    description: str


def read_training_data(plan: TrainingPlan, cache: Path, work: Work) -> TrainingData:
    """Read the corpora of a plan and split them.

    Raises
    ------
    SettingsRefused
        If there is no such fold, the starting weights were trained on the whole test set, or nobody's votes say which
        recordings to drop.
    """
    items = [item for name, folder in plan.corpora.items() for item in read_corpus(name, folder).recordings]
    if plan.drop_unrecognised and not any(item.perceived_as for item in items):
        raise SettingsRefused(
            "No recording here has votes of listeners, so none can be dropped as unrecognised. Put CREMA-D's "
            "summaryTable.csv into its folder, or leave --drop-unrecognised out."
        )
    wanted = [item for item in items if item.emotion in plan.emotions]
    others = [item for item in items if item.emotion not in plan.emotions]
    with processes().rank_zero_first():
        dataset, left_out = load_dataset(wanted, plan.emotions, plan.front_end, cache, work)
    dataset, copies = _without_copies(dataset, set())
    left_out += copies
    split = _split(plan, [entry.item for entry in dataset])
    train, validation, test = ([dataset[i] for i in side] for side in (split.train, split.validation, split.test))
    sentences = {_sentence(entry.item) for entry in train}
    if plan.drop_unrecognised:
        train = [entry for entry in train if not entry.item.unrecognised]
    speakers, held_out = ({entry.item.speaker_id for entry in side} for side in (train, validation + test))
    other_emotions: list[LabelledSpectrogram] = []
    if plan.has_teacher:
        allowed = [item for item in others if item.speaker_id in speakers - held_out]
        if plan.split == "sentence":
            allowed = [item for item in allowed if _sentence(item) in sentences]
        with processes().rank_zero_first():
            other_emotions, refused = load_dataset(allowed, plan.emotions, plan.front_end, cache, work)
        other_emotions, copies = _without_copies(other_emotions, {entry.sha256 for entry in dataset})
        left_out += refused + copies
    already_seen = seen_by_starting_weights(plan)
    seen_sentences: set[tuple[str, str]] = set()
    if plan.split == "sentence":
        seen_sentences = {_sentence(entry.item) for entry in dataset if entry.sha256 in already_seen}
    description, test = _exclude_seen(
        test, already_seen, seen_sentences, by_speaker=plan.split != "random", description=split.description
    )
    return TrainingData(
        train,
        validation,
        test,
        other_emotions,
        seen=already_seen | {entry.sha256: entry.item.speaker_id for entry in train + validation + other_emotions},
        left_out=left_out,
        others_count=len(others),
        unrecognised_count=len(split.train) - len(train),
        description=description,
    )


def _sentence(item: LabelledRecording) -> tuple[str, str]:
    return item.corpus, item.text


def _without_copies(
    dataset: Sequence[LabelledSpectrogram], known: Set[str]
) -> tuple[list[LabelledSpectrogram], list[tuple[str, str]]]:
    """Return the recordings without copies, none of which may be on two sides of a split, and the copies."""
    first: dict[str, LabelledSpectrogram] = {}
    copies = []
    for entry in dataset:
        if entry.sha256 in known or entry.sha256 in first:
            copies.append((entry.item.path.name, "the same sound as another recording"))
        else:
            first[entry.sha256] = entry
    return list(first.values()), copies


def _split(plan: TrainingPlan, items: Sequence[LabelledRecording]) -> Split:
    if plan.split == "speaker":
        return speaker_splits(items, plan.folds, plan.seed)[plan.fold - 1]
    if plan.split == "sentence":
        return sentence_splits(items, plan.folds, plan.seed)[plan.fold - 1]
    splits = (random_splits if plan.split == "random" else corpus_splits)(items, plan.seed)
    if plan.fold > len(splits):
        raise SettingsRefused(f"Fold {plan.fold} is outside 1 to {len(splits)}, the corpora that were found.")
    return splits[plan.fold - 1]


def _exclude_seen(
    test: list[LabelledSpectrogram],
    seen: dict[str, str],
    sentences: Set[tuple[str, str]],
    *,
    by_speaker: bool,
    description: str,
) -> tuple[str, list[LabelledSpectrogram]]:
    """Exclude recordings, speakers and `sentences` that the starting weights were trained on from the test."""
    speakers = set(seen.values()) if by_speaker else set()
    unseen = [
        entry
        for entry in test
        if entry.sha256 not in seen and entry.item.speaker_id not in speakers and _sentence(entry.item) not in sentences
    ]
    if not unseen:
        raise SettingsRefused(
            f"The starting weights were trained on all {len(test)} recordings of the test, or on their speakers or "
            "sentences. Choose another fold, other recordings or other starting weights."
        )
    if len(unseen) < len(test):
        known = len(test) - len(unseen)
        description = "; ".join((description, f"{known} test recordings left out, which the starting weights know"))
    return description, unseen
