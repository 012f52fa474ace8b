"""Import of annotated recordings into a project, all or nothing, and export from it in batches."""

from dataclasses import dataclass, field

from ser_core.annotations.annotation import Tier
from ser_core.annotations.exchange.merging import Difference

RECORDINGS_AT_ONCE = 200


@dataclass(frozen=True)
class RecordingDifference:
    """A difference, and the name and SHA-256 of its recording."""

    recording: str
    difference: Difference
    sha256: str | None = None


@dataclass(frozen=True)
class Imported:
    """What an import did, or would do.

    Attributes
    ----------
    recordings : int
        Recordings of the documents, new or known.
    added : int
        Marks.
    known : int
        Marks that were there already, with the same content.
    left_out : int
        Marks of the files that differ from those here, which stay.
    changed, moved, deleted : int
        Marks here that became as they are in the files.
    restored : int
        Marks that were deleted here after they were written to the files, and are restored.
    f0_frames : int
        Frames that took their corrected F0 from the files.
    f0_left_out : int
        Frames with another correction here, which stays.
    participants : int
        Tiers that took their participant from the files, counted in each recording.
    participants_left_out : int
        Tiers with another participant here, who stays.
    about : int
        Recordings that took their speaker or session from the files.
    about_left_out : int
        Recordings with another speaker or session here, which stays.
    differences : tuple of RecordingDifference
        All differences between the files and the project.
    new_tiers : tuple of Tier
        Tiers of the files that the project did not have.
    """

    recordings: int
    added: int = 0
    known: int = 0
    left_out: int = 0
    changed: int = 0
    moved: int = 0
    deleted: int = 0
    restored: int = 0
    f0_frames: int = 0
    f0_left_out: int = 0
    participants: int = 0
    participants_left_out: int = 0
    about: int = 0
    about_left_out: int = 0
    differences: tuple[RecordingDifference, ...] = field(default=(), compare=False)
    new_tiers: tuple[Tier, ...] = field(default=(), compare=False)
