"""Compare words by their spelling: find a phrase, and count the errors of a transcript."""

import unicodedata
from collections.abc import Sequence

from ser_core.analysis import Region

#: Shown before and after a phrase that was found.
WORDS_AROUND = 6


def spelling(text: str) -> str:
    """Return a word in the form in which words are compared: lower case, only letters, digits and apostrophes.

    >>> spelling("Don’t!")
    "don't"
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return "".join(letter for letter in folded if letter.isalnum() or unicodedata.combining(letter) or letter == "'")


def find_phrase(words: Sequence[Region], phrase: str) -> list[range]:
    """Return where a phrase is spoken, as indices of words; the beginning of its last word is enough.

    >>> words = [Region(at, at + 1, label=word) for at, word in enumerate(["So", "much,", "so", "muchly"])]
    >>> find_phrase(words, "so MUCH")
    [range(0, 2), range(2, 4)]
    """
    parts = [part for part in map(spelling, phrase.split()) if part]
    if not parts:
        return []
    spoken, length = [spelling(word.label) for word in words], len(parts)
    return [
        range(first, first + length)
        for first in range(len(spoken) - length + 1)
        if spoken[first : first + length - 1] == parts[:-1] and spoken[first + length - 1].startswith(parts[-1])
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


def word_errors(reference: Sequence[str], transcript: Sequence[str]) -> int:
    """Return the smallest number of words to change, insert or delete that turns one text into the other.

    >>> word_errors("so much fun".split(), "so such great fun".split())
    2
    """
    row = list(range(len(transcript) + 1))
    for done, word in enumerate(reference, start=1):
        before, row = row, [done]
        for index, other in enumerate(transcript):
            row.append(min(before[index] + (word != other), before[index + 1] + 1, row[-1] + 1))
    return row[-1]
