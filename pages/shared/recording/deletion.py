"""Delete a recording with everything made from it: in this visit, saved, and in the visitor's own projects."""

from contextlib import closing
from datetime import UTC, datetime

import streamlit as st

from pages.shared import cached, session
from pages.shared.cached import forgetting
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown
from pages.shared.recording import open_recordings
from pages.shared.server import login, visits
from ser_core.analysis import Recording
from ser_core.annotations.corpus_map.saved_features import delete_features
from ser_core.annotations.saved_sounds import delete_sound, finish_deletions
from ser_core.annotations.store.database import default_url
from ser_core.annotations.store.people.ownership import Ownership
from ser_core.annotations.store.transactions import open_store
from ser_core.annotations.teaching.corpus import TAUGHT, delete_taught
from ser_core.errors import AnnotationsRefused, SerError
from ser_core.output.saved_analyses import data_folder, delete_recording, is_saved

#: Session key: the recording whose deletion awaits confirmation.
CONFIRMING = "deletion to confirm"

LEAVE, TRASH, FOR_GOOD = texts(("Leave it there", "Move it to the trash for 30 days", "Delete it there permanently"))


def button(recording: Recording | open_recordings.HeldLong) -> None:
    """Offer to delete the current recording; ask for confirmation if it is saved or in projects."""
    if st.session_state.get(CONFIRMING) == recording.sha256:
        _confirm(recording)
    elif st.button(
        t("Delete this recording"),
        key="delete_recording",
        icon=":material/delete_forever:",
        width="stretch",
        help=t(
            "Deletes the recording with its scores, maps, audio and saved analyses, of every model and "
            "visit. If it is saved, you are asked first. If projects on the page Annotate contain it, you first see "
            "whose marks it has. Your own file is not touched."
        ),
    ):
        st.session_state[CONFIRMING] = recording.sha256
        try:
            is_stored = is_saved(recording.sha256, data_folder()) or bool(_ownerships(recording.sha256))
        except AnnotationsRefused:
            is_stored = True  # unknown; the next run shows why
        if is_stored or _delete(recording, LEAVE):
            st.rerun()


#: The confirmation opens at the end of the sidebar, perhaps below the window.
SHOW_CONFIRMATION = """
<script>document.querySelector(".st-key-confirm_deletion")?.scrollIntoView({ block: "nearest" })</script>
"""


def _confirm(recording: Recording | open_recordings.HeldLong) -> None:
    with st.container(border=True, key="confirm_deletion"):
        st.markdown(t("**Delete {name}?**", name=in_markdown(recording.name)))
        st.caption(t("Its scores, maps, audio and saved analyses are deleted at once and cannot be restored."))
        choices = _in_projects(recording)
        fate = LEAVE
        if choices:
            fate = st.radio(
                t("In {projects}", projects=in_markdown(t(" and ").join(one.project_name for one in choices))),
                (LEAVE, TRASH, FOR_GOOD),
                format_func=t,
                index=1,
                key=f"fate_{recording.sha256}",
                help=t(
                    "Its audio, its marks and their history. You can restore it from the trash on the page Annotate, "
                    "under Projects."
                ),
            )
        with st.container(horizontal=True):
            confirmed = st.button(t("Delete"), key="confirm_delete", type="primary", icon=":material/delete_forever:")
            if st.button(t("Cancel"), key="cancel_delete"):
                del st.session_state[CONFIRMING]
                st.rerun()
        st.html(SHOW_CONFIRMATION, unsafe_allow_javascript=True)
        if confirmed and _delete(recording, fate):
            st.rerun()


def _in_projects(recording: Recording | open_recordings.HeldLong) -> list[Ownership]:
    """Show which projects contain a recording, and who marked it; return those the visitor may delete it from."""
    try:
        ownerships = _ownerships(recording.sha256)
    except AnnotationsRefused as refusal:
        st.warning(
            t("If projects contain it, it stays there: {refusal}", refusal=in_markdown(recognised(str(refusal)))),
            icon=":material/database_off:",
        )
        return []
    deletable = []
    for ownership in ownerships:
        st.markdown(
            t(
                "In the project **{project}**: {marks}.",
                project=in_markdown(ownership.project_name),
                marks=in_markdown(marks_in_words(ownership)),
            )
        )
        if ownership.may_delete(_person()):
            deletable.append(ownership)
        else:
            ask = t("It stays there. Ask {people} to delete it.", people=in_markdown(ownership.responsible))
            unknown = t("If that is you, enter your name on the page Annotate first.")
            st.caption(ask if _person() else f"{ask} {unknown}")
    return deletable


def marks_in_words(ownership: Ownership) -> str:
    """Return the number of marks by annotator, in words."""
    marks = sorted(ownership.marks.items())
    return ", ".join(
        plural(count, "{n} mark of {name}", "{n} marks of {name}", name=name)
        if count
        else t("F0 corrected by {name}", name=name)
        for name, count in marks
    ) or t("no marks")


def _person() -> str:
    return login.person() or session.choice("annotator").strip()


def _ownerships(sha256: str) -> list[Ownership]:
    if not cached.has_annotations():
        return []
    with closing(open_store(default_url(data_folder()))) as store:
        return store.trash.ownerships_of(sha256)


def _delete(recording: Recording | open_recordings.HeldLong, fate: str) -> bool:
    """Delete a recording, say so and return True, or show why not all of it could be deleted."""
    sha256 = recording.sha256
    try:
        delete_recording(sha256, data_folder())
        if cached.has_annotations():
            _delete_in_projects(sha256, fate)
        else:
            delete_sound(sha256, data_folder())
            delete_features(sha256, data_folder())
            delete_taught(sha256, data_folder() / TAUGHT)
    except (SerError, OSError) as refusal:
        st.error(
            t("Not all of it could be deleted: {refusal}", refusal=in_markdown(recognised(str(refusal)))),
            icon=":material/error:",
        )
        return False
    st.session_state.pop(CONFIRMING, None)
    visits.forget_recording(sha256)
    forgetting.forget_recording(sha256)
    open_recordings.forget_recording(sha256)
    # The page now shows another recording.
    st.toast(t("{name} is deleted.", name=in_markdown(recording.name)), icon=":material/delete_forever:")
    return True


def _delete_in_projects(sha256: str, fate: str) -> None:
    """Remove a recording from projects, and delete its audio if neither projects nor the trash contain it."""
    try:
        store = open_store(default_url(data_folder()))
    except AnnotationsRefused:
        if fate != LEAVE:
            raise
        return  # the page has told the visitor that it stays there
    with closing(store):
        if fate != LEAVE:
            store.trash.delete_recording(sha256, _person(), for_good=fate == FOR_GOOD)
        store.trash.note_sounds([sha256], datetime.now(UTC))
        finish_deletions(store, data_folder())
    for kind in ("export", "into", "measure", "hits", "people", "explainers", "map"):
        cached.jobs().forget(session.owner(), about=kind)
