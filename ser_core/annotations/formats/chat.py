"""Transcripts in CHAT (`.cha`): utterances, speakers, and the words of `%wor` lines, if they have times.

A time follows its text, in milliseconds between two NAK characters: `so it is . <NAK>500_1250<NAK>`.

References
----------
MacWhinney, "Tools for Analyzing Talk, Part 1: The CHAT Transcription Format", https://talkbank.org/manuals/CHAT.html.
"""

import re
from collections import Counter
from collections.abc import Iterator

from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.fields import recording_of
from ser_core.annotations.formats.format import DEFAULT_OPTIONS, FileTier, Format, ReadOptions, ReadResult, counted
from ser_core.annotations.formats.notation import Note
from ser_core.annotations.formats.rttm import TIER as SPEAKERS
from ser_core.annotations.formats.rttm import with_only_speaker
from ser_core.annotations.formats.table import WORDS_TIER
from ser_core.annotations.formats.transcriber import TRANSCRIPT
from ser_core.annotations.formats.values import error_context, quoted
from ser_core.errors import AnnotationsRefused

LINE_END = re.compile("\r\n|\r|\n")
BEGINNING = re.compile(r"\s*@(?:UTF8|Begin|PID|Font|Window|ColorWords)\b")
#: Older files name the sound in each time.
TIME = re.compile('\x15(?:%(?:snd|mov):"([^"\x15]*)"_)?([0-9]{1,10})_([0-9]{1,10})-?\x15')
BULLET = "\x15"
MEDIA, WORDS = "@Media", "%wor"


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read utterances with times as notes, literally, and their speakers.

    Raises
    ------
    AnnotationsRefused
        If a line does not begin as one of CHAT does, a time is damaged or runs backwards, with the line, or the end
        of the transcript is missing.
    """
    marks, lost = Collected(options), Counter()
    labels: Counter[str] = Counter()
    speakers: set[str] = set()
    recording = ""
    head = ""
    for line, head, text in _lines(text_of(content, name, "\r\n", encoding=options.encoding), name):
        location = f"{name}, line {line}"
        if head == MEDIA:
            recording = text.partition(",")[0].strip()
        if head[0] == "@":
            continue
        if head[0] == "%" and head != WORDS:
            lost[f"line {head}"] += 1
            continue
        pieces, rest, sound = _timed(text, location)
        recording = recording or sound
        if not pieces and head[0] == "*":
            lost["utterance without times"] += 1
        elif rest and head[0] == "*":
            lost["text behind the time of an utterance"] += 1
        for start_s, end_s, words in pieces:
            speakers |= {head[1:]} if head != WORDS else set()
            found = [(WORDS_TIER, words)] if head == WORDS else [(TRANSCRIPT, words), (SPEAKERS, head[1:])]
            for tier, note in found:
                labels[tier] += 1
                marks.add({"start_s": start_s, "end_s": end_s, "tier": tier, "note": Note(note)}, location)
    if head != "@End":
        raise AnnotationsRefused(
            f"{name}: the file ends without @End, and may be cut off. Open it in CLAN and save it."
        )
    with error_context(name):
        found = recording_of({"name": recording or name}, marks.annotations)
    found = with_only_speaker(found, speakers, (TRANSCRIPT, WORDS_TIER))
    dropped = tuple(counted(count, noun, re.sub(r"^(\w+)", r"\1s", noun)) for noun, count in lost.items())
    tiers = tuple(FileTier(tier, count) for tier, count in labels.items())
    return ReadResult((found,), dropped + in_words(marks.left_out), in_words(marks.altered), tiers)


def _lines(source: str, name: str) -> Iterator[tuple[int, str, str]]:
    """Yield number, head such as `*CHI` and text of each line; lines that begin with a tab continue the one before."""
    found: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(LINE_END.split(source), start=1):
        if line.startswith(("\t", " ")) and found is not None:
            found[2].append(line.strip())
        elif line.strip():
            if found is not None:
                yield found[0], found[1], " ".join(found[2])
            head, _, text = line.partition(":") if line[0] in "*%" or "\t" in line else (line, "", "")
            if line[0] not in "@*%" or len(head) < 2:
                raise AnnotationsRefused(
                    f"{name}, line {number}: {quoted(line)} is not a line of CHAT, which begins with @, * or %."
                )
            found = number, head.strip(), [text.strip()]
    if found is not None:
        yield found[0], found[1], " ".join(found[2])


def _timed(text: str, location: str) -> tuple[list[tuple[float, float, str]], str, str]:
    """Return the texts of a line with their times in seconds, the text behind the last time, and the sound, if named.

    Raises
    ------
    AnnotationsRefused
        If a time is damaged.
    """
    pieces, start, sound = [], 0, ""
    for found in TIME.finditer(text):
        words = " ".join(text[start : found.start()].split())
        start, sound = found.end(), sound or found[1] or ""
        if words:
            pieces.append((int(found[2]) / 1000, int(found[3]) / 1000, words))
    rest = text[start:].strip()
    if any(BULLET in words for words in (rest, *(words for *_, words in pieces))):
        raise AnnotationsRefused(
            f"{location}: a time is not two numbers of milliseconds, such as 500_1250. Correct it."
        )
    return pieces, rest, sound


FORMAT = Format(
    name="CHAT",
    endings=(".cha",),
    media_type="text/plain",
    holds_many=False,
    write=None,
    read=read,
    recognises=lambda head: bool(BEGINNING.match(head)),
)
