"""Measure a model on corpora, leaving out what it was trained on."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.audio import read_recording
from ser_core.checkpoint import find_model, load_model, read_card, training_list
from ser_core.corpora import read_corpus
from ser_core.errors import AudioRefused, CorpusRefused
from ser_core.learning.dataset import Progress
from ser_core.learning.evaluation import figures_by_corpus
from ser_core.scores import mean_probabilities
from ser_core.segments import split_into_segments
from ser_core.selection import select_segments
from ser_core.spectrogram import spectrogram_of


def evaluate_model(model: str | Path, corpora: dict[str, str], progress: Progress) -> dict[str, Any]:
    """Return the figures of a model on corpora.

    Returns
    -------
    dict
        `pooled`, `corpora`, `mean_over_corpora_uar`, `split` in words, `excluded` (recordings that the model was
        trained on), `other_emotions` and `refused`.

    Raises
    ------
    CorpusRefused
        If nothing is left to measure on.
    """
    classifier, seen = load_model(model), training_list(find_model(model))
    items = [item for name, folder in corpora.items() for item in read_corpus(name, folder).recordings]
    wanted = [item for item in items if item.emotion in classifier.emotions]
    predicted, tested, refused, excluded = [], [], [], 0
    for done, item in enumerate(wanted):
        progress(done / len(wanted), f"Recording {done} of {len(wanted)}")
        data = item.path.read_bytes()
        if hashlib.sha256(data).hexdigest() in seen:
            excluded += 1
            continue
        try:
            recording = read_recording(data, item.path.name)
        except AudioRefused as refusal:
            refused.append(str(refusal))
            continue
        log_mel = spectrogram_of(recording, classifier.front_end.spectrogram).log_mel
        segments, _ = split_into_segments(log_mel, classifier.front_end.segments)
        kept, _ = select_segments(segments, classifier.front_end.selection)
        probabilities = mean_probabilities(classifier.score(segments[kept]), classifier.temperature)
        predicted.append(int(probabilities.argmax()))
        tested.append(item)
    if not tested:
        raise CorpusRefused(
            f"Nothing is left to measure on: {excluded} of {len(wanted)} recordings were trained on. "
            "Give other corpora."
        )
    speakers = [item.speaker_id for item in tested]
    known = len(set(speakers) & set(seen.values()))
    words = f"{known or 'none'} of the {len(set(speakers))} test speakers were trained on"
    return figures_by_corpus(
        np.array(predicted),
        np.array([classifier.emotions.index(item.emotion) for item in tested]),
        speakers,
        [item.corpus for item in tested],
        classifier.emotions,
    ) | {
        "split": f"{words}; the model's own split: {read_card(find_model(model))['split']}",
        "excluded": excluded,
        "other_emotions": len(items) - len(wanted),
        "refused": refused,
    }
