"""What a change consists of, seen by WorkTrain itself: files, hunks, marks, broken rules."""

from typing import Literal

from pydantic import Field

from worktrain.contracts.base import Value
from worktrain.contracts.workspace import ArchitectureRule, CommitRef


class FileChange(Value):
    path: str
    status: Literal["added", "modified", "deleted", "renamed"]
    added: int
    """Lines; 0 for a binary file, as `removed`."""
    removed: int
    hunks: tuple[tuple[int, int], ...] = ()
    """First and last line of each changed part, as they are in the candidate; at most 200."""
    was: str = ""
    """The path before it was renamed."""


class AddedLine(Value):
    line: int
    """Its number in the candidate, from 1; lines end with `\\n` alone."""
    text: str
    """Without its line break, at most 2,000 characters."""


class Changes(Value):
    """What a candidate changes against the commit where it left the base."""

    files: tuple[FileChange, ...]
    """Every file, in the order of the paths."""
    added: dict[str, tuple[AddedLine, ...]]
    """By path, for files that have some: 2,000 lines a file, 20,000 in all."""
    unread: dict[str, str] = Field(default_factory=dict)
    """By path, which of its lines are not in `added`, and why."""


class Mark(Value):
    """A line that the change adds and that puts something off, or takes a test out."""

    path: str
    line: int
    kind: Literal["todo", "skip", "deferred"]
    text: str
    """The line, at most 200 characters."""


class RuleBreak(Value):
    """A line that the change adds and that a rule of the workspace forbids."""

    rule: str
    path: str
    line: int
    text: str
    why: str


class ExamineRequest(Value):
    pipeline: str
    repo: str
    base: CommitRef
    candidate: CommitRef
    rules: tuple[ArchitectureRule, ...] = ()


class Examination(Value):
    base: CommitRef
    candidate: CommitRef
    changes: tuple[FileChange, ...]
    """Every file, in the order of the paths."""
    marks: tuple[Mark, ...] = ()
    breaks: tuple[RuleBreak, ...] = ()
    unread: tuple[str, ...] = ()
    """Files whose lines were not looked at, and why: too large, binary, too many."""
    sensitive: tuple[str, ...] = ()
    """What its lines do that a person must agree to, in sentences without a full stop: a new
    dependency, a change of the database schema, of how tests are collected, ..."""
