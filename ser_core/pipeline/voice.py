"""The voice in a recording: which of its changes flip the verdict, its measures in the focus, and its own normal."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ser_core.analysis import Analysis, Recording, Region
from ser_core.audio.acoustic_correlates import Correlates, acoustic_tracks, correlates_in, correlates_outside
from ser_core.audio.prosody import prosody_of
from ser_core.audio.voice_change.marks import pitch_marks
from ser_core.errors import SettingsRefused
from ser_core.explanation.counterfactual.voice import VoiceCounterfactuals, voice_counterfactuals
from ser_core.front_end.selection import segments_of_recording
from ser_core.model.classifier import Classifier
from ser_core.model.scores import pool, softmax
from ser_core.model.voice import VoiceNormal, logits_of_pieces, voice_normal
from ser_core.pipeline import predict_logits
from ser_core.work.progress import UNWATCHED, Work


def find_voice_counterfactuals(
    analysis: Analysis,
    classifier: Classifier,
    regions: Sequence[Region] = (),
    work: Work = UNWATCHED,
    *,
    unnatural: bool = True,
) -> VoiceCounterfactuals:
    """Change the voice in the analysed stretch, everywhere or in some regions of it, and score each changed sound.

    Unlike a perturbed spectrogram, a changed sound is segmented and selected from like a new recording.

    Parameters
    ----------
    unnatural : bool
        Whether to try unnatural changes too, so that curves extend beyond the natural limits.

    Raises
    ------
    SettingsRefused
        If there are regions, and none of them lies in the stretch.
    Cancelled
    """
    recording, inside = _stretch_alone(analysis, regions)
    if regions and not inside:
        raise SettingsRefused("None of the regions lies in the analysed stretch. Choose regions inside it.")
    found = work.compute(_voice_counterfactuals, recording, inside, classifier, unnatural)
    return replace(found, recording=recording)  # a cluster returns a copy


def _voice_counterfactuals(
    recording: Recording, inside: list[Region], classifier: Classifier, unnatural: bool, work: Work
) -> VoiceCounterfactuals:
    work.report(0.0, "Finding the periods of the voice")
    marks = pitch_marks(recording, prosody_of(recording))

    def score_changed(sounds: Sequence[np.ndarray], part: Work) -> np.ndarray:
        return score_sounds(recording, sounds, classifier, part)

    return voice_counterfactuals(recording, marks, inside, score_changed, work, unnatural=unnatural)


def score_sounds(
    recording: Recording, sounds: Sequence[np.ndarray], classifier: Classifier, work: Work = UNWATCHED
) -> np.ndarray:
    """Return the scores (sounds, classes), float64, of sounds (n,) at a recording's rate, predicted in batches."""
    segments = [segments_of_recording(replace(recording, samples=sound), classifier.front_end) for sound in sounds]
    selected = [one.values[one.selected] for one in segments]
    same_length = len({values.shape[1] for values in selected}) == 1
    batches = [np.concatenate(selected)] if same_length else selected
    logits = np.concatenate([predict_logits(values, classifier, work.silently()) for values in batches])
    logits_of_sounds = np.split(logits, np.cumsum([len(values) for values in selected])[:-1])
    return np.stack([pool(softmax(rows, classifier.temperature), classifier.pooling) for rows in logits_of_sounds])


def correlates_of_focus(analysis: Analysis) -> tuple[Correlates, Correlates]:
    """Return the acoustic correlates of the focus, and of the rest of the analysed stretch."""
    recording, inside = _stretch_alone(analysis, [focus.region for focus in analysis.focus])
    tracks = acoustic_tracks(recording)
    return correlates_in(tracks, inside), correlates_outside(tracks, inside)


def _stretch_alone(analysis: Analysis, regions: Sequence[Region]) -> tuple[Recording, list[Region]]:
    """Return the analysed stretch as a recording, and the regions inside it, in its time."""
    recording, stretch = analysis.recording, analysis.stretch
    first, end = (round(second * recording.sample_rate_hz) for second in (stretch.start_s, stretch.end_s))
    if (first, end) != (0, len(recording.samples)):
        recording = replace(recording, samples=recording.samples[first:end])
    inside = [
        Region(max(0.0, region.start_s - stretch.start_s), min(region.end_s, stretch.end_s) - stretch.start_s)
        for region in regions
        if region.start_s < stretch.end_s and region.end_s > stretch.start_s
    ]
    return recording, inside


def logits_for_normal(recording: Recording, classifier: Classifier, work: Work = UNWATCHED) -> np.ndarray:
    """Return the logits (pieces, classes), float64, from which a speaker's normal is computed."""
    segments = segments_of_recording(recording, classifier.front_end)
    return logits_of_pieces(predict_logits(segments.values[segments.selected], classifier, work.silently()))


def speaker_normal(
    recordings: Sequence[Recording],
    classifier: Classifier,
    work: Work = UNWATCHED,
    *,
    mixed: bool = False,
) -> VoiceNormal:
    """Return the normal of one speaker; `mixed` if the recordings are known to show different emotions."""
    logits = []
    for done, recording in enumerate(recordings):
        work.report(done / len(recordings), f"Recording {done + 1} of {len(recordings)}")
        logits.append(logits_for_normal(recording, classifier, work))
    return voice_normal(logits, mixed=mixed)
