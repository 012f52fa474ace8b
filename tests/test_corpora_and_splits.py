"""Readers of the corpora against names worked by hand and published counts; laws of the division by speakers."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_core.corpora import READERS, read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.emotions import EMOTION_SETS
from ser_core.errors import CorpusRefused, SettingsRefused
from ser_core.splits import shared_texts, speaker_splits

# --- names ---


@pytest.mark.parametrize(
    ("corpus", "name", "speaker", "emotion", "text", "gender"),
    [
        ("ravdess", "03-01-01-01-01-01-01.wav", "01", "neutral", "01", "male"),
        ("ravdess", "03-01-02-02-02-01-24.wav", "24", "calm", "02", "female"),
        ("ravdess", "03-01-03-01-01-02-07.flac", "07", "happy", "01", "male"),
        ("ravdess", "03-01-04-01-01-02-08.flac", "08", "sad", "01", "female"),
        ("ravdess", "03-01-05-02-01-02-12.wav", "12", "angry", "01", "female"),
        ("ravdess", "03-01-06-02-01-02-12.wav", "12", "fear", "01", "female"),
        ("ravdess", "03-01-07-02-01-02-13.wav", "13", "disgust", "01", "male"),
        ("ravdess", "03-01-08-02-01-02-13.wav", "13", "surprise", "01", "male"),
        ("emodb", "03a01Fa.wav", "03", "happy", "a01", "male"),
        ("emodb", "08b10Wd.flac", "08", "angry", "b10", "female"),
        ("emodb", "09a02Eb.wav", "09", "disgust", "a02", "female"),
        ("emodb", "16a04Ac.wav", "16", "fear", "a04", "female"),
        ("emodb", "10a05Ta.wav", "10", "sad", "a05", "male"),
        ("emodb", "15b03Nc.wav", "15", "neutral", "b03", "male"),
        ("nemo", "SM0_anger_77.wav", "SM0", "angry", "77", None),
        ("nemo", "EB0_happiness_1.opus", "EB0", "happy", "1", None),
        ("nemo", "WR0_neutral_90.opus", "WR0", "neutral", "90", None),
        ("nemo", "WR0_sadness_9.opus", "WR0", "sad", "9", None),
        ("nemo", "WR0_fear_9.opus", "WR0", "fear", "9", None),
        ("nemo", "WR0_surprised_9.opus", "WR0", "surprise", "9", None),
        ("korean_emotional_tts", "ema00001.wav", "ema", "neutral", "neutral-0", None),
        ("korean_emotional_tts", "ema00100.wav", "ema", "neutral", "neutral-99", None),
        ("korean_emotional_tts", "emb00101.wav", "emb", "happy", "neutral-0", None),
        ("korean_emotional_tts", "nea00203.wav", "nea", "angry", "angry-2", None),
        ("korean_emotional_tts", "neo00400.wav", "neo", "sad", "sad-99", None),
    ],
)
def test_name_says_speaker_emotion_sentence_and_gender(corpus, name, speaker, emotion, text, gender):
    found = READERS[corpus](Path("anywhere") / name)
    assert isinstance(found, LabelledRecording), found
    assert (found.corpus, found.speaker, found.emotion, found.text) == (corpus, speaker, emotion, text)
    assert found.gender == gender
    assert found.speaker_id == f"{corpus}:{speaker}"


@pytest.mark.parametrize(
    ("corpus", "name", "reason"),
    [
        ("ravdess", "03-02-05-01-01-01-01.wav", "song, not speech"),
        ("ravdess", "03-01-09-01-01-01-01.wav", "unknown emotion number 09"),
        ("ravdess", "03-01-00-01-01-01-01.wav", "unknown emotion number 00"),
        ("ravdess", "03-01-05-01-01-01.wav", "name is not of the form 03-01-EE-II-SS-RR-AA"),
        ("ravdess", "03-01-05-01-01-01-1.wav", "name is not of the form 03-01-EE-II-SS-RR-AA"),
        ("emodb", "03a01La.wav", "boredom, which no emotion set holds"),
        ("emodb", "03a01Xa.wav", "unknown emotion letter X"),
        ("emodb", "03a01F.wav", "name is not of the form 03a01Fa"),
        ("emodb", "03c01Fa.wav", "name is not of the form 03a01Fa"),
        ("nemo", "SM0_boredom_77.wav", "unknown emotion boredom"),
        ("nemo", "SM0_anger.wav", "name is not of the form SPEAKER_emotion_sentence"),
        ("korean_emotional_tts", "ema00000.wav", "number 0 is outside 1 to 400"),
        ("korean_emotional_tts", "ema00401.wav", "number 401 is outside 1 to 400"),
        ("korean_emotional_tts", "ema0203.wav", "name is not of the form ema00203"),
    ],
)
def test_file_that_does_not_belong_is_left_out_with_its_reason(corpus, name, reason):
    assert READERS[corpus](Path(name)) == reason


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_corpus_is_read_from_all_folders_below_in_order_and_what_is_left_out_is_counted(tmp_path):
    touched(tmp_path, "b/03a01Fa.wav", "a/03a02Wa.FLAC", "b/03a01La.wav", "c/08a01Lb.wav", "holiday.mp3", "README.md")
    corpus = read_corpus("emodb", tmp_path)
    assert [item.path.name for item in corpus.recordings] == ["03a02Wa.FLAC", "03a01Fa.wav"]
    assert corpus.reasons() == {"boredom, which no emotion set holds": 2, "name is not of the form 03a01Fa": 1}


def test_unknown_corpus_is_refused_and_the_known_ones_are_named(tmp_path):
    with pytest.raises(
        CorpusRefused, match=r"no reader for the corpus 'iemocap'; choose one of ravdess, emodb, nemo, kor"
    ):
        read_corpus("iemocap", tmp_path)


@pytest.mark.parametrize("inside", [[], ["README.md", "notes.txt"]])
def test_folder_without_audio_is_refused(tmp_path, inside):
    with pytest.raises(CorpusRefused, match=r"No audio was found under .*; give the folder that holds the corpus nemo"):
        read_corpus("nemo", touched(tmp_path, *inside))


def test_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CorpusRefused, match="No audio was found"):
        read_corpus("nemo", tmp_path / "gone")


def test_folder_of_another_corpus_is_refused_with_a_name_and_the_reason(tmp_path):
    touched(tmp_path, "03a01Fa.wav", "03a01Wa.wav")
    with pytest.raises(
        CorpusRefused, match=r"None of the 2 files .* is named as in nemo.*03a01Fa\.wav: name is not of"
    ):
        read_corpus("nemo", tmp_path)


# --- the corpora themselves ---

COUNTS = {
    "ravdess": {"neutral": 96} | dict.fromkeys(("calm", "happy", "sad", "angry", "fear", "disgust", "surprise"), 192),
    "emodb": {"angry": 127, "disgust": 46, "fear": 69, "happy": 71, "sad": 62, "neutral": 79},
    "nemo": {"angry": 749, "fear": 736, "happy": 749, "neutral": 809, "sad": 769, "surprise": 669},
    "korean_emotional_tts": dict.fromkeys(("neutral", "happy", "angry", "sad"), 75),
}
SPEAKERS = {"ravdess": 24, "emodb": 10, "nemo": 9, "korean_emotional_tts": 15}
SENTENCES = {"ravdess": 2, "emodb": 10, "nemo": 90}


@pytest.mark.corpora
@pytest.mark.parametrize("name", COUNTS)
def test_corpus_holds_the_published_recordings_speakers_and_sentences(corpora, name):
    corpus = read_corpus(name, corpora / name)
    assert Counter(item.emotion for item in corpus.recordings) == COUNTS[name]
    assert len({item.speaker for item in corpus.recordings}) == SPEAKERS[name]
    if name in SENTENCES:
        assert len({item.text for item in corpus.recordings}) == SENTENCES[name]
    assert corpus.reasons() == ({"boredom, which no emotion set holds": 81} if name == "emodb" else {})


@pytest.mark.corpora
def test_four_emotions_have_4387_recordings_of_58_speakers_of_whom_none_is_on_two_sides(corpora):
    recordings = [
        item
        for name in COUNTS
        for item in read_corpus(name, corpora / name).recordings
        if item.emotion in EMOTION_SETS["core4"]
    ]
    assert len(recordings) == 4_387
    assert len({item.speaker_id for item in recordings}) == 58
    for split in speaker_splits(recordings, folds=5, seed=0):
        hold_the_laws_of_one_split(recordings, split)


# --- division by speakers ---


def spoken_by(speakers_of: dict[str, int], sentences: int = 2) -> list[LabelledRecording]:
    """Return recordings in which speaker k of a corpus says the sentences k, k + 1, ..."""
    return [
        LabelledRecording(
            Path(f"{corpus}-{speaker}-{text}"), corpus, f"s{speaker}", "sad", f"t{speaker + text}", "German"
        )
        for corpus, number in speakers_of.items()
        for speaker in range(number)
        for text in range(sentences)
    ]


def hold_the_laws_of_one_split(recordings, split):
    sides = [split.train, split.validation, split.test]
    assert sorted(sum(sides, ())) == list(range(len(recordings)))
    speakers = [{recordings[place].speaker_id for place in side} for side in sides]
    assert not speakers[0] & speakers[1]
    assert not speakers[0] & speakers[2]
    assert not speakers[1] & speakers[2]
    every_corpus = {item.corpus for item in recordings}
    for side in sides:
        assert {recordings[place].corpus for place in side} == every_corpus


@given(
    sizes=st.lists(st.integers(4, 26), min_size=1, max_size=3),
    folds=st.integers(2, 6),
    seed=st.integers(0, 2**32),
)
def test_nobody_is_on_two_sides_and_everybody_is_tested_exactly_once(sizes, folds, seed):
    recordings = spoken_by({f"corpus{i}": max(size, folds) for i, size in enumerate(sizes)})
    splits = speaker_splits(recordings, folds, seed)
    assert len(splits) == folds
    for split in splits:
        hold_the_laws_of_one_split(recordings, split)
    assert sorted(place for split in splits for place in split.test) == list(range(len(recordings)))


def test_three_speakers_in_three_folds_are_tested_validate_and_are_learnt_from_in_turn():
    recordings = spoken_by({"small": 3}, sentences=1)
    splits = speaker_splits(recordings, 3, seed=0)
    for split in splits:
        hold_the_laws_of_one_split(recordings, split)
    for side in ("train", "validation", "test"):
        assert {place for split in splits for place in getattr(split, side)} == {0, 1, 2}


def test_folds_of_each_corpus_are_even():
    recordings = spoken_by({"a": 24, "b": 10}, sentences=1)
    for split in speaker_splits(recordings, 5, seed=1):
        tested = Counter(recordings[place].corpus for place in split.test)
        assert tested["a"] in (4, 5)
        assert tested["b"] == 2


def test_about_fifteen_percent_of_the_other_speakers_validate():
    recordings = spoken_by({"a": 24, "b": 4}, sentences=1)
    for split in speaker_splits(recordings, 4, seed=1):
        validating = Counter(recordings[place].corpus for place in split.validation)
        assert validating == {"a": 3, "b": 1}  # 0.15 x 18 = 2.7; 0.15 x 3 = 0.45, but at least one


def test_same_seed_gives_the_same_division_and_another_seed_another():
    recordings = spoken_by({"a": 24})
    assert speaker_splits(recordings, 5, seed=3) == speaker_splits(recordings, 5, seed=3)
    assert speaker_splits(recordings, 5, seed=3) != speaker_splits(recordings, 5, seed=4)


def test_order_of_the_recordings_does_not_change_who_is_tested_when():
    recordings = spoken_by({"a": 12, "b": 7})
    turned = recordings[::-1]
    for one, other in zip(speaker_splits(recordings, 4, 0), speaker_splits(turned, 4, 0), strict=True):
        tested, tested_turned = ({of[p].speaker_id for p in s.test} for of, s in ((recordings, one), (turned, other)))
        assert tested == tested_turned


def test_words_say_the_fold_and_how_many_sentences_are_known_from_training():
    recordings = spoken_by({"a": 6}, sentences=1)  # everybody says something else
    words = [split.words for split in speaker_splits(recordings, 3, seed=0)]
    assert words == [
        f"speaker-disjoint, fold {fold} of 3; 0 of 2 test sentences are also spoken in training" for fold in (1, 2, 3)
    ]


def test_sentences_shared_with_training_are_counted_within_a_corpus_only():
    def item(corpus, text):
        return LabelledRecording(Path(text), corpus, "s", "sad", text, "German")

    recordings = [item("a", "t1"), item("a", "t2"), item("a", "t1"), item("b", "t2"), item("a", "t3")]
    sides = {"train": [0, 1, 4], "validation": [], "test": [2, 3]}
    assert shared_texts(recordings, sides) == "1 of 2 test sentences are also spoken in training"


@pytest.mark.parametrize(("speakers", "folds", "needed"), [(2, 3, 3), (3, 5, 5), (9, 10, 10), (3, 2, 4)])
def test_corpus_with_too_few_speakers_is_refused(speakers, folds, needed):
    recordings = spoken_by({"large": 40, "small": speakers})
    with pytest.raises(SettingsRefused, match=f"small has {speakers} speakers; {folds} folds need at least {needed}"):
        speaker_splits(recordings, folds, seed=0)


@pytest.mark.parametrize("folds", [-1, 0, 1])
def test_fewer_than_two_folds_are_refused(folds):
    with pytest.raises(SettingsRefused, match="at least 2"):
        speaker_splits(spoken_by({"a": 10}), folds, seed=0)
