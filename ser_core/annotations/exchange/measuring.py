"""Measures of all marks as one CSV: the fields of the marks, and measures of the voice in them."""

import csv
import io
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields

from ser_core.analysis import Recording, Region, moved
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.f0.operations import corrected_tracks
from ser_core.annotations.formats import table
from ser_core.annotations.formats.fields import writable
from ser_core.annotations.saved_sounds import MARGIN_S
from ser_core.annotations.words import WORD_TIERS
from ser_core.audio.acoustics import DEFAULT_CEILING_HZ, Tracks, tracks_of
from ser_core.audio.cutting import region_samples
from ser_core.audio.measures import Measures, measures_of
from ser_core.audio.working_copy import LONGEST_STRETCH_S
from ser_core.errors import AudioRefused, RecordingTooLong
from ser_core.model.classifier import Classifier
from ser_core.pipeline.voice import score_sounds
from ser_core.settings import AudioLimits, F0Settings
from ser_core.work.progress import Work

#: In recordings of over ten minutes: the longest mark that is measured, and the longest stretch analysed at once.
LONGEST_MEASURED_S = LONGEST_STRETCH_S - 2 * MARGIN_S - 4
TOGETHER_S = 60.0

MEASURES = tuple(field.name for field in fields(Measures))
#: The words that lie within the mark.
WORDS = "words_within"
#: Cut sounds are faded, so that their edges do not click.
FADE_S = 0.005


@dataclass(frozen=True)
class MeasuredMarks:
    """A CSV with a row for each mark.

    Attributes
    ----------
    content : bytes
        The columns of our CSV of marks, those of `Measures`, the words within each mark and, with a model, its score of
        each emotion; cells without a measure are empty.
    marks : int
    without_sound : int
        Number of recordings whose sound is missing or cannot be read, so that their marks have no measures.
    too_long : int
        Number of marks in recordings of more than ten minutes that are too long to be measured.
    """

    content: bytes
    marks: int
    without_sound: int
    too_long: int = 0


def measure_marks(
    recordings: Sequence[AnnotatedRecording],
    sound_of: Callable[..., Recording | None],
    ceiling_hz: float = DEFAULT_CEILING_HZ,
    work: Work | None = None,
    classifier: Classifier | None = None,
) -> MeasuredMarks:
    """Measure the marks of recordings.

    Parameters
    ----------
    sound_of : callable
        As `sounds_of` returns it.
    ceiling_hz : float
        See `formants`.
    classifier : Classifier, optional
        Scores each mark as if it were a recording.

    Raises
    ------
    AnnotationsRefused
        If a mark cannot be written.
    Cancelled
    """
    work = work or Work()
    marked = [recording for recording in recordings if recording.annotations]
    text, without_sound, too_long = io.StringIO(newline=""), 0, 0
    rows = csv.writer(text)
    scores = () if classifier is None else tuple(f"p_{emotion}" for emotion in classifier.emotions)
    rows.writerow((*table.COLUMNS, *MEASURES, WORDS, *scores))
    for done, recording in enumerate(map(writable, marked)):
        part = work.part(done, len(marked), f"Recording {done + 1} of {len(marked)}")
        part.check("Measuring was stopped.")
        measures = _measures(recording, sound_of, ceiling_hz, classifier, part)
        without_sound += measures is None
        words = _words(recording)
        for number, mark in enumerate(recording.annotations):
            known = None if measures is None else measures[number]
            too_long += measures is not None and known is None
            measured, scored = known or ([""] * len(MEASURES), [""] * len(scores))
            rows.writerow([*table.row_of(recording, mark), *measured, _words_within(mark.region, words), *scored])
    marks = sum(len(recording.annotations) for recording in marked)
    return MeasuredMarks(text.getvalue().encode("utf-8-sig"), marks, without_sound, too_long)


def _words(recording: AnnotatedRecording) -> list[tuple[float, str]]:
    """Return each word with its middle in seconds, in order of time; one that several people marked only once."""
    named = (tier for tier in recording.all_tiers if tier.name.strip().lower() in WORD_TIERS)
    tiers = {tier.key for tier in named if tier.content == "text"}
    marked_words = {(mark.region, mark.note) for mark in recording.annotations if mark.tier in tiers and mark.note}
    return sorted(((region.start_s + region.end_s) / 2, note) for region, note in marked_words)


def _words_within(region: Region, words: Sequence[tuple[float, str]]) -> str:
    first, end = (bisect_left(words, (at, "")) for at in (region.start_s, region.end_s))
    return table.in_cell(" ".join(word for _, word in words[first:end]))


#: The cells of a mark: its measures, and its scores.
Cells = tuple[list[str], list[str]]


def _measures(
    recording: AnnotatedRecording,
    sound_of: Callable[..., Recording | None],
    ceiling_hz: float,
    classifier: Classifier | None,
    work: Work,
) -> list[Cells | None] | None:
    """Return the cells of each mark, None for those that are too long; None if the sound is missing."""
    regions = [mark.region for mark in recording.annotations]
    try:
        sound = sound_of(recording.sha256)
        if sound is None:
            return None
        tracks = tracks_of(sound, ceiling_hz=ceiling_hz, work=work)
        tracks = corrected_tracks(tracks, sound, recording.f0.hz)
        return [_cells(sound, tracks, region, classifier, work) for region in regions]
    except RecordingTooLong:
        return _measures_in_stretches(recording, regions, sound_of, ceiling_hz, classifier, work)
    except AudioRefused:
        return None


def _measures_in_stretches(
    recording: AnnotatedRecording,
    regions: Sequence[Region],
    sound_of: Callable[..., Recording | None],
    ceiling_hz: float,
    classifier: Classifier | None,
    work: Work,
) -> list[Cells | None] | None:
    """Return the cells of regions of a long recording, measured in stretches around them."""
    found: list[Cells | None] = [None] * len(regions)
    groups = _group_regions(regions)
    for done, group in enumerate(groups):
        part = work.part(done, len(groups))
        part.check("Measuring was stopped.")
        start_s = min(regions[index].start_s for index in group)
        around = Region(start_s, max(*(regions[index].end_s for index in group), start_s + F0Settings().hop_s))
        try:
            sound = sound_of(recording.sha256, around)
        except AudioRefused:
            return None
        if sound is None:
            return None
        tracks = tracks_of(sound, ceiling_hz=ceiling_hz, work=part)
        tracks = corrected_tracks(tracks, sound, recording.f0.from_time(sound.start_s).hz)
        for index in group:
            found[index] = _cells(sound, tracks, moved(regions[index], -sound.start_s), classifier, part)
    return found


def _cells(sound: Recording, tracks: Tracks, region: Region, classifier: Classifier | None, work: Work) -> Cells:
    measured = [_cell(value) for value in astuple(measures_of(tracks, region))]
    if classifier is None:
        return measured, []
    work.check("Measuring was stopped.")
    if region.duration_s < AudioLimits().shortest_s:
        return measured, [""] * len(classifier.emotions)
    (scores,) = score_sounds(sound, [region_samples(sound, region, FADE_S)], classifier)
    return measured, [_cell(score) for score in scores]


def _group_regions(regions: Sequence[Region]) -> list[list[int]]:
    """Return the indices of regions in groups that are measured together, without those that are too long."""
    groups: list[list[int]] = []
    begins_s = 0.0
    for index in sorted(range(len(regions)), key=lambda index: regions[index].start_s):
        region = regions[index]
        if region.duration_s > LONGEST_MEASURED_S:
            continue
        if not groups or region.end_s - begins_s > TOGETHER_S:
            groups.append([])
            begins_s = region.start_s
        groups[-1].append(index)
    return groups


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
