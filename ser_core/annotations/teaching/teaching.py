"""From marks to what a model can be trained on: pieces of sound, and manifests of those to learn from and held out."""

import csv
import re
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ser_core.analysis import Recording, Region
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.store.new_folder import filled_whole
from ser_core.annotations.teaching.held_out import CORPUS, TaughtSound, hold_out, speaker_for
from ser_core.annotations.teaching.taught_pieces import TaughtPiece, pieces_to_teach
from ser_core.audio.cutting import region_samples, wav_bytes
from ser_core.audio.reading import read_recording
from ser_core.emotions import EMOTION_SETS
from ser_core.errors import AnnotationsRefused, AudioRefused, ModelRefused
from ser_core.learning.plan import FROZEN
from ser_core.model.checkpoint import ARCHITECTURES, find_model, model_names, read_card
from ser_core.work.progress import UNWATCHED, Work

#: Where the app keeps such corpora, under its data folder.
TAUGHT = "taught"
TRAIN, HELD_OUT, SOUNDS = "train.csv", "held_out.csv", "sounds"
#: Ending of a corpus that is being deleted.
DOOMED = ".doomed"
NO_SOUND = "its sound is not at hand"

SoundOf = Callable[[str], Recording | None]
#: Recording's name, and reason.
LeftOut = list[tuple[str, str]]


@dataclass(frozen=True)
class Teaching:
    """What was written to teach a model.

    Attributes
    ----------
    train : Path
        The manifest of what to learn from.
    held_out : Path or None
        The manifest of what the models before and after are compared on; None where there is too little for one.
    train_count, held_out_count : dict of str to int
        Pieces of each emotion.
    left_out : tuple of (recording's name, reason)
    words : str
        How they were divided.
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
    heard: Mapping[str, str] | None = None,
    seed: int = 0,
    work: Work = UNWATCHED,
) -> Teaching:
    """Write what people labelled as WAV files of 16 bits, and the manifests that `train` and `evaluate` read.

    `taught_pieces` says what is taught, `held_out` what is held out.

    Parameters
    ----------
    sound_of : callable
        From the SHA-256 of a recording's file to its sound; None where that is not at hand.
    folder : Path
        New or empty; filled when all is written, or not at all.
    speakers : mapping of str to str, optional
        From SHA-256 to the speaker's name. A recording without one counts as a speaker of its own.
    heard : mapping of str to str, optional
        What the model to begin with has heard, as `ser_core.model.checkpoint.training_list` returns it.

    Raises
    ------
    AnnotationsRefused
        If nothing can be taught, or the folder is not empty.
    WriteRefused
        If the folder cannot be written.
    Cancelled
    """
    with filled_whole(folder) as half_written:
        (half_written / SOUNDS).mkdir()
        sounds, left_out = _write_sounds(recordings, sound_of, speakers or {}, half_written, work)
        chosen, words = hold_out(sounds, heard or {}, seed)
        train = [sound for sound in sounds if sound.recording_sha256 not in chosen]
        held_out = [sound for sound in sounds if sound.recording_sha256 in chosen]
        _write_manifest(train, half_written / TRAIN)
        if held_out:
            _write_manifest(held_out, half_written / HELD_OUT)
    counts = (dict(sorted(Counter(sound.emotion for sound in part).items())) for part in (train, held_out))
    return Teaching(folder / TRAIN, folder / HELD_OUT if held_out else None, *counts, tuple(left_out), words)


def delete_taught(sha256: str, corpora: Path) -> None:
    """Delete those of the corpora in a folder that hold a piece of a recording; they can be made anew without it.

    Under the ending that it gets first, a corpus is found again whose deletion was broken off.
    """
    for piece in list(corpora.glob(f"*/{SOUNDS}/{sha256[:16]}-*.wav")):
        corpus = piece.parent.parent
        if corpus.is_dir() and corpus.suffix != DOOMED:
            corpus.replace(corpus.with_name(f".{corpus.name}-{uuid.uuid4().hex[:8]}{DOOMED}"))
    for doomed in list(corpora.glob(f"*{DOOMED}")):
        shutil.rmtree(doomed)


def require_teachable(model: str) -> None:
    """Refuse a model that no training can go on from.

    Raises
    ------
    ModelRefused
        If it is an estimator or a network with a frozen body, which learn anew each time, or an ONNX file from
        elsewhere, or is not there.
    """
    architecture = read_card(find_model(model)).get("architecture")
    if architecture in FROZEN:
        raise ModelRefused(
            f"{Path(model).name} cannot go on learning: its last layer follows anew from what it is trained on, and "
            "would forget all else. Choose a network that learns in epochs, as fusion or yamnet."
        )
    if architecture not in ARCHITECTURES:
        raise ModelRefused(
            f"{Path(model).name} cannot go on learning: it is an estimator, which learns anew each time, or an ONNX "
            "file from elsewhere. Choose a network, as fusion or yamnet."
        )


def first_teachable() -> str:
    """Return the first shipped model that a training can go on from, the default where it is one.

    Raises
    ------
    ModelRefused
        If there is none.
    """
    for name in model_names():
        with suppress(ModelRefused):
            require_teachable(name)
            return name
    raise ModelRefused("No model here can go on learning. Train one of fusion, yamnet or vggish first.")


def training_arguments(teaching: Teaching, model: str, out: str) -> list[str]:
    """Return the arguments of the command `train` that goes on from a model with what is taught."""
    card = read_card(find_model(model))
    emotions = next((name for name, each in EMOTION_SETS.items() if each == tuple(card["emotions"])), "core4")
    kind = ["--network", card["architecture"], "--emotions", emotions]
    corpus = ["--corpus", f"{CORPUS}={teaching.train}"]
    return [*corpus, *kind, "--warm-start", model, "--split", "speaker", "--out", out]


def _write_sounds(
    recordings: Sequence[AnnotatedRecording],
    sound_of: SoundOf,
    speakers: Mapping[str, str],
    folder: Path,
    work: Work,
) -> tuple[list[TaughtSound], LeftOut]:
    """Write all that can be taught, and say what cannot."""
    written: list[TaughtSound] = []
    left_out: LeftOut = []
    of_file = defaultdict(list)  # what several people marked may come as several recordings of one file
    for number, recording in enumerate(recordings):
        of_file[recording.sha256 or f"unknown {number}"].append(recording)
    for done, (sha256, same) in enumerate(of_file.items()):
        work.check("Stopped; nothing was written.")
        work.report(done / len(of_file), f"Recording {done} of {len(of_file)}")
        pieces, reasons = pieces_to_teach([mark for recording in same for mark in recording.annotations])
        sound = _sound(sha256, sound_of) if pieces else ""
        if isinstance(sound, Recording):
            speaker = speakers.get(sha256, "").strip() or speaker_for(sha256)
            found = [
                _write_piece(piece, sound, speaker, number, folder) for number, piece in enumerate(pieces, start=1)
            ]
            written += [piece for piece in found if isinstance(piece, TaughtSound)]
            reasons += [refusal for refusal in found if isinstance(refusal, str)]
        else:
            reasons += [sound] * len(pieces)
        left_out += [(same[0].name, reason) for reason in reasons]
    if not written:
        raise AnnotationsRefused(_nothing_in_words(left_out))
    return written, left_out


def _sound(sha256: str, sound_of: SoundOf) -> Recording | str:
    """Return a recording's sound, or why there is none."""
    # A SHA-256 may come from anybody's file, and it becomes a file's name here.
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        return "its SHA-256 is not known, by which its sound is found"
    try:
        sound = sound_of(sha256)
    except AudioRefused as refusal:
        return str(refusal)
    return NO_SOUND if sound is None or sound.sha256 != sha256 else sound


def _write_piece(piece: TaughtPiece, sound: Recording, speaker: str, number: int, folder: Path) -> TaughtSound | str:
    """Write a piece, or return why it is refused."""
    region = piece.region or Region(0.0, sound.duration_s)
    # Without fades: the model hears frames, whose windows fade by themselves.
    data = wav_bytes(region_samples(sound, region, fade_s=0.0), sound.sample_rate_hz)
    try:
        sha256 = read_recording(data, f"{region.start_s:.2f} to {region.end_s:.2f} s").sha256
    except AudioRefused as refusal:
        return str(refusal)
    path = f"{SOUNDS}/{sound.sha256[:16]}-{number:03d}.wav"
    (folder / path).write_bytes(data)
    times_s = round(region.start_s, 6), round(region.end_s, 6)
    return TaughtSound(path, piece.emotion, speaker, CORPUS, piece.annotators, *times_s, sha256, sound.sha256)


def _write_manifest(sounds: Sequence[TaughtSound], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow([field.name for field in fields(TaughtSound)])
        rows.writerows(astuple(sound) for sound in sounds)


def _nothing_in_words(left_out: LeftOut) -> str:
    most = Counter(reason for _, reason in left_out).most_common(1)
    why = f" {most[0][1]} times: {most[0][0]}." if most else ""
    return f"No label can be taught.{why} Give recordings or regions an emotion, and set their marks to done."
