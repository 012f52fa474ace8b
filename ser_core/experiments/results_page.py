"""Write `models/RESULTS.md`: all figures of the shipped models and the experiments."""

from pathlib import Path

from ser_core.experiments import COMPARISON, read_result, write_text_file
from ser_core.experiments.experiment_sections import (
    bands_section,
    branches_section,
    content_section,
    robustness_section,
    selection_section,
)
from ser_core.experiments.model_sections import comparison_section, generalisation_section, recognition_section
from ser_core.model.shipped_models import MODELS, model_names


def write_results_page(models: Path = MODELS) -> Path:
    """Write the page from the model cards, their tables and the experiments' figures, and return its file."""
    parts = [
        "# Results\n\nWritten by `python -m ser_core experiment` and `compare`; every figure here is computed from the "
        "tables and cards in this folder. UAR is the mean of the emotions' recalls. "
        "Intervals (95 %) resample speakers.",
        recognition_section(models),
        generalisation_section(models),
    ]
    if result := read_result(COMPARISON, models):
        parts.append(comparison_section(result))
    results = [result for name in model_names(models) if (result := read_result(f"robustness-{name}", models))]
    if results:
        parts.append(robustness_section(results))
    results = [result for name in model_names(models) if (result := read_result(f"content-{name}", models))]
    if results:
        parts.append(content_section(results))
    for network in ("yamnet", "vggish", "fusion"):
        if result := read_result(f"selection-{network}", models):
            parts.append(selection_section(result))
    if result := read_result("bands", models):
        parts.append(bands_section(result))
    if result := read_result("branches", models):
        parts.append(branches_section(result))
    return write_text_file(models / "RESULTS.md", "\n\n".join(parts) + "\n")
