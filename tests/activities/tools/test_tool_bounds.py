"""The arithmetic of what is shown never shows too much, and never loses count."""

from hypothesis import given
from hypothesis import strategies as st

from worktrain.activities.tools.bounds import ends, listed, page, shortened

texts = st.text(alphabet=st.sampled_from("ab\n\tü"), max_size=300)
sizes = st.integers(min_value=2, max_value=200)


@given(texts, sizes)
def test_both_ends_and_what_is_missing_make_up_the_text(text: str, most: int) -> None:
    head, tail, missing = ends(text, most)
    assert len(head) + len(tail) + missing == len(text)
    assert len(head) + len(tail) <= most
    assert text.startswith(head)
    assert text.endswith(tail)
    assert missing == 0 or abs(len(head) - len(tail)) <= 1


@given(texts, sizes)
def test_a_shortened_text_says_so_or_is_whole(text: str, most: int) -> None:
    said = shortened(text, most)
    assert (said == text) == (len(text) <= most)
    assert len(text) <= most or f"{len(text) - most} characters left out" in said


@given(texts, st.integers(1, 50), st.integers(1, 50), st.integers(20, 300))
def test_a_page_is_numbered_bounded_and_knows_the_whole(
    text: str, first: int, lines_max: int, characters_max: int
) -> None:
    lines = text.split("\n")[:-1] if text.endswith("\n") or not text else text.split("\n")
    shown = page(text, first, lines_max, characters_max)
    assert shown.total == len(lines)
    assert len(shown.lines) == shown.last - shown.first + 1 <= lines_max
    assert sum(len(line) + 1 for line in shown.lines) <= characters_max
    for number, numbered in enumerate(shown.lines, start=first):
        label, _, line = numbered.partition("\t")
        assert int(label) == number
        assert line == lines[number - 1] or (shown.cut and lines[number - 1].startswith(line))


@given(texts, st.integers(1, 20), st.integers(40, 300))
def test_pages_in_a_row_show_every_line_once(
    text: str, lines_max: int, characters_max: int
) -> None:
    seen, first = 0, 1
    while True:
        shown = page(text, first, lines_max, characters_max)
        seen += len(shown.lines)
        first = shown.last + 1
        if first > shown.total:
            break
        assert shown.lines
    assert seen == shown.total


@given(texts, st.integers(1, 400))
def test_a_page_is_whole_only_when_every_line_is_on_it(text: str, lines_max: int) -> None:
    shown = page(text, 1, lines_max, 100_000)
    assert shown.whole == (shown.total <= lines_max)


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(0, 30), st.integers(0, 200))
def test_a_list_is_bounded_and_counts_what_it_leaves_out(
    entries: list[str], entries_max: int, characters_max: int
) -> None:
    shown, more = listed(entries, entries_max, characters_max)
    assert list(shown) == entries[: len(shown)]
    assert len(shown) + more == len(entries)
    assert len(shown) <= entries_max
    assert sum(len(entry) + 1 for entry in shown) <= characters_max
