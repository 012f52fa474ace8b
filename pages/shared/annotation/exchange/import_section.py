"""Import marks from files: a preview of the changes, and then the import."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.shared import cached, session, waiting
from pages.shared.annotation.exchange import differences_section, losses
from pages.shared.annotation.open_project import OpenProject
from pages.shared.language import plural, recognised, t, texts
from pages.shared.language.names import in_markdown, printable
from pages.shared.recording import open_recordings
from ser_core.analysis.emotions import COLOURS
from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.exchange.assigning import assign_to_recordings
from ser_core.annotations.exchange.importing import ImportedFile, ImportOptions, read_files
from ser_core.annotations.exchange.labels import LabelRules, LabelUse, map_labels, unknown_labels
from ser_core.annotations.exchange.report import MAX_LISTED_TIERS, count_marks
from ser_core.annotations.exchange.versions import without_older_versions
from ser_core.annotations.formats.format import FileTier
from ser_core.annotations.formats.values import quoted
from ser_core.annotations.store.people import OWNER
from ser_core.annotations.store.transfer import Imported
from ser_core.work.jobs import Job
from ser_core.work.progress import Work

NOTE, LEFT_OUT = texts(("a note", "left out"))
NOT_IMPORTED, READ_DIFFERENTLY = texts(("Not imported from {name}: {words}.", "Read otherwise in {name}: {words}."))
#: At most this many files and labels, and losses, are listed.
MAX_ROWS, MAX_LOSSES = 300, 20


@dataclass(frozen=True)
class Preview:
    """The files as read, the use of their labels, and the changes that an import would make.

    Attributes
    ----------
    has_more : bool
        Whether the files have other recordings, or roles or assignments from which the annotator can give some.
    """

    files: list[ImportedFile]
    labels: tuple[LabelUse, ...]
    imported: Imported
    has_more: bool


def show_import(project: OpenProject, uploads: list[UploadedFile], options: ImportOptions, rules: LabelRules) -> None:
    """Preview the import of the uploaded files, with a button to import them; without files, show the last result."""
    if uploads:
        with st.container(border=True):
            _preview(project, uploads, options, rules)
    else:
        _last_result(project)


def _preview(project: OpenProject, uploads: list[UploadedFile], options: ImportOptions, rules: LabelRules) -> None:
    job = _preview_job(project, uploads, options, rules)
    preview = _result_of(job)
    if preview is None:
        return
    st.markdown(t("**Changes in these files**"))
    _files(preview.files)
    if not preview.imported.recordings:
        st.info(t("There are no marks in these files."), icon=":material/info:")
        return
    edits = _label_edits(preview.labels, key=f"import_labels_{session.choice('import_turn')}_{hash(job.key)}")
    if edits:
        preview = _result_of(_preview_job(project, uploads, options, replace(rules, emotions=edits)))
        if preview is None:
            return
    for sentence in unknown_labels(preview.labels):
        st.caption(in_markdown(recognised(sentence)))
    mode, restore = differences_section.show(preview.imported)
    is_new = differences_section.changes_marks(preview.imported, mode, restore)
    if not is_new:
        _say_nothing_is_new(preview)
    if st.button(
        t("Import"),
        type="primary" if is_new else "secondary",
        disabled=not is_new and not preview.has_more,
        icon=":material/input:",
    ):
        turn = session.choice("import_turn")
        open_recordings.forget_uploads(file.file_id for file in uploads)
        st.session_state[f"importing {project.id}"] = cached.jobs().submit(
            session.owner(),
            ("import", project.id, turn),
            "Import",
            lambda work: _import(project, preview, mode, restore, work),
        )
        _forget_previews()
        session.choose("import_turn", turn + 1)
        st.rerun()


def _say_nothing_is_new(preview: Preview) -> None:
    words = (
        t("Nothing would change: what differs stays as it is here.")
        if preview.imported.differences
        else t("All marks in these files are already here.")
    )
    if preview.has_more:
        words += " " + t("An import can still add their recordings, roles and assignments.")
    st.info(words, icon=":material/info:")


def _result_of(job: Job) -> Preview | None:
    """Return the preview that a job made; None, with its progress or error shown, if there is none yet."""
    done = waiting.results({"look": job})
    if job.state == "failed":
        job.queue.drop(job)  # so that the files are read again, for example after a missing recording was added
    return done.get("look")


def _preview_job(
    project: OpenProject, uploads: Sequence[UploadedFile], options: ImportOptions, rules: LabelRules
) -> Job:
    """Return the job that reads the files and compares them with the project."""
    rules_key = (rules.tiers, tuple(sorted(rules.emotions.items(), key=repr)), rules.status, rules.as_notes)
    ids = tuple(file.file_id for file in uploads)
    key = ("look", project.id, project.annotator, session.choice("import_turn"), ids, options, rules_key)
    found = cached.jobs().find(session.owner(), key)
    if found is not None:
        return found
    if rules.emotions:
        cached.jobs().withdraw(session.owner(), ("look",), running=True)
    else:  # other files or options, so the previews before are of no use
        _forget_previews()
    files = [(printable(file.name), file.getvalue()) for file in uploads]
    return cached.jobs().submit(
        session.owner(), key, "Reading files", lambda work: _read_and_compare(project, files, options, rules, work)
    )


def _forget_previews() -> None:
    """Stop reading files, and forget the previews, which can be large."""
    jobs = cached.jobs()
    jobs.withdraw(session.owner(), ("look",), running=True)
    for job in jobs.finished(session.owner(), ("look",)):
        if job.kind == "look":
            jobs.drop(job)


def _read_and_compare(
    project: OpenProject, files: list[tuple[str, bytes]], options: ImportOptions, rules: LabelRules, work: Work
) -> Preview:
    read, labels = map_labels(read_files(files, options), rules)
    recordings = project.store.recordings.files(project.id)
    read = assign_to_recordings(read, recordings, tolerance_s=options.tolerance_s)

    def show(documents: Sequence[AnnotatedRecording]) -> Imported:
        return project.store.transfer.import_recordings(project.id, documents, project.annotator, work, mode="show")

    read = without_older_versions(read, show)
    documents = [document for file in read for document in file.documents]
    known = {None, *(recording.sha256 for recording in recordings)}
    owners = {person.name for person in project.store.people.of(project.id) if person.role == OWNER}
    may_assign = owners <= {project.annotator}
    has_more = any(
        document.sha256 not in known or (may_assign and (document.roles or document.assignments))
        for document in documents
    )
    return Preview(read, labels, show(documents), has_more)


def _files(files: Sequence[ImportedFile]) -> None:
    st.dataframe(
        [
            {
                t("File"): printable(file.name),
                t("Format"): recognised(file.format_name),
                t("Marks"): count_marks(file),
                t("Tiers"): _tiers(file),
            }
            for file in files[:MAX_ROWS]
        ],
        hide_index=True,
        width="stretch",
        # Long names are cut: a path in a ZIP would push the rest out of a window of 1280 pixels.
        column_config={t("File"): st.column_config.TextColumn(width=250)},
    )
    _losses(files)


def _tiers(file: ImportedFile) -> str:
    tiers = ", ".join(map(_tier_in_words, file.tiers[:MAX_LISTED_TIERS]))
    n_more = len(file.tiers) - MAX_LISTED_TIERS
    return t("{tiers} and {n} more", tiers=tiers, n=n_more) if n_more > 0 else tiers


def _tier_in_words(tier: FileTier) -> str:
    name = printable(quoted(tier.name))
    if tier.points:
        return plural(tier.labels, "{name} {n} point", "{name} {n} points", name=name)
    return plural(tier.labels, "{name} {n} label", "{name} {n} labels", name=name)


def _losses(files: Sequence[ImportedFile]) -> None:
    found = [(NOT_IMPORTED, file, words) for file in files for words in file.dropped]
    found += [(READ_DIFFERENTLY, file, words) for file in files for words in file.changed]
    for sentence, file, words in found[:MAX_LOSSES]:
        st.caption(t(sentence, name=in_markdown(file.name), words=losses.in_words(words)))
    if len(found) > MAX_LOSSES:
        st.caption(t("And {n} more of that kind.", n=len(found) - MAX_LOSSES))


def _label_edits(labels: Sequence[LabelUse], key: str) -> dict[str, str | None]:
    """Show an editor for the use of labels, and return the changes as rules."""
    if not labels:
        return {}
    rows = [
        {"Label": printable(use.label), "Tier": printable(use.tier), "Marks": use.count, "Becomes": _use_in_words(use)}
        for use in labels[:MAX_ROWS]
    ]
    others = sorted({row["Becomes"] for row in rows} - {*COLOURS, NOTE, LEFT_OUT})
    title = plural(len(labels), "{n} label, and what they become", "{n} labels, and what they become")
    with st.expander(title, icon=":material/label:"):
        edited = st.data_editor(
            rows,
            hide_index=True,
            width="stretch",
            key=key,
            disabled=["Label", "Tier", "Marks"],
            column_config={
                "Label": st.column_config.Column(t("Label")),
                "Tier": st.column_config.Column(t("Tier")),
                "Marks": st.column_config.Column(t("Marks")),
                "Becomes": st.column_config.SelectboxColumn(
                    t("Becomes"),
                    options=[*COLOURS, *others, NOTE, LEFT_OUT],
                    format_func=lambda word: t(word) if word in {*COLOURS, NOTE, LEFT_OUT} else word,
                    required=True,
                    help=t("Choose an emotion or a note."),
                ),
            },
        )
    rules = {NOTE: None, LEFT_OUT: ""}
    return {
        use.label.strip().casefold(): rules.get(after["Becomes"], after["Becomes"])
        for use, before, after in zip(labels, rows, edited, strict=False)
        if after["Becomes"] != before["Becomes"]
    }


def _use_in_words(use: LabelUse) -> str:
    if use.kind == "left out":
        return LEFT_OUT
    return NOTE if use.emotion is None else printable(use.emotion)


def _import(
    project: OpenProject, preview: Preview, mode: str, restore: bool, work: Work
) -> tuple[Imported, list[ImportedFile]]:
    documents = [document for file in preview.files for document in file.documents]
    imported = project.store.transfer.import_recordings(
        project.id, documents, project.annotator, work, mode, preview.imported, restore
    )
    return imported, preview.files


def _last_result(project: OpenProject) -> None:
    job = st.session_state.get(f"importing {project.id}")
    done = waiting.results({"import": job}) if job else {}
    if "import" in done:
        imported, read = done["import"]
        differences_section.show_imported(imported)
        _losses(read)
