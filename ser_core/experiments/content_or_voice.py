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
from ser_core.front_end.selection import segments_of_recording
from ser_core.learning.evaluation import RecordingLogits, overlap_in_words, tabulate, unseen_recordings
from ser_core.learning.metrics import APART, RESAMPLES, headline, summed_over_drawn
from ser_core.learning.predictions import Predictions
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.words.text import spelling, word_errors
from ser_core.words.transcription import transcribe
from ser_core.words.word_model import WordModel
from ser_core.work.progress import Work

#: Recordings of each corpus that are classified, and those of them that are transcribed too, which takes longer.
CLASSIFIED, TRANSCRIBED = 30, 6
AS_RECORDED = "as recorded"
SEED = 0


def content_or_voice(model: str, corpora: dict[str, str], word_model: WordModel, work: Work) -> dict[str, Any]:
    """Return what a model makes of recordings by unseen people, as recorded and under each masking.

    Returns
    -------
    dict
        `model`, its `emotions`, `split` (a description), `corpora` in the means and those `apart`, the numbers of
        `recordings`, `speakers`, `transcribed` and `refused` recordings, and `conditions`: for each `uar`,
        `same_verdict` and `word_error_rate` as (mean over corpora, low, high), the 95 % interval from resampled
        speakers, and the UAR `by_corpus`. `same_verdict` is the share of recordings with the verdict that they have as
        recorded; words are compared with those that are transcribed as recorded.

    Raises
    ------
    SettingsRefused
        If no word is understood as recorded.
    """
    classifier = load_model(model)
    unseen, *_, overlap = unseen_recordings(model, corpora)
    drawn = [
        (number < TRANSCRIBED, item)
        for corpus in overlap
        for number, item in enumerate(draw_evenly([i for i in unseen if i.corpus == corpus], CLASSIFIED, SEED))
    ]
    logits, errors, spoken = _measured(drawn, classifier, word_model, work)
    if not spoken:
        raise SettingsRefused("No word of these recordings is transcribed, so there is nothing to compare with.")
    tables = {
        condition: tabulate(classifier.emotions, classifier.temperature, rows, classifier.pooling)
        for condition, rows in logits.items()
    }
    found = headline(whole := tables[AS_RECORDED])
    return {
        "model": classifier.name,
        "emotions": list(classifier.emotions),
        "split": "; ".join(overlap_in_words(corpus, counts) for corpus, counts in overlap.items()),
        "corpora": found["corpora"],
        "apart": found["apart"],
        "recordings": len(whole.labels),
        "speakers": len(set(whole.speakers)),
        "transcribed": len(spoken),
        "refused": len(drawn) - len(whole.labels),
        "conditions": {
            condition: _figures(table, whole)
            | {
                "word_error_rate": share_over_corpora(
                    np.array(errors[condition]), [item.corpus for item in spoken], [item.speaker_id for item in spoken]
                )
            }
            for condition, table in tables.items()
        },
    }


def _measured(
    drawn: Sequence[tuple[bool, LabelledRecording]], classifier: Classifier, word_model: WordModel, work: Work
) -> tuple[dict[str, list[RecordingLogits]], dict[str, list[tuple[int, int]]], list[LabelledRecording]]:
    """Return, for each condition, logits and errors in words, and the recordings whose words are known.

    Parameters
    ----------
    drawn : sequence of (bool, LabelledRecording)
        Whether a recording is transcribed too, and the recording.
    """
    logits, errors, spoken = defaultdict(list), defaultdict(list), []
    for done, (with_words, item) in enumerate(drawn):
        work.check()
        work.report(done / len(drawn), f"Recording {done} of {len(drawn)}")
        try:
            sounds = _sounds(read_recording(item.path))
        except AudioRefused:
            continue
        for condition, sound in sounds.items():
            logits[condition].append(RecordingLogits(sound.sha256, item, _logits(sound, classifier)))
        wrong = _wrong_words(sounds, word_model) if with_words else {}
        for condition, counts in wrong.items():
            errors[condition].append(counts)
        if wrong:
            spoken.append(item)
    return logits, errors, spoken


def _sounds(recording: Recording) -> dict[str, Recording]:
    return {AS_RECORDED: recording} | {masking: masked(recording, masking, SEED) for masking in MASKINGS}


def _logits(recording: Recording, classifier: Classifier) -> np.ndarray:
    segments = segments_of_recording(recording, classifier.front_end)
    return classifier.score(segments.values[segments.selected])


def _wrong_words(sounds: dict[str, Recording], word_model: WordModel) -> dict[str, tuple[int, int]]:
    """Return, for each condition, wrong words and words as recorded; nothing if there are none."""
    first = transcribe(sounds[AS_RECORDED], word_model)
    said = [spelling(word.label) for word in first.words]
    if not said:
        return {}
    masked_words = {
        condition: [spelling(word.label) for word in transcribe(sound, word_model, first.language).words]
        for condition, sound in sounds.items()
        if condition != AS_RECORDED
    }
    return {
        condition: (word_errors(said, words), len(said))
        for condition, words in ({AS_RECORDED: said} | masked_words).items()
    }


def _figures(table: Predictions, whole: Predictions) -> dict[str, Any]:
    found = headline(table)
    same = np.column_stack([table.predicted == whole.predicted, np.ones(len(whole.labels))])
    return {
        "uar": [round(figure, 4) for figure in (found["uar"], *found["interval"])],
        "same_verdict": share_over_corpora(same, table.corpora, table.speakers),
        "by_corpus": {corpus: round(of["uar"], 4) for corpus, of in found["by_corpus"].items()},
    }


def share_over_corpora(counts: np.ndarray, corpora: Sequence[str], speakers: Sequence[str]) -> list[float]:
    """Return a share within each corpus, the mean over those not in `APART`, with its 95 % interval over speakers.

    Parameters
    ----------
    counts : ndarray of shape (recordings, 2)
        Of each recording: how many, of how many.

    Returns
    -------
    list of float
        Mean, low and high; the interval resamples speakers within each corpus.
    """
    rng, of_corpora = np.random.default_rng(SEED), []
    for corpus in sorted(set(corpora) - APART or set(corpora)):
        here = np.array(corpora) == corpus
        names, speaker_of = np.unique(np.array(speakers)[here], return_inverse=True)
        of_speaker = np.zeros((len(names), 2))
        np.add.at(of_speaker, speaker_of, np.asarray(counts, float)[here])
        sets = np.vstack([np.arange(len(names)), rng.integers(len(names), size=(RESAMPLES, len(names)))])
        of_corpora.append(np.divide(*summed_over_drawn(of_speaker, sets).T))
    shares = np.mean(of_corpora, axis=0)
    return [round(float(share), 4) for share in (shares[0], *np.percentile(shares[1:], [2.5, 97.5]))]
