"""A database of EMU-SDMS: its configuration, the folders of its sessions and bundles, and their metadata.

Annotations do not name the speaker. A file `NAME.meta_json` of a bundle or a session can, or the configuration; that of
the bundle comes first, then that of the session, then the configuration.

References
----------
Winkelmann, "The EMU-SDMS Manual", chapter "The emuDB format"; the R package reindeer, "Metadata Management System", for
`meta_json`.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.formats import OTHERS
from ser_core.annotations.formats.content import json_bytes, json_of
from ser_core.annotations.formats.emu_write import MORE, bundle_of, levels_of
from ser_core.annotations.formats.format import sum_losses
from ser_core.annotations.formats.values import quoted
from ser_core.errors import AnnotationsRefused

CONFIGURATION, METADATA, SESSION = "_DBconfig.json", ".meta_json", "_ses"
#: The name of the only session of a database, as in EMU's own demonstration.
ONLY_SESSION = "0000"
WRITTEN_SPEAKER = "Speaker.ID"
#: Names of fields with the speaker, in lower case, letters only.
SPEAKER = {"speaker", "speakerid", "speakername", "participant", "participantid", "subject", "subjectid"}


# --- writing ---


def database_of(
    recordings: Sequence[AnnotatedRecording], bundles: Sequence[str], name: str, plain: bool = False
) -> tuple[dict[str, bytes], dict[str, str], list[str]]:
    """Return a configuration, and a bundle for each recording with its annotation, its sound and its speaker.

    Parameters
    ----------
    bundles : sequence of str
        A name for each recording, all different.

    Returns
    -------
    files : dict of bytes
        By path.
    sounds : dict of str
        Paths of WAV files, with the SHA-256 of their recordings.
    dropped : list of str
        What EMU cannot hold, in words with counts.
    """
    database = bundle_of(name)
    root = f"{database}_emuDB"
    levels = levels_of(recordings)
    files = {f"{root}/{database}{CONFIGURATION}": json_bytes(_configuration(database, levels, plain))}
    sounds, written = {}, []
    for bundle, recording in zip(bundles, recordings, strict=True):
        folder = f"{root}/{bundle_of(recording.session or ONLY_SESSION)}{SESSION}/{bundle}_bndl"
        written.append(OTHERS["emu"].write([replace(recording, name=f"{bundle}.wav")], plain=plain, levels=levels))
        files[f"{folder}/{bundle}_annot.json"] = written[-1].content
        if recording.speaker:
            files[f"{folder}/{bundle}{METADATA}"] = json_bytes([{WRITTEN_SPEAKER: recording.speaker}])
        if recording.sha256 is not None:
            sounds[f"{folder}/{bundle}.wav"] = recording.sha256
    return files, sounds, sum_losses(written)


def _configuration(database: str, levels: Mapping[str, str], plain: bool) -> dict[str, Any]:
    attributes = {level: [level] if plain else [level, level + MORE] for level in levels}
    perspective = {
        "name": "default",
        "signalCanvases": {"order": ["OSCI", "SPEC"], "assign": [], "contourLims": []},
        "levelCanvases": {"order": list(levels)},
        "twoDimCanvases": {"order": []},
    }
    return {
        "name": database,
        # The same marks give the same database.
        "UUID": str(uuid5(NAMESPACE_URL, f"hear-why/{database}/{sorted(levels)}")),
        "mediafileExtension": "wav",
        "ssffTrackDefinitions": [],
        "levelDefinitions": [
            {
                "name": level,
                "type": kind,
                "attributeDefinitions": [{"name": attribute, "type": "STRING"} for attribute in attributes[level]],
            }
            for level, kind in levels.items()
        ],
        "linkDefinitions": [],
        "EMUwebAppConfig": {
            "perspectives": [perspective],
            "activeButtons": {"saveBundle": True, "showHierarchy": True},
        },
    }


# --- reading ---


class Metadata:
    """Metadata of the sessions and bundles of a database, collected file by file."""

    def __init__(self) -> None:
        self._speakers: dict[str, str] = {}

    def add(self, path: str, content: bytes) -> tuple[str, ...]:
        """Add the metadata of a session or bundle, or the configuration; return in words which fields are not kept.

        Raises
        ------
        AnnotationsRefused
            If it is not an object, or a list of one.
        """
        found = json_of(content, path)
        if path.endswith(CONFIGURATION):
            found = found.get("metadataDefaults") if isinstance(found, dict) else None
            found = found or {}
        found = found[0] if isinstance(found, list) and len(found) == 1 else found or {}
        if not isinstance(found, dict):
            raise AnnotationsRefused(
                f"{path}: EMU metadata are a single JSON object, and this is not. Correct it, or leave it out."
            )
        lost: Counter[str] = Counter()
        for field, value in found.items():
            known = isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip()
            if known and re.sub("[^a-z]", "", field.lower()) in SPEAKER:
                self._speakers.setdefault(posixpath.dirname(path), str(value).strip())
            else:
                lost[field] += 1
        return tuple(f"the field {quoted(field)} of metadata" for field in lost)

    def of(self, path: str, recordings: Iterable[AnnotatedRecording]) -> tuple[AnnotatedRecording, ...]:
        """Return the recordings of an annotation at a path, with their session and speaker."""
        folder = posixpath.dirname(path)
        speaker = self._speakers.get(folder, "")
        while not speaker and folder:
            folder = posixpath.dirname(folder)
            speaker = self._speakers.get(folder, "")
        return tuple(replace(each, speaker=speaker, session=session_of(path)) for each in recordings)


def session_of(path: str) -> str:
    """Return the session of a file of a database; "" if it is in none, or in the only one.

    >>> session_of("my_emuDB/May_ses/take_bndl/take.wav"), session_of("my_emuDB/0000_ses/take_bndl/take.wav")
    ('May', '')
    """
    folders = posixpath.dirname(path).split("/")
    sessions = [folder.removesuffix(SESSION) for folder in folders if folder.endswith(SESSION)]
    return sessions[-1] if sessions and sessions[-1] != ONLY_SESSION else ""


def is_metadata(path: str, content: bytes) -> bool:
    """Whether a file contains metadata of a bundle, a session or a database."""
    is_configuration = path.endswith(CONFIGURATION) and b"levelDefinitions" in content
    return is_configuration or path.endswith(METADATA)
