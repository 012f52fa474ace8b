"""The properties of an EAF that hold what ELAN has no field for: the recording, keys of marks, and tiers."""

from collections.abc import Iterable, Mapping

from pympi.Elan import Eaf

from ser_core.annotations.annotation import RECORDING_TIER, Tier
from ser_core.annotations.formats.content import json_bytes, json_of
from ser_core.annotations.formats.fields import known_keys, tier_fields, tier_of
from ser_core.annotations.formats.values import error_context

#: The property with the fields of the recording, as JSON.
PROPERTY = "hear-why recording"
#: The property with key and revision of each mark by the id of its annotation, which ELAN keeps, as JSON.
KEYS = "hear-why marks"
#: The property with the project's tiers, and the tier of which each tier of the file is a layer, as JSON.
TIERS = "hear-why tiers"


def keys_in(eaf: Eaf, name: str) -> dict[str, tuple[str, int]]:
    """Return key and revision of marks by the ids of their annotations, if the file has them."""
    for key, value in eaf.properties:
        if key == KEYS:
            found = json_of((value or "").encode(), f"{name}, property {KEYS}")
            if isinstance(found, dict):
                pairs = {id_: tuple(pair) for id_, pair in found.items() if isinstance(pair, list) and len(pair) == 2}
                return {
                    id_: pair
                    for id_, pair in pairs.items()
                    if isinstance(pair[0], str) and known_keys({pair[0]: pair[1]})
                }
    return {}


def tiers_text(tiers: Iterable[Tier], layers: Mapping[str, str]) -> str:
    """Return the text of the property `TIERS`; `layers` are keys of tiers by the name of the tier in the file."""
    declaration = {"tiers": [tier_fields(tier) for tier in tiers], "layers": dict(layers)}
    return json_bytes(declaration, indent=None, ascii_only=True).decode()


def tiers_in(eaf: Eaf, name: str) -> tuple[tuple[Tier, ...], dict[str, str]]:
    """Return the tiers in our property, and the key of each tier of the file; both are empty without the property."""
    for key, value in eaf.properties:
        if key == TIERS:
            found = json_of((value or "").encode(), f"{name}, property {TIERS}")
            if (
                isinstance(found, dict)
                and isinstance(found.get("tiers"), list)
                and isinstance(found.get("layers"), dict)
            ):
                with error_context(f"{name}, property {TIERS}"):
                    tiers = tuple(tier_of(tier) for tier in found["tiers"])
                known = {tier.key for tier in tiers} | {RECORDING_TIER}
                layers = {id_: key for id_, key in found["layers"].items() if isinstance(key, str) and key in known}
                return tiers, layers
    return (), {}
