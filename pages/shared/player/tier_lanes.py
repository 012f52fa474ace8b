"""Tiers in the player: a row of marks for each, below the regions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pages.shared.language.names import printable
from pages.shared.player.regions import labels_data, region_data
from ser_core.analysis import Region


@dataclass(frozen=True)
class TierLane:
    """A tier as the player shows it.

    Attributes
    ----------
    key : str
        Each edit in the tier repeats it.
    kind : {"intervals", "points"}
    marks : dict of Region
        By their ids in the player; their labels are shown.
    labels : tuple of (str, str or None)
        Labels on the keys 1 to 9, with colours; empty for free text.
    suggested : frozenset of str
        Ids of the marks that are suggestions, to be accepted or dismissed.
    states : dict of str
        Descriptions of marks by their ids, shown while one is selected.
    """

    key: str
    name: str
    kind: str = "intervals"
    colour: str | None = None
    labels: tuple[tuple[str, str | None], ...] = ()
    marks: dict[str, Region] = field(default_factory=dict)
    suggested: frozenset[str] = frozenset()
    states: dict[str, str] = field(default_factory=dict)


def tiers_data(tiers: Sequence[TierLane]) -> list[dict[str, Any]]:
    """Return the player's data for tiers."""
    return [
        {
            "key": tier.key,
            "name": printable(tier.name),
            "kind": tier.kind,
            "colour": tier.colour,
            "labels": labels_data(tier.labels),
            "marks": [
                region_data(region) | {"id": id_, "suggested": id_ in tier.suggested, "state": tier.states.get(id_)}
                for id_, region in sorted(tier.marks.items(), key=lambda item: (item[1].start_s, item[0]))
            ],
        }
        for tier in tiers
    ]
