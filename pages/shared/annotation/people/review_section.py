"""Other people's marks in the open recording, to be verified or sent back."""

from dataclasses import replace

import streamlit as st

from pages.shared.annotation import details_section
from pages.shared.annotation.open_project import OpenProject
from pages.shared.names import printable
from ser_core.annotations.annotation import RECORDING_TIER, Annotation
from ser_core.annotations.store.store import OpenRecording

#: Label, icon, resulting status and meaning.
ACTIONS = (
    ("Verify", ":material/verified:", "verified", "The marks are right. Undo reverts this."),
    ("Send back", ":material/assignment_return:", "open", "Whoever made the marks should look at them again."),
)


def show(project: OpenProject, opened: OpenRecording) -> None:
    """List everybody else's marks; changing the status of the selected ones is one step of the history."""
    others = [mark for mark in opened.annotations if mark.annotator != project.annotator]
    st.markdown(
        "**Others' marks**",
        help="Select rows to verify the marks or send them back. Click a mark in the lane above to play it; a number "
        "key then adds a mark of your own there. Changing a verified mark sets it back to *done*.",
    )
    if not others:
        st.caption("Nobody else has marked this recording yet.")
        return
    table = st.dataframe(
        [_row(mark) for mark in others],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        # A new table, with nothing selected, as soon as a row could stand for another mark.
        key=f"others {hash(tuple((mark.key, mark.revision) for mark in others))}",
    )
    chosen = [others[row] for row in table.selection.rows]
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, icon, status, words in ACTIONS:
            changed = [replace(mark, status=status) for mark in chosen if mark.status != status]
            st.button(
                f"{label} {len(changed)}" if changed else label,
                icon=icon,
                help=words,
                disabled=not changed,
                on_click=details_section.do,
                args=(project.store.edit, project.id, opened.recording.file.sha256, project.annotator),
                kwargs={"change": changed},
            )
        if not chosen:
            st.caption("Select one or more rows.")


def _row(mark: Annotation) -> dict[str, object]:
    region = mark.region
    return {
        "Annotator": printable(mark.annotator),
        "Time": "whole recording" if mark.tier == RECORDING_TIER else f"{region.start_s:.2f} to {region.end_s:.2f} s",
        "Emotion": printable(mark.emotion or "none"),
        "Intensity": "" if mark.intensity is None else str(mark.intensity),
        "Status": mark.status,
        "Note": printable(mark.note),
    }
