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
from torch import nn

from ser_core.learning.dataset import LabelledSpectrogram, require_every_emotion
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
        The trained network whose features the estimator learns from; None for baselines without one.

    Returns
    -------
    bytes
        ONNX model from `segments` (n, frames, bands) to `logits` (n, classes), both float32.

    Raises
    ------
    SettingsRefused
        If an emotion has no recording to learn from.
    """
    require_every_emotion(dataset, emotions)
    labels = np.concatenate([np.full(len(entry.start_frames), entry.label) for entry in dataset])
    extractor = feature_extractor(baseline, network)
    estimator = baseline.estimator(seed).fit(extract_features(extractor, dataset), labels)
    return as_onnx(extractor, estimator, dataset[0].segments[:1].astype(np.float32))


def feature_extractor(baseline: ModuleType, network: nn.Module | None) -> nn.Module:
    """Return the feature extractor of a baseline, its weights rounded to half precision as in the stored file."""
    extractor = baseline.Features(folded(network) if network is not None else None).eval().requires_grad_(False)
    for parameter in extractor.parameters():
        parameter.copy_(parameter.half())
    return extractor


def extract_features(extractor: nn.Module, dataset: Sequence[LabelledSpectrogram]) -> np.ndarray:
    """Return the features (segments, features), float32, of all selected segments."""
    with torch.inference_mode():
        return np.concatenate(
            [
                extractor(torch.from_numpy(part.astype(np.float32))).numpy()
                for entry in dataset
                for part in np.array_split(entry.segments, -(-len(entry.start_frames) // SEGMENTS_AT_ONCE))
            ]
        )


def as_onnx(extractor: nn.Module, estimator: Any, example: np.ndarray) -> bytes:
    """Return a feature extractor followed by an estimator as one ONNX model.

    Logits are the estimator's decision function if it has one, else the logarithm of its probabilities. Weights are
    stored in half precision where that is exact.

    Parameters
    ----------
    example : ndarray of shape (1, frames, bands), float32
    """
    # The import takes a second, and every training would wait for it.
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    extractor_model = onnx.load_model_from_string(_export(extractor, example))
    features_count = extractor(torch.from_numpy(example)).shape[1]
    last_step = estimator[-1] if hasattr(estimator, "steps") else estimator
    has_decision_function = hasattr(last_step, "decision_function")
    options = {id(last_step): {"zipmap": False} | ({"raw_scores": True} if has_decision_function else {})}
    inputs = [("features", FloatTensorType([None, features_count]))]
    with warnings.catch_warnings():
        # The converter reads attributes of SVC that scikit-learn will drop.
        warnings.filterwarnings("ignore", "Attribute `prob._`", FutureWarning)
        estimator_model = convert_sklearn(estimator, initial_types=inputs, options=options, target_opset=OPSETS)
    estimator_model = onnx.compose.add_prefix(estimator_model, "estimator_")
    # skl2onnx declares the oldest sufficient version; merged models need the same.
    for opset in estimator_model.opset_import:
        opset.version = OPSETS[opset.domain]
    extractor_model.ir_version, scores = estimator_model.ir_version, estimator_model.graph.output[1].name
    merged = onnx.compose.merge_models(extractor_model, estimator_model, [("features", "estimator_features")])
    if has_decision_function:
        nodes = [helper.make_node("Identity", [scores], ["logits"])]
    else:
        merged.graph.initializer.append(helper.make_tensor("least", TensorProto.FLOAT, [], [MIN_PROBABILITY]))
        nodes = [helper.make_node("Max", [scores, "least"], ["p"]), helper.make_node("Log", ["p"], ["logits"])]
    merged.graph.node.extend(nodes)
    del merged.graph.output[:]
    classes = len(estimator.classes_)
    merged.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, classes]))
    _halve_weights(merged.graph)
    return merged.SerializeToString()


def _halve_weights(graph: onnx.GraphProto) -> None:
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


def _export(extractor: nn.Module, example: np.ndarray) -> bytes:
    file = io.BytesIO()
    dynamic_axes = {"segments": {0: "n", 1: "frames"}, "features": {0: "n"}}
    with warnings.catch_warnings():
        # The newer exporter needs two more packages; the end of this one has no date.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            extractor,
            (torch.from_numpy(np.concatenate([example, example])),),
            file,
            dynamo=False,
            opset_version=OPSETS[""],
            input_names=["segments"],
            output_names=["features"],
            dynamic_axes=dynamic_axes,
        )
    return file.getvalue()
