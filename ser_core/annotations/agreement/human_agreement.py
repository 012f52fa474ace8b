"""Whether explainers mark what people mark: recordings are explained anew, with the question that the marks ask."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ser_core.analysis import Recording
from ser_core.annotations.agreement.against_maps import RecordingAgainstMaps, marks_against_maps
from ser_core.annotations.annotation import REGION_TIER, AnnotatedRecording
from ser_core.errors import AudioRefused
from ser_core.explanation import EXPLAINERS, explainers_of
from ser_core.explanation.agreement import with_consensus
from ser_core.model.classifier import Classifier
from ser_core.pipeline import analyse_recording
from ser_core.settings import AnalysisSettings
from ser_core.work.progress import UNWATCHED, Work

CONSENSUS = "consensus"
COMPARED = (*EXPLAINERS, CONSENSUS)


@dataclass(frozen=True, eq=False)
class ComparedWithExplainers:
    """What comparing the recordings of a project gave.

    Attributes
    ----------
    by_sha256 : dict of RecordingAgainstMaps
    silent : int
        Recordings with marks in time whose sound was not at hand, or none that the model can hear.
    """

    by_sha256: dict[str, RecordingAgainstMaps]
    silent: int


def compare_with_explainers(
    recordings: Sequence[AnnotatedRecording],
    sound_of: Callable[[str], Recording | None],
    classifier: Classifier,
    methods: Sequence[str],
    work: Work = UNWATCHED,
) -> ComparedWithExplainers:
    """Explain the recordings that are marked in time, and compare each map with the marks.

    Parameters
    ----------
    sound_of : callable
        From a recording's SHA-256 to its sound; None where that is not at hand.
    methods : sequence of str
        Of `COMPARED`; the consensus is that of all explainers.

    Raises
    ------
    Cancelled
    """
    marked = [r for r in recordings if any(mark.tier == REGION_TIER for mark in r.annotations)]
    compared: dict[str, RecordingAgainstMaps] = {}
    for done, recording in enumerate(marked):
        work.check("The comparison was stopped.")
        work.report(done / len(marked), f"Explaining recording {done + 1} of {len(marked)}")
        try:
            sound = sound_of(recording.sha256)
            if sound is not None:
                compared[recording.sha256] = _against_maps(recording, sound, classifier, methods)
        except AudioRefused:  # what this model cannot hear is counted with what nobody can
            continue
    return ComparedWithExplainers(compared, len(marked) - len(compared))


def _against_maps(
    recording: AnnotatedRecording, sound: Recording, classifier: Classifier, methods: Sequence[str]
) -> RecordingAgainstMaps:
    """Compare marks with maps of the emotion that most marks name, or, where none names one, that the model hears."""
    named = Counter(mark.emotion for mark in recording.annotations if mark.tier == REGION_TIER)
    emotion = next((emotion for emotion, _ in named.most_common() if emotion in classifier.emotions), None)
    possible = explainers_of(classifier)
    explain = possible if CONSENSUS in methods else tuple(method for method in methods if method in possible)
    settings = AnalysisSettings(emotion=emotion, explain=explain)
    analysis = analyse_recording(sound, classifier, settings)
    maps = with_consensus(analysis.explanations)
    wanted = {method: maps[method] for method in methods if method in maps}
    return marks_against_maps(recording, analysis.spectrogram, wanted, settings.focus)
