"""What is lost in files: the sentences of `ser_core` in the visit's language."""

from pages.shared.language import recognised, texts
from pages.shared.language.names import in_markdown

#: Counted things in the sentences of `ser_core`; `recognised` finds them among these texts.
COUNTED = texts(
    (
        ("{n} annotation", "{n} annotations"),
        ("{n} background", "{n} backgrounds"),
        ("{n} cancelled annotation", "{n} cancelled annotations"),
        (
            "{n} channel of a mark, which is not a number from 0",
            "{n} channels of a mark, which is not a number from 0",
        ),
        ("{n} controlled vocabulary", "{n} controlled vocabularies"),
        ("{n} cue", "{n} cues"),
        ("{n} description of a speaker", "{n} descriptions of a speaker"),
        ("{n} description of a turn, such as its channel", "{n} descriptions of a turn, such as its channel"),
        ("{n} draft", "{n} drafts"),
        ("{n} file", "{n} files"),
        ("{n} interval", "{n} intervals"),
        ("{n} item", "{n} items"),
        ("{n} label", "{n} labels"),
        ("{n} length of a mark in a tier of points", "{n} lengths of a mark in a tier of points"),
        ("{n} level", "{n} levels"),
        ("{n} mark", "{n} marks"),
        ("{n} number", "{n} numbers"),
        ("{n} other column", "{n} other columns"),
        ("{n} prediction", "{n} predictions"),
        ("{n} rating of the control {name}", "{n} ratings of the control {name}"),
        ("{n} recording", "{n} recordings"),
        ("{n} result of the kind {name}", "{n} results of the kind {name}"),
        ("{n} row", "{n} rows"),
        ("{n} section without a topic", "{n} sections without a topic"),
        ("{n} selection", "{n} selections"),
        ("{n} speaker", "{n} speakers"),
        ("{n} text beside a label of the tier {name}", "{n} texts beside a label of the tier {name}"),
        (
            "{n} text of the control {name}, with no region to it",
            "{n} texts of the control {name}, with no region to it",
        ),
        ("{n} text behind the time of an utterance", "{n} texts behind the time of an utterance"),
        ("{n} tier", "{n} tiers"),
        ("{n} turn", "{n} turns"),
        ("{n} utterance without times", "{n} utterances without times"),
        ("{n} value of the control {name}", "{n} values of the control {name}"),
    )
)


def in_words(loss: str) -> str:
    """Return a sentence about a loss as Markdown in the visit's language."""
    return in_markdown(recognised(loss))
