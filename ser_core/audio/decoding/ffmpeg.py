"""Decode with FFmpeg."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import av
import numpy as np

from ser_core.audio.decoding.blocks import Downmix, check_format
from ser_core.audio.decoding.containers import CODECS, READABLE
from ser_core.audio.decoding.damage import DAMAGED, TRUNCATED, rate_change
from ser_core.errors import AudioRefused
from ser_core.settings import AudioLimits


@contextmanager
def ffmpeg_errors_as_refusal(name: str) -> Iterator[None]:
    """Refuse the file if FFmpeg cannot read it."""
    try:
        yield
    except (av.FFmpegError, ValueError):  # PyAV raises ValueError for text that is not UTF-8
        raise AudioRefused(
            f"{name}: this is not readable audio, or it is damaged at its start. "
            f"Readable formats are {READABLE}; export it as one of these."
        ) from None


def av_blocks(
    container: av.container.InputContainer, name: str, limits: AudioLimits, warnings: list[str]
) -> tuple[int, int, Iterator[np.ndarray]]:
    """Return the sample rate and the number of channels, which only the first frame gives reliably, and the blocks."""
    tracks = container.streams.audio
    if not tracks:
        raise AudioRefused(f"{name}: the file holds no audio. Choose a recording of speech.")
    track = next((one for one in tracks if one.disposition & av.stream.Disposition.default), tracks[0])
    if len(tracks) > 1:
        number = tracks.index(track) + 1
        warnings.append(f"The file has {len(tracks)} audio tracks; only number {number} was read.")
    codec = track.codec_context.name if track.codec_context else "unknown"
    if codec not in CODECS:
        raise AudioRefused(
            f"{name}: its audio is encoded as {codec}, which is not supported. Readable formats are {READABLE}; "
            "export it as one of these."
        )
    frames = container.decode(track)
    with ffmpeg_errors_as_refusal(name):
        first = next(frames, None)
    if first is None:
        raise AudioRefused(f"{name}: the file holds no audio. Record or export it again.")
    rate, channels = first.sample_rate, first.layout.nb_channels
    check_format(rate, channels, name, limits)

    def blocks() -> Iterator[np.ndarray]:
        to_float, layout, read, downmix = None, None, 0, Downmix(warnings)
        with ffmpeg_errors_as_refusal(name):
            try:
                for frame in chain([first], frames):
                    if frame.sample_rate != rate:
                        warnings.append(rate_change(read / rate, rate, frame.sample_rate))
                        return
                    if to_float is None or frame.layout.name != layout:
                        check_format(rate, frame.layout.nb_channels, name, limits)
                        to_float, layout = av.AudioResampler(format="fltp"), frame.layout.name
                    for part in to_float.resample(frame):
                        read += part.samples
                        yield downmix(part.to_ndarray().T)
            except av.FFmpegError:
                warnings.append(DAMAGED)
        duration_is_exact = container.format.name not in ("mp3", "aac")  # without a header, FFmpeg estimates it
        if duration_is_exact and container.duration and read / rate < container.duration / av.time_base * 0.9 - 0.5:
            warnings.append(TRUNCATED)

    return rate, channels, blocks()
