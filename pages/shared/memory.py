"""The memory of a process in which pages run in many threads: what they have freed goes back to the system."""

import ctypes
import gc
import sys

#: glibc gives threads arenas of their own, eight for each processor, and what one has freed no other can use.
M_ARENA_MAX, ARENAS = -8, 2


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None


def share_arenas() -> None:
    """Let all threads share the arenas that there are; without effect on those that were made before."""
    if library := _glibc():
        library.mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Collect what refers to itself, which Streamlit is told not to do after every run, and free what is left."""
    gc.collect()
    if library := _glibc():
        library.malloc_trim(0)
