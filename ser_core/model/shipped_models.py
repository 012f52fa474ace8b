"""The models in `models/`: find, load and name each without reading the weights of the others."""

import hashlib
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ser_core.errors import ModelRefused
from ser_core.model.checkpoint import (
    CARD,
    DECODER,
    HASHES,
    MAX_WEIGHTS_BYTES,
    ONNX,
    WEIGHTS,
    check_checkpoint,
    holds_model,
    load_checkpoint,
)
from ser_core.model.classifier import Classifier
from ser_core.model.peers import ESTIMATOR_BASELINES, NETWORK_BASELINES
from ser_core.work.atomic_folder import read_regular, recover_all

MODELS = Path(__file__).parents[2] / "models"
#: The model of analyses, commands and benchmarks unless another is named.
DEFAULT_MODEL = "whisper"
PEERS = frozenset(NETWORK_BASELINES) | frozenset(ESTIMATOR_BASELINES)
#: Without a leading dot, which marks an unfinished model, and without the separators of a path.
_NAME = re.compile(r"\w[\w.-]*")


def load_model(name_or_path: str | Path, models: Path = MODELS) -> Classifier:
    """Load a shipped model by its name, or any model by its folder.

    Raises
    ------
    ModelRefused
        If there is no such model, or it cannot be loaded (see `load_checkpoint`).
    """
    return load_checkpoint(find_model(name_or_path, models))


def find_model(name_or_path: str | Path, models: Path = MODELS) -> Path:
    """Return the folder of a model given by its name or path."""
    named = _NAME.fullmatch(str(name_or_path)) and (models / str(name_or_path)).is_dir()
    folder = models / str(name_or_path) if named else Path(name_or_path)
    with suppress(OSError, ValueError, RuntimeError):  # a path that ends in `..` does not name the folder
        folder = folder if folder.name not in ("", "..") else folder.resolve()
    if not holds_model(folder):
        raise ModelRefused(
            f"There is no model '{folder.name}'. Shipped are: {', '.join(model_names(models)) or 'none'}; "
            f"or give a folder that holds {CARD} and {WEIGHTS} or {ONNX}."
        )
    return folder


def model_names(models: Path = MODELS) -> list[str]:
    """Return the names of the shipped models that can be loaded: the default first, the peers last."""
    names = [name for name, fault in _faults(models).items() if fault is None]
    return sorted(names, key=lambda name: (name != DEFAULT_MODEL, name in PEERS, name))


def default_model(models: Path = MODELS) -> str | None:
    """Return the first of `model_names`, or None; check the other models only if the default cannot be loaded."""
    default = models / DEFAULT_MODEL
    if default.is_dir() and _fault(default, tuple(_stamp(file) for file in _files(default))) is None:
        return DEFAULT_MODEL
    return next(iter(model_names(models)), None)


def name_of_model(sha256: str, models: Path = MODELS) -> str | None:
    """Return the name of the shipped model whose weights, or ONNX file, have this SHA-256, or None."""
    for name in model_names(models):
        weights = models / name / WEIGHTS
        file = weights if weights.is_file() else models / name / ONNX
        with suppress(OSError, ValueError):
            if _sha256(file, _stamp(file)) == sha256:
                return name
    return None


@lru_cache(maxsize=256)
def _sha256(file: Path, stamp: tuple[int, ...]) -> str:
    return hashlib.sha256(read_regular(file, MAX_WEIGHTS_BYTES, follow_link=True)).hexdigest()


def models_left_out(models: Path = MODELS) -> dict[str, str]:
    """Return why folders that look like models are not among `model_names`, by name."""
    return {name: fault for name, fault in sorted(_faults(models).items()) if fault is not None}


def _faults(models: Path) -> dict[str, str | None]:
    """Return why each folder with a model's weights cannot be loaded, by name; None if it can."""
    with suppress(OSError):  # nothing is recovered in a read-only folder
        recover_all(models)
    folders = models.iterdir() if models.is_dir() else ()
    # Names of unfinished models begin with a dot.
    return {
        folder.name: _fault(folder, tuple(_stamp(file) for file in _files(folder)))
        for folder in folders
        if not folder.name.startswith(".") and any(os.path.lexists(folder / file) for file in (WEIGHTS, ONNX))
    }


def _files(folder: Path) -> tuple[Path, ...]:
    return folder / CARD, folder / WEIGHTS, folder / DECODER, folder / ONNX, folder.parent / HASHES


def _stamp(file: Path) -> tuple[int, ...]:
    """Return the status of a file, which changes when its content does."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=256)
def _fault(folder: Path, stamps: tuple[tuple[int, ...], ...]) -> str | None:
    """Return why a model cannot be loaded, or None, without reading its weights; with new `stamps`, check it again."""
    try:
        if not _NAME.fullmatch(folder.name):
            raise ModelRefused("Its name is not a model's name: letters, digits, dots, hyphens and underscores.")
        check_checkpoint(folder)
    except ModelRefused as reason:
        return str(reason)
    return None
