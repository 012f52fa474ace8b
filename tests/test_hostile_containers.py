"""Texts and containers that name other files or hosts: only sound inside the file itself is ever read."""

import io
import socket

import av
import numpy as np
import pytest
import soundfile

from ser_core.audio import decoding
from ser_core.audio.decoding import decode
from ser_core.audio.decoding.containers import CODECS, CONTAINERS
from ser_core.audio.reading import read_recording
from ser_core.errors import AudioRefused
from ser_core.settings import AudioLimits
from tests.conftest import voice_like
from tests.hostile_files import audio_files, texts_that_name_files
from tests.test_audio import encoded, encoded_with_av

AUDIO, TEXTS = audio_files(), texts_that_name_files()


@pytest.fixture
def no_library(monkeypatch):
    """Fail as soon as FFmpeg or libsndfile is given anything."""

    def never(*args, **kwargs):
        pytest.fail("a library was given bytes of no container that is read")

    monkeypatch.setattr(decoding.av, "open", never)
    monkeypatch.setattr(decoding.soundfile, "SoundFile", never)


def refused(data: bytes) -> str:
    with pytest.raises(AudioRefused) as refusal, decode(io.BytesIO(data), "file", AudioLimits()):
        pass
    return str(refusal.value)


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("kind", TEXTS)
def test_text_that_names_files_or_hosts_reaches_no_library(kind):
    assert "not readable audio" in refused(TEXTS[kind])


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize(
    "head",
    [
        b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska",
        b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84evil",
        b".snd" + bytes(20),
        b"caff\0\1\0\0",
        b"riff\x2e\x91\xcf\x11",  # Sony Wave64
        b"RIFF\0\0\1\0AVI LIST",
        b"FORM\0\0\1\x008SVX",
        b"FLV\1\5",
        b"G@\0\x10",
        b"#!AMR\n",
        b"0&\xb2u\x8ef\xcf\x11",  # ASF
        b"ID3\4\0\0\0\0\0\0RIFF\0\0\1\0WAVE",
        b"ID3\4\0\0\x7f\x7f\x7f\x7f",
        b"ID3\4\0\0",
    ],
)
def test_an_unsupported_container_reaches_no_library(head):
    assert "not readable audio" in refused(head + bytes(2_000))


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("kind", AUDIO)
def test_a_file_header_that_is_not_at_the_start_does_not_count(kind):
    assert "not readable audio" in refused(b"ffconcat version 1.0\n" + AUDIO[kind])


def test_a_playlist_does_not_read_the_files_it_names(tmp_path):
    other = tmp_path / "0123abcd"
    other.write_bytes(encoded(voice_like(1.0, 16_000)))
    for line in (f"file {other}", f"file 'file:{other}'"):
        with pytest.raises(AudioRefused, match="not readable audio"):
            read_recording(f"ffconcat version 1.0\n{line}\n".encode(), "list.txt")


def test_a_session_description_opens_no_socket():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    with pytest.raises(AudioRefused, match="not readable audio"):
        read_recording(text.encode(), "talk.sdp")


def with_external_data(m4a: bytes, entry: bytes) -> bytes:
    """Return an M4A whose table of data references says that its sound lies elsewhere."""
    own = b"\0\0\0\x0curl \0\0\0\1"
    changed = bytearray(m4a.replace(own, entry, 1))
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = changed.index(kind) - 4
        size = int.from_bytes(changed[place : place + 4], "big") + len(entry) - len(own)
        changed[place : place + 4] = size.to_bytes(4, "big")
    return bytes(changed)


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def alias(path: bytes) -> bytes:
    """Return a Macintosh alias record of a file, as QuickTime films refer to one."""
    name = path.rpartition(b"/")[2][:27]
    fixed = bytes(4) + (150 + 4 + len(path)).to_bytes(2, "big") + b"\0\2\0\0" + bytes([3]) + b"abc".ljust(27, b"\0")
    fixed += bytes(8) + bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + b"\0\1\0\1" + bytes(16)
    return fixed + b"\0\x12" + len(path).to_bytes(2, "big") + path + b"\xff\xff\0\0"


@pytest.mark.parametrize("kind", [b"url ", b"urn ", b"alis"])
def test_sound_that_a_film_references_externally_is_never_fetched(kind, tmp_path):
    own, other = (encoded_with_av(voice_like(length, 48_000), "mp4", "aac") for length in (1.0, 3.0))
    there = tmp_path / "other.m4a"
    there.write_bytes(other)
    path = str(there).encode()
    entry = box(kind, bytes(4) + (alias(path) if kind == b"alis" else b"file://" + path + b"\0"))
    try:
        found = read_recording(with_external_data(own, entry), "film.m4a")
    except AudioRefused:
        return
    np.testing.assert_array_equal(found.samples, read_recording(own, "own.m4a").samples)


@pytest.mark.parametrize("codec", ["alac", "ac3"])
def test_sound_of_another_codec_is_refused_by_name(codec):
    assert codec in refused(encoded_with_av(voice_like(1.0, 48_000), "mp4", codec))


def test_ffmpeg_gets_the_container_and_allowlists_of_codecs_and_protocols(monkeypatch):
    given, real = {}, av.open

    def noted(file, *args, **kwargs):
        given.update(kwargs)
        return real(file, *args, **kwargs)

    monkeypatch.setattr(decoding.av, "open", noted)
    with decode(io.BytesIO(AUDIO["m4a"]), "voice", AudioLimits()) as sound:
        assert list(sound.blocks)
    assert given["format"] in CONTAINERS
    assert set(given["options"]["codec_whitelist"].split(",")) == CODECS
    assert given["options"]["protocol_whitelist"] == "none"


def test_every_allowed_decoder_is_of_a_readable_codec():
    families = {"aac", "opus", "vorbis", "mp3", "mp3float", "flac"}
    assert {name.removeprefix("lib") for name in CODECS if not name.startswith("pcm_")} == families


@pytest.mark.parametrize("kind", ["mp3", "flac"])
@pytest.mark.parametrize("tags", [1, 3])
def test_tags_before_the_sound_are_skipped(kind, tags):
    data = AUDIO[kind]
    tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
    found, bare = read_recording(tags * tag + data, "tagged"), read_recording(data, "bare")
    if kind == "mp3" or tags == 1:
        np.testing.assert_array_equal(found.samples, bare.samples)


def test_only_the_sound_of_a_film_is_decoded():
    data, voice = io.BytesIO(), voice_like(1.0, 48_000)
    with av.open(data, "w", format="mp4") as file:
        pictures, sound = file.add_stream("mpeg4", rate=10), file.add_stream("aac", rate=48_000, layout="mono")
        pictures.width = pictures.height = 32
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * number, np.uint8))
            file.mux(pictures.encode(frame))
        file.mux(pictures.encode(None))
        for start in range(0, 48_000 - 1_024, 1_024):
            frame = av.AudioFrame.from_ndarray(voice[None, start : start + 1_024], "fltp", "mono")
            frame.sample_rate, frame.pts = 48_000, start
            file.mux(sound.encode(frame))
        file.mux(sound.encode(None))
    assert read_recording(data.getvalue(), "film.mp4").duration_s == pytest.approx(1.0, abs=0.1)


def test_soundfile_reads_only_the_listed_formats():
    # AU is one of the 20 others that libsndfile would read.
    data = encoded(voice_like(1.0, 16_000), kind="AU")
    with soundfile.SoundFile(io.BytesIO(data)) as readable:
        assert readable.format == "AU"
    assert "not readable audio" in refused(data)
