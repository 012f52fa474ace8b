"""Return freed memory of the multi-threaded app process to the system."""

import ctypes
import gc
import sys


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None


def give_back() -> None:
    """Collect reference cycles, which Streamlit is configured not to do after every run, and trim the heap.

    This frees more if threads share the allocator's arenas, so the app is started with `MALLOC_ARENA_MAX=2`. The
    variable must be set before the first thread starts.
    """
    gc.collect()
    if library := _glibc():
        library.malloc_trim(0)
