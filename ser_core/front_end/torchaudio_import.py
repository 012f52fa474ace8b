"""Import torchaudio even if its wheel is linked against CUDA and torch is not.

PyPI's torchaudio wheel links a CUDA library. With a CPU build of torch its compiled extension cannot be loaded and the
import raises OSError, although mel filters, masking and everything else written in Python need no extension. A stand-in
that reports "not built" then replaces the extension. All other modules import torchaudio from here.
"""

import importlib
import sys
from types import ModuleType


def import_torchaudio() -> ModuleType:
    """Return torchaudio, with its compiled extension if that loads."""
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _missing_extension()
        return importlib.import_module("torchaudio")


def _missing_extension() -> ModuleType:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("This build of torchaudio has no compiled extension.")

    stand_in = ModuleType("torchaudio._extension")
    stand_in._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stand_in._IS_ALIGN_AVAILABLE = False
    stand_in.fail_if_no_align = lambda _function: refuse
    return stand_in


torchaudio = import_torchaudio()
