"""Find words and phrases among spoken words, whatever their case and punctuation."""

import unicodedata
from collections.abc import Sequence

from ser_core.analysis import Region


def spelling(text: str) -> str:
    """Return a word as it is compared: in lower case, only its letters, digits and apostrophes.

    >>> spelling("Don’t!")
    "don't"
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return "".join(letter for letter in folded if letter.isalnum() or unicodedata.combining(letter) or letter == "'")


def find_phrase(words: Sequence[Region], phrase: str) -> list[range]:
    """Return where a phrase is said, as the indices of its words; its last word may go on.

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
