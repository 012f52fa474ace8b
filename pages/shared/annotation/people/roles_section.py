"""The people of a project: their roles and work, and the assignment of recordings with planned overlap."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pages.shared.annotation.open_project import OpenProject, attempt
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from pages.shared.server import login
from ser_core.annotations.assignment import AssignmentPlan
from ser_core.annotations.store.people import ANNOTATOR, OWNER, REVIEWER, Person

#: Session key of a message that the next run shows.
DONE_MESSAGE = "what people's form did"
ROLES_HELP = texts("""
- An *annotator* marks, and changes only marks of their own.
- A *reviewer* also verifies others' marks, sends recordings back, and decides in the gold layer.
- The *owner* also gives roles, assigns recordings, and may delete everything.

As long as the project has no roles, everybody may do what a reviewer may. Everybody
may change words.
""")
NO_ROLE = texts("none")


def show(project: OpenProject) -> None:
    """Show who does what; the owner can change it."""
    people = project.store.people.of(project.id)
    owner = next((person.name for person in people if person.role == OWNER), None)
    st.caption(t("Who does what in this project."), help=t(ROLES_HELP))
    if message := st.session_state.pop(DONE_MESSAGE, None):
        st.success(in_markdown(message), icon=":material/check:")
    if people:
        st.dataframe([_row(person) for person in people], hide_index=True)
    if login.person() is None:
        st.caption(
            t(
                "Names are not checked: without a login anybody can type any name, so roles prevent mistakes, "
                "not malice."
            )
        )
    if owner not in (None, project.annotator):
        st.caption(t("{owner} owns this project, and gives roles and assigns recordings.", owner=in_markdown(owner)))
        return
    roles, work = st.tabs([t("Roles"), t("Assign recordings")])
    with roles:
        _roles(project, people)
    with work:
        _assign(project, people)


def _row(person: Person) -> dict[str, object]:
    return {
        t("Person"): printable(person.name),
        t("Role"): t(person.role or NO_ROLE),
        t("Assigned"): person.assigned,
        t("Done"): person.finished,
        t("Sent back"): person.sent_back,
    }


def _roles(project: OpenProject, people: Sequence[Person]) -> None:
    names = [person.name for person in people if person.name != project.annotator]
    with st.form(f"role {project.id}", border=False, clear_on_submit=False):
        name_column, role_column, button_column = st.columns([2, 1.4, 1], vertical_alignment="bottom")
        name = name_column.selectbox(
            t("Person"),
            names,
            index=None,
            accept_new_options=True,
            format_func=printable,
            placeholder=t("Choose or type a name"),
            help=t("With a login: exactly the address or identifier that the person logs in with."),
        )
        role = role_column.selectbox(t("Role"), [ANNOTATOR, REVIEWER, OWNER, NO_ROLE], format_func=t)
        if button_column.form_submit_button(t("Give role"), icon=":material/badge:", width="stretch"):
            _run(lambda: _give_role(project, name or "", None if role == NO_ROLE else role))


def _give_role(project: OpenProject, name: str, role: str | None) -> str:
    project.store.people.set_roles(project.id, project.annotator, {name: role})
    if role is None:
        return t("{name} now has no role.", name=name)
    return t("{name} now has the role {role}.", name=name, role=t(role))


def _assign(project: OpenProject, people: Sequence[Person]) -> None:
    names = [person.name for person in people]
    st.caption(t("Unassigned recordings are drawn at random, so that everybody gets about the same number."))
    with st.form(f"assign {project.id}", border=False):
        chosen = st.multiselect(
            t("Annotators"),
            names,
            [person.name for person in people if person.role == ANNOTATOR],
            accept_new_options=True,
            format_func=printable,
        )
        overlap_column, people_column, seed_column, button_column = st.columns(
            [1, 1, 1, 1.2], vertical_alignment="bottom"
        )
        overlap = overlap_column.number_input(
            t("Overlap (%)"), 0, 100, 20, help=t("Share of the recordings for several people.")
        )
        per_recording = people_column.number_input(t("By"), 2, 10, 2, help=t("How many people annotate each of these."))
        seed = seed_column.number_input(t("Seed"), 0, 2**31 - 1, 0, help=t("The same seed draws the same again."))
        if button_column.form_submit_button(
            t("Assign"), type="primary", icon=":material/assignment_ind:", width="stretch"
        ):
            plan = {"overlap": overlap / 100, "people": per_recording, "seed": seed}
            _run(lambda: _assign_at_random(project, chosen, AssignmentPlan(**plan)))
    busy = [person.name for person in people if person.assigned > person.finished]
    if busy:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox(t("Unfinished work of"), busy, format_func=printable, width=260)
            if st.button(
                t("Unassign"),
                icon=":material/assignment_return:",
                help=t("Their marks stay, and the recordings can be assigned again."),
            ):
                _run(lambda: _unassign(project, name))


def _assign_at_random(project: OpenProject, names: Sequence[str], plan: AssignmentPlan) -> str:
    assigned = project.store.people.assign(project.id, project.annotator, names, plan)
    shared = sum(len(annotators) > 1 for annotators in assigned.values())
    if not assigned:
        return t("Every recording is assigned already.")
    return plural(
        len(assigned),
        "{n} recording assigned, {shared} of them to {people} people: {plan}.",
        "{n} recordings assigned, {shared} of them to {people} people: {plan}.",
        shared=shared,
        people=plan.people,
        plan=recognised(plan.in_words()),
    )


def _unassign(project: OpenProject, name: str) -> str:
    count = project.store.people.unassign(project.id, project.annotator, name)
    return plural(count, "{n} recording unassigned from {name}.", "{n} recordings unassigned from {name}.", name=name)


def _run(action: Callable[[], Any]) -> None:
    """Run an action; the next run shows the message that it returns, or its refusal."""

    def run() -> None:
        st.session_state[DONE_MESSAGE] = action()

    attempt(run)
    st.rerun()
