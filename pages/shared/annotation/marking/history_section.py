"""The history of a recording's marks, and deleted marks to restore."""

import streamlit as st

from pages.shared import session
from pages.shared.annotation.open_project import OpenProject, attempt
from pages.shared.language import plural, t, texts
from pages.shared.language.names import emotion_in_words, in_markdown
from ser_core.annotations.annotation import RECORDING_TIER, REGION_TIER, Annotation
from ser_core.annotations.f0.corrections import F0Change
from ser_core.annotations.store.history import Step
from ser_core.annotations.store.marks import Change
from ser_core.annotations.store.transactions.recordings import OpenRecording
from ser_core.annotations.store.trash import TRASH_PERIOD

#: A mark's text is shown up to this length.
MAX_TEXT_CHARS = 80
#: A step with more changes is shortened.
MAX_CHANGES = 5
CHANGES = texts(
    {
        "changed": "changed {where}: {content}",
        "labelled": "labelled {where}: {content}",
        "added": "added {where}: {content}",
        "deleted": "deleted {where}: {content}",
    }
)
STEPS = texts({"undo": "undo: {words}", "redo": "redo: {words}"})


def show(project: OpenProject, opened: OpenRecording) -> None:
    """List every change to the marks of a recording, newest first."""
    with st.expander(t("History"), icon=":material/history:", key="annotation_history", on_change="rerun") as history:
        if not history.open:
            return
        _deleted_marks(project, opened)
        page = project.store.history.page(project.id, opened.recording.file.sha256)
        if not page.items:
            st.caption(t("No changes yet."))
        for step in page.items:
            at = session.local_time(step.at)
            st.markdown(f"{at:%Y-%m-%d %H:%M:%S %Z} · **{in_markdown(step.annotator)}** · {_in_words(step)}")
        if page.total > len(page.items):
            st.caption(
                t(
                    "The newest {n} of {total} changes. The command line lists all of them.",
                    n=len(page.items),
                    total=page.total,
                )
            )


def _deleted_marks(project: OpenProject, opened: OpenRecording) -> None:
    """Offer to restore marks of the last 30 days that this annotator made or deleted."""
    sha256 = opened.recording.file.sha256
    for deleted in project.store.marks.deleted(project.id, sha256):
        mark = deleted.annotation
        if project.annotator not in (mark.annotator, deleted.changed_by):
            continue
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                t("Restore"),
                key=f"restore {mark.key} {mark.revision}",
                icon=":material/restore_from_trash:",
                on_click=attempt,
                args=(project.store.marks.restore, project.id, sha256, project.annotator, mark.key),
            )
            expires_at = mark.changed_at + TRASH_PERIOD
            words = _change_in_words(Change(mark, None), project.annotator)
            st.caption(
                t(
                    "{changed_by} {words}. Removed permanently on {expires_at:%Y-%m-%d}.",
                    changed_by=in_markdown(deleted.changed_by),
                    words=words,
                    expires_at=expires_at,
                )
            )


def _in_words(step: Step) -> str:
    changes = [_change_in_words(change, step.annotator) for change in step.changes[:MAX_CHANGES]]
    words = "; ".join([*changes, *([_f0_in_words(step.f0)] if step.f0 else [])])
    if len(step.changes) > MAX_CHANGES:
        words = t("{words}; and {n} more", words=words, n=len(step.changes) - MAX_CHANGES)
    return t(STEPS[step.kind], words=words) if step.kind in STEPS else words


def _f0_in_words(change: F0Change) -> str:
    start_s, end_s = change.bounds_s
    where, n = t("{start_s:.2f} to {end_s:.2f} s", start_s=start_s, end_s=end_s), len(change.frames)
    if change.after:
        return plural(n, "corrected F0 of {n} frame, {where}", "corrected F0 of {n} frames, {where}", where=where)
    return plural(
        n,
        "restored the measured F0 of {n} frame, {where}",
        "restored the measured F0 of {n} frames, {where}",
        where=where,
    )


def _change_in_words(change: Change, annotator: str) -> str:
    before, after = change.before, change.after
    mark = after or before
    is_whole, content = mark.tier == RECORDING_TIER, _content(mark)
    if before and after and _content(before) != content:
        content = f"{_content(before)} → {content}"
    if is_whole:
        where = t("the whole recording")
    else:
        where = t("{start_s:.2f} to {end_s:.2f} s", start_s=mark.region.start_s, end_s=mark.region.end_s)
    if before and after:
        action = "changed"
    elif after:
        action = "labelled" if is_whole else "added"
    else:
        action = "deleted"
    words = t(CHANGES[action], where=where, content=content)
    if mark.annotator != annotator:
        words = t("{words}, a mark by {name}", words=words, name=in_markdown(mark.annotator))
    if before and after and before.status != after.status:
        words = t("{words}, now {status}", words=words, status=t(after.status))
    if before and after and before.channel != after.channel:
        words = t("{words}, channel {number}", words=words, number=after.channel or t("1 or all"))
    return words


def _content(mark: Annotation) -> str:
    """Return the emotion of a mark or, in other tiers, the beginning of its text."""
    if mark.tier in (REGION_TIER, RECORDING_TIER) or mark.emotion:
        return in_markdown(emotion_in_words(mark.emotion)) if mark.emotion else t("no emotion")
    return in_markdown(mark.note[:MAX_TEXT_CHARS]) or t("no label")
