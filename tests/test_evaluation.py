"""Models are measured on what they were not trained on, as it is and degraded."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_core.commands import main
from ser_core.corpora.labelled import LabelledRecording
from ser_core.errors import CorpusRefused, SettingsRefused
from ser_core.learning.augmentation import CONDITIONS
from ser_core.learning.cross_validation import measure_new_corpora
from ser_core.learning.evaluation import (
    RecordingLogits,
    by_own_normal,
    overlap_in_words,
    predict_corpora,
    tabulate,
    training_overlap,
)
from ser_core.learning.metrics import headline
from ser_core.learning.predictions import read_predictions
from ser_core.model.checkpoint import (
    CARD,
    CORPORA_TABLE,
    CORPORA_VOICE_TABLE,
    TRAINING_LIST,
    read_card,
    training_list,
)
from ser_core.model.shipped_models import find_model, model_names
from ser_core.settings import VoiceSettings
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import LinearClassifier

pytestmark = pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to measure")


@pytest.mark.slow
def test_evaluate_writes_every_figure_for_every_condition(small_corpus, tmp_path, capsys):
    (tmp_path / "first_takes").mkdir()
    for file in small_corpus.glob("*a.wav"):
        (tmp_path / "first_takes" / file.name).symlink_to(file)
    arguments = ["evaluate", "--model", "yamnet", "--corpus", f"emodb={tmp_path / 'first_takes'}", "--robustness"]
    assert main([*arguments, "--json", str(tmp_path / "figures.json")]) == 0
    result = json.loads((tmp_path / "figures.json").read_text())
    assert {"accuracy", "uar", "macro_f1", "recall", "confusion", "interval"} <= set(result["pooled"])
    assert result["corpora"]["emodb"] == result["pooled"]
    assert (result["pooled"]["recordings"], result["pooled"]["speakers"], result["excluded"]) == (20, 5, 0)
    trained_on = sum(speaker.startswith("emodb:") for speaker in training_list(find_model("yamnet")).values())
    assert result["training"]["emodb"] == {
        "trained_on": trained_on,
        "not_at_hand": trained_on,
        "speakers": 5,
        "speakers_trained_on": 0,
        "sentences": 4,
        "sentences_trained_on": 0,
    }
    assert result["split"].startswith("emodb: ")
    assert "none of the 5 test speakers" in result["split"]
    assert "nobody knows how many of the 4 test sentences" in result["split"]
    assert (result["headline"]["corpora"], result["listeners"]) == (["emodb"], {})
    assert list(result["robustness"]) == list(CONDITIONS)
    for measured in result["robustness"].values():
        assert measured["mean_over_corpora_uar"] == pytest.approx(measured["corpora"]["emodb"])
    assert "noise, 0 dB" in capsys.readouterr().out


@pytest.fixture
def folder(tmp_path):
    """A copy of a shipped model's folder, without figures on new corpora."""
    copy = Path(shutil.copytree(find_model("yamnet"), tmp_path / "model"))
    (copy / CORPORA_TABLE).unlink()
    card = read_card(copy)
    del card["leave_one_corpus_out"]
    (copy / CARD).write_text(json.dumps(card))
    return copy


def test_figures_on_a_new_corpus_are_added_to_an_otherwise_unchanged_model(folder, small_corpus, capsys):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    card = json.loads(before[CARD])
    rows = (folder / TRAINING_LIST).read_text().splitlines(keepends=True)
    (folder / TRAINING_LIST).write_text("".join(row for row in rows if "emodb:" not in row))
    before[TRAINING_LIST] = (folder / TRAINING_LIST).read_bytes()
    arguments = ["evaluate", "--model", str(folder), "--corpus", f"emodb={small_corpus}"]
    assert main([*arguments, "--add-figures"]) == 0
    printed = capsys.readouterr().out
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.keys() - before.keys() == {CORPORA_TABLE}
    assert {name for name in before if after[name] != before[name]} == {CARD, "README.md"}
    expected, _ = predict_corpora("yamnet", {"emodb": small_corpus}, UNWATCHED)
    tested = read_predictions(folder / CORPORA_TABLE)
    order = np.argsort(expected.sha256)
    assert tested.sha256 == expected.subset(order).sha256
    np.testing.assert_allclose(tested.probabilities, expected.probabilities[order], atol=1e-4)
    figures = read_card(folder).pop("leave_one_corpus_out")
    assert read_card(folder) == card | {"leave_one_corpus_out": figures}
    assert figures["headline"] == headline(tested)
    assert figures["split"] == "this model on emodb, of which nothing was in its training"
    assert figures["split"] in (folder / "README.md").read_text()
    assert f"Split: {figures['split']}. Written to {folder}." in printed
    assert main([*arguments, "--add-figures"]) == 0  # again, in place of the first


def test_a_model_whose_voices_have_a_normal_gets_the_table_by_own_normal_too(folder, small_corpus):
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | {"voice": {}}))
    (folder / TRAINING_LIST).write_text("sha256,speaker\n")
    measure_new_corpora(folder, {"emodb": str(small_corpus)})
    unknown, known = (read_predictions(folder / name) for name in (CORPORA_TABLE, CORPORA_VOICE_TABLE))
    assert unknown.sha256 == known.sha256
    assert np.abs(unknown.probabilities - known.probabilities).max() > 0.01


def test_figures_are_not_added_for_a_corpus_of_the_training_nor_over_those_of_left_out_corpora(
    folder, small_corpus, capsys
):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    arguments = ["evaluate", "--model", str(folder), "--corpus", f"emodb={small_corpus}", "--add-figures"]
    assert main(arguments) == 2
    assert "model was trained on emodb" in capsys.readouterr().err
    assert main([*arguments, "--robustness"]) == 2
    assert "without it" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    left_out = {"leave_one_corpus_out": {"split": "corpus split, folds 1, 2 of 2: a, b left out"}}
    (folder / CARD).write_text(json.dumps(json.loads(before[CARD]) | left_out))
    assert main(arguments) == 2
    assert "would replace them" in capsys.readouterr().err
    assert not (folder / CORPORA_TABLE).exists()


def test_training_recordings_of_a_model_are_left_out_and_counted(folder, small_corpus):
    every, _ = predict_corpora(folder, {"emodb": small_corpus}, UNWATCHED)
    with (folder / TRAINING_LIST).open("a") as training_list:
        training_list.writelines(f"{sha256},emodb:21\n" for sha256 in every.sha256[:8])
    rest, counted = predict_corpora(folder, {"emodb": small_corpus}, UNWATCHED)
    assert counted["excluded"] == 8
    assert set(rest.sha256) == set(every.sha256[8:])
    assert np.array_equal(rest.probabilities, every.probabilities[8:])


def test_strong_noise_changes_predictions(small_corpus):
    clean, _ = predict_corpora("yamnet", {"emodb": small_corpus}, UNWATCHED)
    noisy, _ = predict_corpora("yamnet", {"emodb": small_corpus}, UNWATCHED, "noise, 0 dB")
    assert clean.sha256 == noisy.sha256
    assert np.abs(clean.probabilities - noisy.probabilities).max() > 0.05


def test_a_file_that_cannot_be_read_is_refused_and_the_others_are_measured(small_corpus, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(small_corpus.iterdir())[:4]:
        (few / file.name).symlink_to(file)
    (few / "21a01Wc.wav").symlink_to(tmp_path / "gone.wav")
    found, counted = predict_corpora("yamnet", {"emodb": str(few)}, UNWATCHED)
    assert len(found.labels) == 4
    (refused,) = counted["refused"]
    assert refused.startswith("21a01Wc.wav: there is no such file")


def item_of(corpus, speaker, text) -> LabelledRecording:
    return LabelledRecording(Path(f"{corpus}-{speaker}-{text}.wav"), corpus, speaker, "sad", text, "German")


def test_overlap_with_training_is_counted_for_each_corpus_by_itself():
    # Trained on: two people of `met` with the sentences s1 and s2, and a recording that is no longer available.
    trained_on = {"1": "met:ann", "2": "met:bob", "3": "met:ann"}
    at_hand = {"1": item_of("met", "ann", "s1"), "2": item_of("met", "bob", "s2")}
    measured = [
        item_of("met", "ann", "s1"),
        item_of("met", "cleo", "s3"),
        item_of("new", "ann", "s1"),
        item_of("new", "bob", ""),
    ]
    overlap = training_overlap(measured, at_hand, trained_on)
    assert overlap["met"] == {
        "trained_on": 3,
        "not_at_hand": 1,
        "speakers": 2,
        "speakers_trained_on": 1,
        "sentences": 2,
        "sentences_trained_on": 1,
    }
    assert (overlap["new"]["trained_on"], overlap["new"]["speakers_trained_on"]) == (0, 0)  # another corpus' ann
    assert (overlap["new"]["sentences"], overlap["new"]["sentences_trained_on"]) == (1, 0)
    assert "1 of the 2 test speakers" in overlap_in_words("met", overlap["met"])
    assert "at least 1 of the 2 test sentences" in overlap_in_words("met", overlap["met"])
    assert overlap_in_words("new", overlap["new"]) == "new: an unseen corpus, nothing of it was trained on"


def test_recordings_that_were_trained_on_under_another_corpus_name_count_for_this_one():
    at_hand = {"1": item_of("renamed", "x", "s1")}
    overlap = training_overlap([item_of("renamed", "x", "s1")], at_hand, {"1": "ravdess:07"})["renamed"]
    assert (overlap["trained_on"], overlap["speakers_trained_on"], overlap["sentences_trained_on"]) == (1, 1, 1)
    assert "1 of the 1 test speakers" in overlap_in_words("renamed", overlap)


def test_no_figures_are_added_for_a_renamed_corpus_of_the_training(folder, small_corpus):
    sha256s = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(small_corpus.iterdir())[:2]]
    (folder / TRAINING_LIST).write_text("sha256,speaker\n" + "".join(f"{one.upper()},toy:1\n" for one in sha256s))
    (folder / CARD).write_text(json.dumps(read_card(folder) | {"corpora": []}))
    with pytest.raises(SettingsRefused, match="was trained on emodb"):
        measure_new_corpora(folder, {"emodb": str(small_corpus)})
    assert not (folder / CORPORA_TABLE).exists()


def test_copies_of_a_file_and_unreadable_ones_are_left_out_and_said(small_corpus, tmp_path, capsys):
    for name in ("21a01Wa.wav", "22a02Fa.wav", "23a03Na.wav", "24a04Ta.wav"):
        shutil.copy(small_corpus / name, tmp_path / name)
    shutil.copy(small_corpus / "21a01Wa.wav", tmp_path / "21a01Wb.wav")
    (tmp_path / "22a02Fb.wav").write_text("this is no sound")
    found, counted = predict_corpora("yamnet", {"emodb": str(tmp_path)}, UNWATCHED)
    assert len(found.labels) == 4
    assert counted["excluded"] == 0
    assert counted["refused"][0] == "21a01Wb.wav: the same sound as 21a01Wa.wav, so it does not count again."
    assert main(["evaluate", "--model", "yamnet", "--corpus", f"emodb={tmp_path}"]) == 0
    assert "Left out: 21a01Wb.wav: the same sound as 21a01Wa.wav, so it does not count again, and 1 more." in (
        capsys.readouterr().out
    )


def test_a_corpus_of_one_speaker_has_no_interval(small_corpus, tmp_path, capsys):
    for file in small_corpus.glob("21*"):
        shutil.copy(file, tmp_path / file.name)
    assert main(["evaluate", "--model", "yamnet", "--corpus", f"emodb={tmp_path}"]) == 0
    assert "(one speaker, so no interval)" in capsys.readouterr().out


def test_recordings_of_other_emotions_alone_are_refused_as_such(small_corpus, tmp_path):
    shutil.copy(small_corpus / "21a01Wa.wav", tmp_path / "21a01Ea.wav")
    with pytest.raises(CorpusRefused, match="the model has none of the emotions of these 1 recordings"):
        predict_corpora("yamnet", {"emodb": str(tmp_path)}, UNWATCHED)


def test_figures_are_added_to_a_model_from_elsewhere_without_touching_its_readme(folder, small_corpus):
    keys = ("emotions", "front_end", "temperature", "architecture", "split")
    card = {key: value for key, value in read_card(folder).items() if key in keys}
    (folder / CARD).write_text(json.dumps(card))
    (folder / "README.md").write_text("Mine.\n")
    (folder / TRAINING_LIST).write_text("sha256,speaker\n")
    measure_new_corpora(folder, {"emodb": str(small_corpus)})
    assert read_card(folder).keys() - card.keys() == {"leave_one_corpus_out"}
    assert (folder / "README.md").read_text() == "Mine.\n"


def test_an_unseen_corpus_is_called_so_without_mention_of_the_training_split(make_voice, tmp_path, capsys):
    rows = ["path,emotion,speaker,text"]
    for number, emotion in enumerate(("angry", "happy", "neutral", "sad")):
        soundfile.write(tmp_path / f"{emotion}.wav", make_voice(1.0, 16_000, seed=number), 16_000)
        rows.append(f"{emotion}.wav,{emotion},ann,s1")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    assert main(["evaluate", "--model", "yamnet", "--corpus", f"brand_new={tmp_path / 'list.csv'}"]) == 0
    printed = capsys.readouterr().out
    assert "brand_new: an unseen corpus" in printed
    assert "122" not in printed  # the sentences of the model's own test


def logits_of(speaker, emotion, *logits):
    item = LabelledRecording(Path(f"{speaker}{emotion}.wav"), "toy", speaker, emotion, "", "none")
    return RecordingLogits(f"{speaker}{emotion}", item, np.array([logits], np.float32))


def test_a_voice_that_always_sounds_angry_is_classified_correctly_by_its_own_normal():
    """One voice has logits of anger that are 4 higher; the other voice is typical."""
    emotions = ("angry", "sad")
    settings = VoiceSettings(shrinkage_recordings=0.0, known_temperature=0.5)
    classifier = LinearClassifier(np.zeros((2, 96, 64)), emotions)
    classifier.voice = settings
    found = [
        logits_of("a", "angry", 6, 0),
        logits_of("a", "sad", 4, 2),
        logits_of("b", "angry", 2, 0),
        logits_of("b", "sad", 0, 2),
    ]
    as_any = tabulate(emotions, 1.0, found)
    own = tabulate(emotions, 1.0, by_own_normal(classifier, found))
    assert list(as_any.predicted) == [0, 0, 0, 1]
    assert list(own.predicted) == [0, 1, 0, 1]
    np.testing.assert_allclose(own.probabilities[:2], own.probabilities[2:])
    # These voices are fully known, so the scores have a temperature of 0.5.
    np.testing.assert_allclose(own.probabilities[0, 0], 1 / (1 + np.exp(-2 / 0.5)), atol=1e-6)
