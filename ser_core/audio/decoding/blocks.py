"""The decoded blocks: within the limits, mixed down to mono, skipped and merged."""

from collections.abc import Iterator

import numpy as np

from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.settings import LONG_RECORDING, AudioLimits

# Small, so that a decompression bomb is noticed early, and little is lost before the damage in a file.
BLOCK_FRAMES = 4_096
#: Channels cancel each other out if the power of their mean is below this share of their mean power.
_CANCELLED_POWER = 0.01
_AUDIBLE_RMS = 1e-3


def check_format(rate: int, channels: int, name: str, limits: AudioLimits) -> None:
    """Refuse a sample rate or a number of channels outside the limits."""
    if not limits.lowest_rate_hz <= rate <= limits.highest_rate_hz:
        raise AudioRefused(
            f"{name}: the sample rate is {rate} Hz; it must be {limits.lowest_rate_hz} to {limits.highest_rate_hz} Hz. "
            "Export it at 16 000 or 48 000 Hz."
        )
    if not 1 <= channels <= limits.max_channels:
        raise AudioRefused(
            f"{name}: the file has {channels} channels; at most {limits.max_channels} are mixed down. "
            "Export it with one or two."
        )


def within_limits(blocks: Iterator[np.ndarray], rate: int, name: str, limits: AudioLimits) -> Iterator[np.ndarray]:
    """Yield the blocks; refuse the recording as soon as they exceed the limits."""
    total, longest_s = 0, min(limits.longest_s, limits.max_samples / rate)
    for block in blocks:
        total += len(block)
        if total > longest_s * rate:
            minutes = longest_s / 60
            longest = f"{minutes:g} minutes"
            if longest_s != limits.longest_s:
                longest = f"{minutes:g} minutes, the limit at {rate} Hz"
            advice = "Cut it into shorter pieces"
            if limits.longest_s < LONG_RECORDING.longest_s:
                hours = LONG_RECORDING.longest_s / 3600
                advice = f"Cut it into shorter pieces, or use the command timeline, which reads up to {hours:g} hours"
            raise RecordingTooLong(f"{name}: the recording is longer than {longest}. {advice}.")
        yield block


class Downmix:
    """The mean of the channels; from a block in which they cancel each other out, a single channel."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings, self._channel = warnings, None
        self._power_of_mean = self._power_of_channels = 0.0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Mix a block of shape (n, channels) down to samples of shape (n,)."""
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are refused later
            mean = block.mean(axis=1)
            if block.shape[1] == 1:
                return mean
            if self._channel is None:
                powers = np.square(block, dtype=np.float64).sum(axis=0)
                self._power_of_mean += float(np.square(mean, dtype=np.float64).sum())
                self._power_of_channels += float(powers.mean())
                cancelled = self._power_of_mean < _CANCELLED_POWER * self._power_of_channels
                if cancelled and powers.max() > len(block) * _AUDIBLE_RMS**2:
                    self._channel = int(powers.argmax())
                    self._warnings.append(
                        "The channels cancel each other out (one is the other inverted), so only channel "
                        f"{self._channel + 1} was read."
                    )
        return mean if self._channel is None or self._channel >= block.shape[1] else block[:, self._channel].copy()


def skip(blocks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yield the blocks without their first `count` samples."""
    for block in blocks:
        if count < len(block):
            yield block[count:]
        count = max(0, count - len(block))


def merge_blocks(blocks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yield the same samples in blocks of at least `count`, except for the last."""
    pending, total = [], 0
    for block in blocks:
        pending.append(block)
        total += len(block)
        if total >= count:
            yield np.concatenate(pending)
            pending, total = [], 0
    if pending:
        yield np.concatenate(pending)
