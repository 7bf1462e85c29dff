"""What the commands about specs have in common: where they look, and how they tell a problem."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from worktrain.engine.parse.problem import Problem

repo_option: Callable[[Any], Any] = click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Any path inside the repository; the current directory without it.",
)


def told(problem: Problem) -> str:
    """A problem as a compiler tells it: file:line:column, level, rule, sentence."""
    rule = f" [{problem.rule}]" if problem.rule else ""
    place = f"{problem.file}:{problem.line}:{problem.column}"
    return f"{place}: {problem.level}{rule} {problem.message}"
