"""Recognise the emotion in recorded speech, and show and play the evidence for it.

Follow a recording through :mod:`ser_core.pipeline`.
"""

import os

__version__ = "0.1.0.dev0"

# Two threads that spin while they wait for each other are forty times slower beside any other busy process;
# the setting only counts when it is made before torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# onnxruntime would start a thread that reports its use to its maker; sound and models concern nobody else.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
