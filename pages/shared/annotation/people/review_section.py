"""Other people's marks in the open recording: verify them, send them back, or copy them into the gold layer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import streamlit as st

from pages.shared import session
from pages.shared.annotation.marking.shown_marks import Shown
from pages.shared.annotation.open_project import OpenProject, attempt
from pages.shared.language import t, texts
from pages.shared.language.names import emotion_in_words, in_markdown, printable
from ser_core.analysis import Point
from ser_core.annotations.annotation import GOLD, RECORDING_TIER, REGION_TIER, Annotation, Assignment
from ser_core.annotations.store.transactions.recordings import OpenRecording

OTHERS_HELP = texts(
    "Select rows to verify the marks. Click a mark in the lane above to play it; a number key then adds a mark of your "
    "own there. Changing a verified mark sets it back to *done*."
)
GOLD_HELP = texts("Select rows to take them over. What the gold layer says of the whole recording is replaced.")


def show_sent_back(project: OpenProject, opened: OpenRecording) -> None:
    """Show an annotator why the recording came back, until its label is done again."""
    own_label = RECORDING_TIER, project.annotator
    label = next((mark for mark in opened.annotations if (mark.tier, mark.annotator) == own_label), None)
    own = [assignment for assignment in opened.assignments if assignment.annotator == project.annotator]
    sent_back = [assignment for assignment in own if assignment.reason]
    if sent_back and (label is None or label.status == "open"):
        words = t("{reason} Set the whole recording to *done* (D) when it is.", reason=_in_words(sent_back[0]))
        st.warning(words, icon=":material/undo:")


def show(project: OpenProject, opened: OpenRecording, shown: Shown, *, may_review: bool) -> None:
    """List everybody else's marks, with the actions of a reviewer; each action is one step of the history."""
    layer = shown.layer or project.annotator
    others = [mark for mark in opened.annotations if mark.annotator != layer]
    if shown.layer:
        others = [mark for mark in others if mark.tier in (REGION_TIER, RECORDING_TIER)]
    st.markdown(
        t("**Everybody's marks**") if shown.layer else t("**Others' marks**"),
        help=t(GOLD_HELP) if shown.layer else t(OTHERS_HELP),
    )
    if not others:
        st.caption(
            t("Nobody has marked this recording yet.") if shown.layer else t("Nobody else has marked this recording.")
        )
        return
    other_tiers = {mark.tier for mark in others} - {REGION_TIER}
    names = {tier.key: tier.name for tier in opened.tiers if tier.key in other_tiers}
    table = st.dataframe(
        [_row(mark, names) for mark in others],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        # A new table, with nothing selected, as soon as a mark has changed.
        key=f"others {layer} {hash(tuple((mark.key, mark.revision) for mark in others))}",
    )
    chosen = [others[row] for row in table.selection.rows]
    if not may_review:
        st.caption(t("Only reviewers and the project's owner verify marks or send recordings back."))
    elif shown.layer:
        _take_over(project, opened, shown, chosen)
    else:
        _verify(project, opened, chosen)
        _send_back(project, opened)


def _verify(project: OpenProject, opened: OpenRecording, chosen: Sequence[Annotation]) -> None:
    changed = [replace(mark, status="verified") for mark in chosen if mark.status != "verified"]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            t("Verify {n}", n=len(changed)) if changed else t("Verify"),
            icon=":material/verified:",
            help=t("The marks are right. Undo reverts this."),
            disabled=not changed,
            on_click=attempt,
            args=(project.store.marks.edit, project.id, opened.recording.file.sha256, project.annotator),
            kwargs={"change": changed},
        )
        if not chosen:
            st.caption(t("Select one or more rows."))


def _take_over(project: OpenProject, opened: OpenRecording, shown: Shown, chosen: Sequence[Annotation]) -> None:
    """Offer to copy marks into the gold layer; two labels of the whole recording cannot both be right."""
    new = _new_decisions(opened.annotations, chosen)
    labels = [mark for mark in new if mark.tier == RECORDING_TIER]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            t("Take over {n}", n=len(new)) if new else t("Take over"),
            icon=":material/gavel:",
            type="primary",
            help=t("As decisions in the gold layer, where they can be corrected. Undo reverts this."),
            disabled=not new or len(labels) > 1,
            on_click=attempt,
            args=(_decide, project, opened.recording.file.sha256, shown, chosen),
        )
        if len(labels) > 1:
            st.caption(t("Select one label of the whole recording; it can only have one."))
        elif not chosen:
            st.caption(t("Select one or more rows."))
        elif not new:
            st.caption(t("The gold layer says this already."))


def _decide(project: OpenProject, sha256: str, shown: Shown, chosen: Sequence[Annotation]) -> None:
    """Copy marks into the gold layer, except those that an earlier click has copied; replace the gold label."""
    new = _new_decisions(project.store.marks.of(project.id, sha256, GOLD), chosen)
    gold_label = shown.label
    change, add = [], []
    for mark in new:
        if gold_label is not None and mark.tier == RECORDING_TIER:
            change.append(replace(mark, key=gold_label.key, revision=gold_label.revision))
        else:
            add.append(mark)
    if new:
        project.store.marks.edit(project.id, sha256, project.annotator, add=add, change=change)


def _new_decisions(existing: Iterable[Annotation], chosen: Iterable[Annotation]) -> list[Annotation]:
    """Return chosen marks as marks of the gold layer, without duplicates and without those that it has already."""

    def content(mark: Annotation) -> tuple[object, ...]:
        return mark.tier, mark.region, mark.emotion, mark.intensity, mark.confidence, mark.note, mark.channel

    decided = {content(mark) for mark in existing if mark.annotator == GOLD}
    new = {content(mark): replace(mark, annotator=GOLD, status="done", key=None, revision=0) for mark in chosen}
    return [decision for key, decision in new.items() if key not in decided]


def _send_back(project: OpenProject, opened: OpenRecording) -> None:
    sha256 = opened.recording.file.sha256
    for assignment in opened.assignments:
        if assignment.reason and assignment.annotator != project.annotator:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(
                    t(
                        "To {annotator}: {reason}",
                        annotator=in_markdown(assignment.annotator),
                        reason=_in_words(assignment),
                    )
                )
                st.button(
                    t("Withdraw"),
                    key=f"withdraw {sha256} {assignment.annotator}",
                    icon=":material/close:",
                    type="tertiary",
                    on_click=attempt,
                    args=(project.store.people.withdraw, project.id, sha256, project.annotator, assignment.annotator),
                )
    names = sorted({mark.annotator for mark in opened.annotations} - {GOLD, project.annotator})
    if not names:
        return
    with st.form(f"send back {sha256}", border=False, clear_on_submit=True):
        name_column, reason_column, button_column = st.columns([1.2, 3, 1], vertical_alignment="bottom")
        name = name_column.selectbox(t("Send back to"), names, format_func=printable)
        reason = reason_column.text_input(t("Reason"), max_chars=2_000, placeholder=t("What should be looked at again"))
        if button_column.form_submit_button(
            t("Send back"),
            icon=":material/assignment_return:",
            width="stretch",
            help=t("Their marks here become open, and they see the reason in the queue and on Mark."),
        ):
            attempt(project.store.people.send_back, project.id, sha256, project.annotator, name, reason)
            st.rerun()


def _in_words(assignment: Assignment) -> str:
    return t(
        "Sent back by {person} on {at:%Y-%m-%d}: {reason}.",
        person=in_markdown(assignment.sent_back_by),
        at=session.local_time(assignment.sent_back_at),
        reason=in_markdown(assignment.reason).rstrip("."),
    )


def _time_in_words(mark: Annotation) -> str:
    if mark.tier == RECORDING_TIER:
        return t("whole recording")
    if isinstance(mark.region, Point):
        return t("{start_s:.2f} s", start_s=mark.region.start_s)
    return t("{start_s:.2f} to {end_s:.2f} s", start_s=mark.region.start_s, end_s=mark.region.end_s)


def _row(mark: Annotation, names: Mapping[str, str]) -> dict[str, object]:
    """Return the row of a mark; `names` holds the names of the tiers other than emotions, by key."""
    no_emotion = "" if mark.tier in names else t("none")
    return {
        t("Annotator"): printable(mark.annotator),
        **({t("Tier"): printable(names.get(mark.tier, ""))} if names else {}),
        t("Time"): _time_in_words(mark),
        t("Emotion"): emotion_in_words(mark.emotion) if mark.emotion else no_emotion,
        t("Intensity (1–5)"): "" if mark.intensity is None else str(mark.intensity),
        t("Status"): t(mark.status),
        t("Note"): printable(mark.note),
    }
