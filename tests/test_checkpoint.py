import hashlib
import json
import os
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ser_core.errors import ModelRefused
from ser_core.learning.metrics import all_figures
from ser_core.learning.plan import own_front_end
from ser_core.learning.predictions import read_predictions
from ser_core.model.checkpoint import (
    FOLDS_TABLE,
    HASHES,
    MAX_TEXT_BYTES,
    MAX_WEIGHTS_BYTES,
    ONNX,
    TEST_TABLE,
    WEIGHTS,
    _shapes,
    fastest_precision,
    load_network,
    read_card,
    save_model,
    training_list,
)
from ser_core.model.networks import NETWORKS
from ser_core.model.networks.whisper import Whisper
from ser_core.model.networks.yamnet import YAMNet
from ser_core.model.shipped_models import (
    DEFAULT_MODEL,
    MODELS,
    default_model,
    find_model,
    load_model,
    model_names,
    models_left_out,
    name_of_model,
)
from ser_core.settings import FrontEnd, SelectionSettings, SpectrogramSettings, VoiceSettings
from tests.tiny_networks import EMOTIONS, fresh, random_log_mel

FRONT_END = FrontEnd(SpectrogramSettings(high_hz=7_000.0), selection=SelectionSettings("minmax", 0.25))
SEEN = [("f" * 64, "nemo:EB"), ("a" * 64, "emodb:03")]
SHIPPED = model_names()


def card_of(architecture="yamnet", **changes):
    segments = Whisper.front_end.segments if architecture == "whisper" else FRONT_END.segments
    card = {
        "architecture": architecture,
        "emotions": list(EMOTIONS),
        "front_end": asdict(replace(FRONT_END, segments=segments)),
        "temperature": 1.25,
        "split": "speaker-disjoint",
    }
    return card | changes


@pytest.fixture(scope="module")
def network():
    return fresh(YAMNet)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, network):
    """A models folder with one model, not to be changed."""
    models = tmp_path_factory.mktemp("models")
    save_model(models / "small", network, card_of(), SEEN, "# small\n")
    return models


@pytest.fixture
def models(saved, tmp_path):
    """The same, but it may be changed."""
    return shutil.copytree(saved, tmp_path / "models")


def changed_card(models, **changes):
    (models / "small" / "card.json").write_text(json.dumps(card_of(**changes)), encoding="utf-8")
    return models


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_saved_network_comes_back_with_its_weights_in_half_precision(tmp_path, architecture):
    network = fresh(NETWORKS[architecture])
    save_model(tmp_path / "it", network, card_of(architecture), SEEN, "")
    loaded, card, sha256 = load_network(tmp_path / "it")
    assert card == card_of(architecture)
    assert len(sha256) == 64
    for name, tensor in network.state_dict().items():
        expected = tensor if "running_" in name or not tensor.is_floating_point() else tensor.half().float()
        assert torch.equal(loaded.state_dict()[name], expected), name


def test_loading_a_model_draws_no_random_numbers(saved):
    before = torch.get_rng_state()
    load_network(saved / "small")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_loaded_model_predicts_like_the_saved_network(tmp_path, architecture):
    network = fresh(NETWORKS[architecture])
    front_end = asdict(own_front_end(architecture))
    save_model(tmp_path / "it", network, card_of(architecture, front_end=front_end), SEEN, "")
    loaded = load_model("it", tmp_path)
    frames = front_end["segments"]["segment_frames"]
    segments = np.stack([random_log_mel(frames, seed) for seed in range(8)])
    with torch.inference_mode():
        original = network(torch.tensor(segments)[:, None]).numpy()
    # Weights are in half precision, and computed with in bfloat16 if the processor has it: 8 bits of a number remain
    # after each of up to 27 layers. A wrong layer would change everything.
    assert np.ptp(original, axis=0).max() > 0.1
    np.testing.assert_allclose(loaded.score(segments), original, atol=0.05 * np.abs(original).max())


@pytest.mark.parametrize(("supported", "precision"), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_processor_alone_decides_in_which_precision_models_compute(monkeypatch, supported, precision):
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: supported)
    assert {fastest_precision() for _ in range(3)} == {precision}


@pytest.mark.parametrize("earlier", [{}, {"expected_logits": [[1.0, 0.0], [0.0, 1.0]]}])
def test_a_model_whose_card_has_voice_settings_judges_a_voice_by_its_own_normal(models, earlier):
    loaded = load_model("small", changed_card(models, voice={"shrinkage_recordings": 2.0} | earlier))
    assert loaded.voice == VoiceSettings(shrinkage_recordings=2.0)


@pytest.mark.parametrize(
    "voice",
    [
        {"shrinkage": 3.0},
        {"shrinkage_recordings": -1.0},
        {"softening": "none"},
        5,
        None,
    ],
)
def test_a_card_with_invalid_voice_settings_is_refused(models, voice):
    with pytest.raises(ModelRefused, match="small"):
        load_model("small", changed_card(models, voice=voice))


def test_a_loaded_model_has_the_settings_of_its_card(saved):
    loaded = load_model("small", saved)
    assert loaded.emotions == EMOTIONS
    assert loaded.front_end == FRONT_END
    assert loaded.temperature == 1.25
    assert loaded.name == "small"
    assert loaded.layers == ("yamnet", "yamnet_layer12")
    assert len(loaded.sha256) == 64


def test_weights_are_half_precision_and_batch_norms_statistics_are_not(saved):
    tensors = load_file(saved / "small" / "model.safetensors")
    assert {str(t.dtype) for name, t in tensors.items() if name.endswith("weight")} == {"torch.float16"}
    assert {str(t.dtype) for name, t in tensors.items() if "running_" in name} == {"torch.float32"}


def test_a_model_is_found_by_name_and_by_path(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_name, by_path = load_model("small", saved), load_model(str(saved / "small"), tmp_path)
    assert by_name.sha256 == by_path.sha256
    assert read_card(find_model("small", saved)) == card_of()


def test_a_model_is_found_by_the_sha256_of_its_weights_whatever_it_is_called(models):
    sha256 = load_model("small", models).sha256
    (models / "small").rename(models / "renamed")
    assert name_of_model(sha256, models) == "renamed"
    save_model(models / "renamed", fresh(YAMNet, seed=1), card_of(), SEEN, "# small\n")
    assert name_of_model(sha256, models) is None


def test_saving_again_replaces_the_whole_folder(models, network):
    (models / "small" / "left_over.txt").write_text("old")
    save_model(models / "small", network, card_of(temperature=2.0), SEEN, "# new\n")
    names = sorted(path.name for path in (models / "small").iterdir())
    assert names == ["README.md", "card.json", "model.safetensors", "training.csv"]
    assert load_model("small", models).temperature == 2.0
    assert [path.name for path in models.iterdir()] == ["small"]


def test_a_half_written_model_is_neither_listed_nor_loaded_and_the_old_one_stays(models, network):
    for name in ("small", "another"):
        with pytest.raises(TypeError):
            save_model(models / name, network, card_of(temperature=object()), SEEN, "")
    assert model_names(models) == ["small"]
    assert load_model("small", models).temperature == 1.25
    for name in ("another", ".another.part"):
        with pytest.raises(ModelRefused, match="no model"):
            load_model(name, models)
    save_model(models / "another", network, card_of(), SEEN, "")
    assert model_names(models) == ["another", "small"]
    assert default_model(models) == "another"


def test_the_default_model_is_listed_first_and_a_missing_folder_lists_none(models, tmp_path):
    for name in (DEFAULT_MODEL, "a"):
        shutil.copytree(models / "small", models / name)
    assert model_names(models) == [DEFAULT_MODEL, "a", "small"]
    for peer in ("alexnet", "mfcc_svm"):
        shutil.copytree(models / "small", models / peer)
    assert model_names(models) == [DEFAULT_MODEL, "a", "small", "alexnet", "mfcc_svm"]
    assert default_model(models) == DEFAULT_MODEL
    assert model_names(tmp_path / "nowhere") == []
    assert default_model(tmp_path / "nowhere") is None


def test_an_unknown_model_is_refused_and_the_known_ones_are_named(saved):
    with pytest.raises(ModelRefused, match=r"no model 'large'\. Shipped are: small"):
        load_model("large", saved)


@pytest.mark.parametrize("file", ["model.safetensors", "card.json"])
def test_a_folder_without_weights_or_card_is_no_model(models, file):
    (models / "small" / file).unlink()
    with pytest.raises(ModelRefused, match="no model 'small'"):
        load_model("small", models)


@pytest.mark.parametrize("name", ["../outside", "small/../../outside", "./../outside", "..", "outside\x00", ""])
def test_a_name_never_leads_out_of_the_models_folder(models, tmp_path, monkeypatch, name):
    shutil.copytree(models / "small", tmp_path / "outside")
    (tmp_path / "elsewhere" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere" / "deeper")
    with pytest.raises(ModelRefused):
        load_model(name, models)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "pickle"])
def test_damaged_weights_are_refused(models, damage):
    weights = models / "small" / "model.safetensors"
    data = weights.read_bytes()
    broken = {"cut": data[: len(data) // 2], "flipped": b"\xff" * 8 + data[8:], "empty": b"", "pickle": b"\x80\x04."}
    weights.write_bytes(broken[damage])
    with pytest.raises(ModelRefused, match=r"small: .*Fetch it again"):
        load_model("small", models)


def test_weights_that_are_too_large_are_refused_unread(models):
    os.truncate(models / "small" / "model.safetensors", MAX_WEIGHTS_BYTES + 1)
    with pytest.raises(ModelRefused, match=f"more than {MAX_WEIGHTS_BYTES} bytes"):
        load_model("small", models)


@pytest.mark.parametrize("file", ["card.json", "training.csv"])
def test_texts_that_are_too_large_are_refused_unread(models, file):
    os.truncate(models / "small" / file, MAX_TEXT_BYTES + 1)
    with pytest.raises(ModelRefused, match=r"small: its .*Fetch the model again"):
        read_card(models / "small") if file == "card.json" else training_list(models / "small")


def listed(models):
    """Write the list of hashes of the model `small`, as `sha256sum` writes it."""
    files = ("card.json", "model.safetensors", "training.csv")
    lines = [f"{hashlib.sha256((models / 'small' / file).read_bytes()).hexdigest()}  small/{file}\n" for file in files]
    (models / HASHES).write_text("".join(lines))


@pytest.mark.parametrize("file", ["card.json", "model.safetensors", "training.csv"])
def test_a_shipped_model_with_an_altered_file_is_refused_and_one_of_somebody_s_own_is_not(models, file):
    shutil.copytree(models / "small", models / "own")
    listed(models)
    load_model("small", models)
    for name in ("small", "own"):
        data = (models / name / file).read_bytes()
        # There are still a card, weights and a list.
        altered = {
            "card.json": data + b" ",
            "training.csv": data.replace(b"emodb", b"other"),
            "model.safetensors": data,
        }[file]
        altered = data[:-1] + bytes([data[-1] ^ 1]) if altered == data else altered
        (models / name / file).write_bytes(altered)
    load_model("own", models)
    training_list(models / "own")
    with pytest.raises(
        ModelRefused, match=rf"small: its {file} is not the one that was shipped .*Fetch the model again"
    ):
        training_list(models / "small") if file == "training.csv" else load_model("small", models)


@pytest.fixture
def altered(models):
    """The model `small`, which the list of hashes names, with one bit of its weights flipped."""
    listed(models)
    data = bytearray((models / "small" / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (models / "small" / WEIGHTS).write_bytes(data)
    return models / "small"


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("..", "small"),
        ("..", "./small/"),
        ("..", "small/../small"),
        (".", "."),
        (".", "../small"),
        (".", "inside/.."),
        ("inside", ".."),
        ("/", "{}"),
        ("/", "{}/inside/.."),
        ("/", "{}-link"),
        ("/", "{}-files"),
    ],
)
def test_a_shipped_model_is_checked_whatever_path_it_is_loaded_by(altered, tmp_path, monkeypatch, where, path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (altered / "inside").mkdir()
    (elsewhere / "small-link").symlink_to(altered)
    (elsewhere / "small-files").mkdir()
    for file in ("card.json", WEIGHTS):
        (elsewhere / "small-files" / file).symlink_to(altered / file)
    monkeypatch.chdir(altered / where)
    here = altered if "-" not in path else elsewhere / "small"
    with pytest.raises(ModelRefused, match=rf"small: its {WEIGHTS} is not the one that was shipped"):
        load_model(path.format(here), tmp_path / "no models")


def test_a_link_with_the_name_of_a_shipped_model_is_checked_as_that_model(models, tmp_path):
    listed(models)
    (models / "small").rename(tmp_path / "another")
    card = tmp_path / "another" / "card.json"
    card.write_bytes(card.read_bytes() + b" ")
    (models / "small").symlink_to(tmp_path / "another")
    for name in ("small", models / "small"):
        with pytest.raises(ModelRefused, match="not the one that was shipped"):
            load_model(name, models)
    assert load_model(tmp_path / "another", models).emotions == EMOTIONS


def test_a_shipped_model_with_files_missing_from_the_list_is_refused(models):
    listed(models)
    lines = (models / HASHES).read_text().splitlines(keepends=True)
    (models / HASHES).write_text("".join(line for line in lines if WEIGHTS not in line))
    with pytest.raises(ModelRefused, match="not the one that was shipped"):
        load_model("small", models)


def test_every_listed_model_loads_and_the_others_have_a_reason(models, network, monkeypatch):
    for name in ("a b", "no_card", "cut", "large", "other_emotions", "other_network", "no_weights", "own_1.5", "über"):
        shutil.copytree(models / "small", models / name)
    (models / "no_card" / "card.json").unlink()
    (models / "no_weights" / WEIGHTS).unlink()
    os.truncate(models / "cut" / WEIGHTS, (models / "cut" / WEIGHTS).stat().st_size - 1)
    os.truncate(models / "large" / WEIGHTS, MAX_WEIGHTS_BYTES + 1)
    for name, changes in (("other_emotions", {"emotions": ["sad", "happy"]}), ("other_network", {"architecture": "x"})):
        (models / name / "card.json").write_text(json.dumps(card_of(**changes)))
    with monkeypatch.context() as patch:
        patch.setattr("ser_core.model.checkpoint.load_tensors", None)  # listing reads no weights
        names, left_out = model_names(models), models_left_out(models)
    assert names == ["own_1.5", "small", "über"]
    assert {name: load_model(name, models).name for name in names} == {name: name for name in names}
    assert sorted(left_out) == ["a b", "cut", "large", "no_card", "other_emotions", "other_network"]
    for name, part in {"a b": "letters", "cut": "cut off", "large": "at most", "no_card": "card.json"}.items():
        assert part in left_out[name]
    for name in left_out:
        with pytest.raises(ModelRefused):
            load_model(name, models)
    assert models_left_out() == {}


def test_a_repaired_or_broken_model_is_listed_in_its_current_state(models):
    assert model_names(models) == ["small"]
    good = (models / "small" / "card.json").read_text()
    (models / "small" / "card.json").write_text("{")
    assert model_names(models) == []
    (models / "small" / "card.json").write_text(good)
    assert model_names(models) == ["small"]
    listed(models)
    (models / "small" / "card.json").write_text(good + " ")
    assert "not the one that was shipped" in models_left_out(models)["small"]


def test_listing_models_leaves_torchs_random_state_alone(models):
    _shapes.cache_clear()
    state = torch.random.get_rng_state()
    model_names(models)
    assert torch.equal(torch.random.get_rng_state(), state)


def model_file(name: str) -> str:
    return next(file for file in (WEIGHTS, ONNX) if (MODELS / name / file).is_file())


def test_the_list_of_hashes_matches_the_shipped_files():
    names = {f"{name}/{file}" for name in SHIPPED for file in ("card.json", model_file(name), "training.csv")}
    lines = (MODELS / HASHES).read_text().splitlines()
    assert {line[66:] for line in lines} >= names
    for line in lines:
        assert hashlib.sha256((MODELS / line[66:]).read_bytes()).hexdigest() == line[:64], line[66:]


@pytest.mark.parametrize("architecture", ["vggish", "fusion", "resnet", "", None, 3, ["yamnet"]])
def test_weights_of_another_architecture_are_refused(models, architecture):
    with pytest.raises(ModelRefused, match="do not make a model") as refusal:
        load_model("small", changed_card(models, architecture=architecture))
    assert len(str(refusal.value)) < 300  # not a line for every tensor
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '"card"', "[" * 100_000])
def test_a_card_that_is_not_a_json_object_is_refused(models, text):
    (models / "small" / "card.json").write_text(text)
    with pytest.raises(ModelRefused, match="small: its card"):
        load_model("small", models)


def test_a_card_that_is_not_even_text_is_refused(models):
    (models / "small" / "card.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ModelRefused, match="small: its card cannot be read"):
        load_model("small", models)


@pytest.mark.parametrize("missing", ["architecture", "emotions", "front_end", "temperature"])
def test_a_card_without_a_required_key_is_refused(models, missing):
    card = {name: value for name, value in card_of().items() if name != missing}
    (models / "small" / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelRefused, match=missing):
        load_model("small", models)


def test_a_card_with_unknown_settings_is_refused_and_names_them(models):
    front_end = asdict(FRONT_END)
    front_end["spectrogram"]["window_ms"] = 25
    with pytest.raises(ModelRefused, match="SpectrogramSettings has no setting window_ms"):
        load_model("small", changed_card(models, front_end=front_end))


@pytest.mark.parametrize(
    "front_end", [None, [], 5, "default", {"spectrogram": 5}, {"selection": {"rule": "best"}}, {"segments": {"hop": 1}}]
)
def test_a_card_whose_front_end_is_not_one_is_refused(models, front_end):
    with pytest.raises(ModelRefused, match="does not make a model"):
        load_model("small", changed_card(models, front_end=front_end))


@pytest.mark.parametrize(
    "emotions",
    [
        ["angry", "happy", "neutral", "bored"],
        ["angry", "happy", "neutral", "neutral"],
        [["angry"], ["happy"], ["neutral"], ["sad"]],
        ["angry", "happy"],
        "sad!",
        [],
        4,
        None,
    ],
)
def test_a_card_with_unknown_emotions_or_a_wrong_number_of_them_is_refused(models, emotions):
    with pytest.raises(ModelRefused, match=r"small: .*Fetch it again"):
        load_model("small", changed_card(models, emotions=emotions))


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf"), "warm", None])
def test_a_card_with_an_impossible_temperature_is_refused(models, temperature):
    with pytest.raises(ModelRefused, match=r"small: .*Fetch it again"):
        load_model("small", changed_card(models, temperature=temperature))


def test_a_card_sets_the_pooling_of_segments_and_older_cards_average_probabilities(models):
    assert load_model("small", models).pooling == "probabilities"
    assert load_model("small", changed_card(models, pooling="logits")).pooling == "logits"


@pytest.mark.parametrize("pooling", ["median", "", 3, None, ["logits"]])
def test_a_card_that_pools_in_an_unknown_way_is_refused(models, pooling):
    with pytest.raises(ModelRefused, match=r"small: .*not probabilities or logits"):
        load_model("small", changed_card(models, pooling=pooling))


def test_the_training_list_is_read_back_unchanged(saved, tmp_path, network):
    assert training_list(saved / "small") == dict(SEEN)
    odd = [("b" * 64, 'corpus, with "quotes":speaker é'), ("c" * 64, "two\nlines:1")]
    save_model(tmp_path / "odd", network, card_of(), odd, "")
    assert training_list(tmp_path / "odd") == dict(odd)


@pytest.mark.parametrize("content", [None, "", "a,b\n1,2\n"])
def test_a_model_without_a_training_list_is_refused_where_the_list_is_needed(models, content):
    path = models / "small" / "training.csv"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ModelRefused, match=r"small: .*training\.csv.*your own.*sha256,speaker"):
        training_list(models / "small")


def test_the_models_identity_is_that_of_its_weights(models, network):
    before = load_model("small", models).sha256
    save_model(models / "copy", network, card_of(temperature=3.0), SEEN, "")
    assert load_model("copy", models).sha256 == before
    save_model(models / "other", fresh(YAMNet, seed=9), card_of(), SEEN, "")
    assert load_model("other", models).sha256 != before


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED, reason="no model is shipped under models/")
@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_loads_is_small_and_has_a_readme_that_matches_its_card(name):
    classifier, folder = load_model(name), find_model(name)
    card, readme = read_card(folder), (folder / "README.md").read_text(encoding="utf-8")
    assert (folder / model_file(name)).stat().st_size <= MAX_WEIGHTS_BYTES
    files = {"README.md", "card.json", model_file(name), "test.csv", "training.csv"}
    if "cross_validation" in card:
        files.add("folds.csv")
        assert f"{100 * card['cross_validation']['mean_over_corpora_uar']:.1f} %" in readme
    if "leave_one_corpus_out" in card:
        files.add("corpora.csv")
        assert f"{100 * card['leave_one_corpus_out']['mean_over_corpora_uar']:.1f} %" in readme
    if "decoder" in card:
        files.add("decoder.safetensors")
    if classifier.voice is not None:
        files |= {"folds_voice.csv", "corpora_voice.csv"} & {f"{file[:-4]}_voice.csv" for file in files}
    assert {path.name for path in folder.iterdir()} == files
    frames = classifier.front_end.segments.segment_frames or 96
    assert classifier.score(random_log_mel(frames)[None]).shape == (1, len(card["emotions"]))
    assert np.isfinite(classifier.score(random_log_mel()[None])).all()
    for words in (card["architecture"], *card["emotions"], card["split"], card["licence"], *card["corpora"]):
        assert words in readme, words
    for figures in card["test_figures"]["corpora"].values():
        assert f"{100 * figures['uar']:.1f} %" in readme
        assert f"{100 * figures['accuracy']:.1f} %" in readme
    assert f"{100 * card['test_figures']['mean_over_corpora_uar']:.1f} %" in readme
    recordings = card["recordings"]
    # VGGish, alone and in fusion, learns from other emotions too.
    others = 0 if card["architecture"] == "yamnet" else card["left_out"]["other_emotions"]
    assert len(training_list(folder)) <= recordings["train"] + recordings["validation"] + others
    assert len(training_list(folder)) > 0


@pytest.mark.slow
@pytest.mark.skipif(not SHIPPED, reason="no model is shipped under models/")
@pytest.mark.parametrize("name", SHIPPED)
def test_every_figure_of_a_shipped_card_follows_from_its_table_of_unseen_people(name):
    folder = find_model(name)
    table, card, seen = read_predictions(folder / TEST_TABLE), read_card(folder), training_list(folder)
    assert not set(table.sha256) & set(seen)
    assert not set(table.speakers) & set(seen.values())
    assert_follow(card["test_figures"], table)
    if "cross_validation" in card:
        of_folds = read_predictions(folder / FOLDS_TABLE)
        assert set(table.sha256) <= set(of_folds.sha256)
        # RAVDESS holds one file twice, of the same person.
        assert len(set(zip(of_folds.sha256, of_folds.speakers, strict=True))) == len(set(of_folds.sha256))
        assert_follow(card["cross_validation"], of_folds)


def assert_follow(written, table):
    """Assert that a card's figures are those of a table."""
    figures = all_figures(table)
    assert figures["mean_over_corpora_uar"] == pytest.approx(written["mean_over_corpora_uar"], abs=1e-9)
    for corpus, its in figures["corpora"].items():
        assert its["confusion"] == written["corpora"][corpus]["confusion"]
        assert its["interval"] == pytest.approx(written["corpora"][corpus]["interval"])


def test_settings_of_the_card_are_used_and_not_the_defaults(models):
    front_end = asdict(replace(FRONT_END, selection=SelectionSettings("none", 0.5)))
    assert load_model("small", changed_card(models, front_end=front_end)).front_end.selection.rule == "none"
