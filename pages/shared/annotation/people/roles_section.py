"""The people of a project: what each has to do, their roles, and the assignment of recordings with planned overlap."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pages.shared.annotation.open_project import OpenProject, attempt
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from pages.shared.server import login
from ser_core.annotations.assignment import AssignmentPlan
from ser_core.annotations.store.people import ANNOTATOR, OWNER, REVIEWER, Person

DONE = "what people's form did"
MEANS = texts("""
- An *annotator* marks, and changes only marks of their own.
- A *reviewer* also verifies others' marks, sends recordings back, and decides in the gold layer.
- The *owner* also gives roles, assigns recordings, and may delete everything.

As long as the project has no roles, everybody may do what a reviewer may. Everybody
may change words.
""")
NO_ROLE = texts("none")


def show(project: OpenProject) -> None:
    """Show who does what, and to the owner how to change it."""
    people = project.store.people.of(project.id)
    owner = next((person.name for person in people if person.role == OWNER), None)
    st.caption(t("Who does what in this project."), help=t(MEANS))
    if words := st.session_state.pop(DONE, None):
        st.success(in_markdown(words), icon=":material/check:")
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
        who, role, give = st.columns([2, 1.4, 1], vertical_alignment="bottom")
        name = who.selectbox(
            t("Person"),
            names,
            index=None,
            accept_new_options=True,
            format_func=printable,
            placeholder=t("Choose or type a name"),
            help=t("With a login: exactly the address or identifier that the person logs in with."),
        )
        chosen = role.selectbox(t("Role"), [ANNOTATOR, REVIEWER, OWNER, NO_ROLE], format_func=t)
        if give.form_submit_button(t("Give role"), icon=":material/badge:", width="stretch"):
            _do(lambda: _given(project, name or "", None if chosen == NO_ROLE else chosen))


def _given(project: OpenProject, name: str, role: str | None) -> str:
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
        share, by, seed, draw = st.columns([1, 1, 1, 1.2], vertical_alignment="bottom")
        overlap = share.number_input(
            t("Overlap (%)"), 0, 100, 20, help=t("Share of the recordings for several people.")
        )
        each = by.number_input(t("By"), 2, 10, 2, help=t("How many people annotate each of these."))
        drawn_with = seed.number_input(t("Seed"), 0, 2**31 - 1, 0, help=t("The same seed draws the same again."))
        if draw.form_submit_button(t("Assign"), type="primary", icon=":material/assignment_ind:", width="stretch"):
            plan = {"overlap": overlap / 100, "people": each, "seed": drawn_with}
            _do(lambda: _drawn(project, chosen, AssignmentPlan(**plan)))
    busy = [person.name for person in people if person.assigned > person.finished]
    if busy:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            who = st.selectbox(t("Unfinished work of"), busy, format_func=printable, width=260)
            if st.button(
                t("Unassign"),
                icon=":material/assignment_return:",
                help=t("Their marks stay, and the recordings can be assigned again."),
            ):
                _do(lambda: _taken_away(project, who))


def _drawn(project: OpenProject, names: Sequence[str], plan: AssignmentPlan) -> str:
    drawn = project.store.people.assign(project.id, project.annotator, names, plan)
    several = sum(len(each) > 1 for each in drawn.values())
    if not drawn:
        return t("Every recording is assigned already.")
    return plural(
        len(drawn),
        "{n} recording assigned, {several} of them to {people} people: {plan}.",
        "{n} recordings assigned, {several} of them to {people} people: {plan}.",
        several=several,
        people=plan.people,
        plan=recognised(plan.in_words()),
    )


def _taken_away(project: OpenProject, name: str) -> str:
    count = project.store.people.unassign(project.id, project.annotator, name)
    return plural(count, "{n} recording unassigned from {name}.", "{n} recordings unassigned from {name}.", name=name)


def _do(action: Callable[[], Any]) -> None:
    """Do something; the next run shows what, or why it was refused."""

    def done() -> None:
        st.session_state[DONE] = action()

    attempt(done)
    st.rerun()
