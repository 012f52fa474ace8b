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

Other columns are ignored. `batch --voice speaker` judges each speaker by the normal of all their rows, and reads every
recording twice. For example:

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
from itertools import islice
from pathlib import Path

from ser_core.analysis.emotions import COLOURS, SYNONYMS
from ser_core.corpora.labelled import AUDIO_SUFFIXES, Corpus, LabelledRecording
from ser_core.errors import CorpusRefused

NEEDED = ("path", "emotion", "speaker")
MAX_BYTES, MAX_ROWS = 2**24, 200_000
WITHOUT_READER = ("csu2021", "csu2022", "aihub")
SIMPLE_WORD = re.compile(r"[a-z0-9_]+")
GENDERS = {"f": "female", "m": "male"}


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
    header, rows = _read_rows(file)
    recordings: dict[Path, LabelledRecording] = {}
    row_of: dict[Path, int] = {}
    left_out = []
    for number, cells in rows:
        item = _read_row(name, file.parent, header, cells)
        if isinstance(item, LabelledRecording) and item.path in recordings:
            item = f"the same file as row {row_of[item.path]}"
        if isinstance(item, str):
            path = cells[header.index("path")] if len(cells) > header.index("path") else ""
            left_out.append((Path(path), f"row {number}: {item}"))
        else:
            recordings[item.path], row_of[item.path] = item, number
    if not recordings:
        raise CorpusRefused(
            f"None of the {len(left_out)} rows of {file} is a valid recording ({left_out[0][1]}). Correct the manifest."
            if left_out
            else f"None of the 0 rows of {file} is a valid recording. Correct the manifest."
        )
    return Corpus(name, tuple(recordings[path] for path in sorted(recordings)), tuple(left_out))


def _read_rows(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
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
    if any(header.count(column) != 1 for column in NEEDED):
        columns = textwrap.shorten(", ".join(header), 200)
        found = f"the columns {columns}" if header else "no header"
        raise CorpusRefused(
            f"{file} has {found}; a manifest needs each of {', '.join(NEEDED)} once. "
            "Write them, separated by commas, into its first row."
        )
    return header, [(number, cells) for number, cells in enumerate(rows, start=1) if number > 1 and any(cells)]


def _read_row(name: str, folder: Path, header: list[str], cells: list[str]) -> LabelledRecording | str:
    """Return the recording of a row, or why it is left out."""
    if len(cells) > len(header):
        return f"{len(cells)} cells for {len(header)} columns; put quotes around cells with commas"
    row = dict(zip(header, cells, strict=False))
    word = row.get("emotion", "").lower()
    emotion = SYNONYMS.get(word, word)
    corpus = row.get("corpus") or name
    if emotion in ("boredom", "bored"):
        return "boredom, which no emotion set holds"
    if emotion not in COLOURS:
        return f"unknown emotion '{textwrap.shorten(word, 40)}'"
    if not row.get("speaker"):
        return "no speaker"
    if not SIMPLE_WORD.fullmatch(corpus):
        return f"the corpus '{textwrap.shorten(corpus, 40)}' is not lower-case letters, digits and _"
    path = _file_under(folder, row.get("path", ""))
    if isinstance(path, str):
        return path
    gender = row.get("gender", "").lower()
    return LabelledRecording(
        path,
        corpus,
        row["speaker"],
        emotion,
        row.get("text", ""),
        row.get("language") or "unknown",
        GENDERS.get(gender, gender) or None,
    )


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
