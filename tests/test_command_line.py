import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_core.analysis import Region
from ser_core.annotations.words import read_words
from ser_core.commands import main
from ser_core.commands.arguments import write_json
from ser_core.errors import SettingsRefused
from ser_core.model.checkpoint import save_model
from ser_core.model.networks.whisper import Whisper
from ser_core.model.networks.yamnet import YAMNet
from ser_core.model.shipped_models import model_names
from ser_core.settings import FrontEnd
from tests.tiny_networks import EMOTIONS, fresh, noise_recording


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Draw no overviews, which take a second each; commands run as separate processes still draw theirs."""
    monkeypatch.setattr("ser_core.output.overview_picture.save_overview", lambda analysis, path: path.touch())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model's folder, with random weights."""
    folder = tmp_path_factory.mktemp("models") / "small"
    card = {"architecture": "yamnet", "emotions": list(EMOTIONS), "front_end": asdict(FrontEnd()), "temperature": 1.0}
    save_model(folder, fresh(YAMNet), card, [("0" * 64, "corpus:1")], "# small\n")
    return folder


def write(path, seconds=1.2, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise_recording(seconds, seed).samples, 16_000)
    return path


def analyse(model, out, *arguments):
    """Analyse with Grad-CAM and a focus of a given size, which is fast."""
    quickly = ["--explain", "grad_cam", "--focus-by", "grad_cam"]
    if not {"--focus-share", "--threshold"} & set(arguments):
        quickly += ["--focus-share", "0.35"]
    return main(["analyse", "--model", str(model), *quickly, "--out", str(out), *map(str, arguments)])


def test_refused_recordings_get_one_line_each_and_the_others_are_finished(model, tmp_path, capsys):
    good = write(tmp_path / "good.wav")
    (tmp_path / "text.wav").write_text("this is not sound")
    short = write(tmp_path / "short.wav", seconds=0.05)
    files = [tmp_path / "text.wav", good, tmp_path / "missing.wav", short]
    assert analyse(model, tmp_path / "out", *files) == 2
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["text.wav", "missing.wav", "short.wav"]
    assert all(len(line) > 30 and line.endswith(".") for line in lines)
    assert "Traceback" not in output.err
    assert output.out.startswith("good.wav: ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]
    assert (tmp_path / "out" / "good" / "analysis.json").is_file()


def test_accepted_recordings_end_with_exit_code_0_and_a_line_each(model, tmp_path, capsys):
    files = [write(tmp_path / f"{name}.wav", seed=seed) for seed, name in enumerate("ab")]
    assert analyse(model, tmp_path / "out", *files) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert [line.split(":")[0] for line in output.out.splitlines()] == ["a.wav", "b.wav"]
    found = json.loads((tmp_path / "out" / "a" / "analysis.json").read_text())
    assert found["model"]["name"] == "small"
    assert list(found["explanations"]) == ["grad_cam"]


def test_a_warning_about_a_recording_is_printed_and_the_recording_is_analysed(model, tmp_path, capsys):
    clipped = np.clip(10 * noise_recording(1.2, 0).samples, -1, 1)
    soundfile.write(tmp_path / "loud.wav", clipped, 16_000)
    assert analyse(model, tmp_path / "out", tmp_path / "loud.wav") == 0
    output = capsys.readouterr()
    assert output.err.startswith("loud.wav: Clipped: ")
    assert output.out.startswith("loud.wav: ")


def test_recordings_of_the_same_name_get_folders_of_their_own(model, tmp_path):
    files = [write(tmp_path / "one" / "take.wav", seed=1), write(tmp_path / "two" / "take.flac", seed=2)]
    other = write(tmp_path / "other.wav", seed=3)
    assert analyse(model, tmp_path / "out", *files, other) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names[0] == "other"
    assert len(names) == 3
    for name in names[1:]:
        sha256 = json.loads((tmp_path / "out" / name / "analysis.json").read_text())["recording"]["sha256"]
        assert name == f"take-{sha256[:8]}"


def test_a_file_whose_name_is_not_text_is_analysed(model, tmp_path, capsys):
    named = os.fsencode(tmp_path / "take") + b"\xff.wav"
    try:
        os.rename(write(tmp_path / "a.wav"), named)
    except OSError:
        pytest.skip("this file system takes no such names")
    assert analyse(model, tmp_path / "out", os.fsdecode(named)) == 0
    assert capsys.readouterr().out.startswith("take\ufffd.wav: ")
    found = json.loads((tmp_path / "out" / "take_" / "analysis.json").read_text(encoding="utf-8"))
    assert found["recording"]["name"] == "take\ufffd.wav"


@pytest.fixture(scope="module")
def voiced(tmp_path_factory):
    """A small model that can judge a voice by its own normal, with random weights."""
    folder = tmp_path_factory.mktemp("models") / "voiced"
    card = {"architecture": "whisper", "emotions": list(EMOTIONS), "temperature": 1.0}
    card |= {"front_end": asdict(Whisper.front_end), "voice": {"one_emotion_spread": -1.0, "mixed_spread": -0.5}}
    save_model(folder, fresh(Whisper), card, [("0" * 64, "corpus:1")], "# voiced\n")
    return folder


@pytest.mark.slow
def test_a_voice_is_judged_by_the_normal_of_its_folder_and_refused_files_are_counted(voiced, tmp_path, capsys):
    file = write(tmp_path / "a.wav", seconds=2.5)
    for seed in range(3):
        write(tmp_path / "voice" / f"{seed}.wav", seed=seed)
    (tmp_path / "voice" / "text.wav").write_text("this is not sound")
    assert analyse(voiced, tmp_path / "any", file) == 0
    assert analyse(voiced, tmp_path / "own", file, "--voice", tmp_path / "voice") == 2
    output = capsys.readouterr()
    assert "Known from 3 recordings" in output.out
    assert "1 of 4 files were refused" in output.out
    refused = [line for line in output.err.splitlines() if line.startswith("voice: ")]  # slow work reports progress too
    assert [line.split(":")[1] for line in refused] == [" text.wav"]
    anyones, own = (json.loads((tmp_path / name / "a" / "analysis.json").read_text()) for name in ("any", "own"))
    assert own["voice"]["recordings"] == 3
    assert 0 < own["voice"]["share"] <= 3 / 8
    assert own["scores"] != anyones["scores"]
    assert own["model"]["sha256"] != anyones["model"]["sha256"]
    assert set(own) - set(anyones) == {"voice"}


def test_a_folder_without_a_readable_recording_cannot_be_a_voice(voiced, tmp_path, capsys):
    file = write(tmp_path / "a.wav")
    (tmp_path / "voice").mkdir()
    assert analyse(voiced, tmp_path / "out", file, "--voice", tmp_path / "voice") == 2
    assert "holds no readable recording" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_without_voice_settings_refuses_a_voice_folder(model, tmp_path, capsys):
    assert analyse(model, tmp_path / "out", write(tmp_path / "a.wav"), "--voice", tmp_path) == 2
    assert "small cannot judge a voice by its own normal" in capsys.readouterr().err


def test_the_command_passes_emotion_contrast_stretch_and_seed_to_the_explanation(model, tmp_path):
    file = write(tmp_path / "a.wav", seconds=2.0)
    arguments = ["--emotion", "sad", "--against", "happy", "--stretch", "0.5:1.5", "--seed", "7"]
    assert analyse(model, tmp_path / "out", file, *arguments) == 0
    found = json.loads((tmp_path / "out" / "a" / "analysis.json").read_text())
    explanation = found["explanations"]["grad_cam"]
    assert found["emotion"] == "sad"
    assert (explanation["emotion"], explanation["against"], explanation["seed"]) == ("sad", "happy", 7)
    with np.load(tmp_path / "out" / "a" / "maps.npz") as maps:
        times = maps["frame_times_s"]
        np.testing.assert_array_equal(maps["covered"], (times > 0.5) & (times < 1.5))


@pytest.mark.slow
def test_the_same_command_writes_the_same_numbers_with_every_explainer(model, tmp_path):
    file = write(tmp_path / "a.wav")
    for out in ("one", "two"):
        arguments = ["--explain", "lime,grad_cam,occlusion", "--focus-by", "grad_cam"]
        arguments += ["--masks", "20", "--seed", "5", "--fill", "random", "--out", str(tmp_path / out)]
        assert main(["analyse", str(file), "--model", str(model), *arguments]) == 0
    with np.load(tmp_path / "one" / "a" / "maps.npz") as one, np.load(tmp_path / "two" / "a" / "maps.npz") as two:
        assert {"lime", "grad_cam", "occlusion"} <= set(one) == set(two)
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])
    found = json.loads((tmp_path / "one" / "a" / "analysis.json").read_text())
    assert list(found["explanations"]) == ["lime", "grad_cam", "occlusion"]


@pytest.mark.parametrize("stretch", ["1", "a:b", "1:2:3", ":", "1-2", ""])
def test_a_malformed_stretch_is_refused_before_anything_is_read(model, tmp_path, capsys, stretch):
    with pytest.raises(SystemExit) as end:
        analyse(model, tmp_path / "out", tmp_path / "missing.wav", f"--stretch={stretch}")
    assert end.value.code == 2
    assert "is not of the form START:END, in seconds" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--stretch=5:6", "is not in the recording"),
        ("--stretch=0.9:0.2", "is not in the recording"),
        ("--stretch=-1:1", "is not in the recording"),
        ("--emotion=bored", "does not know the emotion 'bored'"),
        ("--against=bored", "does not know the emotion 'bored'"),
        ("--layer=pool9", "no layer 'pool9'"),
    ],
)
def test_settings_that_do_not_fit_a_recording_are_refused_in_one_line_that_names_it(
    model, tmp_path, capsys, argument, words
):
    assert analyse(model, tmp_path / "out", write(tmp_path / "a.wav"), argument) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("a.wav: ")
    assert words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--explain", "shap"],
        ["--explain", ""],
        ["--seed", "x"],
        ["--seed", "-1"],
        ["--fill", "zeros"],
        ["--masks", "many"],
        ["--unknown"],
    ],
)
def test_a_senseless_argument_ends_with_exit_code_2_and_a_message(model, tmp_path, capsys, arguments):
    with pytest.raises(SystemExit) as end:
        analyse(model, tmp_path / "out", write(tmp_path / "a.wav"), *arguments)
    assert end.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--masks", "1"], ["--smoothing", "-1"], ["--smoothing", "nan"]])
def test_a_setting_out_of_its_range_is_refused_in_one_line(model, tmp_path, capsys, arguments):
    assert analyse(model, tmp_path / "out", write(tmp_path / "a.wav"), *arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_model_that_is_not_there_is_refused_in_one_line(tmp_path, capsys):
    assert analyse(tmp_path / "no_model", tmp_path / "out", write(tmp_path / "a.wav")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "There is no model 'no_model'" in line


@pytest.mark.parametrize("command", [[], ["sing"], ["analyse"], ["evaluate"], ["train"]])
def test_an_incomplete_command_ends_with_exit_code_2_and_usage(command, capsys):
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 2
    assert "usage: python -m ser_core" in capsys.readouterr().err


def test_evaluating_on_a_folder_without_the_corpus_is_refused_in_one_line(model, tmp_path, capsys):
    assert main(["evaluate", "--model", str(model), "--corpus", f"emodb={tmp_path}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No audio was found" in line
    with pytest.raises(SystemExit):
        main(["evaluate", "--model", str(model), "--corpus", "emodb"])
    assert "not of the form NAME=DIR" in capsys.readouterr().err


def test_training_with_a_fold_that_does_not_exist_is_refused_in_one_line(tmp_path, capsys):
    arguments = ["train", "--corpus", f"emodb={tmp_path}", "--fold", "6", "--out", str(tmp_path / "model")]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Fold 6 is outside 1 to 5" in line
    assert not (tmp_path / "model").exists()


def test_training_into_a_folder_of_other_files_is_refused_before_anything_is_read(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years")
    assert main(["train", "--corpus", f"emodb={tmp_path}", "--out", str(tmp_path)]) == 2
    assert "holds something else, which would be lost" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years"


def test_a_corpus_given_twice_and_zero_epochs_are_refused(tmp_path, capsys):
    arguments = ["train", "--corpus", f"emodb={tmp_path}", "--out", str(tmp_path / "model")]
    assert main([*arguments, "--corpus", f"emodb={tmp_path / 'more'}"]) == 2
    assert "The corpus 'emodb' is given 2 times" in capsys.readouterr().err
    assert main([*arguments, "--epochs", "0"]) == 2
    assert "0 epochs are too few" in capsys.readouterr().err


def test_an_estimator_fitted_from_scratch_accepts_no_warm_start(tmp_path, capsys):
    arguments = ["train", "--network", "mfcc_svm", "--warm-start", "yamnet", "--corpus", f"emodb={tmp_path}"]
    assert main([*arguments, "--out", str(tmp_path / "model")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "mfcc_svm is always fitted from scratch; leave the warm start out." in line


@pytest.mark.parametrize(
    ("fold", "words"),
    [
        ("x", "'x' does not name folds; give a number, several as 1,2,3, or all."),
        ("1,", "'1,' does not name folds"),
        ("-1", "'-1' does not name folds"),
        ("1.5", "'1.5' does not name folds"),
        ("9", "Fold 9 is outside 1 to 5."),
        ("0", "Fold 0 is outside 1 to 5."),
        ("1,9", "Fold 9 is outside 1 to 5."),
        ("0,all", "'0,all' does not name folds"),
    ],
)
def test_impossible_folds_are_refused_in_one_line_before_anything_is_read(tmp_path, capsys, fold, words):
    arguments = ["train", "--corpus", f"emodb={tmp_path}", f"--fold={fold}", "--out", str(tmp_path / "model")]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(words)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def trainings(monkeypatch):
    """Record the folds of each training instead of training."""
    runs = []
    figures = {"corpora": {}, "mean_over_corpora_uar": 0.5}
    card = {"test_figures": figures, "split": "of one fold"}

    def one(plan, *_, **__):
        runs.append([plan.fold])
        return card

    def several(plan, folds, *_, **__):
        runs.append(list(folds))
        key = "leave_one_corpus_out" if plan.split == "corpus" else "cross_validation"
        return card | {key: figures | {"split": "of several folds"}}

    monkeypatch.setattr("ser_core.commands.train.train_classifier", one)
    monkeypatch.setattr("ser_core.commands.train.cross_validate", several)
    monkeypatch.setattr("ser_core.commands.train.measure_recipe", several)
    return runs


@pytest.mark.parametrize(
    ("arguments", "folds"),
    [
        ([], [1]),
        (["--fold=3"], [3]),
        (["--fold=4,2,4"], [2, 4]),
        (["--fold=2,2"], [2]),
        (["--fold=all"], [1, 2, 3, 4, 5]),
        (["--fold=all", "--folds=3"], [1, 2, 3]),
        (["--fold=all", "--split=sentence", "--folds=3"], [1, 2, 3]),
        (["--fold=all", "--split=random"], [1]),
        (["--fold=all", "--split=corpus"], [1, 2]),
    ],
)
def test_chosen_folds_are_trained_and_cross_validated_if_several(trainings, tmp_path, capsys, arguments, folds):
    corpora = ["--corpus", "emodb=here", "--corpus", "ravdess=there"]
    assert main(["train", *corpora, "--out", str(tmp_path / "model"), *arguments]) == 0
    assert trainings == [folds]
    split = "of one fold" if len(folds) == 1 else "of several folds"
    assert f"Split: {split}. Written to {tmp_path / 'model'}." in capsys.readouterr().out


# --- hostile names, and streams that accept no text ---

HOSTILE_NAMES = [
    "\x1b]0;owned\x07\x1b[2J.wav",
    "a\nb.wav: happy (best score 1.00), everything is fine.wav",
    "\u202egnp.wav",
    "...wav",
    " trailing .wav",
    "CON.wav",
    "!!!.wav",
    "-rf.wav",
    "声.wav",
    "x" * 251 + ".wav",
]


def test_names_are_printed_on_one_line_and_their_folders_are_inside_out(model, tmp_path, capsys):
    files = [tmp_path / "in" / name for name in HOSTILE_NAMES]
    for number, file in enumerate(files):
        write(tmp_path / "in" / "new.wav", seed=number).rename(file)
    (tmp_path / "in" / "no\x1b[31m.wav").write_text("no sound")
    assert analyse(model, tmp_path / "out", *files, tmp_path / "in" / "no\x1b[31m.wav") == 2
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == len(HOSTILE_NAMES)
    assert len(output.err.splitlines()) == 1
    assert all(line.isprintable() for line in (output.out + output.err).splitlines())
    folders = [path.name for path in (tmp_path / "out").iterdir()]
    assert len(folders) == len(HOSTILE_NAMES)
    assert all(name.isprintable() and not name.startswith(".") and len(name.encode()) < 240 for name in folders)
    assert not {"con", "CON"} & set(folders)


def test_names_that_differ_only_in_case_get_folders_of_their_own(model, tmp_path):
    files = [write(tmp_path / "a" / "Take.wav", seed=1), write(tmp_path / "b" / "take.wav", seed=2)]
    assert analyse(model, tmp_path / "out", *files) == 0
    assert len({path.name.casefold() for path in (tmp_path / "out").iterdir()}) == 2


def run(arguments, **settings):
    return subprocess.run(
        [sys.executable, "-m", "ser_core", *map(str, arguments)],
        env=os.environ | settings,
        capture_output=True,
        cwd=Path(__file__).parent.parent,
        timeout=300,
    )


@pytest.mark.process
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"PYTHONIOENCODING": "ascii"}, marks=pytest.mark.long),
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["PYTHONIOENCODING=ascii", "LC_ALL=C"],
)
def test_on_an_ascii_terminal_names_are_escaped_and_the_work_is_done(settings, model, tmp_path):
    file = write(tmp_path / "café 声.wav")
    arguments = ["analyse", "--model", model, "--explain", "grad_cam", "--out", tmp_path / "out", file, "désolé.wav"]
    ended = run(arguments, **settings)
    assert ended.returncode == 2
    assert b"caf" in ended.stdout
    assert ended.stderr.count(b"\n") == 1
    assert (ended.stdout + ended.stderr).isascii()
    assert len(list((tmp_path / "out").iterdir())) == 1


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyse", "a.wav", "--model", LONG],
        ["timeline", "a.wav", "--model", LONG],
        pytest.param(["batch", LONG, "--out", "out", "--workers", "1"], marks=pytest.mark.process),
        ["evaluate", "--corpus", f"emodb={LONG}"],
        ["compare", "--models", LONG],
        ["experiment", "bands", "--corpus", f"emodb={LONG}"],
        ["train", "--corpus", "emodb=tests", "--out", LONG],
    ],
    ids=lambda arguments: arguments[0],
)
def test_impossible_paths_are_refused_in_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert LONG in errors
    assert errors.count("\n") == 1


def test_a_full_standard_output_is_reported_and_a_closed_one_is_no_error(model, tmp_path, monkeypatch, capsys):
    file = write(tmp_path / "a.wav")
    monkeypatch.setattr(sys, "stdout", None)
    assert analyse(model, tmp_path / "out", file) == 0
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert analyse(model, tmp_path / "out", file) == 2
        monkeypatch.undo()
        assert "No space left on device" in capsys.readouterr().err
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # closing it would fail again


def test_figures_that_cannot_be_written_are_refused_in_one_line_and_leave_nothing(tmp_path):
    for file in (tmp_path / LONG, tmp_path):
        with pytest.raises(SettingsRefused, match=r"cannot be written .*Choose another file\.$"):
            write_json({"uar": 1}, file)
    assert list(tmp_path.iterdir()) == []


def test_arguments_are_printed_as_plain_text(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["analyse", "a.wav", "--seed", "\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to measure")
def test_figures_of_a_model_are_measured_on_several_folds_and_its_folder_is_printed(trainings, capsys):
    arguments = [
        "train",
        "--corpus",
        "emodb=here",
        "--corpus",
        "ravdess=there",
        "--split=corpus",
        "--figures-of",
        "yamnet",
    ]
    assert main([*arguments, "--fold=all"]) == 0
    printed = capsys.readouterr().out
    assert trainings == [[1, 2]]
    assert "Written to yamnet." in printed
    assert "SHA256SUMS" in printed
    assert main(arguments) == 2
    assert "several folds" in capsys.readouterr().err
    assert trainings == [[1, 2]]


def test_a_training_needs_either_a_folder_or_a_model_to_measure(tmp_path, capsys):
    arguments = ["train", "--corpus", "emodb=here"]
    for more in ([], ["--out", str(tmp_path / "x"), "--figures-of", "yamnet"]):
        with pytest.raises(SystemExit):
            main([*arguments, *more])
    assert "--figures-of" in capsys.readouterr().err


# --- changes of the voice ---


@pytest.fixture
def noise_is_speech(monkeypatch):
    """Take any recording for speech."""
    monkeypatch.setattr("ser_core.pipeline.speech_seconds", lambda recording, speech: recording.duration_s)


def test_changes_of_the_voice_are_written_with_the_smallest_that_flips(model, noise_is_speech, tmp_path, capsys):
    assert analyse(model, tmp_path / "out", write(tmp_path / "a.wav", seconds=0.5), "--how") == 0
    written = json.loads((tmp_path / "out" / "a" / "analysis.json").read_text())
    how = written["how"]
    assert how["summary"].removesuffix(".") in capsys.readouterr().out
    assert how["changed"] == "recording"
    assert set(how["correlates"]) == {"focus", "rest", "difference"}
    for emotion, score in written["scores"].items():
        assert how["scores"][emotion] == pytest.approx(score, abs=1e-5)
    flips = [flip for one in how["properties"].values() for flip in one["flips"]]
    assert (how["smallest"] is None) == (not flips)
    level = how["properties"]["level_db"]
    assert (level["unit"], level["natural"]) == ("dB", [-6, 6])
    assert level["values"][0] == -9
    assert all(len(scores) == len(level["values"]) for scores in level["scores"].values())
    assert how["properties"]["tempo"]["natural"] == [0.8, 1.25]


def test_changes_of_the_voice_in_a_stretch_say_so(model, noise_is_speech, tmp_path, capsys):
    file = write(tmp_path / "a.wav", seconds=1.5)
    assert analyse(model, tmp_path / "out", file, "--how", "--stretch", "0.25:1.25") == 0
    how = json.loads((tmp_path / "out" / "a" / "analysis.json").read_text())["how"]
    assert (how["changed"], how["stretch"]) == ("stretch", {"start_s": 0.25, "end_s": 1.25})
    printed = capsys.readouterr().out
    assert f"from 0.25 to 1.25 s: {how['summary'].removesuffix('.')}" in printed


# --- the size of the focus ---


def test_the_size_of_the_focus_is_given_by_a_share_or_a_threshold_but_not_both(model, tmp_path, capsys):
    with pytest.raises(SystemExit):
        analyse(model, tmp_path / "out", write(tmp_path / "a.wav"), "--focus-share", "0.4", "--threshold", "0.5")
    assert "not allowed with" in capsys.readouterr().err


# --- words ---


def test_given_words_are_written_with_their_evidence_and_can_be_read_again(model, tmp_path, capsys):
    table = tmp_path / "said.csv"
    table.write_text("start_s,end_s,word\n0.1,0.5,for\n0.5,1.1,sure\n")
    file = write(tmp_path / "a.wav")
    assert analyse(model, tmp_path / "out", file, "--words-from", table, "--report", "--focus-by", "lime_time") == 0
    words = json.loads((tmp_path / "out" / "a" / "analysis.json").read_text())["words"]
    assert (words["source"], words["language"], words["exact"]) == ("given", None, True)
    assert [(one["start_s"], one["end_s"], one["word"]) for one in words["words"]] == [
        (0.1, 0.5, "for"),
        (0.5, 1.1, "sure"),
    ]
    assert all(one["low"] <= one["value"] <= one["high"] for one in words["words"])
    report = (tmp_path / "out" / "a" / "report.html").read_text()
    assert all(f"<em>{phrase}</em>" in report for phrase in words["phrases"])
    assert report.count('<th scope="row">for</th>') == bool(words["phrases"])
    assert set(words["maps"]) == {"grad_cam", "lime_time"}
    again = read_words((tmp_path / "out" / "a" / "words.csv").read_bytes(), "words.csv")
    assert again == (Region(0.1, 0.5, label="for"), Region(0.5, 1.1, label="sure"))
    assert analyse(model, tmp_path / "out", file, write(tmp_path / "b.wav"), "--words-from", table) == 2


def test_without_a_word_model_the_refusal_says_how_to_get_one(model, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("SER_WORD_MODEL", raising=False)
    monkeypatch.setenv("SER_DATA", str(tmp_path / "data"))
    assert analyse(model, tmp_path / "out", write(tmp_path / "a.wav"), "--words") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "SER_WORD_MODEL" in line
    assert "--download-word-model" in line


def test_timeline_prints_the_warnings_about_a_recording(model, tmp_path, capsys):
    soundfile.write(tmp_path / "loud.wav", np.clip(10 * noise_recording(1.2, 0).samples, -1, 1), 16_000)
    arguments = ["timeline", str(tmp_path / "loud.wav"), "--model", str(model), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert "loud.wav: Clipped: " in capsys.readouterr().err


def test_no_voice_is_changed_where_hardly_any_speech_is_detected(model, tmp_path, capsys):
    noise = 0.05 * np.random.default_rng(0).normal(size=16_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    assert analyse(model, tmp_path / "out", tmp_path / "noise.wav", "--how") == 0
    output = capsys.readouterr()
    assert "noise.wav: hardly any speech was detected, so there is no voice to change." in output.err
    assert "no speech heard" in output.out
    assert "how" not in json.loads((tmp_path / "out" / "noise" / "analysis.json").read_text())
