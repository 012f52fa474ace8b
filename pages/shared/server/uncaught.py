"""Unexpected errors: show a sentence with a reference number, and log the details."""

import logging

from streamlit import error_util
from streamlit import logger as streamlit_logger
from streamlit.delta_generator_singletons import get_dg_singleton_instance
from streamlit.elements.exception import _exception

from pages.shared.language import t
from ser_core.work.log import JsonLines, log_error, write_to_stderr

log = logging.getLogger(__name__)


class Unexpected(Exception):
    """Shown instead of the error itself."""

    alternate_name = ""  # Streamlit would put the class name before the sentence


def _show(error: BaseException) -> None:
    reference = log_error(log, "A page failed", error)
    sentence = t(
        "Something went wrong. Reload the page; if it happens again, please report the number {reference}, which the "
        "app's log gives too.",
        reference=reference,
    )
    _exception(get_dg_singleton_instance().main_dg, Unexpected(sentence))


def _as_json(logger: logging.Logger) -> None:
    logger.streamlit_console_handler = logging.StreamHandler()
    logger.streamlit_console_handler.setFormatter(JsonLines())
    logger.addHandler(logger.streamlit_console_handler)


def install() -> None:
    """Keep the messages of errors in pages and fragments out of the browser and the log.

    Streamlit's public error hook exists only for apps started from their own code, not by `streamlit run`.
    """
    error_util.show_uncaught_app_exception = _show
    error_util._log_uncaught_app_exception = lambda error: None
    streamlit_logger.setup_formatter = _as_json
    for logger in logging.root.manager.loggerDict.values():
        for handler in getattr(logger, "handlers", ()):
            handler.setFormatter(JsonLines())
    write_to_stderr()
