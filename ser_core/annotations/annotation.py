"""A person's mark in a recording, and a recording with all of its marks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ser_core.errors import AnnotationsRefused
from ser_core.regions import Region

STATUSES = ("open", "done", "verified")
LEAST_INTENSITY, MOST_INTENSITY = 1, 5

#: The tier of marks in time, and the one whose single mark is the whole recording.
REGION_TIER, RECORDING_TIER = "emotion", "recording"


@dataclass(frozen=True)
class Annotation:
    """One mark.

    Attributes
    ----------
    region : Region
        Where; its own label is not used.
    annotator : str
        Who.
    emotion : str or None
        Any name; those of `ser_core.emotions` can be taught.
    intensity : int or None
        1, hardly there, to 5, very strong.
    confidence : float or None
        How sure the annotator is, 0 to 1.
    status : {"open", "done", "verified"}
    changed_at : datetime or None
        When it was last changed, in UTC.
    key : str or None
        Its identity in a store, None where it is in none.
    revision : int
        How often it was changed there; a change made to an older one is refused.
    """

    region: Region
    tier: str = REGION_TIER
    annotator: str = ""
    emotion: str | None = None
    intensity: int | None = None
    note: str = ""
    confidence: float | None = None
    status: str = "open"
    changed_at: datetime | None = None
    key: str | None = None
    revision: int = 0

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise AnnotationsRefused(f"The status '{self.status}' is not known; choose {', '.join(STATUSES)}.")
        if self.intensity is not None and not LEAST_INTENSITY <= self.intensity <= MOST_INTENSITY:
            raise AnnotationsRefused(
                f"An intensity of {self.intensity} is not possible; choose {LEAST_INTENSITY} to {MOST_INTENSITY}."
            )
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise AnnotationsRefused(f"A confidence of {self.confidence:g} is not possible; choose 0 to 1.")
        if not self.tier.strip():
            raise AnnotationsRefused("A mark needs a tier with a name.")


@dataclass(frozen=True)
class AnnotatedRecording:
    """A recording's marks, without its sound.

    Attributes
    ----------
    sha256 : str or None
        Of the audio file's bytes, by which a moved or renamed file is found again; None where a format has no place for
        it.
    annotations : tuple of Annotation
        In order of time.
    provenance : mapping
        What suggestions came from: the model's name and SHA-256, and settings; empty where nothing was suggested.
    """

    name: str
    sha256: str | None
    duration_s: float
    sample_rate_hz: int | None
    annotations: tuple[Annotation, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
