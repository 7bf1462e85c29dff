"""What is wrong with a text that somebody wrote, in lines that name the place."""

from collections.abc import Iterable
from typing import Literal

from worktrain.contracts.base import Value

PROBLEMS_MAX = 20
CHARACTERS_MAX = 300


class Problem(Value):
    """One thing that is wrong, and where; lines and columns are counted from 1."""

    file: str
    line: int
    column: int
    message: str
    rule: str = ""
    """Its name in kebab-case."""
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        note = "warning: " if self.level == "warning" else ""
        return f"{self.file}:{self.line}:{self.column}: {note}{self.message}"


class Unreadable(Exception):
    """The text does not say what it should; `str()` has one line for each problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def first(found: Iterable[Problem]) -> tuple[Problem, ...]:
    """In the order of the lines, without doubles; of a flood the beginning, and its size."""
    problems = in_order(found)
    left_out = len(problems) - PROBLEMS_MAX
    if left_out <= 0:
        return problems
    last = problems[PROBLEMS_MAX]
    more = last.model_copy(update={"message": f"and {left_out} more problems from here on"})
    return (*problems[:PROBLEMS_MAX], more)


def in_order(found: Iterable[Problem]) -> tuple[Problem, ...]:
    distinct = dict.fromkeys(found)
    return tuple(sorted(distinct, key=lambda problem: (problem.line, problem.column)))


def shortened(text: str, length_max: int = CHARACTERS_MAX) -> str:
    """One line that a terminal can be trusted with."""
    short = text if len(text) <= length_max else text[: length_max - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short)


def quoted(key: str) -> str:
    return f'"{shortened(key, 60)}"'
