"""Import torchaudio where its wheel was linked for CUDA and torch was not.

PyPI's wheel of torchaudio links a CUDA library. Beside a CPU build of torch its compiled extension cannot be loaded and
the import ends in an OSError, although mel filters, masking and the other parts written in Python need no extension.
Then a stand-in that says "not built" takes the extension's place. Everything else imports torchaudio from here.
"""

import importlib
import sys
from types import ModuleType


def import_torchaudio() -> ModuleType:
    """Return torchaudio, with its compiled extension where that loads and without it elsewhere."""
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _extension_that_was_not_built()
        return importlib.import_module("torchaudio")


def _extension_that_was_not_built() -> ModuleType:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("This build of torchaudio has no compiled extension.")

    stand_in = ModuleType("torchaudio._extension")
    stand_in._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stand_in._IS_ALIGN_AVAILABLE = False
    stand_in.fail_if_no_align = lambda _function: refuse
    return stand_in


torchaudio = import_torchaudio()
