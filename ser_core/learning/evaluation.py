"""Measure a model on corpora, leaving out what it was trained on."""

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
from ser_core.front_end.segments import split_into_segments
from ser_core.front_end.selection import select_segments
from ser_core.front_end.spectrogram import spectrogram_of
from ser_core.learning.augmentation import CONDITIONS, degraded
from ser_core.learning.metrics import all_figures, headline
from ser_core.learning.predictions import Predictions
from ser_core.model.checkpoint import find_model, load_model, read_card, training_list
from ser_core.model.classifier import Classifier
from ser_core.model.scores import recording_probabilities
from ser_core.model.voice import logits_of_pieces, voice_normal, voice_shift
from ser_core.work.progress import Work

SEED = 0


def evaluate_model(
    model: str | Path, corpora: dict[str, str], work: Work, *, robustness: bool = False
) -> dict[str, Any]:
    """Return the figures of a model on corpora.

    Parameters
    ----------
    robustness : bool
        Measure on degraded recordings too: noise, another level, phone, Opus, a room.

    Returns
    -------
    dict
        What `ser_core.learning.metrics.all_figures` returns, and `headline` (see `ser_core.learning.metrics.headline`);
        `training`, what the model's training list holds of each corpus (see `training_overlap`), and `split`, the same
        in words; `listeners`, how often people named the emotion, of each corpus to whose voices they listened;
        `excluded` (recordings that the model was trained on), `other_emotions`, `refused`, and where asked
        `robustness`: of each condition the UAR, mean over corpora and of each.

    Raises
    ------
    CorpusRefused
        If nothing is left to measure on.
    """
    rounds = 1 + len(CONDITIONS) * robustness
    predictions, counted = predict_corpora(model, corpora, work.part(0, rounds))
    words = "; ".join(overlap_words(corpus, overlap) for corpus, overlap in counted["training"].items())
    result = all_figures(predictions) | {"headline": headline(predictions)} | counted | {"split": words}
    if robustness:
        result["robustness"] = {}
        for done, condition in enumerate(CONDITIONS, start=1):
            worse, _ = predict_corpora(model, corpora, work.part(done, rounds), condition)
            measured = all_figures(worse)
            result["robustness"][condition] = {
                "mean_over_corpora_uar": measured["mean_over_corpora_uar"],
                "corpora": {name: f["uar"] for name, f in measured["corpora"].items()},
            }
    return result


def predict_corpora(
    model: str | Path, corpora: dict[str, str], work: Work, condition: str | None = None
) -> tuple[Predictions, dict[str, Any]]:
    """Return what a model says of every recording that it was not trained on, and what was left out.

    `condition` is one of `ser_core.learning.augmentation.CONDITIONS`, or None for the recordings as they are.
    """
    classifier = load_model(model)
    unheard, excluded, other_emotions, overlap = unheard_recordings(model, corpora)
    predictions, refused = predict_recordings(classifier, unheard, work, condition)
    return predictions, {
        "training": overlap,
        "listeners": listeners_of_corpora(unheard, classifier.emotions),
        "excluded": excluded,
        "other_emotions": other_emotions,
        "refused": refused,
    }


def unheard_recordings(
    model: str | Path, corpora: dict[str, str]
) -> tuple[list[LabelledRecording], int, int, dict[str, dict[str, int]]]:
    """Return the recordings that a model can be measured on, and what else is known of them.

    Returns
    -------
    unheard : list of LabelledRecording
    excluded, other_emotions : int
        How many the model was trained on, or has no emotion for.
    overlap : dict
        What `training_overlap` returns.

    Raises
    ------
    CorpusRefused
        If none is left.
    """
    folder = find_model(model)
    seen, emotions = training_list(folder), read_card(folder)["emotions"]
    items = [item for name, place in corpora.items() for item in read_corpus(name, place).recordings]
    hashes = [_sha256(item.path) for item in items]
    wanted = [item for item in items if item.emotion in emotions]
    unheard = [i for i, sha256 in zip(items, hashes, strict=True) if i.emotion in emotions and sha256 not in seen]
    if not unheard:
        raise CorpusRefused(
            f"Nothing is left to measure on: {len(wanted)} of {len(wanted)} recordings were trained on. "
            "Give other corpora."
        )
    heard = {sha256: item for item, sha256 in zip(items, hashes, strict=True) if sha256 in seen}
    overlap = training_overlap(unheard, heard, seen)
    return unheard, len(wanted) - len(unheard), len(items) - len(wanted), overlap


def training_overlap(
    unheard: Sequence[LabelledRecording], heard: dict[str, LabelledRecording], seen: dict[str, str]
) -> dict[str, dict[str, int]]:
    """Return what a training list has in common with the recordings that a model is measured on.

    Parameters
    ----------
    unheard : sequence of LabelledRecording
        What is measured.
    heard : dict of str to LabelledRecording
        Recordings of the list that are at hand, by their SHA-256: only of these the sentences are known.
    seen : dict of str to str
        The list: sha256 to corpus:speaker.

    Returns
    -------
    dict
        Of each measured corpus: `trained_on`, how many of its recordings the list has, and `not_at_hand`, how many of
        them are not in `heard`; `speakers` that are measured and `speakers_trained_on` among them; `sentences`, as far
        as they are known, and `sentences_trained_on`.
    """
    overlap = {}
    for corpus in sorted({item.corpus for item in unheard}):
        measured = [item for item in unheard if item.corpus == corpus]
        speakers, sentences = {item.speaker_id for item in measured}, {item.text for item in measured} - {""}
        listed = {sha256: speaker for sha256, speaker in seen.items() if speaker.partition(":")[0] == corpus}
        at_hand = [heard[sha256] for sha256 in listed if sha256 in heard]
        overlap[corpus] = {
            "trained_on": len(listed),
            "not_at_hand": len(listed) - len(at_hand),
            "speakers": len(speakers),
            "speakers_trained_on": len(speakers & set(listed.values())),
            "sentences": len(sentences),
            "sentences_trained_on": len(sentences & {item.text for item in at_hand}),
        }
    return overlap


def overlap_words(corpus: str, overlap: dict[str, int]) -> str:
    """Say what `training_overlap` found of one corpus."""
    if not overlap["trained_on"]:
        return f"{corpus}: an unseen corpus, nothing of it was trained on"
    known, sentences = overlap["sentences_trained_on"], overlap["sentences"]
    said = f"{known or 'none'} of the {sentences} test sentences"
    if not sentences:
        said = "sentences that are not known"
    elif overlap["not_at_hand"] and known < sentences:
        said = (
            f"{f'at least {known}' if known else 'nobody knows how many'} of the {sentences} test sentences "
            f"({overlap['not_at_hand']} of those recordings are not at hand)"
        )
    return (
        f"{corpus}: {overlap['trained_on']} other recordings of it were trained on, with "
        f"{overlap['speakers_trained_on'] or 'none'} of the {overlap['speakers']} test speakers and {said}"
    )


def _sha256(path: Path) -> str | None:
    """Return a file's SHA-256, None where it cannot be read: it is refused later, and counted."""
    try:
        return hashlib.sha256(file_bytes(path)).hexdigest()
    except AudioRefused:
        return None


@dataclass(frozen=True, eq=False)
class RecordingLogits:
    """What a classifier says of each selected segment of a labelled recording: logits (segments, classes)."""

    sha256: str
    item: LabelledRecording
    logits: np.ndarray


def predict_recordings(
    classifier: Classifier, items: Sequence[LabelledRecording], work: Work, condition: str | None = None
) -> tuple[Predictions, list[str]]:
    """Return what a classifier says of recordings, and why some were refused.

    Raises
    ------
    CorpusRefused
        If all were.
    """
    found, refused = logits_of_recordings(classifier, items, work, condition)
    return tabulate(classifier.emotions, classifier.temperature, found, classifier.pooling), refused


def logits_of_recordings(
    classifier: Classifier, items: Sequence[LabelledRecording], work: Work, condition: str | None = None
) -> tuple[list[RecordingLogits], list[str]]:
    """Return a classifier's logits for recordings, and why some were refused.

    Raises
    ------
    CorpusRefused
        If all were.
    """
    found, refused = [], []
    for done, item in enumerate(items):
        work.report(done / len(items), f"{condition or 'as recorded'}: recording {done} of {len(items)}")
        try:
            recording = read_recording(item.path)
            if condition is not None:
                recording = degraded(recording, condition, SEED)
            found.append(RecordingLogits(recording.sha256, item, _logits(recording, classifier)))
        except AudioRefused as refusal:
            refused.append(str(refusal))
    if not found:
        raise CorpusRefused(f"Nothing is left to measure on: all {len(items)} files were refused. {refused[:1]}")
    return found, refused


def by_own_normal(classifier: Classifier, found: Sequence[RecordingLogits]) -> list[RecordingLogits]:
    """Return the logits as the classifier gives them where all recordings of each speaker are known to it."""
    of_speakers = defaultdict(list)
    for one in found:
        of_speakers[one.item.speaker_id].append(logits_of_pieces(one.logits))
    shifts = {
        speaker: voice_shift(voice_normal(pieces, classifier.temperature, mixed=True), classifier.voice)
        for speaker, pieces in of_speakers.items()
    }
    return [replace(one, logits=one.logits - shifts[one.item.speaker_id]) for one in found]


def tabulate(
    emotions: tuple[str, ...],
    temperature: float,
    found: Sequence[RecordingLogits],
    pooling: str = "probabilities",
) -> Predictions:
    """Return the table of what a classifier says of recordings."""
    items = [one.item for one in found]
    return Predictions(
        emotions,
        tuple(one.sha256 for one in found),
        tuple(item.corpus for item in items),
        tuple(item.speaker_id for item in items),
        tuple(item.gender or "" for item in items),
        np.array([emotions.index(item.emotion) for item in items]),
        np.stack([recording_probabilities(one.logits, temperature, pooling) for one in found]),
    )


def _logits(recording: Recording, classifier: Classifier) -> np.ndarray:
    log_mel = spectrogram_of(recording, classifier.front_end.spectrogram).log_mel
    segments, _ = split_into_segments(log_mel, classifier.front_end.segments)
    kept, _ = select_segments(segments, classifier.front_end.selection)
    return classifier.score(segments[kept])
