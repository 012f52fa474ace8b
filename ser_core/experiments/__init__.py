"""The paper's experiments, each a function that returns its figures; `write_result` saves them with the models."""

import json
from pathlib import Path
from typing import Any

from ser_core.errors import SettingsRefused, WriteRefused
from ser_core.model.shipped_models import MODELS
from ser_core.work.atomic_folder import atomic_write, read_regular

#: Name of each experiment on the command line, and what it measures.
EXPERIMENTS = {
    "selection": "what data selection saves and costs (Figs. 20 to 23, Table 5)",
    "bands": "which frequencies support which emotion (Fig. 24)",
    "robustness": "robustness to noise, gain, phone band and reverberation",
    "branches": "where VGGish and YAMNet look in the same segment (Fig. 7)",
    "content": "what is left of the verdict when no word is understood, or the pitch is gone",
    "listeners": "how often listeners recognise the emotion from the voice alone (CREMA-D only)",
}
FOLDER = "experiments"
MAX_RESULT_BYTES = 50_000_000
#: Name of the result of `compare` for all models.
COMPARISON = "models"


def write_result(name: str, result: dict[str, Any], models: Path = MODELS) -> Path:
    """Write an experiment's figures atomically and return their file.

    Raises
    ------
    WriteRefused
        If they cannot be written; the message contains them.
    """
    text = json.dumps(result, indent=1) + "\n"
    try:
        return write_text_file(models / FOLDER / f"{name}.json", text)
    except WriteRefused as refusal:
        raise WriteRefused(f"{refusal} The result was: {json.dumps(result)}") from None


def write_text_file(file: Path, text: str) -> Path:
    """Write a text file atomically and return it."""
    try:
        atomic_write(file, text)
    except OSError as reason:
        raise WriteRefused(f"{file} cannot be written ({reason.strerror}). Free some space there.") from None
    return file


def read_result(name: str, models: Path = MODELS) -> dict[str, Any] | None:
    """Return an experiment's figures, or None if it has not been run.

    Raises
    ------
    SettingsRefused
        If they are damaged.
    """
    file = models / FOLDER / f"{name}.json"
    try:
        return json.loads(read_regular(file, MAX_RESULT_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise SettingsRefused(f"{file.name} is damaged. Run the experiment again.") from None
