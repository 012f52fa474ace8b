"""What a model says of itself: its card, and the README beside it."""

from dataclasses import asdict
from typing import Any

from ser_core.learning.material import Material
from ser_core.learning.training_plan import TrainingPlan
from ser_core.model.checkpoint import ARCHITECTURES

LICENCE = "CC BY-NC-SA 4.0"


def card_of(
    plan: TrainingPlan,
    material: Material,
    temperature: float,
    validated: dict[str, Any],
    history: dict[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    """Return the card of a model before its test."""
    everything = material.train + material.validation + material.test
    sides = {"train": material.train, "validation": material.validation, "test": material.test}
    return {
        "architecture": plan.network,
        "emotions": list(plan.emotions),
        "front_end": asdict(plan.front_end),
        "temperature": round(temperature, 4),
        "pooling": plan.pooling,
        "licence": LICENCE,
        "corpora": sorted({entry.item.corpus for entry in everything}),
        "split": material.words,
        "seed": plan.seed,
        "preset": plan.preset,
        "warm_start": plan.warm_start,
        "drop_unrecognised": plan.drop_unrecognised,
        "recordings": {name: len(side) for name, side in sides.items()},
        "left_out": {
            "other_emotions": material.others_count,
            "unrecognised": material.unrecognised_count,
            "refused": [name for name, _ in material.left_out],
        },
        "segments": {
            "before_selection": sum(entry.segments_before_selection for entry in everything),
            "kept": sum(len(entry.start_frames) for entry in everything),
        },
        "training": {
            stage: asdict(plan.settings_of(stage)) | _found(history) for stage in plan.stages if stage in ARCHITECTURES
        },
        "validation_figures": validated,
        "history": history,
        **_voice(history),
    }


def _voice(history: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return how the model judges a voice by its own normal; nothing where it judges every voice alike."""
    last = [stage[-1] for stage in history.values()][-1] if history else {}
    return {"voice": {"expected_logits": last["expected_logits"]}} if "expected_logits" in last else {}


def _found(history: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the settings that were searched for; none where nothing was."""
    tried = history.get("search", [])
    return max(tried, key=lambda one: one["validation_uar"])["settings"] if tried else {}


def readme_of(name: str, card: dict[str, Any]) -> str:
    """Return the README of a model that was tested."""
    words = f"""# {name}

Tells apart {", ".join(card["emotions"])} in acted speech. Architecture: {card["architecture"]}.

Figures are of recordings that the model never heard ({card["split"]}).
Intervals (95 %) resample speakers; with few speakers they are rough.

{_table(card["test_figures"])}
"""
    if across := card.get("cross_validation"):
        words += f"""
The same training on {across["folds"]} folds, each speaker tested by the model that never heard them:

{_table(across)}
"""
    if unseen := card.get("leave_one_corpus_out"):
        words += f"""
The same training with each corpus left out in turn, and tested on it:

{_table(unseen)}
"""
    return f"""{words}
`card.json` holds every setting and figure, `training.csv` every recording that training or validation heard.
Licence: {card["licence"]}, as the data.
"""


def _table(tested: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {corpus} | {100 * f['uar']:.1f} % ({100 * f['interval'][0]:.0f}-{100 * f['interval'][1]:.0f}) "
        f"| {100 * f['accuracy']:.1f} % | {f['recordings']} | {f['speakers']} |"
        for corpus, f in tested["corpora"].items()
    )
    mean = f"| **mean over corpora** | **{100 * tested['mean_over_corpora_uar']:.1f} %** | | | |"
    found = tested.get("headline")
    if found and found["apart"]:
        mean += f"\n| **mean without {', '.join(found['apart'])}** | **{100 * found['uar']:.1f} %** | | | |"
    return f"""| corpus | UAR | accuracy | recordings | speakers |
|---|---|---|---|---|
{rows}
{mean}"""
