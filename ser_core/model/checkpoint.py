"""A model as a folder: weights or an ONNX file, a card, the list of its training recordings, and a README."""

import csv
import hashlib
import io
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import nn
from torch.overrides import TorchFunctionMode

from ser_core.analysis.emotions import COLOURS
from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.model.classifier import Classifier, NetworkClassifier
from ser_core.model.networks import NETWORKS
from ser_core.model.networks.decoder import Decoder, decoder_of
from ser_core.model.onnx_classifier import OnnxClassifier
from ser_core.model.peers import NETWORK_BASELINES
from ser_core.model.scores import POOLINGS
from ser_core.settings import FrontEnd, VoiceSettings, settings_from_dict
from ser_core.work.atomic_folder import atomic_folder, read_regular, require_replaceable

WEIGHTS, ONNX, CARD, TRAINING_LIST = "model.safetensors", "model.onnx", "card.json", "training.csv"
#: A decoder that was fitted to the network's tokens, if the card names one.
DECODER = "decoder.safetensors"
#: Tables of predictions: of the model for its test set, of each fold's model for its test set, and for each corpus of a
#: model trained without it. In the `_VOICE` tables, every voice is judged by its own normal.
TEST_TABLE, FOLDS_TABLE, CORPORA_TABLE = "test.csv", "folds.csv", "corpora.csv"
TEST_VOICE_TABLE, FOLDS_VOICE_TABLE = "test_voice.csv", "folds_voice.csv"
CORPORA_VOICE_TABLE = "corpora_voice.csv"
HASHES = "SHA256SUMS"  # beside the models, in the format of `sha256sum --check`
MAX_WEIGHTS_BYTES = 45_000_000
MAX_TEXT_BYTES = 5_000_000
#: The header of a weights file, which names the tensors; that of the largest network here has 20 kB.
MAX_HEADER_BYTES = 1_000_000
MAX_REASON_LENGTH = 300


#: All networks that a card may name.
ARCHITECTURES: dict[str, type[nn.Module]] = NETWORKS | NETWORK_BASELINES


def save_model(
    folder: Path, model: nn.Module | bytes, card: dict[str, Any], trained_on: list[tuple[str, str]], readme: str
) -> None:
    """Write a model's folder completely or not at all; for the parameters see `write_model`.

    Raises
    ------
    WriteRefused
        If it cannot be written.
    """
    with atomic_folder(folder, CARD) as half_written:
        write_model(half_written, model, card, trained_on, readme)


def write_model(
    folder: Path, model: nn.Module | bytes, card: dict[str, Any], trained_on: list[tuple[str, str]], readme: str
) -> None:
    """Write the files of a model into an empty folder.

    Parameters
    ----------
    model : nn.Module or bytes
        A network, whose weights are stored in half precision, or an ONNX file.
    card : dict
        At least `architecture`, `emotions`, `front_end` and `temperature`; the SHA-256 of an ONNX file is added.
    trained_on : list of (sha256, corpus:speaker)
        Every recording used in training or validation.
    """
    if isinstance(model, bytes):
        name, content = ONNX, model
        card = card | {"sha256": hashlib.sha256(model).hexdigest()}
    else:
        weights = {name: _in_half_precision(name, tensor) for name, tensor in model.state_dict().items()}
        name, content = WEIGHTS, save(weights)
    (folder / name).write_bytes(content)
    write_card(folder, card, readme)
    with (folder / TRAINING_LIST).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("sha256", "speaker"), *sorted(trained_on)])


def write_card(folder: Path, card: dict[str, Any], readme: str) -> None:
    """Write the card and README of a model into its folder."""
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(readme, encoding="utf-8")


def require_replaceable_model(folder: Path) -> None:
    """Refuse, before training starts, a folder that contains anything but a model."""
    require_replaceable(folder.absolute(), CARD)


def load_checkpoint(folder: Path) -> Classifier:
    """Load the model in a folder.

    Raises
    ------
    ModelRefused
        If its files are damaged, too large or do not match each other, or a shipped model's files have changed.
    """
    if not (folder / WEIGHTS).is_file():
        return _load_onnx(folder)
    network, card, sha256 = load_network(folder)
    classifier_args = _classifier_args(card, folder)
    return NetworkClassifier(
        network,
        name=folder.name,
        sha256=sha256,
        precision=fastest_precision(),
        decoder=_decoder(folder, card),
        **classifier_args,
    )


def check_checkpoint(folder: Path) -> None:
    """Refuse a model that cannot be loaded, judging by its card, its decoder and the header of its weights."""
    if not holds_model(folder):
        raise ModelRefused(f"{folder.name}: it needs {CARD} and {WEIGHTS} or {ONNX}, each an ordinary file.")
    card, weights = read_card(folder), folder / WEIGHTS
    _classifier_args(card, folder)
    file = weights if weights.is_file() else folder / ONNX
    try:
        if (size := file.stat().st_size) > MAX_WEIGHTS_BYTES:
            raise ModelRefused(f"{folder.name}: its weights have {size} bytes; at most {MAX_WEIGHTS_BYTES} are read.")
        if file == weights:
            with weights.open("rb") as opened:
                _check_header(folder, card, opened.read(8 + MAX_HEADER_BYTES), size)
            _decoder(folder, card)
    except OSError as reason:
        raise ModelRefused(f"{folder.name}: its files cannot be read ({reason.strerror}). Check them.") from None


def holds_model(folder: Path) -> bool:
    """Return whether a folder has the files of a model."""
    return (folder / CARD).is_file() and any((folder / file).is_file() for file in (WEIGHTS, ONNX))


def _decoder(folder: Path, card: dict[str, Any]) -> Decoder | None:
    """Return the decoder that a card names; older cards name none."""
    architecture = ARCHITECTURES[card["architecture"]]
    if "decoder" not in card or not hasattr(architecture, "token_channels"):
        return None
    data = _bytes_of(folder / DECODER)
    try:
        return decoder_of(data, len(card["emotions"]), architecture.token_channels)
    except ValueError as reason:
        raise ModelRefused(f"{folder.name}: its {DECODER} is damaged ({_short(reason)}). Fetch it again.") from None


def _load_onnx(folder: Path) -> OnnxClassifier:
    card, data = read_card(folder), _bytes_of(folder / ONNX)
    classifier_args = _classifier_args(card, folder)
    return OnnxClassifier(data, name=folder.name, sha256=card["sha256"], **classifier_args)


def _classifier_args(card: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the arguments of a classifier that are in its card."""
    try:
        _check_emotions(card["emotions"])
        front_end = settings_from_dict(FrontEnd, card["front_end"])
        if (folder / WEIGHTS).is_file():
            _check_shape(front_end, ARCHITECTURES[card["architecture"]])
        elif not re.fullmatch(r"[0-9a-f]{64}", card["sha256"]):
            raise ValueError(f"its sha256 is not that of {ONNX}")
        args = {
            "emotions": tuple(card["emotions"]),
            "front_end": front_end,
            "temperature": _temperature_of(card),
            "pooling": _pooling_of(card),
        }
        if (folder / WEIGHTS).is_file() and "voice" in card:
            # Cards of earlier versions also have `expected_logits`, which are no longer used.
            voice = {name: value for name, value in card["voice"].items() if name != "expected_logits"}
            args["voice"] = settings_from_dict(VoiceSettings, voice)
        return args
    except _WRONG_CARD as reason:
        raise ModelRefused(
            f"{folder.name}: its card does not make a model ({_short(reason)}). Fetch it again, or correct {CARD}."
        ) from None


def load_network(folder: Path) -> tuple[nn.Module, dict[str, Any], str]:
    """Return a model's network as it was trained, its card, and the SHA-256 of its weights.

    Raises
    ------
    ModelRefused
    """
    card, data = read_card(folder), _bytes_of(folder / WEIGHTS)
    _check_header(folder, card, data[: 8 + MAX_HEADER_BYTES], len(data))
    try:
        with _Uninitialised():
            network = ARCHITECTURES[card["architecture"]](len(card["emotions"]))
        network.load_state_dict(load_tensors(data))
        # Only a NaN or an infinity makes a sum in double precision one; this is three times as fast as `isfinite`.
        if not all(tensor.sum(dtype=torch.float64).isfinite() for tensor in network.state_dict().values()):
            raise ValueError("some weights are not numbers")
    except (ValueError, RuntimeError, SafetensorError) as reason:
        raise _not_a_model(folder, reason) from None
    return network, card, hashlib.sha256(data).hexdigest()


class _Uninitialised(TorchFunctionMode):
    """Skip `torch.nn.init` for weights that are about to be loaded: for Whisper it takes 0.15 s of processor time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init" and isinstance(kwargs["tensor"], nn.Parameter):
            return kwargs["tensor"]
        return func(*args, **kwargs)


def _check_header(folder: Path, card: dict[str, Any], beginning: bytes, size: int) -> None:
    """Refuse, before reading any weights, a file whose names and shapes do not match the card's architecture."""
    try:
        _check_emotions(card["emotions"])
        expected = _shapes(card["architecture"], len(card["emotions"]))
        end = 8 + int.from_bytes(beginning[:8], "little")
        header = json.loads(beginning[8:end]) if end <= len(beginning) else {}
        header.pop("__metadata__", None)
        if {name: tuple(tensor["shape"]) for name, tensor in header.items()} != expected:
            raise ValueError(f"the weights are not those of {card['architecture']} with these emotions")
        if size != end + max(tensor["data_offsets"][1] for tensor in header.values()):
            raise ValueError("the weights are cut off")
    except (*_WRONG_CARD, RecursionError) as reason:
        raise _not_a_model(folder, reason) from None


def _not_a_model(folder: Path, reason: Exception) -> ModelRefused:
    return ModelRefused(f"{folder.name}: card and weights do not make a model ({_short(reason)}). Fetch it again.")


@lru_cache(maxsize=64)
def _shapes(architecture: str, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of an architecture's weights."""
    with torch.device("meta"):  # no computation: after one, forked processes could not compute
        network = ARCHITECTURES[architecture](classes)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _bytes_of(file: Path) -> bytes:
    """Return the content of a model's weights, decoder or ONNX file."""
    folder = file.parent.name
    try:
        data = read_regular(file, MAX_WEIGHTS_BYTES, follow_link=True)
    except OSError as reason:
        raise ModelRefused(f"{folder}: its {file.name} cannot be read ({reason.strerror}). Check it.") from None
    _check_shipped(file, data)
    return data


def _check_shipped(file: Path, data: bytes) -> None:
    """Refuse a file of a shipped model, reached by any path, whose SHA-256 differs from that of the shipped file.

    The list beside the models has the shipped files, but not models that people trained.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    for path in {file.absolute(), file.resolve()}:
        folder, shipped = path.parent.name, _shipped_hashes(path.parent.parent / HASHES)
        listed = any(name.startswith(f"{folder}/") for name in shipped)
        if listed and shipped.get(f"{folder}/{file.name}") != sha256:
            raise ModelRefused(
                f"{folder}: its {file.name} is not the one that was shipped (SHA-256 differs). Fetch the model "
                "again, or give a model of your own another name."
            )


def _shipped_hashes(hashes: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a list, by `NAME/FILE`; empty if there is no list."""
    try:
        lines = read_regular(hashes, MAX_TEXT_BYTES, follow_link=True).decode("utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}


#: Exceptions raised by a card with unexpected content.
_WRONG_CARD = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, SettingsRefused)


def _short(reason: Exception) -> str:
    return " ".join(str(reason).split())[:MAX_REASON_LENGTH]


def _check_emotions(emotions: list[str]) -> None:
    if not isinstance(emotions, list):
        raise ValueError("its emotions are not a list")
    if len(emotions) < 2 or len(set(emotions)) < len(emotions) or not set(emotions) <= set(COLOURS):
        raise ValueError("its emotions are not known ones, each named once")


def _check_shape(front_end: FrontEnd, architecture: type[nn.Module]) -> None:
    found = front_end.segments.segment_frames, front_end.spectrogram.bands
    expected = getattr(architecture, "front_end", FrontEnd())
    if found != (expected.segments.segment_frames, expected.spectrogram.bands):
        raise ValueError(f"its segments of {found[0]} frames and {found[1]} bands are not those of this network")


def _temperature_of(card: dict[str, Any]) -> float:
    temperature = float(card["temperature"])
    if not 1e-3 <= temperature < 100:
        raise ValueError(f"a temperature of {temperature:g} is impossible")
    return temperature


def _pooling_of(card: dict[str, Any]) -> str:
    pooling = card.get("pooling", "probabilities")  # older cards do not name it
    if pooling not in POOLINGS:
        raise ValueError(f"it pools {pooling!s:.20}, not {' or '.join(POOLINGS)}")
    return pooling


def fastest_precision() -> torch.dtype:
    """Return bfloat16 if this processor has units for matrices of it (AMX), else float32.

    Without them bfloat16 may take twice as long. The processor alone decides, not a measurement, so that a model always
    has the same scores on the same machine.
    """
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


def read_card(folder: Path) -> dict[str, Any]:
    """Return a model's card."""
    try:
        data = read_regular(folder / CARD, MAX_TEXT_BYTES, follow_link=True)
        card = json.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ModelRefused(f"{folder.name}: its card cannot be read. Fetch the model again.") from None
    if not isinstance(card, dict):
        raise ModelRefused(f"{folder.name}: its card is not a card. Fetch the model again.")
    _check_shipped(folder / CARD, data)
    return card


def training_list(folder: Path) -> dict[str, str]:
    """Return the recordings that a model was trained on: SHA-256 to corpus:speaker.

    Raises
    ------
    ModelRefused
        If there is no such list: without it a model might be measured on its own training recordings.
    """
    try:
        data = read_regular(folder / TRAINING_LIST, MAX_TEXT_BYTES, follow_link=True)
        header, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
        if header == ["sha256", "speaker"]:
            _check_shipped(folder / TRAINING_LIST, data)
            return {sha256.lower(): speaker for sha256, speaker in rows}
    except (OSError, ValueError, csv.Error):
        pass
    raise ModelRefused(
        f"{folder.name}: its {TRAINING_LIST} is missing or damaged. Fetch the model again; for a model of your own, "
        "list its training recordings there, with the columns sha256,speaker."
    )


def _in_half_precision(name: str, tensor: torch.Tensor) -> torch.Tensor:
    # Running variances exceed the range of half precision.
    return tensor.contiguous() if "running_" in name or not tensor.is_floating_point() else tensor.half().contiguous()
