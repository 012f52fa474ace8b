"""Read any other data from a manifest: a CSV file with one row per recording.

The file is UTF-8 and comma-separated, with a header. It needs the columns

- `path`: of the audio, relative to the folder of the manifest, which must contain it;
- `emotion`: a name of `ser_core.analysis.emotions`, or a common synonym such as `anger`;
- `speaker`: a name that is unique within the corpus;

and may have

- `text`: the sentence, or a name for it (without it, shared sentences are unknown);
- `corpus`: lower-case letters, digits and `_`, if one manifest holds several (default: the name given for it);
- `language`;
- `gender`.

Other columns are ignored. `batch` needs only `path`, and with `--voice speaker` also `speaker`: it judges each speaker
by the normal of all their rows, and reads every recording twice. For example:

    path,emotion,speaker,text,language
    anna/001.wav,anger,anna,s1,Korean

The corpora of Kim and Kwak 2024 (Appl. Sci. 14(4), 1553) are not public; if you have them, list them in manifests with
these names:

- `csu2021`: Korean, 100 people, 4 emotions (angry, happy, neutral, sad) x 10 lines, and one synthetic voice with 80;
- `csu2022`: Korean, 200 people, 8 emotions (those four, fear, surprise, disgust, chagrin) x 10 lines;
- `aihub`: Korean, AI-Hub's emotional speech, 10 351 clips, 7 emotions (the same without chagrin).
"""

import csv
import re
import textwrap
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ser_core.analysis.emotions import COLOURS, SYNONYMS
from ser_core.corpora.labelled import AUDIO_SUFFIXES, Corpus, LabelledRecording
from ser_core.errors import CorpusRefused

NEEDED = ("path", "emotion", "speaker")
MAX_BYTES, MAX_ROWS = 2**24, 200_000
WITHOUT_READER = ("csu2021", "csu2022", "aihub")
SIMPLE_WORD = re.compile(r"[a-z0-9_]+")
GENDERS = {"f": "female", "m": "male"}
Item = TypeVar("Item")


def read_manifest(name: str, file: Path) -> Corpus:
    """Read the recordings that a manifest lists.

    Rows that are left out are numbered as in a spreadsheet: the header is row 1.

    Raises
    ------
    CorpusRefused
        If the name is not a simple word, the file is not readable CSV, a needed column is missing, or no row is valid.
    """
    if not SIMPLE_WORD.fullmatch(name):
        raise CorpusRefused(f"'{name}' cannot name a corpus; use lower-case letters, digits and _ only.")
    recordings, left_out = _read(file, NEEDED, lambda row: _labelled(name, file.parent, row))
    return Corpus(name, tuple(recordings[path] for path in sorted(recordings)), left_out)


def read_unlabelled(file: Path, *, by_speaker: bool) -> tuple[dict[Path, str], tuple[tuple[Path, str], ...]]:
    """Read the files that a manifest lists, whose emotions need not be known.

    Parameters
    ----------
    by_speaker : bool
        Whether each needs a speaker.

    Returns
    -------
    speaker_of : dict of Path to str
        In order of paths. Speakers of the same name in different corpora differ; an unnamed one is empty.
    left_out : tuple of (Path, str)
        Rows, as for `read_manifest`.

    Raises
    ------
    CorpusRefused
        As for `read_manifest`.
    """
    needed = ("path", "speaker") if by_speaker else ("path",)
    speaker_of, left_out = _read(file, needed, lambda row: _unlabelled(file.parent, row, by_speaker=by_speaker))
    return {path: speaker_of[path] for path in sorted(speaker_of)}, left_out


def _read(
    file: Path, needed: tuple[str, ...], read_row: Callable[[dict[str, str]], tuple[Path, Item] | str]
) -> tuple[dict[Path, Item], tuple[tuple[Path, str], ...]]:
    """Return what `read_row` makes of each row, by path, and the rows that are left out."""
    header, rows = _read_rows(file, needed)
    items: dict[Path, Item] = {}
    row_of: dict[Path, int] = {}
    left_out = []
    for number, cells in rows:
        row = dict(zip(header, cells, strict=False))
        if len(cells) > len(header):
            found = f"{len(cells)} cells for {len(header)} columns; put quotes around cells with commas"
        else:
            found = read_row(row)
        reason = found if isinstance(found, str) else None
        if reason is None:
            path, item = found
            if path in items:
                reason = f"the same file as row {row_of[path]}"
            else:
                items[path], row_of[path] = item, number
        if reason is not None:
            left_out.append((Path(row.get("path", "")), f"row {number}: {reason}"))
    if not items:
        raise CorpusRefused(
            f"None of the {len(left_out)} rows of {file} is a valid recording ({left_out[0][1]}). Correct the manifest."
            if left_out
            else f"None of the 0 rows of {file} is a valid recording. Correct the manifest."
        )
    return items, tuple(left_out)


def _read_rows(file: Path, needed: tuple[str, ...]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the names of the columns, and the numbered rows that are not blank."""
    try:
        if (size := file.stat().st_size) > MAX_BYTES:
            raise CorpusRefused(
                f"{file} has {size / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB are read. Split the manifest."
            )
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = [[cell.strip() for cell in cells] for cells in islice(csv.reader(lines), MAX_ROWS + 1)]
    except (OSError, ValueError, csv.Error) as error:
        raise CorpusRefused(f"{file} cannot be read as CSV in UTF-8 ({error}); give such a file.") from error
    if len(rows) > MAX_ROWS:
        raise CorpusRefused(f"{file} has more than {MAX_ROWS} rows. Split the manifest.")
    header = [cell.lower() for cell in rows[0]] if rows else []
    if any(header.count(column) != 1 for column in needed):
        columns = textwrap.shorten(", ".join(header), 200)
        found = f"the columns {columns}" if header else "no header"
        raise CorpusRefused(
            f"{file} has {found}; a manifest needs each of {', '.join(needed)} once. "
            "Write them, separated by commas, into its first row."
        )
    return header, [(number, cells) for number, cells in enumerate(rows, start=1) if number > 1 and any(cells)]


def _labelled(name: str, folder: Path, row: dict[str, str]) -> tuple[Path, LabelledRecording] | str:
    """Return the file of a row and its recording, or why it is left out."""
    word = row.get("emotion", "").lower()
    emotion = SYNONYMS.get(word, word)
    if emotion in ("boredom", "bored"):
        return "boredom, which no emotion set holds"
    if emotion not in COLOURS:
        return f"unknown emotion '{textwrap.shorten(word, 40)}'"
    found = _unlabelled(folder, row, by_speaker=True)
    if isinstance(found, str):
        return found
    path, _ = found
    gender = row.get("gender", "").lower()
    return path, LabelledRecording(
        path,
        row.get("corpus") or name,
        row["speaker"],
        emotion,
        row.get("text", ""),
        row.get("language") or "unknown",
        GENDERS.get(gender, gender) or None,
    )


def _unlabelled(folder: Path, row: dict[str, str], *, by_speaker: bool) -> tuple[Path, str] | str:
    """Return the file of a row and its speaker, or why it is left out."""
    speaker, corpus = row.get("speaker", ""), row.get("corpus", "")
    if by_speaker and not speaker:
        return "no speaker"
    if corpus and not SIMPLE_WORD.fullmatch(corpus):
        return f"the corpus '{textwrap.shorten(corpus, 40)}' is not lower-case letters, digits and _"
    path = _file_under(folder, row.get("path", ""))
    return path if isinstance(path, str) else (path, f"{corpus}:{speaker}" if speaker else "")


def _file_under(folder: Path, text: str) -> Path | str:
    """Return the audio file that a cell names, with links and `..` resolved, or why it is left out."""
    try:
        path = (folder / text).resolve()
        if not path.is_relative_to(folder.resolve()):
            return f"{text!r} is not under the manifest's folder"
        exists = path.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, a loop of links
        exists = False
    if not exists:
        return f"there is no file {text!r}"
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        return f"{text!r} is not audio of the kinds {', '.join(sorted(AUDIO_SUFFIXES))}"
    return path
