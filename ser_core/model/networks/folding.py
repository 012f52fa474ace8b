"""Fold batch norms into the convolutions before them: the same function with half the memory passes."""

import copy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """Return a frozen float32 copy of a network with the batch norms after convolutions folded into them."""
    network = copy.deepcopy(network).float().eval().requires_grad_(False)
    for module in list(network.modules()):
        for (convolution, conv), (norm, bn) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(bn, nn.BatchNorm2d):
                setattr(module, convolution, fuse_conv_bn_eval(conv, bn))
                setattr(module, norm, nn.Identity())
    return network
