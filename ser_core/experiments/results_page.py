"""Write `models/RESULTS.md`: all figures of the shipped models and the experiments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.corpora.listeners import restrict_recall
from ser_core.errors import SettingsRefused
from ser_core.experiments import COMPARISON, read_result, write_text_file
from ser_core.learning.metrics import APART, COMPARED_CORPORA, all_figures, figures_at, headline, paired_difference
from ser_core.learning.predictions import Predictions, describe_test, read_predictions, read_test_predictions, tables_of
from ser_core.model.checkpoint import TEST_TABLE, read_card
from ser_core.model.networks import NETWORKS
from ser_core.model.shipped_models import DEFAULT_MODEL, MODELS, model_names

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
ANSWERED_SHARES = (1.0, 0.8, 0.6, 0.4)


def write_results_page(models: Path = MODELS) -> Path:
    """Write the page from the model cards, their tables and the experiments' figures, and return its file."""
    parts = [
        "# Results\n\nWritten by `python -m ser_core experiment` and `compare`; every figure here is computed from the "
        "tables and cards in this folder. UAR is the mean of the emotions' recalls. "
        "Intervals (95 %) resample speakers.",
        _recognition(models),
        _generalisation(models),
    ]
    if result := read_result(COMPARISON, models):
        parts.append(_comparison(result))
    results = [result for name in model_names(models) if (result := read_result(f"robustness-{name}", models))]
    if results:
        parts.append(_robustness(results))
    results = [result for name in model_names(models) if (result := read_result(f"content-{name}", models))]
    if results:
        parts.append(_content(results))
    for network in ("yamnet", "vggish", "fusion"):
        if result := read_result(f"selection-{network}", models):
            parts.append(_selection(result))
    if result := read_result("bands", models):
        parts.append(_bands(result))
    if result := read_result("branches", models):
        parts.append(_branches(result))
    return write_text_file(models / "RESULTS.md", "\n\n".join(parts) + "\n")


def _recognition(models: Path) -> str:
    cards = {name: read_card(models / name) for name in model_names(models) if (models / name / TEST_TABLE).is_file()}
    names = [name for name, card in cards.items() if card["architecture"] in NETWORKS]
    rows, splits = [], []
    found = {name: all_figures(read_test_predictions(models / name)) for name in names}
    corpora = sorted({corpus for figures in found.values() for corpus in figures["corpora"]})
    for name, figures in found.items():
        card = cards[name]
        splits.append(f"- {name}: {card.get('cross_validation', card)['split']}.")
        recalls = ", ".join(f"{emotion} {_percent(r)}" for emotion, r in figures["pooled"]["recall"].items())
        rows.append(
            [
                name,
                _percent(figures["mean_over_corpora_uar"]),
                *(_percent(figures["corpora"].get(c, {}).get("uar")) for c in corpora),
                _percent(figures["pooled"]["accuracy"]),
                recalls,
            ]
        )
    text = "## Recognition (Figs. 21 and 23)\n\n" + "\n".join(splits) + "\n\n"
    text += (
        "Here, and in the tables of peers, robustness and selection, the mean is over all corpora of a row, including "
        f"{', '.join(sorted(APART))}, whose words reveal the emotion. The next section leaves it out.\n\n"
    )
    text += _table(["model", "UAR, mean over corpora", *corpora, "accuracy, pooled", "recalls, pooled"], rows)
    return text + "\n\n" + "\n".join(_differences(models, names))


def _differences(models: Path, names: Sequence[str]) -> list[str]:
    tables = {name: read_test_predictions(models / name) for name in names}
    lines = []
    for first in [name for name in (DEFAULT_MODEL, "fusion") if name in tables]:
        for name in names[names.index(first) + 1 :]:
            if tables[name].emotions == tables[first].emotions and set(tables[name].sha256) & set(tables[first].sha256):
                d = paired_difference(tables[first], tables[name])
                gain = _difference(d.gain, d.interval)
                lines.append(f"- {first} minus {name}: {gain} on {d.recordings} recordings of {d.speakers} speakers.")
    return lines


def _generalisation(models: Path) -> str:
    """Return the figures of every model on new people and new corpora, and how far to trust its scores."""
    cards = {name: read_card(models / name) for name in model_names(models) if tables_of(models / name)}
    tables = {(name, way): read_predictions(file) for name in cards for way, file in tables_of(models / name).items()}
    found = {key: headline(table) for key, table in tables.items()}
    corpora = {corpus for one in found.values() for corpus in one["by_corpus"]}
    corpora = sorted(corpora, key=lambda name: (name in APART, (*COMPARED_CORPORA, name).index(name), name))
    header = [
        "model",
        "tested on",
        "speakers",
        "mean over corpora",
        *(f"{c} (apart)" if c in APART else c for c in corpora),
    ]
    rows = [
        [
            name,
            describe_test(way, cards[name]),
            sum(corpus["speakers"] for corpus in one["by_corpus"].values()),
            _with_interval(one),
            *(_with_interval(one["by_corpus"].get(corpus)) for corpus in corpora),
        ]
        for (name, way), one in found.items()
    ]
    without = [name for name in cards if (name, "corpora") not in found]
    parts = [
        "## New people and new corpora",
        "UAR with its 95 % interval (speakers resampled within each corpus). *New people*: each speaker was predicted "
        "by a model trained on other speakers of the same corpora. *New corpora*: each corpus was predicted by a "
        "model trained without it. The mean is over the corpora of the row without "
        f"{', '.join(sorted(APART))}, whose words reveal the emotion. With a voice's own normal, the "
        "scores are shifted so that over all recordings of the speaker here all emotions come out about equally often. "
        "Rows with fewer speakers cover the first fold only.",
        _table(header, rows),
        *_voice_gains(tables),
        _listeners(models, found, tables, cards),
        _trust(found, cards, corpora),
    ]
    if without:
        parts.append(
            "No figures for new corpora yet: " + ", ".join(without) + ". "
            "`python -m ser_core train --split corpus --fold all --figures-of MODEL ...` computes them."
        )
    return "\n\n".join(part for part in parts if part)


def _voice_gains(tables: dict[tuple[str, str], Predictions]) -> list[str]:
    lines = []
    for (name, way), table in tables.items():
        before = tables.get((name, way.removesuffix("_voice")))
        if not way.endswith("_voice") or before is None:
            continue
        one, other = (t.subset(np.array([corpus not in APART for corpus in t.corpora])) for t in (table, before))
        test = "new people" if way.startswith("people") else "new corpora"
        try:
            d = paired_difference(one, other)
        except SettingsRefused:
            continue
        lines.append(f"- {name}, {test}: the speakers' own normal adds {_difference(d.gain, d.interval)}.")
    return ["\n".join(lines)] if lines else []


def _listeners(
    models: Path,
    found: dict[tuple[str, str], dict[str, Any]],
    tables: dict[tuple[str, str], Predictions],
    cards: dict[str, dict[str, Any]],
) -> str:
    """Return the figures of listeners, and of models on the same corpus."""
    result = read_result("listeners", models)
    if not result:
        return ""
    lines = []
    for corpus, recall in result["corpora"].items():
        sets = dict.fromkeys(table.emotions for table in tables.values())
        for emotions in sets:
            people = restrict_recall(recall, emotions)
            if not people:
                continue
            rows = [
                ["people, from the voice alone", _percent(people["uar"]), *map(_percent, people["recall"].values())]
            ]
            rows += [
                [f"{name}, {describe_test(way, cards[name])}", _percent(one["by_corpus"][corpus]["uar"])]
                + [_percent(one["by_corpus"][corpus]["recall"][emotion]) for emotion in people["recall"]]
                for (name, way), one in found.items()
                if tables[name, way].emotions == emotions and corpus in one["by_corpus"]
            ]
            lines.append(_table([f"{corpus}, {len(people['recall'])} emotions", "mean", *people["recall"]], rows))
    text = (
        "How often people recognise the acted emotion from the voice alone: the share of recordings for which more "
        "listeners chose it than any other. They chose among six emotions, a model among its own."
    )
    return "\n\n".join([text, *lines]) if lines else ""


def _trust(
    found: dict[tuple[str, str], dict[str, Any]], cards: dict[str, dict[str, Any]], corpora: Sequence[str]
) -> str:
    """Return calibration error and abstention of the models that have figures for new corpora."""
    shown = {key: one for key, one in found.items() if (key[0], "corpora") in found}
    if not shown:
        return ""
    error, curve = "expected_calibration_error", "abstention"
    errors = [
        [
            name,
            describe_test(way, cards[name]),
            _percent(one[error]),
            *(_percent(one["by_corpus"].get(corpus, {}).get(error)) for corpus in corpora),
        ]
        for (name, way), one in shown.items()
    ]
    answered = [
        [
            name,
            describe_test(way, cards[name]),
            *(_percent((figures_at(one[curve], share) or {}).get("uar")) for share in ANSWERED_SHARES),
        ]
        for (name, way), one in shown.items()
    ]
    return (
        "Expected calibration error (ten bins of the best score), mean over the same corpora:\n\n"
        + _table(["model", "tested on", "mean over corpora", *corpora], errors)
        + "\n\nUAR, mean over corpora, if only the most confident predictions count:\n\n"
        + _table(["model", "tested on", *(f"{100 * share:.0f} % answered" for share in ANSWERED_SHARES)], answered)
    )


def _with_interval(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    low, high = found["interval"]
    return f"{_percent(found['uar'])} ({100 * low:.0f} to {100 * high:.0f})"


def _comparison(result: dict[str, Any]) -> str:
    first = next(iter(result["models"]))
    rows = [
        [
            name,
            f"{_percent(m['uar'])} ({_percent(m['interval'][0])} to {_percent(m['interval'][1])})",
            "-" if name == first else _difference(m["gain"], m["gain_interval"]),
            "-" if m["folds"] is None else f"{_percent(m['folds']['uar'])} ({m['folds']['count']})",
            _percent(m["accuracy"]),
            _percent(m["macro_average_accuracy"]),
            "-" if m["auroc"] is None else f"{m['auroc']:.3f}",
            f"{m['numbers'] / 1e6:.2f} M",
            f"{m['training_seconds'] / 60:.1f} min" + (f", {m['learnt_from']} with it" if m["learnt_from"] else ""),
            "-" if m["milliseconds"] is None else f"{m['milliseconds']:.0f} ms",
        ]
        for name, m in sorted(result["models"].items(), key=lambda of: -of[1]["uar"])
    ]
    header = [
        "model",
        "UAR, mean over corpora",
        f"{first} minus it",
        "over several folds",
        "WA (accuracy)",
        "MAA",
        "AUROC",
        "parameters",
        "training",
        "time per recording",
    ]
    left_out = "\n".join(f"- {reason}" for reason in result["left_out"].values())
    return f"""## Comparison with peers

Systems that the paper builds on, small reimplementations from their descriptions (`ser_core/model/peers/`), and the
models above, tested on the same {result["recordings"]} recordings of {result["speakers"]} speakers that none of them
was trained on. Split: {result["split"]}.

{_table(header, rows)}

WA, MAA and AUROC are over all recordings together; MAA is the mean over emotions of one-against-rest accuracy, which is
above one half by chance. The time per recording is the median of {result["timed_recordings"]} without decoding
({result["machine"]}). Some training times were measured while the machine did other work, and are too long. Peers are
trained for few epochs and as published, without the augmentation and AudioSet weights of our models: this compares
systems as described, not ideas at their best.
""" + (f"\nLeft out:\n\n{left_out}" if left_out else "")


def _robustness(results: list[dict[str, Any]]) -> str:
    conditions = list(results[0]["conditions"])
    rows = [
        [condition, *(_percent(r["conditions"][condition]["mean_over_corpora_uar"]) for r in results)]
        for condition in conditions
    ]
    splits = "\n".join(f"- {r['model']}: {r['split']}." for r in results)
    return f"""## Robustness

UAR, mean over corpora, on recordings outside the training data.

{splits}

{_table(["condition", *(r["model"] for r in results)], rows)}"""


def _content(results: list[dict[str, Any]]) -> str:
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

{_table(["model", "condition", *CONTENT_FIGURES.values()], rows)}"""


def _share_with_interval(figures: Sequence[float]) -> str:
    mean, low, high = figures
    return f"{100 * mean:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def _selection(result: dict[str, Any]) -> str:
    whole, chosen = result["rules"]["none"], result["rules"]["minmax"]
    rows = [
        [
            RULE_DESCRIPTIONS[rule],
            f"{r['segments']} ({100 * (1 - r['segments'] / whole['segments']):.1f} % fewer)",
            f"{r['seconds'] / 60:.1f} min ({100 * (1 - r['seconds'] / whole['seconds']):.0f} % less)",
            _percent(r["figures"]["mean_over_corpora_uar"]),
            _percent(r["figures"]["pooled"]["accuracy"]),
            _difference(r["gain"], r["interval"]),
        ]
        for rule, r in result["rules"].items()
    ]
    header = ["trained on", "segments", "training", "UAR, mean over corpora", "accuracy", "paired difference"]
    differences = "".join(
        f" Selection minus {RULE_DESCRIPTIONS[rule]}: {_difference(d['gain'], d['interval'])}."
        for rule, d in result["minmax_minus"].items()
    )
    selected_uar = _percent(chosen["selected_test"]["mean_over_corpora_uar"])
    return f"""## What data selection saves and costs: {result["network"]} (Figs. 20, 22, 23, Table 5)

Speaker split, folds {", ".join(map(str, result["folds"]))} of 5. The rule is the published one; its threshold
{result["threshold"]:g} is the highest that costs at most half a point on validation speakers. Tests use every segment.

{_table(header, rows)}

With selection in the test too, as in the paper: UAR {selected_uar}.{differences}
The paper, on its own data with a random split: accuracy {PAPER_ACCURACY["none"]} % and {PAPER_MINUTES["none"]} min
with all segments, {PAPER_ACCURACY["minmax"]} % and {PAPER_MINUTES["minmax"]} min with selection."""


def _bands(result: dict[str, Any]) -> str:
    rows = [
        [emotion, f"{e['centre_hz']:.0f} Hz", f"{e['interval'][0]:.0f} to {e['interval'][1]:.0f} Hz", e["recordings"]]
        for emotion, e in result["emotions"].items()
    ]
    return f"""## Which frequencies support which emotion (Fig. 24)

Grad-CAM of `{result["model"]}` for the acted emotion, on recordings of {", ".join(result["corpora"])} outside the
training data. Speakers and corpora count equally.

{_table(["emotion", "centre of the positive evidence", "interval", "recordings"], rows)}

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
    held = f"That holds here for {_named(above)}, with disjoint intervals" if above else "That does not hold here"
    return f"{held}; {_named(below)} are the other way round." if below else f"{held}, and not for other pairs."


def _named(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(f"{high} against {low}" for high, low in pairs)


def _branches(result: dict[str, Any]) -> str:
    cells = ", ".join(f"{name} {rows} x {columns}" for name, (rows, columns) in result["cells"].items())
    low, high = result["quartiles"]
    return f"""## Where VGGish and YAMNet look in the same segment (Fig. 7)

Size of the Grad-CAM maps, time x frequency: {cells}. Rank correlation of the two maps of one segment of each of
{result["recordings"]} recordings: median {result["rank_correlation"]:.2f}, quartiles {low:.2f} to {high:.2f}."""


def _table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _difference(gain: float, interval: Sequence[float]) -> str:
    return f"{100 * gain:+.1f} points ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"
