"""The form to upload files for an import, with its options."""

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.shared import session
from pages.shared.language import recognised, t, texts
from ser_core.annotations.annotation import STATUSES
from ser_core.annotations.exchange.importing import ImportOptions
from ser_core.annotations.exchange.labels import LabelRules
from ser_core.annotations.formats import READERS

DETECTED = texts("found by content")
ENCODINGS = (DETECTED, "utf-8", "utf-16", "cp1252", "latin-1", "mac_roman", "shift_jis", "gb18030", "euc_kr")
AS_IN_FILES = texts("as the files say")


def choose_files() -> tuple[list[UploadedFile], ImportOptions, LabelRules]:
    """Show the upload and the options; return the chosen files, options and rules."""
    st.markdown(t("**Import**"))
    turn = session.choice("import_turn")
    uploads = st.file_uploader(
        t("Annotation files"),
        accept_multiple_files=True,
        key=f"import_{turn}",
        help=t(
            "{formats}; recognised by content. A file that does not name its recording by SHA-256 belongs to "
            "the recording of the same name in this project.",
            formats=", ".join(recognised(reader.name) for reader in READERS.values()),
        ),
    )
    return uploads, *_options(turn)


def _options(turn: int) -> tuple[ImportOptions, LabelRules]:
    defaults = ImportOptions()
    with st.expander(t("Options"), icon=":material/tune:"):
        left, right = st.columns(2)
        offset_s = left.number_input(
            t("Add to all times (s)"),
            -86_400.0,
            86_400.0,
            defaults.offset_s,
            0.1,
            format="%.3f",
            key=f"import_offset_{turn}",
        )
        tolerance_s = right.number_input(
            t("Tolerance at the end (s)"),
            0.0,
            60.0,
            defaults.tolerance_s,
            0.05,
            format="%.3f",
            key=f"import_tolerance_{turn}",
            help=t("Marks may end this much after their recording, and are cut there."),
        )
        encoding = left.selectbox(t("Encoding of text"), ENCODINGS, format_func=t, key=f"import_encoding_{turn}")
        status = right.selectbox(
            t("Status of the marks"), (AS_IN_FILES, *STATUSES), format_func=t, key=f"import_status_{turn}"
        )
        tiers = left.text_input(
            t("Only these tiers of emotions"),
            placeholder=t("all, or names separated by commas"),
            key=f"import_tiers_{turn}",
        )
        as_notes = right.checkbox(t("Read every text as a note"), key=f"import_notes_{turn}")
    options = ImportOptions(offset_s, tolerance_s, None if encoding == DETECTED else encoding)
    names = tuple(name.strip() for name in tiers.split(",") if name.strip())
    return options, LabelRules(names, {}, None if status == AS_IN_FILES else status, as_notes)
