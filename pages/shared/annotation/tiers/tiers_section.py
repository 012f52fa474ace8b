"""The tiers of a project: add, rename, order, hide, colour, delete and restore them, and choose their labels."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from pages.shared.annotation.open_project import OpenProject, attempt, refusals
from pages.shared.language import plural, t, texts
from pages.shared.language.names import in_markdown, printable
from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.agreement.label_mapping import can_be_mapped, emotions_of, label_of, with_choice
from ser_core.annotations.annotation import KINDS, REGION_TIER, Tier

CONTENTS = texts({"text": "free text", "labels": "labels from a set"})
#: Stands in the choice of tiers for a new one; the key of a tier is never empty.
NEW = ""
#: Shown instead of a label, which is never a space; an empty cell would be marked as an error.
NO_LABEL = " "
#: Session key: how many tiers were added.
TIERS_ADDED = "tiers added"
#: For a tier without a colour of its own.
DEFAULT_COLOUR = "#7f8fa6"


def show(project: OpenProject, sha256: str, tiers: tuple[Tier, ...]) -> None:
    """Show a popover to edit the tiers, and their participants in a recording."""
    with st.popover(t("Tiers"), icon=":material/segment:", width="stretch", help=t("Words, phones, tones and others")):
        names = {tier.key: tier.name for tier in tiers}
        key = st.selectbox(
            t("Tier"),
            [*names, NEW],
            min(1, len(names)),
            format_func=lambda key: t("New tier") if key == NEW else printable(names.get(key, key)),
            key=f"tier of {project.id}",
        )
        chosen = next((tier for tier in tiers if tier.key == key), None)
        if chosen is None:
            _new_tier(project, tiers)
        else:
            _change_tier(project, sha256, tiers, chosen)
        _deleted_tiers(project)


def _new_tier(project: OpenProject, tiers: tuple[Tier, ...]) -> None:
    tiers_added = st.session_state.setdefault(TIERS_ADDED, 0)  # the form is emptied only when a tier was added
    with st.form(f"new_tier {tiers_added}", border=False):
        name = st.text_input(t("Name"), max_chars=120)
        kind = st.radio(t("Of"), KINDS, format_func=t, horizontal=True)
        content, labels = _content_fields("text", ())
        parent = _parent_field(tiers, None)
        if st.form_submit_button(t("Add tier"), type="primary", icon=":material/add:"):
            values = {"kind": kind, "content": content, "labels": labels, "parent": parent}
            refusals_before = len(refusals())
            attempt(lambda: project.store.tiers.add(project.id, Tier(name.strip() or " ", name, **values)))
            if len(refusals()) == refusals_before:
                st.session_state[TIERS_ADDED] = tiers_added + 1
            st.rerun()


def _change_tier(project: OpenProject, sha256: str, tiers: tuple[Tier, ...], tier: Tier) -> None:
    if tier.key == REGION_TIER:
        st.caption(
            t(
                "*My marks* is the tier of emotions, which cannot be deleted. Its position among the others matters "
                "only in files."
            )
        )
        with st.form(f"tier {project.id} {sha256} {tier}", border=False):
            participant = _participant_field(tier)
            if st.form_submit_button(t("Save"), icon=":material/check:"):
                _attempt_and_rerun(lambda: _name_participant(project, sha256, tier, participant))
        _move(project, [other.key for other in tiers], tier)
        return
    with st.form(f"tier {project.id} {sha256} {tier}", border=False):
        name = st.text_input(t("Name"), tier.name, max_chars=120)
        participant = _participant_field(tier)
        shown = st.checkbox(t("Show it below the marks"), tier.shown)
        content, labels = tier.content, tier.labels
        if tier.content != "emotions":
            content, labels = _content_fields(tier.content, tier.labels)
        mapped = _mapping_field(tier) if can_be_mapped(tier) else tier
        parent = _parent_field(tuple(other for other in tiers if other.key != tier.key), tier.parent)
        colour = st.color_picker(t("Colour"), tier.colour or DEFAULT_COLOUR)
        if colour == DEFAULT_COLOUR and tier.colour is None:
            colour = None
        if st.form_submit_button(t("Save"), icon=":material/check:"):
            values = {"name": name, "content": content, "labels": labels, "parent": parent}
            changed = replace(mapped, **values, colour=colour, shown=shown)

            def save() -> None:
                project.store.tiers.change(project.id, changed, project.annotator, seen=tier)
                _name_participant(project, sha256, tier, participant)

            _attempt_and_rerun(save)
    _move(project, [other.key for other in tiers], tier)
    _delete(project, tiers, tier)


def _participant_field(tier: Tier) -> str:
    return st.text_input(
        t("Participant"),
        tier.participant,
        max_chars=120,
        placeholder=t("not given"),
        help=t("Who speaks in the marks of this tier, in this recording."),
    )


def _name_participant(project: OpenProject, sha256: str, tier: Tier, participant: str) -> None:
    if participant.strip() != tier.participant:
        project.store.tiers.set_participant(project.id, sha256, tier.key, participant, seen=tier.participant)


def _content_fields(content: str, labels: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    content = st.radio(
        t("Holds"),
        list(CONTENTS),
        list(CONTENTS).index(content),
        format_func=lambda kind: t(CONTENTS[kind]),
        horizontal=True,
    )
    lines = st.text_area(
        t("Labels"),
        "\n".join(labels),
        help=t("One per line, for a tier of labels. The first nine are on the keys 1 to 9."),
    )
    return content, tuple(dict.fromkeys(line.strip() for line in lines.splitlines() if line.strip()))


def _mapping_field(tier: Tier) -> Tier:
    """Show which label stands for which emotion, and return the tier with the choice."""
    st.markdown(
        t("**Emotions and labels**"),
        help=t(
            "The model's regions are suggested in this tier with the label of their emotion, *Teach* learns the "
            "emotion from the label, and *Agreement* compares it with the model. An emotion without a label is not "
            "suggested. Labels that name an emotion are mapped already."
        ),
    )
    emotion_column, label_column = t("Emotion"), t("Label")
    rows = [{emotion_column: t(emotion), label_column: label_of(tier, emotion) or NO_LABEL} for emotion in COLOURS]
    edited = st.data_editor(
        rows,
        hide_index=True,
        disabled=[emotion_column],
        height="content",
        row_height=28,
        column_config={
            label_column: st.column_config.SelectboxColumn(
                options=[NO_LABEL, *tier.labels],
                required=True,
                format_func=lambda label: t("none") if label == NO_LABEL else label,
            )
        },
        key=f"mapping {tier}",
    )
    ambiguous = [label for label in tier.labels if len(emotions_of(tier, label)) > 1]
    if ambiguous:
        labels = ", ".join(in_markdown(label) for label in ambiguous)
        st.caption(t("These labels stand for several emotions, so they teach none: {labels}.", labels=labels))
    chosen = ((row[label_column] or NO_LABEL).strip() or None for row in edited)  # a cell may be cleared
    return with_choice(tier, dict(zip(COLOURS, chosen, strict=True)))


def _parent_field(tiers: tuple[Tier, ...], parent: str | None) -> str | None:
    names = {None: t("none")} | {tier.key: tier.name for tier in tiers if tier.kind == "intervals"}
    return st.selectbox(
        t("Parent"),
        list(names),
        list(names).index(parent) if parent in names else 0,
        format_func=lambda key: printable(names[key]),
        help=t(
            "Its marks contain those of this tier, as words contain phones: these move, shrink and are deleted with it."
        ),
    )


def _move(project: OpenProject, keys: list[str], tier: Tier) -> None:
    position = keys.index(tier.key)
    moves = (t("Up"), "arrow_upward", position - 1), (t("Down"), "arrow_downward", position + 1)
    with st.container(horizontal=True):
        for label, icon, new_position in moves:
            if st.button(label, icon=f":material/{icon}:", disabled=not 0 <= new_position < len(keys)):
                order = [key for key in keys if key != tier.key]
                order.insert(new_position, tier.key)
                _attempt_and_rerun(lambda order=order: project.store.tiers.order(project.id, order))


def _delete(project: OpenProject, tiers: tuple[Tier, ...], tier: Tier) -> None:
    """Offer to delete a tier; first show what is deleted with it. Its marks are counted only after the toggle."""
    if not st.toggle(t("Delete this tier"), key=f"delete {project.id} {tier.key}"):
        return
    counts = project.store.tiers.count_marks(project.id, tier.key)
    marks = ", ".join(
        plural(count, "{n} mark of {name}", "{n} marks of {name}", name=in_markdown(name))
        for name, count in counts.items()
    )
    children = ", ".join(in_markdown(other.name) for other in tiers if other.parent == tier.key)
    if marks:
        sentences = [t("This also deletes {marks}, in all recordings.", marks=marks)]
    else:
        sentences = [t("No recording has a mark in it.")]
    if children:
        sentences.append(t("{tiers} will have no parent; their marks stay.", tiers=children))
    st.caption(" ".join([*sentences, t("For 30 days it can be restored here.")]))
    if st.button(t("Delete it"), type="primary", icon=":material/delete:"):
        _attempt_and_rerun(lambda: project.store.tiers.delete(project.id, tier.key, project.annotator))


def _deleted_tiers(project: OpenProject) -> None:
    for tier in project.store.tiers.deleted(project.id):
        if st.button(
            t("Restore {name}", name=in_markdown(tier.name)), icon=":material/undo:", key=f"restore {tier.key}"
        ):
            _attempt_and_rerun(lambda tier=tier: project.store.tiers.restore(project.id, tier.key, project.annotator))


def _attempt_and_rerun(action: Callable[[], Any]) -> None:
    attempt(action)
    st.rerun()
