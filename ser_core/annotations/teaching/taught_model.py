"""Models that can be trained further, and the test whether the result may replace the model before."""

import csv
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ser_core.analysis.emotions import EMOTION_SETS
from ser_core.annotations.teaching.corpus import CORPUS, TaughtCorpus, speaker_for
from ser_core.errors import ModelRefused
from ser_core.learning.metrics import PairedDifference, paired_difference
from ser_core.learning.plan import FROZEN
from ser_core.learning.predictions import Predictions
from ser_core.model.checkpoint import ARCHITECTURES, read_card
from ser_core.model.shipped_models import find_model, model_names

MIN_RECORDINGS = 20
#: With fewer speakers the interval resamples recordings: so few clusters give no interval.
MIN_SPEAKERS = 5
#: The accepted loss of UAR at the lower end of the interval.
TOLERANCE = 0.05
ROUNDING = 1e-9


def require_teachable(model: str) -> None:
    """Refuse a model that training cannot continue from.

    Raises
    ------
    ModelRefused
        If it is an estimator, which is fitted from scratch each time, or an ONNX file from elsewhere, or is not there.
    """
    if read_card(find_model(model)).get("architecture") not in ARCHITECTURES:
        raise ModelRefused(
            f"{Path(model).name} cannot be trained further: it is an estimator, which is fitted from scratch each "
            "time, or an ONNX file from elsewhere. Choose a network, such as whisper or fusion."
        )


def first_teachable() -> str:
    """Return the first shipped model that training can continue from, starting with the default.

    Raises
    ------
    ModelRefused
        If no shipped model can be trained further.
    """
    for name in model_names():
        with suppress(ModelRefused):
            require_teachable(name)
            return name
    raise ModelRefused("No model here can be trained further. Train one of whisper, fusion, yamnet or vggish first.")


def learns_in_epochs(model: str) -> bool:
    """Return whether a teachable model is trained in epochs; of others the last layer is fitted in one step."""
    return read_card(find_model(model))["architecture"] not in FROZEN


def training_arguments(teaching: TaughtCorpus, model: str, out: str) -> list[str]:
    """Return the arguments of the command `train` that continues from a model with a taught corpus."""
    card = read_card(find_model(model))
    emotions = next((name for name, each in EMOTION_SETS.items() if each == tuple(card["emotions"])), "core4")
    kind = ["--network", card["architecture"], "--emotions", emotions]
    corpus = ["--corpus", f"{CORPUS}={teaching.train}"]
    return [*corpus, *kind, "--warm-start", model, "--split", "speaker", "--out", out]


@dataclass(frozen=True)
class Acceptance:
    """The result of a taught model on held-out recordings.

    Attributes
    ----------
    offered : bool
        Whether the model may be offered as the new default.
    difference : PairedDifference
        UAR after minus UAR before; `speakers` is the number of named speakers.
    words : str
    """

    offered: bool
    difference: PairedDifference
    words: str


def recording_of_pieces(manifest: Path) -> dict[str, str]:
    """Return the SHA-256 of the recording of each piece of a taught corpus, by the SHA-256 of the piece."""
    with manifest.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        return {row["sha256"]: row["recording_sha256"] for row in rows if {"sha256", "recording_sha256"} <= row.keys()}


def acceptance_of(before: Predictions, after: Predictions, recording_of: Mapping[str, str]) -> Acceptance:
    """Compare the models before and after on held-out pieces of recordings that neither was trained on.

    The model after is offered if its UAR is not lower and the lower end of the 95 % interval of the difference is at
    least minus 5 points. With fewer than 20 recordings it is never offered. The interval resamples speakers or, with
    fewer than 5 named speakers, recordings.

    Parameters
    ----------
    recording_of : mapping of str to str
        The result of `recording_of_pieces`: pieces of one recording are not independent. A piece that is missing in it
        counts as a recording.

    Raises
    ------
    SettingsRefused
        If the models predict different emotions, or no recording was tested with both.
    """
    difference = paired_difference(after, before)
    both, pieces = set(before.sha256), zip(after.sha256, after.speakers, strict=True)
    speaker_of = {recording_of.get(piece, piece): speaker for piece, speaker in pieces if piece in both}
    nameless = {recording for recording, who in speaker_of.items() if who == f"{CORPUS}:{speaker_for(recording)}"}
    named_speakers = len({who for recording, who in speaker_of.items() if recording not in nameless})
    resampled = "over speakers"
    if named_speakers < MIN_SPEAKERS:
        resampled = "over recordings, so it says nothing about other voices"
        by_recording = (
            replace(tested, speakers=tuple(recording_of.get(piece, piece) for piece in tested.sha256))
            for tested in (after, before)
        )
        difference = paired_difference(*by_recording)
    elif nameless:
        resampled = "over speakers, each recording that names none counting as one"
    difference = replace(difference, speakers=named_speakers)
    measured = _in_words(difference, len(speaker_of), len(nameless), resampled)
    if len(speaker_of) < MIN_RECORDINGS:
        why = f"fewer than {MIN_RECORDINGS} recordings do not tell whether it is worse, so it is not offered"
        return Acceptance(False, difference, f"{measured}: {why}. Label more.")
    if difference.gain < -ROUNDING:
        return Acceptance(False, difference, f"{measured}: it got worse and is not offered as the new default.")
    if difference.interval[0] < -TOLERANCE - ROUNDING:
        why = f"it may be worse by more than {100 * TOLERANCE:.0f} points, so it is not offered"
        return Acceptance(False, difference, f"{measured}: {why}. Label more.")
    return Acceptance(True, difference, f"{measured}: it is not worse and may become the new default.")


def speakers_in_words(named_speakers: int) -> str:
    """Return, in words, what an interval will resample, given the number of named speakers in a corpus."""
    if named_speakers < MIN_SPEAKERS:
        return (
            f"Named speakers: {named_speakers}. With fewer than {MIN_SPEAKERS} held out, intervals resample "
            "recordings and say nothing about other voices. Say who speaks when you add recordings."
        )
    return (
        f"Named speakers: {named_speakers}. Each is either learnt from or held out; with {MIN_SPEAKERS} or more held "
        "out, intervals resample speakers."
    )


def _in_words(difference: PairedDifference, recordings: int, nameless: int, resampled: str) -> str:
    gain, (low, high) = 100 * difference.gain, (100 * bound for bound in difference.interval)
    if not difference.speakers:
        speakers = "that name no speaker"
    elif nameless:
        speakers = f"by {difference.speakers} speakers ({nameless} recordings name none)"
    else:
        speakers = f"by {difference.speakers} speakers"
    return (
        f"On {difference.recordings} held-out pieces of {recordings} recordings {speakers} "
        f"its UAR changed by {gain:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}, {resampled})"
    )
