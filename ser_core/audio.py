"""The gate: from a file's bytes to a Recording, or a refusal in one sentence. And resampling."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from ser_core.errors import AudioRefused
from ser_core.recording import Recording
from ser_core.settings import AudioLimits

READABLE = "WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, M4A (AAC) and WebM"
FULL_SCALE = 0.999
SILENCE_PEAK = 1e-4
QUIET_RMS = 10 ** (-50 / 20)
CLIPPED_SHARE = 5e-4

# Small, so that a bomb is noticed early, and since the block in which a damaged file breaks off is lost whole.
_BLOCK_FRAMES = 4_096


def read_recording(source: bytes | str | Path, name: str = "", limits: AudioLimits | None = None) -> Recording:
    """Decode a recording, refuse what cannot be analysed and warn of what should be doubted.

    Parameters
    ----------
    source : bytes or path
        A whole audio file. Its format is found from its content, never from its name.
    name : str
        What to call it; a path's own name where empty.
    limits : AudioLimits, optional
        Decoding stops as soon as a limit is passed.

    Raises
    ------
    AudioRefused
        If it is missing, empty, not audio, outside the limits, silent, or holds samples that are not numbers.
    """
    limits = limits or AudioLimits()
    if not isinstance(source, bytes):
        name, source = name or Path(source).name, file_bytes(Path(source), limits)
    name = name or "The recording"
    if not source:
        raise AudioRefused(f"{name}: the file is empty. Record or export it again.")
    samples, rate, warnings = _decode(source, name, limits)
    samples, more = _checked(samples, rate, name, limits)
    samples.setflags(write=False)
    return Recording(name, hashlib.sha256(source).hexdigest(), samples, rate, (*warnings, *more))


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Return samples at another rate, band-limited; float32, of round(n x to / from) samples.

    libsoxr rather than torchaudio, whose resampler builds a filter of rate x rate taps where two rates share no divisor
    (44 101 to 48 000 Hz: 17 GB) and takes 0.2 neper off the bands below 7.5 kHz on the way from 16 kHz (soxr: 0.01).
    """
    if from_hz == to_hz:
        return samples
    return soxr.resample(samples, from_hz, to_hz, quality="VHQ").astype(np.float32, copy=False)


def file_bytes(path: Path, limits: AudioLimits | None = None) -> bytes:
    """Return a file as it is.

    Raises
    ------
    AudioRefused
        If it is not there, may not be read or is too large; nothing of a file that is too large is read.
    """
    limits = limits or AudioLimits()
    if not path.is_file():
        raise AudioRefused(f"{path.name}: there is no such file. Check the path.")
    if path.stat().st_size > limits.largest_file_bytes:
        raise AudioRefused(
            f"{path.name}: the file has {path.stat().st_size / 2**20:.0f} MiB; "
            f"at most {limits.largest_file_bytes / 2**20:.0f} MiB are read. Cut it, or save it as FLAC."
        )
    try:
        return path.read_bytes()
    except OSError as reason:
        raise AudioRefused(
            f"{path.name}: the file cannot be read ({reason.strerror}). Check who may read it, and its disk."
        ) from None


def _decode(data: bytes, name: str, limits: AudioLimits) -> tuple[np.ndarray, int, list[str]]:
    try:
        return _decode_with_soundfile(data, name, limits)
    except soundfile.LibsndfileError:
        pass
    try:
        return _decode_with_av(data, name, limits)
    except (av.FFmpegError, UnicodeDecodeError, ValueError):
        raise AudioRefused(
            f"{name}: this is not audio that can be read, or it is damaged at its start. "
            f"Readable are {READABLE}; export it as one of these."
        ) from None


def _decode_with_soundfile(data: bytes, name: str, limits: AudioLimits) -> tuple[np.ndarray, int, list[str]]:
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        _check_format(file.samplerate, file.channels, name, limits)
        promised, warnings = file.frames, []

        def blocks() -> Iterator[np.ndarray]:
            try:
                while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
                    with np.errstate(invalid="ignore", over="ignore"):  # what is not a number is refused later
                        mixed = block.mean(axis=1)
                    yield mixed
            except soundfile.LibsndfileError:
                warnings.append("The file is damaged: decoding stopped early, and only what came before was read.")

        samples = _collect(blocks(), file.samplerate, name, limits)
        cut = 0 < promised < 2**62 and len(samples) < 0.99 * promised
        if not warnings and (cut or _ends_early(data)):
            warnings.append("The file is truncated: it promises more sound than it holds.")
        return samples, file.samplerate, warnings


def _ends_early(data: bytes) -> bool:
    """Whether a RIFF or Ogg container says that more should have followed; libsndfile reads on without a word."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        promised = int.from_bytes(data[4:8], "little") + 8
        return len(data) < promised < 0xFFFFFFF0  # a stream of unknown length writes the largest size
    if data[:4] == b"OggS":
        last_page = data.rfind(b"OggS")
        return not data[last_page + 5 : last_page + 6] or not data[last_page + 5] & 0x04
    return False


def _decode_with_av(data: bytes, name: str, limits: AudioLimits) -> tuple[np.ndarray, int, list[str]]:
    warnings: list[str] = []
    with av.open(io.BytesIO(data)) as container:
        if not container.streams.audio:
            raise AudioRefused(f"{name}: the file holds no sound. Choose a recording of speech.")
        frames = container.decode(container.streams.audio[0])
        first = next(frames, None)
        if first is None:
            raise AudioRefused(f"{name}: the file holds no sound. Record or export it again.")
        rate = first.sample_rate
        _check_format(rate, first.layout.nb_channels, name, limits)
        to_float = av.AudioResampler(format="fltp")

        def blocks() -> Iterator[np.ndarray]:
            yield from (part.to_ndarray().mean(axis=0) for part in to_float.resample(first))
            try:
                for frame in frames:
                    yield from (part.to_ndarray().mean(axis=0) for part in to_float.resample(frame))
            except av.FFmpegError:
                warnings.append("The file is damaged: decoding stopped early, and only what came before was read.")

        samples = _collect(blocks(), rate, name, limits)
        if container.duration and len(samples) / rate < container.duration / av.time_base * 0.9 - 0.5:
            warnings.append("The file is truncated: it promises more sound than it holds.")
        return samples, rate, warnings


def _check_format(rate: int, channels: int, name: str, limits: AudioLimits) -> None:
    if not limits.lowest_rate_hz <= rate <= limits.highest_rate_hz:
        raise AudioRefused(
            f"{name}: the sample rate is {rate} Hz; needed are {limits.lowest_rate_hz} to {limits.highest_rate_hz} Hz. "
            "Export it at 16 000 or 48 000 Hz."
        )
    if not 1 <= channels <= limits.most_channels:
        raise AudioRefused(
            f"{name}: the file has {channels} channels; at most {limits.most_channels} are mixed down. "
            "Export one or two."
        )


def _collect(blocks: Iterator[np.ndarray], rate: int, name: str, limits: AudioLimits) -> np.ndarray:
    kept, total = [], 0
    for block in blocks:
        kept.append(block)
        total += len(block)
        if total > limits.longest_s * rate:
            raise AudioRefused(
                f"{name}: the recording is longer than {limits.longest_s / 60:g} minutes. Cut it into shorter pieces."
            )
    return np.concatenate(kept).astype(np.float32, copy=False) if kept else np.empty(0, np.float32)


def _checked(samples: np.ndarray, rate: int, name: str, limits: AudioLimits) -> tuple[np.ndarray, list[str]]:
    if len(samples) < limits.shortest_s * rate:
        raise AudioRefused(
            f"{name}: the recording lasts {len(samples) / rate:.3f} s; at least {limits.shortest_s:g} s are needed. "
            "Record it again, a little longer."
        )
    if wrong := int(np.count_nonzero(~np.isfinite(samples))):
        raise AudioRefused(
            f"{name}: {wrong} of {len(samples)} samples are not numbers (NaN or infinity). Export it again."
        )
    warnings = []
    peak = float(np.abs(samples).max())
    if peak < SILENCE_PEAK:
        raise AudioRefused(f"{name}: the recording is silent. Check the microphone and record it again.")
    if peak > 1.001:
        warnings.append(f"Louder than full scale by {20 * np.log10(peak):.1f} dB; it was scaled down to full scale.")
        samples = samples / np.float32(peak)
    clipped = float(np.mean(np.abs(samples) >= FULL_SCALE))
    if clipped > CLIPPED_SHARE:
        warnings.append(
            f"Clipped: {100 * clipped:.1f} % of the samples are at full scale. "
            "Record with less gain for a result to trust."
        )
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if rms < QUIET_RMS:
        warnings.append(f"Very quiet: {20 * np.log10(rms):.0f} dBFS on average. Move closer to the microphone.")
    return np.ascontiguousarray(samples, dtype=np.float32), warnings
