"""The properties of an EAF in which we keep what ELAN has no place for: the recording, keys of marks, and tiers."""

from collections.abc import Iterable, Mapping

from pympi.Elan import Eaf

from ser_core.annotations.annotation import RECORDING_TIER, Tier
from ser_core.annotations.formats.content import json_bytes, json_of
from ser_core.annotations.formats.gate import at, known_keys, tier_fields, tier_of

#: The property of the file that holds what is known about the recording, as JSON.
PROPERTY = "hear-why recording"
#: The property that holds, as JSON, key and revision of each mark by the id of its annotation, which ELAN keeps.
KEYS = "hear-why marks"
#: The property that holds, as JSON, the tiers, and which of them the tiers of the file are.
TIERS = "hear-why tiers"


def keys_in(eaf: Eaf, name: str) -> dict[str, tuple[str, int]]:
    """Return key and revision of marks by the ids of their annotations, or nothing if the file does not hold them."""
    for key, value in eaf.properties:
        if key == KEYS:
            found = json_of((value or "").encode(), f"{name}, property {KEYS}")
            if isinstance(found, dict):
                pairs = {own: tuple(pair) for own, pair in found.items() if isinstance(pair, list) and len(pair) == 2}
                return {
                    own: pair
                    for own, pair in pairs.items()
                    if isinstance(pair[0], str) and known_keys({pair[0]: pair[1]})
                }
    return {}


def tiers_text(tiers: Iterable[Tier], layers: Mapping[str, str]) -> str:
    """Return the text of the property that declares tiers, and of which of them the tiers of the file are layers."""
    about = {"tiers": [tier_fields(tier) for tier in tiers], "layers": dict(layers)}
    return json_bytes(about, indent=None, ascii_only=True).decode()


def tiers_in(eaf: Eaf, name: str) -> tuple[tuple[Tier, ...], dict[str, str]]:
    """Return the tiers that our property declares, and the key of each tier of the file; both empty without it."""
    for key, value in eaf.properties:
        if key == TIERS:
            found = json_of((value or "").encode(), f"{name}, property {TIERS}")
            if (
                isinstance(found, dict)
                and isinstance(found.get("tiers"), list)
                and isinstance(found.get("layers"), dict)
            ):
                with at(f"{name}, property {TIERS}"):
                    tiers = tuple(tier_of(tier) for tier in found["tiers"])
                known = {tier.key for tier in tiers} | {RECORDING_TIER}
                layers = {own: key for own, key in found["layers"].items() if isinstance(key, str) and key in known}
                return tiers, layers
    return (), {}
