"""The sections of `models/RESULTS.md` about the experiments."""

from collections.abc import Sequence
from typing import Any

from ser_core.experiments.markdown import difference_with_interval, markdown_table, percent

#: Accuracy in per cent and training time of the paper, with all segments and with selection.
PAPER_ACCURACY = {"none": 86.54, "minmax": 85.82}
PAPER_MINUTES = {"none": 89.87, "minmax": 70.62}
RULE_DESCRIPTIONS = {
    "none": "all segments",
    "minmax": "Gaussian data selection",
    "random": "as many dropped at random",
    "quietest": "as many dropped, the quietest first",
}
#: Figures of the experiment on content and voice, and their headings.
CONTENT_FIGURES = {"word_error_rate": "word error rate", "uar": "UAR", "same_verdict": "verdict as recorded"}


def robustness_section(results: list[dict[str, Any]]) -> str:
    """Return the UAR of models on degraded recordings."""
    conditions = list(results[0]["conditions"])
    rows = [
        [condition, *(percent(r["conditions"][condition]["mean_over_corpora_uar"]) for r in results)]
        for condition in conditions
    ]
    splits = "\n".join(f"- {r['model']}: {r['split']}." for r in results)
    return f"""## Robustness

UAR, mean over corpora, on recordings outside the training data.

{splits}

{markdown_table(["condition", *(r["model"] for r in results)], rows)}"""


def content_section(results: list[dict[str, Any]]) -> str:
    """Return what is left of the verdict when no word is understood, or the pitch is gone."""
    rows = [
        [result["model"], condition, *(_share_with_interval(c[name]) for name in CONTENT_FIGURES)]
        for result in results
        for condition, c in result["conditions"].items()
    ]
    tested = "\n".join(
        f"- {r['model']}: {r['recordings']} recordings of {r['speakers']} unseen speakers, {r['transcribed']} of them "
        f"transcribed; means over {', '.join(r['corpora'])}."
        for r in results
    )
    return f"""## Does content or voice decide?

The same recordings as they are; *low-pass*, below 400 Hz: pitch, loudness and rhythm; *hum*: pitch and loudness over
time with one spectrum throughout; *backwards*: every sound and pitch, the melody mirrored; *whispered*: the words
without a pitch. The word error rate says whether Whisper base still understands the words that it understood as
recorded. Every sentence of these corpora is said in every emotion, so words cannot tell emotions apart: what is lost
without them is the sound of speech that the model knows, not its meaning.

{tested}

{markdown_table(["model", "condition", *CONTENT_FIGURES.values()], rows)}"""


def _share_with_interval(figures: Sequence[float]) -> str:
    mean, low, high = figures
    return f"{100 * mean:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def selection_section(result: dict[str, Any]) -> str:
    """Return what data selection saves and costs, beside the paper's figures."""
    all_segments, selection = result["rules"]["none"], result["rules"]["minmax"]
    rows = [
        [
            RULE_DESCRIPTIONS[rule],
            f"{r['segments']} ({100 * (1 - r['segments'] / all_segments['segments']):.1f} % fewer)",
            f"{r['seconds'] / 60:.1f} min ({100 * (1 - r['seconds'] / all_segments['seconds']):.0f} % less)",
            percent(r["figures"]["mean_over_corpora_uar"]),
            percent(r["figures"]["pooled"]["accuracy"]),
            difference_with_interval(r["gain"], r["interval"]),
        ]
        for rule, r in result["rules"].items()
    ]
    header = ["trained on", "segments", "training", "UAR, mean over corpora", "accuracy", "paired difference"]
    differences = "".join(
        f" Selection minus {RULE_DESCRIPTIONS[rule]}: {difference_with_interval(d['gain'], d['interval'])}."
        for rule, d in result["minmax_minus"].items()
    )
    selected_uar = percent(selection["selected_test"]["mean_over_corpora_uar"])
    return f"""## What data selection saves and costs: {result["network"]} (Figs. 20, 22, 23, Table 5)

Speaker split, folds {", ".join(map(str, result["folds"]))} of 5. The rule is the published one; its threshold
{result["threshold"]:g} is the highest that costs at most half a point on validation speakers. Tests use every segment.

{markdown_table(header, rows)}

With selection in the test too, as in the paper: UAR {selected_uar}.{differences}
The paper, on its own data with a random split: accuracy {PAPER_ACCURACY["none"]} % and {PAPER_MINUTES["none"]} min
with all segments, {PAPER_ACCURACY["minmax"]} % and {PAPER_MINUTES["minmax"]} min with selection."""


def bands_section(result: dict[str, Any]) -> str:
    """Return which frequencies support which emotion."""
    rows = [
        [emotion, f"{e['centre_hz']:.0f} Hz", f"{e['interval'][0]:.0f} to {e['interval'][1]:.0f} Hz", e["recordings"]]
        for emotion, e in result["emotions"].items()
    ]
    return f"""## Which frequencies support which emotion (Fig. 24)

Grad-CAM of `{result["model"]}` for the acted emotion, on recordings of {", ".join(result["corpora"])} outside the
training data. Speakers and corpora count equally.

{markdown_table(["emotion", "centre of the positive evidence", "interval", "recordings"], rows)}

The paper finds higher frequencies active for angry and happy speech, lower ones for neutral and sad speech.
{_verdict_on_bands(result["emotions"])}"""


def _verdict_on_bands(emotions: dict[str, Any]) -> str:
    pairs = [(high, low) for high in ("angry", "happy") for low in ("neutral", "sad")]
    if not {name for pair in pairs for name in pair} <= set(emotions):
        return ""
    above = [pair for pair in pairs if emotions[pair[0]]["interval"][0] > emotions[pair[1]]["interval"][1]]
    below = [pair for pair in pairs if emotions[pair[0]]["interval"][1] < emotions[pair[1]]["interval"][0]]
    if len(above) == len(pairs):
        return "That holds here: no intervals overlap."
    verdict = f"That holds here for {_pairs_in_words(above)}, with disjoint intervals"
    if not above:
        verdict = "That does not hold here"
    if below:
        return f"{verdict}; {_pairs_in_words(below)} are the other way round."
    return f"{verdict}, and not for other pairs."


def _pairs_in_words(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(f"{high} against {low}" for high, low in pairs)


def branches_section(result: dict[str, Any]) -> str:
    """Return how similar the Grad-CAM maps of VGGish and YAMNet are."""
    cells = ", ".join(f"{name} {rows} x {columns}" for name, (rows, columns) in result["cells"].items())
    low, high = result["quartiles"]
    return f"""## Where VGGish and YAMNet look in the same segment (Fig. 7)

Size of the Grad-CAM maps, time x frequency: {cells}. Rank correlation of the two maps of one segment of each of
{result["recordings"]} recordings: median {result["rank_correlation"]:.2f}, quartiles {low:.2f} to {high:.2f}."""
