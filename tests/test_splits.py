"""Laws of splits by speaker, by corpus and at random."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ser_core.analysis.emotions import EMOTION_SETS
from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import LabelledRecording
from ser_core.corpora.splits import corpus_splits, random_splits, sentence_splits, shared_texts, speaker_splits
from ser_core.errors import SettingsRefused

# --- split by speaker ---


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
def test_no_speaker_is_on_two_sides_and_each_is_tested_exactly_once(sizes, folds, seed):
    recordings = spoken_by({f"corpus{i}": max(size, folds) for i, size in enumerate(sizes)})
    splits = speaker_splits(recordings, folds, seed)
    assert len(splits) == folds
    for split in splits:
        hold_the_laws_of_one_split(recordings, split)
    assert sorted(place for split in splits for place in split.test) == list(range(len(recordings)))


def test_three_speakers_in_three_folds_are_test_validation_and_training_in_turn():
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


def test_about_fifteen_percent_of_the_other_speakers_are_for_validation():
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


def test_the_description_names_the_fold_and_counts_sentences_known_from_training():
    recordings = spoken_by({"a": 6}, sentences=1)  # everybody says different sentences
    descriptions = [split.description for split in speaker_splits(recordings, 3, seed=0)]
    assert descriptions == [
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


def test_unknown_sentences_are_counted_separately():
    recordings = [
        LabelledRecording(Path(str(n)), "a", "s", "sad", text, "German") for n, text in enumerate(["x", "", "x", ""])
    ]
    words = shared_texts(recordings, {"train": [0, 1], "validation": [], "test": [2, 3]})
    assert words == "1 of 1 test sentences are also spoken in training; the sentences of 1 test recordings are unknown"


# --- split by speaker and sentence ---


@given(
    sizes=st.lists(st.tuples(st.integers(5, 20), st.integers(5, 30)), min_size=1, max_size=3),
    folds=st.integers(2, 5),
    seed=st.integers(0, 2**32),
)
def test_no_speaker_and_no_sentence_is_on_two_sides_and_each_is_tested_in_one_fold(sizes, folds, seed):
    recordings = [
        LabelledRecording(Path(f"{corpus}-{speaker}-{text}"), f"c{corpus}", f"s{speaker}", "sad", f"t{text}", "German")
        for corpus, (speakers, sentences) in enumerate(sizes)
        for speaker in range(speakers)
        for text in range(sentences)
    ]
    tested_speakers, tested_sentences = Counter(), Counter()
    for split in sentence_splits(recordings, folds, seed):
        sides = [split.train, split.validation, split.test]
        placed = sum(sides, ())
        assert len(placed) == len(set(placed))
        for shared in (lambda item: item.speaker_id, lambda item: (item.corpus, item.text)):
            train, validation, test = ({shared(recordings[place]) for place in side} for side in sides)
            assert not train & validation
            assert not (train | validation) & test
        for side in sides:
            assert {recordings[place].corpus for place in side} == {item.corpus for item in recordings}
        tested_speakers.update({recordings[place].speaker_id for place in split.test})
        tested_sentences.update({(recordings[place].corpus, recordings[place].text) for place in split.test})
        assert "0 of " in split.description
    assert set(tested_speakers.values()) == set(tested_sentences.values()) == {1}
    assert set(tested_speakers) == {item.speaker_id for item in recordings}
    assert set(tested_sentences) == {(item.corpus, item.text) for item in recordings}


def every_sentence_by_everybody(corpus: str, speakers: int, sentences: int) -> list[LabelledRecording]:
    return [
        LabelledRecording(Path(f"{corpus}{s}{t}"), corpus, f"s{s}", "sad", f"t{t}", "German")
        for s in range(speakers)
        for t in range(sentences)
    ]


def test_a_fold_tests_its_speakers_on_its_sentences_and_mixed_recordings_are_on_no_side():
    recordings = every_sentence_by_everybody("a", speakers=10, sentences=10)
    for split in sentence_splits(recordings, 5, seed=0):
        # Of 10 each, 2 are tested; of the other 8, 2 are for validation and 6 for training.
        assert (len(split.test), len(split.validation), len(split.train)) == (2 * 2, 2 * 2, 6 * 6)


def test_a_corpus_with_too_few_sentences_or_speakers_is_only_for_training_and_that_is_reported():
    few_sentences = every_sentence_by_everybody("poor", speakers=24, sentences=2)
    few_speakers = every_sentence_by_everybody("pair", speakers=2, sentences=200)
    recordings = few_sentences + few_speakers + every_sentence_by_everybody("rich", speakers=10, sentences=12)
    for split in sentence_splits(recordings, 5, seed=0):
        assert {recordings[place].corpus for place in split.validation + split.test} == {"rich"}
        assert set(range(48 + 400)) <= set(split.train)
        assert "poor (24 speakers, 2 sentences)" in split.description
        assert "pair (2 speakers, 200 sentences)" in split.description


def test_recordings_of_unknown_sentences_are_on_no_side_of_a_sentence_split():
    known = every_sentence_by_everybody("a", speakers=6, sentences=6)
    unknown = [LabelledRecording(Path("x"), "a", "s0", "sad", "", "German")]
    for split in sentence_splits(known + unknown, 3, seed=0):
        assert len(known) not in split.train + split.validation + split.test


def test_a_sentence_split_is_refused_if_no_corpus_has_enough_sentences():
    recordings = every_sentence_by_everybody("ravdess", speakers=24, sentences=2)
    with pytest.raises(SettingsRefused, match=r"5 known sentences.*ravdess \(24 speakers, 2 sentences\)"):
        sentence_splits(recordings, 5, seed=0)
    with pytest.raises(SettingsRefused, match="at least 2"):
        sentence_splits(recordings, 1, seed=0)


def test_a_fold_that_leaves_a_side_empty_is_refused():
    # Everybody says their own sentence: a test's only speaker hardly ever says the test's sentence.
    with pytest.raises(SettingsRefused, match="leaves a side without recordings"):
        sentence_splits(spoken_by({"a": 5}, sentences=1), 5, seed=0)


def test_order_of_the_recordings_does_not_change_which_sentences_are_tested():
    recordings = every_sentence_by_everybody("a", speakers=7, sentences=9)
    turned = recordings[::-1]
    for one, other in zip(sentence_splits(recordings, 4, 0), sentence_splits(turned, 4, 0), strict=True):
        assert {recordings[place].path for place in one.test} == {turned[place].path for place in other.test}


# --- split by corpus ---


@given(sizes=st.lists(st.integers(2, 26), min_size=2, max_size=4), seed=st.integers(0, 2**32))
def test_every_corpus_is_tested_once_and_the_others_are_divided_by_speaker(sizes, seed):
    recordings = spoken_by({f"corpus{i}": size for i, size in enumerate(sizes)})
    splits = corpus_splits(recordings, seed)
    assert len(splits) == len(sizes)
    for place, split in enumerate(splits):
        assert sorted(split.train + split.validation + split.test) == list(range(len(recordings)))
        assert {recordings[i].corpus for i in split.test} == {f"corpus{place}"}
        speakers = [{recordings[i].speaker_id for i in side} for side in (split.train, split.validation)]
        assert not speakers[0] & speakers[1]
        for other, size in enumerate(sizes):
            if other != place:
                validating = sum(name.startswith(f"corpus{other}:") for name in speakers[1])
                assert validating == max(1, round(0.15 * size))
                assert any(name.startswith(f"corpus{other}:") for name in speakers[0])


def test_the_description_names_the_left_out_corpus_and_languages():
    recordings = [
        LabelledRecording(Path(f"{corpus}{n}"), corpus, f"s{n}", "sad", "t", language)
        for corpus, languages in {"a": ("German", "Dutch"), "b": ("Korean", "Korean")}.items()
        for n, language in enumerate(languages)
    ]
    assert [split.description for split in corpus_splits(recordings, seed=0)] == [
        "corpus-disjoint, a (Dutch, German) left out of training; 0 of 1 test sentences are also spoken in training",
        "corpus-disjoint, b (Korean) left out of training; 0 of 1 test sentences are also spoken in training",
    ]


@pytest.mark.parametrize("corpora_in_it", [0, 1])
def test_fewer_than_two_corpora_are_refused(corpora_in_it):
    recordings = spoken_by({"a": 9}) if corpora_in_it else []
    with pytest.raises(SettingsRefused, match=f"at least 2 corpora, and there are {corpora_in_it}; add a corpus"):
        corpus_splits(recordings, seed=0)


def test_a_corpus_of_one_speaker_is_refused_in_a_split_by_corpus():
    with pytest.raises(SettingsRefused, match="small has 1 speaker; at least 2 are needed"):
        corpus_splits(spoken_by({"large": 9, "small": 1}), seed=0)


# --- random split ---


def takes_of(groups: list[tuple[int, int, int, int]], takes: list[int]) -> list[LabelledRecording]:
    """Return takes[i] recordings of the group i: corpus, emotion, speaker, sentence."""
    emotions = EMOTION_SETS["core4"]
    return [
        LabelledRecording(Path(f"{i}-{take}"), f"c{corpus}", f"s{speaker}", emotions[emotion], f"t{text}", "German")
        for i, (corpus, emotion, speaker, text) in enumerate(groups)
        for take in range(takes[i])
    ]


every_group = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 4), st.integers(0, 9))


@given(
    groups=st.lists(every_group, min_size=5, max_size=120, unique=True),
    takes=st.lists(st.integers(1, 4), min_size=120, max_size=120),
    seed=st.integers(0, 2**32),
)
def test_takes_stay_together_and_every_corpus_and_emotion_is_divided_by_the_given_shares(groups, takes, seed):
    recordings = takes_of(groups, takes)
    try:
        (split,) = random_splits(recordings, seed)
    except SettingsRefused:
        assume(False)
    assert sorted(split.train + split.validation + split.test) == list(range(len(recordings)))
    sides = defaultdict(set)
    counts = {"train": Counter(), "validation": Counter(), "test": Counter()}
    for side, count in counts.items():
        for place in getattr(split, side):
            item = recordings[place]
            sides[item.corpus, item.speaker, item.text, item.emotion].add(side)
            count[item.corpus, item.emotion] += 1
    assert all(len(found) == 1 for found in sides.values())
    strata = Counter((item.corpus, item.emotion) for item in recordings)
    for side, share in {"test": 0.15, "validation": 0.1275, "train": 0.7225}.items():
        assert abs(counts[side].total() - share * len(recordings)) <= 4  # the longest row of takes
        for stratum, size in strata.items():
            assert abs(counts[side][stratum] - share * size) <= 8


def test_four_hundred_single_recordings_are_divided_exactly():
    recordings = takes_of([(0, e, s, t) for e in range(4) for s in range(5) for t in range(20)], [1] * 400)
    (split,) = random_splits(recordings, seed=0)
    assert (len(split.test), len(split.validation), len(split.train)) == (60, 51, 289)
    tested = Counter(recordings[place].emotion for place in split.test)
    assert all(tested[emotion] in (14, 15, 16) for emotion in EMOTION_SETS["core4"])
    assert split.description == (
        "random 85:15; 5 of 5 test speakers are also heard in training; "
        "20 of 20 test sentences are also spoken in training"
    )


def test_recordings_of_unknown_sentences_are_divided_individually():
    recordings = [LabelledRecording(Path(str(n)), "a", "s", "sad", "", "German") for n in range(100)]
    (split,) = random_splits(recordings, seed=0)
    assert len(split.test) == 15
    assert split.description.endswith("the sentences of 15 test recordings are unknown")


def test_the_seed_and_not_the_order_of_recordings_decides_what_is_tested():
    recordings = takes_of(
        [(c, e, s, t) for c in range(2) for e in range(4) for s in range(3) for t in range(5)], [2] * 120
    )
    turned = recordings[::-1]
    (one,), (again,), (other,) = (
        random_splits(recordings, 3),
        random_splits(recordings, 3),
        random_splits(recordings, 4),
    )
    assert one == again
    assert one.test != other.test
    (same,) = random_splits(turned, 3)
    assert {recordings[place].path for place in one.test} == {turned[place].path for place in same.test}


@pytest.mark.parametrize(
    "recordings", [[], takes_of([(0, 0, 0, 0)], [50]), takes_of([(0, 0, 0, 0), (0, 1, 0, 0)], [1, 1])]
)
def test_too_few_recordings_to_fill_all_sides_are_refused(recordings):
    with pytest.raises(SettingsRefused, match="too few for training, validation and test; add recordings"):
        random_splits(recordings, seed=0)


# --- the corpora themselves ---


@pytest.mark.corpora
def test_four_emotions_have_4387_recordings_of_58_speakers_none_on_two_sides(corpora):
    recordings = [
        item
        for name in ("ravdess", "emodb", "nemo", "korean_emotional_tts")
        for item in read_corpus(name, corpora / name).recordings
        if item.emotion in EMOTION_SETS["core4"]
    ]
    assert len(recordings) == 4_387
    assert len({item.speaker_id for item in recordings}) == 58
    for split in speaker_splits(recordings, folds=5, seed=0):
        hold_the_laws_of_one_split(recordings, split)
    assert [len(split.test) for split in corpus_splits(recordings, seed=0)] == [339, 300, 3_076, 672]
    (split,) = random_splits(recordings, seed=0)
    assert abs(len(split.test) / 4_387 - 0.15) < 0.001


@pytest.mark.corpora
def test_sentences_of_emodb_nemo_and_crema_d_are_separated_and_ravdess_is_only_trained_on(corpora):
    recordings = [
        item
        for name in ("ravdess", "emodb", "nemo", "crema_d")
        for item in read_corpus(name, corpora / name).recordings
        if item.emotion in EMOTION_SETS["core4"]
    ]
    for split in sentence_splits(recordings, folds=5, seed=0):
        for side in (split.validation, split.test):
            assert {recordings[place].corpus for place in side} == {"emodb", "nemo", "crema_d"}
        assert sum(recordings[place].corpus == "ravdess" for place in split.train) == 672
        assert "only learnt from: ravdess (24 speakers, 2 sentences); 0 of " in split.description
