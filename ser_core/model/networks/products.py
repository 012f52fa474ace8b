"""Products of rows with the weights of layers, in 8 bits where the processor multiplies those fast."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Largest 8-bit integer whose negative is one too.
LARGEST = 127
#: Products of shorter rows are always in float32; they take little time.
MIN_INPUTS = 128
#: Rows of zeros get this scale; 0 would divide 0 by 0.
SMALLEST_SCALE = 1e-30

#: Takes rows (..., inputs), float32, and returns their products (..., outputs), float32, with the weights of a layer.
Product = Callable[[Tensor], Tensor]
Products = Mapping[nn.Module, Product]


def products_of(network: nn.Module, *, eight_bits: bool | None = None) -> Products:
    """Return the product of each linear layer and one-dimensional convolution, without its bias.

    The inputs of a convolution are the windows of its kernel: (..., kernel x channels).

    Parameters
    ----------
    eight_bits : bool or None
        None: if the processor has instructions for it. They are four times as fast as those for float32.
    """
    if eight_bits is None:
        eight_bits = torch.cpu._is_vnni_supported()
    products = {}
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            weight = layer.weight.detach()
            matrix = weight.transpose(1, 2).flatten(1) if weight.ndim == 3 else weight
            rounds = eight_bits and matrix.shape[1] >= MIN_INPUTS
            products[layer] = EightBits(matrix) if rounds else partial(F.linear, weight=matrix)
    return products


class EightBits:
    """The product with a matrix (outputs, inputs); each of its rows, and of the inputs, is rounded with its own scale.

    References
    ----------
    Dettmers et al. 2022, arXiv:2208.07339, section 2.1 (vector-wise quantisation).
    """

    def __init__(self, matrix: Tensor) -> None:
        rounded, scales = _rounded(matrix)
        self._columns, self._scales = rounded.T, scales[:, 0]

    def __call__(self, rows: Tensor) -> Tensor:
        rounded, scales = _rounded(rows.flatten(0, -2))
        products = torch._int_mm(rounded, self._columns).float().mul_(scales).mul_(self._scales)
        return products.unflatten(0, rows.shape[:-1])


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows (n, inputs) as 8-bit integers, and the scale of each row (n, 1)."""
    scales = torch.maximum(rows.amax(1, keepdim=True), -rows.amin(1, keepdim=True)) / LARGEST
    scales.clamp_min_(SMALLEST_SCALE)
    return (rows / scales).round_().to(torch.int8), scales
