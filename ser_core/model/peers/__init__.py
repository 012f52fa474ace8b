"""Other people's systems, and yours: each is a file here, known by its name.

A file holds either a class `Network` (see `shared/network.py`), or `Features`, `LEARNS_FROM`, `FRONT_END` and
`estimator` (see `cnn_forest.py`). What several of them need is in `shared/`.
`estimator` imports scikit-learn itself: that takes a second, and whoever only reads models never fits one.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from torch import nn

_NAMES = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")
_MODULES = {name: import_module(f"{__name__}.{name}") for name in _NAMES}

#: Networks, trained as ours are.
NETWORK_BASELINES: dict[str, type[nn.Module]] = {n: m.Network for n, m in _MODULES.items() if hasattr(m, "Network")}
#: scikit-learn estimators on features, stored as ONNX.
ESTIMATOR_BASELINES: dict[str, ModuleType] = {n: m for n, m in _MODULES.items() if hasattr(m, "estimator")}
