"""The sections of `models/RESULTS.md` about the models: recognition, generalisation, and comparison with peers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_core.corpora.listeners import restrict_recall
from ser_core.errors import SettingsRefused
from ser_core.experiments import read_result
from ser_core.experiments.markdown import difference_with_interval, markdown_table, percent
from ser_core.learning.metrics import APART, COMPARED_CORPORA, all_figures, figures_at, headline, paired_difference
from ser_core.learning.predictions import (
    Predictions,
    describe_test,
    read_predictions,
    read_test_predictions,
    tables_of,
)
from ser_core.model.checkpoint import TEST_TABLE, read_card
from ser_core.model.networks import NETWORKS
from ser_core.model.shipped_models import DEFAULT_MODEL, model_names

ANSWERED_SHARES = (1.0, 0.8, 0.6, 0.4)


def recognition_section(models: Path) -> str:
    """Return the figures of our networks by corpus and emotion, and the differences between them."""
    cards = {name: read_card(models / name) for name in model_names(models) if (models / name / TEST_TABLE).is_file()}
    names = [name for name, card in cards.items() if card["architecture"] in NETWORKS]
    rows, splits = [], []
    figures_of = {name: all_figures(read_test_predictions(models / name)) for name in names}
    corpora = sorted({corpus for figures in figures_of.values() for corpus in figures["corpora"]})
    for name, figures in figures_of.items():
        card = cards[name]
        splits.append(f"- {name}: {card.get('cross_validation', card)['split']}.")
        recalls = ", ".join(f"{emotion} {percent(r)}" for emotion, r in figures["pooled"]["recall"].items())
        rows.append(
            [
                name,
                percent(figures["mean_over_corpora_uar"]),
                *(percent(figures["corpora"].get(corpus, {}).get("uar")) for corpus in corpora),
                percent(figures["pooled"]["accuracy"]),
                recalls,
            ]
        )
    text = "## Recognition (Figs. 21 and 23)\n\n" + "\n".join(splits) + "\n\n"
    text += (
        "Here, and in the tables of peers, robustness and selection, the mean is over all corpora of a row, including "
        f"{', '.join(sorted(APART))}, whose words reveal the emotion. The next section leaves it out.\n\n"
    )
    text += markdown_table(["model", "UAR, mean over corpora", *corpora, "accuracy, pooled", "recalls, pooled"], rows)
    return text + "\n\n" + "\n".join(_differences(models, names))


def _differences(models: Path, names: Sequence[str]) -> list[str]:
    tables = {name: read_test_predictions(models / name) for name in names}
    lines = []
    for first in [name for name in (DEFAULT_MODEL, "fusion") if name in tables]:
        for name in names[names.index(first) + 1 :]:
            if tables[name].emotions == tables[first].emotions and set(tables[name].sha256) & set(tables[first].sha256):
                difference = paired_difference(tables[first], tables[name])
                gain = difference_with_interval(difference.gain, difference.interval)
                tested_on = f"{difference.recordings} recordings of {difference.speakers} speakers"
                lines.append(f"- {first} minus {name}: {gain} on {tested_on}.")
    return lines


def generalisation_section(models: Path) -> str:
    """Return the figures of every model on new people and new corpora, and how far to trust its scores."""
    cards = {name: read_card(models / name) for name in model_names(models) if tables_of(models / name)}
    tables = {(name, test): read_predictions(file) for name in cards for test, file in tables_of(models / name).items()}
    headlines = {key: headline(table) for key, table in tables.items()}
    corpora = {corpus for figures in headlines.values() for corpus in figures["by_corpus"]}
    corpora = sorted(corpora, key=lambda name: (name in APART, (*COMPARED_CORPORA, name).index(name), name))
    header = [
        "model",
        "tested on",
        "speakers",
        "mean over corpora",
        *(f"{corpus} (apart)" if corpus in APART else corpus for corpus in corpora),
    ]
    rows = [
        [
            name,
            describe_test(test, cards[name]),
            sum(corpus["speakers"] for corpus in figures["by_corpus"].values()),
            _with_interval(figures),
            *(_with_interval(figures["by_corpus"].get(corpus)) for corpus in corpora),
        ]
        for (name, test), figures in headlines.items()
    ]
    without = [name for name in cards if (name, "corpora") not in headlines]
    parts = [
        "## New people and new corpora",
        "UAR with its 95 % interval (speakers resampled within each corpus). *New people*: each speaker was predicted "
        "by a model trained on other speakers of the same corpora. *New corpora*: each corpus was predicted by a "
        "model trained without it. The mean is over the corpora of the row without "
        f"{', '.join(sorted(APART))}, whose words reveal the emotion. With a voice's own normal, the "
        "scores are shifted so that over all recordings of the speaker here all emotions come out about equally often. "
        "Rows with fewer speakers cover the first fold only.",
        markdown_table(header, rows),
        *_voice_gains(tables),
        _listeners(models, headlines, tables, cards),
        _trust(headlines, cards, corpora),
    ]
    if without:
        parts.append(
            "No figures for new corpora yet: " + ", ".join(without) + ". "
            "`python -m ser_core train --split corpus --fold all --figures-of MODEL ...` computes them, or `evaluate "
            "--add-figures` on corpora that the model was not trained on."
        )
    return "\n\n".join(part for part in parts if part)


def _voice_gains(tables: dict[tuple[str, str], Predictions]) -> list[str]:
    lines = []
    for (name, test), table in tables.items():
        without_normal = tables.get((name, test.removesuffix("_voice")))
        if not test.endswith("_voice") or without_normal is None:
            continue
        try:
            difference = paired_difference(_without_corpora_apart(table), _without_corpora_apart(without_normal))
        except SettingsRefused:
            continue
        gain = difference_with_interval(difference.gain, difference.interval)
        tested_on = "new people" if test.startswith("people") else "new corpora"
        lines.append(f"- {name}, {tested_on}: the speakers' own normal adds {gain}.")
    return ["\n".join(lines)] if lines else []


def _without_corpora_apart(table: Predictions) -> Predictions:
    return table.subset(np.array([corpus not in APART for corpus in table.corpora]))


def _listeners(
    models: Path,
    headlines: dict[tuple[str, str], dict[str, Any]],
    tables: dict[tuple[str, str], Predictions],
    cards: dict[str, dict[str, Any]],
) -> str:
    """Return the figures of listeners, and of models on the same corpus."""
    result = read_result("listeners", models)
    if not result:
        return ""
    lines = []
    for corpus, recall in result["corpora"].items():
        emotion_sets = dict.fromkeys(table.emotions for table in tables.values())
        for emotions in emotion_sets:
            people = restrict_recall(recall, emotions)
            if not people:
                continue
            rows = [["people, from the voice alone", percent(people["uar"]), *map(percent, people["recall"].values())]]
            rows += [
                [f"{name}, {describe_test(test, cards[name])}", percent(figures["by_corpus"][corpus]["uar"])]
                + [percent(figures["by_corpus"][corpus]["recall"][emotion]) for emotion in people["recall"]]
                for (name, test), figures in headlines.items()
                if tables[name, test].emotions == emotions and corpus in figures["by_corpus"]
            ]
            lines.append(
                markdown_table([f"{corpus}, {len(people['recall'])} emotions", "mean", *people["recall"]], rows)
            )
    text = (
        "How often people recognise the acted emotion from the voice alone: the share of recordings for which more "
        "listeners chose it than any other. They chose among six emotions, a model among its own."
    )
    return "\n\n".join([text, *lines]) if lines else ""


def _trust(
    headlines: dict[tuple[str, str], dict[str, Any]], cards: dict[str, dict[str, Any]], corpora: Sequence[str]
) -> str:
    """Return calibration error and abstention of the models that have figures for new corpora."""
    headlines = {key: figures for key, figures in headlines.items() if (key[0], "corpora") in headlines}
    if not headlines:
        return ""
    error = "expected_calibration_error"
    errors, answered = [], []
    for (name, test), figures in headlines.items():
        row = [name, describe_test(test, cards[name])]
        of_corpora = [figures["by_corpus"].get(corpus, {}).get(error) for corpus in corpora]
        errors.append([*row, percent(figures[error]), *map(percent, of_corpora)])
        points = [figures_at(figures["abstention"], share) or {} for share in ANSWERED_SHARES]
        answered.append([*row, *(percent(point.get("uar")) for point in points)])
    return (
        "Expected calibration error (ten bins of the best score), mean over the same corpora:\n\n"
        + markdown_table(["model", "tested on", "mean over corpora", *corpora], errors)
        + "\n\nUAR, mean over corpora, if only the most confident predictions count:\n\n"
        + markdown_table(
            ["model", "tested on", *(f"{100 * share:.0f} % answered" for share in ANSWERED_SHARES)], answered
        )
    )


def _with_interval(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "-"
    low, high = figures["interval"]
    return f"{percent(figures['uar'])} ({100 * low:.0f} to {100 * high:.0f})"


def comparison_section(result: dict[str, Any]) -> str:
    """Return the comparison with peers in the same test."""
    first = next(iter(result["models"]))
    rows = [
        [
            name,
            f"{percent(m['uar'])} ({percent(m['interval'][0])} to {percent(m['interval'][1])})",
            "-" if name == first else difference_with_interval(m["gain"], m["gain_interval"]),
            "-" if m["folds"] is None else f"{percent(m['folds']['uar'])} ({m['folds']['count']})",
            percent(m["accuracy"]),
            percent(m["macro_average_accuracy"]),
            "-" if m["auroc"] is None else f"{m['auroc']:.3f}",
            f"{m['numbers'] / 1e6:.2f} M",
            f"{m['training_seconds'] / 60:.1f} min" + (f", {m['learnt_from']} with it" if m["learnt_from"] else ""),
            "-" if m["milliseconds"] is None else f"{m['milliseconds']:.0f} ms",
        ]
        for name, m in sorted(result["models"].items(), key=lambda entry: -entry[1]["uar"])
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

{markdown_table(header, rows)}

WA, MAA and AUROC are over all recordings together; MAA is the mean over emotions of one-against-rest accuracy, which is
above one half by chance. The time per recording is the median of {result["timed_recordings"]} without decoding
({result["machine"]}). Some training times were measured while the machine did other work, and are too long. Peers are
trained for few epochs and as published, without the augmentation and AudioSet weights of our models: this compares
systems as described, not ideas at their best.
""" + (f"\nLeft out:\n\n{left_out}" if left_out else "")
