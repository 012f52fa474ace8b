"""Marks of files taken into a project, and those of a project given out."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from ser_core.annotations.annotation import AnnotatedRecording
from ser_core.annotations.store import people, transfer
from ser_core.annotations.store.database import Database
from ser_core.annotations.store.marks import storable
from ser_core.annotations.store.transactions.people import Annotators
from ser_core.annotations.store.transactions.projects import require_project
from ser_core.annotations.store.transfer import Imported
from ser_core.work.progress import UNWATCHED, Work


class Transfer:
    """Recordings with their marks, into projects and out of them."""

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
        shown: Imported | None = None,
        restore: bool = False,
    ) -> Imported:
        """Add annotated recordings to a project, all or nothing; marks that are there already are not added again.

        Parameters
        ----------
        documents : collection of AnnotatedRecording
            One without a SHA-256 belongs to the recording of its name.
        annotator : str
            Who imports, and can undo it in each recording; marks without an annotator become theirs, unless they are
            those of the only person with marks in a tier of labels or text, which files do not name (`merging.signed`).
        mode : {"add", "replace", "show"}
            What happens to marks that differ from those here (`merging` says how they are matched): "add" leaves them
            out; "replace" changes, moves and deletes marks here as the documents have them, but never what was changed
            here since the export; "show" does nothing, and counts what "replace" would do.
        shown : Imported, optional
            What a person has seen of it, as "show" returned it.
        restore : bool
            Restore marks that were deleted here since they were written to a file that knows them by their keys;
            otherwise these are left out.

        Raises
        ------
        AnnotationsRefused
            If a mark is not valid, it is not clear to which recording it belongs, a mark to delete or restore is
            somebody else's and so is the project, or a mark that would be added or changed is somebody else's opinion
            or a decision and the annotator does not review.
        AnnotationsOutdated
            If marks were changed here, so that the import would do something else than was shown.
        Cancelled
        """
        annotator = people.acting(annotator)
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
                return transfer.import_documents(
                    connection, project, documents, annotator, at, work, mode, shown, restore
                )
        except transfer.OnlyShown as shown:
            return shown.imported

    def export(self, project: int, annotator: str | None = None) -> Iterator[AnnotatedRecording]:
        """Yield the recordings of a project with the marks of one annotator or of all, read in batches."""
        last_id, annotator = 0, annotator and people.named(annotator)
        while True:
            with self._database.reading() as connection:
                documents, last_id = transfer.documents_after(connection, project, last_id, annotator)
            if not documents:
                return
            yield from documents
