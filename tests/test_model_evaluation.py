"""Models are measured on what they were not trained on, as it is and degraded."""

import json

import numpy as np
import pytest

from ser_core.checkpoint import TRAINING_LIST, find_model, model_names
from ser_core.command_line import main
from ser_core.learning.degradation import CONDITIONS
from ser_core.learning.model_evaluation import predict_corpora

pytestmark = pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to measure")


def test_evaluate_writes_every_figure_and_those_of_every_condition(small_corpus, tmp_path, capsys):
    asked = ["evaluate", "--model", "yamnet", "--corpus", f"emodb={small_corpus}", "--robustness"]
    assert main([*asked, "--json", str(tmp_path / "figures.json")]) == 0
    result = json.loads((tmp_path / "figures.json").read_text())
    assert {"accuracy", "uar", "macro_f1", "recall", "confusion", "interval"} <= set(result["pooled"])
    assert result["corpora"]["emodb"] == result["pooled"]
    assert (result["pooled"]["recordings"], result["pooled"]["speakers"], result["excluded"]) == (40, 5, 0)
    assert " of the 5 test speakers were trained on; the model's own split: " in result["split"]
    assert list(result["robustness"]) == list(CONDITIONS)
    for measured in result["robustness"].values():
        assert measured["mean_over_corpora_uar"] == pytest.approx(measured["corpora"]["emodb"])
    assert "noise, 0 dB" in capsys.readouterr().out


def test_what_a_model_was_trained_on_is_left_out_and_counted(small_corpus, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in find_model("yamnet").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    every, _ = predict_corpora(folder, {"emodb": small_corpus}, lambda *_: None)
    with (folder / TRAINING_LIST).open("a") as training_list:
        training_list.writelines(f"{sha256},emodb:21\n" for sha256 in every.sha256[:8])
    rest, counted = predict_corpora(folder, {"emodb": small_corpus}, lambda *_: None)
    assert counted["excluded"] == 8
    assert set(rest.sha256) == set(every.sha256[8:])
    assert np.array_equal(rest.probabilities, every.probabilities[8:])


def test_strong_noise_changes_what_a_model_says(small_corpus):
    clean, _ = predict_corpora("yamnet", {"emodb": small_corpus}, lambda *_: None)
    noisy, _ = predict_corpora("yamnet", {"emodb": small_corpus}, lambda *_: None, "noise, 0 dB")
    assert clean.sha256 == noisy.sha256
    assert np.abs(clean.probabilities - noisy.probabilities).max() > 0.05


def test_a_file_that_cannot_be_read_is_refused_and_the_others_are_measured(small_corpus, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(small_corpus.iterdir())[:4]:
        (few / file.name).symlink_to(file)
    (few / "21a01Wc.wav").symlink_to(tmp_path / "gone.wav")
    found, counted = predict_corpora("yamnet", {"emodb": str(few)}, lambda *_: None)
    assert len(found.labels) == 4
    (refused,) = counted["refused"]
    assert refused.startswith("21a01Wc.wav: there is no such file")
