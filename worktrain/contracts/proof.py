"""What a delivery has to show: checked facts, verdicts and decisions about one tree."""

from enum import StrEnum
from typing import Literal

from worktrain.contracts.artifact import AcceptanceCriterion, ReviewVerdict
from worktrain.contracts.base import Value
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import CommitRef, SandboxRules, VerifyCommand


class CheckEnding(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    MISSING = "missing"
    """The command does not exist (exit code 126 or 127)."""


class CheckRun(Value):
    """One run of one check in a clean checkout. Test ids only where a report was found."""

    name: str
    command: str
    at: CommitRef
    ending: CheckEnding
    exit_code: int | None
    seconds: float
    passed: tuple[str, ...] | None = None
    failed: tuple[str, ...] | None = None
    skipped: tuple[str, ...] | None = None
    tail: str = ""
    """The end of its output, at most 2,000 characters."""


class VerifyRequest(Value):
    pipeline: str
    repo: str
    base: CommitRef
    candidate: CommitRef
    commands: tuple[VerifyCommand, ...]
    sandbox: SandboxRules


class CheckComparison(Value):
    """One check, base against candidate."""

    name: str
    base: CheckRun
    candidate: CheckRun


class Verification(Value):
    base: CommitRef
    candidate: CommitRef
    checks: tuple[CheckComparison, ...]


class PhaseRecord(Value):
    """What one session did, for proof, `show` and `run --json`."""

    phase: str
    session: str
    spec: str
    script: str
    ending: str
    turns: int
    usage: Usage
    cost_microdollars: int
    model: str


class Review(Value):
    """A verdict, bound by WorkTrain to the tree that the reviewer was given."""

    session: str
    at: CommitRef
    verdict: ReviewVerdict


class Decision(Value):
    """Who let what happen, and to which tree."""

    gate: str
    answer: Literal["approved", "rejected"]
    by: str
    reason: str = ""
    tree: str | None = None


class Proof(Value):
    """The record of one delivery. Its canonical JSON is what the git note holds."""

    format: Literal["worktrain-proof-1"] = "worktrain-proof-1"
    pipeline: str
    task: Task
    base: CommitRef
    merged: CommitRef
    base_branch: str
    criteria: tuple[AcceptanceCriterion, ...]
    phases: tuple[PhaseRecord, ...]
    reviews: tuple[Review, ...]
    verification: Verification
    decisions: tuple[Decision, ...]
    usage: Usage
    cost_microdollars: int
    notices: tuple[str, ...] = ()
    """Failures that existed before the task, and whatever else must not be hidden."""
