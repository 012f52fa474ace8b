"""A sandboxed child process and the messages between it and its parent.

A message is a kind (one byte), the length of its content, and the content. Both sides use `send` and `receive`.
"""

import socket
import struct
from time import monotonic

from ser_core.work.sandbox import start_child

HEADER = struct.Struct("<cQ")


class ChildProcess:
    """A module of this project running in a process of its own, and the socket to it.

    Parameters
    ----------
    module : str
        As for `sandbox.start_child`.

    Raises
    ------
    OSError
        If no process can be started.
    """

    def __init__(self, module: str) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = start_child(module, theirs)

    def send(self, kind: bytes, *content: bytes | memoryview, deadline: float) -> None:
        """Send a message; TimeoutError if the child has not taken it by `deadline`, as `time.monotonic` counts."""
        _set_deadline(self.socket, deadline)
        send(self.socket, kind, *content)

    def receive(self, max_bytes: int, deadline: float) -> tuple[bytes, bytearray]:
        """Return the kind and content of the next message, as `receive` does."""
        return receive(self.socket, max_bytes, deadline)

    def is_alive(self) -> bool:
        """Return whether the process is still running."""
        return self.process.poll() is None

    def end(self) -> None:
        """Kill the process and wait until it is gone."""
        self.socket.close()
        self.process.kill()
        self.process.wait()


def send(to: socket.socket, kind: bytes, *content: bytes | memoryview) -> None:
    """Send a message whose content may come in several parts."""
    to.sendall(HEADER.pack(kind, sum(map(len, content))))
    for part in content:
        to.sendall(part)


def receive(source: socket.socket, max_bytes: int, deadline: float | None = None) -> tuple[bytes, bytearray]:
    """Return the kind and content of the next message.

    Raises
    ------
    ValueError
        If the content is longer than `max_bytes`.
    EOFError
        If the other side is gone.
    TimeoutError
        If the whole message is not there by `deadline`, as `time.monotonic` counts.
    """
    kind, length = HEADER.unpack(_receive_exactly(source, HEADER.size, deadline))
    if length > max_bytes:
        raise ValueError(length)
    return kind, _receive_exactly(source, length, deadline)


def _receive_exactly(source: socket.socket, count: int, deadline: float | None) -> bytearray:
    content = bytearray(count)
    left = memoryview(content)
    while left:
        if deadline is not None:
            _set_deadline(source, deadline)
        received = source.recv_into(left)
        if not received:
            raise EOFError
        left = left[received:]
    return content


def _set_deadline(channel: socket.socket, deadline: float) -> None:
    channel.settimeout(max(deadline - monotonic(), 1e-3))
