"""The map of recordings: its features, its layouts by hand and by other libraries, and what the axes mean."""

import csv
from contextlib import closing

import numpy as np
import pytest
import soundfile
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.preprocessing import StandardScaler

from ser_core.analysis import Recording
from ser_core.annotations.corpus_map.features import features_of
from ser_core.annotations.corpus_map.layout import (
    axis_meaning,
    by_neighbours,
    principal_components,
    without_speaker_means,
)
from ser_core.annotations.corpus_map.mapping import corpus_map
from ser_core.annotations.corpus_map.saved_features import (
    FeatureFolder,
    RecordingFeatures,
    delete_features,
    sha256_with_features,
)
from ser_core.annotations.saved_sounds import finish_deletions, save_sound
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.annotations.store.transactions import open_store
from ser_core.commands import main
from ser_core.errors import Cancelled
from ser_core.model.shipped_models import load_model, model_names
from ser_core.pipeline import classify_recording
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import Work


def blobs(count: int = 60, groups: int = 4, dimensions: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Points around centres on a circle in two of many dimensions, and their groups."""
    rng = np.random.default_rng(1)
    of = np.arange(count) % groups
    centres = rng.normal(size=(groups, dimensions)) * 4
    return centres[of] + rng.normal(size=(count, dimensions)), of


# --- principal components ---


def test_points_on_a_line_lie_on_the_first_axis_worked_by_hand():
    # Two identical features: 0, 1, 2 have deviation sqrt(2/3), so each is -1.22, 0, 1.22; along the diagonal
    # that is sqrt(2) times as far, and nothing is left for the second axis.
    layout = principal_components(np.array([[0, 0], [1, 10], [2, 20]]))
    assert layout.points == pytest.approx(np.array([[-np.sqrt(3), 0], [0, 0], [np.sqrt(3), 0]]), abs=1e-7)
    assert layout.variance == pytest.approx((1, 0))


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_components_are_those_of_scikit_learn(shape):
    features = np.random.default_rng(0).normal(size=shape) @ np.diag(np.linspace(1, 5, shape[1]))
    features[:, 1] = features[:, 0] + 0.1 * features[:, 1]
    ours, theirs = principal_components(features), PCA(2)
    expected = theirs.fit_transform(StandardScaler().fit_transform(features))
    assert np.abs(ours.points) == pytest.approx(np.abs(expected), abs=1e-6)
    assert ours.variance == pytest.approx(theirs.explained_variance_ratio_)


def test_the_layout_does_not_depend_on_the_order_of_recordings_or_the_scale_of_features():
    features, _ = blobs()
    points = principal_components(features).points
    order = np.random.default_rng(2).permutation(len(features))
    assert principal_components(features[order] * 1_000 + 5).points == pytest.approx(points[order])


@pytest.mark.parametrize("features", [np.zeros((1, 5)), np.ones((3, 5)), np.zeros((9, 1))])
@pytest.mark.parametrize("lay_out", [principal_components, by_neighbours])
def test_too_few_recordings_for_a_layout_still_give_points(features, lay_out):
    assert np.isfinite(lay_out(features).points).all()


def test_speakers_are_centred_on_the_mean_of_all_worked_by_hand():
    features = np.array([[0.0, 1], [1, 1], [2, 1], [10, 4], [11, 4], [12, 4], [20, 9], [30, 9]])
    moved, unadjusted = without_speaker_means(features, [*"aaabbb", "c", None])
    middle = features.mean(axis=0)
    around = np.array([[-1, 0], [0, 0], [1, 0]])
    assert moved == pytest.approx(np.vstack([middle + around, middle + around, features[6:]]))
    assert unadjusted == 2  # one recording by c, and one by an unknown speaker
    assert features[0, 0] == 0  # the input is unchanged


# --- neighbours ---


def test_neighbours_are_preserved_as_well_as_by_scikit_learn():
    features, of = blobs(120)
    ours = by_neighbours(features)
    theirs = TSNE(init="pca", perplexity=30, random_state=0).fit_transform(StandardScaler().fit_transform(features))
    trust = [trustworthiness(features, points, n_neighbors=8) for points in (ours.points, theirs)]
    assert trust[0] > max(0.9, trust[1] - 0.03)
    distances = np.linalg.norm(ours.points[:, None] - ours.points[None], axis=2) + np.diag(np.full(120, np.inf))
    assert (of[distances.argmin(axis=1)] == of).all()
    assert ours.variance is None
    assert (by_neighbours(features).points == ours.points).all()


def test_a_layout_can_be_stopped_between_rounds():
    stops = iter([False, False, True])
    with pytest.raises(Cancelled):
        by_neighbours(blobs()[0], Work(stop=lambda: next(stops)))


# --- what the axes mean ---


def test_meaning_of_an_axis_worked_by_hand():
    positions = np.array([0.0, 1, 2, 3])
    measures = {"rising": 2 * positions, "falling": -positions, "constant": np.ones(4)}
    groups = {"halves": ["a", "a", "b", "b"], "alone": ["a"] * 4, "unknown": [None, "a", "b", None]}
    meaning = axis_meaning(positions, measures, groups)
    assert meaning.correlations == pytest.approx({"rising": 1, "falling": -1})
    # Means 0.5 and 2.5 around 1.5: variance 1 of 1.25, so a share of 0.2 within, times 3 / 2 degrees of freedom. Two
    # points in two groups give no figure.
    assert meaning.shares == pytest.approx({"halves": 0.7})


def test_groups_at_random_have_no_share_of_an_axis_on_average():
    rng = np.random.default_rng(0)
    shares = [
        axis_meaning(
            rng.normal(size=10), {}, {"labels": [f"{one}" for one in rng.permutation([0, 0, 0, 1, 1, 1, 2, 2, 3, 3])]}
        ).shares["labels"]
        for _ in range(200)
    ]
    assert np.median(shares) < 0.1  # eta squared would be a third


# --- features ---


@pytest.fixture(scope="module")
def whisper():
    if "whisper" not in model_names():
        pytest.skip("no model is shipped in models/")
    return load_model("whisper")


def test_scores_beside_features_are_those_of_the_verdict(whisper, make_voice):
    recording = Recording("a.wav", "a" * 64, make_voice(3.0, 16_000, 1), 16_000)
    ours, theirs = features_of(recording, whisper), classify_recording(recording, whisper, AnalysisSettings())
    assert ours.probabilities == pytest.approx(theirs.scores.recording, abs=1e-5)
    assert ours.speech_s == pytest.approx(theirs.speech_s)
    assert ours.features.shape == (1024,)


def test_a_second_computation_reads_the_saved_features(whisper, make_voice, tmp_path):
    recording = Recording("a.wav", "a" * 64, make_voice(1.0, 16_000, 2), 16_000)
    requested = []

    def sound_of(sha256):
        requested.append(sha256)
        return {"a" * 64: recording}.get(sha256)

    first = corpus_map(["a" * 64, "b" * 64], sound_of, whisper, "components", tmp_path)
    second = corpus_map(["a" * 64], sound_of, whisper, "components", tmp_path)
    assert requested == ["a" * 64, "b" * 64]
    assert (first.sha256, first.left_out, second.left_out) == (("a" * 64,), 1, 0)
    assert (first.probabilities == second.probabilities).all()
    assert first.verdicts == second.verdicts
    folder = FeatureFolder(tmp_path, whisper.sha256, 4)
    assert folder.missing(["a" * 64, "b" * 64]) == ["b" * 64]
    # A damaged file is ignored; a stop keeps what was saved.
    (file,) = tmp_path.glob("features/*/*.npy")
    file.write_bytes(file.read_bytes()[:-9])
    assert folder.load("a" * 64) is None
    with pytest.raises(Cancelled):
        corpus_map(["a" * 64], sound_of, whisper, "components", tmp_path, Work(stop=lambda: True))


def test_features_are_deleted_with_their_recording_only(tmp_path):
    for model in ("1" * 64, "2" * 64):
        for sha256 in ("a" * 64, "b" * 64):
            FeatureFolder(tmp_path, model, 1).save(sha256, RecordingFeatures(np.ones(3), np.ones(1), 1.0))
    assert sha256_with_features(tmp_path) == {"a" * 64, "b" * 64}
    delete_features("a" * 64, tmp_path)
    assert sha256_with_features(tmp_path) == {"b" * 64}
    with pytest.raises(ValueError, match="no SHA-256"):
        FeatureFolder(tmp_path, "1" * 64, 1).load("../../etc/passwd")


def test_features_of_unknown_recordings_are_deleted_after_a_while(tmp_path):
    with closing(open_store(f"sqlite:///{tmp_path}/annotations.sqlite")) as store:
        project = store.projects.create("Voices", "Ann")
        kept = RecordingFile("a" * 64, "a.wav", 1.0)
        store.recordings.add(project, [kept, RecordingFile("b" * 64, "b.wav", 1.0)], "Ann")
        for sha256 in ("a" * 64, "b" * 64):
            save_sound(sha256.encode(), tmp_path)  # so that the folder of sounds exists
            FeatureFolder(tmp_path, "1" * 64, 1).save(sha256, RecordingFeatures(np.ones(3), np.ones(1), 1.0))
        store.trash.delete_recording("b" * 64, "Ann", for_good=True)
        finish_deletions(store, tmp_path)
    assert sha256_with_features(tmp_path) == {"a" * 64}


# --- the command ---


def test_command_writes_a_point_for_each_recording_of_a_corpus(whisper, make_voice, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", make_voice(1.0, 16_000, number), 16_000)
    rows = ["path,emotion,speaker", "0.wav,sad,=A1", "1.wav,happy,Ben", "2.wav,sad,Ben"]
    (tmp_path / "voices.csv").write_text("\n".join(rows))
    arguments = ["map", "--corpus", f"own={tmp_path / 'voices.csv'}", "--out", str(tmp_path / "map.csv")]
    assert main(arguments) == 0
    assert "3 points" in capsys.readouterr().out
    written = list(csv.DictReader((tmp_path / "map.csv").read_text().splitlines()))
    assert [(row["file"], row["emotion"], row["corpus"]) for row in written] == [
        ("0.wav", "sad", "own"),
        ("1.wav", "happy", "own"),
        ("2.wav", "sad", "own"),
    ]
    assert written[0]["speaker"] == "'=A1"  # not a formula
    assert sum(float(row["x"]) for row in written) == pytest.approx(0, abs=1e-3)
    assert main([*arguments, "--remove-speaker-means"]) == 0
    assert "but not from 3 recordings" in capsys.readouterr().out
    assert main([*arguments, "--model", "mfcc_svm"]) == 2
    assert "has no features" in capsys.readouterr().err


def test_command_names_each_file_by_its_path_in_the_corpus(whisper, make_voice, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SER_RUNS", str(tmp_path / "runs"))
    rows = ["path,emotion,speaker"]
    for number, (person, take) in enumerate((person, take) for person in ("anna", "ben") for take in "123"):
        (tmp_path / person).mkdir(exist_ok=True)
        soundfile.write(tmp_path / person / f"{take}.wav", make_voice(1.0, 16_000, number), 16_000)
        rows.append(f"{person}/{take}.wav,sad,{person}")
    (tmp_path / "voices.csv").write_text("\n".join(rows))
    out = tmp_path / "map.csv"
    arguments = ["map", "--corpus", f"own={tmp_path / 'voices.csv'}", "--out", str(out), "--remove-speaker-means"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "mean was removed" in printed
    assert "0 recordings" not in printed
    written = [row["file"] for row in csv.DictReader(out.read_text().splitlines())]
    assert written == [row.split(",")[0] for row in rows[1:]]
