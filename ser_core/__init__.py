"""Recognise the emotion in recorded speech, and show and play the evidence for it.

    from ser_core import AnalysisSettings, analyse_recording, load_model, read_recording

Follow a recording through :mod:`ser_core.pipeline`.
"""

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0.dev0"

# Two threads that spin while waiting for each other are forty times slower next to any other busy process.
# This must be set before torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Otherwise onnxruntime starts a thread that sends usage data to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

#: The public names and their modules. Each is imported when it is first used, so that the processes that decode files
#: and run ONNX graphs load nothing that they do not need.
_MODULES = {
    "Analysis": "analysis",
    "AnalysisSettings": "settings",
    "Recording": "analysis",
    "Region": "analysis",
    "SerError": "errors",
    "Work": "work.progress",
    "analyse_recording": "pipeline",
    "load_model": "model.shipped_models",
    "read_recording": "audio.reading",
    "save_analysis": "output.analysis_folder",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
