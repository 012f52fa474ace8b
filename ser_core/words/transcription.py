"""Transcribe speech with word times, offline, by Whisper in the format of faster-whisper.

Only stretches in which voice activity is detected are transcribed: the model invents words for noise.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ser_core.analysis import Recording, Region
from ser_core.audio.reading import resample
from ser_core.audio.voice_activity import FRAME_SAMPLES, RATE_HZ, detect_speech, speech_frames, speech_seconds
from ser_core.errors import SettingsRefused
from ser_core.words.bounds import BoundSettings, snap_words
from ser_core.words.word_model import WordModel
from ser_core.work.progress import UNWATCHED, Work

#: Whisper's window is 30 s; blocks are shorter and end in pauses.
LONGEST_BLOCK_S = 28.0
#: A block that must be cut within speech is cut at its quietest moment in these last seconds.
CUT_WITHIN_S = 8.0
MARGIN_S = 0.3
#: Text whose tokens have a lower mean log probability is not trusted. Whisper's own limit of -1 accepts speech that is
#: played backwards; played forwards, the same speech is above -0.75.
MIN_LOG_PROBABILITY = -0.8
#: Text that compresses by more than this factor repeats itself. People repeat themselves too, but when Whisper is lost,
#: its text is also faster than anybody can speak.
MAX_COMPRESSION, MAX_LETTERS_PER_S = 2.4, 25.0
#: Below this probability of the language there may be none, as in laughter, or one that the model does not support. Its
#: text must then be more probable and must not repeat itself, and it must be improbable that nobody speaks.
MIN_LANGUAGE_PROBABILITY, MIN_LOG_PROBABILITY_UNSURE, MAX_NO_SPEECH_UNSURE = 0.9, -0.6, 0.3
#: Less speech than this contains no word.
MIN_SPEECH_S = 0.1


@dataclass(frozen=True)
class Transcript:
    """The words of a recording.

    Attributes
    ----------
    words : tuple of Region
        In order of time, each labelled with the word.
    confidence : tuple of float
        The model's probability of each word, 0 to 1.
    language : str or None
        As a code such as "en"; None without words.
    language_confidence : float or None
        The model's probability of the language; None if a person chose it.
    speech_s : float
        How much of the recording is speech.
    unclear_s : float
        How much of that the model could not transcribe with confidence; no words are given for it.
    """

    words: tuple[Region, ...] = ()
    confidence: tuple[float, ...] = ()
    language: str | None = None
    language_confidence: float | None = None
    speech_s: float = 0.0
    unclear_s: float = 0.0


def transcribe(
    recording: Recording,
    model: WordModel,
    language: str | None = None,
    work: Work = UNWATCHED,
    bounds: BoundSettings | None = BoundSettings(),  # noqa: B008 - frozen
) -> Transcript:
    """Return the words of a recording with their times; without speech, none.

    Parameters
    ----------
    language : str, optional
        A code such as "en"; without it the model finds the language in the first block that has words.
    bounds : BoundSettings or None
        How bounds are moved to pauses and dips of energy; None: Whisper's bounds.

    Raises
    ------
    SettingsRefused
        If the model does not support the language.
    Cancelled
    """
    speech = detect_speech(recording)
    speech_s = speech_seconds(recording, speech)
    if speech_s < MIN_SPEECH_S:
        return Transcript(speech_s=speech_s)
    is_chosen, language_confidence = language is not None, None
    found: list[tuple[Region, float]] = []
    unclear_s = 0.0
    blocks = speech_blocks(speech, recording)
    for done, (start_s, end_s) in enumerate(blocks):
        work.check()
        work.report(done / len(blocks), f"Block {done + 1} of {len(blocks)}")
        segments, about = _transcribe_block(model, recording, start_s, end_s, language)
        recognised = language is not None or about.language_probability >= MIN_LANGUAGE_PROBABILITY
        for segment in segments:
            work.check()
            if _is_unclear(segment, recognised=recognised):
                unclear_s += max(0.0, min(segment.end, end_s - start_s) - segment.start)
            else:
                found += _words(segment.words or (), start_s, end_s, earliest_s=found[-1][0].end_s if found else 0.0)
        if language is None and found:
            language, language_confidence = about.language, float(about.language_probability)
    words = [word for word, _ in found]
    snapped = words if bounds is None else snap_words(words, recording, bounds, speech)
    confidences = [confidence for _, confidence in found]
    spoken = [pair for pair in zip(snapped, confidences, strict=True) if _overlaps_speech(pair[0], speech)]
    return Transcript(
        tuple(word for word, _ in spoken),
        tuple(confidence for _, confidence in spoken),
        language,
        None if is_chosen else language_confidence,
        speech_s,
        unclear_s,
    )


def _transcribe_block(
    model: WordModel, recording: Recording, start_s: float, end_s: float, language: str | None
) -> tuple[Iterable[Any], Any]:
    """Return the segments of a block, each computed when it is taken, and the model's information on its language."""
    rate = recording.sample_rate_hz
    samples = resample(recording.samples[round(start_s * rate) : round(end_s * rate)], rate, RATE_HZ)
    try:
        return model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
        )
    except ValueError:
        if language is None:
            raise
        raise SettingsRefused(
            f"Whisper knows no language '{language}'. Give a code such as en or de, or let it find the language."
        ) from None


def _is_unclear(segment: Any, *, recognised: bool) -> bool:
    """Return whether a segment's text is probably invented; `recognised` is whether its language was recognised."""
    min_log_probability = MIN_LOG_PROBABILITY if recognised else MIN_LOG_PROBABILITY_UNSURE
    # Letters, not words, because repeated syllables are one word.
    letters = sum(letter.isalpha() for word in segment.words or () for letter in word.word)
    too_fast = letters > MAX_LETTERS_PER_S * (segment.end - segment.start)
    repeats = segment.compression_ratio > MAX_COMPRESSION
    no_speech = segment.no_speech_prob > MAX_NO_SPEECH_UNSURE
    improbable = segment.avg_logprob < min_log_probability
    return improbable or (repeats and too_fast) or (not recognised and (repeats or no_speech))


def _words(spoken: Sequence[Any], start_s: float, end_s: float, earliest_s: float) -> Iterator[tuple[Region, float]]:
    """Yield the words of a segment of a block, in the recording's time, none before `earliest_s`.

    Whisper splits hyphenated words. Here they are joined, with the confidence of the least certain part.
    """
    earliest_s = max(start_s, earliest_s)
    whole: tuple[Region, float] | None = None
    for word in spoken:
        text, confidence = " ".join(word.word.split()), float(word.probability)
        first = min(max(start_s + float(word.start), earliest_s), end_s)
        last = min(start_s + float(word.end), end_s)
        if not text or last <= first:
            continue
        earliest_s = last
        if whole is not None and word.word.startswith("-"):
            before, lowest = whole
            whole = replace(before, end_s=last, label=before.label + text), min(lowest, confidence)
            continue
        if whole is not None:
            yield whole
        whole = Region(first, last, label=text), confidence
    if whole is not None:
        yield whole


def speech_blocks(speech: np.ndarray, recording: Recording) -> list[tuple[float, float]]:
    """Return start and end, in seconds, of blocks of at most 28 s that together cover all speech.

    Parameters
    ----------
    speech : ndarray of shape (pieces,), bool
        As `detect_speech` returns it.
    """
    piece_s = FRAME_SAMPLES / RATE_HZ
    runs = np.flatnonzero(np.diff(np.concatenate([[False], speech, [False]]))).reshape(-1, 2)
    longest = int((LONGEST_BLOCK_S - 2 * MARGIN_S) / piece_s)
    blocks: list[list[int]] = []
    for first, end in runs:
        if blocks and end - blocks[-1][0] <= longest:
            blocks[-1][1] = end
            continue
        while end - first > longest:
            cut = _quietest(first + longest - int(CUT_WITHIN_S / piece_s), first + longest, recording)
            blocks.append([first, cut])
            first = cut
        blocks.append([first, end])
    edges = np.array(blocks) * piece_s
    starts, ends = edges[:, 0] - MARGIN_S, edges[:, 1] + MARGIN_S
    # A margin does not reach into the speech of the next block.
    starts[1:] = np.maximum(starts[1:], edges[:-1, 1])
    ends[:-1] = np.minimum(ends[:-1], edges[1:, 0])
    return list(zip(np.maximum(starts, 0.0).tolist(), np.minimum(ends, recording.duration_s).tolist(), strict=True))


def _quietest(first: int, end: int, recording: Recording) -> int:
    """Return the piece of 32 ms, from `first` to `end`, with the least energy."""
    per_piece = FRAME_SAMPLES / RATE_HZ * recording.sample_rate_hz
    # Positions use the exact length: rounded, they would be a third of a second off after ten minutes.
    length = round(per_piece)
    samples = recording.samples[round(first * per_piece) : round(end * per_piece)]
    pieces = samples[: len(samples) // length * length].reshape(-1, length)
    return first + int(np.argmin(np.square(pieces, dtype=np.float64).sum(axis=1)))


def _overlaps_speech(word: Region, speech: np.ndarray) -> bool:
    times_s = np.arange(word.start_s, word.end_s, 0.01)
    return bool(speech_frames(speech, times_s).any())
