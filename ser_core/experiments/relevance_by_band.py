"""Which frequencies support which emotion: mean Grad-CAM map over the recordings of corpora (the paper's Fig. 24)."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ser_core.audio.reading import read_recording
from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import AudioRefused, CorpusRefused
from ser_core.explanation import EXPLAINERS
from ser_core.explanation.relevance import ExplanationTarget
from ser_core.front_end.selection import segments_of
from ser_core.front_end.spectrogram import band_centres_hz, spectrogram_of
from ser_core.learning.evaluation import unseen_recordings
from ser_core.learning.metrics import RESAMPLES, summed_over_drawn
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work

METHOD = "grad_cam"
SEED = 0


def relevance_by_band(model: str, corpora: dict[str, str], work: Work) -> dict[str, Any]:
    """Return the mean relevance of each band by emotion, of maps for the acted emotion.

    Each map is divided by its total absolute relevance, so that strong maps do not outweigh weak ones. All speakers of
    a corpus, and all corpora, have the same weight.

    Returns
    -------
    dict
        `band_hz` (bands,), and for each emotion: `share` (bands,), signed, with absolute values that sum to at most 1;
        `centre_hz`, the centroid of the positive evidence, and its 95 % `interval` from resampling speakers within
        their corpora; `recordings`.
    """
    classifier = load_model(model)
    items = unseen_recordings(model, corpora).recordings
    band_hz = band_centres_hz(classifier.front_end.spectrogram)
    shares = defaultdict(list)
    for done, item in enumerate(items):
        work.report(done / len(items), f"Explaining recording {done} of {len(items)}")
        share = _band_shares(item, classifier)
        if share is not None:
            shares[item.emotion, item.corpus, item.speaker].append(share)
    if not shares:
        raise CorpusRefused(f"None of the {len(items)} recordings could be read and explained. Give other corpora.")
    return {
        "model": model,
        "method": METHOD,
        "corpora": sorted({item.corpus for item in items}),
        "band_hz": np.round(band_hz, 1).tolist(),
        "emotions": {
            emotion: _over_speakers(emotion, shares, band_hz)
            for emotion in classifier.emotions
            if any(acted == emotion for acted, *_ in shares)
        },
    }


def _band_shares(item: LabelledRecording, classifier: Classifier) -> np.ndarray | None:
    """Return each band's share (bands,) of a recording's relevance, or None without any relevance."""
    try:
        recording = read_recording(item.path)
    except AudioRefused:
        return None
    spectrogram = spectrogram_of(recording, classifier.front_end.spectrogram)
    segments = segments_of(spectrogram, classifier.front_end)
    frames = len(spectrogram.log_mel)
    target = ExplanationTarget(spectrogram.log_mel, segments, classifier.emotions.index(item.emotion), None, 0, frames)
    settings = AnalysisSettings()
    result = EXPLAINERS[METHOD](classifier, target, getattr(settings, METHOD), settings.seed, UNWATCHED)
    relevance = result.relevance(target)
    total = np.abs(relevance).sum()
    return relevance.sum(axis=0) / total if total > 0 else None


def _over_speakers(
    emotion: str, shares: dict[tuple[str, str, str], list[np.ndarray]], band_hz: np.ndarray
) -> dict[str, Any]:
    speaker_shares = defaultdict(list)
    recordings = 0
    for (acted, corpus, _), recording_shares in shares.items():
        if acted == emotion:
            speaker_shares[corpus].append(np.mean(recording_shares, axis=0))
            recordings += len(recording_shares)
    share = np.mean([np.mean(of_corpus, axis=0) for of_corpus in speaker_shares.values()], axis=0)
    rng = np.random.default_rng(SEED)
    drawn = np.mean([_resample(of_corpus, rng) for of_corpus in speaker_shares.values()], axis=0)
    return {
        "share": np.round(share, 5).tolist(),
        "centre_hz": round(float(_centres(share[None], band_hz)[0]), 1),
        "interval": np.round(np.percentile(_centres(drawn, band_hz), [2.5, 97.5]), 1).tolist(),
        "recordings": recordings,
    }


def _resample(speaker_shares: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return the mean shares (RESAMPLES, bands) of resampled speakers."""
    drawn = rng.integers(len(speaker_shares), size=(RESAMPLES, len(speaker_shares)))
    return summed_over_drawn(np.stack(speaker_shares), drawn) / len(speaker_shares)


def _centres(shares: np.ndarray, band_hz: np.ndarray) -> np.ndarray:
    """Return the centroid in Hz of the positive part of shares (n, bands), averaged over band numbers (mel scale)."""
    positive = np.clip(shares, 0, None)
    bands = positive @ np.arange(len(band_hz)) / np.maximum(positive.sum(axis=1), 1e-12)
    return np.interp(bands, np.arange(len(band_hz)), band_hz)
