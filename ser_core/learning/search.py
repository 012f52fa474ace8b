"""Search for how a network learns best: try each way for a fifth of the epochs, and look at the validation speakers."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.learning.training import train_network
from ser_core.learning.training_settings import TrainingSettings
from ser_core.work.progress import Work

SHARE_OF_EPOCHS = 5


def best_settings(
    network: nn.Module,
    candidates: Sequence[dict[str, Any]],
    dataset: Sequence[LabelledSpectrogram],
    validation: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    settings: TrainingSettings,
    seed: int,
    state_file: Path,
    log_offset: float,
    work: Work,
) -> tuple[TrainingSettings, list[dict[str, Any]]]:
    """Return the settings with the best of the candidates, and what each candidate reached.

    Parameters
    ----------
    candidates : sequence of dict
        Fields of the settings.
    network : nn.Module
        Copied, so that each candidate, and the training after them, begin alike.

    Returns
    -------
    settings : TrainingSettings
    tried : list of dict
        Of each candidate its number as `epoch`, `validation_uar`, `seconds` and `settings`.
    """
    short = replace(settings, epochs=max(1, settings.epochs // SHARE_OF_EPOCHS))
    tried = []
    for number, candidate in enumerate(candidates, start=1):
        history = train_network(
            copy.deepcopy(network),
            dataset,
            validation,
            emotions,
            replace(short, **candidate),
            seed,
            state_file.with_name(f"{state_file.stem}-try{number}.safetensors"),
            log_offset,
            work.part(number - 1, len(candidates), f"Trying {number} of {len(candidates)}, "),
        )
        reached = max(epoch["validation_uar"] for epoch in history)
        seconds = sum(epoch["seconds"] for epoch in history)
        tried.append({"epoch": number, "validation_uar": reached, "seconds": seconds, "settings": candidate})
    best = max(tried, key=lambda one: one["validation_uar"])
    return replace(settings, **best["settings"]), tried
