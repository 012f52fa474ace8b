"""Differences between files of marks and the project, before an import and after it."""

from collections import Counter

import streamlit as st

from pages.shared import session
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from ser_core.annotations.exchange.report import difference_rows
from ser_core.annotations.store.transfer import Imported

#: Kinds of differences, and results for marks.
COUNTS = texts(
    {
        "new": "{n} new",
        "changed": "{n} changed",
        "moved": "{n} moved",
        "deleted": "{n} deleted",
        "changed here": "{n} changed here",
        "deleted here": "{n} deleted here",
        "restored": "{n} restored",
    }
)
MODES = texts({"add": "Leave them as they are here", "replace": "Replace them by those of the files"})
#: Participants, speakers and sessions, and corrected F0: those in the files, those that differ here, those imported.
IN_FILES = texts(
    {
        "participants": (
            "Participants in the files: {n} tier.",
            "Participants in the files: {n} tiers.",
        ),
        "about": (
            "Speaker or session in the files: {n} recording.",
            "Speakers or sessions in the files: {n} recordings.",
        ),
        "f0": (
            "F0 corrected differently in the files: {n} frame.",
            "F0 corrected differently in the files: {n} frames.",
        ),
    }
)
DIFFERENT_HERE = texts(
    {
        "participants": (
            "Different participant than here: {n} tier.",
            "Different participant than here: {n} tiers.",
        ),
        "about": (
            "Different speaker or session than here: {n} recording.",
            "Different speaker or session than here: {n} recordings.",
        ),
    }
)
IMPORTED = texts(
    {
        "participants": (
            "The participant of {n} tier is now as in the files; {left} with another one here stay.",
            "The participants of {n} tiers are now as in the files; {left} with another one here stay.",
        ),
        "about": (
            "The speaker or session of {n} recording is now as in the files; {left} with another one here stay.",
            "The speakers or sessions of {n} recordings are now as in the files; {left} with another one here stay.",
        ),
        "f0": (
            "F0 of {n} frame is now as it was corrected in the files; {left} stay as they were corrected here.",
            "F0 of {n} frames is now as it was corrected in the files; {left} stay as they were corrected here.",
        ),
    }
)
#: At most this many differences are listed.
MAX_ROWS = 300


def show(imported: Imported) -> tuple[str, bool]:
    """Show the differences; return the chosen mode, and whether to restore marks that were deleted here."""
    counts = Counter(row.difference.kind for row in imported.differences)
    _summary(imported, counts)
    replaceable = imported.participants_left_out + imported.about_left_out
    if not imported.differences and not replaceable:
        return "add", False
    not_new = len(imported.differences) - counts["new"]
    if imported.differences:
        with st.expander(t("Each of them"), icon=":material/difference:", expanded=bool(not_new)):
            _list_differences(imported)
    _note_conflicts(imported, counts)
    restore = counts["deleted here"] > 0 and st.checkbox(
        plural(
            counts["deleted here"],
            "Restore {n} mark deleted here since the export",
            "Restore {n} marks deleted here since the export",
        ),
        key=f"import_restore_{session.choice('import_turn')}",
    )
    unaffected = counts["conflict"] + counts["changed here"] + counts["deleted here"]
    if not_new == unaffected and not replaceable:
        return "add", restore
    mode = st.radio(
        t("What differs"),
        list(MODES),
        format_func=lambda mode: t(MODES[mode]),
        horizontal=True,
        key=f"import_mode_{session.choice('import_turn')}",
        help=t("Replacing is one step in each recording, which you can undo."),
    )
    return mode, restore


def changes_marks(imported: Imported, mode: str, restore: bool) -> bool:
    """Return whether an import changes marks, or what the files say of tiers and recordings."""
    new = imported.added, imported.new_tiers, imported.participants, imported.about, imported.f0_frames
    return any(new) or restore or mode == "replace"


def _summary(imported: Imported, counts: Counter[str]) -> None:
    """Show the counts of marks by kind of difference, the new tiers, and the counts of other differences."""
    kinds = ("new", "changed", "moved", "deleted", "changed here", "deleted here")
    words = [t(COUNTS[kind], n=counts[kind]) for kind in kinds if counts[kind]]
    if counts["conflict"]:
        words.append(plural(counts["conflict"], "{n} conflict", "{n} conflicts"))
    if imported.known:
        words.append(t("{n} already here", n=imported.known))
    st.markdown(t("Marks: {words}.", words=", ".join(words) or t("none")))
    if imported.new_tiers:
        names = ", ".join(in_markdown(tier.name) for tier in imported.new_tiers)
        st.markdown(
            plural(
                len(imported.new_tiers),
                "New tier of the project: {names}.",
                "New tiers of the project: {names}.",
                names=names,
            )
        )
    for count, singular, plural_form in (
        (imported.participants, *IN_FILES["participants"]),
        (imported.participants_left_out, *DIFFERENT_HERE["participants"]),
        (imported.about, *IN_FILES["about"]),
        (imported.about_left_out, *DIFFERENT_HERE["about"]),
        (imported.f0_frames, *IN_FILES["f0"]),
    ):
        if count:
            st.markdown(plural(count, singular, plural_form))


def _list_differences(imported: Imported) -> None:
    rows = difference_rows(imported.differences)
    st.dataframe(
        [
            {
                t("Recording"): printable(row["Recording"]),
                t("Change"): t(row["Change"]),
                t("Tier"): printable(row["Tier"]),
                t("Here"): printable(recognised(row["Here"])),
                t("In the files"): printable(recognised(row["In the files"])),
            }
            for row in rows[:MAX_ROWS]
        ],
        hide_index=True,
        width="stretch",
        # Narrow, so that the contents on the right are visible in a window of 1280 pixels.
        column_config={t("Recording"): st.column_config.TextColumn(width=170)}
        | {t("Change"): st.column_config.TextColumn(width=100), t("Tier"): st.column_config.TextColumn(width=100)},
    )
    if len(rows) > MAX_ROWS:
        st.caption(t("And {n} more.", n=len(rows) - MAX_ROWS))


def _note_conflicts(imported: Imported, counts: Counter[str]) -> None:
    """Say which marks stay as they are here, and for how many it is unknown which side changed last."""
    if counts["conflict"]:
        st.caption(t("Conflicts are marks that were changed both here and in the files. They stay as they are here."))
    if counts["changed here"]:
        st.caption(t("Marks that were changed here since the export, and not in the files, stay as they are here."))
    if unsure := sum(row.difference.unsure for row in imported.differences):
        st.caption(
            plural(
                unsure,
                "{n} mark was changed here too; it is unknown whether before the export or after it.",
                "{n} marks were changed here too; it is unknown whether before the export or after it.",
            )
        )


def show_imported(imported: Imported) -> None:
    """Show the result of an import."""
    kinds = ("changed", "moved", "deleted", "restored")
    more = [t(COUNTS[kind], n=getattr(imported, kind)) for kind in kinds if getattr(imported, kind)]
    st.success(
        t(
            "{recordings}: {counts}.",
            recordings=plural(imported.recordings, "{n} recording", "{n} recordings"),
            counts=", ".join(
                [
                    plural(imported.added, "{n} mark added", "{n} marks added"),
                    *more,
                    t("{n} already in the project", n=imported.known),
                    t("{n} left out", n=imported.left_out),
                ]
            ),
        ),
        icon=":material/check:",
    )
    for kind, taken, left in (
        ("participants", imported.participants, imported.participants_left_out),
        ("about", imported.about, imported.about_left_out),
        ("f0", imported.f0_frames, imported.f0_left_out),
    ):
        if taken or left:
            st.caption(plural(taken, *IMPORTED[kind], left=left))
    if imported.left_out:
        st.caption(t("Left out: marks that differ from those here, or were changed or deleted here."))
