"""Decoding in its own process: the same sound, and one refusal whatever happens there."""

import io
import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest

from ser_core.audio import decoding_process
from ser_core.audio.decoding import decode
from ser_core.audio.decoding_process import decode_in_subprocess
from ser_core.audio.reading import read_recording
from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.settings import AudioLimits
from ser_core.work import child_process, jobs, sandbox
from tests.hostile_files import audio_files, audio_named, named_audio
from tests.test_audio import encoded

pytestmark = pytest.mark.process

AUDIO, NAMED = audio_files(), named_audio()
#: It takes seconds and differs from another bomb only in its rate; test_hostile_input decodes it.
LARGEST = "bomb of ten minutes at 192 kHz"


@pytest.fixture
def _kept_process():
    """Reuse the previous test's decoding process."""


@pytest.fixture(autouse=True)
def _no_process_of_another_test(request):
    kept = "_kept_process" in request.fixturenames
    if not kept:
        decoding_process._end_idle()
    yield
    if not kept:
        decoding_process._end_idle()


def sound_of(decoder, data, **more):
    with decoder(io.BytesIO(data), "voice", AudioLimits(), **more) as sound:
        return sound.sample_rate_hz, np.concatenate(list(sound.blocks)), sound.warnings


def idle_ids():
    return [decoder.child.process.pid for decoder in decoding_process._idle]


@pytest.mark.usefixtures("_kept_process")
@pytest.mark.parametrize("kind", AUDIO)
@pytest.mark.parametrize("from_s", [0.0, 0.3])
def test_the_process_decodes_the_same_sound_as_decoding_here(kind, from_s):
    data = AUDIO[kind]
    rate, samples, warnings = sound_of(decode_in_subprocess, data, from_s=from_s)
    rate_here, samples_here, warnings_here = sound_of(decode, data, from_s=from_s)
    assert (rate, warnings, samples.dtype) == (rate_here, warnings_here, np.float32)
    np.testing.assert_array_equal(samples, samples_here)


def test_a_file_too_large_to_be_sent_at_once_is_read_piece_by_piece(make_voice):
    data = encoded(make_voice(60.0, 16_000))
    assert len(data) > decoding_process.SMALL_BYTES
    np.testing.assert_array_equal(sound_of(decode_in_subprocess, data)[1], sound_of(decode, data)[1])


def test_decoding_is_limited_to_a_number_of_processes_and_the_next_one_waits(voice):
    data, ended = encoded(voice), threading.Event()

    def decode_too() -> None:
        sound_of(decode_in_subprocess, data)
        ended.set()

    with ExitStack() as stack:
        for _ in range(decoding_process.MAX_RUNNING):
            stack.enter_context(decode_in_subprocess(io.BytesIO(data), "voice", AudioLimits()))
        one_more = threading.Thread(target=decode_too)
        one_more.start()
        assert not ended.wait(1)
        assert idle_ids() == []
    assert ended.wait(30)
    one_more.join()


def test_decoding_is_limited_per_owner_and_other_owners_do_not_wait(voice):
    data, ended = encoded(voice), {name: threading.Event() for name in ("mine", "theirs")}

    def decode_for(owner: str) -> None:
        jobs.work_owner.set(owner)  # of this thread alone
        sound_of(decode_in_subprocess, data)
        ended[owner].set()

    threads = [threading.Thread(target=decode_for, args=(owner,)) for owner in ("mine", "theirs")]

    def hold_and_start() -> None:
        jobs.work_owner.set("mine")
        with ExitStack() as stack:
            for _ in range(decoding_process.MAX_RUNNING_PER_OWNER):
                stack.enter_context(decode_in_subprocess(io.BytesIO(data), "voice", AudioLimits()))
            for thread in threads:
                thread.start()
            assert ended["theirs"].wait(30)
            assert not ended["mine"].is_set()

    copy_context().run(hold_and_start)
    assert ended["mine"].wait(30)
    for thread in threads:
        thread.join()


def test_a_free_slot_goes_to_the_longest_waiting_job_that_may_start():
    slots = decoding_process._Slots()
    slots._running = ["a", "a", "b"]
    slots._waiting = [("a", 1), ("", 2), ("b", 3)]
    assert slots._first() == ("", 2)
    slots._running.append("c")
    assert slots._first() is None
    slots._running = ["b"]
    assert slots._first() == ("a", 1)


def test_a_process_is_reused_only_after_an_intact_file(voice):
    whole = encoded(voice)
    read_recording(whole, "voice")
    (first,) = idle_ids()
    read_recording(whole, "voice")
    assert idle_ids() == [first]
    read_recording(whole[:-20_000], "cut")
    assert idle_ids() == []
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_the_process_never_imports_torch_and_has_a_memory_limit(voice):
    read_recording(encoded(voice), "voice")
    about = Path(f"/proc/{idle_ids()[0]}")
    if not about.is_dir():
        pytest.skip("only Linux tells what a process has")
    assert "libtorch" not in (about / "maps").read_text()
    limits = (about / "limits").read_text().splitlines()
    (data_bytes,) = (int(line.split()[3]) for line in limits if line.startswith("Max data size"))
    (cpu_s,) = (int(line.split()[3]) for line in limits if line.startswith("Max cpu time"))
    assert data_bytes == decoding_process.MAX_MEMORY_BYTES < 512 * 2**20
    assert 60 <= cpu_s <= 70  # 30, plus 600 / 20, plus the time it took to start


@pytest.mark.parametrize("killed_by", [signal.SIGSEGV, signal.SIGKILL, signal.SIGXCPU, signal.SIGABRT])
def test_a_crash_during_a_file_is_one_refusal_and_the_next_file_is_read(make_voice, killed_by):
    data = encoded(make_voice(60.0, 16_000))

    class Deadly(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 500_000:
                os.kill(decoder.child.process.pid, killed_by)
            return super().read(size)

    read_recording(encoded(make_voice(1.0, 16_000)), "first")
    (decoder,) = decoding_process._idle
    with (
        pytest.raises(AudioRefused, match=r"^deadly\.wav: the file crashes the decoder.*Export it again"),
        decode_in_subprocess(Deadly(data), "deadly.wav", AudioLimits()) as sound,
    ):
        list(sound.blocks)
    assert len(read_recording(data, "next").samples) == 960_000


def test_a_kept_process_that_died_meanwhile_is_replaced(voice):
    read_recording(encoded(voice), "voice")
    (decoder,) = decoding_process._idle
    decoder.child.process.kill()
    decoder.child.process.wait()
    assert len(read_recording(encoded(voice), "voice").samples) == len(voice)


def test_a_process_that_stops_responding_is_given_up(voice, monkeypatch):
    monkeypatch.setattr(decoding_process, "MAX_START_S", 0.2)
    read_here = io.BytesIO(encoded(voice))
    decoder = decoding_process._Decoder()
    os.kill(decoder.child.process.pid, signal.SIGSTOP)
    with pytest.raises(AudioRefused, match="keeps it busy without end"):
        decoder.begin(read_here, "slow.wav", AudioLimits(), 0.0)
    assert decoder.child.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("trickles", [decoding_process.READ, b"half a message"])
def test_a_process_that_responds_but_never_finishes_is_given_up(voice, monkeypatch, trickles):
    monkeypatch.setattr(decoding_process, "MAX_START_S", 0.5)
    decoder = decoding_process._Decoder()
    decoder.child.socket.close()
    decoder.child.socket, theirs = socket.socketpair()

    def trickle() -> None:
        with theirs, suppress(OSError):
            if trickles == b"half a message":
                theirs.sendall(child_process.HEADER.pack(decoding_process.BLOCK, 10**6))
            while True:
                if trickles == decoding_process.READ:
                    child_process.send(theirs, trickles, decoding_process.READ_REQUEST.pack(0, 10))
                else:
                    theirs.sendall(b"\0")  # one byte of a million
                time.sleep(0.02)

    trickling = threading.Thread(target=trickle)
    trickling.start()
    with pytest.raises(AudioRefused, match="keeps it busy without end"):
        decoder.begin(io.BytesIO(encoded(voice)), "slow.wav", AudioLimits(), 0.0)
    trickling.join()
    assert decoder.child.process.returncode is not None


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux tells what a process has")
def test_the_process_is_sandboxed_with_an_empty_environment(voice, monkeypatch):
    monkeypatch.setenv("SER_DATABASE_URL", "postgresql://USER:PASSWORD@HOST/NAME")
    read_recording(encoded(voice), "voice")
    about = Path(f"/proc/{idle_ids()[0]}")
    status = dict(line.split(":\t", 1) for line in (about / "status").read_text().splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert sandbox._libseccomp() is None or status["Seccomp"] == "2"
    assert b"PASSWORD" not in (about / "environ").read_bytes()
    opened = sorted(os.readlink(one).partition(":")[0] for one in (about / "fd").iterdir())
    assert opened == ["/dev/null", "/dev/null", "socket"]


@pytest.mark.usefixtures("_kept_process")
@pytest.mark.parametrize("name", [name for name in NAMED if name != LARGEST])
def test_a_known_attack_is_refused_for_the_same_reason_as_here(name):
    """A library's lazy import would fail there, since nothing can be opened, and look like a crash."""

    def outcome(decoder):
        try:
            rate, samples, warnings = sound_of(decoder, audio_named(name))
            return rate, samples.tobytes(), warnings
        except AudioRefused as refusal:
            return str(refusal)
        except ValueError:
            return "no blocks"

    assert outcome(decode_in_subprocess) == outcome(decode)


def test_what_the_kernel_does_not_enforce_is_logged_once(voice, monkeypatch, caplog):
    caplog.set_level("INFO", "ser_core")
    monkeypatch.setattr(decoding_process, "_logged", threading.Event())
    for applied in ([], [], ["landlock", "seccomp"]):
        decoding_process._log_missing_restrictions(applied)
    (record,) = caplog.records
    assert record.figures == {"missing": ["landlock", "seccomp"]}


def test_a_message_that_is_too_long_is_not_waited_for(make_voice, monkeypatch):
    monkeypatch.setattr(decoding_process, "MAX_MESSAGE_BYTES", 0)
    with pytest.raises(AudioRefused, match="crashes the decoder"):
        read_recording(encoded(make_voice(1.0, 16_000)), "voice")


def test_a_too_long_file_and_a_failing_disk_are_refused_with_their_own_reasons(voice):
    with pytest.raises(RecordingTooLong, match=r"longer than 0\.0333333 minutes"):
        read_recording(encoded(voice), "long", AudioLimits(longest_s=2.0))

    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with (
        pytest.raises(OSError, match="Input/output"),
        decode_in_subprocess(Failing(encoded(voice)), "disk", AudioLimits()),
    ):
        pass
    assert idle_ids() == []


def test_more_samples_than_the_memory_limit_are_too_long_at_any_rate(voice):
    limits = AudioLimits(max_samples=20_000)
    with pytest.raises(RecordingTooLong, match="the limit at 16000 Hz"):
        read_recording(encoded(voice), "dense", limits)


def test_the_name_of_a_file_may_be_of_any_characters(voice):
    for name in ("\udcff.wav", "a\nb.wav", "Ω" * 300):
        with pytest.raises(AudioRefused) as refusal, decode_in_subprocess(io.BytesIO(b"x" * 1000), name, AudioLimits()):
            pass
        assert str(refusal.value).startswith(name)
