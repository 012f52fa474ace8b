"""The views of the page Annotate that need no player: agreement, teaching, files, the queue; without a browser."""

import io
import json
import shutil
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import language as languages
from pages.shared.annotation.marking import details_section
from pages.shared.annotation.open_project import OpenProject
from pages.shared.annotation.people import review_section
from pages.shared.annotation.queue import filling_section
from pages.shared.annotation.teaching import teaching_section
from pages.shared.language.names import in_markdown
from pages.shared.recording.open_recordings import Held
from pages.shared.session import CHOICES
from ser_core.analysis import Point, Region
from ser_core.annotations.agreement.agreement import annotator_agreement
from ser_core.annotations.annotation import GOLD, RECORDING_TIER, Annotation, Assignment, Tier
from ser_core.annotations.assignment import AssignmentPlan
from ser_core.annotations.exchange.exporting import EXPORT_FORMATS, export_recordings
from ser_core.annotations.saved_sounds import save_sound, saved_sha256
from ser_core.annotations.store.database import FILE_NAME, default_url
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.store.work_queue import Queue
from ser_core.annotations.teaching.corpus import TAUGHT
from ser_core.annotations.teaching.taught_model import first_teachable
from ser_core.audio.reading import read_recording
from ser_core.errors import Cancelled
from ser_core.explanation import focus_methods_of
from ser_core.learning.predictions import Predictions
from ser_core.model.shipped_models import load_model, model_names
from ser_core.work.progress import UNWATCHED, Work
from tests.test_pages import at, finished, wav, words

EMOTIONS = ("angry", "happy", "neutral", "sad")

pytestmark = [
    pytest.mark.skipif(not model_names(), reason="no model is shipped in models/"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def voices(make_voice) -> list[bytes]:
    """Sixteen voices of 1.5 s as files."""
    return [wav(make_voice(1.5, 16_000, seed)) for seed in range(16)]


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("SER_DATABASE_URL", raising=False)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def filled(voices, tmp_path_factory):
    """A data folder: the voices in a project with ann's and bea's labels, and ann's mark in the first two."""
    data = tmp_path_factory.mktemp("filled")
    with closing(open_store(default_url(data))) as opened:
        project = opened.projects.create("Voices")
        for number, source in enumerate(voices):
            save_sound(source, data)
            recording = read_recording(source)
            file = RecordingFile(recording.sha256, f"take {number}.wav", recording.duration_s, 16_000)
            opened.recordings.add(project, [file])
            for who, emotion in (("ann", EMOTIONS[number % 4]), ("bea", EMOTIONS[number // 4])):
                label = Annotation(Region(0, 1.5), tier=RECORDING_TIER, emotion=emotion, status="done")
                opened.marks.edit(project, recording.sha256, who, add=[label])
            if number < 2:
                mark = Annotation(Region(0.2, 0.9), emotion=EMOTIONS[number], note="here")
                opened.marks.edit(project, recording.sha256, "ann", add=[mark])
    return data


@pytest.fixture
def store(data, filled):
    """The store in a copy of that folder."""
    shutil.copytree(filled, data)
    with closing(open_store(default_url(data))) as opened:
        yield opened


def opened_view(view: str, **choices):
    """Open a view as ann, and wait for its work."""
    from pages.shared.session import CHOICES

    app = at("pages/3_Annotate.py")
    app.session_state["notice_read"] = True
    app.session_state["choices"] = dict(CHOICES) | {"annotator": "ann", "annotate_view": view} | choices
    return app.run()


def button(app, label: str):
    return next(one for one in app.button if label in one.label)


def queue(app) -> list[dict[str, object]]:
    """Return the rows of the queue, by the titles of the columns."""
    (table,) = (one.proto for one in app.get("bidi_component") if one.proto.component_name == "hear_why_queue_en")
    data = json.loads(table.json)
    titles = [column["title"] for column in data["columns"]]
    return [dict(zip(titles, row["cells"], strict=True)) for row in data["rows"]]


# --- queue ---


def test_the_queue_lists_filters_and_counts(store):
    app = opened_view("Queue")
    assert not app.exception
    assert [row["Recording"] for row in queue(app)] == [f"take {number}.wav" for number in range(16)]
    assert list(queue(app)[0].values()) == ["take 0.wav", "1.5 s", "done", "2", "3"]
    app = opened_view("Queue", queue_text="TAKE 3")
    assert [row["Recording"] for row in queue(app)] == ["take 3.wav"]
    app = opened_view("Queue", queue_status="open")
    assert "No recording matches these filters" in words(app)


def test_the_queue_is_rated_by_disagreement_and_sorted_by_it(store):
    app = opened_view("Queue")
    app.radio[0].set_value("annotators_disagreement").run()
    button(app, "Rate all").click().run()
    app = finished(app)
    assert not app.exception
    app = opened_view("Queue", queue_order="annotators_disagreement")
    ratings = [row["Annotator disagreement"] for row in queue(app)]
    agree = [EMOTIONS[n % 4] == EMOTIONS[n // 4] for n in range(16)]
    assert ratings == sorted((0.0 if same else 1.0 for same in agree), reverse=True)


def test_the_queue_counts_finds_and_rates_the_marks_of_a_tier_of_labels(store):
    moods = {3: {"ann": "high", "bea": "high"}, 5: {"ann": "low", "bea": "high"}, 6: {"ann": "low"}}
    label_moods(store, moods)
    app = opened_view("Queue")
    next(one for one in app.selectbox if one.label == "Tier").set_value("mood").run()
    assert [(row["My marks"], row["All marks"]) for row in queue(app)[3:7]] == [
        ("1", "2"),
        ("0", "0"),
        ("1", "2"),
        ("1", "1"),
    ]
    assert "Computed from the labels in mood" in app.radio[0].proto.captions[2]
    app.radio[0].set_value("annotators_disagreement").run()
    button(app, "Rate all").click().run()
    app = finished(app)
    next(one for one in app.selectbox if one.label == "Order by").set_value("annotators_disagreement").run()
    rated = [(row["Recording"], row["Annotator disagreement in mood"]) for row in queue(app)[:3]]
    assert rated == [("take 5.wav", 1.0), ("take 3.wav", 0.0), ("take 15.wav", None)]
    next(one for one in app.selectbox if one.label == "Label").set_value("low").run()
    assert [row["Recording"] for row in queue(app)] == ["take 5.wav", "take 6.wav"]
    next(one for one in app.selectbox if one.label == "Tier").set_value("emotion").run()
    assert not app.exception
    assert len(queue(app)) == 16  # and no label is looked for any more


def test_columns_name_the_annotator_whose_status_and_marks_they_show(store):
    assert {"My status": "done", "My marks": "2", "All marks": "3"}.items() <= queue(opened_view("Queue"))[0].items()
    everybody = queue(opened_view("Queue", queue_whose="anybody"))[0]
    assert {"Furthest status": "done", "All marks": "3"}.items() <= everybody.items()
    assert "My marks" not in everybody


# --- marking ---


def test_values_of_removed_fields_from_a_browser_do_not_revert_an_undo(store, voices):
    (project,) = store.projects.page().items
    app = opened_view("Queue", annotate_view="Mark", beside=[])
    recording = read_recording(voices[5])
    app.session_state["held"] = {recording.sha256: Held(recording, voices[5])}
    app.session_state["current"] = recording.sha256
    app = finished(app.run())
    assert not app.exception
    assert next(one for one in app.selectbox if one.label == "Status").value == "done"
    last_seen = app._tree
    for field in (*app.selectbox, *app.button_group, *app.text_input):
        field.set_value(field.value)
    store.history.undo(project.id, recording.sha256, "ann")
    app.run()
    assert next(one for one in app.selectbox if one.label == "Status").value == "open"
    app._tree = last_seen
    app.run()
    assert store.history.page(project.id, recording.sha256).items[0].kind == "undo"
    assert next(one for one in app.selectbox if one.label == "Status").value == "open"


def test_fields_of_the_whole_recording_belong_to_the_current_annotator(store, voices):
    (project,) = store.projects.page().items
    app = opened_view("Queue", annotate_view="Mark", beside=[])
    recording = read_recording(voices[1])
    app.session_state["held"] = {recording.sha256: Held(recording, voices[1])}
    app.session_state["current"] = recording.sha256
    app = finished(app.run())
    labels = {label.annotator: label.emotion for label in store.marks.of(project.id, recording.sha256)}
    assert labels["ann"] != labels["bea"]
    emotion = next(one for one in app.main.selectbox if one.label == "Emotion")
    assert emotion.value == labels["ann"]
    emotion.set_value("").run()
    whole = [mark for mark in store.marks.of(project.id, recording.sha256) if mark.tier == RECORDING_TIER]
    assert {mark.annotator: mark.emotion for mark in whole} == labels | {"ann": None}
    fields = {one.label: one for one in app.run().main.selectbox}
    # Without a default Streamlit offers to clear a field, even one that shows *none*.
    assert all(fields[name].proto.HasField("default") for name in ("Emotion", "Confidence"))
    next(one for one in app.text_input if one.label == "Annotator").set_value("bea").run()
    assert next(one for one in app.main.selectbox if one.label == "Emotion").value == labels["bea"]


# --- adding ---


def test_words_become_marks_in_a_tier_of_their_own_and_undo_removes_them(store, voices):
    (project,) = store.projects.page().items
    held = Held(read_recording(voices[0]), voices[0])
    sha256 = held.recording.sha256
    app = at("pages/3_Annotate.py")
    app.session_state["notice_read"] = True
    app.session_state["held"], app.session_state["current"] = {sha256: held}, sha256
    app.session_state["words"] = {sha256: (Region(0.1, 0.4, label="for"), Region(0.4, 1.2, label="sure"))}
    app.session_state["choices"] = dict(CHOICES) | {"annotator": "ann", "annotate_view": "Mark", "beside": []}
    app = finished(app.run())
    button(app, "Add the words as a tier").click().run()
    assert not app.exception
    (tier,) = [tier for tier in store.tiers.of(project.id) if tier.name == "words"]
    said = [
        (m.region.start_s, m.region.end_s, m.note)
        for m in store.marks.of(project.id, sha256, "ann")
        if m.tier == tier.key
    ]
    assert said == [(0.1, 0.4, "for"), (0.4, 1.2, "sure")]
    assert not [one for one in app.button if "Add the words" in one.label]
    store.history.undo(project.id, sha256, "ann")
    assert {m.tier for m in store.marks.of(project.id, sha256, "ann")} == {"emotion", "recording"}


def test_a_cancelled_addition_leaves_no_sound_behind(data, voices):
    with closing(open_store(default_url(data))) as opened:
        project = OpenProject(opened, opened.projects.create("Voices"), "Voices", "ann")
        stopped = iter([False, False, True])
        files = [(source, f"{number}.wav") for number, source in enumerate(voices[:3])]
        with pytest.raises(Cancelled, match="Nothing was added"):
            filling_section._add_files(project, files, "", Work(stop=lambda: next(stopped)))
        assert not opened.recordings.page(project.id).items
        assert not list((data / "recordings").glob("*"))
        filling_section._add_files(project, files, "Ann", UNWATCHED)
        assert len(list((data / "recordings").glob("*"))) == 3
        assert {queued.file.speaker for queued in opened.recordings.page(project.id).items} == {"Ann"}


# --- agreement ---


def test_agreement_equals_the_librarys_and_explainers_are_compared_on_request(store):
    app = finished(opened_view("Agreement"))
    assert not app.exception
    assert "34 marks in 16 recordings, by 2 annotators" in words(app)
    alpha = next(metric for metric in app.metric if "alpha" in metric.label)
    (project,) = store.projects.page().items
    expected = annotator_agreement(list(store.transfer.export(project.id))).recordings.alpha
    assert alpha.value == f"{expected.value:.2f}".replace("-", "−")
    (explainers,) = (one for one in app.button_group if one.label == "Explainers")
    assert explainers.value == [focus_methods_of(load_model(next(iter(model_names()))))[0]]
    next(one for one in app.button if one.label == "Compare").click().run()
    app = finished(app)
    assert not app.exception
    charts = [one.proto.spec for one in app.get("plotly_chart")]
    assert any("Pointing game" in chart for chart in charts)


def label_moods(store, said: dict[int, dict[str, str]], **values) -> list[str]:
    """Add a tier of labels in which people said something of recordings, by number; return all recordings."""
    project, found = first_project(store)
    tier = store.tiers.add(project, Tier("mood", "mood", content="labels", labels=("high", "low", "Wut"), **values))
    for number, labels in said.items():
        for who, label in labels.items():
            at = Point(0.2, 0.2) if tier.kind == "points" else Region(0.2, 0.7)
            store.marks.edit(project, found[number], who, add=[Annotation(at, tier.key, note=label)])
    return found


def test_points_of_a_tier_rate_the_queue_and_are_compared_within_20_ms(store):
    label_moods(store, {0: {"ann": "high", "bea": "high"}, 1: {"ann": "low", "bea": "high"}}, kind="points")
    app = finished(opened_view("Agreement", label_tier="mood"))
    assert not app.exception
    (row,) = app.dataframe[0].value.to_dict("records")
    assert [str(value).split()[0] for value in row.values()] == ["ann", "1.00", "0", "0.50"]
    app = opened_view("Queue", label_tier="mood")
    app.radio[0].set_value("annotators_disagreement").run()
    assert "20 ms apart" in app.radio[0].proto.captions[2]
    button(app, "Rate all").click().run()
    app = finished(app)
    app = opened_view("Queue", label_tier="mood", queue_order="annotators_disagreement")
    rated = [(row["Recording"], row["Annotator disagreement in mood"]) for row in queue(app)[:3]]
    assert rated == [("take 1.wav", 1.0), ("take 0.wav", 0.0), ("take 15.wav", None)]
    app = opened_view("Teach", label_tier="mood", model="fusion")
    assert "A point has no length" in app.info[-1].value
    assert next(one for one in app.selectbox if one.label == "Learn from").value == "mood"


def test_agreement_in_a_tier_is_that_of_its_labels(store):
    label_moods(store, {0: {"ann": "high", "bea": "high"}, 1: {"ann": "low", "bea": "high"}, 2: {"ann": "low"}})
    app = finished(opened_view("Agreement"))
    next(one for one in app.selectbox if one.label == "Compare").set_value("mood").run()
    app = finished(app)
    assert not app.exception
    assert "5 marks in 3 recordings, by 2 annotators" in words(app)
    (cells,) = tables_of(app)  # a tier has no labels of whole recordings
    counts = {tuple(row["cells"][:2]): int(row["cells"][2]) for row in cells["rows"]}
    assert counts["high", "high"] == counts["low", "high"] == 50
    assert {label for pair in counts for label in pair} == {"high", "low", "no mark"}


def test_only_pairs_with_a_common_recording_are_offered_for_their_labels(store):
    label_moods(store, {0: {"abe": "high"}, 1: {"ann": "low", "bea": "high"}})
    app = finished(opened_view("Agreement", label_tier="mood"))
    assert not app.exception
    (pairs,) = (one for one in app.selectbox if one.label == "Pair")
    assert pairs.options == ["ann and bea"]


def test_without_marks_the_page_says_that_there_is_no_agreement(data):
    with closing(open_store(default_url(data))) as opened:
        opened.projects.create("Empty")
        opened.recordings.add(opened.projects.page().items[0].id, [RecordingFile("a" * 64, "a.wav", 1.5, 16_000)])
        app = opened_view("Agreement")
        assert "This project has no marks yet" in words(app)
        label = Annotation(Region(0, 1.5), tier=RECORDING_TIER, emotion="sad")
        word = Annotation(Region(0, 0.5), tier="words", note="so")  # nobody is compared on words
        opened.marks.edit(opened.projects.page().items[0].id, "a" * 64, "ann", add=[label, word])
        assert "1 mark in 1 recording, by 1 annotator" in words(finished(app.run()))


# --- files ---


def test_marks_are_exported_in_a_format_and_losses_are_reported(store):
    app = opened_view("Files")
    kind = next(one for one in app.selectbox if one.label == "Format")
    kind.set_value("textgrid").run()
    button(app, "Prepare export").click().run()
    app = finished(app)
    assert not app.exception
    assert f"16 files: {in_markdown('Voices-textgrid.zip')}" in [one.label for one in app.get("download_button")]
    (lost,) = (one for one in app.expander if "Not in Praat TextGrid" in one.label)
    assert lost.label == "Not in Praat TextGrid: 4 kinds of information"
    (listed,) = lost.markdown
    assert listed.value.count("\n- ") == 3
    assert "time of change" in listed.value
    theirs = b'"ooTextFile" "TextGrid" 0 1 <exists> 1 "IntervalTier" "words" 0 1 1 0 0.2 "so"'
    uploader = next(one for one in app.file_uploader if one.label == "TextGrid or EAF")
    uploader.upload("take 0.TextGrid", theirs, "text/plain").run()
    button(app, "Write marks into it").click().run()
    app = finished(app)
    assert not app.exception
    assert "Added to it" in words(app)
    assert any(one.label.endswith(in_markdown("take 0.TextGrid")) for one in app.get("download_button"))


def test_corrected_f0_is_exported_for_recordings_that_have_corrections(store):
    project, found = first_project(store)
    store.marks.correct_f0(project, found[0], "bea", {50: 123.5, 51: 0.0}, {})
    app = opened_view("Files")
    button(app, "Write F0").click().run()
    app = finished(app)
    assert not app.exception
    assert f"F0 of 1 recording: {in_markdown('Voices-f0.zip')}" in [one.label for one in app.get("download_button")]


def test_marks_of_another_tool_are_imported_all_or_none(store):
    app = opened_view("Files")
    audacity = b"0.1\t0.5\tsad\n0.7\t1.2\tangry\n"
    uploader = next(one for one in app.file_uploader if one.label == "Annotation files")
    uploader.upload("take 3.txt", audacity, "text/plain").run()
    app = finished(app)
    assert "Marks: 2 new" in words(app)
    button(app, "Import").click().run()
    app = finished(app)
    assert not app.exception
    assert "1 recording: 2 marks added, 0 already in the project, 0 left out" in " ".join(
        one.value for one in app.success
    )
    (project,) = store.projects.page().items
    (document,) = (d for d in store.transfer.export(project.id) if d.name == "take 3.wav")
    assert [m.emotion for m in document.annotations if m.tier != RECORDING_TIER] == ["sad", "angry"]
    before = store.history.page(project.id, document.sha256).total
    uploader = next(one for one in app.file_uploader if one.label == "Annotation files")
    uploader.upload("take 3.txt", b"0.1\tno number\tsad\n", "text/plain").run()
    app = finished(app)
    assert not app.exception
    assert app.error
    assert not app.success  # the last import is not reported below other files
    assert store.history.page(project.id, document.sha256).total == before
    uploader = next(one for one in app.file_uploader if one.label == "Annotation files")
    uploader.upload("take 3.txt", audacity.replace(b"sad", b"ang"), "text/plain").run()
    app = finished(app)
    assert "Marks: 1 changed, 1 already here" in words(app)
    assert "Nothing would change" in " ".join(one.value for one in app.info)
    assert button(app, "Import").disabled
    next(one for one in app.radio if one.label == "What differs").set_value("replace").run()
    button(app, "Import").click().run()
    app = finished(app)
    assert "0 marks added, 1 changed, 1 already in the project" in " ".join(one.value for one in app.success)
    uploader = next(one for one in app.file_uploader if one.label == "Annotation files")
    uploader.upload("take 3.txt", audacity.replace(b"sad", b"ang"), "text/plain").run()
    app = finished(app)
    assert "Marks: 2 already here" in words(app)
    assert [one.value for one in app.info] == ["All marks in these files are already here."]
    assert button(app, "Import").disabled


def test_files_with_known_marks_are_imported_only_for_the_rest_that_they_have(store):
    project, _ = first_project(store)
    document = next(store.transfer.export(project))
    for assigned, is_disabled in (((), True), ((Assignment("bea", "1 person each, seed 3"),), False)):
        files = export_recordings(
            [replace(document, assignments=assigned)], EXPORT_FORMATS["json"], None, "Voices"
        ).files
        app = opened_view("Files")
        uploader = next(one for one in app.file_uploader if one.label == "Annotation files")
        uploader.upload("voices.json", next(iter(files.values())), "application/json").run()
        app = finished(app)
        assert not app.exception
        assert "already here" in " ".join(one.value for one in app.info)
        assert button(app, "Import").disabled == is_disabled
        assert ("assignments" in " ".join(one.value for one in app.info)) != is_disabled


def test_the_page_imports_the_corrected_file_instead_of_the_old_one_and_says_so(store):
    (project,) = store.projects.page().items
    (take,) = (each.file for each in store.recordings.page(project.id).items if each.file.name == "take 3.wav")
    marks = [
        Annotation(Region(0.1, 0.5), emotion="sad", annotator="bea"),
        Annotation(Region(0.7, 1.2), emotion="angry", annotator="bea"),
    ]
    store.marks.edit(project.id, take.sha256, "bea", add=marks)
    label, packed = "{} [annotator=bea]\n", io.BytesIO()
    old = "".join(f"{m.region.start_s}\t{m.region.end_s}\t{label.format(m.emotion)}" for m in marks)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("take 3.txt", old)
        archive.writestr(f"take 3-{take.sha256[:8]}.txt", old.replace("angry", "neutral"))
    app = opened_view("Files")
    uploader = next(one for one in app.file_uploader if one.label == "Annotation files")
    uploader.upload("both.zip", packed.getvalue(), "application/zip").run()
    app = finished(app)
    assert not app.exception
    assert "older version" in words(app)
    assert "Marks: 1 changed" in words(app)


def test_files_without_marks_are_not_imported(store):
    app = opened_view("Files")
    uploader = next(one for one in app.file_uploader if one.label == "Annotation files")
    uploader.upload("project-1.json", b"[]", "application/json").run()
    app = finished(app)
    assert not app.exception
    assert "There are no marks in these files" in words(app)
    assert "Import" not in [one.label for one in app.button]


# --- teaching ---


def predictions(right: int) -> Predictions:
    """Predictions of forty recordings of forty people, some of them right."""
    labels = np.arange(40) % 4
    predicted = np.where(np.arange(40) < right, labels, (labels + 1) % 4)
    names = tuple(f"{number:064x}" for number in range(40))
    speakers = tuple(f"taught:{number}" for number in range(40))
    return Predictions(EMOTIONS, names, ("taught",) * 40, speakers, ("",) * 40, labels, np.eye(4)[predicted])


@pytest.mark.parametrize(("after", "offered"), [(36, True), (20, False)])
def test_a_taught_model_is_offered_only_where_it_is_not_worse(store, data, after, offered, tmp_path, monkeypatch):
    (project,) = store.projects.page().items
    for document in list(
        store.transfer.export(project.id, "bea")
    ):  # who disagrees on half, so that little could be taught
        store.marks.edit(project.id, document.sha256, "bea", delete=document.annotations)
    trained, models = [], tmp_path / "models"
    models.mkdir()

    def train(arguments, work):
        trained.append(arguments)
        (models / "mine").mkdir()
        return "trained"

    monkeypatch.setattr(teaching_section, "MODELS", models)
    monkeypatch.setattr(teaching_section, "train_in_process", train)
    monkeypatch.setattr(
        teaching_section,
        "predict_corpora",
        lambda model, corpora, progress: (predictions(after if model == "mine" else 30), {}),
    )
    app = opened_view("Teach", model="fusion")
    button(app, "Make a corpus").click().run()
    app = finished(app)
    assert not app.exception
    assert "**Training:**" in words(app)
    (corpus,) = (data / TAUGHT).iterdir()
    assert (corpus / "train.csv").is_file()
    app.text_input(key="taught_name").set_value("mine").run()
    button(app, "2 · Train").click().run()
    from pages.shared import cached

    cached.trainings().find("everybody", "training").ended.wait(30)
    app = finished(app.run())
    cached.trainings().drop(cached.trainings().find("everybody", "training"))
    assert not app.exception
    (arguments,) = trained
    assert arguments[arguments.index("--warm-start") + 1] == "fusion"
    assert "--epochs" in arguments
    offers = [one for one in app.button if "Use mine" in one.label]
    assert bool(offers) is offered
    if not offered:
        assert "it got worse and is not offered" in " ".join(one.value for one in app.warning)


def test_another_model_is_taught_in_place_of_one_that_cannot_be_trained_further(store, monkeypatch):
    monkeypatch.setattr(teaching_section.controls, "model_name", lambda: "mfcc_svm")
    app = opened_view("Teach")
    assert not app.exception
    text = " ".join(one.value for one in app.info)
    assert "cannot be trained further" in text
    assert f"**{first_teachable()}** instead" in text
    assert [one for one in app.button if "Make a corpus" in one.label]


def test_without_the_page_train_a_corpus_is_written_and_nothing_is_trained(store, data, monkeypatch):
    (project,) = store.projects.page().items
    for document in list(store.transfer.export(project.id, "bea")):
        store.marks.edit(project.id, document.sha256, "bea", delete=document.annotations)
    monkeypatch.setattr(teaching_section, "TRAIN_PAGE", data / "none.py")
    app = opened_view("Teach")
    button(app, "Make a corpus").click().run()
    app = finished(app)
    assert not app.exception
    assert "This server does not train models" in " ".join(one.value for one in app.info)
    store.projects.create("Another")
    app.run()
    next(one for one in app.selectbox if one.label == "Project").set_value("Another").run()
    assert "**Training:**" not in words(app)
    next(one for one in app.selectbox if one.label == "Project").set_value("Voices").run()
    assert "**Training:**" in words(app)
    assert not [one for one in app.button if "2 · Train" in one.label]


# --- deleting ---


def page_text(app) -> str:
    """Return the texts of a page without its tables and without escapes."""
    return " ".join(one.value for one in (*app.markdown, *app.caption)).replace("\\", "")


def test_owner_sees_whose_marks_a_deletion_removes_and_deletes_and_restores_a_project(store):
    app = opened_view("Queue")
    button(app, "Delete Voices").click().run()
    assert "16 recordings" in words(app)
    assert "18 marks of ann, 16 marks of bea" in page_text(app)
    button(app, "Cancel").click().run()
    assert "18 marks of ann" not in words(app)
    button(app, "Delete Voices").click().run()
    button(app, "Delete project").click().run()
    assert not app.exception
    assert store.projects.page().total == 0
    assert "No project yet" in words(app)
    app.session_state["annotation_trash"] = True
    app.run()
    assert "34 marks" in words(app)
    button(app, "Restore").click().run()
    assert not app.exception
    (project,) = store.projects.page().items
    assert (project.name, project.recordings) == ("Voices", 16)
    assert sum(len(document.annotations) for document in store.transfer.export(project.id)) == 34


def test_a_person_without_a_role_sees_who_owns_the_project_and_no_delete_button(store):
    for visitor in ("mallory", "bea"):
        app = opened_view("Queue", annotator=visitor)
        button(app, "Delete Voices").click().run()
        assert "18 marks of ann" in words(app)
        assert "Ask ann" in words(app)
        assert not [one for one in app.button if "Delete project" in one.label]
    assert store.projects.page().items[0].recordings == 16


def test_trash_shows_a_persons_own_items_and_the_owner_empties_it_in_two_clicks(store, data):
    (project,) = store.projects.page().items
    sha256 = store.recordings.page(project.id).items[0].file.sha256
    store.trash.delete_recording(sha256, "ann")
    app = opened_view("Queue", annotator="mallory")
    app.session_state["annotation_trash"] = True
    app.run()
    assert "take 0.wav" not in page_text(app)
    app = opened_view("Queue", annotator="bea")
    app.session_state["annotation_trash"] = True
    app.run()
    assert "take 0.wav" in page_text(app)
    assert not [one for one in app.button if "permanently" in one.label]
    app = opened_view("Queue")
    app.session_state["annotation_trash"] = True
    app.run()
    button(app, "Delete permanently").click().run()
    assert sha256 in saved_sha256(data)
    button(app, "Yes, delete permanently").click().run()
    assert not app.exception
    assert store.trash.items() == []
    assert len(saved_sha256(data)) == 15
    assert sha256 not in saved_sha256(data)


def test_a_deleted_mark_can_be_restored_below_its_recording_by_its_maker_and_deleter(store, voices):
    (project,) = store.projects.page().items
    recording = read_recording(voices[0])
    (mark,) = (each for each in store.marks.of(project.id, recording.sha256, "ann") if each.note == "here")
    store.marks.edit(project.id, recording.sha256, "ann", delete=[mark])
    for visitor, offered in (("bea", False), ("ann", True)):
        app = opened_view("Mark", beside=[], annotator=visitor)
        app.session_state["held"] = {recording.sha256: Held(recording, voices[0])}
        app.session_state["current"] = recording.sha256
        app.session_state["annotation_history"] = True
        app = finished(app.run())
        assert not app.exception
        assert bool([one for one in app.button if one.label == "Restore"]) == offered
    button(app, "Restore").click().run()
    assert "here" in [each.note for each in store.marks.of(project.id, recording.sha256, "ann")]


def test_a_project_name_typed_in_another_unicode_form_is_created_and_recognised(store):
    app = opened_view("Queue")
    name = next(one for one in app.text_input if one.label == "New project name")
    name.set_value("Zoe\u0308")
    button(app, "Create project").click().run()
    assert next(one for one in app.selectbox if one.label == "Project").value == "Zo\u00eb"
    assert {project.name: project.owner for project in store.projects.page().items} == {
        "Voices": None,
        "Zo\u00eb": "ann",
    }
    next(one for one in app.text_input if one.label == "New project name").set_value("Zo\u00eb")
    button(app, "Create project").click().run()
    assert "already" in app.error[0].value


def test_export_names_the_mark_that_it_cut_and_contains_all_others(store, data):
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.execute("UPDATE marks SET end_s = 99 WHERE note = 'here' AND emotion = 'angry'")
        connection.commit()
    app = opened_view("Files")
    button(app, "Prepare export").click().run()
    app = finished(app)
    assert not app.exception
    assert ["cut" in one.value and r"take 0\.wav" in one.value for one in app.warning] == [True]


# --- people ---


def first_project(store):
    (project,) = store.projects.page().items
    return project.id, [queued.file.sha256 for queued in store.recordings.page(project.id).items]


def tables_of(app) -> list[dict]:
    return [json.loads(one.proto.json) for one in app.get("bidi_component") if "queue" in one.proto.component_name]


def test_an_annotators_queue_begins_with_their_work_and_says_why_it_came_back(store):
    project, found = first_project(store)
    store.people.assign(project, "ann", ["ann", "bea"], AssignmentPlan(overlap=0.5))
    store.people.send_back(project, found[0], "ann", "bea", "The *end* is missing.")
    app = opened_view("Queue", annotator="bea")
    assert not app.exception
    mine = {one.file.name for one in store.recordings.page(project, Queue(annotator="bea", task="assigned")).items}
    assert {row["Recording"] for row in queue(app)} == mine
    (row,) = [row for row in queue(app) if row["Recording"] == "take 0.wav"]
    assert row["Sent back"] == "The *end* is missing."


def test_recording_sent_back_to_somebody_without_assigned_work_does_not_limit_their_queue(store):
    project, found = first_project(store)
    store.people.send_back(project, found[3], "ann", "bea", "The end is missing.")
    app = opened_view("Queue", annotator="bea")
    assert not app.exception
    assert len(queue(app)) == 16
    assert ["1 recording" in one.value for one in app.warning] == [True]
    button(app, "Open it").click().run()
    assert (app.session_state["choices"]["annotate_view"], app.session_state["current"]) == ("Mark", found[3])
    steps = {one.key: one.disabled for one in app.button if one.key in ("icon_previous", "icon_next")}
    assert steps == {"icon_previous": False, "icon_next": False}


@pytest.mark.parametrize(("beside", "title"), [("Others' marks", "Others' marks"), ("Gold", "Everybody's marks")])
def test_rows_of_everybody_below_the_gold_layer_are_not_called_those_of_others(store, beside, title):
    project, found = first_project(store)
    store.people.send_back(project, found[0], "ann", "bea", "The end is missing.")
    app = opened_view("Queue", annotator="bea", beside=[beside])
    button(app, "Open it").click().run()
    players = [one.proto.json for one in app.get("bidi_component") if "player" in one.proto.component_name]
    assert [json.loads(one)["othersTitle"] for one in players] == [title]


def test_queue_limited_to_assigned_work_offers_all_recordings_and_only_those_sent_back(store):
    project, found = first_project(store)
    store.people.assign(project, "ann", ["ann", "bea"], AssignmentPlan(overlap=0))
    for sha256 in found[:2]:
        store.people.send_back(project, sha256, "ann", "bea", "The end is missing.")
    app = opened_view("Queue", annotator="bea")
    assert len(queue(app)) < 16
    button(app, "Show only these").click().run()
    assert [row["Recording"] for row in queue(app)] == ["take 0.wav", "take 1.wav"]
    button(app, "Show all recordings").click().run()
    assert len(queue(app)) == 16


def test_agreement_lists_cells_and_undecided_recordings_without_the_gold_layer(store):
    project, found = first_project(store)
    marks = store.marks.of(project, found[1], "ann")
    label = next(mark for mark in marks if mark.tier == RECORDING_TIER)
    store.marks.edit(project, found[1], "ann", add=[replace(label, annotator=GOLD, key=None)])
    app = finished(opened_view("Agreement"))
    assert not app.exception
    assert [list(table.value["Annotator"]) for table in gold_tables(app)] == [["ann", "bea"]]
    whole, differing = tables_of(app)  # in time only ann marked
    cells = {tuple(row["cells"][:2]): row["cells"][2] for row in whole["rows"]}
    assert cells["angry", "happy"] == "1"
    assert len(cells) == 16
    names = [row["cells"][0] for row in differing["rows"]]
    assert "take 1.wav" not in names
    assert "take 2.wav" in names


def gold_tables(app) -> list:
    return [table for table in app.dataframe if "Cohen's kappa" in table.value]


def test_an_annotator_sees_their_own_agreement_with_the_gold_layer_alone(store):
    project, found = first_project(store)
    marks = store.marks.of(project, found[1], "ann")
    decided = [replace(label, annotator=GOLD, key=None) for label in marks if label.tier == RECORDING_TIER]
    store.marks.edit(project, found[1], "ann", add=decided)
    store.people.set_roles(project, "ann", {"bea": "annotator", "eve": "annotator"})
    (table,) = gold_tables(finished(opened_view("Agreement", annotator="bea")))
    assert table.value[["Annotator", "Recordings", "Same emotion"]].to_numpy().tolist() == [["bea", 1, "0.00"]]
    other = finished(opened_view("Agreement", annotator="eve"))
    assert gold_tables(other) == []
    assert "None of your recordings has a decision yet." in words(other)


def gold_sections(store, project, recording):
    """The gold layer as on Mark, without the player; and a row of Agreement as a button."""
    import streamlit as st

    from pages.shared.annotation.marking.shown_marks import Shown
    from pages.shared.annotation.open_project import show_refusals
    from pages.shared.annotation.people import gold_section, review_section
    from ser_core.annotations.annotation import GOLD

    st.button("Row", on_click=gold_section._decide, args=(project, recording))
    show_refusals()
    opened = store.recordings.open(project.id, recording.sha256, project.annotator)
    layer = st.session_state.setdefault("layer", Shown(1.5, layer=GOLD))
    layer.update(opened.annotations, project.annotator, opened.tiers)
    review_section.show(project, opened, layer, may_review=store.people.may_review(project.id, project.annotator))


def test_row_of_agreement_opens_the_gold_layer_where_marks_are_taken_over_once(store, monkeypatch):
    project, found = first_project(store)
    opened, recording = OpenProject(store, project, "Voices", "ann"), list(store.transfer.export(project))[1]
    rows = {"chosen": {"ann"}}

    def table(table_rows, **_):
        chosen = [number for number, row in enumerate(table_rows) if row["Annotator"] in rows["chosen"]]
        return SimpleNamespace(selection=SimpleNamespace(rows=chosen))

    def gold():
        marks = store.marks.of(project, found[1], GOLD)
        return [(mark.tier, mark.emotion, mark.status, mark.note) for mark in marks]

    monkeypatch.setattr("streamlit.dataframe", table)
    app = AppTest.from_function(gold_sections, default_timeout=60, args=(store, opened, recording)).run()
    button(app, "Row").click().run()
    assert not app.exception
    choices = app.session_state["choices"]
    assert ("Gold" in choices["beside"], choices["annotate_view"]) == (True, "Mark")
    button(app, "Take over 2").click().run()
    decided = [(RECORDING_TIER, "happy", "done", ""), ("emotion", "happy", "done", "here")]
    assert gold() == decided
    assert button(app, "Take over").disabled
    review_section._decide(opened, found[1], app.session_state["layer"], recording.annotations[-1:])  # a late click
    assert gold() == decided
    rows["chosen"] = {"bea"}
    app.run()
    button(app, "Take over 1").click().run()
    assert gold() == [(RECORDING_TIER, "angry", "done", ""), decided[1]]
    rows["chosen"] = {"ann", "bea"}
    app.run()
    assert button(app, "Take over").disabled is False  # the label of ann; bea's is already decided
    store.people.set_roles(project, "ann", {"bea": "annotator"})
    store.people.set_roles(project, "ann", {"cid": "owner"})
    store.people.set_roles(project, "cid", {"ann": "annotator"})
    button(app, "Take over").click().run()
    assert "can change the gold layer" in words(app)
    assert gold() == [(RECORDING_TIER, "angry", "done", ""), decided[1]]


def fields(store, project, sha256):
    from pages.shared.annotation.marking import details_section
    from pages.shared.annotation.marking.shown_marks import Shown

    opened = store.recordings.open(project.id, sha256, project.annotator)
    opened_view = Shown(1.5)
    opened_view.update(opened.annotations, project.annotator, opened.tiers)
    details_section.show(project, opened, opened_view, channels=1)


def test_fields_of_a_mark_have_other_keys_in_another_language(store, monkeypatch):
    # A browser sends a choice as its text, which would be taken for a typed label.
    project, found = first_project(store)
    args = store, OpenProject(store, project, "Voices", "ann"), found[0]
    keys = {}
    for code in ("en", "de"):
        for module in (languages, details_section):
            monkeypatch.setattr(module, "language", lambda code=code: code)
        app = AppTest.from_function(fields, default_timeout=60, args=args).run()
        assert not app.exception
        keys[code] = {box.key for box in app.selectbox}
    assert len(keys["en"]) == 3
    assert not keys["en"] & keys["de"]


def test_teach_lists_left_out_marks_beforehand_and_sets_a_status_in_one_step(store):
    project, found = first_project(store)
    store.marks.set_status(project, found[:4], "ann", "open", "ann")
    app = finished(opened_view("Teach", model="fusion"))
    assert not app.exception
    (table,) = [one.value for one in app.dataframe if "How to fix it" in one.value]
    reasons = dict(zip(table["Reason"], table["Recordings"], strict=True))
    assert reasons["A mark that is still open"] == 4
    assert "Would be taught" in words(app)


def test_teach_of_a_tier_names_the_labels_of_several_emotions_and_follows_who_speaks(store):
    mapping = (("happy", "high"), ("surprise", "high"))
    found = label_moods(store, {0: {"ann": "high"}, 1: {"ann": "Wut"}, 2: {"bea": "low"}}, mapping=mapping)
    app = finished(opened_view("Teach", model="fusion"))
    next(one for one in app.selectbox if one.label == "Learn from").set_value("mood").run()
    app = finished(app)
    assert not app.exception
    assert "**Would be taught:** angry 1, in 1 recording." in words(app)
    (table,) = [one.value for one in app.dataframe if "How to fix it" in one.value]
    assert sorted(table["Reason"]) == [
        "The label 'high' stands for several emotions (happy, surprise)",
        "The label 'low' stands for no emotion",
    ]
    assert "Named speakers: 0" in words(app)
    store.recordings.add(first_project(store)[0], [RecordingFile(found[1], "take 1.wav", 1.5, 16_000, speaker="Zoe")])
    assert "Named speakers: 1" in words(finished(app.run()))


def test_teach_follows_two_speakers_that_swap_names(store):
    project, found = first_project(store)
    for who in ("ann", "bea"):
        store.marks.set_status(project, [*found[1:5], *found[6:]], who, "open", who)

    def speak(**names):
        files = [
            replace(store.recordings.files(project)[int(number[1:])], speaker=name) for number, name in names.items()
        ]
        store.recordings.add(project, files)

    speak(_0="Zoe", _5="Eva", _6="Zoe")  # the last is not taught
    app = finished(opened_view("Teach", model="fusion"))
    assert "in 2 recordings" in words(app)
    assert "Named speakers: 2" in words(app)
    speak(_5="Zoe", _6="Eva")  # each name has as many recordings as before
    assert "Named speakers: 1" in words(finished(app.run()))
