"""What is left to do after a deletion for good, whenever the program ended: sounds, corpora, and the rest in SQLite."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from ser_core.annotations.store.kept_sounds import FOLDER, forget_sound, kept_sha256
from ser_core.annotations.store.store import Store
from ser_core.annotations.store.trash import KEPT_FOR
from ser_core.annotations.teaching.teaching import TAUGHT, delete_taught
from ser_core.errors import AnnotationsRefused
from ser_core.work.atomic_folder import clear_half_written

#: Beside the sounds: which databases knew them.
DATABASES = ".databases"
AT_ONCE = 1_000


def finish_deletions(store: Store, data: Path, now: datetime | None = None) -> None:
    """Delete for good what has been in the trash for 30 days, and finish every deletion for good.

    The journal of the database says what is to be done and forgets it only when it is done, so that a program that was
    killed goes on where it ended. Sounds that no recording is known of, as older versions left them, go after 30 days.

    Raises
    ------
    AnnotationsRefused
        If something cannot be deleted; the next call tries again.
    """
    now = now or datetime.now(UTC)
    store.empty_trash(now)
    _note_orphans(store, data, now)
    failed: dict[str, OSError] = {}

    def delete_sound(sha256: str) -> None:
        try:
            forget_sound(sha256, data)
            delete_taught(sha256, data / TAUGHT)
        except OSError as reason:  # which keeps none of the others
            failed[sha256] = reason

    for folder in (FOLDER, TAUGHT):
        clear_half_written(data / folder)
    done = store.delete_sounds(now, delete_sound) - failed.keys()
    if done:
        store.overwrite_deleted()
        store.finished(done)
    for reason in failed.values():
        raise AnnotationsRefused(
            f"{reason.filename or data} cannot be deleted ({reason.strerror}). Check its rights; "
            "it is tried again at the next start."
        )


def _note_orphans(store: Store, data: Path, now: datetime) -> None:
    """Note sounds without a recording, where no other database may know them."""
    if (data / FOLDER).is_dir() and _is_only_database(store, data / FOLDER):
        kept = kept_sha256(data)
        for start in range(0, len(kept), AT_ONCE):
            store.note_sounds(kept[start : start + AT_ONCE], now + KEPT_FOR)


def _is_only_database(store: Store, folder: Path) -> bool:
    """Whether no other database has ever been opened beside these sounds; this one is noted."""
    noted, own = folder / DATABASES, hashlib.sha256(store.place.encode()).hexdigest()
    try:
        if noted.is_symlink() or (noted.exists() and not noted.is_file()):
            return False
        known = set(noted.read_text().split()) if noted.exists() else set()
        if own not in known:
            with noted.open("a") as file:
                file.write(f"{own}\n")
    except OSError:  # of a folder that only may be read nothing could be deleted anyhow
        return False
    return known <= {own}
