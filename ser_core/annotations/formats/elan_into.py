"""Write tiers into an existing EAF: everything else stays as it is, byte for byte.

A tier of the same name is replaced, unless annotations of other tiers refer to it or its own have no times. Other tiers
are added behind the last one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ser_core.annotations.annotation import AnnotatedRecording, Tier
from ser_core.annotations.formats.content import encoding_of, json_bytes
from ser_core.annotations.formats.elan import eaf_of, origin_of
from ser_core.annotations.formats.elan_properties import KEYS, TIERS, keys_in, tiers_in, tiers_text
from ser_core.annotations.formats.elan_write import in_milliseconds
from ser_core.annotations.formats.format import UpdatedFile, lost_of_marks
from ser_core.annotations.formats.layers import FIELDS_IN_NAME, Layer, free_name, safe_name
from ser_core.annotations.formats.notation import label_of
from ser_core.errors import AnnotationsRefused

TAG = re.compile(rb"""<[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*>""")
NUMBER = re.compile("[0-9]{1,12}")
OUR_TYPE = "hear-why"
#: The constraint of tiers that have a parent and annotations with times of their own.
INCLUDED_IN = "Included_In"
LAST_ID = "lastUsedAnnotationId"
TYPE_ELEMENT = (
    f'    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="{OUR_TYPE}" TIME_ALIGNABLE="true"/>\n'
)


@dataclass
class _Tier:
    start: int
    name: str
    kind: str
    end: int = 0
    annotations: list[str] = field(default_factory=list)


def write_into(
    content: bytes, name: str, recording: AnnotatedRecording, layers: Sequence[Layer], plain: bool
) -> UpdatedFile:
    """Write layers of a recording's marks into an EAF in UTF-8; times are rounded to whole milliseconds.

    Raises
    ------
    AnnotationsRefused
        If it is damaged, or not in UTF-8.
    """
    eaf = eaf_of(content, name)  # refuses other files
    if not layers:
        return UpdatedFile(content, (), ())
    target = _Positions(content, name)
    new = _NewAnnotations(
        target, round(origin_of(eaf) * 1000), {id_: [*pair] for id_, pair in keys_in(eaf, name).items()}, plain
    )
    declared = {tier.key for tier in recording.tiers}
    taken = {tier.name for tier in target.tiers}
    added, replaced, pieces = [], [], []
    tiers, keys = tiers_in(eaf, name)
    declared_tiers, tier_keys = {tier.key: tier for tier in tiers}, dict(keys)
    for layer in layers:
        old = next((tier for tier in target.tiers if tier.name == layer.name and tier.name not in replaced), None)
        if old is not None and (
            old.name in target.parents or target.referenced & {*old.annotations} or old.kind in target.divided_types
        ):
            old = None
        rows = "".join(new.rows(layer, layer.tier.key in declared))
        if not rows:
            continue
        if old is not None:
            replaced.append(old.name)
            pieces.append(target.content_piece(old, rows))
            new.forget(old.annotations)
            _declare(layer, old.name, declared_tiers, tier_keys)
            continue
        added.append(free_name(layer.name, taken))
        taken.add(added[-1])
        _declare(layer, added[-1], declared_tiers, tier_keys)
        head = f"    <TIER{_attributes(layer, target.alignable_type or OUR_TYPE)} TIER_ID={quoteattr(added[-1])}>\n"
        pieces.append((target.tiers_end, target.tiers_end, f"{head}{rows}    </TIER>\n"))
    if target.alignable_type is None and added:
        pieces.append((target.tiers_end, target.tiers_end, TYPE_ELEMENT))
    pieces += target.slot_pieces(new.slots)
    pieces += target.property_pieces(new.keys, new.last_annotation)
    if tier_keys != keys:
        pieces += target.property_piece(TIERS, tiers_text(declared_tiers.values(), tier_keys))
    dropped = (
        *lost_of_marks(range(new.early), "{} before the TIME_ORIGIN of the file"),
        *lost_of_marks(range(new.points), "the zero length of {}, which is 1 ms there because ELAN has no points"),
    )
    return UpdatedFile(b"".join(_splice(content, pieces)), tuple(added), tuple(replaced), dropped)


def _declare(layer: Layer, name: str, tiers: dict[str, Tier], layers: dict[str, str]) -> None:
    """Note that a tier of the file holds points, which ELAN does not have."""
    if layer.tier.kind == "points":
        tiers[layer.tier.key], layers[name] = layer.tier, layer.tier.key


def _attributes(layer: Layer, kind: str) -> str:
    who = f" ANNOTATOR={quoteattr(safe_name(layer.annotator))}" if layer.annotator else ""
    speaker = layer.tier.participant
    who += f" PARTICIPANT={quoteattr(safe_name(speaker))}" if speaker else ""
    return f"{who} LINGUISTIC_TYPE_REF={quoteattr(kind)}"


class _NewAnnotations:
    """New annotations and time slots with unused ids.

    Attributes
    ----------
    slots : dict of int to str
        Ids by time in ms.
    keys : dict of str to list
        Key and revision of marks by the ids of annotations.
    early : int
        Number of marks before the start of the file, which are left out.
    points : int
        Number of points, each 1 ms long.
    """

    def __init__(self, target: "_Positions", origin_ms: int, keys: dict[str, list], plain: bool) -> None:
        self.slots: dict[int, str] = {}
        self.keys = keys
        self.early = self.points = 0
        self.last_annotation = target.last_annotation
        self._slot_ids = (f"ts{number}" for number in count(target.last_slot + 1))
        self._origin_ms = origin_ms
        self._plain = plain

    def rows(self, layer: Layer, is_declared: bool) -> Iterator[str]:
        """Yield the annotations of a layer."""
        for mark in map(in_milliseconds, layer.marks):
            edges = [round(edge * 1000) - self._origin_ms for edge in (mark.region.start_s, mark.region.end_s)]
            if edges[0] < 0:
                self.early += 1
                continue
            self.points += layer.tier.kind == "points"
            self.last_annotation += 1
            id_ = f"a{self.last_annotation}"
            if mark.key is not None and not self._plain:
                self.keys[id_] = [mark.key, mark.revision]
            label = label_of(mark, layer.tier, FIELDS_IN_NAME, self._plain, is_declared)
            yield _annotation(id_, *map(self._slot, edges), label)

    def _slot(self, time_ms: int) -> str:
        if time_ms not in self.slots:
            self.slots[time_ms] = next(self._slot_ids)
        return self.slots[time_ms]

    def forget(self, annotations: Sequence[str]) -> None:
        """Remove the keys of annotations that are no longer in the file."""
        for id_ in annotations:
            self.keys.pop(id_, None)


def _annotation(id_: str, first: str, last: str, label: str) -> str:
    return (
        f'        <ANNOTATION>\n            <ALIGNABLE_ANNOTATION ANNOTATION_ID="{id_}" TIME_SLOT_REF1="{first}" '
        f'TIME_SLOT_REF2="{last}">\n                <ANNOTATION_VALUE>{escape(label)}</ANNOTATION_VALUE>\n'
        "            </ALIGNABLE_ANNOTATION>\n        </ANNOTATION>\n"
    )


def _splice(content: bytes, pieces: Sequence[tuple[int, int, str]]) -> Iterator[bytes]:
    line_end = "\r\n" if b"\r\n" in content else "\n"
    position = 0
    for start, end, text in sorted(pieces, key=lambda piece: piece[:2]):
        yield content[position:start]
        yield text.replace("\n", line_end).encode()
        position = end
    yield content[position:]


class _Positions:
    """Positions in an EAF, in bytes."""

    def __init__(self, content: bytes, name: str) -> None:
        self.tiers: list[_Tier] = []
        self.parents: set[str] = set()
        self.referenced: set[str] = set()
        self.divided_types: set[str] = set()
        self.alignable_type: str | None = None
        self.last_annotation = self.last_slot = 0
        self.tiers_end = 0
        self._content = content
        self._slots: list[tuple[int, int | None]] = []
        self._ends: dict[str, int] = {}
        self._properties: dict[str, tuple[int, int]] = {}
        self._open: list[tuple[str, int]] = []
        self._property = ""
        parser = self._parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.XmlDeclHandler = self._declaration
        self._name = name
        if encoding_of(content).startswith("utf-16"):
            self._declaration("", "UTF-16", "")
        parser.Parse(content, True)

    def _declaration(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.upper() not in ("UTF-8", "UTF8", "US-ASCII"):
            raise AnnotationsRefused(f"{self._name} is in the encoding {encoding}. Save it in ELAN, in UTF-8.")

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        position = self._parser.CurrentByteIndex
        self._open.append((element, position))
        for id_ in (attributes.get("ANNOTATION_ID", ""), attributes.get("TIME_SLOT_ID", "")):
            if id_ and (found := NUMBER.search(id_)):
                last = "last_annotation" if "ANNOTATION_ID" in attributes else "last_slot"
                setattr(self, last, max(getattr(self, last), int(found[0])))
        if element == "TIER":
            self.tiers.append(_Tier(position, attributes["TIER_ID"], attributes.get("LINGUISTIC_TYPE_REF", "")))
            self.parents.add(attributes.get("PARENT_REF", ""))
        elif element == "TIME_SLOT":
            value = attributes.get("TIME_VALUE")
            self._slots.append((position, None if value is None else int(value)))
        elif element in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION"):
            self.tiers[-1].annotations.append(attributes["ANNOTATION_ID"])
            self.referenced.add(attributes.get("ANNOTATION_REF", ""))
        elif element == "PROPERTY":
            self._property = attributes["NAME"]
        elif element == "LINGUISTIC_TYPE":
            self._linguistic_type(attributes)

    def _linguistic_type(self, attributes: dict[str, str]) -> None:
        id_, constraint = attributes["LINGUISTIC_TYPE_ID"], attributes.get("CONSTRAINTS")
        if constraint not in (None, INCLUDED_IN):
            self.divided_types.add(id_)
        elif constraint is None and attributes.get("TIME_ALIGNABLE") == "true":
            self.alignable_type = self.alignable_type or id_

    def _end(self, element: str) -> None:
        _, start = self._open.pop()
        position = start if self._is_closed(self._tag_end(start)) else self._parser.CurrentByteIndex
        if element == "TIER":
            self.tiers[-1].end = self._tag_end(position)
            self.tiers_end = self._line_after(self.tiers[-1].end)
        elif element in ("TIME_ORDER", "HEADER"):
            self._ends[element] = position
            self.tiers_end = self._line_after(self._tag_end(position))
        elif element == "PROPERTY" and not self._is_closed(self._tag_end(start)):
            span = self._properties[self._property] = self._tag_end(start), position
            property_text = self._content[slice(*span)].decode(errors="replace").strip()
            if self._property == LAST_ID and NUMBER.fullmatch(property_text):
                self.last_annotation = max(self.last_annotation, int(property_text))

    def _tag_end(self, position: int) -> int:
        """Return the end of the tag that begins at a position."""
        return TAG.match(self._content, position).end()

    def _line_after(self, position: int) -> int:
        """Return the beginning of the next line, or the position itself if the line contains more."""
        found = re.compile(rb"[ \t]*\r?\n").match(self._content, position)
        return found.end() if found else position

    def content_piece(self, tier: _Tier, rows: str) -> tuple[int, int, str]:
        """Return the piece that replaces the content of a tier by rows."""
        start = self._tag_end(tier.start)
        if self._is_closed(start):
            return start - 2, start, f">\n{rows}    </TIER>"
        return start, self._content.rfind(b"</", start, tier.end), f"\n{rows}    "

    def _is_closed(self, after: int) -> bool:
        """Whether the tag that ends here is that of an empty element."""
        return self._content[after - 2 : after] == b"/>"

    def slot_pieces(self, slots: dict[int, str]) -> list[tuple[int, int, str]]:
        """Return pieces with new time slots, each before the first later one: ELAN needs them in order."""
        pieces, remaining = [], sorted(slots.items())
        for position, value in self._slots:
            early = [slot for slot in remaining if value is not None and slot[0] < value]
            remaining = remaining[len(early) :]
            pieces += [(position, position, f"{_slot(*slot)}\n        ") for slot in early]
        return pieces + self._append_pieces("TIME_ORDER", [_slot(*slot) for slot in remaining])

    def _append_pieces(self, element: str, children: Sequence[str]) -> list[tuple[int, int, str]]:
        """Return pieces that add elements at the end of another one, which may be empty."""
        position = self._ends[element]
        if children and self._is_closed(self._tag_end(position)):
            lines = "".join(f"        {each}\n" for each in children)
            return [(self._tag_end(position) - 2, self._tag_end(position), f">\n{lines}    </{element}>")]
        return [(position, position, f"    {each}\n    ") for each in children]

    def property_pieces(self, keys: dict[str, list], last: int) -> list[tuple[int, int, str]]:
        """Return pieces for the properties with the keys of our marks and with the last id of an annotation."""
        pieces = []
        if keys or KEYS in self._properties:
            pieces += self.property_piece(KEYS, json_bytes(keys, indent=None, ascii_only=True).decode())
        if LAST_ID in self._properties:
            pieces.append((*self._properties[LAST_ID], str(last)))
        return pieces

    def property_piece(self, name: str, text: str) -> list[tuple[int, int, str]]:
        """Return the piece that replaces the text of a property, or adds the property."""
        if name in self._properties:
            return [(*self._properties[name], escape(text))]
        return self._append_pieces("HEADER", [f'<PROPERTY NAME="{name}">{escape(text)}</PROPERTY>'])


def _slot(time_ms: int, id_: str) -> str:
    return f'<TIME_SLOT TIME_SLOT_ID="{id_}" TIME_VALUE="{time_ms}"/>'
