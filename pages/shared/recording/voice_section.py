"""*Voice* in the sidebar: judge a voice relative to its own normal, from several recordings. Nothing is stored."""

import streamlit as st

from pages.shared import cached, session
from pages.shared.names import in_markdown
from ser_core.analysis import Recording
from ser_core.model.classifier import Classifier
from ser_core.model.voice import caution_in_words, share_in_words, trust, voice_share
from ser_core.work.jobs import Job

HELP = """
One person's angry voice is another's usual tone. With several recordings of a person, the model's scores are taken
relative to how it usually judges this voice, its *own normal*: the more recordings, the more. The recordings need no
labels. If they all show one emotion, the model would mistake that emotion for the voice, so the own normal is used with
caution unless you tick *They show different emotions*.

This applies to all pages. Nothing about the voice is stored: it is forgotten when you leave or switch this off.
"""

MIXED_HELP = """
Tick this if the recordings show several emotions about equally often. The voice's own normal then counts in full,
which improves the scores more. Do not tick it if one emotion prevails, even neutral: the model would mistake it for the
voice.
"""


def show(classifier: Classifier, recording: Recording, labels: dict[str, str]) -> Job | None:
    """Ask for recordings of one person; return the job that computes the voice's own normal, or None.

    Parameters
    ----------
    labels : dict of str to str
        Labels of this visit's recordings, by SHA-256.
    """
    with st.expander("Voice", icon=":material/record_voice_over:"):
        chosen = _choose(classifier, labels)
    if not chosen:
        return None
    if recording.sha256 not in chosen:
        st.caption(f"{in_markdown(recording.name)} is not listed under *Voice*; its voice is judged like any other.")
        return None
    held = session.held()
    job = cached.voice_job(
        [held[sha256].recording for sha256 in chosen], classifier, mixed=session.choice("voice_mixed")
    )
    st.caption(_in_words(job, classifier))
    return job


def _choose(classifier: Classifier, labels: dict[str, str]) -> list[str]:
    """Return the recordings of one person: by default all present ones, but none that is added later."""
    if classifier.voice is None:
        st.caption(f"{in_markdown(classifier.name)} judges every voice alike. Choose another model to use this.")
        return []
    on = session.choice("voice_on")
    st.toggle("Recordings of one person", help=HELP, **session.widget("voice_on", on))
    if not on:
        return []
    chosen = session.choice("voice")
    there = list(labels) if chosen is None else [sha256 for sha256 in chosen if sha256 in labels]
    if there != chosen:
        session.choose("voice", there)
    recordings = st.multiselect(
        "Recordings of this person",
        list(labels),
        format_func=labels.get,
        placeholder="Choose at least one",
        **session.widget("voice", there),
    )
    mixed = session.choice("voice_mixed")
    st.checkbox("They show different emotions", help=MIXED_HELP, **session.widget("voice_mixed", mixed))
    return recordings


def _in_words(job: Job, classifier: Classifier) -> str:
    if job.state != "done":
        return (
            "Computing the voice's own normal."
            if not job.ended.is_set()
            else "The voice's own normal is not available."
        )
    normal, speech_s = job.result
    count = "1 recording" if normal.recordings == 1 else f"{normal.recordings} recordings"
    share, trusted = voice_share(normal, classifier.voice), trust(normal, classifier.voice)
    return f"{count}, {speech_s:.0f} s of speech: {share_in_words(share)} {caution_in_words(trusted)}".strip()


def adapted(classifier: Classifier, job: Job | None) -> Classifier:
    """Return the classifier adapted to the voice, or unchanged without a voice; stop the page until the job ends."""
    from pages.shared import waiting  # which imports the sidebar, which imports this module

    if job is None:
        return classifier
    if "voice" in waiting.results({"voice": job}):
        return classifier.with_voice(job.result[0])
    if not job.ended.is_set():
        st.stop()
    return classifier
