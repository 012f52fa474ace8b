"""The card and the README of a model."""

from dataclasses import asdict
from typing import Any

from ser_core.learning.classifier_training.stages import History
from ser_core.learning.plan import FROZEN, TrainingPlan
from ser_core.learning.training_data import TrainingData
from ser_core.model.checkpoint import ARCHITECTURES
from ser_core.settings import VoiceSettings

LICENCE = "CC BY-NC-SA 4.0"


def card_of(
    plan: TrainingPlan,
    data: TrainingData,
    temperature: float,
    validation_figures: dict[str, Any],
    history: History,
) -> dict[str, Any]:
    """Return the card of a model, without test figures."""
    sides = {"train": data.train, "validation": data.validation, "test": data.test}
    all_sides = data.train + data.validation + data.test
    return {
        "architecture": plan.network,
        "emotions": list(plan.emotions),
        "front_end": asdict(plan.front_end),
        "temperature": round(temperature, 4),
        "pooling": plan.pooling,
        "licence": LICENCE,
        "corpora": sorted({entry.item.corpus for entry in all_sides}),
        "split": data.description,
        "seed": plan.seed,
        "preset": plan.preset,
        "warm_start": plan.warm_start,
        "drop_unrecognised": plan.drop_unrecognised,
        "recordings": {name: len(side) for name, side in sides.items()},
        "left_out": {
            "other_emotions": data.others_count,
            "unrecognised": data.unrecognised_count,
            "refused": [name for name, _ in data.left_out],
        },
        "segments": {
            "before_selection": sum(entry.segments_before_selection for entry in all_sides),
            "kept": sum(len(entry.start_frames) for entry in all_sides),
        },
        "training": {
            stage: asdict(plan.settings_of(stage)) | _settings_found(history)
            for stage in plan.stages
            if stage in ARCHITECTURES
        },
        "validation_figures": validation_figures,
        "history": history,
        # The voice settings were chosen for discriminant heads.
        **({"voice": asdict(VoiceSettings())} if plan.network in FROZEN else {}),
    }


def _settings_found(history: History) -> dict[str, Any]:
    """Return the hyperparameters that the search found; none without a search."""
    tried = history.get("search", [])
    return max(tried, key=lambda candidate: candidate["validation_uar"])["settings"] if tried else {}


def readme_of(name: str, card: dict[str, Any]) -> str:
    """Return the README of a tested model."""
    text = f"""# {name}

Tells apart {", ".join(card["emotions"])} in acted speech. Architecture: {card["architecture"]}.

Figures are of recordings that the model was not trained on ({card["split"]}).
Intervals (95 %) resample speakers; with few speakers they are rough.

{_table(card["test_figures"])}
"""
    if cross_validation := card.get("cross_validation"):
        text += f"""
The same training on {cross_validation["folds"]} folds, each speaker tested by the model that was not trained on them:

{_table(cross_validation)}
"""
    if leave_one_out := card.get("leave_one_corpus_out"):
        text += f"""
On new corpora ({leave_one_out["split"]}):

{_table(leave_one_out)}
"""
    return f"""{text}
`card.json` holds every setting and figure, `training.csv` every recording used in training or validation.
Licence: {card["licence"]}, as the data.
"""


def _table(figures: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {corpus} | {100 * f['uar']:.1f} % ({100 * f['interval'][0]:.0f}-{100 * f['interval'][1]:.0f}) "
        f"| {100 * f['accuracy']:.1f} % | {f['recordings']} | {f['speakers']} |"
        for corpus, f in figures["corpora"].items()
    )
    mean = f"| **mean over corpora** | **{100 * figures['mean_over_corpora_uar']:.1f} %** | | | |"
    headline_figures = figures.get("headline")
    if headline_figures and headline_figures["apart"]:
        apart, uar = ", ".join(headline_figures["apart"]), headline_figures["uar"]
        mean += f"\n| **mean without {apart}** | **{100 * uar:.1f} %** | | | |"
    return f"""| corpus | UAR | accuracy | recordings | speakers |
|---|---|---|---|---|
{rows}
{mean}"""
