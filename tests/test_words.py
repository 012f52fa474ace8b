"""Words with times: read from Praat's files and from CSV, or refused with the reason."""

import parselmouth
import pytest
from parselmouth.praat import call

from ser_core.analysis import Region
from ser_core.annotations.words import phrases_under, read_words
from ser_core.errors import WordsRefused

SAID = [(0.2, 0.5, "for"), (0.5, 0.9, "sure"), (1.1, 1.4, "so"), (1.4, 1.9, "much"), (1.9, 2.0, "élan")]
WORDS = tuple(Region(start, end, label=word) for start, end, word in SAID)


def praat_grid(tiers: str = "phones words", points: str = "", tier: int = 2):
    """Return a TextGrid made by Praat, with the words in one of its tiers."""
    grid = call("Create TextGrid", 0.0, 2.5, tiers, points)
    for edge in sorted({edge for start, end, _ in SAID for edge in (start, end)}):
        call(grid, "Insert boundary", tier, edge)
    for start, end, word in SAID:
        call(grid, "Set interval text", tier, call(grid, "Get interval at time", tier, (start + end) / 2), word)
    return grid


@pytest.mark.parametrize("form", ["Save as text file", "Save as short text file"])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_files_written_by_praat_are_read(form, encoding, tmp_path):
    file = tmp_path / "a.TextGrid"
    parselmouth.praat.run(f'Text writing preferences: "{encoding}"')
    call(praat_grid(), form, str(file))
    assert read_words(file.read_bytes(), "a") == WORDS


def test_without_a_tier_called_words_the_first_of_intervals_is_read(tmp_path):
    file = tmp_path / "a.TextGrid"
    call(praat_grid("tone said more", "tone", tier=2), "Save as text file", str(file))
    assert read_words(file.read_bytes(), "a") == WORDS
    call(praat_grid("tone said more", "tone", tier=3), "Save as text file", str(file))
    with pytest.raises(WordsRefused, match="no words"):
        read_words(file.read_bytes(), "a")


def test_a_word_that_looks_like_praats_own_is_one(tmp_path):
    file, grid = tmp_path / "a.TextGrid", praat_grid()
    for interval, word in ((2, "item [1]:"), (3, 'class = "TextTier"')):
        call(grid, "Set interval text", 2, interval, word)
    call(grid, "Save as text file", str(file))
    assert [word.label for word in read_words(file.read_bytes(), "a")][:2] == ["item [1]:", 'class = "TextTier"']


def test_a_csv_is_read_in_any_order_of_rows_and_columns():
    text = "word, start_s,end_s,who\nsure,0.5,0.9,B\nfor,0.2,0.5,A\n  ,0.9,1.0,A\n"
    assert read_words(b"\xef\xbb\xbf" + text.encode(), "w.csv") == WORDS[:2]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"", "start_s and end_s and word cannot be found"),
        (b"start_s,end_s\n0,1\n", "word cannot be found"),
        (b"start_s,end_s,word\n0,1,yes\nx,2,no\n", "line 3: start_s"),
        (b"start_s,end_s,word\n0,1,yes\n2\n", "line 3: start_s"),
        (b"start_s,end_s,word\n1,1,yes\n", "line 2: the word “yes” from 1 to 1 s has no length"),
        (b"start_s,end_s,word\nnan,1,yes\n", "line 2"),
        (b"start_s,end_s,word\n", "no words"),
        (b"\xff\xfe\x00", "not text"),
        (bytes(range(128, 256)), "not text"),
        (b'"ooTextFile" "TextGrid" 0 1 <exists> 1 "TextTier" "points" 0 1 0', "the TextGrid has no interval tier"),
        (b'File type = "ooTextFile"\nObject class = "TextGrid"\n', "line 2: the file ends where the start"),
        (
            b'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n1\n"IntervalTier"\n"words"\n0',
            "line 10: the file ends where the end of tier 1",
        ),
    ],
)
def test_what_is_no_file_of_words_is_refused_with_the_place(source, why):
    with pytest.raises(WordsRefused, match=f"(?i)^here.*{why}"):
        read_words(source, "here")


def test_a_word_is_under_focus_by_half_of_its_length_and_neighbours_are_one_phrase():
    # 'sure' from its centre on; 'so', 'much'; less than half of 'élan'.
    focus = [Region(0.7, 1.0), Region(1.0, 1.94)]
    assert phrases_under(focus, WORDS) == ["sure so much"]
    assert phrases_under([Region(0.72, 1.0), Region(1.0, 1.96)], WORDS) == ["so much élan"]
    assert phrases_under([Region(0.0, 0.9), Region(1.4, 1.9)], WORDS) == ["for sure", "much"]
    assert phrases_under([], WORDS) == []
