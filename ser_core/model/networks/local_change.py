"""Whisper's logits of a segment after a few frames have changed, computed from its state before the change."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser_core.model.networks.products import Products
from ser_core.model.networks.whisper import HEADS, VARIANCE_FLOOR, WIDTH, Whisper

#: Channels of one attention head.
HEAD_WIDTH = WIDTH // HEADS
#: Tokens on each side of the changed ones that are recomputed too.
MARGIN = 2
#: Exponents of attention are clipped to this, so that float32 does not overflow.
LARGEST_EXPONENT = 60.0
#: Spans of changed tokens whose part of the state stays in memory; 0.8 MB each.
MAX_SPANS = 4
#: Sums of exponentials are raised to at least this before they are divisors.
SMALLEST_SUM = 1e-30


class LocalChange:
    """Scores versions of one segment that differ from it in a few frames, much faster than the network does.

    The tokens of the changed frames, and `margin` tokens on each side, go through all blocks. All other tokens change
    only because they attend to those. This change is computed exactly in each block, and its effect on the logits
    through the later blocks is linearised. Layers get only the change as input, so that products in 8 bits round the
    change and not the tokens.

    Parameters
    ----------
    network : Whisper
        In float32.
    products : Products
        Those of the network's layers.
    segment : Tensor of shape (frames, bands), float32
    margin : int
        Nothing is approximated if it is at least the number of tokens.
    """

    def __init__(self, network: Whisper, products: Products, segment: Tensor, margin: int = MARGIN) -> None:
        self._network, self._products, self._segment, self._margin = network, products, segment, margin
        with torch.enable_grad():
            self._run_unchanged(network)

    def _run_unchanged(self, network: Whisper) -> None:
        """Run the network on the unchanged segment, and store its tensors and the gradients of the logits."""
        conv1 = network.conv1(network.bands(self._segment).T)
        conv2 = network.conv2(F.gelu(conv1))
        self._conv1, self._conv2 = conv1.T.detach(), conv2.T.detach()  # (frames or tokens, width)
        tokens = F.gelu(self._conv2)
        tokens = tokens + network.positional_embedding[: len(tokens)].detach()
        added = [torch.zeros_like(tokens, requires_grad=True) for _ in network.blocks]
        self._blocks = []
        for block, addition in zip(network.blocks, added, strict=True):
            state = _BlockState(block, tokens, addition)
            self._blocks.append(state)
            tokens = state.after
        deviation = (tokens.var(dim=0, unbiased=False) + VARIANCE_FLOOR).sqrt()
        logits = network.head(torch.cat([tokens.mean(dim=0), deviation]))
        # A change that all logits share changes no score, so the gradients are those of differences to the first logit.
        gradients = [torch.autograd.grad(logit, added, retain_graph=True) for logit in logits[1:] - logits[0]]
        for state, block_gradients in zip(self._blocks, zip(*gradients, strict=True), strict=True):
            state.finish(torch.stack(block_gradients))
        self._tokens = tokens.detach()

    def logits(self, changed: Tensor, first_frame: int, end_frame: int) -> Tensor:
        """Return the logits (n, classes) of versions (n, frames, bands) that differ within the given frames alone.

        They are those of the network up to a constant that all classes of a version share.
        """
        count = len(self._tokens)
        # A frame affects the tokens whose two convolutions, of three frames each, contain it.
        first = max((first_frame - 1) // 2 - self._margin, 0)
        end = min((end_frame + 1) // 2 + 1 + self._margin, count)
        with torch.inference_mode():
            tokens = self._first_tokens(changed, first, end)
            elsewhere = torch.zeros(len(changed), self._network.head.out_features - 1)
            for block, state in zip(self._network.blocks, self._blocks, strict=True):
                tokens, on_logits = state.changed(tokens, first, end, block, self._products)
                elsewhere += on_logits
            before = self._tokens[first:end]
            after = before + tokens
            means = (self._tokens.sum(dim=0) + tokens.sum(dim=1)) / count
            squares = (self._tokens.square().sum(dim=0) + (after.square() - before.square()).sum(dim=1)) / count
            deviations = ((squares - means.square()).clamp_min(0) + VARIANCE_FLOOR).sqrt()
            return self._network.head(torch.cat([means, deviations], dim=1)) + F.pad(elsewhere, (1, 0))

    def _first_tokens(self, changed: Tensor, first: int, end: int) -> Tensor:
        """Return the change (n, tokens, width) of the tokens from `first` to `end` before the first block."""
        network, products, frames = self._network, self._products, len(self._segment)
        start, stop = 2 * first - 2, 2 * end + 1  # the frames that these tokens contain
        inside = slice(max(start, 0), min(stop, frames))
        change = changed[:, inside] - self._segment[inside]
        change = F.pad(change, (0, 0, inside.start - start, stop - inside.stop))
        change = products[network.conv1](_windows(products[network.bands](change), 1))  # from start + 1 to stop - 1
        inside = slice(max(start + 1, 0), min(stop - 1, frames))
        before = self._conv1[inside]
        # The second convolution sees zeros, and no change, before the first frame and after the last.
        outside = (inside.start - (start + 1), stop - 1 - inside.stop)
        change = change[:, outside[0] : change.shape[1] - outside[1]]
        change = F.pad(F.gelu(before + change) - F.gelu(before), (0, 0, *outside))
        change = products[network.conv2](_windows(change, 2))
        before = self._conv2[first:end]
        return F.gelu(before + change) - F.gelu(before)


class _BlockState:
    """The tensors of one block for the unchanged tokens, and how the logits depend on its attention."""

    def __init__(self, block: nn.Module, tokens: Tensor, addition: Tensor) -> None:
        self.before = tokens
        self.normed = block.attn_ln(tokens)
        queries, keys, self.values = (_heads(layer(self.normed)) for layer in (block.query, block.key, block.value))
        self.scaled_queries, self.scaled_keys = queries / HEAD_WIDTH**0.5, keys / HEAD_WIDTH**0.5
        self.products = queries @ self.scaled_keys.transpose(1, 2)
        self.highest = self.products.amax(dim=2, keepdim=True)
        exponentials = (self.products - self.highest).exp()
        self.sums = exponentials.sum(dim=2, keepdim=True)
        attended = (exponentials @ self.values / self.sums).transpose(0, 1).flatten(1) + addition
        self.between = tokens + block.out(attended)
        self.mlp_normed = block.mlp_ln(self.between)
        self.hidden = block.mlp[0](self.mlp_normed)
        self.after = self.between + block.mlp[2](F.gelu(self.hidden))

    def finish(self, gradients: Tensor) -> None:
        """Detach the tensors from the graph; store the logits' gradients (classes, tokens, width) by head and token."""
        for name, value in vars(self).items():
            setattr(self, name, value.detach())
        self.gradients = gradients.unflatten(2, (HEADS, HEAD_WIDTH)).permute(2, 1, 0, 3).flatten(2)
        self._spans: dict[tuple[int, int], _Span] = {}

    def changed(
        self, change: Tensor, first: int, end: int, block: nn.Module, products: Products
    ) -> tuple[Tensor, Tensor]:
        """Return the change (n, tokens, width) after the block, and how the logits (n, classes) change elsewhere."""
        here, n = slice(first, end), len(change)
        normed = (block.attn_ln(self.before[here] + change) - self.normed[here]).flatten(0, 1)
        queries, keys, values = (_heads(products[layer](normed)) for layer in (block.query, block.key, block.value))
        elsewhere = self._change_of_other_tokens(keys, values, here, n)
        change = products[block.out](self._attention_change(queries, keys, values, here, n)).add_(change)
        normed = block.mlp_ln(self.between[here] + change) - self.mlp_normed[here]
        hidden = products[block.mlp[0]](normed).add_(self.hidden[here])
        moved = F.gelu(hidden).sub_(F.gelu(self.hidden[here]))
        return products[block.mlp[2]](moved).add_(change), elsewhere

    def _change_of_other_tokens(self, keys: Tensor, values: Tensor, here: slice, n: int) -> Tensor:
        """Return the change of the logits (n, classes) because all other tokens attend to the changed ones.

        The changes of keys and values have the shape (heads, n x changed, head width). With gradients g, shares of
        attention s and values v, the logits are the sum of g s v. Their change is the change of g s times the new v,
        plus g s times the change of v. The product of g and s is computed first, because there are few logits.
        """
        span = self._span(here)
        products = (keys @ self.scaled_queries.transpose(1, 2)).unflatten(1, (n, -1)).add_(span.products[:, None])
        exponentials = products.clamp_max_(LARGEST_EXPONENT).exp_()
        scale = 1 / (span.other_sums[:, None] + exponentials.sum(dim=2)).clamp_min_(SMALLEST_SUM)
        scale[:, :, here] = 0
        shares = exponentials.mul_(scale[:, :, None]).sub_(span.shares[:, None]).flatten(1, 2)
        moved = (shares @ self.gradients).unflatten(1, (n, -1)).unflatten(3, (-1, HEAD_WIDTH))
        values = values.unflatten(1, (n, -1))[:, :, :, None]
        before = self.values[:, None, here, None]
        on_logits = moved.mul_(values + before).sum(dim=(0, 2, 4))
        on_logits += (values * span.value_gradients[:, None]).sum(dim=(0, 2, 4))
        return on_logits + ((scale - span.inverse_sums[:, None]) @ span.other_products).sum(dim=0)

    def _attention_change(self, queries: Tensor, keys: Tensor, values: Tensor, here: slice, n: int) -> Tensor:
        """Return the change (n, tokens, width) of the attention output of the changed tokens."""
        span = self._span(here)
        changes = [x.unflatten(1, (n, -1)).flatten(0, 1) for x in (queries, keys, values)]
        products = (queries @ self.scaled_keys.transpose(1, 2)).unflatten(1, (n, -1))
        products += self.products[:, None, here]
        now = (changes[0].unflatten(0, (HEADS, n)) + self.scaled_queries[:, None, here] * HEAD_WIDTH**0.5).flatten(0, 1)
        own = (now @ changes[1].transpose(1, 2)).div_(HEAD_WIDTH**0.5)
        products[:, :, :, here] += own.unflatten(0, (HEADS, n))
        shares = products.softmax(dim=3)
        own = shares[:, :, :, here].flatten(0, 1) @ changes[2]
        shares = shares.sub_(span.own_shares[:, None]).flatten(1, 2)
        attended = (shares @ self.values).unflatten(1, (n, -1)) + own.unflatten(0, (HEADS, n))
        return attended.permute(1, 2, 0, 3).flatten(2)

    def _span(self, here: slice) -> "_Span":
        span = self._spans.get((here.start, here.stop))
        if span is None:
            span = _Span(self, here)
            # Versions that differ in the same frames come one after another. Threads share the dict, so it is replaced.
            newest = list(self._spans.items())[1 - MAX_SPANS :]
            self._spans = dict([*newest, ((here.start, here.stop), span)])
        return span


class _Span:
    """Attention of and to the tokens of one span, before they change.

    Attributes
    ----------
    own_shares : Tensor of shape (heads, changed, tokens)
        Attention of the tokens of the span.
    products, shares : Tensor of shape (heads, changed, tokens)
        Exponents of attention to the tokens of the span, and that attention; 0 from the span itself.
    other_sums, inverse_sums : Tensor of shape (heads, tokens)
        Sums of the exponentials of attention to all other tokens, and the reciprocals of the sums to all tokens.
    other_products : Tensor of shape (heads, tokens, classes)
        The logits' gradients times the values of all other tokens, weighted by these exponentials.
    value_gradients : Tensor of shape (heads, changed, classes, head width)
        The gradients of the logits with respect to the values of the span.
    """

    def __init__(self, state: _BlockState, here: slice) -> None:
        products = state.products - state.highest
        others = products.exp()
        self.products = products[:, :, here].transpose(1, 2).contiguous()
        self.own_shares = others[:, here] / state.sums[:, here]
        self.shares = (others[:, :, here] / state.sums).transpose(1, 2).contiguous()
        self.inverse_sums = 1 / state.sums[:, :, 0]
        self.shares[:, :, here] = self.inverse_sums[:, here] = 0
        self.value_gradients = (self.shares @ state.gradients).unflatten(2, (-1, HEAD_WIDTH))
        others[:, :, here] = 0
        self.other_sums = others.sum(dim=2)
        other_values = others @ state.values
        self.other_products = (state.gradients.unflatten(2, (-1, HEAD_WIDTH)) * other_values[:, :, None]).sum(dim=3)


def _windows(x: Tensor, stride: int) -> Tensor:
    """Return the windows (n, windows, 3 x channels) of the kernel of a convolution in x (n, frames, channels)."""
    return x.unfold(1, 3, stride).transpose(2, 3).flatten(2)


def _heads(x: Tensor) -> Tensor:
    """Reshape (rows, width) to (heads, rows, head width)."""
    return x.unflatten(1, (HEADS, HEAD_WIDTH)).transpose(0, 1)


@cache
def thread_pool() -> ThreadPoolExecutor:
    """Return a pool of as many threads as torch uses for one computation; in the pool, each computes by itself.

    The matrices of a local change, or of a few segments, are small. Two computed at once, by one thread each, take less
    time than one after the other by both threads, which wait for each other after every operation.
    """
    count = torch.get_num_threads()
    all_started = Barrier(count + 1)

    def compute_alone() -> None:
        torch.get_num_threads()  # without this call, the thread's first computation would undo the next line
        torch.set_num_threads(1)
        all_started.wait()

    threads = ThreadPoolExecutor(count, "model", initializer=compute_alone)
    for _ in range(count):
        threads.submit(int)
    all_started.wait()
    torch.set_num_threads(count)  # the 1 set above would also apply to threads that start later
    return threads


os.register_at_fork(after_in_child=thread_pool.cache_clear)
