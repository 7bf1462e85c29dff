"""Test reports: which tests a check ran and how each ended, by its report or by its output."""

from pathlib import Path

from worktrain.adapters.reports import console, junit
from worktrain.adapters.reports.report import TestReport


def read(path: Path | None, output: str) -> TestReport | None:
    """The JUnit report at `path`, else what the output of a common runner says; None when there
    is neither. An output says it only whole: pass none of one that was cut.

    Raises ValueError, saying why, when there is a report that cannot be used.
    """
    found = None if path is None else junit.read(path)
    return console.parse(output) if found is None else found


__all__ = ["TestReport", "read"]
