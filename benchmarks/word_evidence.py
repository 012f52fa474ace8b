"""How close are Shapley values from sampled sets of words to the exact ones, and how long does a sentence take?

    python benchmarks/word_evidence.py [--quick] [--model NAME] [--sentences N] [--seed N] [--json FILE]

Needs SER_CORPORA and SER_WORD_MODEL. For random sentences of CREMA-D that were transcribed as eight words, values from
all 256 sets of words are compared with those from sampled sets, by rank correlation and mean absolute difference in
log-odds. `within_interval` is the share of exact values that are within 1.96 estimated errors of the sampled ones.
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks._command_line import benchmark_parser, report
from benchmarks._recordings import corpora_and_word_model
from ser_core.analysis import Region
from ser_core.audio.reading import read_recording
from ser_core.corpora import read_corpus
from ser_core.explanation.relevance import ExplanationTarget, fill_values
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import classify_recording, target_of
from ser_core.settings import AnalysisSettings
from ser_core.words.evidence import FILLS, WordGame, evidence_of_words, frames_of_words
from ser_core.words.shapley import SETS, shapley_values, word_sets
from ser_core.words.transcription import transcribe
from ser_core.words.word_model import load_word_model

WORDS, BUDGETS, SEEDS = 8, (32, 48, SETS, 96), 4
#: Sentences of CREMA-D with about this many words.
SENTENCES = ("IWL", "ITH", "IWW", "MTI", "WSI", "IOM")


def compare(
    words: tuple[Region, ...], classifier: Classifier, target: ExplanationTarget, times_s: np.ndarray
) -> dict[int, list[list[float]]]:
    """Return for each budget, and each seed, rank correlation, mean difference, and share within the interval."""
    exact, games = [], []
    for name in FILLS:
        fill = fill_values(target.log_mel, name, np.random.default_rng(0))
        games.append(WordGame(classifier, target, frames_of_words(words, times_s), len(words), fill))
        sets, weights, _ = word_sets(len(words), np.random.default_rng(0), 2 ** len(words))
        exact.append(shapley_values(sets, target.evidence(games[-1].probabilities(sets)), weights)[0])
    result: dict[int, list[list[float]]] = {budget: [] for budget in BUDGETS}
    for budget in BUDGETS:
        for seed in range(SEEDS):
            rng, estimates, inside = np.random.default_rng(seed), [], []
            for game, values in zip(games, exact, strict=True):
                sets, weights, pairs = word_sets(len(words), rng, budget)
                estimate, error = shapley_values(sets, target.evidence(game.probabilities(sets)), weights, pairs)
                estimates.append(estimate)
                inside.append(np.abs(estimate - values) <= 1.96 * error)
            mean_estimate, mean_exact = np.mean(estimates, axis=0), np.mean(exact, axis=0)
            rank = float(spearmanr(mean_estimate, mean_exact).statistic)
            difference = float(np.abs(mean_estimate - mean_exact).mean())
            result[budget].append([rank, difference, float(np.mean(inside))])
    return result


def main() -> None:
    parser = benchmark_parser(__doc__, "one sentence")
    parser.add_argument("--model", default="whisper")
    parser.add_argument("--sentences", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not (folders := corpora_and_word_model()):
        return
    classifier, whisper, settings = load_model(args.model), load_word_model(folders[1]), AnalysisSettings()
    corpus = read_corpus("crema_d", folders[0] / "crema_d")
    items = [item for item in corpus.recordings if item.text in SENTENCES]
    comparisons, seconds, processor_seconds = [], [], []
    for index in np.random.default_rng(args.seed).permutation(len(items)):
        recording = read_recording(items[index].path)
        words = transcribe(recording, whisper, "en").words
        if len(words) != WORDS:
            continue
        analysis = classify_recording(recording, classifier, settings)
        target, times_s = target_of(analysis, settings), analysis.spectrogram.frame_times_s
        began, processor_began = time.perf_counter(), time.process_time()
        evidence_of_words(words, classifier, target, times_s)
        seconds.append(time.perf_counter() - began)
        processor_seconds.append(time.process_time() - processor_began)
        comparisons.append(compare(words, classifier, target, times_s))
        if len(comparisons) == (1 if args.quick else args.sentences):
            break
    result = {
        "model": classifier.name,
        "sentences": len(comparisons),
        "words": WORDS,
        "seconds": round(float(np.median(seconds)), 2),
        "processor_seconds": round(float(np.median(processor_seconds)), 2),
    }
    for budget in BUDGETS:
        rank, difference, inside = np.mean([row for comparison in comparisons for row in comparison[budget]], axis=0)
        result[f"{budget} sets"] = {
            "rank_correlation": round(float(rank), 3),
            "mean_difference": round(float(difference), 3),
            "within_interval": round(float(inside), 3),
        }
    report(result, args.json)


if __name__ == "__main__":
    main()
