"""The results folder of a batch: results/*.parquet, recordings.parquet, failures.csv, and batch.json about the run."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from ser_core.annotations.formats.table import in_cell
from ser_core.errors import BatchRefused
from ser_core.work.atomic_folder import atomic_write, read_regular

MAX_ABOUT_BYTES = 5_000_000
#: Keys of batch.json that must be the same in every run into a folder, and how a batch with another value differs.
FIXED_KEYS = {
    "place": "of other recordings",
    "model": "with another model",
    "settings": "with other settings",
    "voice": "with another setting of --voice",
}
REGIONS = pa.list_(pa.struct([(name, pa.float64()) for name in ("start_s", "end_s", "strength", "share")]))


def columns(emotions: tuple[str, ...], explained: tuple[str, ...], by_speaker: bool = False) -> pa.Schema:
    """Return the schema of the results, with focus regions of each explainer and the weight of speakers' normals."""
    return pa.schema(
        [
            ("sha256", pa.string()),
            ("path", pa.string()),
            ("duration_s", pa.float64()),
            ("sample_rate_hz", pa.int32()),
            ("emotion", pa.string()),
            *((f"p_{emotion}", pa.float64()) for emotion in emotions),
            ("verdict", pa.string()),
            ("warnings", pa.list_(pa.string())),
            *((f"focus_{method}", REGIONS) for method in explained),
            *((("voice_recordings", pa.int32()), ("voice_share", pa.float64())) if by_speaker else ()),
        ]
    )


class ResultsFolder:
    """The results folder during a run; a killed run leaves only complete files.

    Parameters
    ----------
    about : dict
        Content of batch.json; `FIXED_KEYS` must have the values of earlier runs into this folder.

    Attributes
    ----------
    done : dict of str to float
        SHA-256 to duration in seconds of the recordings in the results.

    Raises
    ------
    BatchRefused
        If the folder holds another batch or a damaged file, another run is writing to it, or it cannot be written.
    """

    def __init__(self, folder: Path, about: dict[str, Any], schema: pa.Schema) -> None:
        self.folder, self.about, self._schema = folder, about, schema
        self._parts = folder / "results"
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / ".lock", timeout=0)
            self._lock.acquire()
        except Timeout:
            raise BatchRefused(
                f"Another run is writing to {folder}. Wait until it ends, or give another --out."
            ) from None
        except OSError as reason:
            raise self._write_refusal(reason) from None
        try:
            self._refuse_another_batch()
            parts = sorted(self._parts.glob("*.parquet"))
            self.done = {sha256: duration_s for part in parts for sha256, duration_s in _read(part)}
            self._unused = (part for part in map(self._part, count(1)) if not part.exists())
            self.update_about()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._lock.release()

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Write rows as another part."""
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, self._schema), file)
        self._write(next(self._unused), file.getvalue())
        self.done |= {row["sha256"]: row["duration_s"] for row in rows}

    def list_voices(self, recordings_of: Mapping[str, Sequence[str]]) -> None:
        """Note which recordings give each speaker's own normal, by a hash of theirs, which names nobody.

        Raises
        ------
        BatchRefused
            If results of a speaker rest on other recordings.
        """
        hashes = {who: hashlib.sha256(" ".join(sorted(of)).encode()).hexdigest() for who, of in recordings_of.items()}
        before = self.about.get("voices")  # None in folders of earlier versions
        for speaker, found in hashes.items():
            if before is not None and found not in before and any(one in self.done for one in recordings_of[speaker]):
                raise BatchRefused(
                    f"{self.folder} holds results of {speaker} with another own normal, from other recordings than "
                    "now. Give another --out, or the same recordings as before."
                )
        self.update_about(voices=sorted({*(before or ()), *hashes.values()}))

    def list_files(self, files: list[tuple[str, str]]) -> None:
        """Write recordings.parquet: (path, SHA-256) of every file; identical files have one row in the results."""
        paths, hashes = zip(*files, strict=True) if files else ((), ())
        file = io.BytesIO()
        pq.write_table(pa.table({"path": pa.array(paths, pa.string()), "sha256": pa.array(hashes, pa.string())}), file)
        self._write(self.folder / "recordings.parquet", file.getvalue())

    def list_failures(self, failures: list[tuple[str, str, str]]) -> None:
        """Write failures.csv: path, SHA-256 (empty if the file cannot be read) and reason of each failure."""
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow(("path", "sha256", "reason"))
        table.writerows([in_cell(cell) for cell in row] for row in failures)
        self._write(self.folder / "failures.csv", text.getvalue().encode("utf-8-sig", errors="replace"))

    def update_about(self, **changes: Any) -> None:
        """Write batch.json with some changes."""
        self.about |= changes
        text = json.dumps(self.about, indent=2, ensure_ascii=False) + "\n"
        self._write(self.folder / "batch.json", text.encode(errors="replace"))

    def _part(self, number: int) -> Path:
        return self._parts / f"part-{number:06d}.parquet"

    def _refuse_another_batch(self) -> None:
        file = self.folder / "batch.json"
        if not file.exists():
            if any(self._parts.iterdir()):
                raise BatchRefused(f"{self.folder} holds results of an unknown batch. Give another --out.")
            return
        try:
            earlier = json.loads(read_regular(file, MAX_ABOUT_BYTES))
        except (OSError, ValueError, RecursionError):
            raise BatchRefused(f"{file}, which describes the results, cannot be read. Give another --out.") from None
        now = json.loads(json.dumps(self.about))
        for key, difference in FIXED_KEYS.items():
            before = earlier.get(key) if isinstance(earlier, dict) else None
            if before != now.get(key):
                raise BatchRefused(
                    f"{self.folder} holds a batch {difference}. Give another --out, or the same arguments as before."
                )
        if isinstance(voices := earlier.get("voices"), list):
            self.about["voices"] = voices

    def _write(self, file: Path, data: bytes) -> None:
        try:
            atomic_write(file, data)
        except OSError as reason:
            raise self._write_refusal(reason) from None

    def _write_refusal(self, reason: OSError) -> BatchRefused:
        return BatchRefused(
            f"{self.folder} cannot be written ({reason.strerror}). Free some space, or give another --out."
        )


def _read(part: Path) -> list[tuple[str, float]]:
    try:
        table = pq.read_table(part, columns=["sha256", "duration_s"])
    except (OSError, pa.ArrowException) as reason:
        raise BatchRefused(
            f"{part} is damaged ({str(reason).splitlines()[0]}). Delete it to analyse its recordings again."
        ) from None
    return list(zip(table["sha256"].to_pylist(), table["duration_s"].to_pylist(), strict=True))
