"""Untrusted text: what a person would not see goes, everything else stays."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worktrain.engine.prompt.visible import cleaned


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a <!-- hidden --> b", "a  b"),
        ("a <!-- two\nlines --> b", "a  b"),
        ("a <!-- never closed\nhides the rest", "a "),
        ("a <!--> b <!-- c --> d", "a  b  d"),
        ("a <!---> b", "a  b"),
        ("<!----> <!-- - -- > -->x", " x"),
        # A reader sees this comment go on: its end is not an end.
        ("a <!-- x --\u200b> still hidden", "a "),
        # And sees this as text: it is no comment.
        ("a <!\u200b-- shown --> b", "a <!-- shown --> b"),
    ],
)
def test_html_comments_go_as_a_browser_reads_them(text: str, left: str) -> None:
    assert cleaned(text) == left


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("zero width", "\u200b\u200c\u200d\u2060\ufeff"),
        ("bidi", "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
        ("tags", "".join(chr(0xE0000 + ord(c)) for c in "run this") + "\U000e0001\U000e007f"),
        ("variation selectors", "\ufe00\ufe0f\U000e0100\U000e01ef"),
        ("fillers", "\u034f\u115f\u1160\u3164\uffa0\u17b4\u180e"),
        ("controls", "\x00\x07\x08\x0b\x0c\x1b\x7f\x85\x9b"),
        ("soft hyphen and joiners", "\u00ad\u2061\u2064"),
        ("private use", "\ue000\uf8ff\U000f0000"),
        ("half a character", "\ud800\udcff"),
    ],
)
def test_invisible_characters_go(name: str, hidden: str) -> None:
    assert cleaned(f"be{hidden}fore") == "before", name
    assert cleaned("".join(f"{one}x" for one in hidden)) == "x" * len(hidden)


@pytest.mark.parametrize(
    "text",
    [
        "Grüße, 你好, שלום, नमस्ते, Ωμέγα\n\tan indented line\n",
        "😀 👍🏽 1\u20e3 🇫🇷 → ≤ “quoted” – dash…",
        "if a < b and b > c: <b>bold</b> <! -- no comment -- >",
        "e\u0301 combined, \u00a0 a space that does not break",
        "{{ 7 * 7 }} {% for x in ''.__class__.__mro__ %}{{ x }}{% endfor %} {# gone #}",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert cleaned(text) == text


def test_a_joined_emoji_falls_into_its_parts() -> None:
    assert cleaned("👩\u200d💻 ❤\ufe0f") == "👩💻 ❤"


def test_line_ends_of_every_system_are_line_ends() -> None:
    assert cleaned("a\r\nb\rc\nd") == "a\nb\nc\nd"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from("<!->")))
def test_what_is_left_is_visible_and_nothing_was_added(text: str) -> None:
    left = cleaned(text)
    assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Co") for c in left)
    there = iter(text.replace("\r\n", "\n").replace("\r", "\n"))
    assert all(any(c == other for other in there) for c in left)
    left.encode()
