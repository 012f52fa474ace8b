"""What others marked in the open recording, to be verified or sent back by whoever reviews it."""

from dataclasses import replace

import streamlit as st

from pages.shared.annotation import details_section
from pages.shared.annotation.place import Place
from pages.shared.names import printable
from ser_core.annotations.annotation import RECORDING_TIER, Annotation
from ser_core.annotations.store.store import OpenRecording

#: Label, icon, the status that it gives, and what it means.
DEEDS = (
    ("Verify", ":material/verified:", "verified", "They are right. Undo takes it back."),
    ("Send back", ":material/assignment_return:", "open", "They are to be looked at again by whoever made them."),
)


def show(place: Place, opened: OpenRecording) -> None:
    """List everybody else's marks; those that are chosen get another status in one step of the history."""
    others = [mark for mark in opened.annotations if mark.annotator != place.annotator]
    st.markdown(
        "**Others' marks**",
        help="Choose rows to verify them or to send them back. A click on a mark in the lane above plays it; a number "
        "then makes the same stretch a mark of your own. A verified mark that is changed is *done* again.",
    )
    if not others:
        st.caption("Nobody else has marked this recording yet.")
        return
    table = st.dataframe(
        [_row(mark) for mark in others],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        # Another table, in which nothing is chosen, as soon as a row could mean another mark.
        key=f"others {hash(tuple((mark.key, mark.revision) for mark in others))}",
    )
    chosen = [others[row] for row in table.selection.rows]
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, icon, status, words in DEEDS:
            changed = [replace(mark, status=status) for mark in chosen if mark.status != status]
            st.button(
                f"{label} {len(changed)}" if changed else label,
                icon=icon,
                help=words,
                disabled=not changed,
                on_click=details_section.do,
                args=(place.store.edit, place.project, opened.recording.file.sha256, place.annotator),
                kwargs={"change": changed},
            )
        if not chosen:
            st.caption("Choose one or more rows.")


def _row(mark: Annotation) -> dict[str, object]:
    region = mark.region
    return {
        "Who": printable(mark.annotator),
        "Where": "whole" if mark.tier == RECORDING_TIER else f"{region.start_s:.2f} to {region.end_s:.2f} s",
        "Emotion": printable(mark.emotion or "none"),
        "Intensity": "" if mark.intensity is None else str(mark.intensity),
        "Status": mark.status,
        "Note": printable(mark.note),
    }
