"""Whisper's logits of a segment after a few frames have changed, computed from its state before the change."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from ser_core.model.networks.whisper import HEADS, VARIANCE_FLOOR, WIDTH, Whisper

#: Channels of one attention head.
HEAD_WIDTH = WIDTH // HEADS
#: Tokens on each side of the changed ones that are recomputed too.
MARGIN = 2
#: Exponents of attention above this are cut, so that float32 does not overflow.
LARGEST_EXPONENT = 60.0
#: Sums of exponentials are raised to this before anything is divided by them.
SMALLEST_SUM = 1e-30


class LocalChange:
    """Scores versions of one segment that differ from it in a few frames, much faster than the network does.

    The tokens of the changed frames, and `margin` tokens on each side, go through all blocks. All other tokens change
    only because they attend to those: by how much is exact in each block, and its effect on the logits from there on
    is linearised. Linear layers get only the change as input, so that half precision rounds the change and not the
    tokens.

    Parameters
    ----------
    network : Whisper
        In float32.
    weights : Whisper
        The same in the precision of the matrix products.
    segment : Tensor of shape (frames, bands), float32
    margin : int
        If it is the number of tokens, nothing is approximated.
    """

    def __init__(self, network: Whisper, weights: Whisper, segment: Tensor, margin: int = MARGIN) -> None:
        self._segment, self._margin = segment, margin
        self._head, self._norms = network.head, [(block.attn_ln, block.mlp_ln) for block in network.blocks]
        self._weights = weights
        with torch.enable_grad():
            self._remember(network)

    def _remember(self, network: Whisper) -> None:
        """Run the network on the unchanged segment, and store its tensors and the gradients of the logits."""
        frames = network.bands(self._segment[None]).transpose(1, 2).detach()
        self._conv1 = network.conv1(frames).detach()
        self._conv2 = network.conv2(F.gelu(self._conv1)).detach()
        tokens = F.gelu(self._conv2[0]).T
        tokens = tokens + network.positional_embedding[: len(tokens)].detach()
        added = [torch.zeros_like(tokens, requires_grad=True) for _ in network.blocks]
        self._blocks = []
        for block, fast, addition in zip(network.blocks, self._weights.blocks, added, strict=True):
            state = _BlockState(block, fast, tokens, addition)
            self._blocks.append(state)
            tokens = state.after
        deviation = (tokens.var(dim=0, unbiased=False) + VARIANCE_FLOOR).sqrt()
        logits = network.head(torch.cat([tokens.mean(dim=0), deviation]))
        gradients = [torch.autograd.grad(logit, added, retain_graph=True) for logit in logits]
        for state, block_gradients in zip(self._blocks, zip(*gradients, strict=True), strict=True):
            state.finish(torch.stack(block_gradients))
        self._tokens = tokens.detach()

    def logits(self, changed: Tensor, first_frame: int, end_frame: int) -> Tensor:
        """Return the logits (n, classes) of versions (n, frames, bands) that differ within the given frames alone."""
        count = len(self._tokens)
        # A frame reaches the tokens whose two convolutions, of three frames each, contain it.
        first = max((first_frame - 1) // 2 - self._margin, 0)
        end = min((end_frame + 1) // 2 + 1 + self._margin, count)
        with torch.inference_mode():
            tokens = self._first_tokens(changed, first, end)
            elsewhere = torch.zeros(len(changed), self._head.out_features)
            for norms, block, state in zip(self._norms, self._weights.blocks, self._blocks, strict=True):
                tokens, on_logits = state.changed(tokens, first, end, norms, block)
                elsewhere += on_logits
            before = self._tokens[first:end]
            after = before + tokens
            means = (self._tokens.sum(dim=0) + tokens.sum(dim=1)) / count
            squares = (self._tokens.square().sum(dim=0) + (after.square() - before.square()).sum(dim=1)) / count
            deviations = ((squares - means.square()).clamp_min(0) + VARIANCE_FLOOR).sqrt()
            return self._head(torch.cat([means, deviations], dim=1)) + elsewhere

    def _first_tokens(self, changed: Tensor, first: int, end: int) -> Tensor:
        """Return the change (n, tokens, width) of the tokens from `first` to `end` before the first block."""
        weights, frames = self._weights, len(self._segment)
        start, stop = 2 * first - 2, 2 * end + 1  # the frames that these tokens contain
        inside = slice(max(start, 0), min(stop, frames))
        change = F.pad(changed[:, inside] - self._segment[inside], (0, 0, inside.start - start, stop - inside.stop))
        dtype = weights.conv1.weight.dtype
        bands = F.linear(change.to(dtype), weights.bands.weight).transpose(1, 2)
        change = F.conv1d(bands, weights.conv1.weight).float()  # of the frames from start + 1 to stop - 1
        inside = slice(max(start + 1, 0), min(stop - 1, frames))
        before = self._conv1[:, :, inside]
        # The second convolution sees zeros, and no change, before the first frame and after the last.
        outside = (inside.start - (start + 1), stop - 1 - inside.stop)
        change = change[:, :, outside[0] : change.shape[2] - outside[1]]
        change = F.pad(F.gelu(before + change) - F.gelu(before), outside)
        change = F.conv1d(change.to(dtype), weights.conv2.weight, stride=2).float()
        before = self._conv2[:, :, first:end]
        return (F.gelu(before + change) - F.gelu(before)).transpose(1, 2)


class _BlockState:
    """The tensors of one block for the unchanged tokens, and how the logits depend on its attention."""

    def __init__(self, block: nn.Module, fast: nn.Module, tokens: Tensor, addition: Tensor) -> None:
        linear = _FastGradient.apply
        self.before = tokens
        self.normed = block.attn_ln(tokens)
        self.queries = linear(self.normed, block.query, fast.query)
        self.keys = linear(self.normed, block.key, fast.key)
        self.values = linear(self.normed, block.value, fast.value)
        products = _heads(self.queries) @ _heads(self.keys).transpose(1, 2) / HEAD_WIDTH**0.5
        highest = products.amax(dim=2, keepdim=True)
        self.highest = highest.transpose(1, 2)
        self.attention = (products - highest).exp()
        attended = self.attention @ _heads(self.values) / self.attention.sum(dim=2, keepdim=True)
        self.attended = attended.transpose(0, 1).flatten(1) + addition
        self.between = tokens + linear(self.attended, block.out, fast.out)
        self.mlp_normed = block.mlp_ln(self.between)
        self.hidden = linear(self.mlp_normed, block.mlp[0], fast.mlp[0])
        self.after = self.between + linear(F.gelu(self.hidden), block.mlp[2], fast.mlp[2])

    def finish(self, gradients: Tensor) -> None:
        """Let go of the graph; keep the logits' gradients (classes, tokens, width), by head and token."""
        for name, value in vars(self).items():
            setattr(self, name, value.detach())
        self.on_logits = (gradients * self.attended).sum(dim=2)
        self.gradients = gradients.unflatten(2, (HEADS, HEAD_WIDTH)).permute(2, 1, 0, 3).flatten(2)
        self._of_place: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]] = {}

    def changed(
        self, change: Tensor, first: int, end: int, norms: tuple[nn.Module, nn.Module], block: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """Return the change (n, tokens, width) after the block, and how the logits (n, classes) change elsewhere."""
        here = slice(first, end)
        dtype = block.query.weight.dtype
        normed = (norms[0](self.before[here] + change) - self.normed[here]).to(dtype)
        queries, keys, values = (
            F.linear(normed, layer.weight).float().add_(before[here])
            for before, layer in ((self.queries, block.query), (self.keys, block.key), (self.values, block.value))
        )
        queries, keys, values = (_heads(x.flatten(0, 1)) for x in (queries.div_(HEAD_WIDTH**0.5), keys, values))
        elsewhere = self._elsewhere(keys, values, here, len(change))
        attended = self._attended(queries, keys, values, here, len(change))
        change = F.linear((attended - self.attended[here]).to(dtype), block.out.weight).float().add_(change)
        normed = (norms[1](self.between[here] + change) - self.mlp_normed[here]).to(dtype)
        hidden = F.linear(normed, block.mlp[0].weight).float().add_(self.hidden[here])
        moved = F.gelu(hidden).sub_(F.gelu(self.hidden[here])).to(dtype)
        return F.linear(moved, block.mlp[2].weight).float().add_(change), elsewhere

    def _elsewhere(self, keys: Tensor, values: Tensor, here: slice, n: int) -> Tensor:
        """Return the change of the logits (n, classes) because all other tokens attend to the changed ones.

        Keys and values have the shape (heads, n x changed, head width). With gradients g, shares of attention s and
        values v, the logits are the sum of g s v. The product of g and s comes first, as the logits are few.
        """
        place = here.start, here.stop
        if place not in self._of_place:
            self._of_place[place] = self._staying(*place)
        on_staying, left, before = self._of_place[place]
        products = keys @ _heads(self.queries / HEAD_WIDTH**0.5).transpose(1, 2) - self.highest
        exponentials = products.clamp_max_(LARGEST_EXPONENT).exp_().unflatten(1, (n, -1))
        scale = 1 / (left[:, None] + exponentials.sum(dim=2)).clamp_min_(SMALLEST_SUM)
        scale[:, :, here] = 0
        shares = exponentials.mul_(scale[:, :, None]).flatten(1, 2)
        on_values = (shares @ self.gradients).unflatten(2, (-1, HEAD_WIDTH))
        on_changed = (on_values * values[:, :, None]).sum(dim=3).sum(dim=0).unflatten(0, (n, -1)).sum(dim=1)
        return on_changed + (scale @ on_staying).sum(dim=0) - before

    def _staying(self, first: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return what all other tokens attend to besides those from `first` to `end`.

        Returns
        -------
        on_staying : Tensor of shape (heads, tokens, classes)
            The logits' gradients times the values of all other tokens, weighted by the exponentials of attention.
        left : Tensor of shape (heads, tokens)
            The sums of these exponentials.
        before : Tensor of shape (classes,)
            What the logits owe to all that these tokens attend to, before any change.
        """
        others = self.attention.clone()
        others[:, :, first:end] = 0
        staying = others @ _heads(self.values)
        on_staying = (self.gradients.unflatten(2, (-1, HEAD_WIDTH)) * staying[:, :, None]).sum(dim=3)
        before = self.on_logits.sum(dim=1) - self.on_logits[:, first:end].sum(dim=1)
        return on_staying, others.sum(dim=2), before

    def _attended(self, queries: Tensor, keys: Tensor, values: Tensor, here: slice, n: int) -> Tensor:
        """Return the attention output (n, tokens, width) of the changed tokens."""
        other = [
            torch.cat([x[:, : here.start], x[:, here.stop :]], dim=1) for x in map(_heads, (self.keys, self.values))
        ]
        each = queries.shape[1] // n
        own = [x.unflatten(1, (n, each)).flatten(0, 1) for x in (queries, keys, values)]
        to_others = (queries @ other[0].transpose(1, 2)).unflatten(1, (n, each)).flatten(0, 1)
        shares = torch.cat([to_others, own[0] @ own[1].transpose(1, 2)], dim=2).softmax(dim=2)
        other_shares, own_shares = shares.split([other[0].shape[1], each], dim=2)
        attended = other_shares.unflatten(0, (HEADS, n)).flatten(1, 2) @ other[1]
        attended = attended.unflatten(1, (n, each)) + (own_shares @ own[2]).unflatten(0, (HEADS, n))
        return attended.permute(1, 2, 0, 3).flatten(2)


class _FastGradient(Function):
    """A linear layer whose gradient is computed with the weights, and in the precision, of another."""

    @staticmethod
    def forward(x: Tensor, layer: nn.Linear, fast: nn.Linear) -> Tensor:
        return layer(x)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, nn.Linear, nn.Linear], output: Tensor) -> None:
        ctx.weight = inputs[2].weight

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return (gradient.to(ctx.weight.dtype) @ ctx.weight).float(), None, None


def _heads(x: Tensor) -> Tensor:
    """Return (heads, rows, head width) of (rows, width)."""
    return x.unflatten(1, (HEADS, HEAD_WIDTH)).transpose(0, 1)


@cache
def side_by_side() -> ThreadPoolExecutor:
    """Return as many threads as torch would use for one computation; each of them computes by itself.

    The matrices of a local change, and of a few segments, are small. Two at once, by a thread each, take less time than
    one after the other by both threads, which wait for each other after every operation.
    """
    count = torch.get_num_threads()
    all_started = Barrier(count + 1)

    def alone() -> None:
        torch.get_num_threads()  # until this is asked for, a thread's first computation would undo the next line
        torch.set_num_threads(1)
        all_started.wait()

    threads = ThreadPoolExecutor(count, "side-by-side", initializer=alone)
    for _ in range(count):
        threads.submit(int)
    all_started.wait()
    torch.set_num_threads(count)  # what was set above also holds for threads that are yet to start
    return threads


os.register_at_fork(after_in_child=side_by_side.cache_clear)
