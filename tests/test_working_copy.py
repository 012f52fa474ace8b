"""The working copy of a long recording: decoded on disk, read in pieces, and sent to the browser in pieces."""

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pages.shared.player.tiles import overview_levels, sample_levels
from pages.shared.server.streaming import PIECE_BYTES, send_in_pieces
from ser_core.audio import working_copy as module
from ser_core.audio.reading import read_recording
from ser_core.audio.working_copy import HEADER_BYTES, LONGEST_STRETCH_S, FileBytes, working_copy
from ser_core.errors import AudioRefused, Cancelled, SettingsRefused
from ser_core.settings import AudioLimits
from ser_core.work.progress import Work
from tests.broken_machine import files_of_at_most
from tests.test_audio import RATE, encoded


def copy_of(data: bytes, folder: Path):
    return working_copy(io.BytesIO(data), "interview.wav", folder)


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
def test_it_holds_the_samples_of_the_recording_in_16_bits(make_voice, tmp_path, kind, subtype):
    data = encoded(make_voice(3.21, RATE), kind=kind, subtype=subtype)
    expected, copy = read_recording(data), copy_of(data, tmp_path)
    found, rate = soundfile.read(io.BytesIO(copy.wav[:]), dtype="float32")
    assert (rate, len(found), copy.samples, copy.sha256) == (RATE, copy.samples, len(expected.samples), expected.sha256)
    # Samples with 16 bits stay the same, bit for bit.
    np.testing.assert_allclose(found, expected.samples, atol=0 if kind != "MP3" else 2**-16)


def test_stretches_are_slices_of_it_with_times_rounded_to_samples(make_voice, tmp_path):
    copy = copy_of(encoded(make_voice(4.0, RATE)), tmp_path)
    whole, _ = soundfile.read(io.BytesIO(copy.wav[:]), dtype="int16")
    for start_s, end_s in ((0.0, 0.5), (1.23456, 2.34567), (3.9, 60.0)):
        expected = whole[round(start_s * RATE) : round(end_s * RATE)]
        np.testing.assert_array_equal(copy.pcm(start_s, end_s), expected)
        found, rate = soundfile.read(io.BytesIO(copy.stretch(start_s, end_s)), dtype="int16")
        assert rate == RATE
        np.testing.assert_array_equal(found, expected)


def test_its_overview_is_that_of_the_whole_recording(make_voice, tmp_path):
    data = encoded(make_voice(3.21, RATE))
    samples, copy = read_recording(data).samples, copy_of(data, tmp_path)
    for found, expected in zip(overview_levels(copy.overview), sample_levels(samples), strict=True):
        assert (found.step, found.columns, found.rows) == (expected.step, expected.columns, expected.rows)
        ours, theirs = (np.frombuffer(one.content, "<i2").astype(int) for one in (found, expected))
        assert np.abs(ours - theirs).max() <= 1  # of 32768 and 32767 steps
    assert copy.peak == pytest.approx(np.abs(samples).max(), abs=2**-15)


def test_what_is_louder_than_full_scale_is_scaled_as_a_whole(make_voice, tmp_path):
    loud = np.concatenate([make_voice(1.0, RATE), 4 * make_voice(1.0, RATE)])
    copy = copy_of(encoded(loud, subtype="FLOAT"), tmp_path)
    np.testing.assert_allclose(copy.pcm(0, 2) / 2**15, loud / np.abs(loud).max(), atol=2**-14)
    assert "scaled down" in copy.warnings[0]


def test_its_file_has_no_name_that_a_killed_app_could_leave_behind(make_voice, tmp_path):
    copy = copy_of(encoded(make_voice(1.0, RATE)), tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())
    assert len(copy.wav) == HEADER_BYTES + 2 * RATE


def test_only_the_bytes_that_are_asked_for_are_read(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(100)))
    with path.open("rb") as file:
        content = FileBytes(file)
        assert len(content) == 100
        assert content[10:12] == bytes([10, 11])
        assert content[-2:] == bytes([98, 99])
        assert content[90:200] == bytes(range(90, 100))
        assert content[200:300] == b""


@pytest.mark.parametrize("stretch", [(1.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (3.0, 4.0)])
def test_a_stretch_that_is_not_in_the_recording_is_refused(make_voice, tmp_path, stretch):
    copy = copy_of(encoded(make_voice(2.0, RATE)), tmp_path)
    with pytest.raises(SettingsRefused, match=r"not a stretch of interview\.wav, which lasts 0:02"):
        copy.pcm(*stretch)


def test_ten_minutes_are_the_most_that_can_be_cut_whatever_they_round_to(tmp_path):
    rate = 4_001  # 0.5 and 600.5 s lie between two samples
    copy = copy_of(encoded(0.1 * np.random.default_rng(0).normal(size=602 * rate), rate), tmp_path)
    assert len(copy.pcm(0.5, 0.5 + LONGEST_STRETCH_S)) == 600 * rate
    with pytest.raises(SettingsRefused, match="The stretch lasts 10:01; at most 10:00"):
        copy.pcm(0.0, 601.0)


def test_too_long_broken_and_stopped_work_leaves_nothing(make_voice, tmp_path, monkeypatch):
    voice = make_voice(3.0, RATE)
    voice[-1] = np.nan
    with pytest.raises(AudioRefused, match="1 of 48000 samples are not numbers"):
        copy_of(encoded(voice, subtype="FLOAT"), tmp_path)
    with pytest.raises(Cancelled):
        working_copy(io.BytesIO(encoded(make_voice(3.0, RATE))), "a", tmp_path, Work(stop=lambda: True))
    monkeypatch.setattr(module, "LONG_RECORDING", AudioLimits(longest_s=2.0))
    with pytest.raises(AudioRefused, match="longer than"):
        copy_of(encoded(make_voice(3.0, RATE)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said(make_voice, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AudioRefused, match=r"interview.wav: it cannot be decoded into .*file.* Free some space"):
        copy_of(encoded(make_voice(1.0, RATE)), tmp_path / "file")


@pytest.mark.parametrize("louder", [1, 4], ids=["once", "twice, to be scaled"])
@pytest.mark.parametrize("room_bytes", [10, 30_000, HEADER_BYTES + 2 * RATE - 1])
def test_a_disk_that_is_full_is_said_wherever_it_is_noticed(make_voice, tmp_path, room_bytes, louder):
    data = encoded(louder * make_voice(1.0, RATE), subtype="FLOAT")
    with (
        files_of_at_most(room_bytes),
        pytest.raises(AudioRefused, match=r"interview.wav: it cannot be .* Free some space"),
    ):
        copy_of(data, tmp_path)
    assert not list(tmp_path.iterdir())


# --- over HTTP ---


def response_to(content: FileBytes, range_header: str) -> tuple[int, dict[str, str], list[bytes]]:
    """Return status, headers and pieces of the answer to a request."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.sleep(60)

    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
    asyncio.run(send_in_pieces(content, range_header, scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, [message["body"] for message in sent[1:]]


def test_a_sound_on_disk_is_sent_in_small_pieces_from_wherever_a_browser_begins(tmp_path):
    data = np.random.default_rng(0).bytes(3 * PIECE_BYTES + 17)
    (tmp_path / "sound").write_bytes(data)
    with (tmp_path / "sound").open("rb") as file:
        content = FileBytes(file)
        status, headers, pieces = response_to(content, "bytes=5-")
        assert (status, b"".join(pieces)) == (206, data[5:])
        assert headers["content-range"] == f"bytes 5-{len(data) - 1}/{len(data)}"
        assert int(headers["content-length"]) == len(data) - 5
        assert max(map(len, pieces)) == PIECE_BYTES
        assert response_to(content, "bytes=10-19")[2][0] == data[10:20]
        status, headers, pieces = response_to(content, "")
        assert (status, b"".join(pieces), headers["accept-ranges"]) == (200, data, "bytes")
        assert "content-range" not in headers
        assert response_to(content, f"bytes={len(data)}-")[:2][0] == 416
