"""A check of an EAF before pympi reads it: pympi names no line, overwrites duplicates and resolves entities."""

from collections.abc import Mapping
from itertools import count
from typing import NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from ser_core.annotations.formats.values import quoted
from ser_core.errors import AnnotationsRefused

SCHEMA = "http://www.w3.org/2001/XMLSchema-instance noNamespaceSchemaLocation"

#: By element: its parent, and the attributes that pympi or ELAN needs to read it.
ELEMENTS: Mapping[str, tuple[str | None, tuple[str, ...]]] = {
    "ANNOTATION_DOCUMENT": (None, ("VERSION", SCHEMA)),
    "LICENSE": ("ANNOTATION_DOCUMENT", ("LICENSE_URL",)),
    "HEADER": ("ANNOTATION_DOCUMENT", ()),
    "MEDIA_DESCRIPTOR": ("HEADER", ("MEDIA_URL",)),
    "PROPERTY": ("HEADER", ("NAME",)),
    "TIME_ORDER": ("ANNOTATION_DOCUMENT", ()),
    "TIME_SLOT": ("TIME_ORDER", ("TIME_SLOT_ID",)),
    "TIER": ("ANNOTATION_DOCUMENT", ("TIER_ID",)),
    "ANNOTATION": ("TIER", ()),
    "ALIGNABLE_ANNOTATION": ("ANNOTATION", ("ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2")),
    "REF_ANNOTATION": ("ANNOTATION", ("ANNOTATION_ID", "ANNOTATION_REF")),
    "LINGUISTIC_TYPE": ("ANNOTATION_DOCUMENT", ("LINGUISTIC_TYPE_ID",)),
    "LOCALE": ("ANNOTATION_DOCUMENT", ("LANGUAGE_CODE",)),
    "LANGUAGE": ("ANNOTATION_DOCUMENT", ("LANG_ID",)),
    "CONSTRAINT": ("ANNOTATION_DOCUMENT", ("STEREOTYPE", "DESCRIPTION")),
    "CONTROLLED_VOCABULARY": ("ANNOTATION_DOCUMENT", ("CV_ID",)),
    "DESCRIPTION": ("CONTROLLED_VOCABULARY", ("LANG_REF",)),
    "CV_ENTRY_ML": ("CONTROLLED_VOCABULARY", ("CVE_ID",)),
    "CVE_VALUE": ("CV_ENTRY_ML", ("LANG_REF",)),
    "LEXICON_REF": ("ANNOTATION_DOCUMENT", ("LEX_REF_ID",)),
    "EXTERNAL_REF": ("ANNOTATION_DOCUMENT", ("EXT_REF_ID", "TYPE", "VALUE")),
}
#: Attributes that identify their element, and must be unique.
NAMES = ("TIME_SLOT_ID", "TIER_ID", "ANNOTATION_ID")
NUMBERED = ("TIME_SLOT_ID", "ANNOTATION_ID")
#: Attributes that are one of these ids, or refer to one.
REFERRING = {
    "TIME_SLOT_ID",
    "TIME_SLOT_REF1",
    "TIME_SLOT_REF2",
    "ANNOTATION_ID",
    "ANNOTATION_REF",
    "PREVIOUS_ANNOTATION",
}
ANNOTATIONS = ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")
MAX_LEVELS = 20
MAX_DIGITS = 12


def checked_lines(content: bytes, name: str) -> tuple[bytes, dict[str, int]]:
    """Return the file as pympi can read it, and the line of each annotation by its id.

    Ids that pympi cannot read, such as UUIDs, are replaced by numbered ones.

    Raises
    ------
    AnnotationsRefused
        If the file is not well-formed XML, defines entities, is not an EAF, or lacks something, with the line.
    """
    check = _Check(name)
    try:
        check.parser.Parse(content, True)
    except (
        expat.ExpatError,
        ValueError,
        LookupError,
    ) as error:  # the last two: an encoding unknown to Python
        check.refuse(f"this is not XML ({error})")
    check.finish()
    if not check.other_ids:
        return content, check.lines
    return _renumbered(content, check.lines)


def _renumbered(content: bytes, lines: Mapping[str, int]) -> tuple[bytes, dict[str, int]]:
    slots: dict[str, str] = {}
    # Ids that pympi can read stay, because our keys of marks refer to them. New ids differ from all of these.
    free = (name for number in count(1) if (name := f"other{number}") not in lines)
    annotations = {id_: id_ if _has_number(id_) else next(free) for id_ in lines}
    root = ElementTree.fromstring(content)
    for element in root.iter():
        for attribute in REFERRING & element.attrib.keys():
            id_ = element.attrib[attribute]
            if attribute.startswith("TIME_SLOT"):
                element.set(attribute, slots.setdefault(id_, f"ts{len(slots) + 1}"))
            else:
                element.set(attribute, annotations.get(id_, id_))
    return ElementTree.tostring(root), {annotations[id_]: line for id_, line in lines.items()}


def _has_number(id_: str) -> bool:
    return id_.isascii() and 0 < sum(map(str.isdigit, id_)) <= MAX_DIGITS


class _Check:
    def __init__(self, name: str) -> None:
        self.lines: dict[str, int] = {}
        self.other_ids = False
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._name = name
        self._open: list[tuple[str, list[str]]] = []
        self._taken: set[tuple[str, str]] = set()
        self._times: dict[str, int | None] = {}
        self._aligned: list[tuple[int, str, str]] = []
        self._referring: list[tuple[int, str]] = []

    def refuse(self, reason: str, line: int | None = None) -> NoReturn:
        line = self.parser.CurrentLineNumber if line is None else line
        raise AnnotationsRefused(f"{self._name}, line {line}: {reason}. Open the file in ELAN and save it again.")

    def _doctype(self, *_: object) -> None:
        self.refuse("the file defines a document type of its own, which an EAF does not")

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1][0] if self._open else None
        if parent is None and element != "ANNOTATION_DOCUMENT":
            self.refuse(f"{quoted(element)} is not the beginning of an EAF, which is ANNOTATION_DOCUMENT")
        if len(self._open) == MAX_LEVELS:
            self.refuse("the elements are nested too deeply")
        if self._open:
            self._open[-1][1].append(element)
        self._open.append((element, []))
        if parent == "TIME_ORDER" and element != "TIME_SLOT":  # pympi takes any element there for one
            self.refuse(f"{quoted(element)} is in TIME_ORDER, which holds each TIME_SLOT and nothing else")
        if element not in ELEMENTS:
            return
        expected_parent, needed = ELEMENTS[element]
        if parent != expected_parent:
            self.refuse(f"{element} is in {parent} and not in {expected_parent}")
        for attribute in needed:
            if attribute not in attributes:
                self.refuse(f"{element} has no {attribute.split()[-1]}")
        self._names(element, attributes)
        self._content(element, attributes)

    def _end(self, element: str) -> None:
        _, inside = self._open.pop()
        if element in ANNOTATIONS and inside[:1] != ["ANNOTATION_VALUE"]:
            self.refuse(f"{element} does not begin with its ANNOTATION_VALUE")

    def _names(self, element: str, attributes: dict[str, str]) -> None:
        for attribute in NAMES:
            if attribute in ELEMENTS[element][1]:
                id_ = attributes[attribute]
                if (attribute, id_) in self._taken:
                    self.refuse(f"there are two of the {attribute} {quoted(id_)}")
                self._taken.add((attribute, id_))
                self.other_ids |= attribute in NUMBERED and not _has_number(id_)

    def _content(self, element: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber
        if element == "TIME_SLOT":
            time = attributes.get("TIME_VALUE")
            if time is not None and not (time.isascii() and time.isdigit() and len(time) <= MAX_DIGITS):
                self.refuse(f"the TIME_VALUE {quoted(time)} is not a whole number of milliseconds")
            self._times[attributes["TIME_SLOT_ID"]] = None if time is None else int(time)
        elif element in ANNOTATIONS:
            self.lines[attributes["ANNOTATION_ID"]] = line
            if element == "ALIGNABLE_ANNOTATION":
                self._aligned.append((line, attributes["TIME_SLOT_REF1"], attributes["TIME_SLOT_REF2"]))
            else:
                self._referring.append((line, attributes["ANNOTATION_REF"]))

    def finish(self) -> None:
        """Check, at the end of the file, that every referenced time slot and annotation exists."""
        for line, *slots in self._aligned:
            for slot in slots:
                if slot not in self._times:
                    self.refuse(f"there is no time slot {quoted(slot)}", line)
            start, end = (self._times[slot] for slot in slots)
            if None not in (start, end) and start >= end:
                self.refuse(f"an annotation from {start} to {end} ms has no length", line)
        for line, parent in self._referring:
            if parent not in self.lines:
                self.refuse(f"there is no annotation {quoted(parent)} to refer to", line)
