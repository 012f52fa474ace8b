"""A model as a folder: its weights or an ONNX file, a card, the list of what it was trained on, and a README."""

import csv
import hashlib
import io
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import nn

from ser_core.baselines import ESTIMATOR_BASELINES, NETWORK_BASELINES
from ser_core.classifier import Classifier, NetworkClassifier
from ser_core.emotions import COLOURS
from ser_core.errors import ModelRefused, SettingsRefused, WriteRefused
from ser_core.networks import NETWORKS
from ser_core.onnx_classifier import OnnxClassifier
from ser_core.settings import FrontEnd, settings_from_dict
from ser_core.whole_folder import bring_all_back, put_in_place, require_replaceable, written_whole

MODELS = Path(__file__).parent.parent / "models"
WEIGHTS, ONNX, CARD, TRAINING_LIST = "model.safetensors", "model.onnx", "card.json", "training.csv"
#: What the model said of its own test; what each fold's model said of its test; and what was said of every recording of
#: each corpus by a model that never met that corpus. The last two also with each voice compared with its own normal.
TEST_TABLE, FOLDS_TABLE, CORPORA_TABLE = "test.csv", "folds.csv", "corpora.csv"
FOLDS_VOICE_TABLE, CORPORA_VOICE_TABLE = "folds_voice.csv", "corpora_voice.csv"
HASHES = "SHA256SUMS"  # beside the models, as `sha256sum --check` reads it
LARGEST_BYTES = 20_000_000
LARGEST_TEXT_BYTES = 5_000_000


#: Every network that a card may name.
ARCHITECTURES: dict[str, type[nn.Module]] = NETWORKS | NETWORK_BASELINES
PEERS = frozenset(NETWORK_BASELINES) | frozenset(ESTIMATOR_BASELINES)


def save_model(
    folder: Path, model: nn.Module | bytes, card: dict[str, Any], trained_on: list[tuple[str, str]], readme: str
) -> None:
    """Write a model's folder, whole or not at all.

    Parameters
    ----------
    model : nn.Module or bytes
        A network, whose weights are stored in half precision, or an ONNX file.
    card : dict
        At least `architecture`, `emotions`, `front_end` and `temperature`; of an ONNX file the SHA-256 is added.
    trained_on : list of (sha256, corpus:speaker)
        Every recording that training or validation saw.

    Raises
    ------
    WriteRefused
        If it cannot be written.
    """
    if isinstance(model, bytes):
        name, content = ONNX, model
        card = card | {"sha256": hashlib.sha256(model).hexdigest()}
    else:
        name, content = WEIGHTS, save({name: _halved(name, tensor) for name, tensor in model.state_dict().items()})
    with written_whole(folder, CARD) as half_written:
        (half_written / name).write_bytes(content)
        write_card(half_written, card, readme)
        with (half_written / TRAINING_LIST).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("sha256", "speaker"), *sorted(trained_on)])


def write_card(folder: Path, card: dict[str, Any], readme: str) -> None:
    """Write what a model says of itself into the folder of a draft."""
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(readme, encoding="utf-8")


def draft_of(folder: Path) -> Path:
    """Return where a model is put together before it takes its place; it is never listed."""
    return folder.absolute().with_name(f".{folder.absolute().name}.draft")


def require_room(folder: Path) -> None:
    """Refuse, before anything is trained, a folder that holds something else than a model."""
    require_replaceable(folder.absolute(), CARD)


def publish(draft: Path, folder: Path) -> None:
    """Put a finished draft in the place of its model."""
    require_room(folder)
    try:
        put_in_place(draft, folder.absolute())
    except OSError as reason:
        raise WriteRefused(f"{folder} cannot be written ({reason.strerror}). Make room, then train again.") from None


def load_model(name_or_path: str | Path, models: Path = MODELS) -> Classifier:
    """Load one of the models that are shipped, by its name, or any model's folder.

    Raises
    ------
    ModelRefused
        If there is no such model, or its files are damaged, too large, not made for each other, or, of a model that is
        shipped, not as they were shipped.
    """
    folder = find_model(name_or_path, models)
    if not (folder / WEIGHTS).is_file():
        return _load_onnx(folder)
    network, card, sha256 = load_network(folder)
    try:
        front_end = settings_from_dict(FrontEnd, card["front_end"])
        _check_shape(front_end, ARCHITECTURES[card["architecture"]])
        return NetworkClassifier(
            network,
            name=folder.name,
            sha256=sha256,
            emotions=tuple(card["emotions"]),
            front_end=front_end,
            temperature=_temperature_of(card),
            precision=fastest_precision(),
        )
    except (KeyError, TypeError, ValueError, AttributeError, SettingsRefused) as reason:
        raise ModelRefused(f"{folder.name}: its card does not make a model ({reason}). Fetch it again.") from None


def _load_onnx(folder: Path) -> OnnxClassifier:
    card, data = read_card(folder), _bytes_of(folder / ONNX)
    try:
        _check_emotions(card["emotions"])
        about = {
            "sha256": str(card["sha256"]),
            "emotions": tuple(card["emotions"]),
            "front_end": settings_from_dict(FrontEnd, card["front_end"]),
            "temperature": _temperature_of(card),
        }
    except (KeyError, TypeError, ValueError, AttributeError, SettingsRefused) as reason:
        raise ModelRefused(f"{folder.name}: its card does not make a model ({reason}). Correct card.json.") from None
    return OnnxClassifier(data, name=folder.name, **about)


def load_network(folder: Path) -> tuple[nn.Module, dict[str, Any], str]:
    """Return a model's network as it was trained, its card and its weights' SHA-256.

    Raises
    ------
    ModelRefused
    """
    card, data = read_card(folder), _bytes_of(folder / WEIGHTS)
    try:
        _check_emotions(card["emotions"])
        network = ARCHITECTURES[card["architecture"]](len(card["emotions"]))
        _fill(network, load_tensors(data), card["architecture"])
    except (KeyError, TypeError, ValueError, SafetensorError) as reason:
        raise ModelRefused(f"{folder.name}: card and weights do not make a model ({reason}). Fetch it again.") from None
    return network, card, hashlib.sha256(data).hexdigest()


def _bytes_of(file: Path) -> bytes:
    """Return a model's weights, or its ONNX file."""
    folder = file.parent.name
    try:
        if (size := file.stat().st_size) > LARGEST_BYTES:
            raise ModelRefused(f"{folder}: its weights have {size} bytes; at most {LARGEST_BYTES} are read.")
        data = file.read_bytes()
    except OSError as reason:
        raise ModelRefused(f"{folder}: its weights cannot be read ({reason.strerror}). Check them.") from None
    _check_shipped(file, data)
    return data


def _check_shipped(file: Path, data: bytes) -> None:
    """Refuse a file that the list beside the models names with another SHA-256; what people trained is not in it."""
    try:
        lines = (file.parent.parent / HASHES).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    expected = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    if expected.get(f"{file.parent.name}/{file.name}") not in (None, hashlib.sha256(data).hexdigest()):
        raise ModelRefused(
            f"{file.parent.name}: its {file.name} is not the one that was shipped (SHA-256 differs). Fetch the model "
            "again, or give a model of your own another name."
        )


def _check_emotions(emotions: list[str]) -> None:
    if len(emotions) < 2 or len(set(emotions)) < len(emotions) or not set(emotions) <= set(COLOURS):
        raise ValueError("its emotions are not known ones, each named once")


def _check_shape(front_end: FrontEnd, architecture: type[nn.Module]) -> None:
    found = front_end.segments.segment_frames, front_end.spectrogram.bands
    own = getattr(architecture, "front_end", FrontEnd())
    if found != (own.segments.segment_frames, own.spectrogram.bands):
        raise ValueError(f"its segments of {found[0]} frames and {found[1]} bands are none that this network hears")


def _temperature_of(card: dict[str, Any]) -> float:
    temperature = float(card["temperature"])
    if not 0 < temperature < 100:
        raise ValueError(f"a temperature of {temperature:g} is impossible")
    return temperature


def _fill(network: nn.Module, tensors: dict[str, torch.Tensor], architecture: str) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError:  # its text lists every tensor, a line each
        raise ValueError(f"the weights are not those of {architecture} with these emotions") from None
    if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
        raise ValueError("some weights are not numbers")


def fastest_precision() -> torch.dtype:
    """Return bfloat16 where this processor multiplies matrices of it, else float32."""
    native = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def model_names(models: Path = MODELS) -> list[str]:
    """Return the names of the models that are shipped, fusion first: it is the project's own; its peers last."""
    with suppress(OSError):  # in a folder that only may be read nothing is brought back
        bring_all_back(models)
    folders = models.iterdir() if models.is_dir() else ()
    # A name that begins with a dot is that of a model whose writing broke off.
    names = [f.name for f in folders if _holds_model(f) and not f.name.startswith(".")]
    return sorted(names, key=lambda name: (name != "fusion", name in PEERS, name))


def find_model(name_or_path: str | Path, models: Path = MODELS) -> Path:
    """Return a model's folder, from its name or its path."""
    named = re.fullmatch(r"[A-Za-z0-9][\w.-]*", str(name_or_path))
    folder = models / str(name_or_path) if named and (models / str(name_or_path)).is_dir() else Path(name_or_path)
    if not _holds_model(folder) or not (folder / CARD).is_file():
        raise ModelRefused(
            f"There is no model '{folder.name}'. Shipped are: {', '.join(model_names(models)) or 'none'}; "
            f"or give a folder that holds {CARD} and {WEIGHTS} or {ONNX}."
        )
    return folder


def _holds_model(folder: Path) -> bool:
    return any((folder / file).is_file() for file in (WEIGHTS, ONNX))


def read_card(folder: Path) -> dict[str, Any]:
    """Return a model's card."""
    try:
        data = _text_bytes(folder / CARD)
        card = json.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ModelRefused(f"{folder.name}: its card cannot be read. Fetch the model again.") from None
    if not isinstance(card, dict):
        raise ModelRefused(f"{folder.name}: its card is not a card. Fetch the model again.")
    _check_shipped(folder / CARD, data)
    return card


def training_list(folder: Path) -> dict[str, str]:
    """Return the recordings that a model was trained on: sha256 to corpus:speaker.

    Raises
    ------
    ModelRefused
        If there is no such list, so that nobody measures a model on what it was trained on.
    """
    try:
        data = _text_bytes(folder / TRAINING_LIST)
        header, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
        if header == ["sha256", "speaker"]:
            _check_shipped(folder / TRAINING_LIST, data)
            return dict(rows)
    except (OSError, ValueError, csv.Error):
        pass
    raise ModelRefused(f"{folder.name}: its {TRAINING_LIST} is missing or damaged. Fetch the model again.")


def _text_bytes(file: Path) -> bytes:
    if file.stat().st_size > LARGEST_TEXT_BYTES:
        raise ValueError(f"more than {LARGEST_TEXT_BYTES} bytes")
    return file.read_bytes()


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    # Running variances span more than half precision does.
    return tensor.contiguous() if "running_" in name or not tensor.is_floating_point() else tensor.half().contiguous()
