"""The paper's experiments, each a function that returns its figures; `write_result` keeps them beside the models."""

import json
from pathlib import Path
from typing import Any

from ser_core.errors import SettingsRefused, WriteRefused
from ser_core.model.checkpoint import MODELS
from ser_core.work.atomic_folder import atomic_write, read_regular

#: The names that the command line uses, and what each measures.
EXPERIMENTS = {
    "selection": "what data selection saves and costs (Figs. 20 to 23, Table 5)",
    "bands": "which frequencies speak for which emotion (Fig. 24)",
    "robustness": "how a model stands noise, another level, lines and rooms",
    "branches": "where VGGish and YAMNet look in the same segment (Fig. 7)",
    "listeners": "how often people who listen to the voice alone name the emotion (known of CREMA-D)",
}
FOLDER = "experiments"
LARGEST_BYTES = 50_000_000
#: What the figures of all models beside each other are kept under, which `compare` writes.
COMPARISON = "models"


def write_result(name: str, result: dict[str, Any], models: Path = MODELS) -> Path:
    """Write an experiment's figures, whole or not at all, and return their file.

    Raises
    ------
    WriteRefused
        If they cannot be written; it holds them.
    """
    text = json.dumps(result, indent=1) + "\n"
    try:
        return write_text_file(models / FOLDER / f"{name}.json", text)
    except WriteRefused as refusal:
        raise WriteRefused(f"{refusal} What was found: {json.dumps(result)}") from None


def write_text_file(file: Path, text: str) -> Path:
    """Write a file of results, whole or not at all, and return it."""
    try:
        atomic_write(file, text)
    except OSError as reason:
        raise WriteRefused(f"{file} cannot be written ({reason.strerror}). Make room there.") from None
    return file


def read_result(name: str, models: Path = MODELS) -> dict[str, Any] | None:
    """Return an experiment's figures, or None where it was not run yet.

    Raises
    ------
    SettingsRefused
        If they are damaged.
    """
    file = models / FOLDER / f"{name}.json"
    try:
        return json.loads(read_regular(file, LARGEST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise SettingsRefused(f"{file.name} is damaged. Run the experiment again.") from None
