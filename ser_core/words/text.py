"""Compare words by their spelling: find a phrase, and count the errors of a transcript."""

import unicodedata
from collections.abc import Sequence

from ser_core.analysis import Region

#: Shown before and after a phrase that was found.
WORDS_AROUND = 6


def spelling(text: str) -> str:
    """Return a word in the form that is compared: lower case, only letters, digits and apostrophes.

    >>> spelling("Don’t!")
    "don't"
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return "".join(letter for letter in folded if letter.isalnum() or unicodedata.combining(letter) or letter == "'")


def find_phrase(words: Sequence[Region], phrase: str) -> list[range]:
    """Return where a phrase is said, as the indices of its words; of its last word, a beginning is enough.

    >>> said = [Region(at, at + 1, label=word) for at, word in enumerate(["So", "much,", "so", "muchly"])]
    >>> find_phrase(said, "so MUCH")
    [range(0, 2), range(2, 4)]
    """
    wanted = [spelled for word in phrase.split() if (spelled := spelling(word))]
    if not wanted:
        return []
    said, length = [spelling(word.label) for word in words], len(wanted)
    return [
        range(first, first + length)
        for first in range(len(said) - length + 1)
        if said[first : first + length - 1] == wanted[:-1] and said[first + length - 1].startswith(wanted[-1])
    ]


def phrase_around(words: tuple[Region, ...], found: range) -> tuple[str, str, str]:
    """Return at most `WORDS_AROUND` words before a phrase, the phrase, and at most as many after it."""
    parts = (
        words[max(0, found.start - WORDS_AROUND) : found.start],
        words[found.start : found.stop],
        words[found.stop : found.stop + WORDS_AROUND],
    )
    before, phrase, after = (" ".join(word.label for word in part) for part in parts)
    return before, phrase, after


def word_errors(said: Sequence[str], found: Sequence[str]) -> int:
    """Return the smallest number of words to change, insert or delete that turns one text into the other.

    >>> word_errors("so much fun".split(), "so such great fun".split())
    2
    """
    row = list(range(len(found) + 1))
    for done, word in enumerate(said, start=1):
        before, row = row, [done]
        for index, other in enumerate(found):
            row.append(min(before[index] + (word != other), before[index + 1] + 1, row[-1] + 1))
    return row[-1]
