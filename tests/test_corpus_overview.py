"""Figures of a corpus against files whose lengths, names and damages are known."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis.emotions import COLOURS
from ser_core.audio.reading import read_recording
from ser_core.corpora import read_corpus
from ser_core.corpora.labelled import Corpus, LabelledRecording
from ser_core.corpora.overview import ORDER, duration_s, overview_of
from ser_core.errors import AudioRefused
from tests.test_audio import encoded_with_av

RATE = 16_000


def spoken(path: Path, seconds: float) -> Path:
    soundfile.write(path, 0.1 * np.ones(round(seconds * RATE)), RATE, format=path.suffix[1:].upper())
    return path


def test_figures_of_a_small_corpus_are_those_counted_by_hand(tmp_path):
    spoken(tmp_path / "03a01Fa.wav", 1.0)
    spoken(tmp_path / "03a01Wa.wav", 0.5)
    spoken(tmp_path / "03a02Wb.flac", 0.25)
    spoken(tmp_path / "03a04La.wav", 9.0)
    spoken(tmp_path / "holiday.wav", 9.0)
    spoken(tmp_path / "08a01Nc.wav", 2.0)
    (tmp_path / "08a05Ec.wav").write_bytes(b"not audio at all, only words")
    overview = overview_of(read_corpus("emodb", tmp_path))
    assert overview.emotions == ("angry", "happy", "neutral", "disgust")
    assert overview.speakers == ("emodb:03", "emodb:08")
    assert overview.counts.tolist() == [[2, 1, 0, 0], [0, 0, 1, 1]]
    np.testing.assert_array_equal(overview.durations_s, [1.0, 0.5, 0.25, 2.0, np.nan])
    assert overview.total_s == 3.75
    assert overview.genders == {"male": 3, "female": 2}
    assert (overview.sentences, overview.languages) == (3, ("German",))
    assert overview.corpus.reasons() == {
        "boredom, which no emotion set holds": 1,
        "name is not of the form 03a01Fa": 1,
    }
    (path, reason), *others = overview.unreadable
    assert (path.name, others) == ("08a05Ec.wav", [])
    assert reason.startswith("this is not readable audio")


def test_speakers_and_sentences_of_two_corpora_in_one_manifest_are_kept_apart(tmp_path):
    for name in "123":
        spoken(tmp_path / f"{name}.wav", 0.5)
    rows = ("1.wav,sad,jan,s1,one,Polish", "2.wav,sad,jan,s1,two,German", "3.wav,fear,jan,,two,German")
    (tmp_path / "list.csv").write_text("\n".join(("path,emotion,speaker,text,corpus,language", *rows)))
    overview = overview_of(read_corpus("mine", tmp_path / "list.csv"))
    assert overview.speakers == ("two:jan", "one:jan")
    assert overview.counts.tolist() == [[1, 1], [1, 0]]
    assert (overview.sentences, overview.languages) == (2, ("German", "Polish"))
    assert overview.genders == {}


def test_each_emotion_appears_once_in_the_order():
    assert ORDER[:4] == ("angry", "happy", "neutral", "sad")
    assert sorted(ORDER) == sorted(COLOURS)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(sorted(COLOURS)), st.sampled_from(["", "s1", "s2"])),
        min_size=1,
        max_size=30,
    )
)
def test_every_recording_is_counted_once_and_speakers_are_sorted_by_count(labels):
    items = tuple(
        LabelledRecording(Path(f"/nowhere/{place}.wav"), "x", speaker, emotion, text, "Polish")
        for place, (speaker, emotion, text) in enumerate(labels)
    )
    overview = overview_of(Corpus("x", items, ()))
    assert overview.counts.sum() == len(items) == len(overview.durations_s)
    for place, emotion in enumerate(overview.emotions):
        assert overview.counts[:, place].sum() == sum(item.emotion == emotion for item in items) > 0
    of_each = dict(zip(overview.speakers, overview.counts.sum(axis=1).tolist(), strict=True))
    assert of_each == {one: sum(item.speaker_id == one for item in items) for one in of_each}
    assert list(of_each) == sorted(of_each, key=lambda one: (-of_each[one], one))
    assert [path for path, _ in overview.unreadable] == [item.path for item in items]
    assert np.isnan(overview.durations_s).all()
    assert overview.total_s == 0


# --- how long a file lasts ---


@pytest.mark.parametrize(("suffix", "off_s"), [(".wav", 0), (".flac", 0), (".ogg", 0), (".mp3", 0.1)])
def test_the_length_of_a_file_is_read_from_its_header(tmp_path, suffix, off_s):
    assert duration_s(spoken(tmp_path / f"voice{suffix}", 1.25)) == pytest.approx(1.25, abs=off_s)


def test_file_that_only_ffmpeg_reads_is_decoded(tmp_path, make_voice):
    file = tmp_path / "voice.opus"
    file.write_bytes(encoded_with_av(make_voice(1.0, 48_000), "webm", "libopus"))
    assert duration_s(file) == pytest.approx(1.0, abs=0.05)


def test_name_that_is_not_utf8_is_read(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/A\xff_anger_1.wav"))
    spoken(tmp_path / "plain.wav", 0.5).rename(path)
    overview = overview_of(read_corpus("nemo", tmp_path))
    assert (overview.total_s, overview.unreadable) == (0.5, ())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"RIFF only words"), "not readable audio"),
        (lambda path: path.touch(), "the file is empty"),
        (lambda path: spoken(path, 0), r"lasts 0\.000 s"),
        (lambda path: path.mkdir(), "no such file"),
        (os.mkfifo, "no such file"),
        (lambda path: path.symlink_to("gone.wav"), "no such file"),
    ],
    ids=["words", "empty", "no samples", "folder", "pipe", "broken link"],
)
def test_file_without_a_duration_is_refused_and_never_waited_for(tmp_path, make, reason):
    make(tmp_path / "03a01Fa.wav")
    with pytest.raises(AudioRefused, match=reason):
        duration_s(tmp_path / "03a01Fa.wav")


# --- the corpora themselves ---


@pytest.mark.corpora
@pytest.mark.parametrize("name", ["ravdess", "emodb", "nemo", "korean_emotional_tts"])
def test_lengths_from_headers_equal_those_from_decoding(corpora, name):
    corpus = read_corpus(name, corpora / name)
    some = Corpus(name, corpus.recordings[:: len(corpus.recordings) // 10], corpus.left_out)
    overview = overview_of(some)
    assert overview.unreadable == ()
    decoded_s = [read_recording(item.path).duration_s for item in some.recordings]
    np.testing.assert_allclose(overview.durations_s, decoded_s, atol=0.001)
