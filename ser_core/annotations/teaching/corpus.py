"""A training corpus made of marks: the sound of each mark, and two manifests."""

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
#: The name of the corpus in a manifest and, in front of the speaker, in a model's list of training data.
CORPUS = "taught"
#: Suffix of a corpus that is being deleted.
BEING_DELETED = ".doomed"

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
        The result of `speaker_for` if the speaker is unknown.
    annotators : int
        Number of people who voted, for this emotion or another.
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
class TaughtCorpus:
    """A corpus that was written to train a model further.

    Attributes
    ----------
    train : Path
        The manifest to train on.
    held_out : Path or None
        The manifest on which the models before and after are compared; None if there are too few recordings.
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
        """Count the labels that were left out by reason."""
        return Counter(reason for _, reason in self.left_out)


def write_taught_corpus(
    recordings: Sequence[AnnotatedRecording],
    sound_of: SoundOf,
    folder: Path,
    *,
    speakers: Mapping[str, str] | None = None,
    trained_on: Mapping[str, str] | None = None,
    tier: Tier | None = None,
    seed: int = 0,
    work: Work = UNWATCHED,
) -> TaughtCorpus:
    """Write labelled sound as 16-bit WAV files, with manifests that `train` and `evaluate` read.

    `pieces_to_teach` selects what is taught and `hold_out` what is held out.

    Parameters
    ----------
    sound_of : callable
        As `sounds_of` returns it: from a recording's SHA-256 to its sound, None if the sound is missing.
    folder : Path
        New or empty. It is filled once everything is written, or not at all.
    speakers : mapping of str to str, optional
        From SHA-256 to the speaker's name. A recording without one counts as a separate speaker.
    trained_on : mapping of str to str, optional
        The training data of the model before, as `ser_core.model.checkpoint.training_list` returns it.
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
    return TaughtCorpus(folder / TRAIN, folder / HELD_OUT if held_out else None, *counts, tuple(left_out), words)


def delete_taught(sha256: str, corpora: Path) -> None:
    """Delete the corpora in a folder that contain a piece of a recording; they can be made again without it.

    A corpus is renamed before it is deleted, so that the next call finishes an interrupted deletion.
    """
    for piece in list(corpora.glob(f"*/{SOUNDS}/{sha256[:16]}-*.wav")):
        corpus = piece.parent.parent
        if corpus.is_dir() and corpus.suffix != BEING_DELETED:
            corpus.replace(corpus.with_name(f".{corpus.name}-{uuid.uuid4().hex[:8]}{BEING_DELETED}"))
    for renamed in list(corpora.glob(f"*{BEING_DELETED}")):
        shutil.rmtree(renamed)


# --- held-out recordings ---


def speaker_for(recording_sha256: str) -> str:
    """Return the name of the speaker of a recording whose speaker is unknown."""
    return f"recording-{recording_sha256[:16]}"


def hold_out(sounds: Sequence[TaughtSound], trained_on: Mapping[str, str], seed: int) -> tuple[set[str], str]:
    """Return the SHA-256 of the held-out recordings and, in words, how they were chosen.

    About a quarter of the pieces of each emotion is held out, drawn at random: whole speakers if possible, otherwise
    whole recordings. Nothing in `trained_on` (SHA-256 to corpus:speaker) is held out.
    """
    speaker_of = {sound.recording_sha256: sound.speaker for sound in sounds}
    emotions = [sound.emotion for sound in sounds]
    seen = {
        sound.recording_sha256 for sound in sounds if not {sound.sha256, sound.recording_sha256}.isdisjoint(trained_on)
    }
    seen_speakers = {speaker for speaker in speaker_of.values() if f"{CORPUS}:{speaker}" in trained_on.values()}
    seen_speakers |= {speaker_of[recording] for recording in seen}
    chosen = _draw_groups([sound.speaker for sound in sounds], emotions, seen_speakers, seed)
    held_out = {recording for recording, speaker in speaker_of.items() if speaker in chosen}
    separation = "no speaker is on both sides, as far as they are known"
    if not held_out:
        held_out = _draw_groups([sound.recording_sha256 for sound in sounds], emotions, seen, seed)
        separation = "their speakers are also learnt from, so they say nothing about other voices"
    if not held_out:
        return (
            set(),
            f"Nothing is held out: the {len(speaker_of)} recordings are too few, or the model was trained on them.",
        )
    unknown = sum(speaker == speaker_for(recording) for recording, speaker in speaker_of.items())
    return held_out, (
        f"{len(held_out)} of {len(speaker_of)} recordings are held out; {separation} "
        f"({unknown} recordings name no speaker)."
    )


def _draw_groups(groups: Sequence[str], emotions: Sequence[str], excluded: set[str], seed: int) -> set[str]:
    """Take groups in random order, each only if the numbers of all emotions come closer to `HELD_OUT_SHARE`."""
    names, group_of = np.unique(groups, return_inverse=True)
    unique_emotions, emotion_of = np.unique(emotions, return_inverse=True)
    counts = np.zeros((len(names), len(unique_emotions)))
    np.add.at(counts, (group_of, emotion_of), 1)
    missing = HELD_OUT_SHARE * counts.sum(axis=0)
    chosen = set()
    for group in np.random.default_rng(seed).permutation(len(names)):
        still_missing = missing - counts[group]
        if names[group] not in excluded and np.abs(still_missing).sum() < np.abs(missing).sum():
            chosen.add(str(names[group]))
            missing = still_missing
    return chosen


# --- written files ---


def _write_sounds(
    recordings: Sequence[AnnotatedRecording],
    sound_of: SoundOf,
    speakers: Mapping[str, str],
    folder: Path,
    tier: Tier | None,
    work: Work,
) -> tuple[list[TaughtSound], LeftOut]:
    """Write all pieces that can be taught; return them, and the names and reasons of all others."""
    written: list[TaughtSound] = []
    left_out: LeftOut = []
    of_file = defaultdict(list)  # marks of several people may come as several documents about one file
    for number, recording in enumerate(recordings):
        of_file[recording.sha256 or f"unknown {number}"].append(recording)
    for done, (sha256, documents) in enumerate(of_file.items()):
        work.check("Stopped; nothing was written.")
        work.report(done / len(of_file), f"Recording {done} of {len(of_file)}")
        marks = tuple(mark for recording in documents for mark in recording.annotations)
        pieces, reasons = pieces_of(replace(documents[0], annotations=marks), tier)
        speaker = speakers.get(sha256, "").strip() or speaker_for(sha256)
        whole_sound = _sound(sha256, sound_of) if pieces else ""
        for number, piece in enumerate(pieces, start=1):
            # Of a recording of more than ten minutes, only the marked stretches are read.
            is_part = isinstance(whole_sound, RecordingTooLong) and piece.region is not None
            sound = _sound(sha256, sound_of, piece.region) if is_part else whole_sound
            has_sound = isinstance(sound, Recording)
            found = _write_piece(piece, sound, sha256, speaker, number, folder) if has_sound else sound
            if isinstance(found, TaughtSound):
                written.append(found)
            else:
                reasons.append(str(found))
        left_out += [(documents[0].name, reason) for reason in reasons]
    if not written:
        raise AnnotationsRefused(_nothing_in_words(left_out))
    return written, left_out


def _sound(sha256: str, sound_of: SoundOf, *region: Region) -> Recording | RecordingTooLong | str:
    """Return a recording's sound, or that of a stretch around a region, or the reason why it is missing."""
    # A SHA-256 may come from any imported file, and becomes part of a file name here.
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
    """Write a piece of a recording, cut from its sound or from a stretch of it, or return why it is refused."""
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
