"""Long recordings over time: the same scores as from the whole, for any block; refusals; curves; the command."""

import csv
import hashlib
import io
import json
import os
import tracemalloc
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser_core.analysis import clock
from ser_core.audio.reading import read_recording, resample, resample_blocks
from ser_core.commands import main
from ser_core.errors import AudioRefused, Cancelled, RecordingTooLong, SettingsRefused
from ser_core.front_end.segments import split_blocks_into_segments, split_into_segments
from ser_core.front_end.spectrogram import log_mel, split_into_frames
from ser_core.model.checkpoint import save_model
from ser_core.model.classifier import NetworkClassifier
from ser_core.model.networks.yamnet import YAMNet
from ser_core.model.voice import voice_normal
from ser_core.output.timeline_folder import timeline_csv, timeline_dict
from ser_core.pipeline import classify_recording
from ser_core.pipeline.voice import logits_for_normal
from ser_core.settings import (
    AnalysisSettings,
    AudioLimits,
    FrontEnd,
    SegmentSettings,
    SelectionSettings,
    SpectrogramSettings,
    VoiceSettings,
)
from ser_core.timeline.curves import smoothed, strongest_stretches
from ser_core.timeline.timeline import Timeline, emotion_timeline, read_stretch
from ser_core.work.progress import Work
from tests.test_audio import encoded, encoded_with_av
from tests.tiny_networks import EMOTIONS, LinearClassifier, TinyNetwork, classifier_of, fresh, noise_recording

RATE = 16_000
SETTINGS = SpectrogramSettings()


@pytest.fixture(scope="module")
def classifier():
    return classifier_of(fresh(TinyNetwork), temperature=1.7)


def in_parts(values: np.ndarray, sizes: list[int]):
    """Yield the values in parts of these sizes, again and again, until there are none left."""
    at = part = 0
    while at < len(values):
        yield values[at : at + sizes[part % len(sizes)]]
        at, part = at + sizes[part % len(sizes)], part + 1


# --- laws: blocks equal the whole ---


@given(
    length=st.integers(1, 9_000),
    sizes=st.lists(st.integers(1, 2_000), min_size=1, max_size=4),
    rates=st.tuples(*2 * [st.sampled_from([8_000, 16_000, 44_100, 44_101, 48_000])]),
)
def test_samples_resampled_in_blocks_equal_those_of_the_whole(length, sizes, rates):
    samples = np.random.default_rng(length).normal(size=length).astype(np.float32)
    found = np.concatenate(list(resample_blocks(in_parts(samples, sizes), *rates)))
    np.testing.assert_array_equal(found, resample(samples, *rates))


@given(length=st.integers(1, 9_000), sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=4))
def test_frames_of_blocks_equal_those_of_the_whole(length, sizes):
    samples = np.random.default_rng(length).normal(size=length).astype(np.float32)
    found = [log_mel(piece, SETTINGS) for piece in split_into_frames(in_parts(samples, sizes), SETTINGS)]
    np.testing.assert_allclose(np.concatenate(found), log_mel(samples, SETTINGS), atol=1e-4)


@given(
    frames=st.integers(1, 400),
    sizes=st.lists(st.integers(1, 150), min_size=1, max_size=4),
    settings=st.builds(SegmentSettings, st.integers(1, 40), st.integers(1, 50)),
)
def test_segments_of_blocks_equal_those_of_the_whole(frames, sizes, settings):
    whole = np.arange(2 * frames, dtype=np.float32).reshape(frames, 2)
    found = list(split_blocks_into_segments(in_parts(whole, sizes), settings))
    values, starts = split_into_segments(whole, settings)
    np.testing.assert_array_equal(np.concatenate([one for one, _ in found]), values)
    np.testing.assert_array_equal(np.concatenate([one for _, one in found]), starts)


@pytest.mark.parametrize(
    ("rate", "block_s"),
    [(48_000, 0.9), (48_000, 7.0), (16_000, 0.01), (16_000, 1_000.0), (44_100, 0.9), (44_100, 7.0)],
)
def test_scores_equal_those_of_the_whole_recording_for_any_block_length(classifier, make_voice, rate, block_s):
    data = encoded(make_voice(9.013, rate), rate)
    whole = classify_recording(read_recording(data), classifier, AnalysisSettings())
    found = emotion_timeline(io.BytesIO(data), classifier, block_s=block_s)
    np.testing.assert_array_equal(found.start_frames, whole.segments.start_frames)
    np.testing.assert_allclose(found.probabilities, whole.scores.segments, atol=1e-5)


def test_minutes_of_sound_in_default_blocks_score_as_at_once(classifier, make_voice):
    data = encoded(np.tile(make_voice(5.0, 48_000), 28), 48_000)
    whole = classify_recording(read_recording(data), classifier, AnalysisSettings())
    found = emotion_timeline(io.BytesIO(data), classifier)
    np.testing.assert_allclose(found.probabilities, whole.scores.segments, atol=1e-5)


def test_sound_above_full_scale_is_scaled_as_in_the_whole(classifier, make_voice):
    # Full-scale samples of the first half are not clipped relative to the second.
    loud = np.concatenate([np.clip(8 * make_voice(3.0, RATE), -1, 1), 4 * make_voice(3.0, RATE)])
    data = encoded(loud, subtype="FLOAT")
    whole = classify_recording(read_recording(data), classifier, AnalysisSettings())
    found = emotion_timeline(io.BytesIO(data), classifier, block_s=0.5)
    np.testing.assert_allclose(found.probabilities, whole.scores.segments, atol=1e-5)
    assert found.full_scale == np.abs(loud).max()
    assert found.warnings == read_recording(data).warnings


class ZeroLogits(LinearClassifier):
    def score(self, segments):
        return np.zeros((len(segments), len(self.emotions)), np.float32)


def test_memory_does_not_grow_with_the_recording(make_voice, tmp_path):
    peaks = []
    for seconds in (20, 60):
        path = tmp_path / f"{seconds}.wav"
        path.write_bytes(encoded(np.tile(make_voice(5.0, RATE), seconds // 5)))
        tracemalloc.start()
        emotion_timeline(path, ZeroLogits(np.zeros((4, 96, 64))), block_s=5.0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Forty seconds more are 2.6 MB at the file's rate and 7.7 MB at the model's.
    assert peaks[1] - peaks[0] < 1e6


# --- by hand ---


def test_segments_levels_and_times_of_a_recording_by_hand():
    """Two seconds at 48 kHz are 199 frames: the first half is a sine of -9 dBFS, the second digital silence."""
    times = np.arange(48_000) / 48_000
    samples = np.concatenate([0.5 * np.sin(2 * np.pi * 1_000 * times), np.zeros(48_000)])
    found = emotion_timeline(
        io.BytesIO(encoded(samples, 48_000)), LinearClassifier(np.zeros((4, 96, 64))), name="a.wav"
    )
    assert (found.name, found.duration_s, found.sample_rate_hz) == ("a.wav", 2.0, 48_000)
    np.testing.assert_array_equal(found.start_frames, [0, 48, 96, 103])
    np.testing.assert_allclose(found.starts_s, [0.0075, 0.4875, 0.9675, 1.0375])
    np.testing.assert_allclose(found.middles_s, [0.4875, 0.9675, 1.4475, 1.5175])
    # In the second segment 512.5 of 960 ms have sound, in the third 32.5 ms.
    parts = np.array([1, 512.5 / 960, 32.5 / 960])
    np.testing.assert_allclose(found.level_dbfs[:3], 10 * np.log10(parts / 8), atol=0.01)
    assert found.level_dbfs[3] == -120
    np.testing.assert_allclose(found.probabilities, 0.25)
    assert found.sha256 == hashlib.sha256(encoded(samples, 48_000)).hexdigest()


def test_the_timeline_records_model_and_emotions(classifier, voice):
    found = emotion_timeline(io.BytesIO(encoded(voice)), classifier)
    assert (found.model_name, found.model_sha256) == (classifier.name, classifier.sha256)
    assert (found.emotions, found.front_end) == (EMOTIONS, classifier.front_end)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3_599, "59:59"), (3_723.5, "1:02:03")]
)
def test_clock_shows_hours_only_if_there_are_any(seconds, shown):
    assert clock(seconds) == shown


# --- sources ---


def test_a_path_and_an_open_file_give_the_same_and_the_file_stays_open(classifier, voice, tmp_path):
    path = tmp_path / "voice.flac"
    path.write_bytes(encoded(voice, kind="FLAC"))
    with path.open("rb") as file:
        file.seek(17)
        from_file = emotion_timeline(file, classifier, name="mine")
        assert not file.closed
    from_path = emotion_timeline(path, classifier)
    assert (from_path.name, from_file.name, from_path.sha256) == ("voice.flac", "mine", from_file.sha256)
    np.testing.assert_array_equal(from_path.probabilities, from_file.probabilities)


@pytest.mark.parametrize("name", ["voice.raw", "voice.mp3", "voice"])
def test_the_format_does_not_depend_on_the_name_of_the_file(classifier, voice, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encoded(voice))
    assert emotion_timeline(path, classifier).duration_s == 2.5


def test_a_file_that_only_ffmpeg_reads_is_predicted_as_the_whole(classifier, make_voice):
    data = encoded_with_av(make_voice(4.0, 48_000), "mp4", "aac")
    whole = classify_recording(read_recording(data), classifier, AnalysisSettings())
    found = emotion_timeline(io.BytesIO(data), classifier, block_s=0.3)
    np.testing.assert_allclose(found.probabilities, whole.scores.segments, atol=1e-5)


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")])
def test_a_truncated_file_is_predicted_up_to_its_end_with_a_warning(classifier, make_voice, kind, subtype):
    whole = encoded(make_voice(8.0, RATE), kind=kind, subtype=subtype)
    found = emotion_timeline(io.BytesIO(whole[: int(0.6 * len(whole))]), classifier)
    assert found.duration_s == pytest.approx(4.8, abs=1.25)
    assert any(warning.startswith(("The file is truncated", "The file is damaged")) for warning in found.warnings)


# --- progress ---


def test_progress_grows_to_one_and_names_the_step(classifier, make_voice):
    reports = []
    data = encoded(make_voice(12.0, RATE))
    emotion_timeline(io.BytesIO(data), classifier, Work(lambda *of: reports.append(of)), block_s=0.5)
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert reports[0][1] == "Checking the recording"
    assert "Classifying, 0:06 of 0:12" in [text for _, text in reports]
    assert reports[-1][1] == "Classifying, 0:12 of 0:12"


@pytest.mark.parametrize("after", [0, 3, 30])
def test_work_stops_between_blocks_when_it_is_cancelled(make_voice, after):
    checks, model = [], LinearClassifier(np.zeros((4, 96, 64)))

    def cancelled():
        checks.append(True)
        return len(checks) > after

    with pytest.raises(Cancelled):
        emotion_timeline(io.BytesIO(encoded(make_voice(25.0, RATE))), model, work=Work(stop=cancelled), block_s=0.5)
    assert len(checks) == after + 1
    assert 2 * len(model.calls) < 50


# --- what is refused ---


def damaged(samples, rate=RATE, **more):
    return encoded(samples, rate, subtype="FLOAT", **more)


def with_nan(samples, place):
    samples = samples.copy()
    samples[place] = np.nan
    return samples


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda voice: b"", "the file is empty"),
        (lambda voice: b"Dear reader, this is no sound.", "not readable audio"),
        (lambda voice: damaged(with_nan(voice, 32_000)), r"1 of 40000 samples are not numbers .* first at 2\.000 s"),
        (lambda voice: damaged(0 * voice), "the recording is silent"),
        (lambda voice: damaged(voice[:1_000]), r"lasts 0\.062 s; at least 0\.1 s"),
        (lambda voice: damaged(voice[:8_000]), r"lasts 0\.50 s, less than one segment of small \(0\.96 s\)"),
        (lambda voice: damaged(voice, 3_000), "the sample rate is 3000 Hz"),
        (lambda voice: damaged(np.tile(voice[:, None], 9)), "the file has 9 channels"),
    ],
    ids=["empty", "text", "NaN", "silent", "short", "less than a segment", "rate", "channels"],
)
def test_unreadable_or_too_short_files_are_refused_in_one_sentence(classifier, voice, tmp_path, make, said):
    path = tmp_path / "speech.wav"
    path.write_bytes(make(voice))
    for source in (path, io.BytesIO(make(voice))):
        with pytest.raises(AudioRefused, match=rf"^speech\.wav: .*{said}.*\.$"):
            emotion_timeline(source, classifier, name="speech.wav")


def changing_at(part, change):
    """Return a progress function that changes the file once a fraction is done."""
    changed = []

    def progress(fraction, _):
        if fraction >= part and not changed:
            changed.append(change())

    return Work(progress)


@pytest.mark.process
@pytest.mark.parametrize("part", [0.0, 0.06, 0.5], ids=["checked", "begun", "half done"])
@pytest.mark.parametrize("kind", ["another", "other samples with the same time", "shorter", "text", "longer"])
def test_a_file_that_changes_while_it_is_read_is_refused_and_nothing_is_written(
    classifier, make_voice, tmp_path, part, kind
):
    path, voice = tmp_path / "speech.wav", make_voice(25.0, RATE)
    path.write_bytes(encoded(voice))
    before = path.stat()

    def change():
        if kind == "shorter":
            os.truncate(path, before.st_size // 3)
        elif kind == "longer":
            path.write_bytes(encoded(np.tile(voice, 2)))
        elif kind == "text":
            path.write_text("This is no sound.")
        else:
            path.write_bytes(encoded(voice[::-1].copy()))
            if kind != "another":
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(AudioRefused, match=r"^speech\.wav: the file changed while it was read\."):
        emotion_timeline(path, classifier, changing_at(part, change), block_s=2.0)


def test_a_file_replaced_while_it_is_read_is_read_as_it_was(classifier, make_voice, tmp_path):
    path, new, voice = tmp_path / "speech.wav", tmp_path / "new.wav", make_voice(10.0, RATE)
    path.write_bytes(encoded(voice))
    new.write_bytes(encoded(voice[::-1].copy()))
    expected = emotion_timeline(io.BytesIO(encoded(voice)), classifier)
    found = emotion_timeline(path, classifier, changing_at(0.06, lambda: os.replace(new, path)), block_s=2.0)
    assert found.sha256 == expected.sha256
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)


def test_a_recording_with_a_bad_end_is_refused_before_anything_is_classified(make_voice):
    model = LinearClassifier(np.zeros((4, 96, 64)))
    data = damaged(with_nan(make_voice(10.0, RATE), -1))
    with pytest.raises(AudioRefused, match="not numbers"):
        emotion_timeline(io.BytesIO(data), model, block_s=1.0)
    assert not model.calls


def test_more_than_two_hours_are_refused_and_the_limit_itself_is_not(classifier, voice, tmp_path, monkeypatch):
    with monkeypatch.context() as limits:
        limits.setattr("ser_core.timeline.timeline.LONG_RECORDING", AudioLimits(longest_s=2.5))
        assert emotion_timeline(io.BytesIO(encoded(voice)), classifier).duration_s == 2.5
        limits.setattr("ser_core.timeline.timeline.LONG_RECORDING", AudioLimits(longest_s=2.49))
        with pytest.raises(RecordingTooLong, match="longer than"):
            emotion_timeline(io.BytesIO(encoded(voice)), classifier)
    path = tmp_path / "hours.flac"
    with soundfile.SoundFile(path, "w", 4_000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(121):
            file.write(np.zeros(60 * 4_000, np.float32))
    with pytest.raises(
        RecordingTooLong, match=r"hours\.flac: .* longer than 120 minutes\. Cut it into shorter pieces\.$"
    ):
        emotion_timeline(path, classifier)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(classifier, voice, tmp_path, monkeypatch):
    monkeypatch.setattr("ser_core.timeline.timeline.LONG_RECORDING", AudioLimits(largest_file_bytes=100_000))
    path = tmp_path / "large.wav"
    path.write_bytes(encoded(np.tile(voice, 16)))
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(AudioRefused, match=r"large\.wav: the file has 1 MiB; at most 0 MiB"):
            emotion_timeline(source, classifier, name="large.wav")


def test_a_missing_file_is_refused(classifier, tmp_path):
    with pytest.raises(AudioRefused, match=r"gone\.wav: there is no such file"):
        emotion_timeline(tmp_path / "gone.wav", classifier)


def test_a_model_of_whole_recordings_is_refused(voice):
    whole = LinearClassifier(np.zeros((4, 96, 64)), front_end=FrontEnd(segments=SegmentSettings(None)))
    with pytest.raises(SettingsRefused, match="linear only classifies whole recordings"):
        emotion_timeline(io.BytesIO(encoded(voice)), whole)


def test_refusing_a_recording_over_ten_minutes_mentions_the_timeline(tmp_path):
    path = tmp_path / "interview.flac"
    with soundfile.SoundFile(path, "w", 4_000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(11):
            file.write(np.full(60 * 4_000, 0.1, np.float32))
    with pytest.raises(RecordingTooLong, match=r"longer than 10 minutes.* command timeline, .* up to 2 hours"):
        read_recording(path)


# --- stretches ---


@pytest.mark.process
@pytest.mark.parametrize(
    ("kind", "subtype", "within"),
    [
        ("WAV", "PCM_16", 0.0),
        ("AIFF", "PCM_16", 0.0),
        ("FLAC", "PCM_16", 0.0),
        ("WAV", "FLOAT", 2**-15),
        ("OGG", "VORBIS", 2**-15),
        ("OGG", "OPUS", 2**-15),
        ("MP3", "MPEG_LAYER_III", 2**-15),
    ],
)
@pytest.mark.parametrize("stretch", [(0.0, 0.5), (1.23456, 2.34567), (3.9, 60.0)])
def test_a_stretch_holds_the_samples_of_the_recording(make_voice, kind, subtype, within, stretch):
    data = encoded(np.stack([make_voice(4.0, RATE), make_voice(4.0, RATE, 1)], axis=1), kind=kind, subtype=subtype)
    whole = read_recording(data)
    rate = whole.sample_rate_hz
    found, found_rate = read_stretch(io.BytesIO(data), *stretch, "voice", 1.0)
    assert found_rate == rate
    expected = whole.samples[round(stretch[0] * rate) : round(stretch[1] * rate)]
    np.testing.assert_allclose(found, expected, atol=within)


def test_a_stretch_near_the_end_of_a_vorbis_file_is_read_exactly():
    rate = 44_100
    data = encoded(0.1 * np.random.default_rng(0).normal(size=20 * rate), rate, "OGG", "VORBIS")
    expected = read_recording(data).samples[-5_000:]
    found, _ = read_stretch(io.BytesIO(data), 20 - 5_000 / rate, 20.0, "noise", 1.0)
    np.testing.assert_allclose(found, expected, atol=2**-15)


def test_a_stretch_of_a_file_without_seeking_is_found(make_voice):
    data = encoded_with_av(make_voice(4.0, 48_000), "mp4", "aac")
    expected = read_recording(data).samples[96_000:144_000]
    found, _ = read_stretch(io.BytesIO(data), 2.0, 3.0, "voice", 1.0)
    np.testing.assert_allclose(found, expected, atol=2**-15)


def test_a_stretch_above_full_scale_is_scaled_by_the_timelines_factor(classifier, make_voice):
    loud = np.concatenate([make_voice(2.0, RATE), 4 * make_voice(2.0, RATE)])
    source = io.BytesIO(damaged(loud))
    scale = emotion_timeline(source, classifier).full_scale
    found, _ = read_stretch(source, 1.0, 2.0, "loud", scale)
    np.testing.assert_allclose(found, loud[RATE : 2 * RATE] / np.abs(loud).max(), atol=2**-15)


def test_only_the_stretch_of_a_long_file_is_read():
    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    file = Counting(encoded(0.1 * np.random.default_rng(0).normal(size=200 * RATE)))
    read_stretch(file, 190.0, 191.0, "noise", 1.0)
    assert file.count < 200_000  # of 6.4 MB


def test_a_stretch_after_the_end_is_refused(voice):
    with pytest.raises(AudioRefused, match="ends before 0:03"):
        read_stretch(io.BytesIO(encoded(voice)), 3.0, 4.0, "voice", 1.0)


# --- curves ---


def timeline_of(probabilities, level_dbfs=None) -> Timeline:
    """A timeline of segments every 0.48 s, of two emotions of which the first has these probabilities."""
    first = np.asarray(probabilities, np.float32)
    count = len(first)
    return Timeline(
        name="made up",
        sha256="0" * 64,
        duration_s=0.48 * (count + 1) + 0.0075,
        sample_rate_hz=RATE,
        full_scale=1.0,
        model_name="none",
        model_sha256="1" * 64,
        emotions=("angry", "sad"),
        front_end=FrontEnd(),
        start_frames=48 * np.arange(count),
        probabilities=np.stack([first, 1 - first], axis=1),
        level_dbfs=np.full(count, -20.0, np.float32) if level_dbfs is None else np.asarray(level_dbfs, np.float32),
    )


def test_smoothing_leaves_quiet_segments_out_of_every_mean():
    timeline = timeline_of([0.0, 0.4, 1.0, 0.2, 0.6], [-20, -20, -60, -20, -20])
    found = smoothed(timeline, 0.96, -50.0)
    np.testing.assert_allclose(found[:, 0], [0.2, 0.2, np.nan, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), [1, 1, np.nan, 1, 1], atol=1e-6)


def test_smoothing_over_nothing_changes_nothing():
    timeline = timeline_of([0.0, 0.4, 1.0])
    np.testing.assert_allclose(smoothed(timeline, 0, -50), timeline.probabilities)


@given(
    values=st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=40),
    seconds=st.sampled_from([0, 0.48, 0.9, 1.0, 4.8, 30.0]),
)
def test_smoothing_agrees_with_a_slow_twin(values, seconds):
    timeline = timeline_of([p for p, _ in values], [-20 if loud else -80 for _, loud in values])
    expected = np.full((len(values), 2), np.nan)
    for place, middle in enumerate(timeline.middles_s):
        near = [
            other
            for other, loud in enumerate(timeline.level_dbfs > -50)
            if loud and abs(timeline.middles_s[other] - middle) <= seconds / 2 + 1e-9
        ]
        if timeline.level_dbfs[place] > -50:
            expected[place] = timeline.probabilities[near].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(smoothed(timeline, seconds, -50), expected, atol=1e-9)


@pytest.mark.parametrize("seconds", [-1.0, 601.0, float("nan")])
def test_smoothing_outside_its_range_is_refused(seconds):
    with pytest.raises(SettingsRefused, match="choose 0 to 600 s"):
        smoothed(timeline_of([0.5]), seconds)


def test_strongest_stretches_by_hand():
    levels = np.zeros(60)
    levels[[10, 11, 30, 50]] = 0.9, 0.8, 0.7, 0.6
    found = strongest_stretches(timeline_of(levels), 0.0)["angry"]
    middles = 0.4875 + 0.48 * np.array([10, 30, 50])
    for (region, mean), middle, value in zip(found, middles, (0.9, 0.7, 0.6), strict=True):
        assert (region.start_s, region.end_s) == pytest.approx((middle - 0.48, middle + 0.48))
        assert mean == pytest.approx(value)


@given(
    values=st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60),
    seconds=st.sampled_from([0, 2.0, 5.0]),
)
def test_strongest_stretches_do_not_overlap_and_are_sorted_from_the_highest_down(values, seconds):
    timeline = timeline_of([p for p, _ in values], [-20 if loud else -80 for _, loud in values])
    curve = smoothed(timeline, seconds)
    for place, emotion in enumerate(timeline.emotions):
        found = strongest_stretches(timeline, seconds)[emotion]
        assert bool(found) == bool((timeline.level_dbfs > -50).any())
        means = [mean for _, mean in found]
        assert means == sorted(means, reverse=True)
        assert all(np.isclose(curve[:, place], mean).any() for mean in means)
        ends = [
            end for region, _ in sorted(found, key=lambda one: one[0].start_s) for end in (region.start_s, region.end_s)
        ]
        assert all(later >= earlier - 1e-6 for earlier, later in pairwise(ends))
        assert not ends or (ends[0] >= 0 and ends[-1] <= timeline.duration_s)


def test_a_moment_of_speech_in_a_long_pause_is_not_a_strong_stretch():
    probabilities, levels = np.full(100, 0.3), np.full(100, -20)
    levels[40:70] = -80
    probabilities[55], levels[55] = 1.0, -20
    found = strongest_stretches(timeline_of(probabilities, levels), 10.0)["angry"]
    assert max(mean for _, mean in found) < 0.4


# --- the command ---


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model's folder, with random weights."""
    folder = tmp_path_factory.mktemp("models") / "small"
    card = {"architecture": "yamnet", "emotions": list(EMOTIONS), "front_end": asdict(FrontEnd()), "temperature": 1.0}
    save_model(folder, fresh(YAMNet), card, [("0" * 64, "corpus:1")], "# small\n")
    return folder


def command(model, out, *files):
    return main(["timeline", "--model", str(model), "--out", str(out), *map(str, files)])


def write(path, seconds=2.0, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise_recording(seconds, seed).samples, RATE)
    return path


def test_the_command_writes_a_table_and_its_provenance(model, tmp_path, capsys):
    path = write(tmp_path / "talk.wav")
    assert command(model, tmp_path / "out", path) == 0
    assert capsys.readouterr().out == f"talk.wav: 0:02, 4 segments, {tmp_path / 'out' / 'talk'}\n"
    about = json.loads((tmp_path / "out/talk/timeline.json").read_text(encoding="utf-8"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert about["recording"] == {"name": "talk.wav", "sha256": sha256, "duration_s": 2.0, "sample_rate_hz": RATE}
    assert about["model"]["name"] == "small"
    assert len(about["model"]["sha256"]) == 64
    assert about["settings"]["segments"] == {"segment_frames": 96, "hop_frames": 48}
    header, *rows = csv.reader((tmp_path / "out/talk/timeline.csv").read_text().splitlines())
    assert header == ["start_s", "end_s", "level_dbfs", *EMOTIONS]
    assert [float(row[0]) for row in rows] == [0.0075, 0.4875, 0.9675, 1.0375]
    assert float(rows[-1][1]) == 1.9975
    np.testing.assert_allclose([sum(map(float, row[3:])) for row in rows], 1, atol=1e-5)


def test_the_table_holds_the_numbers_of_the_timeline(classifier, voice):
    timeline = emotion_timeline(io.BytesIO(encoded(voice)), classifier)
    _, *rows = csv.reader(io.StringIO(timeline_csv(timeline).decode()))
    found = np.array(rows, float)
    np.testing.assert_allclose(found[:, 0], timeline.starts_s, atol=1e-4)
    np.testing.assert_allclose(found[:, 1], timeline.ends_s, atol=1e-4)
    np.testing.assert_allclose(found[:, 2], timeline.level_dbfs, atol=0.01)
    np.testing.assert_allclose(found[:, 3:], timeline.probabilities, atol=1e-6)


def test_refused_files_get_one_line_each_and_the_others_are_finished(model, tmp_path, capsys):
    good = write(tmp_path / "good.wav")
    (tmp_path / "text.wav").write_text("this is not sound")
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    files = [
        tmp_path / "text.wav",
        good,
        tmp_path / "missing.wav",
        tmp_path / "nan.wav",
        write(tmp_path / "s.wav", 0.5),
    ]
    assert command(model, tmp_path / "out", *files) == 2
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["text.wav", "missing.wav", "nan.wav", "s.wav"]
    assert all(line.endswith(".") for line in lines)
    assert output.out.startswith("good.wav: ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]


def test_files_of_the_same_name_get_folders_of_their_own(model, tmp_path):
    files = [write(tmp_path / "one" / "take.wav", seed=1), write(tmp_path / "two" / "take.flac", seed=2)]
    assert command(model, tmp_path / "out", *files) == 0
    expected = {f"take-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}" for file in files}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected


def test_a_model_that_is_not_there_is_refused_in_one_line(tmp_path, capsys):
    assert command(tmp_path / "no_model", tmp_path / "out", write(tmp_path / "a.wav")) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


# --- one speaker: judged by the recording's own normal ---


def voiced():
    settings = VoiceSettings(shrinkage_recordings=1.0, one_emotion_spread=-2.0, mixed_spread=-1.0)
    front_end = FrontEnd(selection=SelectionSettings("none"))
    about = {"name": "voiced", "sha256": "2" * 64, "emotions": EMOTIONS, "front_end": front_end}
    return NetworkClassifier(fresh(TinyNetwork), voice=settings, **about)


@pytest.mark.parametrize("block_s", [2.0, 61.44])
def test_own_voice_gives_the_scores_of_a_classifier_adapted_to_the_whole_recording(tmp_path, block_s):
    file, classifier = tmp_path / "a.wav", voiced()
    soundfile.write(file, noise_recording(9.0).samples, RATE)
    recording = read_recording(file)
    adapted = classifier.with_voice(voice_normal([logits_for_normal(recording, classifier)]))
    timeline = emotion_timeline(file, classifier, block_s=block_s, own_voice=True)
    expected = classify_recording(recording, adapted, AnalysisSettings()).scores.segments
    np.testing.assert_allclose(timeline.probabilities, expected, atol=1e-4)
    assert timeline.voice.recordings == 1
    assert timeline.voice.share == pytest.approx(adapted.voice_share.share, abs=1e-4)
    assert timeline.voice.share > 0.4  # nine seconds are several recordings' worth
    assert timeline_dict(timeline)["voice"]["recordings"] == 1
    assert "voice" not in timeline_dict(emotion_timeline(file, classifier))


def test_own_voice_needs_a_model_with_voice_settings(classifier, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise_recording().samples, RATE)
    with pytest.raises(SettingsRefused, match="cannot judge a voice by its own normal"):
        emotion_timeline(tmp_path / "a.wav", classifier, own_voice=True)
