"""The sides of a training's split, and what the starting weights were trained on."""

from dataclasses import replace

import pytest
import soundfile

from ser_core.corpora import read_corpus
from ser_core.errors import SettingsRefused
from ser_core.learning.classifier_training.stages import _state_name
from ser_core.learning.plan import TrainingPlan, seen_by_starting_weights
from ser_core.learning.training_data import read_training_data
from ser_core.model.checkpoint import save_model, training_list
from ser_core.model.shipped_models import find_model, model_names
from ser_core.work.progress import UNWATCHED
from tests.tiny_networks import TinyNetwork

SPEAKERS = ("ada", "ben", "cleo", "dan", "eve", "fay")
OTHERS = ("fear", "disgust")
#: Recordings by each speaker: one of each of four emotions, and of two others.
WANTED, OTHER = 4 * len(SPEAKERS), len(OTHERS) * len(SPEAKERS)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder of a manifest and the spectrograms."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def manifest(home, make_voice):
    """Six people in two corpora that no model was trained on."""
    rows = ["path,emotion,speaker,text,corpus"]
    for number, speaker in enumerate(SPEAKERS):
        for place, emotion in enumerate(("angry", "happy", "neutral", "sad", *OTHERS)):
            name = f"{speaker}-{emotion}.wav"
            soundfile.write(home / name, make_voice(1.0, 16_000, seed=10 * number + place), 16_000)
            rows.append(f"{name},{emotion},{speaker},s{place},{'left' if number < 3 else 'right'}")
    file = home / "list.csv"
    file.write_text("\n".join(rows))
    return file


@pytest.fixture(autouse=True)
def begins_with_audioset(monkeypatch):
    """YAMNet's weights are AudioSet's, which were trained on none of these; reading does not open them."""
    monkeypatch.setenv("SER_YAMNET_WEIGHTS", "audioset.safetensors")


@pytest.fixture
def read(manifest, home):
    """Read the data of a plan with these settings."""

    def reading(**said):
        plan = TrainingPlan(**{"corpora": {"made": str(manifest)}, "network": "vggish", "folds": 3} | said)
        return read_training_data(plan, home / "log_mels", UNWATCHED)

    return reading


@pytest.fixture
def trained_on(home, tmp_path):
    """Write a model that was trained on these recordings (sha256 to corpus:speaker), and return its name."""

    def writing(before):
        card = {"architecture": "tiny", "emotions": ["angry", "sad"]}
        save_model(tmp_path / "model", TinyNetwork(2), card, list(before.items()), "")
        return str(tmp_path / "model")

    return writing


def speakers(entries):
    return {entry.item.speaker_id for entry in entries}


def sha256s(entries):
    return {entry.sha256 for entry in entries}


@pytest.mark.parametrize(("split", "fold"), [("speaker", 1), ("speaker", 2), ("speaker", 3), ("corpus", 1)])
def test_a_teacher_shows_other_emotions_of_the_people_of_the_training_side_alone(read, split, fold):
    data = read(split=split, fold=fold)
    assert speakers(data.other_emotions) == speakers(data.train)
    assert not speakers(data.other_emotions) & speakers(data.validation + data.test)
    assert {entry.item.emotion for entry in data.other_emotions} == set(OTHERS)
    assert {entry.label for entry in data.other_emotions} == {-1}
    assert len(data.other_emotions) == len(OTHERS) * len(speakers(data.train))
    assert len(data.train + data.validation + data.test) == WANTED
    assert data.others_count == OTHER


def test_where_everybody_is_on_every_side_no_other_emotions_are_shown(read):
    data = read(split="random", seed=1)
    on_training_side_alone = speakers(data.train) - speakers(data.validation + data.test)
    assert len(speakers(data.train) - on_training_side_alone) >= 4
    assert speakers(data.other_emotions) == on_training_side_alone


def test_without_a_teacher_no_other_emotions_are_read(read):
    data = read(network="yamnet")
    assert data.other_emotions == []
    assert data.others_count == OTHER


def test_all_recordings_but_those_of_the_test_were_seen_in_training(read):
    data = read()
    used = data.train + data.validation + data.other_emotions
    assert data.seen == {entry.sha256: entry.item.speaker_id for entry in used}
    assert not sha256s(data.test) & set(data.seen)
    assert "left out" not in data.description


def test_people_whom_the_starting_weights_know_are_left_out_of_the_test_and_it_is_said(read, trained_on):
    fresh = read()
    known, other = sorted(speakers(fresh.test))
    before = {"f" * 64: known, "e" * 64: "elsewhere:zoe"}  # by a recording that is not among these
    data = read(warm_start=trained_on(before))
    assert speakers(fresh.test) == {known, other}
    assert speakers(data.test) == {other}
    assert sha256s(data.test) == sha256s(entry for entry in fresh.test if entry.item.speaker_id == other)
    assert data.description == f"{fresh.description}; 4 test recordings left out, which the starting weights know"
    assert sha256s(data.train) == sha256s(fresh.train)
    assert data.seen == before | fresh.seen


def test_a_recording_that_the_starting_weights_know_under_another_name_is_left_out_of_the_test(read, trained_on):
    fresh = read()
    known = fresh.test[1]
    data = read(warm_start=trained_on({known.sha256: "elsewhere:zoe"}))
    assert sha256s(data.test) == sha256s(fresh.test) - {known.sha256}
    assert "; 1 test recordings left out, which" in data.description


def test_in_a_random_split_known_recordings_are_left_out_and_known_people_stay(read, trained_on):
    fresh = read(split="random")
    known, *unknown = fresh.test
    before = {known.sha256: known.item.speaker_id}
    before |= {f"{number:064x}": entry.item.speaker_id for number, entry in enumerate(unknown)}
    data = read(split="random", warm_start=trained_on(before))
    assert sha256s(data.test) == sha256s(unknown)
    assert unknown


@pytest.mark.parametrize("split", ["speaker", "random"])
def test_weights_that_know_the_whole_test_are_refused(read, trained_on, split):
    fresh = read(split=split)
    before = {entry.sha256: "elsewhere:zoe" for entry in fresh.test}
    with pytest.raises(SettingsRefused, match=f"trained on all {len(fresh.test)} recordings of the test.*another fold"):
        read(split=split, warm_start=trained_on(before))


def test_a_file_that_is_no_audio_is_left_out_and_named(read, home, manifest, tmp_path):
    (home / "broken.wav").write_text("this is not sound")
    file = manifest.with_name("longer.csv")
    file.write_text(manifest.read_text() + "\nbroken.wav,sad,ada,s9,left\n")
    data = read(corpora={"made": str(file)})
    assert [name for name, _ in data.left_out] == ["broken.wav"]
    assert len(data.train + data.validation + data.test) == WANTED


# --- sentences kept apart ---


@pytest.fixture
def mixed(manifest):
    """The same recordings, but everybody says each of three sentences in two of the emotions."""
    rows = ["path,emotion,speaker,text,corpus"]
    for row in manifest.read_text().splitlines()[1:]:
        path, emotion, speaker, text, _ = row.split(",")
        rows.append(f"{path},{emotion},{speaker},t{int(text[1:]) % 3},one")
    file = manifest.with_name("mixed.csv")
    file.write_text("\n".join(rows))
    return {"made": str(file)}


def sentences(entries):
    return {entry.item.text for entry in entries}


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_with_sentences_kept_apart_a_teacher_shows_none_that_validates_or_is_tested(read, mixed, fold):
    data = read(split="sentence", fold=fold, corpora=mixed)
    assert not sentences(data.train + data.other_emotions) & sentences(data.validation + data.test)
    assert not speakers(data.train + data.other_emotions) & speakers(data.validation + data.test)
    assert sentences(data.train)
    assert sentences(data.test)
    assert sentences(data.other_emotions) <= sentences(data.train)


def test_sentences_that_the_starting_weights_know_are_left_out_of_the_test(read, trained_on, mixed):
    fresh = read(split="sentence", corpora=mixed)
    (tested,) = sentences(fresh.test)
    everything = read(corpora=mixed)  # by speakers, so that every recording is on a side
    stranger = next(
        entry
        for entry in everything.train + everything.validation + everything.test
        if entry.item.text == tested and entry.item.speaker_id not in speakers(fresh.test)
    )
    with pytest.raises(SettingsRefused, match="their speakers or sentences"):
        read(split="sentence", corpora=mixed, warm_start=trained_on({stranger.sha256: stranger.item.speaker_id}))


# --- recordings whose emotion no listener recognised ---


@pytest.mark.parametrize("dropped", [False, True])
def test_what_listeners_did_not_recognise_is_not_learnt_from_if_so_wanted_and_is_tested_all_the_same(
    read, monkeypatch, dropped
):
    def with_votes(name, place):
        corpus = read_corpus(name, place)
        perceived_as = {"sad": ("neutral",), "angry": ("angry", "sad"), "happy": None, "neutral": ("neutral",)}
        voted = [replace(item, perceived_as=perceived_as.get(item.emotion)) for item in corpus.recordings]
        return replace(corpus, recordings=tuple(voted))

    monkeypatch.setattr("ser_core.learning.training_data.read_corpus", with_votes)
    data = read(drop_unrecognised=dropped)
    learnt = {entry.item.emotion for entry in data.train}
    assert learnt == {"angry", "happy", "neutral"} | (set() if dropped else {"sad"})
    assert data.unrecognised_count == (len(speakers(data.train)) if dropped else 0)
    for side in (data.validation, data.test):
        assert "sad" in {entry.item.emotion for entry in side}
    assert set(data.seen) == sha256s(data.train + data.validation + data.other_emotions)


def test_without_votes_of_listeners_nothing_can_be_dropped_as_unrecognised(read):
    with pytest.raises(SettingsRefused, match="No recording here has votes of listeners"):
        read(drop_unrecognised=True)


# --- what starting weights were trained on ---

PLAN = TrainingPlan({"emodb": "nowhere"})


@pytest.mark.parametrize("network", ["yamnet", "vggish", "fusion"])
def test_audiosets_weights_were_trained_on_none_of_the_recordings(network):
    assert seen_by_starting_weights(replace(PLAN, network=network)) == {}


@pytest.mark.skipif("yamnet" not in model_names(), reason="no models/yamnet to start from")
def test_without_audiosets_weights_the_shipped_yamnets_training_recordings_count_as_trained_on(monkeypatch):
    monkeypatch.delenv("SER_YAMNET_WEIGHTS")
    shipped = training_list(find_model("yamnet"))
    for network in ("yamnet", "vggish", "fusion"):
        assert seen_by_starting_weights(replace(PLAN, network=network)) == shipped
    assert seen_by_starting_weights(replace(PLAN, network="vggish", preset="paper")) == {}  # without a teacher


def test_a_warm_start_was_trained_on_what_its_model_was_trained_on(trained_on):
    before = {"a" * 64: "left:ada", "b" * 64: "right:eve"}
    assert seen_by_starting_weights(replace(PLAN, network="yamnet", warm_start=trained_on(before))) == before


@pytest.mark.parametrize("split", ["speaker", "random"])
def test_of_copies_of_a_sound_one_is_taken(read, manifest, home, split):
    (home / "copy.wav").write_bytes((home / "ada-sad.wav").read_bytes())
    (home / "more.csv").write_text("path,emotion,speaker,text\ncopy.wav,sad,somebody,s9\n")
    data = read(split=split, corpora={"made": str(manifest), "more": str(home / "more.csv")})
    everything = data.train + data.validation + data.test
    assert len(everything) == len(sha256s(everything)) == WANTED
    assert data.left_out == [("copy.wav", "the same sound as another recording")]


def test_a_state_is_of_the_labels_the_order_and_the_teacher_that_it_learnt_from(read):
    data, network = read(), TinyNetwork(2)
    plan = TrainingPlan({"made": "list.csv"}, network="vggish")
    first = data.train[0]
    relabelled = [replace(first, label=1 - first.label), *data.train[1:]]

    def name(train=data.train, validation=data.validation, teacher=None):
        return _state_name(plan, "vggish", train, validation, network, teacher)

    others = [name(relabelled), name(data.train[::-1]), name(validation=[]), name(teacher=TinyNetwork(2))]
    assert len({name(), *others}) == 5
    assert name() == name(list(data.train))


def test_a_truncated_spectrogram_is_computed_again(read, home):
    before = read()
    for kept in (home / "log_mels").glob("*.npy"):
        kept.write_bytes(kept.read_bytes()[:100])
    after = read()
    assert [entry.sha256 for entry in after.train] == [entry.sha256 for entry in before.train]
    assert all((one.log_mel == other.log_mel).all() for one, other in zip(before.train, after.train, strict=True))
    assert not list((home / "log_mels").glob("*.part"))
