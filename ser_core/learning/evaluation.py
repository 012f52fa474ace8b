"""Evaluate a model on corpora, without the recordings that it was trained on."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.analysis import Recording
from ser_core.audio.reading import file_bytes, read_recording
from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.listeners import listeners_of_corpora
from ser_core.errors import AudioRefused, CorpusRefused
from ser_core.front_end.selection import segments_of_recording
from ser_core.learning.augmentation import CONDITIONS, degrade
from ser_core.learning.metrics import all_figures, headline
from ser_core.learning.predictions import Predictions
from ser_core.model.checkpoint import read_card, training_list
from ser_core.model.classifier import Classifier
from ser_core.model.scores import recording_probabilities
from ser_core.model.shipped_models import find_model, load_model
from ser_core.model.voice import logits_of_pieces, voice_normal, voice_shift, voice_temperature
from ser_core.work.progress import Work

SEED = 0


def evaluate_model(
    model: str | Path, corpora: dict[str, str], work: Work, *, robustness: bool = False
) -> dict[str, Any]:
    """Return the metrics of a model on corpora.

    Parameters
    ----------
    robustness : bool
        Also measure on degraded recordings: noise, gain, phone band, Opus and reverberation.

    Returns
    -------
    dict
        The entries of `ser_core.learning.metrics.all_figures`, and:

        - `headline` (see `ser_core.learning.metrics.headline`);
        - `training`, the overlap of each corpus with the training list (see `training_overlap`), and `split`, the same
          in words;
        - `listeners`, how often listeners named the emotion, for corpora that have listeners;
        - `excluded` (recordings that the model was trained on), `other_emotions` and `refused`;
        - `robustness`, if requested: the UAR of each condition, mean over corpora and for each.

    Raises
    ------
    CorpusRefused
        If no recording is left.
    """
    rounds = 1 + len(CONDITIONS) * robustness
    predictions, counts = predict_corpora(model, corpora, work.part(0, rounds))
    split = "; ".join(overlap_in_words(corpus, overlap) for corpus, overlap in counts["training"].items())
    result = all_figures(predictions) | {"headline": headline(predictions)} | counts | {"split": split}
    if robustness:
        result["robustness"] = {}
        for done, condition in enumerate(CONDITIONS, start=1):
            degraded_predictions, _ = predict_corpora(model, corpora, work.part(done, rounds), condition)
            measured = all_figures(degraded_predictions)
            result["robustness"][condition] = {
                "mean_over_corpora_uar": measured["mean_over_corpora_uar"],
                "corpora": {name: f["uar"] for name, f in measured["corpora"].items()},
            }
    return result


def predict_corpora(
    model: str | Path, corpora: dict[str, str], work: Work, condition: str | None = None
) -> tuple[Predictions, dict[str, Any]]:
    """Return a model's predictions for the recordings that it was not trained on, and counts of the rest.

    Parameters
    ----------
    condition : str or None
        One of `ser_core.learning.augmentation.CONDITIONS`; None leaves the recordings unchanged.

    Returns
    -------
    predictions : Predictions
    counts : dict
        `training`, `listeners`, `excluded`, `other_emotions` and `refused`, as in `evaluate_model`.

    Raises
    ------
    CorpusRefused
        If no recording is left.
    """
    classifier = load_model(model)
    found = unseen_recordings(model, corpora)
    predictions, refused = predict_recordings(classifier, found.recordings, work, condition)
    return predictions, {
        "training": found.overlap,
        "listeners": listeners_of_corpora(found.recordings, classifier.emotions),
        "excluded": found.excluded,
        "other_emotions": found.other_emotions,
        "refused": found.copies + refused,
    }


@dataclass(frozen=True)
class Unseen:
    """The recordings of corpora that a model was not trained on and has an emotion for.

    Attributes
    ----------
    recordings : list of LabelledRecording
        Of copies of a file, only the first.
    excluded, other_emotions : int
        Numbers of recordings that the model was trained on, and of those that it has no emotion for.
    copies : list of str
        Why each of the other copies was left out.
    overlap : dict
        See `training_overlap`.
    """

    recordings: list[LabelledRecording]
    excluded: int
    other_emotions: int
    copies: list[str]
    overlap: dict[str, dict[str, int]]


def unseen_recordings(model: str | Path, corpora: dict[str, str]) -> Unseen:
    """Return the recordings of corpora that a model was not trained on and has an emotion for.

    Raises
    ------
    CorpusRefused
        If no recording is left.
    """
    folder = find_model(model)
    trained_on, emotions = training_list(folder), read_card(folder)["emotions"]
    items = [item for name, path in corpora.items() for item in read_corpus(name, path).recordings]
    wanted = [item for item in items if item.emotion in emotions]
    if not wanted:
        raise CorpusRefused(
            f"Nothing is left to measure on: the model has none of the emotions of these {len(items)} recordings. "
            "Give other corpora."
        )
    hashes = {item.path: _sha256(item.path) for item in items}
    unseen: dict[str | Path, LabelledRecording] = {}
    copies = []
    for item in wanted:
        sha256 = hashes[item.path]
        if sha256 in trained_on:
            continue
        first = unseen.setdefault(sha256 or item.path, item)
        if first is not item:
            copies.append(f"{item.path.name}: the same sound as {first.path.name}, so it does not count again.")
    if not unseen:
        raise CorpusRefused(
            f"Nothing is left to measure on: {len(wanted)} of {len(wanted)} recordings were trained on. "
            "Give other corpora."
        )
    available = {sha256: item for item in items if (sha256 := hashes[item.path]) in trained_on}
    recordings = list(unseen.values())
    return Unseen(
        recordings,
        len(wanted) - len(recordings) - len(copies),
        len(items) - len(wanted),
        copies,
        training_overlap(recordings, available, trained_on),
    )


def training_overlap(
    measured: Sequence[LabelledRecording], available: dict[str, LabelledRecording], trained_on: dict[str, str]
) -> dict[str, dict[str, int]]:
    """Count what a model's training list and the recordings that it is measured on have in common.

    Parameters
    ----------
    measured : sequence of LabelledRecording
    available : dict of str to LabelledRecording
        The available recordings of the training list, by SHA-256, under whichever name of their corpus; only their
        sentences are known.
    trained_on : dict of str to str
        The training list: sha256 to corpus:speaker.

    Returns
    -------
    dict
        For each measured corpus the counts `trained_on` (its recordings in the list) and `not_at_hand` (those of them
        that are not available); `speakers` that are measured, and `speakers_trained_on` among these; known `sentences`,
        and `sentences_trained_on` among these.
    """
    overlap = {}
    for corpus in sorted({item.corpus for item in measured}):
        items = [item for item in measured if item.corpus == corpus]
        speakers, sentences = {item.speaker_id for item in items}, {item.text for item in items} - {""}
        here = {sha256 for sha256, item in available.items() if item.corpus == corpus}
        listed = {
            sha256: speaker
            for sha256, speaker in trained_on.items()
            if sha256 in here or speaker.partition(":")[0] == corpus
        }
        known = [available[sha256] for sha256 in listed if sha256 in available]
        overlap[corpus] = {
            "trained_on": len(listed),
            "not_at_hand": len(listed) - len(known),
            "speakers": len(speakers),
            "speakers_trained_on": len(speakers & {*listed.values(), *(item.speaker_id for item in known)}),
            "sentences": len(sentences),
            "sentences_trained_on": len(sentences & {item.text for item in known}),
        }
    return overlap


def overlap_in_words(corpus: str, overlap: dict[str, int]) -> str:
    """Return the result of `training_overlap` for one corpus in words."""
    if not overlap["trained_on"]:
        return f"{corpus}: an unseen corpus, nothing of it was trained on"
    known, sentences = overlap["sentences_trained_on"], overlap["sentences"]
    others, seen_speakers, speakers = overlap["trained_on"], overlap["speakers_trained_on"], overlap["speakers"]
    people = f"none of the {speakers} test speakers"
    if seen_speakers:
        people = f"{seen_speakers} of the {speakers} test speakers"
    if overlap["not_at_hand"] and known < sentences:
        sentence_count = f"at least {known}" if known else "nobody knows how many"
        return (
            f"{corpus}: {others} other recordings of it were trained on, with {people} and {sentence_count} of the "
            f"{sentences} test sentences ({overlap['not_at_hand']} of those recordings are not at hand)"
        )
    seen_text = f"{known} of the {sentences} test sentences" if known else f"none of the {sentences} test sentences"
    if not sentences:
        seen_text = "sentences that are not known"
    return f"{corpus}: {others} other recordings of it were trained on, with {people} and {seen_text}"


def _sha256(path: Path) -> str | None:
    """Return a file's SHA-256, or None if it cannot be read: it is refused, and counted, later."""
    try:
        return hashlib.sha256(file_bytes(path)).hexdigest()
    except AudioRefused:
        return None


@dataclass(frozen=True, eq=False)
class RecordingLogits:
    """Logits (segments, classes) of the selected segments of a labelled recording."""

    sha256: str
    item: LabelledRecording
    logits: np.ndarray


def predict_recordings(
    classifier: Classifier, items: Sequence[LabelledRecording], work: Work, condition: str | None = None
) -> tuple[Predictions, list[str]]:
    """Return a classifier's predictions for recordings, and why others were refused.

    Raises
    ------
    CorpusRefused
        If all were refused.
    """
    logits, refused = logits_of_recordings(classifier, items, work, condition)
    return tabulate(classifier.emotions, classifier.temperature, logits, classifier.pooling), refused


def logits_of_recordings(
    classifier: Classifier, items: Sequence[LabelledRecording], work: Work, condition: str | None = None
) -> tuple[list[RecordingLogits], list[str]]:
    """Return a classifier's logits for recordings, and why others were refused.

    Raises
    ------
    CorpusRefused
        If all were refused.
    """
    logits, refused = [], []
    for done, item in enumerate(items):
        work.report(done / len(items), f"{condition or 'as recorded'}: recording {done} of {len(items)}")
        try:
            recording = read_recording(item.path)
            if condition is not None:
                recording = degrade(recording, condition, SEED)
            logits.append(RecordingLogits(recording.sha256, item, segment_logits(recording, classifier)))
        except AudioRefused as refusal:
            refused.append(str(refusal))
    if not logits:
        raise CorpusRefused(f"Nothing is left to measure on: all {len(items)} files were refused. {refused[:1]}")
    return logits, refused


def by_own_normal(classifier: Classifier, recordings: Sequence[RecordingLogits]) -> list[RecordingLogits]:
    """Return the logits by each speaker's own normal, computed from all recordings of the speaker.

    They are scaled so that the classifier's temperature for unknown voices fits them.
    """
    by_speaker = defaultdict(list)
    for recording in recordings:
        by_speaker[recording.item.speaker_id].append(logits_of_pieces(recording.logits))
    shift_of, temperature_of = {}, {}
    for speaker, pieces in by_speaker.items():
        normal = voice_normal(pieces, mixed=True)
        shift_of[speaker] = voice_shift(normal, classifier.voice)
        temperature_of[speaker] = voice_temperature(normal, classifier.voice)
    shifted = []
    for recording in recordings:
        speaker = recording.item.speaker_id
        shifted.append(replace(recording, logits=(recording.logits - shift_of[speaker]) / temperature_of[speaker]))
    return shifted


def tabulate(
    emotions: tuple[str, ...],
    temperature: float,
    recordings: Sequence[RecordingLogits],
    pooling: str = "probabilities",
) -> Predictions:
    """Return the predictions for recordings, given their logits."""
    items = [recording.item for recording in recordings]
    return Predictions(
        emotions,
        tuple(recording.sha256 for recording in recordings),
        tuple(item.corpus for item in items),
        tuple(item.speaker_id for item in items),
        tuple(item.gender or "" for item in items),
        np.array([emotions.index(item.emotion) for item in items]),
        np.stack([recording_probabilities(recording.logits, temperature, pooling) for recording in recordings]),
    )


def segment_logits(recording: Recording, classifier: Classifier) -> np.ndarray:
    """Return the logits (segments, classes) of a recording's selected segments."""
    segments = segments_of_recording(recording, classifier.front_end)
    return classifier.score(segments.values[segments.selected])
