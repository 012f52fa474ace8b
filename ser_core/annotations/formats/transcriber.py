"""Transcriptions of Transcriber (`.trs`): the text between two times, the speakers, and the topics.

References
----------
Barras et al. 2001, "Transcriber: development and use of a tool for assisting speech corpora production", Speech
Communication 33, and Transcriber's document type `trans-14.dtd`.
"""

import re
from collections import Counter
from typing import NoReturn
from xml.parsers import expat

from ser_core.annotations.formats.collected import Collected, in_words
from ser_core.annotations.formats.content import MAX_PARTS, text_of
from ser_core.annotations.formats.fields import recording_of
from ser_core.annotations.formats.format import DEFAULT_OPTIONS, FileTier, Format, ReadOptions, ReadResult, counted
from ser_core.annotations.formats.notation import Note
from ser_core.annotations.formats.rttm import TIER as SPEAKERS
from ser_core.annotations.formats.rttm import with_only_speaker
from ser_core.annotations.formats.values import error_context, number, quoted
from ser_core.errors import AnnotationsRefused

TRANSCRIPT, TOPICS = "transcript", "topics"
#: By element: its parent. Other elements are ignored.
PARENTS = {
    "Trans": None,
    "Topic": "Topics",
    "Speaker": "Speakers",
    "Episode": "Trans",
    "Section": "Episode",
    "Turn": "Section",
}
#: Elements in the text of a turn, and how Transcriber shows them.
NOISES = {"Event": "[{}]", "Comment": "{{{}}}", "Vocal": "[{}]"}
#: Attributes of speakers and turns that are lost, and their name in the report.
DESCRIPTIONS = {
    "Speaker": (("type", "dialect", "accent"), "description of a speaker"),
    "Turn": (("mode", "fidelity", "channel"), "description of a turn, such as its channel"),
}
ROOT = re.compile(r"<(?:!DOCTYPE\s+)?Trans[\s>]")


def read(content: bytes, name: str, options: ReadOptions = DEFAULT_OPTIONS) -> ReadResult:
    """Read the text between two times, the turns of speakers, and the sections with a topic.

    Raises
    ------
    AnnotationsRefused
        If the file is not of Transcriber, is damaged, or a time is impossible, with the line.
    """
    text = text_of(content, name, "<", 4 * MAX_PARTS, options.encoding or "latin-1")  # XML says its own encoding
    parser = _Transcription(name, options)
    parser.parse(text.encode() if options.encoding else content, "utf-8" if options.encoding else None)
    with error_context(name):
        recording = recording_of({"name": parser.recording or name}, parser.marks.annotations)
    recording = with_only_speaker(recording, parser.speakers, (TRANSCRIPT,))
    dropped = tuple(
        counted(count, noun, re.sub(r"^(\w+)", r"\1s", noun)) for noun, count in parser.lost.items() if count
    )
    tiers = tuple(
        FileTier(tier, parser.labels[tier], parser.empty[tier])
        for tier in (TRANSCRIPT, SPEAKERS, TOPICS)
        if parser.labels[tier] or parser.empty[tier]
    )
    return ReadResult((recording,), dropped + in_words(parser.marks.left_out), in_words(parser.marks.altered), tiers)


class _Transcription:
    """The marks of a transcription, collected while its XML is read."""

    def __init__(self, name: str, options: ReadOptions) -> None:
        self.recording = ""
        self.marks = Collected(options)
        self.labels: Counter[str] = Counter()
        self.empty: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.speakers: set[str] = set()
        self._name = name
        self._open: list[str] = []
        self._names: dict[str, str] = {}
        self._topics: dict[str, str] = {}
        self._turn: dict[str, str] = {}
        self._start_time = ""
        self._texts: dict[int, list[str]] = {}
        self._speaker = 0

    def parse(self, content: bytes, encoding: str | None) -> None:
        self._parser = expat.ParserCreate(encoding)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._entity
        try:
            self._parser.Parse(content, True)
        except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two: an unknown encoding
            self._refuse(f"this is not XML ({error})")

    def _refuse(self, reason: str) -> NoReturn:
        raise AnnotationsRefused(f"{self._location}: {reason}. Open the file in Transcriber and save it again.")

    @property
    def _location(self) -> str:
        return f"{self._name}, line {self._parser.CurrentLineNumber}"

    def _entity(self, *_: object) -> None:
        self._refuse("the file defines entities, which a transcription does not")

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else None
        self._open.append(element)
        if element in PARENTS and PARENTS[element] != parent:
            self._refuse(f"{element} is in {parent or 'nothing'}")
        if parent is None and element != "Trans":
            self._refuse(f"{quoted(element)} is not the beginning of a transcription, which is Trans")
        fields, what = DESCRIPTIONS.get(element, ((), ""))
        self.lost[what] += any(attributes.get(field) for field in fields)
        if element == "Trans":
            self.recording = attributes.get("audio_filename", "").replace("\\", "/").rpartition("/")[2]
        elif element in ("Speaker", "Topic"):
            names, attribute = (self._names, "name") if element == "Speaker" else (self._topics, "desc")
            names[attributes.get("id", "")] = attributes.get(attribute, "").strip()
        elif element == "Section":
            topic = attributes.get("topic", "")
            if self._topics.get(topic, topic):
                self._add(
                    TOPICS, attributes.get("startTime"), attributes.get("endTime"), self._topics.get(topic, topic)
                )
            else:
                self.lost["section without a topic"] += 1
        elif element == "Turn":
            self._turn, self._start_time = attributes, attributes.get("startTime", "")
        elif parent == "Turn":
            self._inside_a_turn(element, attributes)

    def _inside_a_turn(self, element: str, attributes: dict[str, str]) -> None:
        if element == "Sync":
            with error_context(self._location):
                number(attributes.get("time"), "time")
            self._finish(attributes["time"])
        elif element == "Who":
            with error_context(self._location):
                self._speaker = int(number(attributes.get("nb"), "number of a speaker"))
        elif element in NOISES:
            self._text(f" {NOISES[element].format(attributes.get('desc', ''))} ")
        else:
            self.lost["background" if element == "Background" else f"element {quoted(element)} of a turn"] += 1

    def _text(self, text: str) -> None:
        if self._open[-1] == "Turn" or (len(self._open) > 1 and self._open[-2] == "Turn"):
            self._texts.setdefault(self._speaker, []).append(text)

    def _end(self, element: str) -> None:
        self._open.pop()
        if element == "Turn":
            self._finish(self._turn.get("endTime", ""))
            for speaker in self._speakers():
                self._add(SPEAKERS, self._turn.get("startTime"), self._turn.get("endTime"), speaker)

    def _speakers(self) -> list[str]:
        return [self._names.get(one) or one for one in self._turn.get("speaker", "").split()]

    def _finish(self, until: str) -> None:
        """Add the text since the last time; if several people speak at once, each text begins with the name."""
        speakers = self._speakers()
        texts = {speaker: " ".join("".join(parts).split()) for speaker, parts in self._texts.items()}
        texts = {speaker: text for speaker, text in texts.items() if text}
        self.speakers |= ({*speakers} or {""}) if texts else set()
        for speaker, text in texts.items():
            if len(speakers) > 1 and 0 < speaker <= len(speakers):
                text = f"{speakers[speaker - 1]}: {text}"
            self._add(TRANSCRIPT, self._start_time, until, text)
        if not texts and self._start_time != until:
            self.empty[TRANSCRIPT] += 1
        self._texts, self._speaker, self._start_time = {}, 0, until

    def _add(self, tier: str, start: str | None, end: str | None, text: str) -> None:
        self.labels[tier] += 1
        with error_context(self._location):
            times = {"start_s": number(start, "start"), "end_s": number(end, "end")}
        self.marks.add(times | {"tier": tier, "note": Note(text)}, self._location)


FORMAT = Format(
    name="Transcriber",
    endings=(".trs",),
    media_type="application/xml",
    holds_many=False,
    write=None,
    read=read,
    recognises=lambda head: bool(ROOT.search(head)),
)
