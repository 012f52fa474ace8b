"""From marks to a corpus that a model can be trained on: the sound of each mark, and two manifests."""

import csv
import re
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

from ser_core.analysis import Recording, Region, moved
from ser_core.annotations.annotation import AnnotatedRecording, Tier
from ser_core.annotations.teaching.pieces import TaughtPiece, pieces_of
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.audio.reading import read_recording
from ser_core.errors import AnnotationsRefused, AudioRefused, RecordingTooLong
from ser_core.work.atomic_folder import atomic_new_folder
from ser_core.work.progress import UNWATCHED, Work

#: The folder below the app's data in which it keeps these corpora.
TAUGHT = "taught"
TRAIN, HELD_OUT, SOUNDS = "train.csv", "held_out.csv", "sounds"
#: The corpus in a manifest's rows and, before the speaker, in the list of what a model was trained on.
CORPUS = "taught"
#: Suffix of a corpus that is being deleted.
DOOMED = ".doomed"

HELD_OUT_SHARE = 0.25

NO_SOUND = "its sound is missing"

SoundOf = Callable[..., Recording | None]
#: Name of the recording, and reason.
LeftOut = list[tuple[str, str]]


@dataclass(frozen=True)
class TaughtSound:
    """A piece that was written; its attributes are the columns of a manifest.

    Attributes
    ----------
    path : str
        Relative to the manifest.
    speaker : str
        `speaker_for` the recording where nobody knows who speaks.
    annotators : int
        How many voted, for this emotion or another.
    sha256, recording_sha256 : str
        Of the piece's own file, and of the recording it was cut from.
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


@dataclass(frozen=True)
class Teaching:
    """A corpus that was written to teach a model.

    Attributes
    ----------
    train : Path
        The manifest to train on.
    held_out : Path or None
        The manifest on which the models before and after are compared; None if there is too little for one.
    train_count, held_out_count : dict of str to int
        Pieces of each emotion.
    left_out : tuple of (name of the recording, reason)
    words : str
        How the recordings were divided.
    """

    train: Path
    held_out: Path | None
    train_count: dict[str, int]
    held_out_count: dict[str, int]
    left_out: tuple[tuple[str, str], ...]
    words: str

    def reasons(self) -> Counter[str]:
        """Count what was left out by reason."""
        return Counter(reason for _, reason in self.left_out)


def write_teaching(
    recordings: Sequence[AnnotatedRecording],
    sound_of: SoundOf,
    folder: Path,
    *,
    speakers: Mapping[str, str] | None = None,
    trained_on: Mapping[str, str] | None = None,
    tier: Tier | None = None,
    seed: int = 0,
    work: Work = UNWATCHED,
) -> Teaching:
    """Write labelled sound as 16-bit WAV files, with manifests that `train` and `evaluate` read.

    `pieces_to_teach` decides what is taught and `hold_out` what is held out.

    Parameters
    ----------
    sound_of : callable
        As `sounds_of` returns it: from a recording's SHA-256 to its sound, None if the sound is missing.
    folder : Path
        New or empty. It is filled once everything is written, or not at all.
    speakers : mapping of str to str, optional
        From SHA-256 to the speaker's name. A recording without one counts as a speaker of its own.
    trained_on : mapping of str to str, optional
        What the model was trained on before, as `ser_core.model.checkpoint.training_list` returns it.
    tier : Tier, optional
        A tier of labels that is taught instead of the marks of emotions.

    Raises
    ------
    AnnotationsRefused
        If nothing can be taught.
    WriteRefused
        If the folder is not empty, or cannot be written.
    Cancelled
    """
    with atomic_new_folder(folder) as half_written:
        (half_written / SOUNDS).mkdir()
        sounds, left_out = _write_sounds(recordings, sound_of, speakers or {}, half_written, tier, work)
        chosen, words = hold_out(sounds, trained_on or {}, seed)
        train = [sound for sound in sounds if sound.recording_sha256 not in chosen]
        held_out = [sound for sound in sounds if sound.recording_sha256 in chosen]
        _write_manifest(train, half_written / TRAIN)
        if held_out:
            _write_manifest(held_out, half_written / HELD_OUT)
    counts = (dict(sorted(Counter(sound.emotion for sound in part).items())) for part in (train, held_out))
    return Teaching(folder / TRAIN, folder / HELD_OUT if held_out else None, *counts, tuple(left_out), words)


def delete_taught(sha256: str, corpora: Path) -> None:
    """Delete the corpora in a folder that hold a piece of a recording; they can be made again without it.

    A corpus is renamed before it is deleted, so that a deletion that was interrupted is finished by the next call.
    """
    for piece in list(corpora.glob(f"*/{SOUNDS}/{sha256[:16]}-*.wav")):
        corpus = piece.parent.parent
        if corpus.is_dir() and corpus.suffix != DOOMED:
            corpus.replace(corpus.with_name(f".{corpus.name}-{uuid.uuid4().hex[:8]}{DOOMED}"))
    for doomed in list(corpora.glob(f"*{DOOMED}")):
        shutil.rmtree(doomed)


# --- what is held out ---


def speaker_for(recording_sha256: str) -> str:
    """Return the name of the speaker of a recording whose speaker is unknown."""
    return f"recording-{recording_sha256[:16]}"


def hold_out(sounds: Sequence[TaughtSound], trained_on: Mapping[str, str], seed: int) -> tuple[set[str], str]:
    """Return the SHA-256 of the recordings that are held out, and how they were chosen in words.

    About a quarter of the pieces of each emotion is held out, drawn at random: by whole speakers if possible, otherwise
    by whole recordings. What `trained_on` (SHA-256 to corpus:speaker) names is never held out.
    """
    speaker_of = {sound.recording_sha256: sound.speaker for sound in sounds}
    emotions = [sound.emotion for sound in sounds]
    known = {
        sound.recording_sha256 for sound in sounds if not {sound.sha256, sound.recording_sha256}.isdisjoint(trained_on)
    }
    voices = {speaker for speaker in speaker_of.values() if f"{CORPUS}:{speaker}" in trained_on.values()}
    voices |= {speaker_of[recording] for recording in known}
    chosen = _drawn([sound.speaker for sound in sounds], emotions, voices, seed)
    held_out = {recording for recording, speaker in speaker_of.items() if speaker in chosen}
    how = "no speaker is on both sides, as far as they are known"
    if not held_out:
        held_out = _drawn([sound.recording_sha256 for sound in sounds], emotions, known, seed)
        how = "their speakers are also learnt from, so they say nothing about other voices"
    if not held_out:
        return (
            set(),
            f"Nothing is held out: the {len(speaker_of)} recordings are too few, or the model was trained on them.",
        )
    unknown = sum(speaker == speaker_for(recording) for recording, speaker in speaker_of.items())
    return held_out, (
        f"{len(held_out)} of {len(speaker_of)} recordings are held out; {how} ({unknown} recordings name no speaker)."
    )


def _drawn(groups: Sequence[str], emotions: Sequence[str], never: set[str], seed: int) -> set[str]:
    """Take groups in random order, each only if that brings all emotions closer to the share wanted."""
    names, group_of = np.unique(groups, return_inverse=True)
    kinds, kind_of = np.unique(emotions, return_inverse=True)
    counts = np.zeros((len(names), len(kinds)))
    np.add.at(counts, (group_of, kind_of), 1)
    lacking = HELD_OUT_SHARE * counts.sum(axis=0)
    chosen = set()
    for group in np.random.default_rng(seed).permutation(len(names)):
        left = lacking - counts[group]
        if names[group] not in never and np.abs(left).sum() < np.abs(lacking).sum():
            chosen.add(str(names[group]))
            lacking = left
    return chosen


# --- what is written ---


def _write_sounds(
    recordings: Sequence[AnnotatedRecording],
    sound_of: SoundOf,
    speakers: Mapping[str, str],
    folder: Path,
    tier: Tier | None,
    work: Work,
) -> tuple[list[TaughtSound], LeftOut]:
    """Write all that can be taught; return it, and what cannot."""
    written: list[TaughtSound] = []
    left_out: LeftOut = []
    of_file = defaultdict(list)  # marks of several people may come as several documents about one file
    for number, recording in enumerate(recordings):
        of_file[recording.sha256 or f"unknown {number}"].append(recording)
    for done, (sha256, same) in enumerate(of_file.items()):
        work.check("Stopped; nothing was written.")
        work.report(done / len(of_file), f"Recording {done} of {len(of_file)}")
        marks = tuple(mark for recording in same for mark in recording.annotations)
        pieces, reasons = pieces_of(replace(same[0], annotations=marks), tier)
        speaker = speakers.get(sha256, "").strip() or speaker_for(sha256)
        whole = _sound(sha256, sound_of) if pieces else ""
        for number, piece in enumerate(pieces, start=1):
            # Of a recording of more than ten minutes, only what is marked is read.
            is_part = isinstance(whole, RecordingTooLong) and piece.region is not None
            sound = _sound(sha256, sound_of, piece.region) if is_part else whole
            is_there = isinstance(sound, Recording)
            found = _write_piece(piece, sound, sha256, speaker, number, folder) if is_there else sound
            if isinstance(found, TaughtSound):
                written.append(found)
            else:
                reasons.append(str(found))
        left_out += [(same[0].name, reason) for reason in reasons]
    if not written:
        raise AnnotationsRefused(_nothing_in_words(left_out))
    return written, left_out


def _sound(sha256: str, sound_of: SoundOf, *region: Region) -> Recording | RecordingTooLong | str:
    """Return a recording's sound, or that of a stretch around a region; or why it is missing."""
    # A SHA-256 may come from anybody's file, and here it becomes part of a file name.
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        return "its sound is found by its SHA-256, which is unknown"
    try:
        sound = sound_of(sha256, *region)
    except RecordingTooLong as refusal:
        return refusal
    except AudioRefused as refusal:
        return str(refusal)
    return NO_SOUND if sound is None or sha256 not in (sound.sha256, sound.part_of) else sound


def _write_piece(
    piece: TaughtPiece, sound: Recording, of_sha256: str, speaker: str, number: int, folder: Path
) -> TaughtSound | str:
    """Write a piece of a recording, from the sound of it or of a stretch of it, or return why it is refused."""
    region = piece.region or Region(0.0, sound.duration_s)
    # Without fades: the model sees frames, whose windows taper anyway.
    data = wav_bytes(region_samples(sound, moved(region, -sound.start_s), fade_s=0.0), sound.sample_rate_hz)
    try:
        sha256 = read_recording(data, f"{region.start_s:.2f} to {region.end_s:.2f} s").sha256
    except AudioRefused as refusal:
        return str(refusal)
    path = f"{SOUNDS}/{of_sha256[:16]}-{number:03d}.wav"
    (folder / path).write_bytes(data)
    times_s = round(region.start_s, 6), round(region.end_s, 6)
    return TaughtSound(path, piece.emotion, speaker, CORPUS, piece.annotators, *times_s, sha256, of_sha256)


def _write_manifest(sounds: Sequence[TaughtSound], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow([field.name for field in fields(TaughtSound)])
        rows.writerows(astuple(sound) for sound in sounds)


def _nothing_in_words(left_out: LeftOut) -> str:
    most = Counter(reason for _, reason in left_out).most_common(1)
    if not most:
        return "No label can be taught. Give recordings or regions an emotion, and set their marks to done."
    reason, times = most[0]
    return (
        f"No label can be taught. {times} times: {reason}. Give recordings or regions an emotion, and set their marks "
        "to done."
    )
