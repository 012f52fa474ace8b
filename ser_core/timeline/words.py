"""The words of a long recording, transcribed piece by piece; the words so far can be searched meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ser_core.analysis import Recording, clock, moved
from ser_core.audio.long_recording import Source
from ser_core.timeline.timeline import Timeline, read_stretch
from ser_core.words.bounds import HOP_S, level_of
from ser_core.words.transcription import Transcript, transcribe
from ser_core.words.word_model import WordModel
from ser_core.work.progress import UNWATCHED, Work

#: A piece is held in memory, and can be searched once it is transcribed.
PIECE_S = 300.0
#: A piece ends at the quietest time of its last seconds, averaged over the length of a pause.
CUT_WITHIN_S, PAUSE_S = 10.0, 0.3


@dataclass(frozen=True)
class TimelineWords:
    """The words of the first part of a long recording.

    Attributes
    ----------
    transcript : Transcript
        In the time of the recording.
    until_s : float
        Where the transcript ends so far.
    """

    transcript: Transcript = field(default_factory=Transcript)
    until_s: float = 0.0

    def within(self, start_s: float, end_s: float) -> Transcript:
        """Return the words whose middle lies within a stretch, in its time and cut off at its ends."""
        whole = self.transcript
        spoken = [
            (replace(w, start_s=max(w.start_s, start_s) - start_s, end_s=min(w.end_s, end_s) - start_s), confidence)
            for w, confidence in zip(whole.words, whole.confidence, strict=True)
            if start_s <= (w.start_s + w.end_s) / 2 < end_s
        ]
        words, confidence = zip(*spoken, strict=True) if spoken else ((), ())
        return replace(whole, words=words, confidence=confidence)


def words_over_time(
    source: Source,
    timeline: Timeline,
    model: WordModel,
    language: str | None = None,
    work: Work = UNWATCHED,
    so_far: TimelineWords | None = None,
    piece_s: float = PIECE_S,
) -> Iterator[TimelineWords]:
    """Transcribe a long recording, holding one piece of it in memory; yield all words so far after each piece.

    Parameters
    ----------
    source : path or binary file
        That of the timeline.
    language : str, optional
        A code such as "en"; without it the model finds the language in the first speech.
    so_far : TimelineWords, optional
        The result so far, to be continued.

    Raises
    ------
    AudioRefused
        If the source cannot be read.
    SettingsRefused
        If the model does not support the language.
    Cancelled
    """
    found, end_s = so_far or TimelineWords(), timeline.duration_s
    while end_s - found.until_s > HOP_S:
        work.check()
        start_s = found.until_s
        samples, rate = read_stretch(source, start_s, min(start_s + piece_s, end_s), timeline.name, timeline.full_scale)
        piece = Recording(timeline.name, timeline.sha256, samples, rate)
        if start_s + piece.duration_s < end_s - 1 / rate:
            piece = replace(piece, samples=samples[: round(_cut_s(piece) * rate)])
        reported = Work(partial(_report_piece, work, start_s, piece.duration_s, end_s), work.stop)
        known = language or found.transcript.language
        transcript = transcribe(piece, model, known, reported) if piece.samples.any() else Transcript()
        found = TimelineWords(_joined(found.transcript, transcript, start_s), start_s + piece.duration_s)
        yield found


def _report_piece(work: Work, start_s: float, piece_s: float, end_s: float, fraction: float, text: str) -> None:
    done_s = start_s + fraction * piece_s
    work.report(done_s / end_s, f"{clock(done_s)} of {clock(end_s)}")


def _cut_s(piece: Recording) -> float:
    """Return the quietest time of the last seconds of a piece, in seconds from its start."""
    first_s = max(piece.duration_s - CUT_WITHIN_S, piece.duration_s / 2)
    around = np.ones(round(PAUSE_S / HOP_S))
    power = np.convolve(10 ** (level_of(piece) / 10), around, "same")
    first = round(first_s / HOP_S)
    return (first + int(np.argmin(power[first : len(power) - len(around)]))) * HOP_S


def _joined(before: Transcript, piece: Transcript, start_s: float) -> Transcript:
    return Transcript(
        (*before.words, *(moved(word, start_s) for word in piece.words)),
        (*before.confidence, *piece.confidence),
        before.language or piece.language,
        before.language_confidence if before.language else piece.language_confidence,
        before.speech_s + piece.speech_s,
        before.unclear_s + piece.unclear_s,
    )
