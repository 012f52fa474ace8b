"""Turns of speakers as RTTM: a row for each turn, for any number of recordings.

References
----------
NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from ser_core.annotations.annotation import AnnotatedRecording, Annotation, Tier
from ser_core.annotations.formats.collected import Collected, totals_in_words
from ser_core.annotations.formats.content import text_of
from ser_core.annotations.formats.fields import recording_of, writable
from ser_core.annotations.formats.format import DEFAULT_OPTIONS, Format, ReadOptions, ReadResult, Written, counted
from ser_core.annotations.formats.values import CHANNEL, error_context, number, quoted
from ser_core.errors import AnnotationsRefused
from ser_core.work.atomic_folder import folder_name

TIER = "speakers"
TURN = "SPEAKER"
#: Kinds of rows; all but turns hold words, noises and information about speakers.
KINDS = (TURN, "SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU")
KINDS += ("CB", "A/P", "SPKR-INFO")
NO_VALUE = "<NA>"
ROW = re.compile(rf"\s*(?:;[^\r\n]*[\r\n]\s*)*(?:{'|'.join(map(re.escape, KINDS))})[ \t]+\S+[ \t]+\S+[ \t]+\S+")


def write(recordings: Sequence[AnnotatedRecording]) -> Written:
    """Write the turns of any number of recordings; times are exact.

    They are the marks of the tier `speakers`. In a recording without any, they are the intervals of tiers of text or
    labels with a participant and without a parent: the words of an utterance are no turns.

    Raises
    ------
    AnnotationsRefused
        If a mark cannot be written, or none is a turn.
    """
    rows, others, spaced = [], 0, 0
    for recording in map(writable, recordings):
        name = "_".join(folder_name(recording.name).split())
        turns = _turns(recording)
        others += len(recording.annotations) - len(turns)
        for mark, who in turns:
            speaker = "_".join(who.split())
            spaced += speaker != who
            start, end = (Decimal(repr(float(edge))) for edge in (mark.region.start_s, mark.region.end_s))
            channel = str(mark.channel or 1)
            cells = (TURN, name, channel, f"{start:f}", f"{end - start:f}", NO_VALUE, NO_VALUE, speaker or NO_VALUE)
            rows.append(" ".join((*cells, NO_VALUE, NO_VALUE)))
    if others and not rows:
        raise AnnotationsRefused(
            f"RTTM holds who speaks when: marks of a tier '{TIER}' or of tiers with a participant, and there are none. "
            "Choose another format."
        )
    dropped = (
        *((f"{counted(others, 'mark')} beside the turns of speakers",) if others else ()),
        *((f"the spaces in the name of {counted(spaced, 'speaker')}",) if spaced else ()),
        f"all but the speakers of {counted(len(rows), 'turn')}",
    )
    return Written("".join(f"{row}\n" for row in rows).encode(), dropped if rows else ())


def _turns(recording: AnnotatedRecording) -> list[tuple[Annotation, str]]:
    """Return the turns in a recording, each with its speaker."""
    marks = recording.annotations
    turns = [(mark, mark.note or mark.emotion or "") for mark in marks if mark.tier == TIER]
    if turns:
        return turns
    speaking = {
        tier.key: tier.participant
        for tier in recording.tiers
        if tier.participant and tier.parent is None and (tier.kind == "intervals" and tier.content != "emotions")
    }
    return [(mark, speaking[mark.tier]) for mark in marks if mark.tier in speaking]


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read the turns of speakers, with the name of the speaker as the note.

    Raises
    ------
    AnnotationsRefused
        If a row is not one of RTTM, or a turn is not a valid mark, with the line.
    """
    recordings: dict[str, Collected] = {}
    lost: Counter[str] = Counter()
    channels: set[str] = set()
    odd_channels = 0
    for line, cells in _rows(text_of(content, name, encoding=options.encoding)):
        with error_context(f"{name}, line {line}"):
            if cells[0] not in KINDS or len(cells) < 8:
                raise AnnotationsRefused(f"{quoted(' '.join(cells))} is not a row of RTTM, which has 9 or 10 columns.")
            if cells[0] != TURN:
                lost[cells[0]] += 1
                continue
            start_s, duration_s = number(cells[3], "start"), number(cells[4], "duration")
            if duration_s < 0:
                raise AnnotationsRefused(f"The turn lasts {duration_s:g} s. It must be at least 0.")
        try:  # decimal numbers have an exact sum
            end_s = float(Decimal(cells[3]) + Decimal(cells[4]))
        except InvalidOperation:  # an exponent of very many digits
            end_s = start_s + duration_s
        fields = {"start_s": start_s, "end_s": end_s, "tier": TIER}
        fields |= {} if cells[7] == NO_VALUE else {"note": cells[7]}
        channels.add(cells[2])
        fields |= {"channel": cells[2]} if CHANNEL.fullmatch(cells[2]) else {}
        odd_channels += "channel" not in fields
        recordings.setdefault(cells[1], Collected(options)).add(fields, f"{name}, line {line}")
    with error_context(name):
        found = tuple(recording_of({"name": of}, marks.annotations) for of, marks in recordings.items())
    dropped = tuple(f"{counted(count, 'row')} of the kind {kind}" for kind, count in lost.items())
    if odd_channels and len(channels) > 1:
        dropped += (f"the channel of {counted(odd_channels, 'turn')}, which is not a number from 1",)
    left_out, altered = totals_in_words(recordings.values())
    return ReadResult(found, dropped + left_out, altered)


def with_only_speaker(
    recording: AnnotatedRecording, speakers: Collection[str], tiers: Iterable[str]
) -> AnnotatedRecording:
    """Return a transcript with its only speaker as the participant of these tiers; with several, unchanged."""
    if len(speakers) != 1 or "" in speakers:
        return recording
    marked = {mark.tier for mark in recording.annotations}
    found = tuple(Tier(key, key, participant=min(speakers)) for key in tiers if key in marked)
    return replace(recording, tiers=found)


def _rows(source: str) -> Iterator[tuple[int, list[str]]]:
    for line, words in enumerate(source.splitlines(), start=1):
        if words.strip() and not words.lstrip().startswith(";"):
            yield line, words.split()


FORMAT = Format(
    name="RTTM",
    endings=(".rttm",),
    media_type="text/plain",
    holds_many=True,
    write=write,
    read=read,
    recognises=lambda head: bool(ROW.match(head)),
)
