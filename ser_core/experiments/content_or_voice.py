"""Does content or voice decide? What is left of the verdict when no word is understood, or the pitch is gone."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ser_core.analysis import Recording
from ser_core.audio.content_masking import MASKINGS, masked
from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import draw_evenly
from ser_core.errors import AudioRefused, SettingsRefused
from ser_core.learning.evaluation import (
    RecordingLogits,
    overlap_in_words,
    segment_logits,
    tabulate,
    unseen_recordings,
)
from ser_core.learning.metrics import APART, RESAMPLES, headline, summed_over_drawn
from ser_core.learning.predictions import Predictions
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.words.text import spelling, word_errors
from ser_core.words.transcription import transcribe
from ser_core.words.word_model import WordModel
from ser_core.work.progress import Work

#: Number of recordings of each corpus that are classified, and of those also transcribed, which takes longer.
CLASSIFIED, TRANSCRIBED = 30, 6
AS_RECORDED = "as recorded"
SEED = 0


def content_or_voice(model: str, corpora: dict[str, str], word_model: WordModel, work: Work) -> dict[str, Any]:
    """Return how well a model recognises emotions in unseen recordings, as recorded and under each masking.

    Returns
    -------
    dict
        `model`, its `emotions`, `split` (a description), `corpora` in the means and those `apart`, the numbers of
        `recordings`, `speakers`, `transcribed` and `refused` recordings, and `conditions`: for each `uar`,
        `same_verdict` and `word_error_rate` as (mean over corpora, low, high), the 95 % interval from resampled
        speakers, and the UAR `by_corpus`. `same_verdict` is the share of recordings whose verdict is the same as
        recorded; words are compared with the transcript as recorded.

    Raises
    ------
    SettingsRefused
        If no word is transcribed as recorded.
    """
    classifier = load_model(model)
    unseen = unseen_recordings(model, corpora)
    drawn = []
    for corpus in unseen.overlap:
        items = draw_evenly([item for item in unseen.recordings if item.corpus == corpus], CLASSIFIED, SEED)
        drawn += [(number < TRANSCRIBED, item) for number, item in enumerate(items)]
    logits, errors, transcribed = _measure(drawn, classifier, word_model, work)
    if not transcribed:
        raise SettingsRefused("No word of these recordings is transcribed, so there is nothing to compare with.")
    tables = {
        condition: tabulate(classifier.emotions, classifier.temperature, rows, classifier.pooling)
        for condition, rows in logits.items()
    }
    as_recorded = tables[AS_RECORDED]
    figures = headline(as_recorded)
    corpora_of_words = [item.corpus for item in transcribed]
    speakers_of_words = [item.speaker_id for item in transcribed]
    conditions = {}
    for condition, table in tables.items():
        word_error_rate = share_over_corpora(np.array(errors[condition]), corpora_of_words, speakers_of_words)
        conditions[condition] = _figures(table, as_recorded) | {"word_error_rate": word_error_rate}
    return {
        "model": classifier.name,
        "emotions": list(classifier.emotions),
        "split": "; ".join(overlap_in_words(corpus, counts) for corpus, counts in unseen.overlap.items()),
        "corpora": figures["corpora"],
        "apart": figures["apart"],
        "recordings": len(as_recorded.labels),
        "speakers": len(set(as_recorded.speakers)),
        "transcribed": len(transcribed),
        "refused": len(drawn) - len(as_recorded.labels),
        "conditions": conditions,
    }


def _measure(
    drawn: Sequence[tuple[bool, LabelledRecording]], classifier: Classifier, word_model: WordModel, work: Work
) -> tuple[dict[str, list[RecordingLogits]], dict[str, list[tuple[int, int]]], list[LabelledRecording]]:
    """Return, for each condition, logits and word errors, and the recordings that have a transcript.

    Parameters
    ----------
    drawn : sequence of (bool, LabelledRecording)
        Each recording, and whether to transcribe it too.
    """
    logits, errors, transcribed = defaultdict(list), defaultdict(list), []
    for done, (with_words, item) in enumerate(drawn):
        work.check()
        work.report(done / len(drawn), f"Recording {done} of {len(drawn)}")
        try:
            sounds = _sounds(read_recording(item.path))
        except AudioRefused:
            continue
        for condition, sound in sounds.items():
            logits[condition].append(RecordingLogits(sound.sha256, item, segment_logits(sound, classifier)))
        word_counts = _word_errors(sounds, word_model) if with_words else {}
        for condition, counts in word_counts.items():
            errors[condition].append(counts)
        if word_counts:
            transcribed.append(item)
    return logits, errors, transcribed


def _sounds(recording: Recording) -> dict[str, Recording]:
    return {AS_RECORDED: recording} | {masking: masked(recording, masking, SEED) for masking in MASKINGS}


def _word_errors(sounds: dict[str, Recording], word_model: WordModel) -> dict[str, tuple[int, int]]:
    """Return, for each condition, the numbers of wrong words and of words as recorded; empty without any words."""
    reference = transcribe(sounds[AS_RECORDED], word_model)
    reference_words = [spelling(word.label) for word in reference.words]
    if not reference_words:
        return {}
    words = {AS_RECORDED: reference_words}
    for condition, sound in sounds.items():
        if condition != AS_RECORDED:
            transcript = transcribe(sound, word_model, reference.language)
            words[condition] = [spelling(word.label) for word in transcript.words]
    return {
        condition: (word_errors(reference_words, masked_words), len(reference_words))
        for condition, masked_words in words.items()
    }


def _figures(table: Predictions, as_recorded: Predictions) -> dict[str, Any]:
    figures = headline(table)
    same = np.column_stack([table.predicted == as_recorded.predicted, np.ones(len(as_recorded.labels))])
    return {
        "uar": [round(figure, 4) for figure in (figures["uar"], *figures["interval"])],
        "same_verdict": share_over_corpora(same, table.corpora, table.speakers),
        "by_corpus": {corpus: round(of_corpus["uar"], 4) for corpus, of_corpus in figures["by_corpus"].items()},
    }


def share_over_corpora(counts: np.ndarray, corpora: Sequence[str], speakers: Sequence[str]) -> list[float]:
    """Return a share as the mean over the corpora not in `APART`, with its 95 % interval over speakers.

    Parameters
    ----------
    counts : ndarray of shape (recordings, 2)
        Numerator and denominator of each recording's share.

    Returns
    -------
    list of float
        Mean, low and high; the interval resamples speakers within each corpus.
    """
    rng, by_corpus = np.random.default_rng(SEED), []
    for corpus in sorted(set(corpora) - APART or set(corpora)):
        rows = np.array(corpora) == corpus
        names, speaker_of = np.unique(np.array(speakers)[rows], return_inverse=True)
        per_speaker = np.zeros((len(names), 2))
        np.add.at(per_speaker, speaker_of, np.asarray(counts, float)[rows])
        sets = np.vstack([np.arange(len(names)), rng.integers(len(names), size=(RESAMPLES, len(names)))])
        by_corpus.append(np.divide(*summed_over_drawn(per_speaker, sets).T))
    shares = np.mean(by_corpus, axis=0)
    return [round(float(share), 4) for share in (shares[0], *np.percentile(shares[1:], [2.5, 97.5]))]
