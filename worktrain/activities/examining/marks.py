"""Lines of a change that put work off, or take a test out: one table for all languages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from worktrain.contracts.examination import AddedLine, Changes, Mark

TEXT_CHARACTERS_MAX = 200


def marks(changes: Changes) -> Iterator[Mark]:
    """The marks in the order of the files and lines; of one kind at most one a line."""
    for path, lines in changes.added.items():
        prose = path.lower().endswith(_PROSE)
        recent: list[str] = []
        for line in lines:
            told: set[str] = set()
            for sign in _SIGNS:
                if sign.kind in told or (sign.kind == "skip" and prose):
                    continue
                place = _place(sign, line.text, prose)
                if place is not None and not _excused(sign, recent):
                    told.add(sign.kind)
                    text = _shown(line, place)
                    yield Mark(path=path, line=line.line, kind=sign.kind, text=text)
            recent = [*recent[-_ABOVE + 1 :], line.text]


class _In(Enum):
    LINE = auto()
    COMMENT = auto()
    """Comments, and every line of a page of prose."""
    STRING = auto()
    """Strings, and lines without a sign of code, as a longer string or comment has them."""


@dataclass(frozen=True)
class _Sign:
    kind: Literal["todo", "skip", "deferred"]
    within: tuple[_In, ...]
    pattern: re.Pattern[str]
    unless: str = ""
    """A word in one of the few added lines above that makes it ordinary."""


def _sign(
    kind: Literal["todo", "skip", "deferred"],
    within: tuple[_In, ...],
    *patterns: str,
    flags: int = 0,
    unless: str = "",
) -> _Sign:
    return _Sign(kind, within, re.compile("|".join(patterns), flags), unless)


_SIGNS: tuple[_Sign, ...] = (
    _sign("todo", (_In.COMMENT,), r"\b(?:TODO|FIXME|XXX|HACK)\b", r"\b(?i:todo|fixme) ?[:(]"),
    # An interface may well show the word; with a colon it is said to a programmer.
    _sign("todo", (_In.STRING,), r"\b(?:TODO|FIXME|XXX|HACK) ?[:(]"),
    _sign("todo", (_In.LINE,), r"^\s*(?:TODO|FIXME|XXX|HACK)(?:\([^()]*\))?:"),
    _sign(
        "deferred",
        (_In.COMMENT, _In.STRING),
        r"\bfollow-?ups?\b",
        r"\bin an? (?:later|future|separate|subsequent)"
        r" (?:change|commit|pr|pull request|release)\b",
        r"\bin a follow up\b",
        r"\bnot (?:yet implemented|implemented yet|yet supported|supported yet)\b",
        r"\b(?:to be|will be) (?:implemented|added|done|handled|fixed) later\b",
        r"\bfor now,? (?:we|this|it) (?:skips?|ignores?|only|just)\b",
        r"\bNotImplemented(?:Error|Exception)?\b",
        flags=re.IGNORECASE,
    ),
    _sign(
        "deferred",
        (_In.LINE,),
        r"\braise NotImplementedError\b",
        r"\bthrow new NotImplemented(?:Error|Exception)\b",
        r"\b(?:todo|unimplemented)!\s*[(\[{]",
        r"\bTODO\(\"",
        # A method that only says what others must have is no work left over.
        unless="abstractmethod",
    ),
    _sign(
        "skip",
        (_In.LINE,),
        # pytest, unittest
        r"\bmark\.(?:skip|skipif|xfail)\b",
        r"\bpytest\.(?:skip|xfail|importorskip)\b",
        r"@(?:unittest\.)?(?:skip|skipIf|skipUnless|expectedFailure)\b",
        r"\.skipTest\s*\(",
        r"\bSkipTest\b",
        r"\bcollect_ignore(?:_glob)?\b",
        r"--deselect\b",
        r"__test__\s*=\s*False\b",
        # JavaScript: a test that runs alone takes all others out
        r"\b(?:it|test|describe|context|suite|specify|bench)\.(?:skip|skipIf|todo|fixme|only)\b",
        r"(?<![\w.$])(?:x(?:it|test|describe|context|specify)|f(?:describe|context))\s*\(",
        r"\bthis\.skip\s*\(",
        # Go, Rust, JVM, .NET, Swift, PHP, Ruby, Elixir, C++
        r"\b[tbf]\.Skip(?:f|Now)?\s*\(",
        r"#!?\[\s*(?:ignore\b|cfg_attr\([^)]*\bignore\b)",
        r"@(?:Disabled\w*|Ignored?\b)",
        r"\[(?:Ignore|Explicit)\b",
        r"\bSkip\s*=\s*\"",
        r"\bXCTSkip\w*",
        r"\bmarkTest(?:Skipped|Incomplete)\b",
        r"^\s*(?:skip|pending)\s*(?:\(\s*)?[\"']",
        r"@tag :?skip\b",
        r"\bGTEST_SKIP\b",
        r"\bDISABLED_\w",
    ),
)
_ABOVE = 6
_PROSE = (".md", ".rst", ".txt", ".adoc", ".markdown")

# Strings come first, so that a comment's sign within one is none.
_SAID = re.compile(
    r"""("[^"]*(?:"|$)|'[^']*(?:'|$)|`[^`]*(?:`|$))"""
    r"""|(\#.*|//.*|/\*.*|<!--.*|--\s.*|;;.*|^\s*\*.*|^\s*%.*)"""
)
_CODE = re.compile(r"[=(){}\[\];<>|&]|^\s*(?:raise|except|throw|return|import)\b")


def _place(sign: _Sign, text: str, prose: bool) -> int | None:
    """Where in a line the sign stands, None if it does not."""
    if not sign.pattern.search(text):
        return None
    for start, part, kind in _parts(text, prose):
        if kind in sign.within and (found := sign.pattern.search(part)):
            return start + found.start()
    return None


def _parts(text: str, prose: bool) -> Iterator[tuple[int, str, _In]]:
    yield 0, text, _In.LINE
    if prose or not _CODE.search(text):
        yield 0, text, _In.COMMENT if prose else _In.STRING
    for found in _SAID.finditer(text):
        yield found.start(), found[0], _In.STRING if found[1] else _In.COMMENT


def _excused(sign: _Sign, recent: list[str]) -> bool:
    return bool(sign.unless) and any(sign.unless in text for text in recent)


def _shown(line: AddedLine, place: int) -> str:
    """The line, or of a long one the part that begins shortly before the sign."""
    text = line.text.strip()
    if len(text) <= TEXT_CHARACTERS_MAX:
        return text
    begin = max(0, min(place - 40, len(line.text) - TEXT_CHARACTERS_MAX))
    return line.text[begin : begin + TEXT_CHARACTERS_MAX].strip()
