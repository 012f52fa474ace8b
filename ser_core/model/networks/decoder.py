"""The evidence of each token, from a linear decoder fitted to changes of the model's logits."""

from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Decoder:
    """A linear map from a network's tokens, each scaled to mean 0 and variance 1 over its channels, to evidence.

    It is fitted so that its sum over a stretch of speech, minus that over other speech of the same person, predicts how
    much the logits change when one is replaced by the other (see `benchmarks/decoder.py`).

    Attributes
    ----------
    weight : Tensor of shape (classes, channels), float32
        In logits for a token; sums to 0 over classes.
    bias : Tensor of shape (classes,), float32
        Set so that the average training token has no evidence.
    """

    weight: Tensor
    bias: Tensor

    def evidence(self, tokens: Tensor) -> Tensor:
        """Return the evidence (n, classes, tokens) of tokens (n, channels, tokens)."""
        scaled = F.layer_norm(tokens.transpose(1, 2), tokens.shape[1:2])
        return F.linear(scaled, self.weight, self.bias).transpose(1, 2)

    def to_bytes(self) -> bytes:
        """Return the content of its file, in half precision."""
        return save({"weight": self.weight.half().contiguous(), "bias": self.bias.half().contiguous()})


def decoder_of(data: bytes, classes: int, channels: int) -> Decoder:
    """Return the decoder of a file's content.

    Raises
    ------
    ValueError
        If the content is not a decoder for this number of classes and at most this number of channels.
    """
    try:
        tensors = {name: tensor.float() for name, tensor in load_tensors(data).items()}
        weight, bias = tensors["weight"], tensors["bias"]
    except (SafetensorError, KeyError) as reason:
        raise ValueError(str(reason)) from None
    if weight.ndim != 2 or not 1 <= weight.shape[1] <= channels or bias.shape != (classes,) or len(weight) != classes:
        raise ValueError(f"shapes of {tuple(weight.shape)} and {tuple(bias.shape)} are not those of a decoder")
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise ValueError("some weights are not numbers")
    return Decoder(weight, bias)
