"""Train a model on the corpora of this machine, and watch its learning curves."""

from pages.shared import controls, frame, links
from pages.shared.language import t
from pages.shared.models import corpora_section, training_form, training_section

frame.begin(
    t("Train"),
    "👂",
    t("Train a model on the corpora on this machine. Training continues when you leave the page."),
)
controls.sidebar()
folders = training_form.corpus_folders()
training, corpora = links.tabs("train_tab")
with training:
    training_section.show(folders)
if corpora.open:  # do not read thousands of headers before the tab is opened
    with corpora:
        corpora_section.show(folders)
