"""Import of annotated recordings into projects, and export."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.store import people
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.marks import storable
from ser_core.annotations.store.transactions.people import Annotators
from ser_core.annotations.store.transactions.projects import require_project
from ser_core.annotations.store.transfer import Imported
from ser_core.annotations.store.transfer.exporting import documents_after
from ser_core.annotations.store.transfer.importing import PreviewRollback, import_documents
from ser_core.work.progress import UNWATCHED, Work


class Transfer:
    """Import and export of recordings with their marks."""

    def __init__(self, database: Database, annotators: Annotators) -> None:
        self._database = database
        self._annotators = annotators

    def import_recordings(
        self,
        project: int,
        documents: Collection[AnnotatedRecording],
        annotator: str,
        work: Work = UNWATCHED,
        mode: str = "add",
        preview: Imported | None = None,
        restore: bool = False,
    ) -> Imported:
        """Add annotated recordings to a project, all or nothing; marks that are there already are not added again.

        Parameters
        ----------
        documents : collection of AnnotatedRecording
            One without a SHA-256 belongs to the recording of its name.
        annotator : str
            Who imports, and can undo it in each recording. Marks without an annotator become theirs, with the exception
            that `merging.with_annotators` describes.
        mode : {"add", "replace", "show"}
            What happens to marks that differ from those here (`merging` matches them): "add" leaves them out;
            "replace" changes, moves and deletes marks here as the documents have them, except marks that were changed
            here since the export; "show" changes nothing, and counts what "replace" would do.
        preview : Imported, optional
            The result of "show" that the person has seen.
        restore : bool
            Restore marks that were deleted here after they were written to a file with their keys; otherwise these are
            left out.

        Raises
        ------
        AnnotationsRefused
            If a mark is not valid, its recording is unclear, a mark to delete or restore and the project belong to
            others, or somebody who is no reviewer would add or change an emotion or label of others or the gold layer.
        AnnotationsOutdated
            If marks were changed here, so that the import would differ from the preview.
        Cancelled
        """
        annotator = people.valid_person(annotator)
        documents = [
            replace(
                document,
                annotations=tuple(storable(mark, "") for mark in document.annotations),
                left_out=tuple(storable(mark, "") for mark in document.left_out),
            )
            for document in documents
        ]
        if mode != "show":
            names = {mark.annotator for document in documents for mark in document.annotations}
            self._annotators.add({annotator, *names} - {""})
        at = datetime.now(UTC)
        try:
            with self._database.writing() as connection:
                require_project(connection, project)
                return import_documents(connection, project, documents, annotator, at, work, mode, preview, restore)
        except PreviewRollback as rollback:
            return rollback.imported

    def export(self, project: int, annotator: str | None = None) -> Iterator[AnnotatedRecording]:
        """Yield the recordings of a project with the marks of one annotator or of all, read in batches."""
        last_id, annotator = 0, annotator and people.valid_annotator(annotator)
        while True:
            with self._database.reading() as connection:
                documents, last_id = documents_after(connection, project, last_id, annotator)
            if not documents:
                return
            yield from documents
