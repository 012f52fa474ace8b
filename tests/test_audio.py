"""The gate: what is decoded, what is refused and what causes warnings; and resampling."""

import hashlib
import io
import os
import socket
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import correlate

from ser_core.audio.decoding.libsndfile import _mp3_frame_bytes
from ser_core.audio.long_recording import open_long_recording
from ser_core.audio.reading import file_bytes, read_recording, resample
from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.settings import AudioLimits
from ser_core.work.progress import UNWATCHED

RATE = 16_000


def encoded(samples: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str | None = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def encoded_with_av(samples: np.ndarray, container: str, codec: str, rate: int = 48_000) -> bytes:
    """Encode samples of shape (n,) or (n, 2) in blocks of 960, which both encoders take."""
    data = io.BytesIO()
    layout = "mono" if samples.ndim == 1 else "stereo"
    with av.open(data, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        to_codec = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        size = stream.codec_context.frame_size or 960
        planes = np.ascontiguousarray(np.atleast_2d(samples.T), np.float32)
        for start in range(0, planes.shape[1], size):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes[:, start : start + size]), "fltp", layout)
            frame.sample_rate, frame.pts = rate, start
            for part in to_codec.resample(frame):
                file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return data.getvalue()


def video_without_sound() -> bytes:
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        file.mux(stream.encode(None))
    return data.getvalue()


def likeness(found: np.ndarray, original: np.ndarray) -> float:
    """Return the correlation at the best delay; encoders put some samples before the first."""
    return float(np.abs(correlate(found, original)).max() / (np.linalg.norm(found) * np.linalg.norm(original)))


# --- what is read ---


@pytest.mark.parametrize(
    ("kind", "subtype", "step"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-23),  # float32 holds 24 bits
        ("WAV", "FLOAT", 0.0),
        ("WAV", "DOUBLE", 0.0),
        ("AIFF", "PCM_16", 2**-15),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
    ],
)
@pytest.mark.parametrize("length", [20_000, 20_001])
def test_a_lossless_file_gives_back_its_samples_without_a_warning(voice, kind, subtype, step, length):
    # An odd number of one-byte or three-byte samples needs a padding byte, which must not count as truncation.
    found = read_recording(encoded(voice[:length], kind=kind, subtype=subtype), "voice")
    assert found.sample_rate_hz == RATE
    assert found.samples.dtype == np.float32
    np.testing.assert_allclose(found.samples, voice[:length], rtol=0, atol=step)
    assert found.warnings == ()


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_a_lossy_file_read_by_soundfile_contains_the_speech(voice, kind, subtype):
    found = read_recording(encoded(voice, kind=kind, subtype=subtype), "voice")
    assert found.sample_rate_hz in (RATE, 48_000)
    assert found.duration_s == pytest.approx(2.5, abs=0.15)
    assert likeness(resample(found.samples, found.sample_rate_hz, RATE), voice) > 0.9
    assert found.warnings == ()


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus")])
def test_a_file_that_only_ffmpeg_reads_contains_the_speech(make_voice, container, codec):
    spoken = make_voice(2.5, 48_000)
    found = read_recording(encoded_with_av(spoken, container, codec), "voice")
    assert found.sample_rate_hz == 48_000
    assert found.duration_s == pytest.approx(2.5, abs=0.1)
    assert likeness(found.samples, spoken) > 0.9
    assert found.warnings == ()


def test_stereo_is_mixed_down_to_the_mean_of_its_channels(voice):
    left, right = voice, 0.5 * voice[::-1]
    found = read_recording(encoded(np.stack([left, right], axis=1), subtype="FLOAT"), "stereo.wav")
    np.testing.assert_allclose(found.samples, (left + right) / 2, atol=1e-7)


def test_stereo_that_only_ffmpeg_reads_is_mixed_down_too(make_voice):
    spoken = make_voice(1.0, 48_000)
    found = read_recording(encoded_with_av(np.stack([spoken, 0 * spoken], axis=1), "mp4", "aac"), "stereo.m4a")
    assert found.samples.ndim == 1
    assert likeness(found.samples, spoken) > 0.9
    assert np.abs(found.samples).max() == pytest.approx(np.abs(spoken).max() / 2, rel=0.15)


def test_samples_cannot_be_written_to(voice):
    found = read_recording(encoded(voice), "voice.wav")
    with pytest.raises(ValueError, match="read-only"):
        found.samples[0] = 1


def test_a_recording_is_identified_by_the_hash_of_its_file_whatever_its_name(voice, tmp_path):
    data = encoded(voice)
    path = tmp_path / "some name.wav"
    path.write_bytes(data)
    from_path, from_bytes = read_recording(path), read_recording(data, "other.wav")
    assert from_path.sha256 == from_bytes.sha256 == hashlib.sha256(data).hexdigest()
    assert (from_path.name, from_bytes.name) == ("some name.wav", "other.wav")
    np.testing.assert_array_equal(from_path.samples, from_bytes.samples)


def test_format_is_found_from_the_content_not_from_the_name(voice, tmp_path):
    path = tmp_path / "voice.mp3"
    path.write_bytes(encoded(voice, kind="FLAC"))
    assert len(read_recording(path).samples) == len(voice)


@pytest.mark.parametrize("rate", [4_000, 192_000])
def test_rates_at_the_limits_are_read_at_their_own_rate(make_voice, rate):
    found = read_recording(encoded(make_voice(0.5, rate), rate), "voice.wav")
    assert (found.sample_rate_hz, found.duration_s) == (rate, 0.5)


def test_shortest_recording_is_read(voice):
    assert read_recording(encoded(voice[1_000:2_600]), "short.wav").duration_s == pytest.approx(0.1)


# --- what is refused ---


def test_empty_file_is_refused():
    with pytest.raises(AudioRefused, match=r"nothing\.wav: the file is empty"):
        read_recording(b"", "nothing.wav")


@pytest.mark.parametrize(
    "data",
    [
        np.random.default_rng(0).bytes(50_000),
        b"RIFF\xff\xff\xff\x7fWAVE",
        b"OggS" + bytes(500),
        b"<html><body>Not found</body></html>",
    ],
    ids=["noise", "header of a WAV", "header of an Ogg", "web page"],
)
def test_bytes_that_are_not_audio_are_refused(data):
    with pytest.raises(AudioRefused, match="not readable audio"):
        read_recording(data, "file.wav")


def test_text_file_renamed_to_wav_is_refused(tmp_path):
    path = tmp_path / "letter.wav"
    path.write_text("This is a letter, not a recording.\n" * 200)
    with pytest.raises(AudioRefused, match=r"letter\.wav: this is not readable audio.* WAV, FLAC"):
        read_recording(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(AudioRefused, match=r"gone\.wav: there is no such file"):
        read_recording(tmp_path / "gone.wav")


def test_folder_is_refused(tmp_path):
    with pytest.raises(AudioRefused, match="there is no such file"):
        read_recording(tmp_path)


def test_file_that_is_too_large_is_refused_before_it_is_read(voice, tmp_path):
    path = tmp_path / "large.wav"
    path.write_bytes(encoded(np.tile(voice, 16)))
    with pytest.raises(AudioRefused, match=r"large\.wav: the file has 1 MiB; at most 0 MiB"):
        read_recording(path, limits=AudioLimits(largest_file_bytes=100_000))


@pytest.mark.parametrize("level", [0.0, 5e-5])
def test_silent_recording_is_refused(level):
    with pytest.raises(AudioRefused, match="the recording is silent"):
        read_recording(encoded(np.full(RATE, level, np.float32), subtype="FLOAT"), "silence.wav")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_counted_and_refused(voice, wrong):
    samples = voice.copy()
    samples[[5, 70]] = wrong
    with pytest.raises(AudioRefused, match="2 of 40000 samples are not numbers"):
        read_recording(encoded(samples, subtype="FLOAT"), "broken.wav")


def test_infinities_that_cancel_between_channels_are_refused(voice):
    samples = np.stack([voice, voice], axis=1)
    samples[5] = np.inf, -np.inf
    with pytest.raises(AudioRefused, match="1 of 40000 samples are not numbers"):
        read_recording(encoded(samples, subtype="FLOAT"), "broken.wav")


def test_double_beyond_the_range_of_a_float_is_refused(voice):
    samples = voice.astype(np.float64)
    samples[7] = 1e300
    with pytest.raises(AudioRefused, match="1 of 40000 samples are not numbers"):
        read_recording(encoded(samples, subtype="DOUBLE"), "broken.wav")


@pytest.mark.parametrize("length", [0, 1, 1_599])
def test_recording_under_a_tenth_of_a_second_is_refused(voice, length):
    with pytest.raises(AudioRefused, match=rf"lasts {length / RATE:.3f} s; at least 0.1 s"):
        read_recording(encoded(voice[:length]), "short.wav")


def test_recording_that_is_too_long_is_refused_and_one_that_just_fits_is_not(voice):
    data = encoded(voice)
    assert len(read_recording(data, "fits.wav", AudioLimits(longest_s=2.5)).samples) == len(voice)
    with pytest.raises(AudioRefused, match=r"longer than 0\.04 minutes"):
        read_recording(data, "long.wav", AudioLimits(longest_s=2.4))


def silence_of_many_minutes(kind: str) -> bytes:
    minute = np.zeros(60 * 8_000, np.float32)
    if kind == "webm":
        return encoded_with_av(np.tile(minute, 12), "webm", "libopus")
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8_000, 1, "PCM_16", format="FLAC") as out:
        for _ in range(20):
            out.write(minute)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["flac", "webm"])
def test_decompression_bomb_is_stopped_while_decoding(kind):
    bomb = silence_of_many_minutes(kind)
    assert len(bomb) < 500_000
    tracemalloc.start()
    with pytest.raises(AudioRefused, match=r"longer than 0\.05 minutes"):
        read_recording(bomb, "bomb", AudioLimits(longest_s=3))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All of it would be 38 MB or 23 MB of float32.
    assert peak < 5e6


def test_more_than_eight_channels_are_refused(voice):
    eight, nine = (np.tile(voice[:RATE, None], channels) for channels in (8, 9))
    assert len(read_recording(encoded(eight), "eight.wav").samples) == RATE
    with pytest.raises(AudioRefused, match="the file has 9 channels; at most 8"):
        read_recording(encoded(nine), "nine.wav")


@pytest.mark.parametrize("rate", [1, 3_999, 192_001, 384_000])
def test_sample_rate_outside_the_limits_is_refused(voice, rate):
    with pytest.raises(AudioRefused, match=f"the sample rate is {rate} Hz; .* 4000 to 192000 Hz"):
        read_recording(encoded(voice, rate), "voice.wav")


def test_film_without_sound_is_refused():
    with pytest.raises(AudioRefused, match="film: the file holds no audio"):
        read_recording(video_without_sound(), "film")


# --- warnings ---


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("part", [0.5, 0.8])
def test_a_truncated_file_is_read_up_to_its_end_with_a_warning(make_voice, kind, subtype, part):
    whole = encoded(make_voice(6.0, RATE), kind=kind, subtype=subtype)
    found = read_recording(whole[: int(part * len(whole))], "cut")
    assert found.duration_s == pytest.approx(part * 6, abs=1.25)  # Ogg loses a page, which is a second or so
    assert any(warning.startswith(("The file is truncated", "The file is damaged")) for warning in found.warnings)


def test_a_truncated_webm_is_read_up_to_its_end_with_a_warning(make_voice):
    whole = encoded_with_av(make_voice(6.0, 48_000), "webm", "libopus")
    found = read_recording(whole[: len(whole) // 2], "cut.webm")
    assert found.duration_s == pytest.approx(3, abs=1)
    assert any(warning.startswith(("The file is truncated", "The file is damaged")) for warning in found.warnings)


def test_a_clipped_recording_has_a_warning_with_the_clipped_share(voice):
    clipped = np.clip(8 * voice, -1, 1)
    (warning,) = read_recording(encoded(clipped), "clipped.wav").warnings
    assert warning.startswith(f"Clipped: {100 * np.mean(np.abs(clipped) >= 1):.1f} % of the samples")


def test_a_very_quiet_recording_has_a_warning_with_its_level(voice):
    quiet = voice * np.float32(10 ** (-60 / 20) / np.sqrt(np.mean(voice**2)))
    (warning,) = read_recording(encoded(quiet, subtype="FLOAT"), "quiet.wav").warnings
    assert warning.startswith("Very quiet: -60 dBFS")


def test_recording_louder_than_full_scale_is_scaled_down_and_says_so(voice):
    found = read_recording(encoded(4 * voice, subtype="FLOAT"), "loud.wav")
    assert found.warnings[0].startswith("Peaks 6.0 dB above full scale")
    np.testing.assert_allclose(found.samples, voice / np.abs(voice).max(), atol=1e-6)


# --- resampling ---


@given(
    length=st.integers(400, 9_000),
    rates=st.tuples(*2 * [st.sampled_from([4_000, 8_000, 11_025, 16_000, 44_100, 44_101, 48_000, 96_000, 192_000])]),
)
def test_resampled_length_is_the_length_times_the_ratio(length, rates):
    from_hz, to_hz = rates
    found = resample(np.zeros(length, np.float32), from_hz, to_hz)
    assert found.dtype == np.float32
    assert len(found) == pytest.approx(length * to_hz / from_hz, abs=0.5)


def test_equal_rates_leave_the_samples_as_they_are(voice):
    assert resample(voice, RATE, RATE) is voice


def tone(hz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16_000, 48_000), (44_100, 48_000), (44_101, 48_000), (96_000, 16_000)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.85])
def test_tone_below_the_cut_off_survives_resampling_in_place(from_hz, to_hz, share):
    hz = share * min(from_hz, to_hz) / 2
    found = resample(tone(hz, from_hz), from_hz, to_hz)
    inside = slice(to_hz // 10, -to_hz // 10)  # the tone's start and stop are not a pure tone
    np.testing.assert_allclose(found[inside], tone(hz, to_hz)[: len(found)][inside], atol=1e-3)


def test_tone_above_the_cut_off_is_gone_after_resampling():
    found = resample(tone(10_000, 48_000), 48_000, 16_000)
    assert np.abs(found[1_600:-1_600]).max() < 1e-4


def test_a_file_that_may_not_be_read_is_refused_with_the_reason(tmp_path, monkeypatch):
    path = tmp_path / "secret.wav"
    path.write_bytes(b"RIFF")

    def forbidden(path, flags):
        raise PermissionError(13, "Permission denied")

    read_recording(encoded(np.full(RATE, 0.5)))  # the process that decodes is started
    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(AudioRefused, match=r"secret\.wav: the file cannot be read \(Permission denied\)"):
        read_recording(path)


# --- concatenated files ---

KINDS = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("FLAC", "PCM_16")]


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_one_rate_that_were_joined_are_read_to_the_end(make_voice, kind, subtype, channels):
    one = encoded(make_voice(2.0, RATE), kind=kind, subtype=subtype)
    two = encoded(np.stack(channels * [make_voice(3.0, RATE)], axis=1), kind=kind, subtype=subtype)
    joined = read_recording(one + two + one, "joined")
    parts = [read_recording(part, "part").samples for part in (one, two, one)]
    np.testing.assert_array_equal(joined.samples, np.concatenate(parts))
    assert joined.warnings == ()


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_of_joined_files_of_different_rates_the_first_is_read_and_a_warning_gives_its_length(make_voice, kind, subtype):
    one = encoded(make_voice(2.0, RATE), kind=kind, subtype=subtype)
    two = encoded(make_voice(3.0, 48_000), 48_000, kind=kind, subtype=subtype)
    joined = read_recording(one + two, "joined")
    np.testing.assert_array_equal(joined.samples, read_recording(one, "one").samples)
    (warning,) = joined.warnings
    assert all(figure in warning for figure in ("2.0 s", "16000", "48000"))


def mp3_without_count(samples, rate):
    """Return an MP3 without its first frame, which has the frame count."""
    data = encoded(samples, rate, "MP3", "MPEG_LAYER_III")
    return data[_mp3_frame_bytes(data[:4]) :]


def test_an_mp3_without_a_frame_count_is_read_to_its_end(make_voice):
    found = read_recording(mp3_without_count(make_voice(6.0, RATE), RATE), "no count.mp3")
    assert found.duration_s == pytest.approx(6.0, abs=0.15)
    assert found.warnings == ()


def test_joined_mp3s_without_frame_counts_are_read_until_their_rate_changes(make_voice):
    one, two = (mp3_without_count(make_voice(2.0, rate), rate) for rate in (RATE, 48_000))
    assert read_recording(one + one, "same.mp3").duration_s == pytest.approx(4.0, abs=0.3)
    joined = read_recording(one + two, "joined.mp3")
    assert joined.sample_rate_hz == RATE
    assert joined.duration_s == pytest.approx(2.0, abs=0.3)
    assert any("48000" in warning for warning in joined.warnings)


def test_tags_after_an_mp3_are_not_taken_for_another_file(voice):
    data = encoded(voice, kind="MP3", subtype="MPEG_LAYER_III")
    picture = np.random.default_rng(0).bytes(100_000)
    for tag in (b"TAG" + bytes(125), b"APETAGEX" + picture, b"\xff\xfb" * 50_000):
        found = read_recording(data + tag, "tagged.mp3")
        assert found.duration_s == pytest.approx(2.5, abs=0.01)
        assert found.warnings == ()


def test_multiplexed_ogg_streams_are_not_taken_for_joined_files(voice):
    data = encoded(voice, kind="OGG", subtype="VORBIS")
    # A second logical stream that begins on the second page, as a skeleton or pictures would.
    beside = b"OggS\0\2" + bytes(8) + b"\7\0\0\0" + bytes(8) + b"\1\4" + b"fish"
    first = 27 + data[26] + sum(data[27 : 27 + data[26]])
    found = read_recording(data[:first] + beside + data[first:], "two streams")
    assert found.duration_s == pytest.approx(2.5, abs=0.01)
    assert found.warnings == ()


def test_joined_files_that_are_too_long_together_are_refused(make_voice):
    data = encoded(make_voice(2.0, RATE), kind="OGG", subtype="VORBIS")
    with pytest.raises(RecordingTooLong):
        read_recording(20 * data, "many", AudioLimits(longest_s=30))


# --- channels and tracks ---


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_recording_has_the_number_of_channels_of_its_file(voice, channels):
    assert read_recording(encoded(np.stack(channels * [voice], axis=1)), "a.wav").channels == channels


@pytest.mark.parametrize("make", [encoded, lambda stereo: encoded_with_av(stereo, "webm", "libopus")])
def test_channels_that_cancel_each_other_out_are_read_as_one_with_a_warning(make_voice, make):
    voice = make_voice(2.0, 48_000)
    quiet = np.random.default_rng(0).normal(0, 1e-4, (48_000, 2)).astype(np.float32)
    stereo = np.concatenate([quiet, np.stack([0.9 * voice, -voice], axis=1)])
    found = read_recording(make(stereo) if make is not encoded else encoded(stereo, 48_000), "upside down")
    assert np.sqrt(np.mean(found.samples**2)) > 0.5 * np.sqrt(np.mean(voice**2))
    (warning,) = (warning for warning in found.warnings if "cancel" in warning)
    assert "channel 2" in warning


@pytest.mark.parametrize("right", [0.0, 0.5, 1.0, -0.5])
def test_channels_that_do_not_cancel_are_mixed_without_a_warning(voice, right):
    found = read_recording(encoded(np.stack([voice, right * voice], axis=1)), "stereo")
    np.testing.assert_allclose(found.samples, voice * (1 + right) / 2, atol=1e-4)
    assert not [warning for warning in found.warnings if "channel" in warning]


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus")])
def test_of_several_audio_tracks_one_is_read_with_a_warning(make_voice, container, codec):
    data = io.BytesIO()
    with av.open(data, "w", format=container) as file:
        streams = [file.add_stream(codec, rate=48_000, layout="mono") for _ in range(2)]
        for stream, loudness in zip(streams, (0.5, 0.1), strict=True):
            samples = loudness * make_voice(1.0, 48_000)
            to_codec = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=48_000)
            for start in range(0, 48_000, 960):
                frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], "fltp", "mono")
                frame.sample_rate, frame.pts = 48_000, start
                for part in to_codec.resample(frame):
                    file.mux(stream.encode(part))
            file.mux(stream.encode(None))
    found = read_recording(data.getvalue(), "two tracks")
    assert found.duration_s == pytest.approx(1.0, abs=0.1)
    assert [w for w in found.warnings if "2 audio tracks" in w and "number 1" in w]


# --- the checksum of a FLAC ---


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_flac_with_a_wrong_checksum_is_read_with_a_warning(make_voice, subtype, channels):
    stereo = np.stack([make_voice(1.5, RATE), 0.5 * make_voice(1.5, RATE)], axis=1)[:, :channels]
    data = encoded(stereo, kind="FLAC", subtype=subtype)
    right = read_recording(data, "right.flac")
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        np.testing.assert_array_equal(right.samples, file.read(dtype="float32", always_2d=True).mean(axis=1))
    assert not [w for w in right.warnings if "MD5" in w]
    wrong = read_recording(data[:30] + bytes([data[30] ^ 1]) + data[31:], "wrong.flac")
    np.testing.assert_array_equal(wrong.samples, right.samples)
    assert [w for w in wrong.warnings if "MD5" in w]
    none = read_recording(data[:26] + bytes(16) + data[42:], "none.flac")
    assert none.warnings == right.warnings


# --- names, pipes and links ---


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("voice.wav", "voice.wav"),
        ("\x1b]0;owned\x07\x1b[2J.wav", "\ufffd]0;owned\ufffd\ufffd[2J.wav"),
        ("a\nb\r\tc\x00.wav", "a\ufffdb\ufffd\ufffdc\ufffd.wav"),
        ("\x9b31m.wav", "\ufffd31m.wav"),
        ("\u202egnp.wav", "\ufffdgnp.wav"),
        ("\udcff\u2028.wav", "\ufffd\ufffd.wav"),
        ("می\u200cخواهم\u3000録音 \N{GRINNING FACE}.wav", "می\u200cخواهم\u3000録音 \N{GRINNING FACE}.wav"),
        ("Ω" * 296 + ".wav", "Ω" * 99 + "…" + "Ω" * 16 + ".wav"),
    ],
)
def test_a_name_is_printed_without_terminal_control_characters(voice, name, shown):
    assert read_recording(encoded(voice), name).name == shown
    with pytest.raises(AudioRefused) as refusal:
        read_recording(b"x" * 100, name)
    assert str(refusal.value).startswith(f"{shown}: ")


@pytest.mark.parametrize("make", [read_recording, file_bytes, lambda path: long_recording_of(path)])
def test_a_pipe_a_socket_and_a_device_are_refused_and_not_waited_for(tmp_path, make):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.wav"))
        for path in (tmp_path / "pipe.wav", tmp_path / "link.wav", tmp_path / "s.wav", Path("/dev/zero")):
            with pytest.raises(AudioRefused, match="there is no such file"):
                make(path)


def long_recording_of(path):
    with open_long_recording(path, "long", AudioLimits(), UNWATCHED):
        pass


def test_a_given_link_is_followed_but_one_found_in_a_folder_is_not(voice, tmp_path):
    there, link = tmp_path / "voice.wav", tmp_path / "link.wav"
    there.write_bytes(encoded(voice))
    link.symlink_to(there)
    assert len(read_recording(link).samples) == len(voice)
    assert file_bytes(link) == file_bytes(there, follow_link=False) == there.read_bytes()
    with pytest.raises(AudioRefused, match="there is no such file"):
        file_bytes(link, follow_link=False)


def test_a_file_that_becomes_a_pipe_after_it_was_checked_is_not_waited_for(tmp_path, monkeypatch):
    path, real = tmp_path / "voice.wav", os.open
    path.write_bytes(b"RIFF")

    def swapped(*args):
        path.unlink()
        os.mkfifo(path)
        return real(*args)

    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(AudioRefused, match="there is no such file"):
        file_bytes(path)


def test_no_more_than_the_limit_is_read_of_a_file_whatever_size_it_claims(tmp_path, monkeypatch):
    path = tmp_path / "grows.wav"
    path.write_bytes(bytes(5_000))
    small = os.stat_result((*os.stat(path)[:6], 100, *os.stat(path)[7:]))
    monkeypatch.setattr(os, "fstat", lambda descriptor: small)
    with pytest.raises(AudioRefused, match="at most 0 MiB"):
        file_bytes(path, AudioLimits(largest_file_bytes=1_000))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux has such files")
def test_a_file_that_claims_to_be_empty_is_refused():
    with pytest.raises(AudioRefused, match="empty"):
        read_recording("/proc/self/status")


def test_raw_aac_that_begins_with_silence_is_not_called_truncated(make_voice):
    samples = np.concatenate([np.zeros(4 * 48_000), np.tile(make_voice(3.0, 48_000), 4)])
    found = read_recording(encoded_with_av(samples, "adts", "aac"), "silence.aac")
    assert found.duration_s == pytest.approx(16, abs=0.1)
    assert found.warnings == ()
