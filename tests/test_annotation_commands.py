"""The commands of `annotations`: what they print, write and refuse, and that refusals leave nothing behind."""

import csv
import getpass
import hashlib
import json
import os
import re
import shutil
import sys
from contextlib import closing
from dataclasses import asdict, replace

import numpy as np
import pytest
import soundfile

from ser_core.analysis import Point, Region
from ser_core.annotations.agreement import human_agreement as people_and_explainers
from ser_core.annotations.agreement.agreement import annotator_agreement
from ser_core.annotations.annotation import GOLD, RECORDING_TIER, Annotation, Tier
from ser_core.annotations.formats import FORMATS, read_annotations
from ser_core.annotations.store.database import default_url
from ser_core.annotations.store.marks import content_of
from ser_core.annotations.store.transactions import open_store
from ser_core.audio.reading import read_recording
from ser_core.commands import main
from ser_core.commands.annotations import agreement as annotation_agreement
from ser_core.commands.annotations import exporting
from ser_core.commands.annotations import teaching as annotation_teaching
from ser_core.commands.annotations.exporting import EXPORT_FORMATS
from ser_core.commands.annotations.project import login_name
from ser_core.errors import AudioRefused
from ser_core.learning.predictions import Predictions
from ser_core.model.checkpoint import save_model
from ser_core.model.networks.yamnet import YAMNet
from ser_core.settings import FrontEnd
from tests.databases import make_tables
from tests.tiny_networks import EMOTIONS, TinyNetwork, classifier_of, everything_kept, fresh, noise_recording

RATE, SECONDS = 16_000, 1.2345


def run(*arguments):
    """Run a command of `annotations`."""
    return main(["annotations", *map(str, arguments)])


def refusal_of(capsys, *arguments):
    """Run a command that is refused and return the one line that it prints."""
    assert run(*arguments) == 2
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert not output.out
    assert line.endswith(".")
    return line


def sound(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise_recording(SECONDS, seed).samples, RATE)
    return path


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def mark(start_s=0.25, end_s=0.75, annotator="Ann", emotion="angry", **others):
    return Annotation(Region(start_s, end_s), annotator=annotator, emotion=emotion, **others)


def whole_label(annotator, emotion, **others):
    return mark(0.0, SECONDS, annotator, emotion, tier=RECORDING_TIER, **others)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """An empty folder of data."""
    monkeypatch.setenv("SER_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("SER_DATABASE_URL", raising=False)
    return tmp_path / "data"


@pytest.fixture
def store(data):
    """The store that the commands open too."""
    data.mkdir()
    make_tables(default_url(data))
    with closing(open_store(default_url(data))) as opened:
        yield opened


@pytest.fixture
def sounds(tmp_path):
    """Three sounds in a folder."""
    return [sound(tmp_path / "sounds" / f"take {number}.wav", number) for number in range(3)]


@pytest.fixture
def project(store, sounds, capsys):
    """A project `Voices` of the three sounds, two of them with marks."""
    assert run("add", "--project", "Voices", sounds[0].parent) == 0
    capsys.readouterr()
    (made,) = store.projects.page().items
    first, second, _ = map(sha256_of, sounds)
    store.marks.edit(made.id, first, "Ann", add=[mark(), mark(0.5, 1.0, emotion="sad", note="so; [loud]")])
    store.marks.edit(
        made.id, first, "Ben", add=[whole_label("Ben", "happy", intensity=4, confidence=0.5, status="done")]
    )
    store.marks.edit(made.id, second, "Ann", add=[whole_label("Ann", "sad")])
    return made.id


def mark_with_frequencies():
    return Annotation(Region(0.125, 0.5, 300.0, 3_000.5), annotator="Ben", emotion="bored")


def mark_contents(store, project):
    """Return all marks of a project, without fields that only a store sets."""
    return {
        (document.name, document.sha256): [content_of(found) for found in document.annotations]
        for document in store.transfer.export(project)
    }


def names_of(store):
    return [found.name for found in store.projects.page().items]


# --- adding recordings ---


def test_recordings_are_added_with_hash_length_rate_and_path(store, sounds, capsys):
    (sounds[1].parent / "notes.wav").write_text("this is not sound")
    assert run("add", "--project", "Voices", sounds[0], sounds[0].parent) == 2
    out, err = capsys.readouterr()
    assert out == "3 recordings added, 1 already known, 1 refused.\n"
    (line,) = err.splitlines()
    assert line.startswith("notes.wav: this is not readable audio")
    (made,) = store.projects.page().items
    found = [recording.file for recording in store.recordings.page(made.id).items]
    assert [asdict(file) for file in found] == [
        {
            "sha256": sha256_of(path),
            "name": path.name,
            "duration_s": SECONDS,
            "sample_rate_hz": RATE,
            "path": str(path),
            "speaker": None,
            "session": None,
        }
        for path in sounds
    ]


def test_a_moved_recording_is_recognised_by_its_content_and_its_marks_stay(store, project, sounds, capsys):
    before = mark_contents(store, project)
    moved = shutil.move(sounds[0], sounds[0].parent.parent / "moved.wav")
    assert run("add", moved) == 0
    assert capsys.readouterr().out == "0 recordings added, 1 already known, 0 refused.\n"
    found = {recording.file.name: recording.file.path for recording in store.recordings.page(project).items}
    assert found["moved.wav"] == str(moved)
    assert sorted(map(str, mark_contents(store, project).values())) == sorted(map(str, before.values()))


def test_no_project_is_made_if_all_files_are_refused(store, tmp_path, capsys):
    assert run("add", "--project", "Voices", tmp_path / "missing.wav") == 2
    assert "missing.wav: there is no such file" in capsys.readouterr().err
    assert names_of(store) == []
    (tmp_path / "empty").mkdir()
    assert "There is no audio in what was given" in refusal_of(capsys, "add", "--project", "Voices", tmp_path / "empty")


def test_a_file_whose_name_is_not_text_is_added_without_its_path(store, tmp_path, capsys):
    named = os.fsencode(tmp_path / "take") + b"\xff.wav"
    try:
        os.rename(sound(tmp_path / "a.wav"), named)
    except OSError:
        pytest.skip("this file system takes no such names")
    assert run("add", "--project", "Voices", os.fsdecode(named)) == 0
    (made,) = store.projects.page().items
    (found,) = store.recordings.page(made.id).items
    assert (found.file.name, found.file.path) == ("take\ufffd.wav", None)


# --- which project ---


def test_without_a_name_the_only_project_is_used_and_several_are_refused(store, project, capsys):
    assert run("history") == 0
    capsys.readouterr()
    store.projects.create("Other\x1b[2J")
    assert refusal_of(capsys, "history") == (
        "There are 2 projects; choose one with --project: Other\N{REPLACEMENT CHARACTER}[2J, Voices."
    )
    line = refusal_of(capsys, "history", "--project", "Voice")
    assert line.startswith("There is no project 'Voice'; choose one with --project: Other")
    assert run("history", "--project", " Voices ") == 0


@pytest.mark.parametrize(
    "command", [["export", "--format", "csv", "--out", "x"], ["agreement"], ["history"], ["teach", "--out", "x"]]
)
def test_without_a_project_every_command_says_how_to_make_one(command, store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if command[0] == "teach":
        command = [*command, "--model", str(small_model(tmp_path))]
    assert "There is no project yet; create one with `annotations add" in refusal_of(capsys, *command)
    assert names_of(store) == []
    assert not (tmp_path / "x").exists()


def test_another_database_is_another_set_of_projects(store, project, sounds, tmp_path, capsys):
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    assert run("add", "--project", "There", "--database", url, sounds[0]) == 0
    capsys.readouterr()
    assert names_of(store) == ["Voices"]
    with closing(open_store(url)) as there:
        assert names_of(there) == ["There"]
    assert "names no database" in refusal_of(capsys, "history", "--database", "nonsense")


# --- export and import ---

#: All but RTTM, which contains only who speaks when.
MARKS_OF_ALL_TIERS = [key for key in EXPORT_FORMATS if key != "rttm"]


@pytest.mark.parametrize("file_format", [key for key in MARKS_OF_ALL_TIERS if key != "emu"])
def test_an_export_is_imported_into_another_database_unchanged(file_format, store, project, sounds, tmp_path, capsys):
    store.marks.edit(project, sha256_of(sounds[1]), "Ben", add=[mark_with_frequencies()])
    assert run("export", "--format", file_format, "--out", tmp_path / "out") == 0
    capsys.readouterr()
    there = ["--project", "There", "--audio", sounds[0].parent, "--annotator", "Cid"]
    assert run("import", *there, *sorted((tmp_path / "out").iterdir())) == 0
    assert "5 marks added, 0 already known, 0 left out." in capsys.readouterr().out
    other = next(found.id for found in store.projects.page().items if found.name == "There")
    marked = {key: marks for key, marks in mark_contents(store, project).items() if marks}
    assert {key: marks for key, marks in mark_contents(store, other).items() if marks} == marked
    places = {found.file.sha256: found.file.path for found in store.recordings.page(other).items}
    assert all(places[sha256_of(path)] == str(path) for path in sounds[:2])
    # In the original project nothing is new.
    assert run("import", "--project", "Voices", "--annotator", "Cid", *sorted((tmp_path / "out").iterdir())) == 0
    assert "0 marks added, 5 already known, 0 left out." in capsys.readouterr().out


@pytest.mark.parametrize("file_format", [key for key in MARKS_OF_ALL_TIERS if key != "emu"])
def test_each_recording_is_exported_to_its_own_file_or_all_to_one(file_format, project, tmp_path, capsys):
    assert run("export", "--format", file_format, "--out", tmp_path / "out") == 0
    found, ending = EXPORT_FORMATS[file_format], EXPORT_FORMATS[file_format].endings[0]
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    named = {"audacity": ["take 0", "take 1"], "textgrid": ["take 0", "take 1", "take 2"]}
    named |= dict.fromkeys(("elan", "vtt", "raven"), named["textgrid"]) | {"srt": named["audacity"]}
    beside = ["config.xml"] if file_format == "label_studio" else []
    assert files == [f"{stem}{ending}" for stem in named.get(file_format, ["annotations"])] + beside
    assert capsys.readouterr().out.startswith(f"{len(files)} file{'s' * (len(files) > 1)} in {tmp_path / 'out'}.\n")
    for path in (tmp_path / "out").iterdir():
        if path.name in beside:
            continue
        assert read_annotations(path.read_bytes(), path.name) == found.read(path.read_bytes(), path.name)


def test_marks_are_written_into_an_existing_file_which_is_replaced_only_on_request(project, tmp_path, capsys):
    theirs = tmp_path / "take 0.TextGrid"
    theirs.write_text(f'"ooTextFile" "TextGrid" 0 {SECONDS} <exists> 1 "IntervalTier" "words" 0 {SECONDS} 1 0 1 "so"')
    before = theirs.read_bytes()
    assert "Name a new file with --out" in refusal_of(capsys, "export", "--into", theirs)
    assert "keeps its format" in refusal_of(capsys, "export", "--into", theirs, "--format", "csv", "--overwrite")
    assert "already there" in refusal_of(capsys, "export", "--into", theirs, "--out", theirs)
    assert run("export", "--into", theirs, "--out", tmp_path / "new.TextGrid") == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0].endswith("new.TextGrid: written, with marks of 'take 0.wav'.")
    assert output[1].startswith("Added to it: 'Ann/emotion'")
    assert theirs.read_bytes() == before
    assert run("export", "--into", theirs, "--overwrite") == 0
    assert "take 0.TextGrid: replaced" in capsys.readouterr().out
    assert theirs.read_bytes() == (tmp_path / "new.TextGrid").read_bytes() != before
    assert run("import", "--project", "Voices", "--dry-run", theirs) == 0
    assert "1 mark would be added; 3 already known" in capsys.readouterr().out


def test_an_export_needs_a_format_and_a_folder(project, tmp_path, capsys):
    assert "--format" in refusal_of(capsys, "export", "--out", tmp_path / "out")
    assert "--overwrite" in refusal_of(capsys, "export", "--format", "csv", "--out", tmp_path / "out", "--overwrite")


def test_an_emu_database_contains_the_sounds_that_are_available(project, sounds, tmp_path, capsys):
    sounds[1].unlink()
    assert run("export", "--format", "emu", "--out", tmp_path / "out") == 0
    assert "Without a sound: 1 recording whose sound is missing." in capsys.readouterr().out
    files = sorted(
        path.relative_to(tmp_path / "out" / "Voices_emuDB").as_posix() for path in (tmp_path / "out").rglob("*.*")
    )
    bundles = [f"0000_ses/take_{number}_bndl/take_{number}" for number in range(3)]
    annotations, written = ([f"{bundle}{ending}" for bundle in bundles] for ending in ("_annot.json", ".wav"))
    assert files == sorted(["Voices_DBconfig.json", *annotations, written[0], written[2]])
    wav = tmp_path / "out" / "Voices_emuDB" / written[0]
    rate = json.loads((tmp_path / "out" / "Voices_emuDB" / annotations[0]).read_bytes())["sampleRate"]
    assert soundfile.info(wav).samplerate == rate
    assert run("import", "--project", "Voices", "--annotator", "Cid", tmp_path / "out") == 0
    assert "0 marks added, 4 already known, 0 left out." in capsys.readouterr().out


def test_losses_of_a_format_are_reported_once_for_all_files(project, tmp_path, capsys):
    assert run("export", "--format", "audacity", "--out", tmp_path / "out") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "Not in a file of Audacity labels: the name of the recording, in 3 files.",
        "Not in a file of Audacity labels: the SHA-256 of the recording, in 3 files.",
        "Not in a file of Audacity labels: the length of the recording, in 3 files.",
        "Not in a file of Audacity labels: the sample rate of the recording, in 3 files.",
        "Not in a file of Audacity labels: the time of change of 4 marks.",
        "Without a file: 1 recording without marks.",
    ]


def test_only_the_marks_of_one_annotator_are_exported(project, tmp_path, capsys):
    assert run("export", "--format", "json", "--out", tmp_path / "ben", "--annotator", "Ben") == 0
    read = FORMATS["own"].read((tmp_path / "ben" / "annotations.json").read_bytes(), "here")
    assert [found.annotator for recording in read.recordings for found in recording.annotations] == ["Ben"]
    capsys.readouterr()
    line = refusal_of(capsys, "export", "--format", "json", "--out", tmp_path / "cid", "--annotator", "Cid")
    assert line.startswith("The project has no marks of Cid; nothing was written")
    assert not (tmp_path / "cid").exists()


def test_gold_marks_are_exported_alone_unless_everybody_is_requested(store, project, sounds, tmp_path, capsys):
    store.marks.edit(project, sha256_of(sounds[0]), "Ben", add=[whole_label(GOLD, "angry", status="done")])
    for name, options, wanted in (("gold", [], {GOLD, "Ann"}), ("all", ["--everybody"], {GOLD, "Ann", "Ben"})):
        assert run("export", "--format", "csv", "--out", tmp_path / name, *options) == 0
        assert ("Only the gold layer of 1 recording" in capsys.readouterr().out) is not bool(options)
        (table,) = (tmp_path / name).iterdir()
        with table.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert {row["annotator"] for row in rows} == wanted
    theirs = tmp_path / "take 0.TextGrid"
    theirs.write_text(f'"ooTextFile" "TextGrid" 0 {SECONDS} <exists> 1 "IntervalTier" "words" 0 {SECONDS} 1 0 1 "so"')
    for name, options, has_others in (("gold", [], False), ("all", ["--everybody"], True)):
        assert run("export", "--into", theirs, "--out", tmp_path / f"{name}.TextGrid", *options) == 0
        out = capsys.readouterr().out
        assert "'gold/recording'" in out
        assert ("Only the gold layer" in out, "'Ann/emotion'" in out) == (not has_others, has_others)


def test_the_owner_gives_roles_and_assigns_recordings(store, project, capsys):
    assert run("people", "--role", "Ann=annotator", "--role", "Ben=reviewer") == 0
    assert "Ben  reviewer  0 assigned, 0 done, 0 sent back" in capsys.readouterr().out
    assert run("assign", "--to", "Ann", "--to", "Ben", "--overlap", "1", "--seed", "4") == 0
    out = capsys.readouterr().out
    assert "take 0.wav  Ann, Ben" in out
    assert "3 recordings assigned: 1 person each, 100 % by 2 people, seed 4." in out
    assert "gives no role; write NAME=ROLE" in refusal_of(capsys, "people", "--role", "Ann")
    assert "Only the project's owner" in refusal_of(capsys, "assign", "--to", "Ann", "--annotator", "Ben")
    assert "role 'king' is not known" in refusal_of(capsys, "people", "--role", "Ann=king")


def test_recordings_of_the_same_name_get_files_of_their_own_and_are_found_again(store, project, tmp_path, capsys):
    long = "a" * 90
    paths = [sound(tmp_path / "x" / name, 7 + place) for place, name in enumerate(("TAKE 0.wav", f"{long}.wav"))]
    paths.append(sound(tmp_path / "y" / f"{long}.wav", 9))
    assert run("add", *paths) == 0
    for place, path in enumerate(paths):
        store.marks.edit(project, sha256_of(path), "Ann", add=[mark(0, (1 + place) / 4)])
    assert run("export", "--format", "textgrid", "--out", tmp_path / "out") == 0
    files = sorted(path.name.casefold() for path in (tmp_path / "out").iterdir())
    assert len(set(files)) == 6
    assert f"take 0-{sha256_of(paths[0])[:8]}.textgrid" in files
    before = mark_contents(store, project)
    capsys.readouterr()
    assert run("import", "--annotator", "Cid", *(tmp_path / "out").iterdir()) == 0
    assert capsys.readouterr().out.startswith("6 recordings: 0 marks added, 7 already known")
    assert mark_contents(store, project) == before


def test_names_of_recordings_cannot_lead_out_of_the_folder(store, project, sounds, tmp_path):
    (document,) = (d for d in store.transfer.export(project) if d.name == "take 0.wav")
    names = ["../../evil.wav", "/etc/passwd", "..", "new\nline.wav", "c:\\x\\y.wav"]
    hostile = [replace(document, name=name, sha256=f"{n:064x}") for n, name in enumerate(names)]
    store.transfer.import_recordings(project, hostile, "Ann")
    assert run("export", "--format", "elan", "--out", tmp_path / "deep" / "out") == 0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    assert len(list((tmp_path / "deep" / "out").iterdir())) == 8
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name and path.parent.name != "out"]


def test_every_recording_gets_its_own_file_whatever_its_name(store, project, sounds, tmp_path):
    (document,) = (d for d in store.transfer.export(project) if d.name == "take 0.wav")
    # Two whose names differ only in case, and a third with the name of one of their files.
    hostile = [("x.wav", "1" * 64), ("X.flac", "2" * 64), ("x-11111111.wav", "3" * 64)]
    store.transfer.import_recordings(
        project, [replace(document, name=name, sha256=sha) for name, sha in hostile], "Ann"
    )
    assert run("export", "--format", "elan", "--out", tmp_path / "out") == 0
    names = {file.stem for file in (tmp_path / "out").iterdir()}
    assert {"x-11111111", "X-22222222", "x-11111111-33333333"} < names
    assert len(names) == 3 + 3


def test_an_export_that_breaks_off_leaves_nothing(store, project, sounds, tmp_path, monkeypatch, capsys):
    written = exporting.export_recordings
    longer = {"y" * 300: b""}
    monkeypatch.setattr(
        exporting, "export_recordings", lambda *given: replace(written(*given), files=written(*given).files | longer)
    )
    line = refusal_of(capsys, "export", "--format", "elan", "--out", tmp_path / "new" / "out")
    assert "cannot be written (File name too long)" in line
    assert list((tmp_path / "new").iterdir()) == []


def test_marks_are_measured_into_a_new_file_and_marks_without_sound_are_counted(project, sounds, tmp_path, capsys):
    sounds[1].unlink()
    out = tmp_path / "deep" / "measures.csv"
    assert run("measure", "--out", out) == 0
    output = capsys.readouterr().out
    assert "4 marks" in output
    assert "1 recording " in output
    rows = list(csv.DictReader(out.read_text("utf-8-sig").splitlines()))
    assert [(row["recording_name"], bool(row["intensity_db"])) for row in rows] == [
        *[("take 0.wav", True)] * 3,
        ("take 1.wav", False),
    ]
    line = refusal_of(capsys, "measure", "--out", out)
    assert str(out) in line
    line = refusal_of(capsys, "measure", "--out", tmp_path / "new.csv", "--ceiling", "20")
    assert "20 Hz" in line
    assert not (tmp_path / "new.csv").exists()


def test_corrected_f0_is_exported_imported_elsewhere_and_listed_in_the_history(
    store, project, sounds, tmp_path, capsys
):
    line = refusal_of(capsys, "f0", "--out", tmp_path / "f0")
    assert "Nobody has corrected F0" in line
    shas = [queued.file.sha256 for queued in store.recordings.page(project).items]
    for sha256 in shas[:2]:
        store.marks.correct_f0(project, sha256, "Ann", {50: 123.5, 51: 0.0}, {})
    sounds[1].unlink()
    assert run("f0", "--out", tmp_path / "f0") == 0
    output = capsys.readouterr().out
    assert "F0 of 1 recording" in output
    assert "2 corrected frames" in output
    assert "Without F0: 1 recording" in output
    assert sorted(path.name for path in (tmp_path / "f0").iterdir()) == ["take 0-f0.csv", "take 0.PitchTier"]
    assert "number = 0.505 \n    value = 123.5 \n" in (tmp_path / "f0" / "take 0.PitchTier").read_text()
    assert run("export", "--format", "json", "--out", tmp_path / "json") == 0
    assert run("import", "--project", "Others", "--annotator", "Ben", tmp_path / "json") == 0
    assert "4 frames" in capsys.readouterr().out
    others = next(found.id for found in store.projects.page().items if found.name == "Others")
    assert [each.f0.people for each in store.transfer.export(others)][:2] == [{"Ann": 2}] * 2
    assert run("history", "--project", "Others") == 0
    assert "corrected F0 from 0.50 to 0.52 s, frames: 2" in capsys.readouterr().out


def test_an_export_leaves_a_folder_that_is_not_empty_alone(project, sounds, capsys):
    line = refusal_of(capsys, "export", "--format", "csv", "--out", sounds[0].parent)
    assert line == f"{sounds[0].parent} already exists and is not empty. Choose a new folder."
    assert sorted(sounds[0].parent.iterdir()) == sounds


# --- import ---

CSV = "recording_name,start_s,end_s,annotator,emotion\n"


def test_marks_without_an_annotator_become_the_importers(store, project, sounds, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.csv").write_text(f"{CSV}take 2.wav,0.1,0.2,,sad\n")
    monkeypatch.setattr(getpass, "getuser", lambda: "dora")
    assert run("import", tmp_path / "a.csv") == 0
    (tmp_path / "b.csv").write_text(f"{CSV}take 2.wav,0.3,0.4,,sad\ntake 2.wav,0.4,0.5,Ann,sad\n")
    assert run("import", "--annotator", "Eve", tmp_path / "b.csv") == 0
    found = store.marks.of(project, sha256_of(sounds[2]))
    assert [each.annotator for each in found] == ["dora", "Eve", "Ann"]

    def unknown():
        raise KeyError("uid 1000")

    monkeypatch.setattr(getpass, "getuser", unknown)
    capsys.readouterr()
    assert "with --annotator" in refusal_of(capsys, "import", tmp_path / "b.csv")


def test_importing_a_folder_uses_the_corrected_file_instead_of_the_old_one_and_says_so(
    store, project, sounds, tmp_path, capsys
):
    folder, sha256 = tmp_path / "marks", sha256_of(sounds[0])
    assert run("export", "--format", "elan", "--out", folder / "old") == 0
    assert run("export", "--format", "elan", "--out", folder / "new") == 0
    corrected = folder / "new" / "take 0.eaf"
    corrected.write_bytes(corrected.read_bytes().replace(b">angry<", b">neutral<"))
    capsys.readouterr()
    assert run("import", "--annotator", "Ann", "--replace", folder) == 0
    printed = capsys.readouterr().out
    assert "Not imported from old/take 0.eaf: 3 marks of 'take 0.wav', an older version" in printed
    assert "0 marks added" in printed
    assert [m.emotion for m in store.marks.of(project, sha256) if m.annotator == "Ann"] == ["neutral", "sad"]


def test_left_out_labels_and_losses_are_reported(store, project, tmp_path, capsys):
    rows = "take 1.wav,0,1.25,Ann,happy,recording,x\ntake 1.wav,0,1.25,Ben,sad,recording,y\n"
    (tmp_path / "a.csv").write_text(f"{CSV.strip()},tier,mood\n{rows}")
    assert run("import", "--annotator", "Cid", tmp_path / "a.csv") == 0
    counts, why, file, lost = capsys.readouterr().out.splitlines()
    assert counts == "1 recording: 1 mark added, 0 already known, 1 left out."
    assert "--replace" in why
    assert file == "a.csv: CSV, 1 tier ('recording' 2 labels), 2 marks read."
    assert lost == "Not imported from a.csv: the column 'mood'."


def test_a_corrected_file_is_previewed_and_then_replaces_the_existing_marks(store, project, tmp_path, capsys):
    assert run("export", "--format", "csv", "--out", tmp_path / "out") == 0
    corrected = tmp_path / "corrected.csv"
    corrected.write_bytes((tmp_path / "out" / "annotations.csv").read_bytes().replace(b",angry,", b",fear,"))
    before = mark_contents(store, project)
    capsys.readouterr()
    arguments = ["import", "--annotator", "Ann", "--json", tmp_path / "report.json", corrected]
    assert run(*arguments, "--dry-run") == 0
    assert mark_contents(store, project) == before
    shown = capsys.readouterr().out
    assert "Nothing was imported" in shown
    assert re.search("changed: Ann, emotion .*angry -> .*fear", shown)
    report = json.loads((tmp_path / "report.json").read_text())
    changed = report["counts"]["changed"]
    assert [each["after"]["emotion"] for each in report["differences"]] == ["fear"] * changed
    assert {"file": "corrected.csv", "format": "CSV"}.items() <= report["files"][0].items()
    assert run(*arguments) == 0
    assert f"0 marks added, {4 - changed} already known, {changed} left out" in capsys.readouterr().out
    assert mark_contents(store, project) == before
    assert run(*arguments, "--replace") == 0
    assert f"Also: {changed} changed, 0 moved, 0 deleted." in capsys.readouterr().out
    assert mark_contents(store, project) != before


def test_a_mark_changed_here_and_deleted_in_the_file_is_counted_as_a_conflict(store, project, tmp_path, capsys):
    assert run("export", "--format", "json", "--out", tmp_path / "out") == 0
    exported = json.loads((tmp_path / "out" / "annotations.json").read_text())
    (found,) = (one for one in exported["recordings"] if one["name"] == "take 1.wav")
    (there,) = (one for one in store.recordings.page(project).items if one.file.name == "take 1.wav")
    first = store.marks.of(project, there.file.sha256)[0]
    store.marks.edit(project, there.file.sha256, first.annotator, change=[replace(first, note="later")])
    found["annotations"] = [mark for mark in found["annotations"] if mark["key"] != first.key]
    (tmp_path / "edited.json").write_text(json.dumps(exported))
    capsys.readouterr()
    assert run("import", "--annotator", "Ann", "--dry-run", tmp_path / "edited.json") == 0
    assert "1 conflict left out" in capsys.readouterr().out


def test_a_report_that_cannot_be_written_does_not_hide_what_was_imported(store, project, tmp_path, capsys):
    (tmp_path / "a.csv").write_text(CSV)
    capsys.readouterr()
    assert run("import", "--annotator", "Ann", "--json", tmp_path / "a.csv" / "a.json", tmp_path / "a.csv") != 0
    assert "added" in capsys.readouterr().out


def test_marks_belong_to_the_given_sound_whatever_their_file_is_called(store, sounds, tmp_path, capsys):
    (tmp_path / "labels of Tuesday.txt").write_text("0.25\t0.75\tangry\n")
    assert "--audio FILE" in refusal_of(capsys, "import", "--project", "New", tmp_path / "labels of Tuesday.txt")
    assert (
        run(
            "import", "--project", "New", "--annotator", "Ann", "--audio", sounds[1], tmp_path / "labels of Tuesday.txt"
        )
        == 0
    )
    (made,) = store.projects.page().items
    assert mark_contents(store, made.id) == {("take 1.wav", sha256_of(sounds[1])): [content_of(mark())]}
    (found,) = store.recordings.page(made.id).items
    assert found.file.path == str(sounds[1])


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("take 9.txt", "0.25\t0.75\tangry\n", "take 9.txt: the project has no recording called 'take 9.txt'"),
        ("take 1.txt", "0.25\t1.75\tangry\n", "take 1.txt: Mark 1, in the tier 'emotion': The mark ends at 1.75 s"),
        ("take 1.txt", "0.25\t0.5\ta\n0.5\tsoon\tb\n", "take 1.txt, line 2: The end 'soon' is not a number"),
        ("take 1.txt", "", "take 1.txt: the file is empty"),
        ("take 1.txt", "nothing of the kind", "take 1.txt has no known format of marks"),
        ("take 1.txt", None, "take 1.txt: there is no such file"),
    ],
)
def test_one_refused_file_cancels_the_whole_import(name, content, match, store, project, sounds, tmp_path, capsys):
    good = tmp_path / "take 0.txt"
    good.write_text("0.25\t0.75\tsad\n")
    if content is not None:
        (tmp_path / name).write_text(content)
    before = mark_contents(store, project)
    assert match in refusal_of(capsys, "import", "--annotator", "Cid", good, tmp_path / name)
    assert mark_contents(store, project) == before
    new = ["--project", "New", "--audio", sounds[0].parent, "--annotator", "Cid"]
    assert match.partition(":")[0] in refusal_of(capsys, "import", *new, good, tmp_path / name)
    assert names_of(store) == ["Voices"]


def test_marks_of_another_sound_than_the_given_one_are_refused(store, project, sounds, tmp_path, capsys):
    assert run("export", "--format", "elan", "--out", tmp_path / "out") == 0
    capsys.readouterr()
    arguments = ["--annotator", "Cid", "--audio", sounds[1], tmp_path / "out" / "take 0.eaf"]
    assert refusal_of(capsys, "import", *arguments).startswith(
        "take 0.eaf: The marks belong to other audio, 'take 0.wav'"
    )
    arguments[3] = tmp_path / "gone"
    assert refusal_of(capsys, "import", *arguments) == "gone: there is no such file. Check the path."


# --- history ---


def test_history_lists_who_did_what_in_order_of_time(store, project, sounds, capsys):
    second, third = map(sha256_of, sounds[1:])
    (label,) = store.marks.of(project, second)
    store.marks.edit(project, second, "Ben", change=[replace(label, emotion="happy", status="done")])
    store.history.undo(project, second, "Ben")
    store.marks.edit(project, third, "Ann\x1b]0;x", add=[mark(0, 0.5, annotator="", emotion=None)])
    assert run("history") == 0
    lines = capsys.readouterr().out.splitlines()
    times = [line[:19] for line in lines]
    assert times == sorted(times)
    assert all(line[19:25] == " UTC  " for line in lines)
    at_most = "take 1.wav  "
    assert [line[25:] for line in lines] == [
        "Ann  take 0.wav  added emotion 0.25 to 0.75 s, angry, open",
        "Ann  take 0.wav  added emotion 0.50 to 1.00 s, sad, open",
        "Ben  take 0.wav  added recording, happy, done",
        f"Ann  {at_most}added recording, sad, open",
        f"Ben  {at_most}changed recording, sad, open of Ann: emotion sad -> happy, status open -> done",
        f"Ben  {at_most}undo: changed recording, happy, done of Ann: emotion happy -> sad, status done -> open",
        "Ann\N{REPLACEMENT CHARACTER}]0;x  take 2.wav  added emotion 0.00 to 0.50 s, no emotion, open",
    ]
    for name in ("take 1.wav", second):
        assert run("history", "--recording", name) == 0
        assert capsys.readouterr().out.splitlines() == lines[3:6]
    line = refusal_of(capsys, "history", "--recording", "take")
    assert line == "The project has no recording 'take'; give its whole name or its SHA-256."


def test_reading_only_the_first_lines_of_output_causes_no_traceback(project, monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert run("history") == 0
    assert capsys.readouterr().err == ""


# --- agreement ---


def test_agreement_is_written_as_table_and_json_as_the_library_measures_it(store, project, sounds, tmp_path, capsys):
    first, second, _ = map(sha256_of, sounds)
    store.marks.edit(project, first, "Ben", add=[mark(0.25, 0.75, "Ben"), mark(0.9, 1.2, "Ben", "happy")])
    store.marks.edit(project, second, "Ben", add=[whole_label("Ben", "happy")])
    assert run("agreement", "--json", tmp_path / "a.json") == 0
    out = capsys.readouterr().out
    recordings = list(store.transfer.export(project))[:2]
    expected = annotator_agreement(recordings)
    found = json.loads((tmp_path / "a.json").read_text())
    assert list(found) == ["project", "recordings"]
    assert found["project"]["annotators"] == ["Ann", "Ben"]
    (pair,) = found["project"]["frames"]["pairs"]
    assert pair["cohen"]["value"] == pytest.approx(expected.frames.cohen["Ann", "Ben"].value)
    np.testing.assert_array_equal(pair["confusion"], expected.frames.confusion["Ann", "Ben"])
    (regions,) = found["project"]["regions"]
    # Two regions each, of which those from 0.25 to 0.75 s are the same, and those from 0.5 and 0.9 s are not.
    assert regions["detection_f1"] == {"value": 0.5, "interval": None, "recordings": 1, "reason": ""}
    assert [each["name"] for each in found["recordings"]] == ["take 0.wav", "take 1.wav"]
    own = annotator_agreement(recordings[:1])
    assert found["recordings"][0]["frames"]["alpha"]["value"] == pytest.approx(own.frames.alpha.value)
    assert out.startswith("2 recordings with marks, by Ann, Ben; 95 % intervals resample recordings.\n")
    assert "  F1 of regions         0.50, 1 recording, Ann, Ben\n" in out
    assert "  starts apart, ms      0, 1 recording, Ann, Ben\n" in out
    assert "-  (No two people rated the intensity of the same item)" in out
    rows = [line.split() for line in out.splitlines() if line.startswith("take")]
    assert rows[0][:3] + rows[0][4:5] == ["take", "0.wav", "-", "0.50"]
    assert float(rows[0][3]) == pytest.approx(own.frames.alpha.value, abs=0.005)
    assert rows[1] == ["take", "1.wav", "differ", "-", "-", "-"]


def test_agreement_with_the_gold_layer_is_printed_and_written_if_there_is_one(store, project, sounds, tmp_path, capsys):
    _, second, _ = map(sha256_of, sounds)
    store.marks.edit(project, second, "Ann", add=[whole_label(GOLD, "happy")])
    assert run("agreement", "--json", tmp_path / "a.json") == 0
    (label,) = [one for one in store.marks.of(project, second, "Ann") if one.tier == RECORDING_TIER]
    same = float(label.emotion == "happy")
    assert f"With the gold layer\n  same emotion          {same:.2f}, 1 recording, Ann\n" in capsys.readouterr().out
    written = json.loads((tmp_path / "a.json").read_text())["gold"]["Ann"]
    assert written["same_label"] == {"value": same, "interval": None, "recordings": 1, "reason": ""}


def test_pairs_of_people_without_a_common_recording_are_counted_in_one_line(store, project, sounds, capsys):
    first, _, third = map(sha256_of, sounds)
    store.marks.edit(project, first, "Ben", add=[mark(0.25, 0.75, "Ben")])
    store.marks.edit(project, third, "Eve", add=[mark(0.25, 0.75, "Eve")])
    assert run("agreement") == 0
    stretches = capsys.readouterr().out.partition("Marked stretches\n")[2].splitlines()
    assert stretches[0] == "  not compared          2 pairs (No recording was marked in time by both)"
    assert all(line.endswith("Ann, Ben") for line in stretches[1:6])


@pytest.mark.parametrize(("kind", "ben_s"), [("intervals", (0.25, 0.8)), ("points", (0.51, 0.51))])
def test_agreement_in_a_tier_compares_its_labels_instead_of_emotions(
    kind, ben_s, store, project, sounds, tmp_path, capsys
):
    tier = store.tiers.add(project, Tier("mood", "mood", kind, content="labels", labels=("high", "low")))
    ann_s = (0.25, 0.75) if kind == "intervals" else (0.5, 0.5)
    for name, (start_s, end_s), label in (("Ann", ann_s, "high"), ("Ben", ben_s, "low")):
        label_mark = replace(mark(), annotator=name, emotion=None, note=label, tier=tier.key)
        label_mark = replace(label_mark, region=Region(start_s, end_s) if end_s > start_s else Point(start_s, end_s))
        store.marks.edit(project, sha256_of(sounds[0]), name, add=[label_mark])
    assert run("agreement", "--tier", "mood", "--json", tmp_path / "a.json") == 0
    (found,) = json.loads((tmp_path / "a.json").read_text())["project"]["regions"]
    assert (found["detection_f1"]["value"], found["same_emotion"]["value"]) == (1.0, 0.0)
    out = capsys.readouterr().out
    assert "  same label            0.00, 1 recording, Ann, Ben\n" in out
    assert ("10, 1 recording, Ann, Ben" in out) == (kind == "points")
    assert "There is no tier of labels 'mod'; the project has mood." in refusal_of(capsys, "agreement", "--tier", "mod")
    if kind == "points":
        compared = ("agreement", "--tier", "mood", "--explainers", "lime")
        assert "There is no tier of labels of intervals 'mood'" in refusal_of(capsys, *compared)


def test_agreement_of_one_annotator_is_empty_and_of_none_is_refused(store, sounds, tmp_path, capsys):
    assert run("add", "--project", "Voices", *sounds) == 0
    capsys.readouterr()
    assert "The project has no marks to compare" in refusal_of(capsys, "agreement")
    (made,) = store.projects.page().items
    store.marks.edit(made.id, sha256_of(sounds[0]), "Ann", add=[mark()])
    assert run("agreement") == 0
    assert "Agreement needs two annotators" in capsys.readouterr().out
    (tmp_path / "no folder").write_text("in the way")
    assert run("agreement", "--json", tmp_path / "no folder" / "a.json") == 2
    assert f"{tmp_path / 'no folder' / 'a.json'} cannot be written" in capsys.readouterr().err


def test_people_are_compared_with_explainers_where_the_sound_is_still_the_same(
    store, project, sounds, tmp_path, monkeypatch, capsys
):
    classifier = classifier_of(fresh(TinyNetwork), front_end=everything_kept())
    monkeypatch.setattr(annotation_agreement, "load_model", lambda name: classifier)
    analysed = []

    def noted(sound, classifier, settings):
        analysed.append((sound.name, settings.emotion, settings.explain))
        return analyse(sound, classifier, replace(settings, lime=replace(settings.lime, masks=20)))

    analyse = people_and_explainers.analyse_recording
    monkeypatch.setattr(people_and_explainers, "analyse_recording", noted)
    for path in sounds[1:]:
        store.marks.edit(project, sha256_of(path), "Ann", add=[mark(emotion="bored"), mark(0.1, 0.3, emotion="sad")])
    sound(sounds[2], seed=99)
    arguments = ["--json", tmp_path / "a.json", "--explainers", "grad_cam,consensus", "--model", "any"]
    assert run("agreement", *arguments) == 0
    everything = ("grad_cam", "lime", "occlusion")
    assert analysed == [("take 0.wav", "angry", everything), ("take 1.wav", "sad", everything)]
    found = json.loads((tmp_path / "a.json").read_text())["explainers"]
    assert (found["model"], found["left_out"]) == ("small", 1)
    assert list(found["recordings"]) == [sha256_of(path) for path in sounds[:2]]
    assert list(found["project"]) == ["grad_cam", "consensus", "energy"]
    for method in found["project"]:
        values = [each["compared"][method]["roc_area"]["value"] for each in found["recordings"].values()]
        assert found["project"][method]["roc_area"]["value"]["value"] == pytest.approx(np.mean(values))
        assert found["project"][method]["roc_area"]["value"]["recordings"] == 2
    out = capsys.readouterr().out
    value = found["project"]["consensus"]["roc_area"]["value"]["value"]
    assert f"  consensus   roc_area   {value:.2f} (" in out
    assert (
        "Left out: 1 recording whose sound is missing, has changed, is over ten minutes or is not accepted by this "
        "model." in out
    )


def test_a_recording_that_the_model_cannot_analyse_does_not_stop_the_comparison(store, project, sounds, monkeypatch):
    def analysed(sound, classifier, settings):
        if sound.name == "take 0.wav":
            raise AudioRefused("take 0.wav lasts 61.0 s; this model hears at most 60 s.")
        return analyse(sound, classifier, settings)

    analyse = people_and_explainers.analyse_recording
    monkeypatch.setattr(people_and_explainers, "analyse_recording", analysed)
    for path in sounds:
        store.marks.edit(project, sha256_of(path), "Ann", add=[mark(0.1, 0.3, emotion="sad")])
    found = people_and_explainers.compare_with_explainers(
        list(store.transfer.export(project)),
        lambda sha256: read_recording({sha256_of(path): path for path in sounds}[sha256]),
        classifier_of(fresh(TinyNetwork), front_end=everything_kept()),
        ["grad_cam"],
    )
    assert (len(found.by_sha256), found.without_sound) == (len(sounds) - 1, 1)


def test_an_unknown_explainer_is_refused_and_the_known_ones_are_named(project, capsys):
    with pytest.raises(SystemExit) as end:
        run("agreement", "--explainers", "shap")
    assert end.value.code == 2
    assert (
        "'shap' is not a list of time_consensus, lime_time, one_pass, grad_cam, lime, occlusion, consensus"
        in capsys.readouterr().err
    )


# --- teaching ---


def small_model(folder, name="small", trained_on=(("0" * 64, "corpus:1"),)):
    """Write a model with random weights and return its folder."""
    card = {"architecture": "yamnet", "emotions": list(EMOTIONS), "front_end": asdict(FrontEnd()), "temperature": 1.0}
    save_model(folder / name, fresh(YAMNet), card | {"split": "none"}, list(trained_on), f"# {name}\n")
    return folder / name


@pytest.fixture
def labelled(store, tmp_path, capsys):
    """Sixteen sounds, of each emotion four, and one without a label."""
    paths = [sound(tmp_path / "taught sounds" / f"{number:02d}.wav", number) for number in range(17)]
    assert run("add", "--project", "Taught", *paths) == 0
    (made,) = store.projects.page().items
    for place, path in enumerate(paths[:16]):
        store.marks.edit(made.id, sha256_of(path), "Ann", add=[whole_label("Ann", EMOTIONS[place % 4], status="done")])
    store.marks.edit(made.id, sha256_of(paths[16]), "Ann", add=[whole_label("Ann", "sad")])
    capsys.readouterr()
    return paths


def test_a_corpus_is_written_and_the_printed_commands_train_and_compare(labelled, tmp_path, monkeypatch, capsys):
    model, out = small_model(tmp_path), tmp_path / "new corpus"
    assert run("teach", "--out", out, "--model", model) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "To learn from: angry 3, happy 3, neutral 3, sad 3.",
        "Held out: angry 1, happy 1, neutral 1, sad 1.",
    ]
    assert lines[2].startswith("4 of 16 recordings are held out; no speaker is on both sides")
    assert lines[3].startswith("Left out: 1 label, a mark that is still open. Set them to done")
    train, compare = lines[-2:]
    assert train == (
        f"    python -m ser_core train --corpus 'taught={out}/train.csv' --network yamnet --emotions core4 "
        f"--warm-start {model} --split speaker --out '{out}/model'"
    )
    assert compare == f"    python -m ser_core annotations taught {model} '{out}/model' --taught '{out}'"
    # As a shell would parse them, both are existing commands.
    plans = []

    def trained(plan, folder, *_, **__):
        plans.append((plan.corpora, plan.network, plan.emotions, plan.warm_start, plan.split))
        small_model(folder.parent, folder.name)

    monkeypatch.setattr("ser_core.commands.train.train_classifier", trained)
    assert main(annotation_teaching.shlex.split(train)[3:]) == 0
    assert plans == [({"taught": f"{out}/train.csv"}, "yamnet", EMOTIONS, str(model), "speaker")]
    assert main(annotation_teaching.shlex.split(compare)[3:]) == 0
    output = capsys.readouterr().out.splitlines()
    assert [line for line in output if "held-out" in line][:2] == [
        f"{m}, 4 held-out pieces" for m in (model, out / "model")
    ]
    assert "changed by +0.0 points" in output[-2]
    assert output[-1] == f"{out}/model should not become the default; keep {model}."


def test_speakers_are_named_where_they_are_known_and_stay_apart(labelled, store, tmp_path):
    for number in range(4):
        assert (
            run("add", "--project", "Taught", "--speaker", f"voice {number}", *labelled[4 * number : 4 * number + 4])
            == 0
        )
    assert run("add", "--project", "Taught", labelled[0]) == 0  # a speaker who is known stays
    assert run("teach", "--out", tmp_path / "corpus", "--model", small_model(tmp_path)) == 0
    speaker_of = {sha256_of(path): f"voice {number // 4}" for number, path in enumerate(labelled[:16])}
    found = []
    for manifest in ("train.csv", "held_out.csv"):
        with (tmp_path / "corpus" / manifest).open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert {row["recording_sha256"]: row["speaker"] for row in rows}.items() <= speaker_of.items()
        found.append({row["speaker"] for row in rows})
    assert found[0].isdisjoint(found[1])
    assert found[0] | found[1] == set(speaker_of.values())


def test_missing_sounds_are_named_and_found_in_another_folder(labelled, tmp_path, capsys):
    model = small_model(tmp_path)
    moved = shutil.move(labelled[0].parent, tmp_path / "elsewhere")
    assert "No label can be taught. 16 times: its sound is missing" in refusal_of(
        capsys, "teach", "--out", tmp_path / "new", "--model", model
    )
    assert not (tmp_path / "new").exists()
    missing = ["--audio", tmp_path / "nowhere"]
    assert refusal_of(capsys, "teach", "--out", tmp_path / "new", "--model", model, *missing) == (
        f"There is no folder {tmp_path / 'nowhere'}; give the one that holds the recordings."
    )
    assert run("teach", "--out", tmp_path / "new", "--model", model, "--audio", moved) == 0
    assert len(list((tmp_path / "new" / "sounds").iterdir())) == 16


def test_the_command_holds_out_no_recording_that_the_model_was_trained_on(labelled, tmp_path, capsys):
    trained_on = [(sha256_of(path), "corpus:1") for path in labelled]
    assert run("teach", "--out", tmp_path / "new", "--model", small_model(tmp_path, trained_on=trained_on)) == 0
    out = capsys.readouterr().out
    assert "Held out: nothing." in out
    assert "annotations taught" not in out


@pytest.mark.parametrize(("right", "offered"), [((30, 40), True), ((40, 30), False)])
def test_a_model_that_got_worse_should_not_become_the_default(right, offered, tmp_path, monkeypatch, capsys):
    def predictions(model, corpora, progress):
        assert corpora == {"taught": str(tmp_path / "held_out.csv")}
        labels = np.arange(40) % 4
        predicted = np.where(np.arange(40) < right[model == "after"], labels, (labels + 1) % 4)
        names = tuple(f"{n:064x}" for n in range(40))
        speakers = tuple(f"taught:{n}" for n in range(40))
        return Predictions(EMOTIONS, names, ("taught",) * 40, speakers, ("",) * 40, labels, np.eye(4)[predicted]), {}

    monkeypatch.setattr(annotation_teaching, "predict_corpora", predictions)
    (tmp_path / "held_out.csv").write_text("sha256,recording_sha256\n")
    assert run("taught", "before", "after", "--taught", tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    uar = {40: "100.0", 30: " 75.0"}
    for line, count in zip((lines[1], lines[4]), right, strict=True):
        assert line.startswith(f"taught                 UAR {uar[count]} %  (")
    assert ("may become the new default" in lines[6]) is offered
    assert lines[7:] == ([] if offered else ["after should not become the default; keep before."])


def test_comparing_without_the_held_out_recordings_is_refused_in_one_line(tmp_path, capsys):
    model = small_model(tmp_path)
    line = refusal_of(capsys, "taught", model, model, "--taught", tmp_path / "none")
    assert "held_out.csv" in line


# --- deleting ---


def test_a_deletion_is_announced_first_and_restored_by_its_number(store, project, sounds, capsys):
    sha256 = sha256_of(sounds[0])
    before = store.marks.of(project, sha256)
    deletion = ("delete", "--recording", sounds[0].name, "--annotator", login_name())
    assert run(*deletion) == 0
    output = capsys.readouterr().out
    assert "Voices: 2 marks of Ann, 1 mark of Ben" in output
    assert "Nothing was deleted" in output
    assert store.recordings.page(project).total == 3
    assert run(*deletion, "--yes") == 0
    assert store.recordings.page(project).total == 2
    capsys.readouterr()
    assert run("trash") == 0
    line = capsys.readouterr().out
    assert sounds[0].name in line
    assert run("restore", line.split()[0], "--annotator", login_name()) == 0
    assert store.marks.of(project, sha256) == before


def test_a_person_without_a_role_deletes_nothing_by_command_either(store, project, sounds, capsys):
    assert run("delete", "--annotator", "Mallory", "--yes") == 2
    assert "Mallory neither owns the project" in capsys.readouterr().err
    assert run("delete", "--annotator", "Mallory", "--recording", sounds[0].name, "--yes", "--for-good") == 2
    assert store.projects.page().total == 1
    assert store.trash.items() == []


def test_deletion_for_good_by_command_leaves_nothing_in_the_trash(store, project, capsys):
    assert run("delete", "--annotator", login_name(), "--yes", "--for-good") == 0
    assert store.projects.page().total == 0
    assert run("trash") == 0
    assert "The trash is empty" in capsys.readouterr().out


def test_a_recording_to_delete_must_be_named_exactly(project, capsys):
    assert "no recording 'nothing'" in refusal_of(capsys, "delete", "--recording", "nothing", "--annotator", "Ann")
    assert "no longer in the trash" in refusal_of(capsys, "restore", "77", "--annotator", "Ann")
