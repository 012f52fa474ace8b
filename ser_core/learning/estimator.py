"""Fit a scikit-learn estimator on features, and export both as one ONNX file, from log-mel segments to logits."""

import io
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from torch import nn

from ser_core.errors import SettingsRefused
from ser_core.learning.dataset import LabelledSpectrogram
from ser_core.model.networks.folding import folded

OPSETS = {"": 17, "ai.onnx.ml": 3}
SEGMENTS_AT_ONCE = 64
#: Smaller tensors are not worth the cast that half precision needs.
MIN_HALVED_WEIGHTS = 256
#: Probabilities are raised to this before the logarithm; trees give 0 to classes that a leaf does not hold.
MIN_PROBABILITY = 1e-4


def fit_estimator(
    baseline: ModuleType,
    network: nn.Module | None,
    dataset: Sequence[LabelledSpectrogram],
    emotions: tuple[str, ...],
    seed: int,
) -> bytes:
    """Fit a baseline's estimator on the features of all selected segments, and return it as ONNX.

    Parameters
    ----------
    baseline : module
        One of `ser_core.model.peers.ESTIMATOR_BASELINES`.
    network : nn.Module or None
        The trained network whose features it learns from, if it learns from any.

    Returns
    -------
    bytes
        ONNX model from `segments` (n, frames, bands) to `logits` (n, classes), both float32.

    Raises
    ------
    SettingsRefused
        If an emotion has no recording to learn from.
    """
    labels = np.concatenate([np.full(len(entry.start_frames), entry.label) for entry in dataset])
    if missing := sorted(set(range(len(emotions))) - set(labels.tolist())):
        raise SettingsRefused(
            f"There is no recording of {emotions[missing[0]]} to learn from. Give a corpus that has some, "
            "or choose a set of fewer emotions."
        )
    features = features_as_stored(baseline, network)
    estimator = baseline.estimator(seed).fit(features_of(features, dataset), labels)
    return as_onnx(features, estimator, dataset[0].segments[:1].astype(np.float32))


def features_as_stored(baseline: ModuleType, network: nn.Module | None) -> nn.Module:
    """Return the feature extractor of a baseline, its weights rounded to half precision as in the stored file."""
    features = baseline.Features(folded(network) if network is not None else None).eval().requires_grad_(False)
    for parameter in features.parameters():
        parameter.copy_(parameter.half())
    return features


def features_of(features: nn.Module, dataset: Sequence[LabelledSpectrogram]) -> np.ndarray:
    """Return the features (segments, features), float32, of all selected segments."""
    with torch.inference_mode():
        return np.concatenate(
            [
                features(torch.from_numpy(part.astype(np.float32))).numpy()
                for entry in dataset
                for part in np.array_split(entry.segments, -(-len(entry.start_frames) // SEGMENTS_AT_ONCE))
            ]
        )


def as_onnx(features: nn.Module, estimator: Any, example: np.ndarray) -> bytes:
    """Return a feature extractor followed by an estimator as one ONNX model.

    Logits are the estimator's decision function if it has one, else the logarithm of its probabilities. Weights are
    stored in half precision where that is exact.

    Parameters
    ----------
    example : ndarray of shape (1, frames, bands), float32
    """
    first = onnx.load_model_from_string(_exported(features, example))
    count = features(torch.from_numpy(example)).shape[1]
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    decides = hasattr(last, "decision_function")
    options = {id(last): {"zipmap": False} | ({"raw_scores": True} if decides else {})}
    inputs = [("features", FloatTensorType([None, count]))]
    with warnings.catch_warnings():
        # The converter reads attributes of SVC that scikit-learn will drop.
        warnings.filterwarnings("ignore", "Attribute `prob._`", FutureWarning)
        second = convert_sklearn(estimator, initial_types=inputs, options=options, target_opset=OPSETS)
    second = onnx.compose.add_prefix(second, "estimator_")
    for used in second.opset_import:  # skl2onnx declares the oldest sufficient one; merged models need the same
        used.version = OPSETS[used.domain]
    first.ir_version, scores = second.ir_version, second.graph.output[1].name
    whole = onnx.compose.merge_models(first, second, [("features", "estimator_features")])
    if decides:
        nodes = [helper.make_node("Identity", [scores], ["logits"])]
    else:
        least = helper.make_tensor("least", TensorProto.FLOAT, [], [MIN_PROBABILITY])
        whole.graph.initializer.append(least)
        nodes = [helper.make_node("Max", [scores, "least"], ["p"]), helper.make_node("Log", ["p"], ["logits"])]
    whole.graph.node.extend(nodes)
    del whole.graph.output[:]
    classes = len(estimator.classes_)
    whole.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, classes]))
    _halve(whole.graph)
    return whole.SerializeToString()


def _halve(graph: onnx.GraphProto) -> None:
    """Store each tensor of weights in half precision if that is exact."""
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < MIN_HALVED_WEIGHTS:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if (half == values).all():
            name = f"{tensor.name}_half"
            graph.node.insert(0, helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(half, name))


def _exported(features: nn.Module, example: np.ndarray) -> bytes:
    file = io.BytesIO()
    any_size = {"segments": {0: "n", 1: "frames"}, "features": {0: "n"}}
    with warnings.catch_warnings():
        # The newer exporter needs two more packages; the end of this one has no date.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            features,
            (torch.from_numpy(np.concatenate([example, example])),),
            file,
            dynamo=False,
            opset_version=OPSETS[""],
            input_names=["segments"],
            output_names=["features"],
            dynamic_axes=any_size,
        )
    return file.getvalue()
