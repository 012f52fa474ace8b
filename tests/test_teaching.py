"""From marks to manifests that can be trained on, and whether the resulting model is offered."""

import csv
import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import Recording, Region
from ser_core.annotations.annotation import GOLD, RECORDING_TIER, AnnotatedRecording, Annotation, Tier
from ser_core.annotations.teaching.corpus import NO_SOUND, TaughtSound, hold_out, speaker_for, write_taught_corpus
from ser_core.annotations.teaching.pieces import (
    OPEN,
    OVERRULED_BY_WHOLE,
    TIED,
    WITHOUT_EMOTION,
    TaughtPiece,
    pieces_of,
    pieces_to_teach,
)
from ser_core.annotations.teaching.taught_model import MIN_RECORDINGS, acceptance_of, recording_of_pieces
from ser_core.corpora import read_corpus
from ser_core.errors import AnnotationsRefused, AudioRefused, Cancelled, SettingsRefused, WriteRefused
from ser_core.learning.metrics import paired_difference
from ser_core.learning.plan import TrainingPlan
from ser_core.learning.predictions import Predictions
from ser_core.learning.training_data import read_training_data
from ser_core.work.progress import UNWATCHED, Work

RATE = 16_000


def whole(annotator, emotion, status="done"):
    return Annotation(Region(0, 1), RECORDING_TIER, annotator, emotion, status=status)


def mark(annotator, start_s, end_s, emotion="angry", status="done"):
    return Annotation(Region(start_s, end_s), annotator=annotator, emotion=emotion, status=status)


# --- what marks teach ---


def test_the_emotion_with_the_most_votes_is_taught():
    marks = [whole("ann", "sad"), whole("ben", "angry"), whole("cleo", "sad", "verified")]
    assert pieces_to_teach(marks) == ([TaughtPiece(None, "sad", 3)], [])
    assert pieces_to_teach(marks[::-1]) == ([TaughtPiece(None, "sad", 3)], [])


@pytest.mark.parametrize("emotions", [("sad", "angry"), ("sad", "angry", "happy"), ("sad", "sad", "angry", "angry")])
def test_a_tie_is_left_out_and_reported(emotions):
    marks = [whole(f"annotator {number}", emotion) for number, emotion in enumerate(emotions)]
    assert pieces_to_teach(marks) == ([], [TIED])


def test_only_a_persons_last_label_counts():
    marks = [whole("ann", "sad"), whole("ann", "sad"), whole("ann", "angry"), whole("ben", "angry")]
    assert pieces_to_teach(marks) == ([TaughtPiece(None, "angry", 2)], [])


def test_open_marks_and_those_without_an_emotion_or_of_other_tiers_do_not_teach():
    marks = [whole("ann", "sad", "open"), whole("ben", None), whole("cleo", "happy"), mark("ann", 0, 1, status="open")]
    marks.append(replace(mark("ann", 0, 1), tier="words"))
    pieces, left_out = pieces_to_teach(marks)
    assert pieces == [TaughtPiece(None, "happy", 1)]
    assert Counter(left_out) == {OPEN: 2, WITHOUT_EMOTION: 1}


def test_labels_of_a_tier_teach_the_one_emotion_they_map_to():
    mapping = (("angry", "high"), ("happy", "high"), ("sad", "flat"), ("fear", ""))
    tier = Tier("mood", "mood", content="labels", labels=("high", "flat", "Wut", "fear", "odd"), mapping=mapping)
    labels = ("flat", "Wut", "high", "fear", "odd", "")
    marks = [Annotation(Region(at, at + 1), "mood", "ann", note=label) for at, label in enumerate(labels)]
    others = [mark("ann", 0, 1), mark(GOLD, 0, 1), whole("ann", "happy")]
    recording = AnnotatedRecording("a", None, 9.0, None, (*marks, *others))
    pieces, left_out = pieces_of(recording, tier)
    # Angry and happy are both mapped to high; the label Wut needs no mapping; fear has no label.
    assert pieces == [TaughtPiece(Region(0, 1), "sad", 1), TaughtPiece(Region(1, 2), "angry", 1)]
    unclear = ["the label 'fear' stands for no emotion", "the label 'odd' stands for no emotion"]
    assert left_out == [WITHOUT_EMOTION, "the label 'high' stands for several emotions (angry, happy)", *unclear]
    # Without a label of the whole recording that is done, nothing is done.
    assert pieces_of(replace(recording, annotations=tuple(marks)), tier)[1][:3] == [OPEN] * 3
    assert pieces_of(recording, None) == pieces_to_teach(recording.annotations)


def test_emotion_words_are_those_of_manifests_and_unknown_ones_are_named():
    assert pieces_to_teach([whole("ann", " Anger "), whole("ben", "angry")]) == ([TaughtPiece(None, "angry", 2)], [])
    assert pieces_to_teach([whole("ann", "smug")]) == ([], ["no model knows the emotion 'smug'"])


def test_a_label_of_the_whole_comes_before_regions_even_where_it_is_tied():
    regions = [mark("ann", 0, 0.5), mark("ben", 0.5, 1)]
    assert pieces_to_teach([*regions, whole("ann", "sad")]) == (
        [TaughtPiece(None, "sad", 1)],
        [OVERRULED_BY_WHOLE, OVERRULED_BY_WHOLE],
    )
    assert pieces_to_teach([whole("ann", "sad"), whole("ben", "happy"), regions[0]]) == ([], [OVERRULED_BY_WHOLE, TIED])


def test_matching_regions_of_several_people_are_one_piece_with_median_bounds():
    marks = [
        mark("ben", 1.1, 2.0, "sad"),
        mark("ann", 1.0, 2.1, "sad"),
        mark("cleo", 1.2, 2.4, "happy"),
        mark("cleo", 4.0, 5.0, "happy"),
        mark("ann", 0.0, 0.5),
    ]
    pieces, left_out = pieces_to_teach(marks)
    assert pieces == [
        TaughtPiece(Region(0.0, 0.5), "angry", 1),
        TaughtPiece(Region(1.1, 2.1), "sad", 3),
        TaughtPiece(Region(4.0, 5.0), "happy", 1),
    ]
    assert left_out == []


def test_matching_regions_with_a_tie_are_left_out_and_barely_overlapping_ones_are_two():
    assert pieces_to_teach([mark("ann", 0, 1), mark("ben", 0, 1, "sad")]) == ([], [TIED])
    pieces, _ = pieces_to_teach([mark("ann", 0, 1), mark("ben", 0.6, 2, "sad")])
    assert [piece.emotion for piece in pieces] == ["angry", "sad"]
    pieces, _ = pieces_to_teach([mark("ann", 0, 1), mark("ann", 0, 1.2, "sad")])  # of one person
    assert [piece.annotators for piece in pieces] == [1, 1]


# --- what is held out ---


def sounds(*rows):
    """Return pieces from (recording, emotion, speaker)."""
    return [
        TaughtSound(f"{n}.wav", emotion, speaker, "taught", 1, 0.0, 1.0, f"piece {n}", recording)
        for n, (recording, emotion, speaker) in enumerate(rows)
    ]


def of_own_speaker(count, emotions=("angry", "sad")):
    return sounds(*((f"r{n}", emotions[n % len(emotions)], f"recording-r{n}") for n in range(count)))


@given(st.integers(8, 60), st.integers(0, 5))
def test_about_a_quarter_of_each_emotion_is_held_out(count, seed):
    pieces = of_own_speaker(count)
    chosen, _ = hold_out(pieces, {}, seed)
    for emotion in ("angry", "sad"):
        of_emotion = [piece for piece in pieces if piece.emotion == emotion]
        held_out = sum(piece.recording_sha256 in chosen for piece in of_emotion)
        assert abs(held_out - len(of_emotion) / 4) <= 0.5


def test_known_speakers_are_on_one_side():
    pieces = sounds(*((f"r{n}", ("angry", "sad")[n % 2], f"s{n // 6}") for n in range(48)))
    chosen, words = hold_out(pieces, {}, 0)
    sides = [
        {piece.speaker for piece in pieces if (piece.recording_sha256 in chosen) is side} for side in (True, False)
    ]
    assert not sides[0] & sides[1]
    assert (len(sides[0]), len(sides[1])) == (2, 6)
    assert words == (
        "12 of 48 recordings are held out; no speaker is on both sides, as far as they are known "
        "(0 recordings name no speaker)."
    )


def test_with_one_speaker_recordings_are_held_out_and_that_is_reported():
    pieces = sounds(*((f"r{n // 2}", "sad", "ada") for n in range(24)))
    chosen, words = hold_out(pieces, {}, 0)
    assert len(chosen) == 3
    assert "3 of 12 recordings are held out; their speakers are also learnt from" in words


def test_pieces_of_a_recording_stay_together_and_unknown_speakers_are_counted():
    pieces = sounds(*((f"r{n // 3}", ("angry", "sad", "happy")[n % 3], f"recording-r{n // 3}") for n in range(60)))
    chosen, words = hold_out(pieces, {}, 3)
    assert len(chosen) == 5
    assert words.startswith("5 of 20 recordings")
    assert words.endswith("(20 recordings name no speaker).")


def test_the_seed_and_not_the_order_of_pieces_decides_what_is_held_out():
    pieces = of_own_speaker(40)
    assert hold_out(pieces, {}, 0) == hold_out(pieces[::-1], {}, 0)
    assert hold_out(pieces, {}, 0)[0] != hold_out(pieces, {}, 1)[0]


@pytest.mark.parametrize("by", ["piece", "recording", "speaker"])
def test_recordings_that_the_model_was_trained_on_are_never_held_out(by):
    pieces = of_own_speaker(40)
    first, _ = hold_out(pieces, {}, 0)
    known = [piece for piece in pieces if piece.recording_sha256 in first]
    training_list = {
        "piece": {piece.sha256: "x" for piece in known},
        "recording": {piece.recording_sha256: "x" for piece in known},
        "speaker": {f"other {n}": f"taught:{piece.speaker}" for n, piece in enumerate(known)},
    }[by]
    second, _ = hold_out(pieces, training_list, 0)
    assert len(second) == len(first) == 10
    assert not first & second


def test_a_voice_that_the_model_knows_is_not_held_out():
    pieces = sounds(*((f"r{n}", ("angry", "sad")[n % 2], f"s{n // 6}") for n in range(48)))
    for number in range(8):
        chosen, _ = hold_out(pieces, {"z": f"taught:s{number}"}, 0)
        assert f"s{number}" not in {piece.speaker for piece in pieces if piece.recording_sha256 in chosen}


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_recordings_are_not_divided(count):
    chosen, words = hold_out(of_own_speaker(count), {}, 0)
    assert chosen == set()
    assert words.startswith(f"Nothing is held out: the {count} recordings are too few")


def test_nothing_is_held_out_if_the_model_was_trained_on_everything():
    pieces = of_own_speaker(40)
    chosen, words = hold_out(pieces, {piece.sha256: "x" for piece in pieces}, 0)
    assert chosen == set()
    assert "trained on them" in words


# --- what is written ---


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory, make_voice):
    """Twelve files by SHA-256, 1.5 s each; the first has another rate."""
    folder, found = tmp_path_factory.mktemp("sounds"), {}
    for number in range(12):
        rate = 22_050 if number == 0 else RATE
        path = folder / f"{number}.wav"
        soundfile.write(path, make_voice(1.5, rate, seed=number), rate)
        found[hashlib.sha256(path.read_bytes()).hexdigest()] = path
    return found


@pytest.fixture
def sound_of(sound_files):
    def reading(sha256):
        if sha256 not in sound_files:
            return None
        samples, rate = soundfile.read(sound_files[sha256], dtype="float32")
        return Recording(sound_files[sha256].name, sha256, samples, rate)

    return reading


def marked(sha256, *marks, name="a.wav"):
    return AnnotatedRecording(name, sha256, 1.5, RATE, marks)


@pytest.fixture
def labelled(sound_files):
    """Every file with a label, three of each emotion."""
    emotions = ("angry", "happy", "neutral", "sad")
    return [marked(sha256, whole("ann", emotions[n % 4])) for n, sha256 in enumerate(sound_files)]


def rows_of(manifest):
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_manifests_can_be_read_and_share_no_recording(labelled, sound_of, tmp_path):
    taught = write_taught_corpus(labelled, sound_of, tmp_path / "taught")
    assert (taught.train, taught.held_out) == (tmp_path / "taught/train.csv", tmp_path / "taught/held_out.csv")
    train, held_out = (read_corpus("any_name", manifest) for manifest in (taught.train, taught.held_out))
    assert not train.left_out + held_out.left_out
    for corpus, counts in ((train, taught.train_count), (held_out, taught.held_out_count)):
        assert Counter(item.emotion for item in corpus.recordings) == counts
        assert {item.corpus for item in corpus.recordings} == {"taught"}
    assert taught.train_count == dict.fromkeys(("angry", "happy", "neutral", "sad"), 2)
    assert taught.held_out_count == dict.fromkeys(("angry", "happy", "neutral", "sad"), 1)
    assert not {item.speaker_id for item in train.recordings} & {item.speaker_id for item in held_out.recordings}
    truth = {recording.sha256: recording.annotations[0].emotion for recording in labelled}
    rows = rows_of(taught.train) + rows_of(taught.held_out)
    assert {row["recording_sha256"]: row["emotion"] for row in rows} == truth
    assert taught.left_out == ()


def test_pieces_have_the_recordings_samples_in_16_bits_at_its_rate(sound_files, sound_of, tmp_path):
    first, second = list(sound_files)[:2]
    recordings = [
        marked(first, mark("ann", 0.1, 0.5), mark("ann", 0.7, 1.2333, "sad")),
        marked(second, whole("ann", "happy")),
    ]
    taught = write_taught_corpus(recordings, sound_of, tmp_path / "taught")
    assert taught.held_out is None
    assert not (tmp_path / "taught/held_out.csv").exists()
    rows = rows_of(taught.train)
    assert [(row["emotion"], row["start_s"], row["end_s"]) for row in rows] == [
        ("angry", "0.1", "0.5"),
        ("sad", "0.7", "1.2333"),
        ("happy", "0.0", "1.5"),
    ]
    for row, region in zip(rows, (slice(2205, 11025), slice(15435, 27194), slice(None)), strict=True):
        file = taught.train.parent / row["path"]
        info = soundfile.info(file)
        assert (info.subtype, info.channels) == ("PCM_16", 1)
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row["sha256"]
        own, rate = soundfile.read(sound_files[row["recording_sha256"]], dtype="int16")
        written, its_rate = soundfile.read(file, dtype="int16")
        assert rate == its_rate == info.samplerate
        np.testing.assert_array_equal(written, own[region])


def test_a_training_reads_the_taught_corpus(labelled, sound_of, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_YAMNET_WEIGHTS", "audioset.safetensors")
    taught = write_taught_corpus(labelled, sound_of, tmp_path / "taught")
    plan = TrainingPlan({"taught": str(taught.train)}, network="vggish", folds=4)
    data = read_training_data(plan, tmp_path / "log_mels", UNWATCHED)
    assert len(data.train + data.validation + data.test) == 8
    assert not data.left_out
    assert set(data.seen) <= {row["sha256"] for row in rows_of(taught.train)}
    # Training recordings are recognised when the same recordings are taught again.
    again = write_taught_corpus(labelled, sound_of, tmp_path / "again", trained_on=data.seen, seed=1)
    held_out = {row["speaker"] for row in rows_of(again.held_out)}
    assert held_out
    assert held_out.isdisjoint(speaker.removeprefix("taught:") for speaker in data.seen.values())


def test_speakers_are_named_where_they_are_known(labelled, sound_of, tmp_path):
    speakers = {recording.sha256: f" voice {n // 3} " for n, recording in enumerate(labelled[:9])}
    taught = write_taught_corpus(labelled, sound_of, tmp_path / "taught", speakers=speakers)
    for row in rows_of(taught.train) + rows_of(taught.held_out):
        known = speakers.get(row["recording_sha256"])
        assert row["speaker"] == (known.strip() if known else f"recording-{row['recording_sha256'][:16]}")
    assert "(3 recordings name no speaker)" in taught.words


def test_names_with_any_character_survive_the_manifest(labelled, sound_of, tmp_path):
    names = ('Ann "A", the first', "=1+1", "новый\nголос", "B\udcff", " ")
    speakers = {recording.sha256: name for recording, name in zip(labelled, names, strict=False)}
    taught = write_taught_corpus(labelled[:5], sound_of, tmp_path / "taught", speakers=speakers)
    items = [item for file in (taught.train, taught.held_out) if file for item in read_corpus("x", file).recordings]
    expected = {'Ann "A", the first', "=1+1", "новый\nголос", "B\\udcff", f"recording-{labelled[4].sha256[:16]}"}
    assert {item.speaker for item in items} == expected


def test_marks_of_several_people_in_several_files_are_merged_into_one_recording(labelled, sound_of, tmp_path):
    other = [replace(r, annotations=(whole("ben", "fear"),), name="copy.wav") for r in labelled[:1]]
    third = [replace(r, annotations=(whole("cleo", "fear"),)) for r in labelled[:1]]
    taught = write_taught_corpus([*labelled, *other, *third], sound_of, tmp_path / "taught")
    rows = rows_of(taught.train) + rows_of(taught.held_out)
    assert len(rows) == 12
    (first,) = [row for row in rows if row["recording_sha256"] == labelled[0].sha256]
    assert (first["emotion"], first["annotators"]) == ("fear", "3")


def test_left_out_marks_are_listed_with_the_reason(labelled, sound_of, tmp_path):
    def not_always(sha256):
        if sha256 == "f" * 64:
            raise AudioRefused("gone.wav: there is no such file. Check the path.")
        return sound_of("a" * 64 if sha256 == labelled[2].sha256 else sha256)

    recordings = [
        labelled[0],
        marked("f" * 64, whole("ann", "sad"), name="gone"),
        replace(labelled[2], name="elsewhere"),
        marked("../../../etc/passwd", whole("ann", "sad"), name="evil"),
        marked(None, whole("ann", "sad"), name="nameless 1"),
        marked(None, whole("ben", "angry"), name="nameless 2"),
        marked(
            labelled[1].sha256, mark("ann", 0.2, 0.25), mark("ann", 2, 3), mark("ann", 0, 1, status="open"), name="b"
        ),
    ]
    taught = write_taught_corpus(recordings, not_always, tmp_path / "taught")
    assert taught.train_count == {"angry": 1}
    reasons = dict(taught.left_out[:5])
    assert reasons["gone"] == "gone.wav: there is no such file. Check the path."
    assert reasons["elsewhere"] == NO_SOUND
    assert all("SHA-256, which is unknown" in reasons[name] for name in ("evil", "nameless 1", "nameless 2"))
    assert [name for name, _ in taught.left_out[5:]] == ["b"] * 3
    assert taught.reasons()[OPEN] == 1
    assert sum("at least 0.1 s are needed" in reason for _, reason in taught.left_out) == 2


def test_another_sound_is_not_taken_for_the_marked_one(labelled, sound_of, tmp_path):
    other = labelled[1].sha256
    with pytest.raises(AnnotationsRefused, match=NO_SOUND):
        write_taught_corpus(labelled[:1], lambda sha256: sound_of(other), tmp_path / "taught")


def test_the_same_marks_give_the_same_files(labelled, sound_of, tmp_path):
    one, other = (write_taught_corpus(labelled, sound_of, tmp_path / name, seed=2) for name in ("one", "other"))
    for file in ("train.csv", "held_out.csv"):
        assert (one.train.parent / file).read_bytes() == (other.train.parent / file).read_bytes()


# --- refusals, and nothing half-written ---


@pytest.mark.parametrize(
    ("marks", "match"),
    [
        ([whole("ann", "sad", "open")] * 2, "No label can be taught. 2 times: a mark that is still open. Give"),
        ([whole("ann", "sad"), whole("ben", "happy")], "1 times: annotators disagree"),
        ([], "No label can be taught. Give recordings or regions an emotion, and set their marks to done"),
    ],
)
def test_marks_without_anything_to_teach_are_refused_and_leave_nothing(marks, match, labelled, sound_of, tmp_path):
    with pytest.raises(AnnotationsRefused, match=match):
        write_taught_corpus([marked(labelled[0].sha256, *marks)], sound_of, tmp_path / "new" / "taught")
    assert not list((tmp_path / "new").iterdir())


def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_is(labelled, sound_of, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(WriteRefused, match=r"already exists and is not empty. Choose a new folder"):
            write_taught_corpus(labelled, sound_of, place)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused(labelled, sound_of, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteRefused, match=r"cannot be written.*or choose another folder"):
        write_taught_corpus(labelled, sound_of, tmp_path / "file" / "taught")
    with pytest.raises(WriteRefused, match="cannot be written"):
        write_taught_corpus(labelled, sound_of, tmp_path / ("n" * 300))


def test_an_empty_folder_is_filled(labelled, sound_of, tmp_path):
    (tmp_path / "taught").mkdir()
    assert write_taught_corpus(labelled, sound_of, tmp_path / "taught").train.is_file()
    assert [file.name for file in tmp_path.iterdir()] == ["taught"]


def test_a_cancelled_run_leaves_nothing_behind(labelled, sound_of, tmp_path):
    said = []
    with pytest.raises(Cancelled):
        write_taught_corpus(
            labelled,
            sound_of,
            tmp_path / "taught",
            work=Work(lambda fraction, text: said.append((fraction, text)), lambda: len(said) == 6),
        )
    assert said[-1] == (5 / 12, "Recording 5 of 12")
    assert not list(tmp_path.iterdir())


def test_an_error_halfway_leaves_nothing_behind(labelled, sound_of, tmp_path):
    def failing(sha256):
        if sha256 == labelled[7].sha256:
            raise RuntimeError("broken")
        return sound_of(sha256)

    with pytest.raises(RuntimeError, match="broken"):
        write_taught_corpus(labelled, failing, tmp_path / "taught")
    assert not list(tmp_path.iterdir())


# --- whether the model is offered ---

EMOTIONS = ("angry", "sad")


def model(right, speakers=10):
    """Predictions of recordings of two emotions by several speakers, right where given."""
    right = np.asarray(right, bool)
    labels = np.arange(len(right)) // speakers % 2
    predicted = np.where(right, labels, 1 - labels)
    return Predictions(
        EMOTIONS,
        tuple(f"{n:064x}" for n in range(len(right))),
        ("taught",) * len(right),
        tuple(f"taught:s{n % speakers}" for n in range(len(right))),
        ("",) * len(right),
        labels,
        np.eye(2)[predicted] * 0.8 + 0.1,
    )


ALL = np.ones(100, bool)
#: Eight of ten recordings of each speaker.
EIGHTY_PERCENT = np.arange(100) // 10 > 1


def test_a_model_that_got_better_is_offered_with_its_figures():
    found = acceptance_of(model(EIGHTY_PERCENT), model(ALL), {})
    assert found.offered
    assert found.difference == paired_difference(model(ALL), model(EIGHTY_PERCENT))
    assert found.difference.gain == pytest.approx(0.2)
    assert found.words == (
        "On 100 held-out pieces of 100 recordings by 10 speakers its UAR changed by +20.0 points (95 % interval +20.0 "
        "to +20.0, over speakers): it is not worse and may become the new default."
    )


def test_a_model_that_predicts_the_same_is_offered():
    assert acceptance_of(model(EIGHTY_PERCENT), model(EIGHTY_PERCENT), {}).offered


def test_a_model_that_got_worse_is_not_offered():
    found = acceptance_of(model(ALL), model(EIGHTY_PERCENT), {})
    assert not found.offered
    assert "-20.0 points" in found.words
    assert "it got worse and is not offered" in found.words
    one_less = ALL.copy()
    one_less[17] = False
    assert not acceptance_of(model(ALL), model(one_less), {}).offered


def test_a_model_that_may_be_much_worse_is_not_offered_even_if_it_is_better_here():
    # It gains ten recordings of one speaker and loses nine, each of another.
    before, after = ALL.copy(), ALL.copy()
    before[np.arange(0, 100, 10)] = False
    after[[11, 12, 13, 14, 15, 16, 17, 18, 21]] = False
    found = acceptance_of(model(before), model(after), {})
    assert found.difference.gain > 0
    assert found.difference.interval[0] < -0.05
    assert not found.offered
    assert "may be worse by more than 5 points" in found.words


def test_a_better_model_that_is_certainly_not_much_worse_is_offered():
    before, after = ALL.copy(), ALL.copy()
    before[np.arange(0, 50, 10)] = False
    after[[11, 22]] = False
    found = acceptance_of(model(before), model(after), {})
    assert -0.05 < found.difference.interval[0] < 0 < found.difference.gain
    assert found.offered


@pytest.mark.parametrize(("count", "offered"), [(MIN_RECORDINGS - 1, False), (MIN_RECORDINGS, True)])
def test_with_too_few_recordings_no_model_is_offered(count, offered):
    found = acceptance_of(model(EIGHTY_PERCENT[:count]), model(ALL[:count]), {})
    assert found.offered is offered
    assert ("do not tell whether it is worse" in found.words) is not offered


def test_pieces_of_one_recording_are_one_recording(labelled, sound_of, tmp_path):
    before, after = model(EIGHTY_PERCENT[:24], speakers=2), model(ALL[:24], speakers=2)
    of_two = {piece: f"recording {number % 2}" for number, piece in enumerate(after.sha256)}
    assert acceptance_of(before, after, {}).offered
    found = acceptance_of(before, after, of_two)
    assert not found.offered
    assert "On 24 held-out pieces of 2 recordings" in found.words
    taught = write_taught_corpus(labelled, sound_of, tmp_path / "taught")
    rows = rows_of(taught.held_out)
    assert recording_of_pieces(taught.held_out) == {row["sha256"]: row["recording_sha256"] for row in rows}
    assert rows


def test_with_few_speakers_recordings_are_resampled_and_that_is_reported():
    right = np.random.default_rng(0).random((2, 60)) < [[0.7], [0.75]]
    found = acceptance_of(*(model(each, speakers=4) for each in right), {})
    own = [replace(model(each, speakers=4), speakers=model(each).sha256) for each in right]
    assert found.difference == replace(paired_difference(own[1], own[0]), speakers=4)
    assert found.difference.interval != paired_difference(*(model(each, speakers=4) for each in right[::-1])).interval
    assert "by 4 speakers" in found.words
    assert "over recordings, so it says nothing about other voices" in found.words
    assert "over speakers)" in acceptance_of(*(model(each, speakers=5) for each in right), {}).words


def voices(right, speakers, recordings):
    """Predictions of one emotion of two, right where given, and `recording_of` of the pieces."""
    pieces = tuple(f"{n:064x}" for n in range(len(right)))
    table = Predictions(
        EMOTIONS,
        pieces,
        ("taught",) * len(right),
        tuple(f"taught:{speaker}" for speaker in speakers),
        ("",) * len(right),
        np.zeros(len(right), int),
        np.eye(2)[np.where(right, 0, 1)] * 0.8 + 0.1,
    )
    return table, dict(zip(pieces, recordings, strict=True))


def test_the_interval_resamples_whole_speakers_if_they_are_named():
    # Five speakers of four recordings each; the new model is right where the old one was wrong, all of one
    # speaker. Of five speakers drawn, so many are that one: 3 or fewer in 99.3 % of the draws, 2 or fewer in 94.2 %. Of
    # twenty recordings drawn, 8 or fewer are of that speaker in 99.0 %, 7 or fewer in 96.8 %.
    speakers, recordings = np.repeat([f"voice {n}" for n in range(5)], 4), [f"{n:016x}" for n in range(20)]
    before, of_pieces = voices(np.arange(20) >= 4, speakers, recordings)
    after, _ = voices(np.ones(20, bool), speakers, recordings)
    found = acceptance_of(before, after, of_pieces)
    assert found.difference.interval == (0.0, 3 / 5)
    assert (found.difference.speakers, found.offered) == (5, True)
    assert "of 20 recordings by 5 speakers its UAR" in found.words
    assert "over speakers)" in found.words
    nobody = [speaker_for(recording) for recording in recordings]
    before, after = (replace(table, speakers=tuple(f"taught:{name}" for name in nobody)) for table in (before, after))
    found = acceptance_of(before, after, of_pieces)
    assert found.difference.interval == pytest.approx((0.05, 8 / 20))
    assert found.difference.speakers == 0
    assert "of 20 recordings that name no speaker its UAR" in found.words
    assert "over recordings, so it says nothing about other voices" in found.words


def test_recordings_without_a_speaker_count_as_one_each_and_that_is_reported():
    recordings = [f"{n:016x}" for n in range(24)]
    speakers = [f"voice {n // 4}" for n in range(20)] + [speaker_for(recording) for recording in recordings[20:]]
    before, of_pieces = voices(np.arange(24) >= 4, speakers, recordings)
    found = acceptance_of(before, voices(np.ones(24, bool), speakers, recordings)[0], of_pieces)
    assert found.difference.speakers == 5
    assert "by 5 speakers (4 recordings name none) its UAR" in found.words
    assert "over speakers, each recording that names none counting as one)" in found.words


def test_models_of_other_emotions_are_refused():
    with pytest.raises(SettingsRefused, match="choose models of the same emotions"):
        acceptance_of(model(ALL), replace(model(ALL), emotions=("happy", "sad")), {})
