"""Agreement of several models on one recording: their verdicts, their maps, and the consensus of the maps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from ser_core.analysis import Analysis, Explanation
from ser_core.explanation.agreement import (
    AGREE_IN_PART,
    AGREE_WELL,
    HARDLY_AGREE,
    TOP_SHARE,
    Agreement,
    rank_correlation,
    top_overlap,
    with_consensus,
)
from ser_core.model.verdict import NO_SPEECH, NOT_SURE


def shared_emotion(analyses: Mapping[str, Analysis]) -> str:
    """Return the emotion that most models score best; of several such, the one with the highest mean score.

    The mean is over the models that know the emotion. `analyses` holds at least one model's.
    """
    votes = Counter(best_emotion(analysis) for analysis in analyses.values())
    return max(votes, key=lambda emotion: (votes[emotion], _mean_score(emotion, analyses)))


def best_emotion(analysis: Analysis) -> str:
    """Return the emotion with the best score, however low that is."""
    return analysis.emotions[int(analysis.scores.recording.argmax())]


def _mean_score(emotion: str, analyses: Mapping[str, Analysis]) -> float:
    knowing = [analysis for analysis in analyses.values() if emotion in analysis.emotions]
    return float(np.mean([one.scores.recording[one.emotions.index(emotion)] for one in knowing]))


def verdicts_in_words(analyses: Mapping[str, Analysis]) -> str:
    """Say how far the models' verdicts agree, and which models do not know an emotion that another predicts."""
    groups: dict[str, list[str]] = {}
    for name, analysis in analyses.items():
        groups.setdefault(analysis.verdict, []).append(name)
    if NO_SPEECH in groups:  # true of the recording, whatever the model
        return "Hardly any speech was detected, so that no emotion is named."
    unsure = groups.pop(NOT_SURE, [])
    largest_first = sorted(groups.items(), key=lambda group: -len(group[1]))
    parts = [
        f"{_names(names)} {'predicts' if len(names) == 1 else 'predict'} {emotion}" for emotion, names in largest_first
    ]
    if largest_first and len(largest_first[0][1]) > 1:
        emotion, names = largest_first[0]
        parts[0] = f"{_so_many(len(names), len(analyses))} predict {emotion}"
    if unsure:
        parts.append(f"{_names(unsure)} {'is' if len(unsure) == 1 else 'are'} not sure")
    said = "; ".join(parts)
    if len(largest_first) > 1 and len(largest_first[0][1]) == 1:
        said = f"No two agree: {said}"
    return " ".join([f"{said}.", *_unknown_emotions(groups, analyses)])


def _so_many(count: int, of: int) -> str:
    if count == of:
        return "Both" if of == 2 else f"All {of}"
    return f"{count} of {of}"


def _unknown_emotions(verdicts: Mapping[str, Sequence[str]], analyses: Mapping[str, Analysis]) -> list[str]:
    sentences = []
    for emotion in verdicts:
        without = [name for name, analysis in analyses.items() if emotion not in analysis.emotions]
        if without:
            do = "does" if len(without) == 1 else "do"
            sentences.append(f"{_names(without)} {do} not know {emotion}.")
    return sentences


def _names(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def map_agreement(explained: Mapping[str, Analysis], method: str) -> Agreement:
    """Compare the models' maps by one explainer, pair by pair, on the frames that both maps cover.

    Parameters
    ----------
    explained : mapping of str to Analysis
        By the model's name; each holds an explanation by `method`, all of the same recording, emotion and stretch.

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


def agreement_in_words(compared: Agreement) -> str:
    """Say in plain words whether the models use the same evidence."""
    pairs = [
        (correlation, overlap, (one, other))
        for (i, one), (j, other) in combinations(enumerate(compared.methods), 2)
        for correlation, overlap in [(compared.rank_correlation[i, j], compared.top_overlap[i, j])]
        if not np.isnan(correlation)
    ]
    if not pairs:
        return "No two of these maps can be compared."
    shared = np.mean([shared_part(overlap) for _, overlap, _ in pairs])
    who = _names(pairs[0][2]) if len(pairs) == 1 else "On average the models"
    said = (
        f"{who} use {_evidence(float(np.mean([correlation for correlation, _, _ in pairs])))}: the strongest tenths of "
        f"two maps share {100 * shared:.0f} % of their points, against {100 * TOP_SHARE:.0f} % by chance."
    )
    if len(pairs) > 1:
        (most, _, alike), (least, _, unlike) = max(pairs), min(pairs)
        said += f" Most alike: {_names(alike)} ({most:.2f}). Least alike: {_names(unlike)} ({least:.2f})."
    return said


def _evidence(correlation: float) -> str:
    for least, words in (
        (AGREE_WELL, "much the same evidence"),
        (AGREE_IN_PART, "partly the same evidence"),
        (HARDLY_AGREE, "mostly different evidence"),
    ):
        if correlation >= least:
            return words
    return "opposite evidence"


def shared_part(overlap: float) -> float:
    """Return the share of one of two equally large sets that lies in the other, from their intersection over union."""
    return 2 * overlap / (1 + overlap)


def on_one_grid(explained: Mapping[str, Analysis]) -> dict[str, Analysis]:
    """Return the models with the most common front end, whose spectrograms have the same frames and bands."""
    counts = Counter(analysis.spectrogram.settings for analysis in explained.values())
    most = max(counts, key=counts.__getitem__, default=None)
    return {name: analysis for name, analysis in explained.items() if analysis.spectrogram.settings == most}


def shared_map(explained: Mapping[str, Analysis], method: str) -> Explanation | None:
    """Return the mean of the positive evidence in the models' maps, each divided by its own strength first.

    It covers the frames that all maps cover; None if there are none, or fewer than two models on one grid. A map
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
    return with_consensus(positive)["consensus"]
