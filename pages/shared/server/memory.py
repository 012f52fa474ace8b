"""The memory of a process in which pages run in many threads: what they have freed goes back to the system."""

import ctypes
import gc
import sys


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None


def give_back() -> None:
    """Collect what refers to itself, which Streamlit is told not to do after every run, and free what is left.

    Less is left where threads share the allocator's arenas: the app is started with `MALLOC_ARENA_MAX=2`, which has to
    be set before the first of them begins.
    """
    gc.collect()
    if library := _glibc():
        library.malloc_trim(0)
