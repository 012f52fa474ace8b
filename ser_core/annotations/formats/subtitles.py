"""Subtitles as SubRip (SRT) or WebVTT: a cue for each mark; a plain text is a note in the tier `subtitles`.

References
----------
W3C, "WebVTT: The Web Video Text Tracks Format". SubRip has no specification; its times have a comma for decimals.
"""

import html
import json
import re
from collections import Counter
from collections.abc import Sequence

from ser_core.analysis import Region
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.fields import recording_of, writable
from ser_core.annotations.formats.format import (
    DEFAULT_OPTIONS,
    Format,
    ReadOptions,
    ReadResult,
    Written,
    lost_of_marks,
    only_one,
)
from ser_core.annotations.formats.notation import Note, lost_in_texts, mark_fields, mark_text
from ser_core.annotations.formats.rttm import TIER as SPEAKERS
from ser_core.annotations.formats.values import error_context, quoted
from ser_core.errors import AnnotationsRefused

TIER = "subtitles"
LINE_END = re.compile("\r\n|\r|\n")
TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
TIMING = re.compile(rf"\s*{TIME}[ \t]*-->[ \t]*{TIME}(?:[ \t].*)?", re.ASCII)
BEGINNING = re.compile(rf"\s*(?:\d+[ \t]*(?:\r\n|\r|\n)[ \t]*)?{TIME}[ \t]*-->", re.ASCII)
WEB = "WEBVTT"
NOT_CUES = ("NOTE", "STYLE", "REGION")
TAG = re.compile(r"<[^<>]{0,200}>|\{\\[^{}]{0,200}\}")
VOICE = re.compile(r"<v(?:\.[^ \t<>]*)?[ \t]([^<>]+)>")


def write_srt(recordings: Sequence[AnnotatedRecording], plain: bool = False) -> Written:
    """Write the marks of one recording as SubRip; times are rounded to whole milliseconds."""
    return _write(recordings, plain, is_vtt=False)


def write_vtt(recordings: Sequence[AnnotatedRecording], plain: bool = False) -> Written:
    """Write the marks of one recording as WebVTT, as `write_srt` does."""
    return _write(recordings, plain, is_vtt=True)


def _write(recordings: Sequence[AnnotatedRecording], plain: bool, is_vtt: bool) -> Written:
    recording = writable(only_one(recordings, "subtitles"))
    texts = [mark_text(mark, plain=plain, default_tier=TIER) for mark in recording.annotations]
    if is_vtt:
        texts = [html.escape(text, quote=False).replace("{\\", "&#123;\\") for text in texts]
    elif not plain:
        texts = [_without_tags(text) for text in texts]
    cued = [(mark, text) for mark, text in zip(recording.annotations, texts, strict=True) if text]
    cues = [f"{WEB}\n"] if is_vtt else []
    for number, (mark, text) in enumerate(cued, start=1):
        start, end = (_stamp(edge, "." if is_vtt else ",") for edge in _bounds_ms(mark.region))
        cues.append(f"{number}\n{start} --> {end}\n{text}\n")
    exact = [mark for mark, _ in cued if [edge / 1000 for edge in _bounds_ms(mark.region)] == _edges(mark.region)]
    dropped = (
        *lost_in_texts(recording, ("name", "sha256", "duration_s", "sample_rate_hz", "provenance"), (), plain),
        *lost_of_marks(range(len(cued) - len(exact)), "the microseconds of {}"),
        *lost_of_marks(range(len(texts) - len(cued)), "{} without a label"),
        *lost_of_marks((text for text in texts if not is_vtt and TAG.search(text)), "what looks like a tag in {}"),
    )
    return Written("\n".join(cues).encode(), dropped)


def _without_tags(text: str) -> str:
    """Return the text of a mark with JSON's escapes in place of anything like a tag; SubRip has no escapes."""
    if not TAG.search(text):
        return text
    pairs = "; ".join(f"{field}={json.dumps(value)}" for field, value in mark_fields(text).items())
    return f"[{pairs}]".replace("<", "\\u003c").replace("{", "\\u007b")


def _edges(region: Region) -> list[float]:
    return [region.start_s, region.end_s]


def _bounds_ms(region: Region) -> tuple[int, int]:
    """Return start and end of a region in milliseconds; an interval keeps a length."""
    start, end = (round(edge * 1000) for edge in _edges(region))
    return start, max(end, start + 1) if region.end_s > region.start_s else start


def _stamp(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read the cues of a file, and the speakers of their voice tags as further marks.

    Raises
    ------
    AnnotationsRefused
        If no block has readable times, or a cue is not a valid mark, with the line.
    """
    source = text_of(content, name, "\r\n", encoding=options.encoding)
    is_vtt = source.startswith(WEB)
    marks = Collected(options)
    lost: Counter[str] = Counter()
    first = ""
    for line, block in _blocks(source, is_vtt):
        if is_vtt and (line == 1 or block[0].split(" ")[0] in NOT_CUES):
            continue
        location = f"{name}, line {line}"
        timing = next((index for index, words in enumerate(block[:2]) if TIMING.fullmatch(words)), None)
        if timing is None:  # players and browsers show the cues around it
            lost["{} without readable times"] += 1
            first = first or f"{location}: {quoted(block[0])}"
            continue
        start_s, end_s = _times(block[timing])
        text = "\n".join(block[timing + 1 :])
        for who in VOICE.findall(text):
            note = Note(html.unescape(who).strip())
            marks.add({"tier": SPEAKERS, "note": note, "start_s": start_s, "end_s": end_s}, location)
        text = TAG.sub("", text).strip()
        if not text:
            lost["{} without a text"] += 1
            continue
        fields = mark_fields(html.unescape(text) if is_vtt else text, TIER)
        marks.add({"tier": TIER} | fields | {"start_s": start_s, "end_s": end_s}, location)
    if first and not marks.annotations:
        raise AnnotationsRefused(f"{first} is not a cue, which begins with 'time --> time'.")
    with error_context(name):
        recording = recording_of({"name": name}, marks.annotations)
    return ReadResult((recording,), in_words(lost, "cue") + in_words(marks.left_out), in_words(marks.altered))


def _blocks(source: str, is_vtt: bool) -> list[tuple[int, list[str]]]:
    """Return the blocks between empty lines, with the numbers of their first lines; in WebVTT a time begins one too."""
    blocks: list[tuple[int, list[str]]] = []
    is_open = False
    for line, words in enumerate(LINE_END.split(source), start=1):
        if not words.strip():
            is_open = False
        elif is_open and not (is_vtt and TIMING.fullmatch(words) and any(map(TIMING.fullmatch, blocks[-1][1]))):
            blocks[-1][1].append(words)
        else:
            blocks.append((line, [words]))
            is_open = True
    return blocks


def _times(words: str) -> tuple[float, float]:
    found = TIMING.fullmatch(words).groups()
    start, end = found[:4], found[4:]
    return _seconds(*start), _seconds(*end)


def _seconds(hours: str | None, minutes: str, seconds: str, decimals: str) -> float:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return (whole * 1000 + int(decimals.ljust(3, "0"))) / 1000


SRT = Format(
    name="SubRip (SRT)",
    endings=(".srt",),
    media_type="text/plain",
    holds_many=False,
    write=write_srt,
    read=read,
    recognises=lambda head: bool(BEGINNING.match(head)),
)
VTT = Format(
    name="WebVTT",
    endings=(".vtt",),
    media_type="text/vtt",
    holds_many=False,
    write=write_vtt,
    read=read,
    recognises=lambda head: head.startswith(WEB),
)
