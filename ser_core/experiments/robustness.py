"""How a model stands noise, another level, lines and rooms."""

from typing import Any

from ser_core.learning.evaluation import evaluate_model
from ser_core.work.progress import Work


def robustness(model: str, corpora: dict[str, str], work: Work) -> dict[str, Any]:
    """Return the UAR of a model on recordings that it never heard, as recorded and under each condition.

    Returns
    -------
    dict
        `model`, `split` in words, and of each of `conditions` the UAR, `mean_over_corpora_uar`, and of each of
        `corpora`.
    """
    measured = evaluate_model(model, corpora, work, robustness=True)
    as_recorded = {
        "mean_over_corpora_uar": measured["mean_over_corpora_uar"],
        "corpora": {name: figures["uar"] for name, figures in measured["corpora"].items()},
    }
    conditions = {"as recorded": as_recorded, **measured["robustness"]}
    return {"model": model, "split": measured["split"], "conditions": conditions}
