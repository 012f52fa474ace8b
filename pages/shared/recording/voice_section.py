"""The sidebar's *Voice*: recordings of one person, whose voice is then judged by its own normal. Nothing is stored."""

import streamlit as st

from pages.shared import cached, session
from pages.shared.names import in_markdown
from ser_core.analysis import Recording
from ser_core.model.classifier import Classifier
from ser_core.model.voice import caution_in_words, share_in_words, trust, voice_share
from ser_core.work.jobs import Job

HELP = """
What sounds angry in one voice is another's usual tone. Where several recordings of a person are known, the model's
scores are taken relative to how it usually judges this voice: the more recordings, the more. Nobody needs to say what
they show. Of recordings that all show one emotion, that emotion would pass for the voice, so the normal is used with
caution unless you tick *They show different emotions*.

All pages then judge so. Nothing of the voice is stored: it ends with this visit, or as you switch it off.
"""

MIXED_HELP = """
Tick this if the recordings show several emotions about equally often: the voice's normal then counts fully, which is
right far more often. Of recordings of mostly one emotion, also of neutral speech alone, that emotion would be taken for
the voice.
"""


def show(classifier: Classifier, recording: Recording, labels: dict[str, str]) -> Job | None:
    """Let recordings of one person be chosen; return the job that gets to know the voice, where it is to be judged so.

    Parameters
    ----------
    labels : dict of str to str
        What to call the recordings of this visit, by SHA-256.
    """
    with st.expander("Voice", icon=":material/record_voice_over:"):
        chosen = _choose(classifier, labels)
    if not chosen:
        return None
    if recording.sha256 not in chosen:
        st.caption(f"{in_markdown(recording.name)} is not of the *Voice* above and is judged as any voice.")
        return None
    held = session.held()
    job = cached.knowing_voice(
        [held[sha256].recording for sha256 in chosen], classifier, mixed=session.choice("voice_mixed")
    )
    st.caption(_in_words(job, classifier))
    return job


def _choose(classifier: Classifier, labels: dict[str, str]) -> list[str]:
    """Return which recordings are of one person: at first all that there are, but none that comes later."""
    if classifier.voice is None:
        st.caption(f"{in_markdown(classifier.name)} judges every voice alike. Choose another model to change that.")
        return []
    on = session.choice("voice_on")
    st.toggle("These recordings are one person", help=HELP, **session.widget("voice_on", on))
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
        return "The voice is not known yet." if not job.ended.is_set() else "The voice could not be known."
    normal, speech_s = job.result
    count = "1 recording" if normal.recordings == 1 else f"{normal.recordings} recordings"
    share, trusted = voice_share(normal, classifier.voice), trust(normal, classifier.voice)
    return f"{count}, {speech_s:.0f} s of speech: {share_in_words(share)} {caution_in_words(trusted)}".strip()


def adapted(classifier: Classifier, job: Job | None) -> Classifier:
    """Return the classifier as it judges the voice, or itself where nothing is known; a page waits here for the job."""
    from pages.shared import waiting  # which imports the sidebar, and that this section

    if job is None:
        return classifier
    if "voice" in waiting.results({"voice": job}):
        return classifier.with_voice(job.result[0])
    if not job.ended.is_set():
        st.stop()
    return classifier
