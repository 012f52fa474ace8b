"""The emotions of a long recording over time: read, resampled and classified in blocks, and its stretches cut out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ser_core.analysis import VoiceShare, clock, display_name, frame_edge_s
from ser_core.audio.cutting import wav_bytes
from ser_core.audio.decoding import LONG, merge_blocks
from ser_core.audio.decoding_process import decode_in_subprocess
from ser_core.audio.long_recording import LongRecording, Source, long_recording, opened, source_name
from ser_core.audio.reading import resample_blocks
from ser_core.errors import AudioRefused, SettingsRefused
from ser_core.front_end.segments import split_blocks_into_segments
from ser_core.front_end.spectrogram import frame_count, log_mel, split_into_frames
from ser_core.model.classifier import Classifier
from ser_core.model.scores import softmax
from ser_core.model.voice import logits_of_pieces, voice_normal
from ser_core.settings import AudioLimits, FrontEnd, SpectrogramSettings
from ser_core.work.progress import UNWATCHED, Work

#: 128 segments; what is held at once grows with it.
BLOCK_S = 61.44
#: What part of the progress is checking the recording, before anything is classified.
CHECKING = 0.05
SILENCE_DBFS = -120.0
LONGEST_STRETCH_S = AudioLimits().longest_s


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a model hears in a recording, segment by segment.

    Attributes
    ----------
    sha256 : str
        Of the recording's file.
    full_scale : float
        What the samples were divided by; above 1 where they were louder than full scale.
    start_frames : ndarray of shape (n,), int
    probabilities : ndarray of shape (n, classes), float32
    level_dbfs : ndarray of shape (n,), float32
        Root mean square of each segment; of digital silence -120.
    voice : VoiceShare or None
        None where the model judged by its training's normal alone.
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
        """Where each segment begins, in seconds, shape (n,)."""
        return frame_edge_s(self.start_frames, self.front_end.spectrogram)

    @property
    def ends_s(self) -> np.ndarray:
        """Where each segment ends, in seconds, shape (n,)."""
        after = self.start_frames + self.front_end.segments.segment_frames
        return np.minimum(frame_edge_s(after, self.front_end.spectrogram), self.duration_s)

    @property
    def middles_s(self) -> np.ndarray:
        """The middle of each segment, in seconds, shape (n,)."""
        return (self.starts_s + self.ends_s) / 2


def emotion_timeline(
    source: Source,
    classifier: Classifier,
    work: Work = UNWATCHED,
    name: str = "",
    limits: AudioLimits = LONG,
    block_s: float = BLOCK_S,
    own_voice: bool = False,
) -> Timeline:
    """Return what a model hears in every segment of a recording, holding no more than a block of it.

    The recording is read twice: first it is checked to its end, then classified. The scores are those that
    `pipeline.classify_recording` finds in the whole, whatever the block.

    Parameters
    ----------
    source : path or binary file
        A whole audio file; a binary file must be seekable and is left open.
    name : str
        What to call it; a path's own name where empty.
    own_voice : bool
        One person speaks, who is judged by the normal of this very recording.

    Raises
    ------
    AudioRefused
        As in `read_recording`, and if it is shorter than a segment.
    SettingsRefused
        If the classifier hears a recording only as a whole, or cannot judge a voice by its own normal.
    Cancelled
    """
    front_end = classifier.front_end
    if front_end.segments.segment_frames is None:
        raise SettingsRefused(f"{classifier.name} hears a recording as a whole, not over time. Choose another model.")

    if own_voice and classifier.voice is None:
        raise SettingsRefused(f"{classifier.name} cannot judge a voice by its own normal. Choose a model that can.")

    checking = Work(lambda fraction, text: work.report(CHECKING * fraction, text), work.stop)

    def listening(frames: int) -> None:
        part, all_s = frames / all_frames, recording.duration_s
        work.report(CHECKING + (1 - CHECKING) * part, f"Listening, {clock(part * all_s)} of {clock(all_s)}")

    with long_recording(source, name or source_name(source), limits, checking) as recording:
        all_frames, powers = _frames(recording, classifier), []
        log_mels = _log_mels(recording, block_s, front_end.spectrogram, powers)
        start_frames, logits = _scored(log_mels, classifier, listening, work)
    if own_voice:
        adapted = classifier.with_voice(voice_normal([logits_of_pieces(logits)], classifier.temperature))
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


def cut_stretch(source: Source, start_s: float, end_s: float, name: str = "", full_scale: float = 1.0) -> bytes:
    """Cut a stretch out of a recording, holding no more than that.

    Parameters
    ----------
    source : path or binary file
        As in `emotion_timeline`.
    full_scale : float
        The timeline's.

    Returns
    -------
    bytes
        A mono WAV file of 16 bits a sample at the recording's own rate: its samples, channels mixed down, from
        round(start x rate) up to round(end x rate) or to its end.

    Raises
    ------
    SettingsRefused
        If the stretch does not lie in the recording, or is longer than ten minutes.
    AudioRefused
        If the source is not a recording that can be read.
    """
    name = display_name(name) or source_name(source)
    if not 0 <= start_s < end_s:
        raise SettingsRefused(f"From {start_s:g} to {end_s:g} s is no stretch. Give a start before the end.")
    if end_s - start_s > LONGEST_STRETCH_S + 1e-6:
        raise SettingsRefused(
            f"The stretch lasts {clock(end_s - start_s)}; at most {clock(LONGEST_STRETCH_S)} can be opened at once. "
            "Choose a shorter one."
        )
    with opened(source, name, LONG) as file, decode_in_subprocess(file, name, LONG, start_s) as sound:
        rate = sound.sample_rate_hz
        # Rounding at both ends may add a sample to ten minutes.
        wanted = min(round(end_s * rate) - round(start_s * rate), int(LONGEST_STRETCH_S * rate))
        samples = next(merge_blocks(sound.blocks, wanted), np.empty(0, np.float32))[:wanted]
    if not len(samples):
        raise SettingsRefused(f"{name} ends before {clock(start_s)}. Choose a stretch that lies in it.")
    return wav_bytes(samples / np.float32(full_scale), rate)


def _frames(recording: LongRecording, classifier: Classifier) -> int:
    """Return how many frames the recording has, at least a segment's."""
    settings, needed = classifier.front_end.spectrogram, classifier.front_end.segments.segment_frames
    samples = round(recording.samples * settings.sample_rate_hz / recording.sample_rate_hz)
    frames = frame_count(samples, settings)
    if frames < needed:
        raise AudioRefused(
            f"{recording.name}: the recording lasts {recording.duration_s:.2f} s, less than the "
            f"{needed * settings.frame_hop_s:.2f} s that {classifier.name} hears at once. "
            "The command analyse takes it."
        )
    return frames


def _log_mels(
    recording: LongRecording, block_s: float, settings: SpectrogramSettings, powers: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield the log-mel spectrogram in blocks, and note the mean square of the samples that each frame stands for."""
    samples = resample_blocks(recording.blocks(block_s), recording.sample_rate_hz, settings.sample_rate_hz)
    before = (settings.window_samples - settings.hop_samples) // 2
    for piece in split_into_frames(samples, settings):
        own = np.zeros((frame_count(len(piece), settings), settings.hop_samples), np.float32)
        heard = piece[before : before + own.size]
        own.reshape(-1)[: len(heard)] = heard
        powers.append(np.square(own, dtype=np.float64).mean(axis=1))
        yield log_mel(piece, settings)


def _scored(
    log_mels: Iterator[np.ndarray],
    classifier: Classifier,
    listening: Callable[[int], None],
    work: Work,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first frame of every segment, and its logits."""
    start_frames, logits = [], []
    for values, starts in split_blocks_into_segments(log_mels, classifier.front_end.segments):
        work.check()
        logits.append(classifier.score(values))
        start_frames.append(starts)
        listening(int(starts[-1]) + values.shape[1])
    return np.concatenate(start_frames), np.concatenate(logits)


def _levels_dbfs(powers: np.ndarray, start_frames: np.ndarray, segment_frames: int) -> np.ndarray:
    """Return the level of each segment from the mean squares of all frames."""
    until = np.concatenate([[0.0], np.cumsum(powers)])
    mean_squares = (until[start_frames + segment_frames] - until[start_frames]) / segment_frames
    return (10 * np.log10(np.maximum(mean_squares, 10 ** (SILENCE_DBFS / 10)))).astype(np.float32)
