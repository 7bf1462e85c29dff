"""What a delivery has to show: checked facts, verdicts and decisions about one tree."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from worktrain.contracts.artifact import AcceptanceCriterion, AuditReport, ReviewVerdict
from worktrain.contracts.base import Value, absent
from worktrain.contracts.examination import Examination
from worktrain.contracts.ledger import Ledger
from worktrain.contracts.route import Route, TaskClass
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
    errors: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """Those of `failed` that did not come to an assertion: collection, set-up, tear-down."""
    flaky: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """Tests that failed, are known to fail by chance, and passed when the check ran again. They
    stand in `passed`."""
    tail: str = ""
    """The end of its output, at most 2,000 characters."""


class VerifyRequest(Value):
    pipeline: str
    repo: str
    base: CommitRef
    candidate: CommitRef
    commands: tuple[VerifyCommand, ...]
    sandbox: SandboxRules
    purpose: Literal["candidate", "slice", "watch"] = "candidate"


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
    looks: int = Field(default=0, exclude_if=absent)
    """Tool calls that it ran: how often it looked at something, or did something."""
    worked_s: float = Field(default=0.0, exclude_if=absent)
    """Seconds, waiting for people and being parked left out."""


class Review(Value):
    """A verdict, bound by WorkTrain to the tree that the reviewer was given."""

    session: str
    at: CommitRef
    verdict: ReviewVerdict
    fresh: bool = Field(default=False, exclude_if=absent)
    """Given by a reviewer who had not seen the change before."""


class Decision(Value):
    """Who let what happen, and to which tree."""

    gate: str
    answer: Literal["approved", "rejected"]
    by: str
    reason: str = ""
    tree: str | None = None
    about: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """What exactly was waived: criteria, marks, files, by the names that the gate gave them."""
    channel: str = Field(default="", exclude_if=absent)
    at_s: float = Field(default=0.0, exclude_if=absent)
    """Seconds since the epoch."""


class Audit(Value):
    """An audit's report, bound to the tree that was audited."""

    session: str
    at: CommitRef
    report: AuditReport


class CriterionTrace(Value):
    """One acceptance criterion: what meets it, what shows it, what was found wrong with it."""

    criterion: AcceptanceCriterion
    code: tuple[str, ...] = ()
    """Changed files that meet it, `path:first-last` for each changed part."""
    tests: tuple[str, ...] = ()
    """Tests that show it and passed on the candidate, by their ids in the report."""
    judged: Literal["yes", "no", "unsure", "unjudged"] = "unjudged"
    """By the reviewer of this very tree."""
    findings: tuple[str, ...] = ()
    """Ids of open findings in the code that meets it."""
    holes: tuple[str, ...] = ()
    """What is missing, in words; empty means that it is covered."""
    waived: str = ""
    """Who waived the holes and why."""


class Matrix(Value):
    """Criterion by criterion, for exactly one tree."""

    tree: str
    rows: tuple[CriterionTrace, ...]


class Escalation(Value):
    """Why a change may not be merged without a person any more. It never goes away."""

    why: str
    since_tree: str


class Proof(Value):
    """The record of one delivery. Its canonical JSON is what the git note holds."""

    format: Literal["worktrain-proof-1", "worktrain-proof-2"] = "worktrain-proof-1"
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
    interpretation: str = Field(default="", exclude_if=absent)
    """What the task was taken to ask for."""
    fingerprint: str = Field(default="", exclude_if=absent)
    """Of the task's text at the time that it was accepted."""
    classified: TaskClass | None = Field(default=None, exclude_if=absent)
    route: Route | None = Field(default=None, exclude_if=absent)
    examination: Examination | None = Field(default=None, exclude_if=absent)
    matrix: Matrix | None = Field(default=None, exclude_if=absent)
    ledger: Ledger | None = Field(default=None, exclude_if=absent)
    audits: tuple[Audit, ...] = Field(default=(), exclude_if=absent)
    escalation: Escalation | None = Field(default=None, exclude_if=absent)
    demanded: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """Why a person had to agree to the merge."""


class SealedProof(Value):
    """The proof is stored and signed, and is what the stored events say; or what it is not."""

    digest: str = ""
    """sha256 of its canonical JSON."""
    broken: tuple[str, ...] = ()
