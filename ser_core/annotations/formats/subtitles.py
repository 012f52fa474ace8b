"""Subtitles as SubRip (SRT) or WebVTT: cues with their text as notes in a tier of their own.

References
----------
W3C, "WebVTT: The Web Video Text Tracks Format". SubRip has no specification; its times have a comma for decimals.
"""

import html
import re
from collections import Counter

from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.format import AS_IT_IS, Format, ReadIn, ReadOptions
from ser_core.annotations.formats.gate import at, recording_of, shown
from ser_core.annotations.formats.notation import mark_fields
from ser_core.errors import AnnotationsRefused

TIER = "subtitles"
LINE_END = re.compile("\r\n|\r|\n")
TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
TIMING = re.compile(rf"\s*{TIME}[ \t]*-->[ \t]*{TIME}(?:[ \t].*)?", re.ASCII)
BEGINNING = re.compile(rf"\s*(?:\d+[ \t]*(?:\r\n|\r|\n)[ \t]*)?{TIME}[ \t]*-->", re.ASCII)
VTT = "WEBVTT"
NOT_CUES = ("NOTE", "STYLE", "REGION")
TAG = re.compile(r"<[^<>]{0,200}>|\{\\[^{}]{0,200}\}")
VOICE = re.compile(r"<v(?:\.[^ \t<>]*)?[ \t][^<>]+>")


def read(content: bytes, name: str, options: ReadOptions = AS_IT_IS) -> ReadIn:
    """Read the cues of a file.

    Raises
    ------
    AnnotationsRefused
        If a block has no times, or a cue is not a valid mark, with the line.
    """
    source = text_of(content, name, "\r\n", encoding=options.encoding)
    is_vtt = source.startswith(VTT)
    marks = Collected(options)
    lost: Counter[str] = Counter()
    for line, block in _blocks(source):
        if is_vtt and (line == 1 or block[0].split(" ")[0] in NOT_CUES):
            continue
        place = f"{name}, line {line}"
        timing = next((index for index, words in enumerate(block[:2]) if TIMING.fullmatch(words)), None)
        if timing is None:
            raise AnnotationsRefused(f"{place}: {shown(block[0])} is not a cue, which begins with 'time --> time'.")
        start_s, end_s = _times(block[timing])
        text = "\n".join(block[timing + 1 :])
        lost["the speakers of {}"] += bool(VOICE.search(text))
        text = TAG.sub("", text).strip()
        if not text:
            lost["{} without a text"] += 1
            continue
        fields = mark_fields(html.unescape(text) if is_vtt else text)
        marks.add({"tier": TIER} | fields | {"start_s": start_s, "end_s": end_s}, place)
    with at(name):
        recording = recording_of({"name": name}, marks.annotations)
    return ReadIn((recording,), in_words(lost, "cue") + in_words(marks.left_out), in_words(marks.altered))


def _blocks(source: str) -> list[tuple[int, list[str]]]:
    """Return blocks of lines between empty ones, each with its first line's number."""
    blocks: list[tuple[int, list[str]]] = []
    is_open = False
    for line, words in enumerate(LINE_END.split(source), start=1):
        if not words.strip():
            is_open = False
        elif is_open:
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


FORMAT = Format(
    name="subtitles (SRT or WebVTT)",
    endings=(".srt", ".vtt"),
    media_type="text/plain",
    holds_many=False,
    write=None,
    read=read,
    recognises=lambda head: head.startswith(VTT) or bool(BEGINNING.match(head)),
)
