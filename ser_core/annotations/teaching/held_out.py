"""Which taught recordings are held out, to compare the models before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: What stands before the speaker in a model's list of what it has heard.
CORPUS = "taught"
HELD_OUT_SHARE = 0.25


@dataclass(frozen=True)
class TaughtSound:
    """A piece of sound that was written; its attributes are the columns of a manifest.

    Attributes
    ----------
    path : str
        Relative to the manifest.
    annotators : int
        How many voted for its emotion, or against it.
    sha256, recording_sha256 : str
        Of the piece's own file, and of the file that it was cut from.
    """

    path: str
    emotion: str
    speaker: str
    corpus: str
    annotators: int
    start_s: float
    end_s: float
    sha256: str
    recording_sha256: str


def speaker_for(recording_sha256: str) -> str:
    """Return the name of a speaker of whom only the one recording is known."""
    return f"recording-{recording_sha256[:16]}"


def hold_out(sounds: Sequence[TaughtSound], heard: Mapping[str, str], seed: int) -> tuple[set[str], str]:
    """Return the recordings that are held out, by SHA-256, and how they were chosen in words.

    About a quarter of the pieces of each emotion is held out, in an order of chance: by whole speakers if that is
    possible, else by whole recordings. What `heard` (SHA-256 to corpus:speaker) names is not held out.
    """
    speaker_of = {sound.recording_sha256: sound.speaker for sound in sounds}
    emotions = [sound.emotion for sound in sounds]
    known = {sound.recording_sha256 for sound in sounds if not {sound.sha256, sound.recording_sha256}.isdisjoint(heard)}
    voices = {speaker for speaker in speaker_of.values() if f"{CORPUS}:{speaker}" in heard.values()}
    voices |= {speaker_of[recording] for recording in known}
    chosen = _chosen([sound.speaker for sound in sounds], emotions, voices, seed)
    held_out = {recording for recording, speaker in speaker_of.items() if speaker in chosen}
    how = "no speaker is on both sides, as far as they are known"
    if not held_out:
        held_out = _chosen([sound.recording_sha256 for sound in sounds], emotions, known, seed)
        how = "their speakers are also learnt from, so that they say nothing of other voices"
    if not held_out:
        return set(), f"Nothing is held out: the {len(speaker_of)} recordings are too few, or were heard before."
    unknown = sum(speaker == speaker_for(recording) for recording, speaker in speaker_of.items())
    return held_out, (
        f"{len(held_out)} of {len(speaker_of)} recordings are held out; {how} ({unknown} recordings name no speaker)."
    )


def _chosen(groups: Sequence[str], emotions: Sequence[str], never: set[str], seed: int) -> set[str]:
    """Take groups in an order of chance, each if that brings all emotions nearer to the share that is wanted."""
    names, group_of = np.unique(groups, return_inverse=True)
    kinds, kind_of = np.unique(emotions, return_inverse=True)
    counts = np.zeros((len(names), len(kinds)))
    np.add.at(counts, (group_of, kind_of), 1)
    lacking = HELD_OUT_SHARE * counts.sum(axis=0)
    chosen = set()
    for place in np.random.default_rng(seed).permutation(len(names)):
        left = lacking - counts[place]
        if names[place] not in never and np.abs(left).sum() < np.abs(lacking).sum():
            chosen.add(str(names[place]))
            lacking = left
    return chosen
