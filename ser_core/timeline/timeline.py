"""Emotions of a long recording over time: read, resample and classify it in blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ser_core.analysis import VoiceShare, clock, frame_edge_s
from ser_core.audio.decoding.blocks import merge_blocks
from ser_core.audio.decoding_process import decode_in_subprocess
from ser_core.audio.long_recording import LongRecording, Source, open_long_recording, open_source, source_name
from ser_core.audio.reading import resample_blocks
from ser_core.errors import AudioRefused, SettingsRefused
from ser_core.front_end.segments import split_blocks_into_segments
from ser_core.front_end.spectrogram import frame_count, log_mel, split_into_frames
from ser_core.model.classifier import Classifier
from ser_core.model.scores import softmax
from ser_core.model.voice import logits_of_pieces, voice_normal
from ser_core.settings import LONG_RECORDING, FrontEnd, SpectrogramSettings
from ser_core.work.progress import UNWATCHED, Work

#: 128 segments; memory grows with it.
BLOCK_S = 61.44
#: Share of the progress that belongs to checking the recording.
CHECKING = 0.05
SILENCE_DBFS = -120.0


@dataclass(frozen=True, eq=False)
class Timeline:
    """A model's scores for every segment of a recording.

    Attributes
    ----------
    sha256 : str
        Of the recording's file.
    full_scale : float
        What the samples were divided by; above 1 if they exceeded full scale.
    start_frames : ndarray of shape (n,), int
    probabilities : ndarray of shape (n, classes), float32
    level_dbfs : ndarray of shape (n,), float32
        RMS level of each segment; -120 for digital silence.
    voice : VoiceShare or None
        None if the model used only the normal of its training data.
    """

    name: str
    sha256: str
    duration_s: float
    sample_rate_hz: int
    full_scale: float
    model_name: str
    model_sha256: str
    emotions: tuple[str, ...]
    front_end: FrontEnd
    start_frames: np.ndarray
    probabilities: np.ndarray
    level_dbfs: np.ndarray
    warnings: tuple[str, ...] = ()
    voice: VoiceShare | None = None

    @property
    def starts_s(self) -> np.ndarray:
        """Start of each segment in seconds, shape (n,)."""
        return frame_edge_s(self.start_frames, self.front_end.spectrogram)

    @property
    def ends_s(self) -> np.ndarray:
        """End of each segment in seconds, shape (n,)."""
        after = self.start_frames + self.front_end.segments.segment_frames
        return np.minimum(frame_edge_s(after, self.front_end.spectrogram), self.duration_s)

    @property
    def middles_s(self) -> np.ndarray:
        """Middle of each segment in seconds, shape (n,)."""
        return (self.starts_s + self.ends_s) / 2


def emotion_timeline(
    source: Source,
    classifier: Classifier,
    work: Work = UNWATCHED,
    name: str = "",
    block_s: float = BLOCK_S,
    own_voice: bool = False,
) -> Timeline:
    """Classify every segment of a recording, holding only one block of it in memory.

    The recording is read twice: first checked to its end, then classified. The scores equal those of
    `pipeline.classify_recording` for any block length.

    Parameters
    ----------
    source : path or binary file
        A complete audio file; a binary file must be seekable and is left open.
    name : str
        Its name in the result; by default that of the path.
    own_voice : bool
        Whether to judge the recording's only speaker by its own normal, computed from this recording.

    Raises
    ------
    AudioRefused
        As in `read_recording`, and if the recording is shorter than a segment.
    SettingsRefused
        If the classifier only takes whole recordings, or cannot judge a speaker by their own normal.
    Cancelled
    """
    front_end = classifier.front_end
    if front_end.segments.segment_frames is None:
        raise SettingsRefused(f"{classifier.name} only classifies whole recordings. Choose another model.")
    if own_voice and classifier.voice is None:
        raise SettingsRefused(f"{classifier.name} cannot judge a voice by its own normal. Choose a model that can.")

    checking = work.part(0, 1 / CHECKING)

    def report_frames(done: int) -> None:
        part, total_s = done / frames, recording.duration_s
        work.report(CHECKING + (1 - CHECKING) * part, f"Classifying, {clock(part * total_s)} of {clock(total_s)}")

    with open_long_recording(source, name or source_name(source), LONG_RECORDING, checking) as recording:
        frames, powers = _count_frames(recording, classifier), []
        log_mels = _log_mels(recording, block_s, front_end.spectrogram, powers)
        start_frames, logits = _score_segments(log_mels, classifier, report_frames, work)
    if own_voice:
        adapted = classifier.with_voice(voice_normal([logits_of_pieces(logits)]))
        logits, classifier = logits - adapted.shift, adapted
    return Timeline(
        name=recording.name,
        sha256=recording.sha256,
        duration_s=recording.duration_s,
        sample_rate_hz=recording.sample_rate_hz,
        full_scale=recording.check.full_scale,
        model_name=classifier.name,
        model_sha256=classifier.sha256,
        emotions=tuple(classifier.emotions),
        front_end=front_end,
        start_frames=start_frames,
        probabilities=softmax(logits, classifier.temperature).astype(np.float32),
        level_dbfs=_levels_dbfs(np.concatenate(powers), start_frames, front_end.segments.segment_frames),
        warnings=recording.warnings,
        voice=classifier.voice_share,
    )


def read_stretch(source: Source, start_s: float, end_s: float, name: str, full_scale: float) -> tuple[np.ndarray, int]:
    """Return a stretch of a recording at its own rate, and the rate; only the stretch is held in memory.

    Parameters
    ----------
    source : path or binary file
        As in `emotion_timeline`.
    full_scale : float
        That of the timeline.

    Returns
    -------
    samples : ndarray of shape (n,), float32
        Mixed down, from round(start x rate) up to round(end x rate) or the end of the recording.
    sample_rate_hz : int

    Raises
    ------
    AudioRefused
        If the source is not a readable recording, or ends before the stretch.
    """
    with (
        open_source(source, name, LONG_RECORDING) as file,
        decode_in_subprocess(file, name, LONG_RECORDING, start_s) as sound,
    ):
        rate = sound.sample_rate_hz
        count = round(end_s * rate) - round(start_s * rate)
        samples = next(merge_blocks(sound.blocks, count), np.empty(0, np.float32))[:count]
    if not len(samples):
        raise AudioRefused(f"{name} ends before {clock(start_s)}. It may have changed; open it again.")
    return samples / np.float32(full_scale), rate


def _count_frames(recording: LongRecording, classifier: Classifier) -> int:
    """Return the number of frames of a recording; refuse one that is shorter than a segment."""
    settings, needed = classifier.front_end.spectrogram, classifier.front_end.segments.segment_frames
    samples = round(recording.samples * settings.sample_rate_hz / recording.sample_rate_hz)
    frames = frame_count(samples, settings)
    if frames < needed:
        raise AudioRefused(
            f"{recording.name}: the recording lasts {recording.duration_s:.2f} s, less than one segment of "
            f"{classifier.name} ({needed * settings.frame_hop_s:.2f} s). Use the command analyse."
        )
    return frames


def _log_mels(
    recording: LongRecording, block_s: float, settings: SpectrogramSettings, powers: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield the log-mel spectrogram in blocks, and append the mean square of each frame's middle hop to `powers`."""
    samples = resample_blocks(recording.blocks(block_s), recording.sample_rate_hz, settings.sample_rate_hz)
    before = (settings.window_samples - settings.hop_samples) // 2
    for piece in split_into_frames(samples, settings):
        hops = np.zeros((frame_count(len(piece), settings), settings.hop_samples), np.float32)
        middle = piece[before : before + hops.size]
        hops.reshape(-1)[: len(middle)] = middle
        powers.append(np.square(hops, dtype=np.float64).mean(axis=1))
        yield log_mel(piece, settings)


def _score_segments(
    log_mels: Iterator[np.ndarray],
    classifier: Classifier,
    report_frames: Callable[[int], None],
    work: Work,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first frame of every segment, and its logits."""
    start_frames, logits = [], []
    for values, starts in split_blocks_into_segments(log_mels, classifier.front_end.segments):
        work.check()
        logits.append(classifier.score(values))
        start_frames.append(starts)
        report_frames(int(starts[-1]) + values.shape[1])
    return np.concatenate(start_frames), np.concatenate(logits)


def _levels_dbfs(powers: np.ndarray, start_frames: np.ndarray, segment_frames: int) -> np.ndarray:
    """Return the level of each segment from the mean squares of its frames."""
    until = np.concatenate([[0.0], np.cumsum(powers)])
    mean_squares = (until[start_frames + segment_frames] - until[start_frames]) / segment_frames
    return (10 * np.log10(np.maximum(mean_squares, 10 ** (SILENCE_DBFS / 10)))).astype(np.float32)
