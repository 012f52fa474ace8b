"""The words of a recording that are known so far, entered by the visitor or transcribed, with their evidence."""

from dataclasses import dataclass, field, replace

import numpy as np

from pages.shared.cached import transcribing
from pages.shared.language import t
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings, word_model
from pages.shared.session import Chosen
from ser_core.analysis import Analysis, Region
from ser_core.words.evidence import WordEvidence
from ser_core.words.transcription import Transcript
from ser_core.work.jobs import Job


@dataclass(frozen=True, eq=False)
class Spoken:
    """The words of a recording that are known so far.

    Attributes
    ----------
    entered : bool
        Whether the visitor entered or edited the words.
    transcript : Transcript or None
        None if the words were entered, or are not transcribed yet.
    jobs : dict of str to Job
        The jobs that find the words and their evidence.
    """

    words: tuple[Region, ...] = ()
    entered: bool = False
    transcript: Transcript | None = None
    evidence: WordEvidence | None = None
    jobs: dict[str, Job] = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """A sentence with the phrases that hold half of the evidence; empty if they are not known."""
        if self.evidence is None or not self.evidence.phrases:
            return ""
        phrases = ", ".join(f"*{in_markdown(phrase)}*" for phrase in self.evidence.phrases)
        return t("**Focus on:** {phrases} (half of the evidence).", phrases=phrases)

    def within(self, stretch: Region) -> "Spoken":
        """Return the words that lie within a stretch, in its time, with their evidence."""
        inside = np.array([w.start_s >= stretch.start_s and w.end_s <= stretch.end_s for w in self.words], bool)
        words = tuple(
            replace(word, start_s=word.start_s - stretch.start_s, end_s=word.end_s - stretch.start_s)
            for word, is_inside in zip(self.words, inside, strict=True)
            if is_inside
        )
        evidence = self.evidence
        if evidence is not None:
            figures = {name: getattr(evidence, name)[inside] for name in ("value", "low", "high", "alone")}
            evidence = replace(evidence, words=words, **figures)
        return replace(self, words=words, evidence=evidence)


def spoken_words(analysis: Analysis, chosen: Chosen) -> Spoken:
    """Return the words that are known so far; nothing is computed until the visitor requests it."""
    recording, settings = analysis.recording, chosen.settings
    words, transcript, jobs = open_recordings.entered_words().get(recording.sha256, ()), None, {}
    entered = bool(words)
    if recording.sha256 not in open_recordings.requested_words() or settings.against == analysis.emotion:
        return Spoken(transcribing.known_words(recording.sha256), entered)
    if not entered:
        language = open_recordings.requested_words()[recording.sha256] or None
        job = transcribing.finished_transcription(recording.sha256, language)
        if job is None and (folder := word_model.folder()) is not None:
            job = transcribing.transcription_job(recording, folder, language)
        if job is None:
            return Spoken()
        jobs["transcribe"], transcript = job, job.result
        words = transcript.words if transcript else ()
    evidence = None
    if words:
        jobs["words"] = transcribing.word_evidence_job(analysis, words, chosen.classifier, settings)
        found = jobs["words"].result
        evidence = found and replace(found, words=words)
    return Spoken(words, entered, transcript, evidence, jobs)
