"""Corrections of F0 in the database, with author and time; only who has seen the newest ones can change them."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, ScalarSelect, delete, select

from ser_core.annotations.f0.corrections import CorrectedF0, Correction, F0Change
from ser_core.annotations.formats.fields import f0_fields, f0_hz, f0_of
from ser_core.annotations.store.marks import insert_into
from ser_core.annotations.store.tables import f0_corrections
from ser_core.errors import AnnotationsOutdated, AnnotationsRefused
from ser_core.settings import F0Settings


def of_recording(recording_id: int) -> ScalarSelect:
    """Return the query for the fields of a recording, which `f0_of` takes."""
    return select(f0_corrections.c.f0).where(f0_corrections.c.recording_id == recording_id).scalar_subquery()


def corrections_of(connection: Connection, recording_id: int) -> CorrectedF0:
    """Return the corrections of a recording."""
    return of_recordings(connection, [recording_id]).get(recording_id, CorrectedF0())


def of_recordings(connection: Connection, ids: Collection[int]) -> dict[int, CorrectedF0]:
    """Return the corrections of recordings by id, without recordings that have none."""
    rows = connection.execute(select(f0_corrections).where(f0_corrections.c.recording_id.in_(ids)))
    return {row.recording_id: f0_of(row.f0) for row in rows}


def change_of(
    corrections: CorrectedF0,
    wanted_hz: Mapping[int, float | None],
    seen: Mapping[int, Correction],
    duration_s: float,
    by: str,
    at: datetime,
) -> F0Change:
    """Return the change of frames to new values of F0 (None: as measured) by somebody who saw these corrections.

    Raises
    ------
    AnnotationsOutdated
        If one of the frames is not as it was seen.
    AnnotationsRefused
        If nothing would change, a frame is not in the recording, or its F0 is not possible.
    """
    require_frames(wanted_hz, duration_s)
    expected = {frame: seen[frame] for frame in wanted_hz if frame in seen}
    after = {frame: Correction(f0_hz(hz), by, at) for frame, hz in wanted_hz.items() if hz is not None}
    _require_as_expected(corrections, wanted_hz, expected)
    before = {frame: corrections.frames[frame] for frame in wanted_hz if frame in corrections.frames}
    if not before and not after:
        raise AnnotationsRefused("F0 is as measured there already, so nothing was changed.")
    return F0Change(before, after)


def undo_or_redo(connection: Connection, recording_id: int, change: F0Change, kind: str) -> F0Change:
    """Undo or redo a change, and return the resulting change.

    Raises
    ------
    AnnotationsOutdated
        If somebody has corrected one of its frames since then.
    """
    corrections = corrections_of(connection, recording_id)
    expected, wanted = (change.after, change.before) if kind == "undo" else (change.before, change.after)
    _require_as_expected(corrections, change.frames, expected)
    turned = F0Change({frame: corrections.frames[frame] for frame in expected}, wanted)
    write(connection, recording_id, corrections, turned)
    return turned


def write(connection: Connection, recording_id: int, corrections: CorrectedF0, change: F0Change) -> None:
    """Write the corrections of a recording after a change."""
    frames = {frame: each for frame, each in corrections.frames.items() if frame not in change.before} | change.after
    if not frames:
        connection.execute(delete(f0_corrections).where(f0_corrections.c.recording_id == recording_id))
        return
    statement = insert_into(connection, f0_corrections)
    statement = statement.on_conflict_do_update(index_elements=["recording_id"], set_={"f0": statement.excluded.f0})
    connection.execute(statement, {"recording_id": recording_id, "f0": f0_fields(CorrectedF0(frames))})


def require_frames(frames: Collection[int], duration_s: float) -> None:
    """Refuse frames that are not in a recording."""
    first_s, last_s = (F0Settings().hop_s * found(frames, default=0) for found in (min, max))
    if first_s < 0 or last_s >= duration_s:
        raise AnnotationsRefused(
            f"F0 cannot be corrected at {last_s:.2f} s: the recording is {duration_s:g} s long. Load it again."
        )


def _require_as_expected(corrections: CorrectedF0, frames: Collection[int], expected: Mapping[int, Correction]) -> None:
    for frame in sorted(frames):
        found, wanted = corrections.frames.get(frame), expected.get(frame)
        if (found and found.hz) == (wanted and wanted.hz):
            continue
        time_s = (frame + 0.5) * F0Settings().hop_s
        if found is None:
            raise AnnotationsOutdated(
                f"Somebody has undone a correction of F0 at {time_s:.2f} s meanwhile. Nothing was overwritten: look at "
                "it, and repeat your change if you still want it."
            )
        raise AnnotationsOutdated(
            f"{found.by} corrected F0 at {time_s:.2f} s on {found.at:%Y-%m-%d at %H:%M:%S} UTC. Nothing was "
            "overwritten: look at it, and repeat your change if you still want it."
        )
