"""Whether a model that was taught may take the place of the one before: only where it is not worse."""

from dataclasses import dataclass, replace

from ser_core.learning.comparison import PairedDifference, paired_difference
from ser_core.learning.predictions import Predictions

FEWEST_RECORDINGS = 20
#: With fewer the interval resamples recordings, for so few speakers make none.
FEWEST_SPEAKERS = 5
#: How much worse, in UAR, the model may be at the lower end of the interval.
TOLERANCE = 0.05
ROUNDING = 1e-9


@dataclass(frozen=True)
class TaughtBetter:
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


def taught_better(before: Predictions, after: Predictions) -> TaughtBetter:
    """Compare the models before and after on the held-out recordings that neither has heard.

    The model after is offered if its UAR is not lower, and the lower end of the 95 % interval of the difference is not
    below minus 5 points. With fewer than 20 recordings it is never offered.

    Raises
    ------
    SettingsRefused
        If the models tell other emotions apart, or no recording was tested with both.
    """
    difference = paired_difference(after, before)
    resampled = "speakers"
    if difference.speakers < FEWEST_SPEAKERS:
        resampled = "recordings, so that it says nothing of other voices"
        difference = replace(
            paired_difference(replace(after, speakers=after.sha256), replace(before, speakers=before.sha256)),
            speakers=difference.speakers,
        )
    gain, (low, high) = 100 * difference.gain, (100 * bound for bound in difference.interval)
    measured = (
        f"On {difference.recordings} held-out recordings of {difference.speakers} speakers its UAR changed by "
        f"{gain:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}, over {resampled})"
    )
    if difference.recordings < FEWEST_RECORDINGS:
        why = f"fewer than {FEWEST_RECORDINGS} recordings do not tell whether it is worse, so it is not offered"
        return TaughtBetter(False, difference, f"{measured}: {why}. Label more.")
    if difference.gain < -ROUNDING:
        return TaughtBetter(False, difference, f"{measured}: it got worse and is not offered as the new default.")
    if difference.interval[0] < -TOLERANCE - ROUNDING:
        why = f"it may be worse by more than {100 * TOLERANCE:.0f} points, so it is not offered"
        return TaughtBetter(False, difference, f"{measured}: {why}. Label more.")
    return TaughtBetter(True, difference, f"{measured}: it is not worse and may become the new default.")
