"""Systems of other people, and your own: each is a file here, named by its file name.

A file holds either a class `Network` (see `shared/network.py`), or `Features`, `LEARNS_FROM`, `FRONT_END` and
`estimator` (see `cnn_forest.py`). Parts of several of them are in `shared/`.
`estimator` imports scikit-learn itself, because that takes a second and is only needed for training.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from torch import nn

_NAMES = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")
_MODULES = {name: import_module(f"{__name__}.{name}") for name in _NAMES}

#: Networks, trained as ours are.
NETWORK_BASELINES: dict[str, type[nn.Module]] = {
    name: module.Network for name, module in _MODULES.items() if hasattr(module, "Network")
}
#: scikit-learn estimators on features, stored as ONNX.
ESTIMATOR_BASELINES: dict[str, ModuleType] = {
    name: module for name, module in _MODULES.items() if hasattr(module, "estimator")
}
