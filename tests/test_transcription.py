"""Words from speech: blocks, voice activity, bounds by hand, and one run of a real model."""

import errno
import os
import sys
from itertools import pairwise, repeat
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import faster_whisper
import huggingface_hub
import numpy as np
import pytest

from ser_core.analysis import Recording, Region
from ser_core.audio.reading import read_recording
from ser_core.errors import Cancelled, SettingsRefused, WordModelRefused, WriteRefused
from ser_core.words import transcription
from ser_core.words.bounds import level_of, snap_words
from ser_core.words.transcription import Transcript, speech_blocks, transcribe
from ser_core.words.word_model import download_word_model, find_word_model, load_word_model
from ser_core.work.progress import Work

RATE_HZ = 16_000


def bursts(*spans: tuple[float, float], seconds: float = 3.0) -> Recording:
    """Return noise at -20 dBFS in some spans of seconds, over noise at -80 dBFS."""
    rng = np.random.default_rng(0)
    samples = rng.normal(size=round(seconds * RATE_HZ)) * 1e-4
    for start_s, end_s in spans:
        inside = slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
        samples[inside] += rng.normal(size=inside.stop - inside.start) * 0.1
    return Recording("bursts.wav", "0" * 64, np.clip(samples, -1, 1).astype(np.float32), RATE_HZ)


def spoken(start, end, word, probability=0.9):
    return SimpleNamespace(start=start, end=end, word=word, probability=probability)


class Whisper:
    """Returns the same segments for every block, and records its arguments."""

    def __init__(self, *segments, language="en", sure=repeat(0.95)):  # noqa: B008 - repeats for ever
        self.segments, self.language, self.sure, self.given = segments, language, iter(sure), []

    def transcribe(self, audio, **options):
        self.given.append((len(audio), options))
        return iter(self.segments), SimpleNamespace(language=self.language, language_probability=next(self.sure))


def segment(*words, log_probability=-0.2, compression=1.1, no_speech=0.05):
    ends = {"start": words[0].start, "end": words[-1].end}
    sure = {"avg_logprob": log_probability, "compression_ratio": compression, "no_speech_prob": no_speech}
    return SimpleNamespace(words=words, **ends, **sure)


@pytest.fixture
def speech(monkeypatch):
    """Return a function that sets where voice activity finds speech, in seconds."""

    def found_in(*spans):
        def detect(recording):
            pieces = np.zeros(int(np.ceil(recording.duration_s / 0.032)), bool)
            for start_s, end_s in spans:
                pieces[round(start_s / 0.032) : round(end_s / 0.032)] = True
            return pieces

        monkeypatch.setattr(transcription, "detect_speech", detect)

    return found_in


# --- bounds ---


def test_a_first_word_that_begins_at_zero_begins_where_the_sound_does():
    (word,) = snap_words([Region(0.0, 1.1, label="for")], bursts((0.5, 1.2)))
    assert word.start_s == pytest.approx(0.5, abs=0.015)
    assert word.end_s == pytest.approx(1.2, abs=0.015)
    assert word.label == "for"


def test_a_first_word_begins_in_speech_where_noise_hides_the_pause_before_it():
    recording = bursts((0.0, 2.0), seconds=2.0)  # the level does not show where the word begins
    speech = np.zeros(63, bool)
    speech[20:50] = True  # from 0.64 s
    (word,) = snap_words([Region(0.0, 1.1)], recording, speech=speech)
    assert word.start_s == pytest.approx(0.64 - 2 * 0.032, abs=0.005)  # with the margin of speech
    assert snap_words([Region(0.7, 1.1)], recording, speech=speech)[0].start_s == 0.7
    assert snap_words([Region(0.0, 1.1)], recording)[0].start_s == 0.0
    quiet = bursts((0.5, 1.2))  # the level is more exact than voice activity
    assert snap_words([Region(0.0, 1.1)], quiet, speech=speech)[0].start_s == pytest.approx(0.5, abs=0.015)


def test_a_pause_becomes_the_gap_between_the_words_beside_it():
    one, other = snap_words([Region(0.4, 1.3), Region(1.3, 2.0)], bursts((0.5, 1.0), (1.3, 2.0)))
    edges = (one.start_s, one.end_s, other.start_s, other.end_s)
    assert edges == pytest.approx((0.5, 1.0, 1.3, 2.0), abs=0.015)


def test_without_a_pause_the_bound_moves_to_the_dip():
    recording = bursts((0.5, 1.0), (1.02, 2.0))
    one, other = snap_words([Region(0.5, 1.03), Region(1.03, 2.0)], recording)
    assert one.end_s == other.start_s == pytest.approx(1.01, abs=0.01)


def test_a_pause_beyond_a_loud_word_is_never_taken():
    words = [Region(0.5, 1.0), Region(1.0, 1.1), Region(1.1, 2.0)]
    snapped = snap_words(words, bursts((0.5, 1.05), (1.2, 2.0)))
    edges = [edge for word in snapped for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert all(word.duration_s > 0 for word in snapped)
    assert snap_words([], bursts((0.5, 1.0))) == ()


def test_a_first_or_last_word_in_silence_does_not_move_past_its_neighbour():
    words = [Region(0.0, 0.1), Region(0.1, 1.0), Region(1.0, 1.9), Region(1.9, 2.0)]
    snapped = snap_words(words, bursts((0.35, 1.65), seconds=2.0))
    edges = [edge for word in snapped for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)


def test_the_level_in_blocks_is_that_of_twenty_milliseconds_around_each_frame():
    samples = np.random.default_rng(0).normal(size=8_000 * 31).astype(np.float32) * 0.1
    level_db = level_of(Recording("noise.wav", "0" * 64, samples, 8_000))
    for frame in (2, 3_000, 5_998, 5_999, 6_000, 6_001, 6_190):  # blocks are 6000 frames long
        around = samples[40 * frame - 80 : 40 * frame + 80].astype(np.float64)
        assert level_db[frame] == pytest.approx(10 * np.log10(np.mean(around**2)), abs=1e-6)


# --- blocks ---


def test_blocks_cover_all_speech_and_are_short_enough_for_whisper(speech):
    recording = bursts((0.5, 1), seconds=120.0)
    pieces = np.zeros(3750, bool)
    pieces[50:900] = pieces[930:1000] = pieces[1500:3700] = True  # 1.6 to 28.8, 29.8 to 32, 48 to 118.4 s
    blocks = speech_blocks(pieces, recording)
    assert all(0 < end - start <= 28.5 for start, end in blocks)
    assert all(one[1] <= other[0] + 1e-9 for one, other in pairwise(blocks))
    inside = np.zeros(3750, bool)
    for start, end in blocks:
        inside[round(start / 0.032) : round(end / 0.032)] = True
    assert inside[pieces].all()
    assert len(blocks) == 5


def test_speech_without_a_pause_is_cut_at_its_quietest_moment_late_in_a_long_recording_too():
    rate = 11_025  # a chunk of 32 ms is not a whole number of samples
    samples = np.random.default_rng(0).normal(size=600 * rate).astype(np.float32) * 0.1
    quiet = slice(round(580.0 * rate), round(580.1 * rate))
    samples[quiet] = 0
    pieces = np.zeros(600 * 1000 // 32, bool)
    pieces[round(555 / 0.032) :] = True
    (_, cut_s), *_ = speech_blocks(pieces, Recording("noise.wav", "0" * 64, samples, rate))
    assert 579.9 < cut_s < 580.2


def test_words_of_a_later_block_have_the_time_of_the_recording(speech):
    speech((1.0, 2.0), (61.0, 62.0))
    model = Whisper(segment(spoken(0.3, 0.8, " so"), spoken(0.8, 1.3, " much.")))
    transcript = transcribe(bursts((1, 2), (61, 62), seconds=70.0), model)
    assert [word.label for word in transcript.words] == ["so", "much."] * 2
    starts = [word.start_s for word in transcript.words]
    assert starts[::2] == pytest.approx([1.0, 61.0], abs=0.05)
    assert (transcript.language, transcript.language_confidence) == ("en", 0.95)
    assert [options["language"] for _, options in model.given] == [None, "en"]
    assert transcript.confidence == (0.9,) * 4


def test_the_parts_of_a_hyphenated_word_are_one_word_as_sure_as_the_least_sure_of_them(speech):
    speech((0.2, 2.8))
    parts = spoken(0.3, 0.8, " ill", 0.7), spoken(0.8, 1.4, "-disposed", 0.9), spoken(1.4, 2.0, " man.", 0.8)
    transcript = transcribe(bursts((0.3, 2.0)), Whisper(segment(*parts)), bounds=None)
    assert [word.label for word in transcript.words] == ["ill-disposed", "man."]
    assert transcript.words[0].duration_s == pytest.approx(1.1)
    assert transcript.confidence == (0.7, 0.8)


# --- the gate ---


def test_without_speech_the_word_model_does_not_run(speech):
    speech()
    model = Whisper(segment(spoken(0.0, 0.5, " Thanks")))
    assert transcribe(bursts((0.5, 1.0)), model) == Transcript()
    assert not model.given


def test_words_outside_speech_and_text_that_the_model_does_not_trust_are_left_out(speech):
    speech((0.5, 1.0))
    model = Whisper(
        segment(spoken(0.3, 0.8, " yes")),
        segment(spoken(0.5, 1.0, " invented"), log_probability=-1.4),
        segment(*(spoken(0.5 + i / 100, 0.51 + i / 100, " you") for i in range(20)), compression=9.0),
    )
    transcript = transcribe(bursts((0.5, 1.0)), model, language="de")
    assert [word.label for word in transcript.words] == ["yes"]
    assert transcript.unclear_s == pytest.approx(0.7)
    assert (transcript.language, transcript.language_confidence) == ("de", None)
    model = Whisper(segment(spoken(0.3, 0.8, " yes"), spoken(2.0, 2.5, " outside")))
    assert len(transcribe(bursts((0.5, 1.0), (2.3, 2.8)), model).words) == 1


def test_where_no_language_is_recognised_text_must_be_surer_unless_a_person_chose_one(speech):
    speech((1.0, 2.0), (61.0, 62.0))
    recording, unsure = bursts((1, 2), (61, 62), seconds=70.0), segment(spoken(0.3, 0.8, " ha"), log_probability=-0.7)
    model = Whisper(unsure, sure=[0.5, 0.9])
    transcript = transcribe(recording, model)
    assert [round(word.start_s) for word in transcript.words] == [61]
    assert (transcript.language, transcript.language_confidence) == ("en", 0.9)
    assert transcript.unclear_s == pytest.approx(0.5)
    assert [options["language"] for _, options in model.given] == [None, None]
    repeated = segment(spoken(0.3, 0.8, " ha ha"), compression=5.0)
    laughed = segment(spoken(0.3, 0.8, " ha"), no_speech=0.5)
    for text, words in ((unsure, 0), (repeated, 0), (laughed, 0), (segment(spoken(0.3, 0.8, " ha")), 2)):
        assert len(transcribe(recording, Whisper(text, sure=repeat(0.5))).words) == words
        assert len(transcribe(recording, Whisper(text, sure=repeat(0.5)), "en").words) == 2


def test_a_syllable_repeated_for_ever_within_one_word_is_left_out(speech):
    speech((0.0, 2.0))
    laughed = segment(spoken(0.2, 1.6, " Tu" + "ku" * 100), log_probability=-0.05, compression=29.7)
    transcript = transcribe(bursts((0.2, 1.6)), Whisper(laughed))
    assert not transcript.words
    assert transcript.unclear_s == pytest.approx(1.4)


def test_a_sentence_that_is_really_repeated_is_kept(speech):
    speech((0.0, 3.0))
    model = Whisper(segment(*(spoken(i / 2, i / 2 + 0.4, " never") for i in range(6)), compression=5.0))
    assert len(transcribe(bursts(*((i / 2, i / 2 + 0.4) for i in range(6))), model).words) == 6


def test_a_language_that_the_model_does_not_know_is_refused(speech):
    speech((0.5, 2.0))
    unable = SimpleNamespace(transcribe=Mock(side_effect=ValueError("'xx' is not a valid language code")))
    with pytest.raises(SettingsRefused, match="xx"):
        transcribe(bursts((0.5, 2.0)), unable, "xx")


def test_transcription_can_be_stopped(speech):
    speech((0.5, 1.0))
    with pytest.raises(Cancelled):
        transcribe(bursts((0.5, 1.0)), Whisper(), work=Work(stop=lambda: True))


# --- the model ---


def test_the_model_is_the_folder_that_is_named_else_the_downloaded_one(monkeypatch, tmp_path):
    monkeypatch.delenv("SER_WORD_MODEL", raising=False)
    assert find_word_model(tmp_path) is None
    (tmp_path / "model.bin").touch()
    assert find_word_model(tmp_path) == tmp_path
    monkeypatch.setenv("SER_WORD_MODEL", str(tmp_path))
    with pytest.raises(WordModelRefused, match=r"config\.json"):
        find_word_model(Path("elsewhere"))
    (tmp_path / "config.json").touch()
    with pytest.raises(WordModelRefused, match=r"tokenizer\.json"):
        find_word_model(Path("elsewhere"))
    (tmp_path / "tokenizer.json").touch()
    assert find_word_model(Path("elsewhere")) == tmp_path


def test_a_damaged_model_and_a_missing_package_are_refused_in_a_sentence(monkeypatch, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"no model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WordModelRefused, match="cannot be loaded"):
        load_word_model(tmp_path)
    monkeypatch.setattr(faster_whisper, "WhisperModel", Mock(side_effect=Exception()))  # as from a damaged tokenizer
    with pytest.raises(WordModelRefused, match="cannot be loaded"):
        load_word_model(tmp_path)
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(WordModelRefused, match="faster-whisper"):
        load_word_model(tmp_path)


@pytest.mark.parametrize(
    ("broken", "refusal", "why"),
    [
        (ConnectionError("no network"), WordModelRefused, "ConnectionError"),
        (OSError(errno.ENOSPC, "No space left on device"), WriteRefused, "No space left"),
        (Cancelled("Stopped."), Cancelled, "Stopped"),
    ],
)
def test_a_download_that_fails_or_is_stopped_leaves_nothing(monkeypatch, tmp_path, broken, refusal, why):
    monkeypatch.delenv("SER_WORD_MODEL", raising=False)

    def fetch(repository, file, local_dir, tqdm_class):
        (Path(local_dir) / file).write_text("half")
        if file == "model.bin":
            raise broken

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    with pytest.raises(refusal, match=why):
        download_word_model(tmp_path / "word-model")
    assert find_word_model(tmp_path / "word-model") is None
    assert not (tmp_path / "word-model").exists()


def test_a_model_that_another_visit_has_fetched_meanwhile_is_not_fetched_again(monkeypatch, tmp_path):
    (tmp_path / "model.bin").touch()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", Mock(side_effect=AssertionError))
    assert download_word_model(tmp_path) == tmp_path


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("SER_WORD_MODEL"), reason="SER_WORD_MODEL is not set")
@pytest.mark.skipif(not os.environ.get("SER_CORPORA"), reason="SER_CORPORA is not set")
def test_a_real_model_gives_the_words_of_ravdess_their_times():
    folder = Path(os.environ["SER_CORPORA"]) / "ravdess" / "Actor_17"
    recording = read_recording(next(folder.glob("03-01-06-02-01-01-17.*")))
    transcript = transcribe(recording, load_word_model(Path(os.environ["SER_WORD_MODEL"])))
    assert [word.label.strip(".!,").lower() for word in transcript.words] == [
        "kids",
        "are",
        "talking",
        "by",
        "the",
        "door",
    ]
    assert transcript.language == "en"
    assert transcript.words[0].start_s > 0.9
