"""The view Map: what it sends to the browser, what it accepts from it, and what it changes in the project."""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from pages.shared.annotation.corpus_map import MapContent, checked_indices, map_section
from pages.shared.annotation.corpus_map.contents import GREY, MAX_GROUPS, PALETTE, SHAPES, content_of
from ser_core.annotations.annotation import RECORDING_TIER, Tier
from ser_core.annotations.corpus_map.layout import Layout
from ser_core.annotations.corpus_map.mapping import CorpusMap
from ser_core.annotations.corpus_map.points import (
    AGREES,
    DIFFERS,
    NO_LABEL,
    NO_SPEAKER,
    NO_VERDICT,
    PEOPLE_DIFFER,
    Point,
    point_of,
)
from ser_core.annotations.saved_sounds import save_sound
from ser_core.annotations.store.database import default_url
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.store.transactions.labels import LabelledRecording
from ser_core.audio.reading import read_recording
from tests.databases import file, mark, sha
from tests.test_annotate_views import button, opened_view
from tests.test_pages import finished, wav, words

CORE = ("angry", "happy", "neutral", "sad")


def labelled(**emotions) -> LabelledRecording:
    marks = {who: mark(0, 10, tier=RECORDING_TIER, annotator=who, emotion=emotion) for who, emotion in emotions.items()}
    return LabelledRecording(file(0), marks)


# --- labels and verdicts of recordings ---


@pytest.mark.parametrize(
    ("emotions", "whose", "label", "disagreement"),
    [
        ({}, None, NO_LABEL, NO_LABEL),
        ({"Ann": None}, "Ann", NO_LABEL, NO_LABEL),
        ({"Ann": "sad"}, "Ann", "sad", AGREES),
        ({"Ann": "happy", "Ben": "sad"}, "Ann", "happy", DIFFERS),
        ({"Ben": "sad"}, "Ann", NO_LABEL, NO_LABEL),  # others' labels stay hidden
        ({"Ann": "awe"}, "Ann", "awe", NO_VERDICT),
        ({"Ann": "happy", "Ben": "sad"}, None, PEOPLE_DIFFER, PEOPLE_DIFFER),
        ({"Ann": "happy", "Ben": "sad", "Cid": "sad"}, None, "sad", PEOPLE_DIFFER),
        ({"Ann": "sad", "Ben": "sad"}, None, "sad", AGREES),
    ],
)
def test_labels_of_one_or_all_annotators_are_compared_with_a_verdict(emotions, whose, label, disagreement):
    point = point_of(labelled(**emotions), "sad", CORE, whose)
    assert (point.label, point.disagreement, point.speaker) == (label, disagreement, NO_SPEAKER)


@pytest.mark.parametrize(
    ("label", "disagreement"),
    [("high", AGREES), ("Wut", DIFFERS), ("ok", NO_VERDICT), (None, NO_LABEL)],
)
def test_labels_of_a_tier_are_compared_with_a_verdict_as_mapped_emotions(label, disagreement):
    tier = Tier("mood", "mood", content="labels", labels=("high", "Wut", "ok"), mapping=(("happy", "high"),))
    recording = replace(labelled(Ann="sad"), in_tier={} if label is None else {"Ann": label})
    point = point_of(recording, "happy", CORE, "Ann", tier)
    assert (point.label, point.disagreement) == (label or NO_LABEL, disagreement)


def content(speakers: list[str]) -> dict:
    points = [Point("sad", speaker, "sad", AGREES) for speaker in speakers]
    count = len(points)
    layout = Layout(np.arange(2.0 * count).reshape(count, 2), None)
    found = CorpusMap(tuple(map(sha, range(count))), layout, np.ones((count, 4)), ("sad",) * count, 0)
    return json.loads(content_of(found, [f"take {number}" for number in range(count)], points).json)


def test_groups_differ_in_colour_or_shape_and_count_their_points():
    made = content([f"speaker {number % 40}" for number in range(80)] + [NO_SPEAKER])
    speaker = next(one for one in made["colourings"] if one["key"] == "speaker")
    styles = [(group["colour"], group["shape"]) for group in speaker["groups"]]
    assert len(set(styles)) == len(styles) == 41
    assert styles[-1] == (GREY, "ring")
    assert [group["count"] for group in speaker["groups"]] == [2] * 40 + [1]
    assert speaker["groups"][speaker["of"][45]]["name"] == "speaker 5"
    assert (made["x"][:2], made["y"][:2]) == ([0, 2], [1, 3])


def test_with_too_many_groups_the_smallest_become_others():
    speakers = [f"{number:03}" for number in range(90) for _ in range(1 + (number < 10))]
    groups = next(one for one in content(speakers)["colourings"] if one["key"] == "speaker")["groups"]
    assert len(groups) <= MAX_GROUPS == len(PALETTE) * len(SHAPES)
    assert {group["name"] for group in groups} >= {"000", "009", "others"}
    assert sum(group["count"] for group in groups) == 100


def test_browser_messages_about_unknown_points_are_ignored():
    points = MapContent("these", 3, b"", "")
    right = {"of": "these", "indexes": [2, 0, 2], "number": 7}
    assert checked_indices(right, points) == ([0, 2], 7)
    for wrong in (
        *(None, [], "these", right | {"of": "others"}, right | {"number": "7"}, right | {"indexes": {}}),
        *(right | {"indexes": [one]} for one in (3, -1, True, "0", 1.0, None)),
    ):
        assert checked_indices(wrong, points) is None


# --- the view ---


@pytest.fixture
def voices(make_voice, tmp_path, monkeypatch):
    """A project of Ann's with three voices, two labelled by her, and a recording without a sound."""
    monkeypatch.setenv("SER_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("SER_DATABASE_URL", raising=False)
    with closing(open_store(default_url(tmp_path / "data"))) as store:
        project = store.projects.create("Voices", "ann")
        for number in range(3):
            source = wav(make_voice(1.0, 16_000, number))
            save_sound(source, tmp_path / "data")
            recording = read_recording(source)
            store.recordings.add(project, [RecordingFile(recording.sha256, f"take {number}.wav", 1.0, 16_000)])
        store.recordings.add(project, [RecordingFile("f" * 64, "lost.wav", 1.0, 16_000)])
        seen = [one.file.sha256 for one in store.labels.of(project)]
        store.labels.change(project, dict.fromkeys(seen[:2], 0), "ann", emotion="sad")
        yield store, project, seen


def emotions(store, project) -> list[str | None]:
    return [one.labels["ann"].emotion if "ann" in one.labels else None for one in store.labels.of(project)]


def test_recordings_selected_on_the_map_are_labelled_undone_and_queued(voices):
    store, project, seen = voices
    app = finished(opened_view("Map"))
    assert not app.exception
    assert "3 recordings on the map" in words(app)
    assert "1 recording without a point" in words(app)
    assert "of the variance" in words(app)
    assert "Speaker" not in app.dataframe[0].value.columns  # nobody is known
    assert app.session_state["choices"]["annotate_view"] == "Map"

    app.session_state[f"map chosen {project}"] = seen[1:3]
    app.run()
    assert "2 recordings chosen on the map" in words(app)
    assert button(app, "Label").disabled
    next(box for box in app.selectbox if box.label == "Label").set_value("angry").run()
    button(app, "Label 2").click().run()
    assert emotions(store, project) == ["sad", "angry", "angry", None]
    button(app, "Undo").click().run()
    assert emotions(store, project) == ["sad", "sad", None, None]

    # Between drawing and click somebody changes one of them.
    (theirs,) = store.marks.of(project, seen[1], "ann")
    store.marks.edit(project, seen[1], "ann", change=[replace(theirs, emotion="calm")])
    button(app, "Label 2").click().run()
    assert "Nothing was overwritten" in words(app)
    assert emotions(store, project) == ["sad", "calm", None, None]

    button(app, "Queue 2").click().run()
    assert "Only the 2 recordings chosen on the map" in words(app)
    assert not app.exception
    button(app, "Show all recordings").click().run()
    assert "Only the 2" not in words(app)
    assert not any(one.label == "Show all recordings" for one in app.button)


def test_a_model_without_features_is_replaced_by_the_default_one(voices):
    app = finished(opened_view("Map", model="mfcc_svm"))
    assert not app.exception
    assert "has no features" in words(app)
    assert "3 recordings on the map" in words(app)


def test_the_layout_without_speaker_means_is_optional_and_follows_speaker_changes(
    voices, make_voice, tmp_path, monkeypatch
):
    store, project, _ = voices
    source = wav(make_voice(1.0, 16_000, 3))
    save_sound(source, tmp_path / "data")
    last = RecordingFile(read_recording(source).sha256, "take 3.wav", 1.0, 16_000)
    store.recordings.add(project, [last])
    laid_out = []

    def content_seen(found, *rest):
        laid_out.append(found.layout.points)
        return content_of(found, *rest)

    monkeypatch.setattr(map_section, "content_of", content_seen)
    app = finished(opened_view("Map"))
    assert not [one for one in app.toggle if "mean" in one.label]  # no speaker is known
    as_heard = laid_out[-1]
    takes = [one.file for one in store.labels.of(project) if one.file.name.startswith("take")]
    store.recordings.add(project, [replace(take, speaker="Zoe") for take in takes[:2]])
    app = finished(app.run())
    next(one for one in app.toggle if "mean" in one.label).set_value(True).run()
    app = finished(app)
    assert "4 recordings stay as they are" in words(app)
    assert np.array_equal(laid_out[-1], as_heard)
    store.recordings.add(project, [replace(takes[2], speaker="Zoe")])  # now there are enough
    app = finished(app.run())
    assert not app.exception
    assert "1 recording stays as it is" in words(app)
    assert not np.allclose(laid_out[-1], as_heard)
    next(one for one in app.toggle if "mean" in one.label).set_value(False).run()
    app = finished(app)
    assert "as it is" not in words(app)
    assert np.array_equal(laid_out[-1], as_heard)
