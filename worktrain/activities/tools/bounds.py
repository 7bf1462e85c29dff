"""How much of a text is shown, and how it is said that there is more."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """Lines `first` to `last` of `total`, counted from 1; none when `last` is before `first`."""

    lines: tuple[str, ...]
    first: int
    last: int
    total: int
    cut: bool
    """Whether the last line shown is only the beginning of it."""

    @property
    def whole(self) -> bool:
        return self.first == 1 and self.last == self.total and not self.cut


def ends(text: str, characters_max: int) -> tuple[str, str, int]:
    """The beginning and the end of a text, and how many characters are left out between."""
    if len(text) <= characters_max:
        return text, "", 0
    head = characters_max // 2
    tail = characters_max - head
    return text[:head], text[len(text) - tail :], len(text) - characters_max


def shortened(text: str, characters_max: int) -> str:
    """The text, or its beginning and end with a line between them that counts what is missing."""
    head, tail, missing = ends(text, characters_max)
    return text if not missing else f"{head}\n[… {missing} characters left out …]\n{tail}"


def page(text: str, first: int, lines_max: int, characters_max: int) -> Page:
    """The numbered lines from `first` on that fit, at least a part of one.

    A line is what ends with a newline, so that numbers are those of git and grep.
    `characters_max` counts the numbers and the newlines as well.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    shown: list[str] = []
    left = characters_max
    for number, line in enumerate(lines[first - 1 : first - 1 + lines_max], start=first):
        numbered = f"{number:>6}\t{line}"
        if len(numbered) + 1 > left:
            if not shown:
                shown.append(numbered[: left - 1])
                return Page(tuple(shown), first, first, len(lines), cut=True)
            break
        shown.append(numbered)
        left -= len(numbered) + 1
    return Page(tuple(shown), first, first + len(shown) - 1, len(lines), cut=False)


def listed(
    entries: "list[str] | tuple[str, ...]", entries_max: int, characters_max: int
) -> tuple[tuple[str, ...], int]:
    """The first entries that fit, one a line, and how many do not."""
    shown: list[str] = []
    left = characters_max
    for entry in entries[:entries_max]:
        left -= len(entry) + 1
        if left < 0:
            break
        shown.append(entry)
    return tuple(shown), len(entries) - len(shown)
