"""*Voice* in the sidebar: judge a voice relative to its own normal, from several recordings. Nothing is stored."""

import streamlit as st

from pages.shared import cached, session, waiting
from pages.shared.cached import classifying
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from pages.shared.recording import open_recordings
from ser_core.analysis import Recording
from ser_core.annotations.store.database import default_url
from ser_core.annotations.store.recordings import RecordingFile, Speaker
from ser_core.errors import AnnotationsRefused
from ser_core.model.classifier import Classifier
from ser_core.model.voice import VoiceShare, caution_in_words, share_in_words, trust, voice_share
from ser_core.output.saved_analyses import data_folder
from ser_core.work.jobs import Job

#: More recordings hardly change a voice's own normal.
MAX_PROJECT_RECORDINGS = 40

HELP = texts("""
One person's angry voice is another's usual tone. Several recordings of a person show how the model usually judges this
voice, its *own normal*. The scores are then shifted so that over these recordings all emotions come out about equally
often; the more recordings there are, the further they are shifted. No labels are needed. If all recordings show one
emotion, the model would mistake that emotion for the voice, so the own normal is used with caution unless you tick
*They show different emotions*.

This applies to all pages. Nothing about the voice is stored: it is forgotten when you leave or switch this off.
""")

MIXED_HELP = texts("""
Tick this if the recordings show several emotions about equally often. The voice's own normal then counts in full,
which improves the scores more. Do not tick it if one emotion prevails, even neutral: the model would mistake it for the
voice.
""")


def show(classifier: Classifier, recording: Recording, labels: dict[str, str]) -> Job | None:
    """Ask for recordings of one person; return the job that computes the voice's own normal, or None.

    Parameters
    ----------
    labels : dict of str to str
        Labels of this visit's recordings, by SHA-256.
    """
    with st.expander(t("Voice"), icon=":material/record_voice_over:"):
        chosen = _choose(classifier, labels)
        files = _of_project() if classifier.voice is not None and session.choice("voice_on") else []
    if not chosen and not files:
        return None
    if recording.sha256 not in {*chosen, *(file.sha256 for file in files)}:
        st.caption(
            t(
                "{name} is not listed under *Voice*; its voice is judged like any other.",
                name=in_markdown(recording.name),
            )
        )
        return None
    held = open_recordings.held()
    job = classifying.voice_job(
        [held[sha256].recording for sha256 in chosen], classifier, files, mixed=session.choice("voice_mixed")
    )
    st.caption(_in_words(job, classifier))
    return job


def _choose(classifier: Classifier, labels: dict[str, str]) -> list[str]:
    """Return the recordings of one person: by default all that are open now, without those opened later."""
    if classifier.voice is None:
        st.caption(
            t("{name} judges every voice alike. Choose another model to use this.", name=in_markdown(classifier.name))
        )
        return []
    on = session.choice("voice_on")
    st.toggle(t("Recordings of one person"), help=t(HELP), **session.widget("voice_on", on))
    if not on:
        return []
    chosen = session.choice("voice")
    selected = list(labels) if chosen is None else [sha256 for sha256 in chosen if sha256 in labels]
    if selected != chosen:
        session.choose("voice", selected)
    recordings = st.multiselect(
        t("Recordings of this person"),
        list(labels),
        format_func=labels.get,
        placeholder=t("Choose at least one"),
        **session.widget("voice", selected),
    )
    mixed = session.choice("voice_mixed")
    st.checkbox(t("They show different emotions"), help=t(MIXED_HELP), **session.widget("voice_mixed", mixed))
    return recordings


def others_of_voice(recording: Recording) -> list[Recording]:
    """Return the other recordings that the visitor listed for the same person; none if *Voice* is off."""
    chosen, held = session.choice("voice") or [], open_recordings.held()
    if not session.choice("voice_on") or recording.sha256 not in chosen:
        return []
    return [held[sha256].recording for sha256 in chosen if sha256 in held and sha256 != recording.sha256]


def _of_project() -> list[RecordingFile]:
    """Ask for a speaker of an annotation project, if there are any; return this speaker's recordings."""
    if not cached.has_annotations():
        return []
    try:
        store = cached.annotations(default_url(data_folder()))
        speakers = {(one.project_id, one.speaker): one for one in store.recordings.speakers()}
        if session.choice("voice_project") not in (None, *speakers):
            session.choose("voice_project", None)
        if not speakers:
            return []
        key = st.selectbox(
            t("Also from a project"),
            [None, *speakers],
            format_func=lambda key: t("none") if key is None else _label_of(speakers[key]),
            help=t(
                "Recordings on the page Annotate whose speaker is named. Of more than {limit}, the "
                "first by name are used.",
                limit=MAX_PROJECT_RECORDINGS,
            ),
            **session.widget("voice_project", session.choice("voice_project")),
        )
        return store.recordings.of_speaker(*key)[:MAX_PROJECT_RECORDINGS] if key else []
    except AnnotationsRefused as refusal:
        st.caption(in_markdown(recognised(str(refusal))))
        return []


def _label_of(speaker: Speaker) -> str:
    return t(
        "{name} in {project} ({n})",
        name=printable(speaker.speaker),
        project=printable(speaker.project),
        n=speaker.count,
    )


def _in_words(job: Job, classifier: Classifier) -> str:
    if job.state != "done":
        return t(
            "The voice's own normal is not available." if job.ended.is_set() else "Computing the voice's own normal."
        )
    normal, speech_s = job.result
    return plural(
        normal.recordings,
        "{n} recording, {seconds:.0f} s of speech: {share}",
        "{n} recordings, {seconds:.0f} s of speech: {share}",
        seconds=speech_s,
        share=_share_in_words(voice_share(normal, classifier.voice), trust(normal, classifier.voice)),
    )


def known_in_words(voice: VoiceShare) -> str:
    """Describe how far a voice is judged by its own normal, and from how many recordings."""
    recordings = plural(voice.recordings, "Known from {n} recording.", "Known from {n} recordings.")
    return f"{recordings} {_share_in_words(voice.share, voice.trust)}"


def _share_in_words(share: float, trust_share: float) -> str:
    return f"{recognised(share_in_words(share))} {recognised(caution_in_words(trust_share))}".strip()


def adapted(classifier: Classifier, job: Job | None) -> Classifier:
    """Return the classifier adapted to the voice, or unchanged without a voice; stop the page until the job ends."""
    if job is None:
        return classifier
    if "voice" in waiting.results({"voice": job}):
        return classifier.with_voice(job.result[0])
    if not job.ended.is_set():
        st.stop()
    return classifier
