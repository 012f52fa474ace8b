"""An error that nobody expected: a sentence with a number for the person, all that helps for the log."""

import logging

from streamlit import error_util
from streamlit import logger as streamlit_logger
from streamlit.delta_generator_singletons import get_dg_singleton_instance
from streamlit.elements.exception import _exception

from ser_core.work.log import JsonLines, failed, write_to_stderr

log = logging.getLogger(__name__)


class Unexpected(Exception):
    """What is shown in the place of an error."""

    alternate_name = ""  # of the class, which Streamlit would write before the sentence


def _show(error: BaseException) -> None:
    reference = failed(log, "A page failed", error)
    sentence = (
        f"Something went wrong that should not have. Load the page anew; if it comes again, please report the number "
        f"{reference}, under which the log of the app says where it happened."
    )
    _exception(get_dg_singleton_instance().main_dg, Unexpected(sentence))


def _as_json(logger: logging.Logger) -> None:
    logger.streamlit_console_handler = logging.StreamHandler()
    logger.streamlit_console_handler.setFormatter(JsonLines())
    logger.addHandler(logger.streamlit_console_handler)


def take_over() -> None:
    """Let no error's own text reach the browser or the log, from now on and from any page or fragment.

    Streamlit has a public hook for errors only where an app is started by code of its own, not by `streamlit run`.
    """
    error_util.show_uncaught_app_exception = _show
    error_util._log_uncaught_app_exception = lambda error: None
    streamlit_logger.setup_formatter = _as_json
    for logger in logging.root.manager.loggerDict.values():
        for handler in getattr(logger, "handlers", ()):
            handler.setFormatter(JsonLines())
    write_to_stderr()
