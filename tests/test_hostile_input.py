"""Any file is read to something valid or refused in a sentence, quickly and with little memory."""

import io
import json
import math
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ser_core.analysis import Recording, display_name
from ser_core.annotations.formats import read_annotations
from ser_core.annotations.words import read_words
from ser_core.audio.reading import read_recording
from ser_core.commands import main
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.manifest import read_manifest
from ser_core.errors import AudioRefused, ModelRefused, SerError
from ser_core.experiments import read_result
from ser_core.explanation.lime import lime
from ser_core.explanation.occlusion import occlusion
from ser_core.learning.evaluation import RecordingLogits, tabulate
from ser_core.learning.predictions import read_predictions
from ser_core.model.checkpoint import (
    CARD,
    HASHES,
    MAX_HEADER_BYTES,
    TEST_TABLE,
    TRAINING_LIST,
    WEIGHTS,
    save_model,
    training_list,
)
from ser_core.model.networks.yamnet import YAMNet
from ser_core.model.shipped_models import load_model, model_names, models_left_out
from ser_core.output.saved_analyses import REQUEST, list_saved_analyses
from ser_core.pipeline import analyse_recording, classify_recording
from ser_core.settings import AnalysisSettings, AudioLimits, LimeSettings, OcclusionSettings
from ser_core.timeline.timeline import emotion_timeline
from ser_core.work.progress import UNWATCHED
from tests.conftest import seeds
from tests.hostile_files import annotation_files, audio_files, audio_named, mutated, named_audio
from tests.test_checkpoint import SEEN, card_of
from tests.tiny_networks import (
    LinearClassifier,
    TinyNetwork,
    classifier_of,
    fresh,
    noise_recording,
    random_log_mel,
    target_of_log_mel,
)

LONGEST_S = 60
MAX_MIB = 512

AUDIO, NAMED = audio_files(), named_audio()
MARKS = annotation_files()
WORDS = {"csv": b"start_s,end_s,word\n0.1,0.4,so\n0.5,0.9,loud\n", "textgrid": MARKS["textgrid"]}
MANIFEST = b"path,emotion,speaker,text,language\na.wav,anger,anna,s1,ko\nb.wav,sad,bert,s2,ko\n"
PREDICTIONS = b"sha256,corpus,speaker,gender,emotion,angry,sad\nab,c,c:a,female,sad,0.2500,0.7500\n"


@pytest.fixture(autouse=True)
def _soon_and_with_little_memory():
    """Fail tests that hang or whose peak memory is much higher than before."""

    def hangs(number, frame):
        pytest.fail(f"still busy after {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(LONGEST_S)
    idle_mib = _memory_mib("VmRSS")
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert _memory_mib("VmHWM") - idle_mib < MAX_MIB


def _memory_mib(field: str) -> float:
    """Return VmRSS and reset the peak, or VmHWM, the peak since then; only on Linux."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0.0
    if field == "VmRSS":
        Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field)) / 1024


def read_or_refused(read: Callable[[], object], kind: type = SerError, reason: str = "") -> object | None:
    """Return the result, or None if it was properly refused; any other exception fails the test."""
    try:
        return read()
    except SerError as refusal:
        text = str(refusal)
        assert text.endswith((".", ". Fetch it again.")), text
        assert "\n" not in text, text
        assert 20 < len(text) < 600, text
        if not isinstance(refusal, kind):
            raise
        assert reason in text, text
        return None


def is_valid(recording: Recording) -> bool:
    limits = AudioLimits()
    return bool(
        recording.samples.dtype == np.float32
        and np.isfinite(recording.samples).all()
        and 0 < np.abs(recording.samples).max() <= 1.001
        and limits.lowest_rate_hz <= recording.sample_rate_hz <= limits.highest_rate_hz
        and limits.shortest_s <= recording.duration_s <= limits.longest_s
    )


# --- audio ---


@pytest.mark.process
@pytest.mark.parametrize("seed", seeds(2, long=24))
@pytest.mark.parametrize("kind", AUDIO)
def test_a_broken_audio_file_is_read_or_refused(kind, seed):
    data = mutated(AUDIO[kind], seed, list(AUDIO.values()))
    recording = read_or_refused(lambda: read_recording(data, f"{kind}.mp3"))
    assert recording is None or is_valid(recording)


#: Why some of them are refused.
REASONS = {
    "nothing": "the file is empty",
    "zeros": "not readable audio",
    "no frames": "lasts 0.000 s",
    "not a number": "are not numbers",
    "one infinity": "1 of 16001 samples are not numbers",
    "rate 1": "the sample rate is 1 Hz",
    "9 channels": "9 channels",
    "playlist": "not readable audio",
    "bomb of half an hour": "longer than 10 minutes",
    "bomb of ten minutes at 192 kHz": "longer than 5 minutes, the limit at 192000 Hz",
}


@pytest.mark.process
@pytest.mark.parametrize("name", NAMED)
def test_a_known_attack_is_analysed_or_refused_for_what_it_is(name):
    kind, reason = (AudioRefused, REASONS[name]) if name in REASONS else (SerError, "")
    recording = read_or_refused(lambda: read_recording(audio_named(name), name), kind, reason)
    assert recording is None or name not in REASONS
    if recording is not None:
        assert is_valid(recording)
        if recording.duration_s < 20:
            scores = classify_recording(recording, LinearClassifier(np.ones((4, 96, 64))), AnalysisSettings()).scores
            assert np.isfinite(scores.recording).all()


@pytest.mark.parametrize("name", ["\0", "a/../../b.wav", "<b>x</b>", "\udcff", "CON", "x" * 5000, "‮gnp.wav", "$(id)"])
def test_a_hostile_name_is_only_a_name(name, voice, tmp_path):
    assert read_recording(AUDIO["wav"], name).name == display_name(name)
    with pytest.raises(AudioRefused, match="not readable audio"):
        read_recording(b"x" * 100, name)


@pytest.mark.parametrize("path", ["a\0b.wav", "x" * 300, "/dev/null", "/proc/self/mem", "/", "~nobody/x.wav"])
def test_a_hostile_path_is_refused(path):
    assert read_or_refused(lambda: read_recording(path)) is None


# --- text ---


@pytest.mark.parametrize("seed", seeds(2, long=24))
@pytest.mark.parametrize("key", MARKS)
def test_a_broken_file_of_marks_is_read_or_refused(key, seed):
    data = mutated(MARKS[key], seed, list(MARKS.values()))
    read_or_refused(lambda: read_annotations(data, "marks"))


@pytest.mark.parametrize("seed", seeds(4, long=24))
@pytest.mark.parametrize("key", WORDS)
def test_a_broken_file_of_words_is_read_or_refused(key, seed):
    data = mutated(WORDS[key], seed, [*WORDS.values(), MARKS["csv"]])
    words = read_or_refused(lambda: read_words(data, "words"))
    assert words is None or all(0 <= word.start_s < word.end_s < np.inf for word in words)


@pytest.mark.parametrize("seed", seeds(4, long=24))
def test_a_broken_manifest_is_read_or_refused(seed, tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"RIFF")
    (tmp_path / "all.csv").write_bytes(mutated(MANIFEST, seed, [MARKS["csv"], AUDIO["wav"]]))
    corpus = read_or_refused(lambda: read_manifest("mine", tmp_path / "all.csv"))
    assert corpus is None or {item.path.name for item in corpus.recordings} <= {"a.wav", "b.wav"}


#: A binary TextGrid that promises eight million intervals.
BINARY_HEAD = (
    b"ooBinaryFile\x08TextGrid" + bytes(16) + b"\1\0\0\0\1\x0cIntervalTier\0\0" + bytes(16) + b"\0\x7f\xff\xff"
)


@pytest.mark.parametrize("size", [3_000_000, pytest.param(49_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"[["),
        (b'[{"a":', b'{"a":'),
        (b'{"format": "hear-why annotations", "version": 1, "recordings": [', b"{},"),
        (b"[", b"[],"),
        (b"start_s,end_s\n", b"0,1\n"),
        (b"", b"0\t1\t\n"),
        (b'"ooTextFile" "TextGrid" 0 9 <exists> 1 "IntervalTier" "a" 0 9 99999999 ', b'0 1 "" '),
        (b'"Praat chronological TextGrid text file" 0 9 1 "IntervalTier" "a" 0 9 ', b'1 0 9 "" '),
        (BINARY_HEAD, bytes(18)),
        (b"WEBVTT\n\n", b"00:00.000 --> 00:01.000\na\n\n"),
        (b"Selection\tBegin Time (s)\tEnd Time (s)\n", b"\t0\t1\n"),
        (b'{"annotates": "a", "sampleRate": 1, "links": [], "levels": [{"name": "a", "items": [', b"{},"),
        (b'<?xml version="1.0"?><ANNOTATION_DOCUMENT>', b"<TIER>"),
        (b'<?xml version="1.0"?><ANNOTATION_DOCUMENT>', b"<A/>"),
    ],
)
def test_a_large_file_of_nothing_but_parts_takes_little_memory(head, piece, size):
    data = head + piece * (size // len(piece))
    read_or_refused(lambda: read_annotations(data, "large"))
    read_or_refused(lambda: read_words(data, "large"))


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("elan", b"<TIME_SLOT TIME", b"<TIME_SLO TTIME"),  # pympi: KeyError
        ("csv", b",16000\r", b",16000\x1d\r"),  # stripped by str.strip, not by float
        ("emu", b'"id": 1,', b'"id": [1],'),  # no key of a dict
        ("emu", b'"sampleStart": 3749', b'"sampleStart": 1' + b"0" * 400),  # larger than any float
        ("binary textgrid", b"\xff\xff\0\2", b"\xff\xff\xff\xff"),  # promises 65535 characters
        ("textgrid", b'"IntervalTier"', b'"Interval\nTier"'),  # quoted unchanged, over two lines
    ],
)
def test_cases_found_by_fuzzing_are_read_or_refused(key, old, new):
    assert old in MARKS[key]
    data = MARKS[key].replace(old, new, 1)
    read_or_refused(lambda: read_annotations(data, "marks"))


# --- models and other stored files ---


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(folder, fresh(YAMNet), card_of(), SEEN, "# small\n")
    return folder


@pytest.mark.parametrize("seed", seeds(8, long=40))
def test_a_broken_model_is_loaded_or_refused(seed, model, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    for file in model.iterdir():
        shutil.copy(file, folder)
    broken = folder / (CARD, WEIGHTS, TRAINING_LIST, CARD)[seed % 4]
    broken.write_bytes(mutated(broken.read_bytes(), seed, [MARKS["own"], AUDIO["wav"]]))
    classifier = read_or_refused(lambda: load_model(folder))
    if classifier is not None:
        assert np.isfinite(classifier.score(np.zeros((2, 96, 64), np.float32))).all()
    read_or_refused(lambda: training_list(folder))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("front_end",), []),
        (("front_end", "selection"), 5),
        (("front_end", "segments"), {"segment_frames": 10**9, "hop_frames": 0}),
        (("front_end", "spectrogram", "hop_samples"), 0),
        (("front_end", "spectrogram", "window_samples"), 10**15),
        (("front_end", "spectrogram", "bands"), "64"),
        (("front_end", "spectrogram", "high_hz"), None),
        (("front_end", "spectrogram", "log_offset"), float("nan")),
        (("front_end", "selection", "threshold"), float("inf")),
        (("front_end", "selection", "threshold"), 10**400),
        (("front_end", "selection", "threshold"), "0"),
        (("front_end", "spectrogram", "low_hz"), 10**400),
        (("front_end", "spectrogram", "hop_samples"), 1),
        (("front_end", "spectrogram", "fft_samples"), 2**16),
        (("front_end", "spectrogram", "bands"), 1_200),
        (("front_end", "segments"), {"segment_frames": 96, "hop_frames": 1}),
        (("front_end", "segments"), {"segment_frames": None, "hop_frames": 10**400}),
        (("temperature",), 10**400),
        (("temperature",), 1e400),
        (("temperature",), 1e-320),
        (("emotions",), {"angry": 1, "happy": 2, "neutral": 3, "sad": 4}),
        (("temperature",), float("nan")),
        (("temperature",), "warm"),
        (("emotions",), "angry"),
        (("emotions",), [["angry"], ["sad"]]),
        (("emotions",), {"angry": 1, "sad": 2}),
        (("architecture",), ["yamnet"]),
        (("architecture",), "__init__"),
    ],
)
def test_a_card_of_impossible_values_is_refused(place, value, model, tmp_path):
    folder = tmp_path / "small"
    shutil.copytree(model, folder)
    card = json.loads((folder / CARD).read_text())
    inner = card
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    (folder / CARD).write_text(json.dumps(card))
    assert read_or_refused(lambda: load_model(folder)) is None
    assert model_names(tmp_path) == []
    assert list(models_left_out(tmp_path)) == ["small"]


@pytest.mark.parametrize("text", ["9" * 5_000, "[" * 100_000, '{"front_end": ' * 10_000, '"' + "x" * 1_000_000 + '"'])
def test_a_refusal_of_a_card_is_short_whatever_it_holds(text, model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "small")
    for card in (text, json.dumps(card_of())[:-1] + f', "temperature": {text}}}', f'{{"emotions": {text}}}'):
        (folder / CARD).write_text(card)
        assert read_or_refused(lambda: load_model(folder)) is None
        assert len(models_left_out(tmp_path)["small"]) < 500


@pytest.mark.parametrize("file", [CARD, WEIGHTS, TRAINING_LIST, TEST_TABLE, HASHES])
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device", "folder"])
def test_a_model_file_that_is_not_a_regular_file_is_never_waited_for(file, kind, model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "small")
    path = tmp_path / HASHES if file == HASHES else folder / file
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path if kind == "pipe" else tmp_path / "pipe")
        if kind == "link to a pipe":
            path.symlink_to(tmp_path / "pipe")
    loads = file not in (CARD, WEIGHTS)
    assert (read_or_refused(lambda: load_model(folder)) is not None) == loads
    assert (model_names(tmp_path) == ["small"]) == loads
    assert (read_or_refused(lambda: training_list(folder)) is not None) == (file != TRAINING_LIST)
    assert read_or_refused(lambda: read_predictions(folder / TEST_TABLE)) is None


def header_of(tensors: dict, size: int = 0) -> bytes:
    """Weights that begin with this header."""
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


NOTHING = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


@pytest.mark.parametrize(
    "weights",
    [
        lambda: header_of({f"tensor{number}": NOTHING for number in range(200_000)}),
        (2**63).to_bytes(8, "little") + b"{}",
        (10).to_bytes(8, "little"),
        header_of({}),
        header_of({"layers": NOTHING}),
        header_of({"layers": {"dtype": "F32", "shape": 3, "data_offsets": 4}}),
        header_of({"layers": []}),
        header_of({"__metadata__": {"format": "pt"}}),
        header_of([]),
        b"\x08" + bytes(7) + b"\xff" * 8,
        lambda: (MAX_HEADER_BYTES - 8).to_bytes(8, "little") + b"[" * (MAX_HEADER_BYTES - 8),
    ],
    ids=range(11),
)
def test_weights_with_a_hostile_header_are_neither_listed_nor_loaded(weights, model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "small")
    (folder / WEIGHTS).write_bytes(weights() if callable(weights) else weights)
    assert read_or_refused(lambda: load_model(folder)) is None
    assert model_names(tmp_path) == []


def test_weights_that_are_not_numbers_are_refused(model, tmp_path):
    network = fresh(YAMNet)
    next(network.parameters()).data[0] = np.nan
    save_model(tmp_path / "small", network, card_of(), SEEN, "# small\n")
    assert read_or_refused(lambda: load_model(tmp_path / "small")) is None


@pytest.mark.parametrize("seed", seeds(4, long=24))
def test_broken_tables_and_results_are_read_or_refused(seed, tmp_path):
    (tmp_path / TEST_TABLE).write_bytes(mutated(PREDICTIONS, seed, [MARKS["csv"]]))
    table = read_or_refused(lambda: read_predictions(tmp_path / TEST_TABLE))
    assert table is None or np.isfinite(table.probabilities).all()
    results = tmp_path / "experiments"
    results.mkdir()
    (results / "bands.json").write_bytes(mutated(b'{"figures": [1, 2, 3]}', seed, [MARKS["own"]]))
    read_or_refused(lambda: read_result("bands", tmp_path))


@pytest.mark.parametrize("seed", seeds(4, long=24))
def test_a_broken_saved_analysis_is_listed_or_skipped(seed, tmp_path):
    settings = {"seed": 0, "lime": {"masks": 9}}
    target = {"recording_name": "a", "model_name": "b", "verdict": "sad", "settings": settings}
    folder = tmp_path / "analyses" / "0123456789abcdef-01234567"
    folder.mkdir(parents=True)
    (folder / REQUEST).write_bytes(mutated(json.dumps(target).encode(), seed, [MARKS["own"]]))
    assert all(isinstance(saved.recording_name, str) for saved in list_saved_analyses(tmp_path))


def test_there_are_at_least_500_seeded_mutations():
    count = 0
    for name, test in globals().items():
        axes = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
        if name.startswith("test_") and any(mark.args[0] == "seed" for mark in axes):
            count += math.prod(len(mark.args[1]) for mark in axes)
    assert count >= 500


class WithoutNumbers(LinearClassifier):
    """One of its logits is not a number."""

    def score(self, segments):
        logits = super().score(segments)
        logits[-1, 2] = np.nan
        return logits


def occluded(classifier):
    target = target_of_log_mel(random_log_mel(240))
    return occlusion(classifier, target, OcclusionSettings(), 0, UNWATCHED)


def measured(classifier):
    item = LabelledRecording(Path("noise.wav"), "toy", "1", "angry", "", "none")
    logits = RecordingLogits("0" * 64, item, classifier.score(random_log_mel(96)[None]))
    return tabulate(classifier.emotions, classifier.temperature, [logits])


def over_time(classifier):
    sound = io.BytesIO()
    soundfile.write(sound, noise_recording(3).samples, 16_000, format="WAV")
    return emotion_timeline(sound, classifier, name="noise.wav")


@pytest.mark.parametrize(
    "use",
    [
        lambda c: analyse_recording(noise_recording(3), c, AnalysisSettings(explain=())),
        over_time,
        lambda c: lime(c, target_of_log_mel(random_log_mel(240)), LimeSettings(), 0, UNWATCHED),
        occluded,
        measured,
    ],
    ids=["analyse", "timeline", "lime", "occlusion", "evaluate"],
)
def test_logits_that_are_not_numbers_never_become_a_result(use):
    with pytest.raises(ModelRefused, match="not finite numbers in"):
        use(WithoutNumbers(np.zeros((4, 96, 64))))


def test_a_timeline_with_logits_that_are_not_numbers_writes_nothing(model, tmp_path, capsys):
    folder = shutil.copytree(model, tmp_path / "small")
    network = fresh(YAMNet)
    network.layers[-1].bn.running_var[0] = -1.0  # finite, but not its square root
    save_model(folder, network, card_of(), SEEN, "# small\n")
    soundfile.write(tmp_path / "noise.wav", noise_recording(3).samples, 16_000)
    out = tmp_path / "out"
    assert main(["timeline", str(tmp_path / "noise.wav"), "--model", str(folder), "--out", str(out)]) == 2
    assert "not finite numbers" in capsys.readouterr().err
    assert not out.exists() or not list(out.iterdir())


def test_maps_that_are_not_numbers_are_refused():
    classifier = classifier_of(fresh(TinyNetwork))
    classifier.network.head.weight.data[:] = torch.nan
    with pytest.raises(ModelRefused, match="small: its Grad-CAM maps are not finite"):
        classifier.class_activation(random_log_mel()[None], np.eye(4)[0], "tiny")
