"""Whether a model that was taught may take the place of the one before: only where it is not worse."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ser_core.learning.metrics import PairedDifference, paired_difference
from ser_core.learning.predictions import Predictions

FEWEST_RECORDINGS = 20
#: With fewer the interval resamples recordings, for so few speakers make none.
FEWEST_SPEAKERS = 5
#: How much worse, in UAR, the model may be at the lower end of the interval.
TOLERANCE = 0.05
ROUNDING = 1e-9


@dataclass(frozen=True)
class Acceptance:
    """What the held-out recordings say.

    Attributes
    ----------
    offered : bool
        Whether the model may be offered as the new default.
    difference : PairedDifference
        UAR after minus UAR before.
    words : str
    """

    offered: bool
    difference: PairedDifference
    words: str


def recording_of_pieces(manifest: Path) -> dict[str, str]:
    """Return the SHA-256 of the recording that each piece of a taught corpus was cut from, by the piece's own."""
    with manifest.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        return {row["sha256"]: row["recording_sha256"] for row in rows if {"sha256", "recording_sha256"} <= row.keys()}


def acceptance_of(before: Predictions, after: Predictions, recording_of: Mapping[str, str]) -> Acceptance:
    """Compare the models before and after on the held-out pieces of recordings that neither has heard.

    `recording_of` is what `recording_of_pieces` returns: pieces of one recording are no independent witnesses. A
    piece that it does not name counts as a recording. The model after is offered if its UAR is not lower, and the lower
    end of the 95 % interval of the difference is not below minus 5 points. With fewer than 20 recordings it is never
    offered.

    Raises
    ------
    SettingsRefused
        If the models tell other emotions apart, or no recording was tested with both.
    """
    difference = paired_difference(after, before)
    recordings = {recording_of.get(piece, piece) for piece in set(after.sha256) & set(before.sha256)}
    resampled = "speakers"
    if difference.speakers < FEWEST_SPEAKERS:
        resampled = "recordings, so that it says nothing of other voices"
        by_recording = (
            replace(tested, speakers=tuple(recording_of.get(piece, piece) for piece in tested.sha256))
            for tested in (after, before)
        )
        difference = replace(paired_difference(*by_recording), speakers=difference.speakers)
    gain, (low, high) = 100 * difference.gain, (100 * bound for bound in difference.interval)
    measured = (
        f"On {difference.recordings} held-out pieces of {len(recordings)} recordings by {difference.speakers} "
        f"speakers its UAR changed by {gain:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}, over {resampled})"
    )
    if len(recordings) < FEWEST_RECORDINGS:
        why = f"fewer than {FEWEST_RECORDINGS} recordings do not tell whether it is worse, so it is not offered"
        return Acceptance(False, difference, f"{measured}: {why}. Label more.")
    if difference.gain < -ROUNDING:
        return Acceptance(False, difference, f"{measured}: it got worse and is not offered as the new default.")
    if difference.interval[0] < -TOLERANCE - ROUNDING:
        why = f"it may be worse by more than {100 * TOLERANCE:.0f} points, so it is not offered"
        return Acceptance(False, difference, f"{measured}: {why}. Label more.")
    return Acceptance(True, difference, f"{measured}: it is not worse and may become the new default.")
