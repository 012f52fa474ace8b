"""Resources that all visits share: models, queues of jobs, the annotations, and figures of corpora."""

import atexit
import logging
import os
from collections.abc import Hashable
from contextlib import closing
from pathlib import Path
from weakref import WeakSet

import streamlit as st

from pages.shared import session
from pages.shared.language import t
from ser_core.annotations.saved_sounds import finish_deletions
from ser_core.annotations.store.database import FILE_NAME, default_url
from ser_core.annotations.store.transactions import Store, open_store
from ser_core.corpora import read_corpus
from ser_core.corpora.overview import CorpusOverview, overview_of
from ser_core.errors import AnnotationsRefused
from ser_core.model.checkpoint import CARD
from ser_core.model.classifier import Classifier
from ser_core.model.shipped_models import find_model, load_model
from ser_core.output.saved_analyses import clear_unfinished, data_folder
from ser_core.work.jobs import Cluster, Job, Jobs

log = logging.getLogger(__name__)

_loaded_models: WeakSet[Classifier] = WeakSet()


def model(name: str) -> Classifier:
    """Return a model; it is loaded again after it was retrained under the same name."""
    card = find_model(name) / CARD
    with st.spinner(t("Loading the model")):
        return _model(name, card.stat().st_mtime_ns if card.is_file() else 0)


@st.cache_resource(max_entries=8, show_spinner=False)
def _model(name: str, written_ns: int) -> Classifier:
    loaded = load_model(name)
    _loaded_models.add(loaded)
    return loaded


def forget_segments() -> None:
    """Free what the loaded models keep of the segments that were explained last, in any visit."""
    for loaded in list(_loaded_models):
        if hasattr(loaded, "forget_segments"):
            loaded.forget_segments()


@st.cache_resource
def jobs() -> Jobs:
    queue = Jobs(cluster=_cluster(), after_cancelled=forget_segments)
    atexit.register(queue.close)
    return queue


def _cluster() -> Cluster | None:
    address = os.environ.get("SER_SCHEDULER")
    if not address:
        return None
    from ser_core.batch import cluster  # the import takes a second, and memory

    return cluster.Cluster(address)


@st.cache_resource
def read_ahead_jobs() -> Jobs:
    """Return the queue of recordings that are read ahead; they are decoded in another process."""
    return Jobs()


@st.cache_resource
def trainings() -> Jobs:
    """Return the queue of trainings. They run one at a time, in parallel with short jobs."""
    return Jobs()


@st.cache_resource(show_spinner=False)
def clear_unfinished_saves() -> str | None:
    """Clean up saves that were interrupted by the last shutdown, once per start; return a message for the visitor."""
    return clear_unfinished(data_folder())


def annotations(url: str) -> Store:
    with st.spinner(t("Opening the annotations")):
        return _annotations(url)


@st.cache_resource(show_spinner=False)
def _annotations(url: str) -> Store:
    return open_store(url)


def has_annotations() -> bool:
    """Return whether there are annotations, without creating any."""
    return bool(os.environ.get("SER_DATABASE_URL")) or (data_folder() / FILE_NAME).is_file()


def finish_deletions_daily() -> None:
    """Finish interrupted deletions and empty the trash of annotations, at each start and daily."""
    if has_annotations():
        _finish_deletions(default_url(data_folder()), data_folder())


@st.cache_resource(ttl=24 * 3_600, show_spinner=False)
def _finish_deletions(url: str, data: Path) -> None:
    try:
        with closing(open_store(url)) as store:
            finish_deletions(store, data)
    except AnnotationsRefused:
        log.warning("Deletions are not finished and are tried again tomorrow.", exc_info=True)


def finished(key: tuple[Hashable, ...]) -> Job | None:
    job = jobs().find(session.owner(), key)
    return job if job is not None and job.state == "done" else None


def corpus_overview(name: str, folder: str) -> CorpusOverview:
    """Return figures of a corpus from the first time its folder was read."""
    with st.spinner(t("Reading the corpus")):
        return _corpus_overview(name, folder)


@st.cache_data(max_entries=16, show_spinner=False)
def _corpus_overview(name: str, folder: str) -> CorpusOverview:
    return overview_of(read_corpus(name, folder))


def forget_overviews() -> None:
    """Read each corpus again when it is shown next."""
    _corpus_overview.clear()
