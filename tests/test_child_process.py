"""Messages between a sandboxed process and its parent."""

import socket
import time

import numpy as np
import pytest

from ser_core.work.child_process import HEADER, receive, send


@pytest.fixture
def channel():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_message_in_several_parts_arrives_whole_and_the_next_one_after_it(channel):
    ours, theirs = channel
    values = np.arange(5, dtype=np.float32)
    send(ours, b"a", b"head", memoryview(values).cast("B"))
    send(ours, b"b")
    assert receive(theirs, 24) == (b"a", b"head" + values.tobytes())
    assert receive(theirs, 0) == (b"b", b"")


def test_a_message_that_is_too_long_is_refused_by_its_header(channel):
    ours, theirs = channel
    ours.sendall(HEADER.pack(b"a", 2**60))
    with pytest.raises(ValueError, match=str(2**60)):
        receive(theirs, 2**20)


def test_an_incomplete_message_is_given_up_at_the_deadline(channel):
    ours, theirs = channel
    ours.sendall(HEADER.pack(b"a", 10) + b"half")
    with pytest.raises(TimeoutError):
        receive(theirs, 10, time.monotonic() + 0.05)


def test_if_the_other_process_ends_reading_gives_an_end_of_file(channel):
    ours, theirs = channel
    ours.close()
    with pytest.raises(EOFError):
        receive(theirs, 10)
