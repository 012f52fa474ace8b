import gc
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ser_core.errors import ModelRefused, SettingsRefused
from ser_core.explanation import explainers_of
from ser_core.model.checkpoint import MAX_WEIGHTS_BYTES, load_network
from ser_core.model.onnx_classifier import OnnxClassifier
from ser_core.model.scores import softmax
from ser_core.model.shipped_models import find_model, load_model, model_names
from ser_core.settings import FrontEnd, SegmentSettings, SelectionSettings
from ser_core.work.sandbox import _libseccomp
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
    monkeypatch.setattr("ser_core.model.onnx_classifier.MAX_BATCH_FRAMES", 2 * 96 + 1)
    run, sizes = classifier._graph.run, []
    monkeypatch.setattr(classifier._graph, "run", lambda part: sizes.append(len(part)) or run(part))
    np.testing.assert_allclose(classifier.score(segments), whole, rtol=1e-4)
    assert sizes == [2, 2, 1]


def test_a_folder_with_a_card_is_a_model_among_the_others(tmp_path):
    models = folder_with(tmp_path, onnx_model())
    assert load_model("theirs", models).pooling == "probabilities"
    assert model_names(models) == ["theirs"]
    classifier = load_model("theirs", models)
    assert (classifier.name, classifier.emotions, classifier.temperature) == ("theirs", EMOTIONS, 1.5)
    assert classifier.front_end.segments.segment_frames is None
    assert classifier.score(random_log_mel(321)[None]).shape == (1, 4)


def test_an_onnx_model_has_no_maps_and_no_randomised_copy():
    classifier = classifier_of(onnx_model())
    assert explainers_of(classifier) == ("lime", "occlusion")
    assert classifier.randomised(0) is None
    with pytest.raises(SettingsRefused, match="no layer 'both'"):
        classifier.class_activation(random_log_mel()[None], np.eye(4)[0], "both")


def test_a_file_other_than_the_cards_is_refused():
    with pytest.raises(ModelRefused, match="SHA-256 begins with abababab"):
        classifier_of(onnx_model(), sha256="ab" * 32)


def external(location) -> bytes:
    """A model with its weights in another file of the machine."""
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
def test_a_model_with_external_data_is_refused_even_if_it_exists(tmp_path, monkeypatch, location):
    here = tmp_path / "here"
    here.mkdir()
    (here / "secret.bin").write_bytes(WEIGHTS.tobytes())
    monkeypatch.chdir(here)
    with pytest.raises(ModelRefused, match="all its weights inside"):
        classifier_of(external(location.format(here)))


@pytest.mark.process
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be run"),
        (b"no model at all", "cannot be run"),
        (onnx_model()[:-40], "cannot be run"),
        (onnx_model([helper.make_node("Mine", ["segments"], ["logits"], domain="mine")]), "cannot be run"),
        # onnxruntime quotes the bytes, which are not UTF-8, in its exception, or returns them as a name.
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
def test_a_graph_that_is_not_a_classifier_is_refused_when_loaded(data, said):
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
def test_a_card_that_does_not_fit_the_model_is_refused(tmp_path, changes):
    models = folder_with(tmp_path, onnx_model(), **changes)
    with pytest.raises(ModelRefused, match="theirs"):
        load_model("theirs", models)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    models = folder_with(tmp_path, onnx_model())
    os.truncate(models / "theirs" / "model.onnx", MAX_WEIGHTS_BYTES + 1)
    with pytest.raises(ModelRefused, match=f"more than {MAX_WEIGHTS_BYTES}"):
        load_model("theirs", models)


def test_an_onnx_file_cannot_be_a_warm_start(tmp_path):
    models = folder_with(tmp_path, onnx_model())
    with pytest.raises(ModelRefused, match="theirs"):
        load_network(find_model("theirs", models))


# --- hostile graphs ---

ENDLESS = 2**60


def number(name, value, dtype=np.int64):
    return numpy_helper.from_array(np.array(value, dtype), name)


def from_three_segments_on(nodes, harmless=2, **initializers) -> bytes:
    """A model whose logits have `extra` added; `more` is 0 for up to two segments, as in the trial run."""
    counted = [
        helper.make_node("Shape", ["segments"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["n"]),
        helper.make_node("Sub", ["n", "harmless"], ["beyond"]),
        helper.make_node("Max", ["beyond", "zero"], ["more"]),
    ]
    logits = [
        helper.make_node("ReduceMean", ["segments"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["plain"]),
        helper.make_node("Add", ["plain", "extra"], ["logits"]),
    ]
    constants = {"zero": 0, "harmless": harmless} | initializers
    return onnx_model(
        [*counted, *nodes, *logits], initializers=[number(name, value) for name, value in constants.items()]
    )


def endless(harmless=2) -> bytes:
    """Loop as often as an int64 allows."""
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ()) for name in ("before", "after")]
    flags = [helper.make_tensor_value_info(name, TensorProto.BOOL, ()) for name in ("go_before", "go_after")]
    steps = [
        helper.make_node("Identity", ["go_before"], ["go_after"]),
        helper.make_node("Sin", ["before"], ["after"]),
    ]
    count = helper.make_tensor_value_info("count", TensorProto.INT64, ())
    body = helper.make_graph(steps, "body", [count, flags[0], floats[0]], [flags[1], floats[1]])
    nodes = [
        helper.make_node("Mul", ["more", "endless"], ["trips"]),
        helper.make_node("Cast", ["zero"], ["start"], to=TensorProto.FLOAT),
        helper.make_node("Loop", ["trips", "", "start"], ["extra"], body=body),
    ]
    return from_three_segments_on(nodes, harmless, endless=ENDLESS)


def memory_bomb() -> bytes:
    """Fill 16 GB."""
    nodes = [
        helper.make_node("Mul", ["more", "many"], ["size"]),
        helper.make_node("Unsqueeze", ["size", "axes"], ["sizes"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["extra"], keepdims=0),
    ]
    return from_three_segments_on(nodes, many=2**32, axes=[0])


def not_numbers() -> bytes:
    """Divide by zero."""
    nodes = [
        helper.make_node("Cast", ["more"], ["above"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["more", "more"], ["nothing"]),
        helper.make_node("Sub", ["one", "more"], ["left"]),
        helper.make_node("Max", ["left", "zero"], ["below_whole"]),
        helper.make_node("Cast", ["below_whole"], ["below"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["above", "below"], ["extra"]),
    ]
    return from_three_segments_on(nodes, one=1)


def another_axis() -> bytes:
    """Add one axis too many."""
    nodes = [
        helper.make_node("Add", ["more", "harmless"], ["rank"]),
        helper.make_node("Unsqueeze", ["rank", "first"], ["ranks"]),
        helper.make_node("Slice", ["ones", "first", "ranks"], ["sizes"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["extra"]),
    ]
    return from_three_segments_on(nodes, ones=[1, 1, 1], first=[0])


@pytest.fixture
def little_time(monkeypatch):
    monkeypatch.setattr("ser_core.model.onnx_process.RUN_CPU_S", 1.0)


@pytest.mark.process
@pytest.mark.parametrize(
    ("graph", "said"),
    [(endless, r"more than \d s"), (memory_bomb, "stopped|fails"), (another_axis, r"is float32 \(1, 3, 4\)")],
)
def test_a_graph_that_turns_hostile_after_loading_is_refused_and_restarted(little_time, graph, said):
    classifier, segments = classifier_of(graph()), np.stack([random_log_mel(seed=seed) for seed in range(3)])
    for _ in range(2):
        with pytest.raises(ModelRefused, match=f"theirs: .*({said})"):
            classifier.score(segments)
        np.testing.assert_allclose(classifier.score(segments[:2]), segments[:2].mean(axis=1) @ WEIGHTS, atol=1e-4)


def test_a_graph_that_never_answers_times_out(monkeypatch):
    classifier = classifier_of(endless())
    monkeypatch.setattr("ser_core.model.onnx_process.WAIT_PER_CPU_S", 0.02)  # the child's own limit is ten seconds
    with pytest.raises(ModelRefused, match=r"theirs: its model\.onnx was stopped at 3 segments"):
        classifier.score(np.zeros((3, 96, 64), np.float32))
    assert not classifier._graph._child.is_alive()


def test_logits_that_are_not_numbers_become_no_probabilities():
    logits = classifier_of(not_numbers()).score(np.zeros((3, 96, 64), np.float32))
    assert not np.isfinite(logits).any()
    with pytest.raises(ModelRefused, match="not finite numbers in 3 of 3 segments"):
        softmax(logits)


def test_a_graph_whose_process_died_is_started_again():
    classifier, segments = classifier_of(onnx_model()), random_log_mel()[None]
    before = classifier.score(segments)
    classifier._graph._child.process.kill()
    classifier._graph._child.process.wait()
    np.testing.assert_array_equal(classifier.score(segments), before)


def test_an_interrupted_call_leaves_no_answer_for_the_next_one(monkeypatch):
    classifier, (one, other) = classifier_of(onnx_model()), (random_log_mel(seed=seed)[None] for seed in range(2))
    expected = classifier.score(other)

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(classifier._graph._child, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            classifier.score(one)
    np.testing.assert_array_equal(classifier.score(other), expected)


def test_many_threads_get_each_their_own_logits():
    classifier = classifier_of(onnx_model())
    segments = [random_log_mel(seed=seed)[None] for seed in range(40)]
    with ThreadPoolExecutor(8) as threads:
        for values, logits in zip(segments, threads.map(classifier.score, segments), strict=True):
            np.testing.assert_allclose(logits, values.mean(axis=1) @ WEIGHTS, rtol=0, atol=1e-4)


def test_the_process_ends_with_its_classifier():
    classifier = classifier_of(onnx_model())
    process = classifier._graph._child.process
    assert process.poll() is None
    del classifier
    gc.collect()
    assert process.poll() is not None


STARTED = """
import os, sys
from pathlib import Path
from ser_core.model.shipped_models import load_model
classifier = load_model("theirs", Path(sys.argv[1]))
print(classifier._graph._child.process.pid, "onnxruntime" in sys.modules)
"""


def run_python(program: str, *args: str) -> str:
    """Run a program in its own process and return its output."""
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.process
def test_the_process_ends_with_the_program_which_does_not_load_onnxruntime(tmp_path):
    pid, here = run_python(STARTED, str(folder_with(tmp_path, onnx_model()))).split()
    assert here == "False"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


@pytest.mark.skipif(sys.platform != "linux" or _libseccomp() is None, reason="only Linux has seccomp")
def test_the_process_can_only_compute_and_has_no_secrets(monkeypatch):
    monkeypatch.setenv("SECRET", "of the app")
    classifier = classifier_of(onnx_model())
    of_child = Path("/proc") / str(classifier._graph._child.process.pid)
    for task in (of_child / "task").iterdir():
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert b"SECRET" not in (of_child / "environ").read_bytes()


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_onnxruntime_starts_no_telemetry_thread():
    program = "import os, ser_core, onnxruntime; print(len(os.listdir('/proc/self/task')))"
    without = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert without.stdout.strip() == "1"


@pytest.mark.process
def test_an_endless_graph_is_refused_when_it_is_loaded(tmp_path, little_time):
    models = folder_with(tmp_path, endless(harmless=0))
    with pytest.raises(ModelRefused, match=r"theirs: .*stopped at 2 segments"):
        load_model("theirs", models)
