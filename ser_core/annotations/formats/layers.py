"""Tiers without overlapping marks, as Praat and ELAN need them, and their names.

Anna's marks in the tier emotion are in `anna/emotion`; those that overlap one there in `anna/emotion (2)`, and so on.
Marks without an annotator are in `emotion`.
"""

import heapq
import re
from collections.abc import Collection, Iterable

from ser_core.annotations.annotation import REGION_TIER, Annotation
from ser_core.annotations.formats.notation import UNSAFE, escaped

#: Fields of a mark that the name of its tier holds.
BESIDE = ("tier", "annotator")

LAYER = re.compile(r"(.*) \(([0-9]+)\)", re.DOTALL)
OWNED = re.compile(r"((?:[^\\/]|\\.)*)/(.*)", re.DOTALL)
ESCAPE = re.compile(r"\\(?:([\\/])|u([0-9a-f]{4}))")


def laid_out(marks: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    """Return marks by the name of their tier, in order of time and without overlaps.

    There is always a tier, because other tools refuse files without one.
    """
    groups: dict[tuple[str, str], list[Annotation]] = {}
    for mark in sorted(marks, key=lambda mark: (mark.region.start_s, mark.region.end_s)):
        groups.setdefault((mark.annotator, mark.tier), []).append(mark)
    tiers: dict[str, list[Annotation]] = {}
    for owner, group in groups.items():
        for number, layer in enumerate(_layers(group), start=1):
            tiers[_name(*owner, number)] = layer
    return tiers or {REGION_TIER: []}


def _layers(group: Iterable[Annotation]) -> list[list[Annotation]]:
    layers: list[list[Annotation]] = []
    free: list[tuple[float, int]] = []
    for mark in group:
        if free and free[0][0] <= mark.region.start_s:
            _, index = heapq.heappop(free)
        else:
            index = len(layers)
            layers.append([])
        layers[index].append(mark)
        heapq.heappush(free, (mark.region.end_s, index))
    return layers


def _name(annotator: str, tier: str, layer: int) -> str:
    name = safe_name(tier)
    if annotator or "/" in name:
        who = safe_name(annotator).replace("/", "\\/")
        name = f"{who}/{name}"
    # A tier whose own name ends like that of a layer gets the number 1.
    return f"{name} ({layer})" if layer > 1 or LAYER.fullmatch(name) else name


def safe_name(name: str) -> str:
    """Return a name with escapes for characters that XML and lines of text cannot hold."""
    return UNSAFE.sub(escaped, name.replace("\\", "\\\\"))


def plain_name(name: str) -> str:
    """Return a name as it was before `safe_name`."""
    return ESCAPE.sub(lambda found: found[1] or chr(int(found[2], 16)), name)


def owner_of(name: str, names: Collection[str], number: int) -> tuple[str, str]:
    """Return whose marks a tier holds, and which tier they are in.

    Parameters
    ----------
    name : str
        The tier's name in the file.
    names : collection of str
        All tiers in the file: `emotion (2)` is a layer only if `emotion` is one of them.
    number : int
        Number of the tier, used if it has no name.
    """
    layer = LAYER.fullmatch(name)
    if layer and (layer[2] == "1" or layer[1] in names or f"{layer[1]} (1)" in names):
        name = layer[1]
    owned = OWNED.fullmatch(name)
    if owned and owned[2].strip():
        return plain_name(owned[1]), plain_name(owned[2])
    return "", plain_name(name) if name.strip() else f"tier {number}"
