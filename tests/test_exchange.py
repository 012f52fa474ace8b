"""Import from files of other tools: to which recording marks belong, and what becomes of those that do not fit it."""

import pytest

from ser_core.analysis import Region
from ser_core.annotations.exchange.importing import ImportOptions, as_of_recordings, read_files
from ser_core.annotations.store.recordings import RecordingFile
from ser_core.errors import AnnotationsRefused

VOICE = RecordingFile("a" * 64, "voice.wav", 2.0, 16_000)


def grid(*labels: tuple[float, float, str], name: str = "emotion", end_s: float = 2.0) -> bytes:
    """Return a TextGrid of one tier."""
    said = " ".join(f'{start} {end} "{label}"' for start, end, label in labels)
    tier = f'"IntervalTier" "{name}" 0 {end_s} {len(labels)} {said}'
    return f'"ooTextFile" "TextGrid" 0 {end_s} <exists> 1 {tier}'.encode()


def imported(content: bytes, options=None, known=(VOICE,), name="voice.TextGrid"):
    """Return a file and its only document, as those of a recording."""
    options = options or ImportOptions()
    read = read_files([(name, content)], options)
    (file,) = as_of_recordings(read, known, tolerance_s=options.tolerance_s)
    (document,) = file.documents
    return file, document


# --- by hand: a grid that is not as long as its audio ---


def test_a_grid_66_ms_longer_than_its_audio_is_cut_and_reported():
    file, document = imported(grid((0, 1, "sad"), (1, 2.03, "angry"), (2.03, 2.066, "happy"), end_s=2.066))
    assert [mark.region for mark in document.annotations] == [Region(0, 1), Region(1, 2)]
    assert (document.sha256, document.duration_s) == (VOICE.sha256, VOICE.duration_s)
    assert file.changed == ("1 mark cut at the end of the recording, at 2 s",)
    assert file.dropped == ("1 mark after the end of the recording, at 2 s",)


@pytest.mark.parametrize(("tolerance_s", "end_s"), [(0.0, 2.01), (0.05, 2.066), (0.1, 2.2)])
def test_what_ends_later_than_the_tolerance_is_refused(tolerance_s, end_s):
    with pytest.raises(AnnotationsRefused, match=rf"voice.TextGrid: Mark 1.*ends at {end_s} s.*--tolerance"):
        imported(grid((1, end_s, "sad"), end_s=end_s), ImportOptions(tolerance_s=tolerance_s))


def test_times_of_a_part_of_another_recording_are_moved_and_the_refusal_says_by_how_much():
    part = grid((12.5, 13.5, "sad"), end_s=14.5).replace(b'"TextGrid" 0', b'"TextGrid" 12.5')
    with pytest.raises(AnnotationsRefused, match=r"--offset -12\.5"):
        imported(part)
    file, document = imported(part, ImportOptions(offset_s=-12.5))
    assert [mark.region for mark in document.annotations] == [Region(0, 1)]
    assert (file.dropped, file.changed) == ((), ())


@pytest.mark.parametrize(
    "options",
    [{"offset_s": float("nan")}, {"offset_s": 1e9}, {"tolerance_s": -1}, {"encoding": "klingon"}, {"encoding": "hex"}],
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(AnnotationsRefused):
        ImportOptions(**options)


# --- whose marks they are ---


def test_a_file_of_an_unknown_or_an_ambiguous_name_is_refused_with_what_is_true():
    twin = RecordingFile("b" * 64, "voice.wav", 2.0, 16_000)
    with pytest.raises(AnnotationsRefused, match=r"has 2 recordings called.*--audio"):
        imported(grid((0, 1, "sad")), known=(VOICE, twin))
    with pytest.raises(AnnotationsRefused, match=r"no recording called 'other.TextGrid'.*--audio"):
        imported(grid((0, 1, "sad")), name="other.TextGrid")
