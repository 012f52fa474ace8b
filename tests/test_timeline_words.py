"""The words of long recordings: every word once and at its time, for any blocks; search; resuming after a stop."""

import io
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.long_words import Utterance, error_rates
from ser_core.analysis import Region
from ser_core.annotations.words import read_words
from ser_core.errors import Cancelled
from ser_core.output.timeline_folder import save_timeline, timeline_words_csv
from ser_core.timeline.timeline import emotion_timeline
from ser_core.timeline.words import TimelineWords, words_over_time
from ser_core.words import transcription
from ser_core.words.text import find_phrase, phrase_around
from ser_core.words.transcription import Transcript
from ser_core.work.progress import Work
from tests.test_audio import encoded
from tests.tiny_networks import TinyNetwork, classifier_of, fresh

RATE = 16_000
#: 40 s with a word of 0.8 s in every second.
STARTS_S = np.arange(0.1, 40, 1.0)


class WordAtLoudSound:
    """A word model that finds a word at every loud stretch, and counts its calls."""

    def __init__(self):
        self.heard_s = 0.0

    def transcribe(self, audio, language, **_):
        self.heard_s += len(audio) / RATE
        level = np.sqrt(np.convolve(audio**2, np.ones(800) / 800, "same"))
        edges = np.flatnonzero(np.diff(np.concatenate([[False], level > 0.03, [False]])))
        words = [
            SimpleNamespace(start=start / RATE, end=end / RATE, word=" word", probability=0.9)
            for start, end in edges.reshape(-1, 2)
        ]
        segments = [
            SimpleNamespace(words=words, start=0, end=28, avg_logprob=-0.1, compression_ratio=1.0, no_speech_prob=0.0)
        ]
        return segments, SimpleNamespace(language=language or "en", language_probability=0.9)


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=40 * RATE) * 1e-4
    for start_s in STARTS_S:
        samples[round(start_s * RATE) : round((start_s + 0.8) * RATE)] += rng.normal(size=round(0.8 * RATE)) * 0.1
    return io.BytesIO(encoded(samples.astype(np.float32), RATE))


@pytest.fixture(scope="module")
def timeline(source):
    return emotion_timeline(source, classifier_of(fresh(TinyNetwork)))


@pytest.fixture(autouse=True)
def all_is_speech(monkeypatch):
    monkeypatch.setattr(transcription, "detect_speech", lambda piece: np.ones(-(-len(piece.samples) // 512), bool))


@pytest.mark.parametrize("piece_s", [300.0, 12.3])
def test_every_word_is_found_once_at_its_time_for_any_blocks(source, timeline, piece_s):
    found = list(words_over_time(source, timeline, WordAtLoudSound(), piece_s=piece_s))
    starts = [word.start_s for word in found[-1].transcript.words]
    assert starts == pytest.approx(STARTS_S.tolist(), abs=0.05)
    assert found[-1].until_s == pytest.approx(40)
    assert (found[-1].transcript.language, len(found[-1].transcript.confidence)) == ("en", 40)
    assert all(after.until_s - before.until_s <= piece_s for before, after in pairwise([TimelineWords(), *found]))


def test_blocks_transcribed_before_a_stop_are_not_transcribed_again(source, timeline):
    so_far = []
    with pytest.raises(Cancelled):
        so_far.extend(
            words_over_time(source, timeline, WordAtLoudSound(), work=Work(stop=lambda: bool(so_far)), piece_s=10)
        )
    (reached,), second = so_far, WordAtLoudSound()
    *_, last = words_over_time(source, timeline, second, so_far=reached, piece_s=10)
    assert len(last.transcript.words) == len(STARTS_S)
    assert second.heard_s < 40 - reached.until_s + 1


def test_words_of_a_stretch_have_its_times_and_the_table_is_read_back():
    said = [Region(float(at), at + 0.5, label=word) for at, word in enumerate(["For", "sure,", "so", "=1+1"])]
    words = TimelineWords(Transcript(tuple(said), (0.9, 0.8, 0.7, 0.6), "en"), 5.0)
    within = words.within(0.9, 2.6)
    assert [(round(word.start_s, 3), word.label) for word in within.words] == [(0.1, "sure,"), (1.1, "so")]
    assert within.confidence == (0.8, 0.7)
    assert words.within(4.0, 5.0).words == ()
    table = timeline_words_csv(words)
    assert read_words(table, "words.csv") == tuple(said)
    assert b",'=1+1," in table, "no spreadsheet takes it for a formula"


def test_the_folder_of_a_timeline_holds_its_words(timeline, tmp_path):
    save_timeline(timeline, tmp_path / "a", TimelineWords(Transcript((Region(0, 1, label="so"),), (0.5,)), 40.0))
    assert (tmp_path / "a" / "words.csv").read_text() == "start_s,end_s,word,confidence\n0.000,1.000,so,0.500\n"


def test_a_phrase_is_found_regardless_of_case_and_punctuation_and_shown_with_context():
    said = tuple(
        Region(float(at), at + 0.5, label=word) for at, word in enumerate(["No.", "So", "much!", "So,", "MUCH", "more"])
    )
    found = find_phrase(said, " so much")
    assert found == [range(1, 3), range(3, 5)]
    assert find_phrase(said, "so m") == found, "while the last word is typed"
    assert find_phrase(said, "so mu ch") == find_phrase(said, "?!") == find_phrase((), "so") == []
    assert phrase_around(said, found[0]) == ("No.", "So much!", "So, MUCH more")
    counted = tuple(Region(at, at + 1, label=str(at)) for at in range(20))
    assert phrase_around(counted, range(9, 10)) == ("3 4 5 6 7 8", "9", "10 11 12 13 14 15")


def test_a_wrong_word_counts_for_the_recording_at_its_time():
    utterances = [
        Utterance(0.0, "ravdess", ["it's", "eleven"]),
        Utterance(2.0, "crema_d", ["the", "surface", "is", "slick"]),
    ]
    found = [(0.1, "It's"), (0.9, "11."), (2.1, "The"), (2.5, "service"), (3.0, "slick")]
    words = tuple(Region(at, at + 0.3, label=word) for at, word in found)
    assert error_rates(utterances, words) == {"ravdess": 0.0, "crema_d": 0.5, "all": 0.3333}
