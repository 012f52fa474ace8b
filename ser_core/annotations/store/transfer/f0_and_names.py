"""What an import takes over beside marks: corrected F0, and the names of participants, speakers and sessions."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.f0 import stored as f0
from ser_core.annotations.f0.corrections import CorrectedF0, F0Change
from ser_core.annotations.store import tiers
from ser_core.annotations.store.tables import recordings, valid_name


def take_f0(
    connection: Connection, documents: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> dict[int, F0Change]:
    """Take corrections of F0 over from documents, return the changes, and count frames.

    A correction here stays, unless the mode is "replace" and that of the file is newer.
    """
    corrected = {recording_id: document.f0.frames for recording_id, document in documents.items() if document.f0.frames}
    all_existing = f0.of_recordings(connection, list(corrected)) if corrected else {}
    changes = {}
    for recording_id, frames in corrected.items():
        existing = all_existing.get(recording_id, CorrectedF0())
        unchanged = {frame for frame, each in frames.items() if existing.hz.get(frame) == each.hz}
        after = {
            frame: each
            for frame, each in frames.items()
            if frame not in unchanged
            and (frame not in existing.frames or (mode != "add" and each.at > existing.frames[frame].at))
        }
        counts["f0_frames"] += len(after)
        counts["f0_left_out"] += len(frames) - len(after) - len(unchanged)
        if after:
            before = {frame: existing.frames[frame] for frame in after if frame in existing.frames}
            changes[recording_id] = F0Change(before, after)
            if mode != "show":
                f0.write(connection, recording_id, existing, changes[recording_id])
    return changes


def take_participants(
    connection: Connection, documents: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> None:
    """Take participants over from documents, and count tiers; those named here stay, unless the mode is "replace"."""
    in_files: dict[int, dict[str, str]] = {}
    for recording_id, document in documents.items():
        named = {tier.key: tier.participant for tier in document.tiers if tier.participant}
        if named:
            in_files[recording_id] = named
    columns = recordings.c.id, recordings.c.participants
    rows = connection.execute(select(*columns).where(recordings.c.id.in_(in_files)))
    for recording_id, existing in rows.all():
        different = {key: who for key, who in in_files[recording_id].items() if existing.get(key, who) != who}
        taken = {key: who for key, who in in_files[recording_id].items() if key not in existing}
        taken |= different if mode == "replace" else {}
        counts["participants"] += len(taken)
        counts["participants_left_out"] += len(different.keys() - taken.keys())
        if taken and mode != "show":
            tiers.write_participants(connection, recording_id, existing | taken)


def take_speakers_and_sessions(
    connection: Connection, documents: Mapping[int, AnnotatedRecording], mode: str, counts: Counter[str]
) -> None:
    """Take speakers and sessions over from documents; those named here stay, unless the mode is "replace"."""
    in_files: dict[int, dict[str, str]] = {}
    for recording_id, document in documents.items():
        named = {"speaker": document.speaker, "session": document.session}
        named = {field: valid_name(name, f"name of the {field}") for field, name in named.items() if name}
        if named:
            in_files[recording_id] = named
    columns = recordings.c.id, recordings.c.speaker, recordings.c.session
    for row in connection.execute(select(*columns).where(recordings.c.id.in_(in_files))).all():
        existing = {"speaker": row.speaker, "session": row.session}
        different = {field: name for field, name in in_files[row.id].items() if existing[field] != name}
        taken = {field: name for field, name in different.items() if mode == "replace" or existing[field] is None}
        counts["about"] += bool(taken)
        counts["about_left_out"] += len(taken) < len(different)
        if taken and mode != "show":
            connection.execute(update(recordings).where(recordings.c.id == row.id).values(taken))
