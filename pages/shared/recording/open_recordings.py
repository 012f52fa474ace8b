"""The recordings of a visit: held in memory, opened, made current, and forgotten."""

import io
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared import session
from ser_core.analysis import Recording, Region, clock, display_name
from ser_core.audio.reading import read_recording
from ser_core.audio.working_copy import WorkingCopy
from ser_core.timeline.words import TimelineWords

#: Limit for all recordings of a visit, decoded and as files together; the newest one is always held.
MAX_HELD_BYTES = 600 * 2**20


@dataclass(frozen=True)
class Held:
    """A recording of this visit, with the bytes of its file."""

    recording: Recording
    source: bytes

    @property
    def size_bytes(self) -> int:
        return self.recording.samples.nbytes + len(self.source)


@dataclass(frozen=True, eq=False)
class HeldLong:
    """A recording that is too long to be analysed at once; a visit has at most one.

    Attributes
    ----------
    source : bytes or Path
        The whole file of an upload, or the path of a project's recording.
    """

    name: str
    source: bytes | Path
    sha256: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: The words transcribed so far, by the requested language, or "" for any.
    words: dict[str, TimelineWords] = field(default_factory=dict)
    closed: threading.Event = field(default_factory=threading.Event)

    def file(self) -> io.BytesIO | Path:
        """Return a file for one reader; bytes are shared, not copied."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source


def held() -> dict[str, Held]:
    """Return the recordings of this visit by SHA-256, oldest first."""
    return st.session_state.setdefault("held", {})


def hold(source: bytes, name: str, part_of: str | None = None, start_s: float = 0.0) -> Recording:
    """Read and check a recording or a stretch of a long one, hold it and make it the current one."""
    recording = replace(read_recording(source, name), part_of=part_of, start_s=start_s)
    _hold(Held(recording, source))
    return recording


def rename(sha256: str, name: str) -> Recording:
    """Give a recording of this visit another name, and return it."""
    found = held()[sha256]
    held()[sha256] = replace(found, recording=replace(found.recording, name=display_name(name)))
    return held()[sha256].recording


def hold_queued(opened: Held) -> None:
    """Hold a recording from a queue in place of the last one, because queues are long."""
    _hold(opened, "queued")


def hold_stretch(copy: WorkingCopy, start_s: float, end_s: float, *, replace_last: bool = False) -> Recording:
    """Cut a stretch out of a long recording, read and check it, and hold it.

    Parameters
    ----------
    replace_last : bool
        Whether to replace the last stretch that was held with this option.

    Raises
    ------
    SettingsRefused
        If the stretch is not in the recording, or is too long.
    AudioRefused
        If it cannot be analysed, for instance because it is silent.
    """
    sound = copy.stretch(start_s, end_s)
    name = f"{Path(copy.name).stem} {clock(start_s)}–{clock(min(end_s, copy.duration_s))}.wav"
    recording = replace(read_recording(sound, name), part_of=copy.sha256, start_s=start_s)
    _hold(Held(recording, sound), "stretch" if replace_last else None)
    return recording


def _hold(opened: Held, role: str | None = None) -> None:
    """Hold a recording in place of the last one with the same role, and make it the current one.

    The oldest recordings are closed if all together take too much memory.
    """
    sha256, others = opened.recording.sha256, held()
    last = st.session_state.get(role) if role else None
    for replaced in (last, sha256):
        others.pop(replaced, None)
    others[sha256] = opened  # the newest is last
    while sum(one.size_bytes for one in others.values()) > MAX_HELD_BYTES and len(others) > 1:
        oldest = next(iter(others))
        st.session_state.setdefault("closed", []).append(others.pop(oldest).recording.name)
        _forget_in_voice(oldest)
    make_current(sha256)
    if role:
        st.session_state[role] = sha256


def closed() -> list[str]:
    """Return the names of recordings that were closed to make room for others; each is returned once."""
    return st.session_state.pop("closed", [])


def hold_long(source: bytes | Path, name: str, sha256: str) -> None:
    """Hold a long recording in place of the previous one, and make it the current one."""
    if (previous := held_long()) is not None and previous.sha256 != sha256:
        st.session_state.setdefault("closed", []).append(previous.name)
    close_long()
    st.session_state["long"] = HeldLong(display_name(name), source, sha256)
    make_current(sha256)


def held_long() -> HeldLong | None:
    """Return the long recording of this visit; None if it was deleted in another tab."""
    long = st.session_state.get("long")
    return None if long is None or long.closed.is_set() else long


def current_long() -> HeldLong | None:
    """Return the long recording if it, or a stretch of it, is the current recording."""
    long, stretch = held_long(), current()
    chosen = st.session_state.get("current") if stretch is None else stretch.part_of
    return long if long is not None and chosen == long.sha256 else None


def close_long() -> None:
    """Forget the long recording, and stop its timeline job."""
    if held_long() is not None:
        closed = st.session_state.pop("long")
        closed.closed.set()
        if st.session_state.get("current") == closed.sha256:
            make_current(next(reversed(held()), None))
    session.reset(session.TIMELINE)()


def entered_words() -> dict[str, tuple[Region, ...]]:
    """Return the words that were uploaded or edited in this visit, by SHA-256 of the recording."""
    return st.session_state.setdefault("words", {})


def requested_words() -> dict[str, str]:
    """Return the languages to transcribe in ("" for any), by SHA-256 of the recordings whose words were requested."""
    return st.session_state.setdefault("requested_words", {})


def forget_recording(sha256: str) -> None:
    """Forget a recording with its stretches and all uploaded files, and reset the widgets that took them."""
    stretches = [key for key, one in held().items() if one.recording.part_of == sha256]
    for forgotten in (sha256, *stretches):
        for by_sha256 in (held(), entered_words(), requested_words()):
            by_sha256.pop(forgotten, None)
        _forget_in_voice(forgotten)
    if (long := held_long()) is not None and long.sha256 == sha256:
        close_long()
    forget_uploads(token.partition("-")[2] for token in st.session_state.pop("taken", {}))
    st.session_state["upload_turn"] = upload_turn() + 1
    make_current(next(reversed(held()), None))


def _forget_in_voice(sha256: str) -> None:
    if session.choice("voice"):
        session.choose("voice", [other for other in session.choice("voice") if other != sha256])


def forget_uploads(file_ids: Iterable[str]) -> None:
    """Free the memory of uploaded files that no widget will show again."""
    context = get_script_run_ctx()
    for file_id in file_ids:
        context.uploaded_file_mgr.remove_file(context.session_id, file_id)


def recordings_made() -> int:
    """Return how many recordings were made with the microphone in this visit."""
    return st.session_state.get("made", 0)


def upload_turn() -> int:
    """Return how often the upload widgets were reset; part of their keys."""
    return st.session_state.get("upload_turn", 0)


def current() -> Recording | None:
    """Return the current recording; None if there is none, or if it is a long one."""
    found = held().get(st.session_state.get("current"))
    return found.recording if found else None


def make_current(sha256: str | None) -> None:
    """Switch to another recording, and reset emotion, contrast and time range; the first one keeps those of a link."""
    previous = st.session_state.get("current")
    if previous != sha256:
        st.session_state["current"] = sha256
        if previous is not None:
            session.reset(session.TARGET)()
