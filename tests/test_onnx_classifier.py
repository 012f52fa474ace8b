import hashlib
import json
import os

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ser_core.checkpoint import LARGEST_BYTES, find_model, load_model, load_network, model_names
from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.explanation import explainers_of
from ser_core.onnx_classifier import OnnxClassifier
from ser_core.settings import FrontEnd, SegmentSettings, SelectionSettings
from tests.tiny_networks import EMOTIONS, random_log_mel

WEIGHTS = np.random.default_rng(5).normal(size=(64, 4)).astype(np.float32)


def onnx_model(
    nodes=None, weights=WEIGHTS, takes=("n", "frames", 64), gives=("n", 4), kind=TensorProto.FLOAT, initializers=()
) -> bytes:
    """A model whose logits are the mean over the frames, times weights; or of other nodes."""
    nodes = nodes or [
        helper.make_node("ReduceMean", ["segments"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("segments", kind, takes)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, gives)],
        [numpy_helper.from_array(weights, "weights"), *initializers],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def classifier_of(data, emotions=EMOTIONS, frames=96, sha256=None):
    front_end = FrontEnd(segments=SegmentSettings(frames), selection=SelectionSettings("none"))
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    return OnnxClassifier(data, name="theirs", sha256=sha256, emotions=emotions, front_end=front_end)


def folder_with(tmp_path, data, **changes):
    folder = tmp_path / "models" / "theirs"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(data)
    card = {
        "emotions": list(EMOTIONS),
        "front_end": {"spectrogram": {}, "segments": {"segment_frames": None}, "selection": {"rule": "none"}},
        "temperature": 1.5,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    card = {name: value for name, value in (card | changes).items() if value != "left out"}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return tmp_path / "models"


def test_logits_are_those_of_the_graph():
    segments = np.stack([random_log_mel(seed=seed) for seed in range(5)])
    expected = segments.mean(axis=1) @ WEIGHTS
    found = classifier_of(onnx_model()).score(segments)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_no_segments_have_no_logits():
    assert classifier_of(onnx_model()).score(np.empty((0, 96, 64), np.float32)).shape == (0, 4)


def test_long_segments_come_in_small_batches_that_change_nothing(monkeypatch):
    classifier, segments = classifier_of(onnx_model()), np.stack([random_log_mel(seed=seed) for seed in range(5)])
    whole = classifier.score(segments)
    monkeypatch.setattr("ser_core.onnx_classifier.LONGEST_BATCH_FRAMES", 2 * 96 + 1)
    run, sizes = classifier._graph.run, []
    monkeypatch.setattr(classifier._graph, "run", lambda part: sizes.append(len(part)) or run(part))
    np.testing.assert_allclose(classifier.score(segments), whole, rtol=1e-4)
    assert sizes == [2, 2, 1]


def test_a_folder_with_a_card_is_a_model_among_the_others(tmp_path):
    models = folder_with(tmp_path, onnx_model())
    assert model_names(models) == ["theirs"]
    classifier = load_model("theirs", models)
    assert (classifier.name, classifier.emotions, classifier.temperature) == ("theirs", EMOTIONS, 1.5)
    assert classifier.front_end.segments.segment_frames is None
    assert classifier.score(random_log_mel(321)[None]).shape == (1, 4)


def test_it_has_no_maps_and_no_random_twin():
    classifier = classifier_of(onnx_model())
    assert explainers_of(classifier) == ("lime", "occlusion")
    assert classifier.randomised(0) is None
    with pytest.raises(SettingsRefused, match="no layer 'both'"):
        classifier.class_activation(random_log_mel()[None], np.eye(4)[0], "both")


def test_another_file_than_the_cards_is_refused():
    with pytest.raises(ModelRefused, match="SHA-256 begins with abababab"):
        classifier_of(onnx_model(), sha256="ab" * 32)


def external(location) -> bytes:
    """A model whose weights lie in a file of the machine's."""
    tensor = numpy_helper.from_array(WEIGHTS, "others")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    place = tensor.external_data.add()
    place.key, place.value = "location", location
    nodes = [
        helper.make_node("ReduceMean", ["segments"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "others"], ["logits"]),
    ]
    return onnx_model(nodes, initializers=[tensor])


@pytest.mark.parametrize("location", ["secret.bin", "./secret.bin", "../here/secret.bin", "{}/secret.bin"])
def test_a_model_that_names_another_file_is_refused_though_that_file_is_there(tmp_path, monkeypatch, location):
    here = tmp_path / "here"
    here.mkdir()
    (here / "secret.bin").write_bytes(WEIGHTS.tobytes())
    monkeypatch.chdir(here)
    with pytest.raises(ModelRefused, match="all its weights inside"):
        classifier_of(external(location.format(here)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be run"),
        (b"no model at all", "cannot be run"),
        (onnx_model()[:-40], "cannot be run"),
        (onnx_model([helper.make_node("Mine", ["segments"], ["logits"], domain="mine")]), "cannot be run"),
        # onnxruntime quotes the bytes, which are no UTF-8, in what it raises, or gives them as a name.
        (onnx_model().replace(b"MatMul", b"Mat\xe4ul"), "cannot be run"),
        (onnx_model().replace(b"segments", b"segm\x80nts"), "cannot be run"),
        (onnx_model(takes=("n", 6144)), "segments x frames x bands"),
        (onnx_model(kind=TensorProto.DOUBLE), "cannot be run|segments x frames x bands"),
        (onnx_model(takes=(1, "frames", 64), gives=(1, 4)), "any number of segments"),
        (onnx_model(weights=WEIGHTS[:, :3], gives=("n", 3)), r"float32 \(2, 3\); needed are float32 logits \(2, 4\)"),
        (onnx_model(weights=np.full_like(WEIGHTS, np.nan)), "not numbers"),
        (onnx_model([helper.make_node("Identity", ["segments"], ["logits"])], gives=("n", "f", 64)), r"\(2, 96, 64\)"),
    ],
)
def test_what_is_no_classifier_is_refused_at_once(data, said):
    with pytest.raises(ModelRefused, match=said):
        classifier_of(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"emotions": ["angry"]},
        {"emotions": ["angry", "angry", "sad", "happy"]},
        {"emotions": "left out"},
        {"sha256": "left out"},
        {"temperature": 0},
        {"temperature": "warm"},
        {"front_end": {"spectrogram": {"colour": 1}}},
        {"front_end": 3},
    ],
)
def test_a_card_that_makes_no_model_is_refused(tmp_path, changes):
    models = folder_with(tmp_path, onnx_model(), **changes)
    with pytest.raises(ModelRefused, match="theirs"):
        load_model("theirs", models)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    models = folder_with(tmp_path, onnx_model())
    os.truncate(models / "theirs" / "model.onnx", LARGEST_BYTES + 1)
    with pytest.raises(ModelRefused, match=f"at most {LARGEST_BYTES}"):
        load_model("theirs", models)


def test_an_onnx_file_is_nothing_to_begin_a_training_with(tmp_path):
    models = folder_with(tmp_path, onnx_model())
    with pytest.raises(ModelRefused, match="theirs"):
        load_network(find_model("theirs", models))
