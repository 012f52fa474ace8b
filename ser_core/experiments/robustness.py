"""Robustness of a model to noise, gain, phone band and reverberation."""

from typing import Any

from ser_core.learning.evaluation import evaluate_model
from ser_core.work.progress import Work


def robustness(model: str, corpora: dict[str, str], work: Work) -> dict[str, Any]:
    """Return the UAR of a model on recordings outside its training data, as recorded and under each condition.

    Returns
    -------
    dict
        `model`, `split` (a description), and `conditions`: for each its `mean_over_corpora_uar` and the UAR of
        `corpora`.
    """
    measured = evaluate_model(model, corpora, work, robustness=True)
    as_recorded = {
        "mean_over_corpora_uar": measured["mean_over_corpora_uar"],
        "corpora": {name: figures["uar"] for name, figures in measured["corpora"].items()},
    }
    conditions = {"as recorded": as_recorded, **measured["robustness"]}
    return {"model": model, "split": measured["split"], "conditions": conditions}
