"""Agreement of several models on one recording: their verdicts, their maps, and the consensus of the maps."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from ser_core.analysis import Analysis, Explanation
from ser_core.explanation.agreement import Agreement, combined, rank_correlation, top_overlap


def shared_emotion(analyses: Mapping[str, Analysis]) -> str:
    """Return the emotion that most models score best; if tied, the one with the highest mean score.

    The mean is over the models that have the emotion. `analyses` must not be empty.
    """
    votes = Counter(best_emotion(analysis) for analysis in analyses.values())
    return max(votes, key=lambda emotion: (votes[emotion], _mean_score(emotion, analyses)))


def best_emotion(analysis: Analysis) -> str:
    """Return the emotion with the best score, however low that is."""
    return analysis.emotions[int(analysis.scores.recording.argmax())]


def _mean_score(emotion: str, analyses: Mapping[str, Analysis]) -> float:
    with_emotion = [analysis for analysis in analyses.values() if emotion in analysis.emotions]
    return float(np.mean([one.scores.recording[one.emotions.index(emotion)] for one in with_emotion]))


def map_agreement(explained: Mapping[str, Analysis], method: str) -> Agreement:
    """Compare the models' maps by one explainer, pair by pair, on the frames that both maps cover.

    Parameters
    ----------
    explained : mapping of str to Analysis
        By model name; each with an explanation by `method`, all for the same recording, emotion and stretch.

    Returns
    -------
    Agreement
        Its `methods` are the models. NaN also if the maps of a pair have different frames or bands.
    """
    analyses = list(explained.values())
    correlations, overlaps = np.eye(len(analyses)), np.eye(len(analyses))
    for i, j in combinations(range(len(analyses)), 2):
        correlation, overlap = _pair(analyses[i], analyses[j], method)
        correlations[i, j] = correlations[j, i] = correlation
        overlaps[i, j] = overlaps[j, i] = overlap
    return Agreement(tuple(explained), correlations, overlaps)


def _pair(one: Analysis, other: Analysis, method: str) -> tuple[float, float]:
    if one.spectrogram.settings != other.spectrogram.settings:
        return float("nan"), float("nan")
    first, second = one.explanations[method], other.explanations[method]
    common = first.covered & second.covered
    if not common.any():
        return float("nan"), float("nan")
    values = first.relevance[common].ravel(), second.relevance[common].ravel()
    return rank_correlation(*values), top_overlap(*values)


def shared_part(overlap: float) -> float:
    """Return the share that two equally large sets have in common, from their intersection over union."""
    return 2 * overlap / (1 + overlap)


def on_one_grid(explained: Mapping[str, Analysis]) -> dict[str, Analysis]:
    """Return the models with the most common front end, whose spectrograms have the same frames and bands."""
    counts = Counter(analysis.spectrogram.settings for analysis in explained.values())
    most_common = max(counts, key=counts.__getitem__, default=None)
    return {name: analysis for name, analysis in explained.items() if analysis.spectrogram.settings == most_common}


def shared_map(explained: Mapping[str, Analysis], method: str) -> Explanation | None:
    """Return the mean of the positive evidence in the models' maps, each first divided by its root mean square.

    It covers the frames that all maps cover. None if there are none, or fewer than two models share a grid. A map
    without positive evidence counts as zeros.
    """
    maps = {name: analysis.explanations[method] for name, analysis in on_one_grid(explained).items()}
    if len(maps) < 2:
        return None
    common = np.all([one.covered for one in maps.values()], axis=0)
    if not common.any():
        return None
    positive = {
        name: replace(one, relevance=np.maximum(one.relevance, 0), covered=common) for name, one in maps.items()
    }
    return combined(positive)
