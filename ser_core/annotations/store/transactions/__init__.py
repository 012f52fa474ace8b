"""The store of annotations, in parts by subject: every method is a transaction, saved once it returns.

Nobody overwrites a change that somebody else made in the meantime: a change names the revision of the mark that it
applies to, and is refused if there is a newer one. One action of a person, such as splitting a mark, is one step of the
history.
"""

from ser_core.annotations.store.database import Database
from ser_core.annotations.store.transactions.history import History
from ser_core.annotations.store.transactions.labels import Labels
from ser_core.annotations.store.transactions.marks import Marks
from ser_core.annotations.store.transactions.people import Annotators, People
from ser_core.annotations.store.transactions.projects import Projects
from ser_core.annotations.store.transactions.recordings import Recordings
from ser_core.annotations.store.transactions.tiers import Tiers
from ser_core.annotations.store.transactions.transfer import Transfer
from ser_core.annotations.store.transactions.trash import Trash


def open_store(url: str) -> "Store":
    """Open the database at a URL, create or upgrade its tables, and return its store.

    Parameters
    ----------
    url : str
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`; `database.default_url` returns the default.

    Raises
    ------
    AnnotationsRefused
        If the database cannot be opened or was made by a newer version.
    """
    return Store(Database(url))


class Store:
    """Projects, recordings and the marks in them; safe to share between threads.

    Every method of its parts raises `AnnotationsRefused` if the database fails; then nothing was saved.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        annotators = Annotators(database)
        self.projects = Projects(database)
        self.tiers = Tiers(database, annotators)
        self.people = People(database, annotators)
        self.recordings = Recordings(database)
        self.marks = Marks(database, annotators)
        self.history = History(database)
        self.labels = Labels(database, annotators)
        self.trash = Trash(database)
        self.transfer = Transfer(database, annotators)

    @property
    def location(self) -> str:
        """Where the database is, without user and password."""
        return self._database.location

    def close(self) -> None:
        """Close the database."""
        self._database.close()
